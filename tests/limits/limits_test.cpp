// The edges of engine/limits.h: what is at a limit passes, what is one over it is refused by name.
#include <gtest/gtest.h>
#include "inlay.pb.h"
#include "tests/converter/onnx_text.h"
#include "tests/engine/stored_graph.h"

namespace engine {
namespace {
using test::error_of, test::read;
constexpr const char* none = "no error";

// --- The reader of .inlay files --------------------------------------------------------------------------------------

inlay::Graph one_input() {
  inlay::Graph graph;
  auto* input = graph.add_inputs();
  input->set_name("x");
  input->mutable_type()->set_dtype("f32");
  auto* output = graph.add_outputs();
  output->set_name("y");
  return graph;
}
std::string refusal(const inlay::Graph& graph) {
  return error_of([&] { verify(read(graph.SerializeAsString(), {})); });
}
void expect_edge(const std::function<inlay::Graph(int64_t)>& graph, int64_t limit, std::initializer_list<const char*> words) {
  EXPECT_EQ(refusal(graph(limit)), none);
  const std::string text = refusal(graph(limit + 1));
  for (const char* word : words) EXPECT_NE(text.find(word), std::string::npos) << "'" << text << "' lacks '" << word << "'";
}

TEST(LimitsOfFiles, Rank) {
  expect_edge([](int64_t rank) {
    inlay::Graph graph = one_input();
    auto* type = graph.mutable_inputs(0)->mutable_type();
    type->set_ranked(true);
    for (int64_t i = 0; i < rank; ++i) type->add_dims()->set_value(1);
    return graph;
  }, limits::rank, {"more than 32 dims"});
  expect_edge([](int64_t rank) {
    inlay::Graph graph = one_input();
    auto* constant = graph.add_constants();
    constant->set_dtype("u8");
    for (int64_t i = 0; i < rank; ++i) constant->add_shape(1);
    constant->set_inlined("1");
    return graph;
  }, limits::rank, {"constant", "more than 32 dims"});
}

TEST(LimitsOfFiles, Extent) {
  expect_edge([](int64_t extent) {
    inlay::Graph graph = one_input();
    auto* type = graph.mutable_inputs(0)->mutable_type();
    type->set_ranked(true);
    type->add_dims()->set_value(extent);
    return graph;
  }, limits::extent, {"extent 1099511627777"});
  expect_edge([](int64_t extent) {
    inlay::Graph graph = one_input();
    auto* type = graph.mutable_inputs(0)->mutable_type();
    type->set_ranked(true);
    type->add_dims()->set_symbol("n");
    type->mutable_dims(0)->set_upper(extent);
    return graph;
  }, limits::extent, {"symbol 'n'"});
}

TEST(LimitsOfFiles, Name) {
  expect_edge([](int64_t size) {
    inlay::Graph graph = one_input();
    graph.mutable_inputs(0)->set_name(std::string(size_t(size), 'x'));
    return graph;
  }, limits::name, {"name", "65537"});
}

TEST(LimitsOfFiles, NestingOfTypes) {
  expect_edge([](int64_t depth) {
    inlay::Graph graph = one_input();
    auto* type = graph.mutable_inputs(0)->mutable_type();
    for (int64_t i = 1; i < depth; ++i) type->set_kind("sequence"), type->set_dtype("f32"), type = type->mutable_element();
    type->set_dtype("f32");
    return graph;
  }, limits::nesting, {"types nest"});
}

inlay::Graph nested(int64_t depth) {
  inlay::Graph graph;
  auto* input = graph.add_inputs();
  input->set_name("c"), input->mutable_type()->set_dtype("boolean"), input->mutable_type()->set_ranked(true);
  auto* output = graph.add_outputs();
  output->set_name("y");
  if (depth <= 1) return graph;
  auto* node = graph.add_nodes();
  node->set_op("If"), node->set_version(1), node->add_inputs(1), node->add_inputs(1), node->set_outputs(1), node->add_origins("choose (If)");
  *node->add_bodies() = nested(depth - 1), *node->add_bodies() = nested(1);
  output->set_value(1);
  return graph;
}
TEST(LimitsOfFiles, NestingOfBodies) { expect_edge(nested, limits::nesting, {"bodies nest", "32"}); }

TEST(LimitsOfFiles, Ports) {
  const auto wide = [](int64_t inputs) {
    inlay::Graph graph = one_input();
    graph.mutable_inputs(0)->mutable_type()->set_ranked(true);
    graph.mutable_inputs(0)->mutable_type()->add_dims()->set_value(1);
    auto* node = graph.add_nodes();
    node->set_op("Concat"), node->set_version(1), node->set_outputs(1), node->add_origins("join (Concat)");
    for (int64_t i = 0; i < inputs; ++i) node->add_inputs(1);
    return graph;
  };
  expect_edge(wide, limits::ports, {"Concat", "too many inputs"});
}

TEST(LimitsOfFiles, Nodes) {
  const auto many = [](int64_t nodes) {
    inlay::Graph graph = one_input();
    inlay::Node node;
    node.set_op("Identity"), node.set_version(1), node.add_inputs(1), node.set_outputs(1), node.add_origins("n");
    for (int64_t i = 0; i < nodes; ++i) *graph.add_nodes() = node;
    return graph.SerializeAsString();
  };
  EXPECT_EQ(read(many(limits::nodes), {}).nodes.size(), size_t(limits::nodes));
  const std::string text = error_of([&] { read(many(limits::nodes + 1), {}); });
  EXPECT_NE(text.find("more than 1048576 nodes"), std::string::npos) << text;
}

TEST(LimitsOfFiles, ValuesTakeBytesOfTheFile) {
  const auto split = [](int64_t outputs) {
    inlay::Graph graph = one_input();
    auto* node = graph.add_nodes();
    node->set_op("Split"), node->set_version(1), node->add_inputs(1), node->set_outputs(uint32_t(outputs)), node->add_origins("split (Split)");
    return graph;
  };
  EXPECT_EQ(refusal(split(20)), none);
  EXPECT_NE(refusal(split(60000)).find("values"), std::string::npos) << refusal(split(60000));
}

TEST(LimitsOfFiles, Bytes) {
  const auto wide = [](int64_t elements, const char* dtype) {
    inlay::Graph graph = one_input();
    auto* constant = graph.add_constants();
    constant->set_dtype(dtype), constant->add_shape(elements), constant->set_offset(0);
    return refusal(graph);
  };
  EXPECT_NE(wide(limits::bytes, "u8").find("lies outside the weights"), std::string::npos) << wide(limits::bytes, "u8");
  EXPECT_NE(wide(limits::bytes + 1, "u8").find("larger than this build allows"), std::string::npos) << wide(limits::bytes + 1, "u8");
  EXPECT_NE(wide(limits::bytes / 4 + 1, "f32").find("larger than this build allows"), std::string::npos) << wide(limits::bytes / 4 + 1, "f32");
}

// --- The importer of .onnx files -------------------------------------------------------------------------------------

using converter::test::model;
std::string import_refusal(const onnx::ModelProto& proto) {
  return error_of([&] { converter::test::import(proto); });
}
void expect_import_edge(const std::function<onnx::ModelProto(int64_t)>& proto, int64_t limit, std::initializer_list<const char*> words) {
  EXPECT_EQ(import_refusal(proto(limit)), none);
  const std::string text = import_refusal(proto(limit + 1));
  for (const char* word : words) EXPECT_NE(text.find(word), std::string::npos) << "'" << text << "' lacks '" << word << "'";
}

TEST(LimitsOfImport, RankAndExtent) {
  using namespace converter::test;
  expect_import_edge([](int64_t rank) { return model(17, input("x", std::vector<std::string>(size_t(rank), "1")) + node("Relu", {"x"}, {"y"}) + output("y")); }, limits::rank,
                     {"'x'", "rank 33"});
  expect_import_edge([](int64_t rank) { return model(17, floats("w", Shape(size_t(rank), 1), {1}) + node("Relu", {"w"}, {"y"}) + output("y")); }, limits::rank, {"'w'", "rank 33"});
  expect_import_edge([](int64_t extent) { return model(17, input("x", {std::to_string(extent)}, onnx::TensorProto::UINT8) + output("x")); }, limits::extent, {"'x'", "1099511627777"});
}

TEST(LimitsOfImport, Name) {
  using namespace converter::test;
  expect_import_edge([](int64_t size) { return model(17, input(std::string(size_t(size), 'x'), {"1"}) + node("Relu", {std::string(size_t(size), 'x')}, {"y"}) + output("y")); }, limits::name,
                     {"name", "65537"});
}

TEST(LimitsOfImport, NestingOfTypesAndBodies) {
  using namespace converter::test;
  expect_import_edge([](int64_t depth) {
    onnx::ModelProto proto = model(17, "input { name: 'x' type { } } " + output("x"));
    auto* type = proto.mutable_graph()->mutable_input(0)->mutable_type();
    for (int64_t i = 1; i < depth; ++i) type = type->mutable_sequence_type()->mutable_elem_type();
    type->mutable_tensor_type()->set_elem_type(1);
    return proto;
  }, limits::nesting, {"types nest", "32"});
  // Bodies within the graph: one less than graphs within each other.
  const auto nested = [](int64_t depth) {
    std::string body_text = node("Identity", {"x"}, {"y0"}) + output("y0");
    for (int64_t i = 1; i <= depth; ++i) {
      const std::string inner = body_text, name = cat("y", i);
      body_text = node("If", {"c"}, {name}, body("then_branch", inner) + body("else_branch", node("Neg", {"x"}, {cat("n", i)}) + output(cat("n", i)))) + output(name);
    }
    return model(17, "input { name: 'c' type { tensor_type { elem_type: 9 shape { } } } } " + input("x", {"2"}) + body_text);
  };
  EXPECT_EQ(import_refusal(nested(4)), none);
  const std::string text = import_refusal(nested(limits::nesting + 1));
  EXPECT_NE(text.find("deep"), std::string::npos) << text;
}

TEST(LimitsOfImport, ManyNodesThatCannotBeConverted) {
  onnx::ModelProto proto = model(17, "");
  for (int i = 0; i < 100'000; ++i) {
    auto* node = proto.mutable_graph()->add_node();
    node->set_op_type("Blorp"), node->set_name(cat("n", i)), node->add_output(cat("y", i));
  }
  const auto start = std::chrono::steady_clock::now();
  const std::string text = import_refusal(proto);
  EXPECT_LT(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(), 10);
  EXPECT_NE(text.find("100000 nodes cannot be converted"), std::string::npos) << text.substr(0, 200);
}
}  // namespace
}  // namespace engine
