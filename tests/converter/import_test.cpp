// What a model is made of: names, shapes, bodies, functions; and what is wrong with it, said at once.
#include "tests/converter/onnx_text.h"

namespace converter::test {
namespace {

TEST(Import, InputsOutputsAndSymbols) {
  const Graph graph = import(model(13, input("x", {"N", "?", "0", "3"}) + output("z") + output("x2") + output("z2") +
                                           node("Relu", {"x"}, {"z"}) + node("Identity", {"x"}, {"x2"}) +
                                           node("Identity", {"z"}, {"z2"})));
  EXPECT_EQ(text(graph), "input x f32[N,x_dim_1,x_dim_2,3]\nz = Unary (x)\noutput z\noutput x2 = x\noutput z2 = z\n");
  EXPECT_EQ(graph.nodes[0].origins, Origins{"z (Relu)"});
  // An initializer that is an input too is a constant.
  EXPECT_EQ(imported(7, x23 + input("w", {"1"}) + y + floats("w", {1}, {2}) + node("Mul", {"x", "w"}, {"y"})),
            "input x f32[2,3]\nconst w f32[1] {2}\ny = Binary kind=mul (x, w)\noutput y\n");
  EXPECT_EQ(imported(13, "input { name: 'x' type { tensor_type { elem_type: 1 } } } " + y + node("Relu", {"x"}, {"y"})),
            "input x f32[...]\ny = Unary (x)\noutput y\n");
  EXPECT_EQ(
      imported(
          15,
          "input { name: 'o' type { optional_type { elem_type { sequence_type { elem_type { tensor_type { elem_type: 1 "
          "shape { dim { dim_param: 'k' } } } } } } } } } " +
              y + node("OptionalGetElement", {"o"}, {"y"})),
      "input o optional(seq(f32[?]))\ny = OptionalGet (o)\noutput y\n");
}

TEST(Import, FixedExtents) {
  const auto m = model(13, input("x", {"N", "3"}) + y + node("Relu", {"x"}, {"y"}));
  ImportOptions fix;
  fix.fix = {{"x", {5, 3}}};
  EXPECT_EQ(text(import(m, fix)), "input x f32[5,3]\ny = Unary (x)\noutput y\n");
  fix.fix = {{"x", {5, 4}}};
  expect_error(m, Code::invalid_argument, {"input 'x'", "[5,4]", "f32[N,3]"}, fix);
  fix.fix = {{"x", {5}}};
  expect_error(m, Code::invalid_argument, {"input 'x'"}, fix);
  fix.fix = {{"z", {5}}};
  expect_error(m, Code::invalid_argument, {"no input 'z'"}, fix);
}

TEST(Import, NodesInAnyOrder) {
  EXPECT_EQ(imported(13, x23 + y + node("Neg", {"a"}, {"y"}) + node("Relu", {"x"}, {"a"})),
            "input x f32[2,3]\na = Unary (x)\ny = Unary kind=neg (a)\noutput y\n");
  expect_error(model(13, x23 + y + node("Add", {"x", "b"}, {"a"}, "name: 'first'") + node("Neg", {"a"}, {"b"}) +
                             node("Relu", {"a"}, {"y"})),
               Code::invalid_model, {"cycle", "'first' (Add)"});
  // Patched models define a Constant again instead of changing it: the last one counts.
  const auto constant = [](double v) { return node("Constant", {}, {"c"}, attribute("value_float", v)); };
  EXPECT_EQ(imported(13, x23 + y + constant(1) + node("Mul", {"x", "c"}, {"y"}) + constant(2)),
            "input x f32[2,3]\nconst c f32[] {2}\ny = Binary kind=mul (x, c)\noutput y\n");
}

TEST(Import, ShapeArithmeticIsEvaluated) {
  // Concat(Shape(x)[0], -1) is known but for N.
  const std::string g = input("x", {"N", "3", "4"}) + y + ints("zero", {0}) + ints("rest", {-1}) +
                        node("Shape", {"x"}, {"s"}) + node("Gather", {"s", "zero"}, {"n"}) +
                        node("Concat", {"n", "rest"}, {"shape"}, attribute("axis", 0)) +
                        node("Reshape", {"x", "shape"}, {"y"});
  const Graph graph = import(model(13, g));
  EXPECT_EQ(to_text(graph[graph.outputs[0].value].type), "f32[N,((N*12)/N)]");
  ImportOptions fix;
  fix.fix = {{"x", {2, 3, 4}}};
  const Graph fixed = import(model(13, g), fix);
  EXPECT_EQ(fixed.nodes.size(), 1u);
  EXPECT_EQ(to_text(fixed[fixed.outputs[0].value].type), "f32[2,12]");
}

TEST(Import, AllErrorsAtOnce) {
  const auto m =
      model(13, x23 + y + node("Foo", {"x"}, {"a"}, "name: 'foo1' domain: 'my.ops'") +
                    node("Relu", {"a"}, {"b"}, attribute("slope", 1)) + node("MatMul", {"a", "b"}, {"c"}) +
                    node("Bar", {"x"}, {"d"}) + node("Concat", {"x", "x"}, {"e"}, attribute("axis", "zero")) +
                    node("MatMul", {"x", "x"}, {"f"}, "name: 'mm'") + node("Sum", {"c", "d", "e", "f"}, {"y"}));
  expect_error(m, Code::invalid_model,
               {"5 nodes cannot be converted", "\n  'foo1' (Foo, domain my.ops): this op is not supported",
                "\n  'd' (Bar): this op is not supported", "\n  'b' (Relu): attribute slope is not known",
                "\n  'e' (Concat): attribute axis is a string, not an integer", "\n  'mm' (MatMul): "});
  expect_error(model(13, x23 + y + node("Foo", {"x"}, {"y"})), Code::unsupported,
               {"1 node cannot be converted", "'y' (Foo)"});
}

TEST(Import, WhatIsWrongIsNamed) {
  expect_error(model(13, x23 + y + node("Add", {"x", "nothing"}, {"y"}, "name: 'add'")), Code::invalid_model,
               {"'add' (Add)", "input 'nothing'"});
  expect_error(model(13, x23 + y + node("Relu", {"x"}, {"a"})), Code::invalid_model, {"output 'y'"});
  expect_error(model(13, x23 + y + node("Relu", {"x"}, {"y"}) + node("Neg", {"x"}, {"y"}, "name: 'again'")),
               Code::invalid_model, {"'again' (Neg)", "'y' is defined twice"});
  expect_error(model(13, x23 + x23 + y + node("Relu", {"x"}, {"y"})), Code::invalid_model, {"'x' is defined twice"});
  expect_error(model(13, x23 + y + node("Concat", {"x", "x"}, {"y"})), Code::invalid_model,
               {"attribute axis is missing"});
  expect_error(model(13, x23 + y + node("Transpose", {"x"}, {"y"}, int_list("perm", {0, 0}))), Code::invalid_model,
               {"'y' (Transpose)"});
  expect_error(model(13, x23 + y + floats("w", {2, 2}, {1, 2, 3}) + node("Add", {"x", "w"}, {"y"})),
               Code::invalid_model, {"tensor 'w'", "3 elements instead of 4"});
  expect_error(model(13, x23 + y + floats("w", {-2}, {}) + node("Add", {"x", "w"}, {"y"})), Code::invalid_model,
               {"tensor 'w'", "negative"});
  expect_error(model(13, x23 + y + floats("w", {1 << 30, 1 << 30}, {1}) + node("Add", {"x", "w"}, {"y"})), Code::limit,
               {"tensor 'w'"});
  expect_error(model(13, x23 + y + "initializer { name: 'w' data_type: 1 dims: 2 raw_data: 'abc' } " +
                             node("Add", {"x", "w"}, {"y"})),
               Code::invalid_model, {"tensor 'w'", "3 bytes where f32[2] takes 8"});
  expect_error(model(13, x23 + y + "initializer { name: 'w' data_type: 14 dims: 1 } " + node("Add", {"x", "w"}, {"y"})),
               Code::unsupported, {"COMPLEX64"});
  expect_error(model(13, "input { name: 'x' } " + y + node("Relu", {"x"}, {"y"})), Code::invalid_model,
               {"input 'x'", "type is missing"});
  expect_error(model(13, x23), Code::invalid_model, {"no outputs"});
}

TEST(Import, OpsThatTrainAreRefused) {
  ImportOptions custom;
  custom.allow_custom = true;  // nothing that an application could implement
  for (const char* op : {"Adagrad", "Adam", "Gradient", "Momentum"})
    for (const ImportOptions& options : {ImportOptions(), custom})
      expect_error(model(13, x23 + y + node(op, {"x"}, {"y"}, "name: 'update' domain: 'ai.onnx.preview.training' "),
                         "opset_import { domain: 'ai.onnx.preview.training' version: 1 } "),
                   Code::unsupported, {"'update'", op, "ai.onnx.preview.training", "trains a model", "Inlay is for inference"}, options);
}

TEST(Import, BytesThatAreNoModel) {
  const std::string whole =
      model(13, x23 + y + floats("w", {2}, {1, 2}) + node("Relu", {"x"}, {"y"}, "name: 'a long enough name'"))
          .SerializeAsString();
  for (size_t n = 0; n < whole.size(); ++n) {
    try {
      import_onnx_bytes(std::as_bytes(std::span(whole).first(n)));
      ADD_FAILURE() << n << " of " << whole.size() << " bytes were a model";
    } catch (const Error&) {
    }
  }
  const std::string noise = "GIF89a, say, or a web page that a download gave";
  EXPECT_THROW(import_onnx_bytes(std::as_bytes(std::span(noise))), Error);
  EXPECT_THROW(import_onnx("no such file.onnx"), Error);
}

TEST(Import, ProgressEndsWithAll) {
  std::vector<std::pair<int64_t, int64_t>> seen;
  ImportOptions options;
  options.progress = [&](int64_t done, int64_t total) { seen.emplace_back(done, total); };
  import(model(13, x23 + y + node("Relu", {"x"}, {"a"}) + node("Neg", {"a"}, {"y"})), options);
  ASSERT_FALSE(seen.empty());
  EXPECT_EQ(seen.back(), (std::pair<int64_t, int64_t>{2, 2}));
}
}  // namespace
}  // namespace converter::test
