// Nodes that draw random numbers, and Dropout, which does where it trains.
#include "tests/converter/onnx_text.h"
#include "tests/engine/evaluate.h"

namespace converter::test {
namespace {
using Values = std::vector<double>;

std::vector<Values> outputs_of(const Graph& graph, const std::vector<ConstantPtr>& inputs) {
  std::vector<ConstView> views;
  for (const ConstantPtr& c : inputs) views.push_back(c->view());
  std::vector<Values> all;
  for (const Object& out : engine::test::evaluate(graph, views)) {
    Values& values = all.emplace_back();
    for (int64_t i = 0; i < elements(out.shape); ++i) values.push_back(load<double>(out.view(), i));
  }
  return all;
}
ConstantPtr all_ones(const Shape& shape) {
  Object x;
  std::ranges::fill(x.set_tensor(DType::f32, shape).as<float>(), 1.f);
  return make_constant(std::as_const(x).view());
}
ConstantPtr a_truth(bool value) { return make_scalar(DType::boolean, int64_t{value}); }

TEST(Random, AttributesOfTheNodes) {
  const std::string shape = int_list("shape", {2, 3});
  EXPECT_EQ(imported(1, y + node("RandomNormal", {}, {"y"}, shape + attribute("mean", 3.0) + attribute("scale", 2.0))),
            "const v0 i64[2] {2,3}\ny = Random kind=normal a=3 b=2 (v0)\noutput y\n");
  EXPECT_EQ(imported(22, y + node("RandomUniform", {}, {"y"}, shape + attribute("dtype", 11) + attribute("seed", 1.0))),
            "const v0 i64[2] {2,3}\ny = Random dtype=f64 seeded=1 seed=1065353216 (v0)\noutput y\n");
  EXPECT_EQ(imported(1, x23 + y + node("RandomUniformLike", {"x"}, {"y"}, attribute("low", -1.0))),
            "input x f32[2,3]\nconst v2 i64[2] {2,3}\ny = Random a=-1 (v2)\noutput y\n");
  EXPECT_EQ(imported(22, input("x", {"N"}, 6) + y + node("RandomNormalLike", {"x"}, {"y"}, attribute("dtype", 16))),
            "input x i32[N]\nv1 = Shape (x)\ny = Random kind=normal dtype=bf16 (v1)\noutput y\n");
  EXPECT_EQ(imported(15, x23 + y + node("Bernoulli", {"x"}, {"y"}, attribute("dtype", 7))),
            "input x f32[2,3]\ny = Bernoulli dtype=i64 (x)\noutput y\n");
  EXPECT_EQ(
      imported(7, x23 + y + node("Multinomial", {"x"}, {"y"}, attribute("sample_size", 5) + attribute("dtype", 7))),
      "input x f32[2,3]\ny = Multinomial samples=5 dtype=i64 (x)\noutput y\n");
  expect_error(model(22, input("x", {"2"}, 6) + y + node("RandomNormalLike", {"x"}, {"y"})), Code::invalid_model,
               {"dtype i32"});
  expect_error(model(22, y + node("RandomNormal", {}, {"y"})), Code::invalid_model, {"shape is missing"});
}

// Also of constants, which a small graph is otherwise computed from at once.
TEST(Random, EachRunDrawsOthersUnlessSeeded) {
  const std::string p = floats("p", {8, 8}, Values(64, 0.5));
  for (const std::string& seed : {std::string(), attribute("seed", 2.5)}) {
    const Graph graph = import(model(22, p + output("a") + output("b") + node("Bernoulli", {"p"}, {"a"}, seed) +
                                             node("RandomUniform", {}, {"b"}, int_list("shape", {64}) + seed)));
    EXPECT_EQ(graph.nodes.size(), 2u);
    EXPECT_EQ(outputs_of(graph, {}) == outputs_of(graph, {}), !seed.empty());
  }
}

TEST(Dropout, DropsAndScalesWhereItTrains) {
  const std::string x = input("x", {"N", "500"}), t = input("t", {}, onnx::TensorProto::BOOL),
                    r = floats("r", {}, {0.2});
  const std::string outputs = y + output("m");
  const Graph graph = import(model(22, x + t + r + outputs + node("Dropout", {"x", "r", "t"}, {"y", "m"})));
  for (const Values& out : outputs_of(graph, {all_ones({20, 500}), a_truth(false)})) EXPECT_EQ(out, Values(10000, 1));
  const auto out = outputs_of(graph, {all_ones({20, 500}), a_truth(true)});
  double kept = 0;
  for (size_t i = 0; i < out[0].size(); ++i) {
    kept += out[1][i];
    EXPECT_FLOAT_EQ(float(out[0][i]), out[1][i] != 0 ? 1.25f : 0);
  }
  EXPECT_NEAR(kept / 10000, 0.8, 0.02);
  EXPECT_NE(outputs_of(graph, {all_ones({20, 500}), a_truth(true)}), out);

  const std::string yes = "initializer { name: 't' data_type: 9 int32_data: 1 } ";
  const Graph seeded =
      import(model(13, x + yes + outputs + node("Dropout", {"x", "", "t"}, {"y", "m"}, attribute("seed", 3))));
  EXPECT_EQ(outputs_of(seeded, {all_ones({20, 500})}), outputs_of(seeded, {all_ones({20, 500})}));
}

TEST(Dropout, NothingIsDrawnForARatioOfZero) {
  const std::string yes = "initializer { name: 't' data_type: 9 int32_data: 1 } ";
  EXPECT_EQ(imported(12, x23 + y + yes + floats("r", {}, {0}) + node("Dropout", {"x", "r", "t"}, {"y"})),
            "input x f32[2,3]\noutput y = x\n");
  const Graph graph = import(model(12, input("x", {"2", "500"}) + y + output("m") + yes + input("r", {"1"}) +
                                           node("Dropout", {"x", "r", "t"}, {"y", "m"})));
  const float zero = 0;
  const Shape one{1};
  const auto ratio = make_constant({DType::f32, one, reinterpret_cast<const std::byte*>(&zero), nullptr});
  for (const Values& out : outputs_of(graph, {all_ones({2, 500}), ratio})) EXPECT_EQ(out, Values(1000, 1));
  expect_error(model(12, x23 + y + yes + floats("r", {}, {1}) + node("Dropout", {"x", "r", "t"}, {"y"})),
               Code::invalid_model, {"the ratio is 1"});
}

TEST(Dropout, KeepsItsDtype) {
  const std::string yes = "initializer { name: 't' data_type: 9 int32_data: 1 } ";
  for (int dtype : {1, 10, 11, 16, 17}) {
    const Graph graph =
        import(model(22, input("x", {"2", "3"}, dtype) + yes + y + node("Dropout", {"x", "", "t"}, {"y"})));
    EXPECT_EQ(graph[graph.outputs[0].value].type.dtype, graph[graph.inputs[0]].type.dtype);
  }
}
}  // namespace
}  // namespace converter::test
