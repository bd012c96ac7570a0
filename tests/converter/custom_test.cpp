// Nodes that the application implements.
#include "tests/converter/onnx_text.h"
#include "engine/session.h"

namespace converter::test {
namespace {
using schema::Custom;
const std::string mine = "domain: 'my.domain' ";
const std::string opset = "opset_import { domain: 'my.domain' version: 3 } ";

ImportOptions allowed() {
  ImportOptions options;
  options.allow_custom = true;
  return options;
}
std::string kept(const std::string& graph, const std::string& rest = opset) {
  return text(import(model(13, graph, rest), allowed()));
}
// "value_info { … }" of a tensor of any shape.
std::string value(const char* field, const std::string& name, int dtype) {
  return cat(field, " { name: '", name, "' type { tensor_type { elem_type: ", dtype, " } } } ");
}

TEST(CustomOps, UnknownOpsAreKeptWhenAllowed) {
  const std::string graph = x23 + y + node("Relu", {"x"}, {"a"}) + node("Foo", {"a"}, {"y"}, mine);
  EXPECT_EQ(kept(graph),
            "input x f32[2,3]\na = Unary (x)\n"
            "y = Custom domain=\"my.domain\" name=\"Foo\" opset=3 outputs=f32 (a)\noutput y\n");
  EXPECT_EQ(kept(graph, ""),
            "input x f32[2,3]\na = Unary (x)\n"
            "y = Custom domain=\"my.domain\" name=\"Foo\" outputs=f32 (a)\noutput y\n");
  expect_error(model(13, graph, opset), Code::unsupported, {"'y' (Foo, domain my.domain)", "--allow-custom"});
  // An op that ONNX does not have, or not yet.
  EXPECT_EQ(kept(x23 + y + node("Bar", {"x"}, {"y"})),
            "input x f32[2,3]\ny = Custom name=\"Bar\" opset=13 outputs=f32 (x)\noutput y\n");
  // One that it has stays what it is, with what is wrong about it.
  expect_error(model(13, x23 + y + node("Relu", {"x"}, {"y"}, attribute("k", 1))), Code::unsupported, {"attribute k"},
               allowed());
}

TEST(CustomOps, AttributesKeepTheirTypes) {
  const Graph graph = import(
      model(13,
            x23 + y +
                node("Foo", {"x"}, {"y"},
                     mine + attribute("i", 7) + attribute("f", 0.5) + attribute("s", "word") + int_list("is", {1, -2}) +
                         "attribute { name: 'fs' type: FLOATS floats: 1.5 floats: 2 } "
                         "attribute { name: 'ss' type: STRINGS strings: 'a' strings: '' } "
                         "attribute { name: 'none' type: FLOATS } "),
            opset),
      allowed());
  const schema::Attributes want = {{"i", 7},
                                   {"f", 0.5},
                                   {"s", std::string("word")},
                                   {"is", schema::Ints{1, -2}},
                                   {"fs", std::vector<double>{1.5, 2}},
                                   {"ss", schema::Strings{"a", ""}},
                                   {"none", std::vector<double>{}}};
  EXPECT_EQ(graph.nodes.at(0).op.get_if<Custom>()->attributes, want);
  expect_error(
      model(13, x23 + y + node("Foo", {"x"}, {"y"}, mine + "attribute { name: 'w' type: TENSOR t { data_type: 1 } } "),
            opset),
      Code::unsupported, {"attribute w is a tensor", "custom op"}, allowed());
  expect_error(model(13, x23 + y + node("Foo", {"x"}, {"y"}, mine + body("g", output("z"))), opset), Code::unsupported,
               {"attribute g is a graph", "custom op"}, allowed());
}

TEST(CustomOps, DtypesOfOutputs) {
  const std::string two = x23 + node("Foo", {"x"}, {"a", "b", "y"}, mine) + output("a") + output("b");
  const auto outputs = [&](const std::string& graph) {
    return import(model(13, graph, opset), allowed()).nodes.at(0).op.get_if<Custom>()->outputs;
  };
  using enum DType;
  EXPECT_EQ(outputs(two + y), (schema::DTypes{f32, f32, f32}));
  EXPECT_EQ(outputs(two + value("value_info", "a", 7) + value("value_info", "c", 9) + value("output", "y", 8)),
            (schema::DTypes{i64, f32, string}));
  EXPECT_EQ(outputs(input("x", {}, 10) + y + node("Foo", {"x"}, {"y"}, mine)), (schema::DTypes{f16}));
  EXPECT_EQ(outputs(y + node("Foo", {}, {"y"}, mine) + value("value_info", "y", 6)), (schema::DTypes{i32}));
  expect_error(model(13, y + node("Foo", {}, {"y"}, mine), opset), Code::unsupported, {"dtype of output 0"}, allowed());
  expect_error(model(13,
                     x23 + node("Foo", {"x"}, {"y"}, mine) +
                         "output { name: 'y' type { sequence_type { elem_type { tensor_type { elem_type: 1 } } } } } ",
                     opset),
               Code::unsupported, {"output 0 is a sequence"}, allowed());
}

// y = x + by, in the branch that is taken, and in a function of the model.
TEST(CustomOps, InBodiesAndFunctionsAndRun) {
  const auto branch = [](const char* name, double by) {
    return body(name, node("Shift", {"x"}, {"t"}, mine + attribute("by", by)) + output("t"));
  };
  const std::string function =
      "functions { name: 'Twice' domain: 'local' input: 'p' output: 'q' attribute: 'amount' "
      "opset_import { version: 13 } opset_import { domain: 'my.domain' version: 3 } " +
      node("Shift", {"p"}, {"m"}, mine + "attribute { name: 'by' type: FLOAT ref_attr_name: 'amount' } ") +
      node("Shift", {"m"}, {"q"}, mine + "attribute { name: 'by' type: FLOAT ref_attr_name: 'amount' } ") + "} ";
  std::string proto = cat("ir_version: 8 opset_import { version: 13 } opset_import { domain: 'local' version: 1 } ",
                          opset, "graph { ", x23, input("c", {}, onnx::TensorProto::BOOL), y,
                          node("If", {"c"}, {"a"}, branch("then_branch", 10) + branch("else_branch", 20)),
                          node("Twice", {"a"}, {"y"}, "domain: 'local' " + attribute("amount", 0.5)), " } ", function);
  onnx::ModelProto m;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(proto, &m));
  const CustomOp shift{"my.domain", "Shift", [](const Custom&, std::span<const Type> in) { return Types{in[0]}; },
                       [](const Custom& op, RunContext& c) {
                         const double by = std::get<double>(op.attributes.at(0).value);
                         const View out = c.set_out(0, c.in(0).dtype, c.in(0).shape);
                         for (int64_t i = 0; i < out.elements(); ++i) store(out, i, load<double>(c.in(0), i) + by);
                       }};
  const auto model = std::make_shared<const Model>(import(m, allowed()), CompileOptions(), make_custom_ops({shift}));
  EXPECT_EQ(to_text(model->output_type(0)), "f32[2,3]");
  Session session(model);
  const float x[6] = {0, 1, 2, 3, 4, 5};
  const int64_t shape[2] = {2, 3};
  session.set_input(model->find_input("x"), {DType::f32, shape, reinterpret_cast<const std::byte*>(x), nullptr});
  for (bool yes : {true, false}) {
    const ConstantPtr flag = make_scalar(DType::boolean, int64_t(yes));
    session.set_input(model->find_input("c"), flag->view());
    session.run();
    EXPECT_EQ(load<double>(session.output(0), 2), yes ? 13 : 23);
  }
}
}  // namespace
}  // namespace converter::test
