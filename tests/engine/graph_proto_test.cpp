// The graph section, with libprotobuf on the other side.
#include <gtest/gtest.h>
#include <random>
#include "engine/graph_text.h"
#include "inlay.pb.h"
#include "tests/engine/stored_graph.h"

namespace engine {
namespace {
using namespace test;

template <class T> void set_other(T& field) {
  if constexpr (std::is_enum_v<T>) field = T((size_t(field) + 1) % schema::names<T>.size());
  else if constexpr (std::is_same_v<T, bool>) field = !field;
  else if constexpr (std::is_integral_v<T>) field = field > 1000 ? 3 : field + 3;
  else if constexpr (std::is_floating_point_v<T>) field += 0.5;
  else if constexpr (std::is_same_v<T, std::string>) field += "text";
  else if constexpr (std::is_same_v<T, schema::Ints>) field = {1, -2, 1ll << 40};
  else if constexpr (std::is_same_v<T, std::vector<double>>) field = {0.5, -1};
  else if constexpr (std::is_same_v<T, schema::DTypes>) field = {DType::i64, DType::bf16};
  else if constexpr (std::is_same_v<T, schema::Attributes>) field = {{"n", 3}, {"r", 0.5}, {"s", std::string("x")}};
  else field = {"a", ""};
}

// What a field holds, in words; nothing for zero, which proto3 does not store.
template <class T> std::string text_of(const T& value) {
  if constexpr (std::is_enum_v<T>) return std::string(name(value));
  else if constexpr (std::is_same_v<T, schema::DTypes>) return "[i64][bf16]";
  else if constexpr (std::is_same_v<T, schema::Attributes>) return "n=3 r=0.5 s=x ";
  else if constexpr (std::is_same_v<T, std::string>) return value;
  else if constexpr (std::is_arithmetic_v<T>) return value ? cat(value) : "";
  else {
    std::string text;
    for (const auto& item : value) text += cat('[', item, ']');
    return text;
  }
}
std::string text_of(const inlay::Field& f) {
  std::string nested;
  for (const inlay::Field& field : f.fields()) nested += cat(field.name(), '=', text_of(field), ' ');
  return text_of(f.integer()) + text_of(f.real()) + f.text() + text_of(f.integers()) + text_of(f.reals()) +
         text_of(f.texts()) + nested;
}

using Fields = std::vector<std::pair<std::string, std::string>>;
void expect_written(const Op& op, int version, const Fields& fields) {
  Graph graph;
  graph.nodes.push_back({op, {}, {}, {"origin"}, {}});
  inlay::Graph proto;
  ASSERT_TRUE(proto.ParseFromString(store(graph).section));
  ASSERT_EQ(proto.nodes_size(), 1);
  const inlay::Node& node = proto.nodes(0);
  EXPECT_EQ(node.op(), name(op.id()));
  EXPECT_EQ(node.version(), unsigned(version));
  Fields written;
  for (const inlay::Field& f : node.fields()) written.emplace_back(f.name(), text_of(f));
  EXPECT_EQ(written, fields) << node.op();
}

template <class T> void expect_every_field_written() {
  if constexpr (schema::portable<T>) {
    T op;
    Fields fields;
    T::visit_fields([&](std::string_view field, auto member) {
      if (field == "binding") return;  // which no file holds
      set_other(op.*member);
      fields.emplace_back(field, text_of(op.*member));
    });
    expect_written(op, T::version, fields);
  }
}

TEST(GraphProto, WritesEveryFieldOfEveryOp) {
#define OP(T) expect_every_field_written<schema::T>();
#include "schema/ops.inc"
}

TEST(GraphProto, WritesWhatLibprotobufReads) {
  const Graph graph = sample();
  inlay::Graph proto;
  ASSERT_TRUE(proto.ParseFromString(store(graph).section));
  EXPECT_EQ(proto.inputs_size(), 3);
  EXPECT_EQ(proto.inputs(1).type().dims(0).symbol(), "past");
  EXPECT_EQ(proto.inputs(1).type().dims(0).upper(), 64);
  EXPECT_EQ(proto.nodes_size(), int(graph.nodes.size()));
  EXPECT_EQ(proto.outputs(0).name(), "y");
  EXPECT_EQ(proto.states(0).input(), 1u);
  EXPECT_EQ(proto.GetReflection()->GetUnknownFields(proto).field_count(), 0);
}

TEST(GraphProto, KeepsThePrecisionOfDevices) {
  Graph graph = sample();
  EXPECT_EQ(graph.precision, kernels::Precision::f32);
  graph.precision = kernels::Precision::bf16;
  const Stored stored = store(graph);
  inlay::Graph proto;
  ASSERT_TRUE(proto.ParseFromString(stored.section));
  EXPECT_EQ(proto.precision(), "bf16");
  EXPECT_EQ(read(stored.section, stored.weights).precision, kernels::Precision::bf16);
  EXPECT_NE(to_text(graph).find("precision bf16"), std::string::npos);
  EXPECT_EQ(parse_graph("precision tf32\n").precision, kernels::Precision::tf32);
  proto.set_precision("fp8");
  EXPECT_NE(error_of([&] { read(proto.SerializeAsString(), stored.weights); }).find("unknown precision 'fp8'"), std::string::npos);
}

inlay::Graph relu_proto() {
  inlay::Graph proto;
  auto* input = proto.add_inputs();
  input->set_name("x");
  input->mutable_type()->set_dtype("f32");
  input->mutable_type()->set_ranked(true);
  input->mutable_type()->add_dims()->set_value(3);
  auto* node = proto.add_nodes();
  node->set_op("Unary"), node->set_version(1), node->add_inputs(1), node->set_outputs(1), node->add_origins("r (Relu)");
  auto* field = node->add_fields();
  field->set_name("kind"), field->set_text("sqrt");
  auto* output = proto.add_outputs();
  output->set_name("y"), output->set_value(1);
  return proto;
}
std::string refusal(const inlay::Graph& proto) {
  return error_of([&] { read(proto.SerializeAsString(), {}); });
}

TEST(GraphProto, ReadsWhatLibprotobufWrites) {
  const Graph graph = read(relu_proto().SerializeAsString(), {});
  verify(graph);
  EXPECT_EQ(graph.nodes[0].op.get_if<schema::Unary>()->kind, schema::UnaryKind::sqrt);
  EXPECT_EQ(to_text(graph[graph.outputs[0].value].type), "f32[3]");
}

TEST(GraphProto, NamesWhatItDoesNotKnow) {
  const auto expect = [](const inlay::Graph& proto, std::initializer_list<const char*> words) {
    const std::string text = refusal(proto);
    for (const char* word : words) EXPECT_NE(text.find(word), std::string::npos) << "'" << text << "' lacks " << word;
  };
  inlay::Graph bad = relu_proto();
  bad.mutable_nodes(0)->set_op("Blorp"), bad.mutable_nodes(0)->set_version(7);
  expect(bad, {"Blorp", "7", "r (Relu)"});
  bad = relu_proto();
  bad.mutable_nodes(0)->mutable_fields(0)->set_name("flavour"), bad.mutable_nodes(0)->set_version(2);
  expect(bad, {"flavour", "Unary", "2"});
  bad = relu_proto();
  bad.mutable_nodes(0)->mutable_fields(0)->set_text("glorify");
  expect(bad, {"glorify"});
  bad = relu_proto();
  bad.mutable_nodes(0)->set_inputs(0, 9);
  expect(bad, {"not defined"});
  bad = relu_proto();
  bad.mutable_inputs(0)->mutable_type()->set_dtype("f33");
  expect(bad, {"f33"});
  bad = relu_proto();
  bad.mutable_outputs(0)->set_value(5);
  expect(bad, {"'y'"});
  bad = relu_proto();
  bad.mutable_nodes(0)->clear_origins();
  expect(bad, {"origins"});
  bad = relu_proto();
  bad.mutable_inputs(0)->mutable_type()->mutable_dims(0)->set_value(int64_t{1} << 50);
  expect(bad, {"out of range"});
}

class RandomGraph {
 public:
  explicit RandomGraph(unsigned seed) : random_(seed) {}
  Graph make() {
    Graph graph;
    Rewriter r(graph);
    ValueIds known;
    const auto any = [&] { return known[below(known.size())]; };
    for (size_t n = 1 + below(3); n > 0; --n) known.push_back(graph.add_input(cat("in", n), Type::tensor(DType::f32, dims())));
    if (below(2)) graph.add_input("odd", odd(0));
    for (size_t n = below(12); n > 0; --n) {
      const Origins origins(1 + below(3), cat("node", n));
      try {
        switch (below(6)) {
          case 0: known.push_back(r.add(schema::Unary{schema::UnaryKind(below(30)), number(), number()}, {any()}, origins)[0]); break;
          case 1: known.push_back(r.add(schema::Binary{schema::BinaryKind(below(5))}, {any(), below(2) ? any() : constant(graph)}, origins)[0]); break;
          case 2: known.push_back(r.add(schema::Cast{DType::f32, below(2) != 0}, {any()}, origins)[0]); break;
          case 3: known.push_back(r.add(schema::Transpose{{1, 0}}, {any()}, origins)[0]); break;
          case 4: known.push_back(r.add(schema::LayerNorm{-1, 1e-3 * number(), true}, {any(), constant(graph)}, origins)[0]); break;
          default: {
            const ValueId x = any();
            std::vector<std::shared_ptr<const Graph>> bodies;
            for (UnaryKind kind : {UnaryKind::relu, UnaryKind::neg}) {
              auto body = std::make_shared<Graph>();
              const ValueId in = body->add_input("x", graph[x].type);
              Rewriter inner(*body);
              body->outputs = {{"y", unary(inner, kind, in)}};
              bodies.push_back(body);
            }
            const ValueId yes = graph.add_constant(make_scalar(DType::boolean, int64_t(below(2))));
            known.push_back(r.add(schema::If{}, {yes, x}, origins, 1, bodies)[0]);
          }
        }
      } catch (const Error&) {
        // These operands do not fit the op.
      }
    }
    for (size_t n = 1 + below(3); n > 0; --n) graph.outputs.push_back({cat("out", n), any()});
    if (below(2)) graph.states.push_back({0, 0});
    return graph;
  }

 private:
  size_t below(size_t n) { return random_() % n; }
  double number() { return double(int(below(2000)) - 1000) / 64; }
  Dims dims() {
    Dims all;
    for (size_t n = below(4); n > 0; --n)
      all.push_back(below(2) ? Dim(int64_t(below(5))) : below(2) ? Dim::symbol(cat("s", below(3))) : below(2) ? Dim::symbol(cat("b", below(3)), int64_t(below(4)), 64) : Dim::unknown());
    return all;
  }
  Type odd(int depth) {
    if (depth == 3 || below(3) == 0) return below(2) ? Type::unranked(DType(below(10))) : Type::tensor(DType::string, dims());
    return below(2) ? Type::sequence(odd(depth + 1)) : Type::optional(odd(depth + 1));
  }
  ValueId constant(Graph& graph) { return graph.add_constant(below(2) ? f32_iota({int64_t(below(40))}) : make_scalar(DType::f32, number()), below(2) ? "c" : ""); }
  std::mt19937 random_;
};

// What either side writes, the other reads, and nothing is lost on the way.
TEST(GraphProto, RandomGraphsGoBothWays) {
  for (unsigned seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const Graph graph = RandomGraph(seed).make();
    const Stored stored = store(graph);
    inlay::Graph proto;
    ASSERT_TRUE(proto.ParseFromString(stored.section));
    EXPECT_EQ(proto.GetReflection()->GetUnknownFields(proto).field_count(), 0);
    ASSERT_EQ(proto.nodes_size(), int(graph.nodes.size()));
    const Graph again = read(proto.SerializeAsString(), stored.weights);
    verify(again);
    inlay::Graph proto_again;
    ASSERT_TRUE(proto_again.ParseFromString(store(again).section));
    EXPECT_EQ(proto_again.SerializeAsString(), proto.SerializeAsString());
  }
}

TEST(GraphProto, RefusesDeepNesting) {
  inlay::Graph proto = relu_proto();
  for (int depth = 0; depth < 40; ++depth) {
    inlay::Graph outer = relu_proto();
    *outer.mutable_nodes(0)->add_bodies() = proto;
    proto = outer;
  }
  EXPECT_NE(refusal(proto).find("deep"), std::string::npos) << refusal(proto);
}
}  // namespace
}  // namespace engine
