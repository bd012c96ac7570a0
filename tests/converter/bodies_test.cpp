// If, Loop and Scan, what their bodies capture, and functions.
#include "tests/converter/onnx_text.h"
#include "tests/engine/evaluate.h"

namespace converter::test {
namespace {
const std::string flag = input("c", {}, onnx::TensorProto::BOOL);

std::vector<double> run(const Graph& graph, const std::vector<ConstantPtr>& inputs, size_t k = 0) {
  std::vector<ConstView> views;
  for (const ConstantPtr& c : inputs) views.push_back(c->view());
  const std::vector<Object> out = engine::test::evaluate(graph, views);
  std::vector<double> values;
  for (int64_t i = 0; i < elements(out[k].shape); ++i) values.push_back(load<double>(out[k].view(), i));
  return values;
}
ConstantPtr vector(const std::vector<float>& values) {
  const int64_t n = int64_t(values.size());
  return make_constant({DType::f32, std::span(&n, 1), reinterpret_cast<const std::byte*>(values.data()), nullptr});
}
using Values = std::vector<double>;

// The branches read a and b, b and a constant.
const std::string branches = body("then_branch", node("Sub", {"a", "b"}, {"t"}) + output("t")) +
                             body("else_branch", node("Mul", {"b", "k"}, {"e"}) + output("e"));
const std::string around =
    input("x", {"2"}) + floats("k", {1}, {10}) + node("Neg", {"x"}, {"a"}) + node("Abs", {"x"}, {"b"});

TEST(Bodies, BranchesTakeTheSameCaptures) {
  const Graph graph = import(model(13, flag + around + y + node("If", {"c"}, {"y"}, branches)));
  EXPECT_EQ(text(graph),
            "input c boolean[]\ninput x f32[2]\na = Unary kind=neg (x)\nb = Unary kind=abs (x)\n"
            "y = If (c, a, b) {\n"
            "  body\n    input a f32[2]\n    input b f32[2]\n    t = Binary kind=sub (a, b)\n    output t\n"
            "  body\n    input v3 f32[2]\n    input b f32[2]\n    const k f32[1] {10}\n    e = Binary kind=mul (b, "
            "k)\n    output e\n"
            "}\noutput y\n");
  EXPECT_EQ(run(graph, {make_scalar(DType::boolean, int64_t{1}), vector({1, -2})}), (Values{-2, 0}));
  EXPECT_EQ(run(graph, {make_scalar(DType::boolean, int64_t{0}), vector({1, -2})}), (Values{10, 20}));
}

TEST(Bodies, AConstantConditionChooses) {
  // The other branch may hold what this build does not know.
  const std::string foreign = body("then_branch", node("Foo", {"a"}, {"t"}) + output("t")) +
                              body("else_branch", node("Mul", {"b", "k"}, {"e"}) + output("e"));
  EXPECT_EQ(imported(13, around + y + "initializer { name: 'c' data_type: 9 int32_data: 0 } " +
                             node("If", {"c"}, {"y"}, foreign)),
            "input x f32[2]\nb = Unary kind=abs (x)\nconst k f32[1] {10}\ne = Binary kind=mul (b, k)\noutput y = e\n");
  expect_error(model(13, flag + around + y + node("If", {"c"}, {"y"}, foreign)), Code::unsupported,
               {"1 node cannot be converted:\n  't' (Foo)"});
}

TEST(Bodies, CapturesPassThroughLevels) {
  const std::string inner = node("If", {"c"}, {"t"}, branches);
  const std::string outer =
      body("then_branch", inner + output("t")) + body("else_branch", node("Identity", {"b"}, {"i"}) + output("i"));
  const Graph graph = import(model(13, flag + around + y + node("If", {"c"}, {"y"}, outer)));
  EXPECT_EQ(run(graph, {make_scalar(DType::boolean, int64_t{1}), vector({1, -2})}), (Values{-2, 0}));
  EXPECT_EQ(run(graph, {make_scalar(DType::boolean, int64_t{0}), vector({1, -2})}), (Values{1, 2}));
}

TEST(Bodies, ALoopMayGrowWhatItCarries) {
  // v = Concat(v, x * i) and a scan of v[-1:], three times.
  const std::string step = "input { name: 'i' } input { name: 'go' } input { name: 'v' } " +
                           node("Cast", {"i"}, {"f"}, attribute("to", 1)) + node("Mul", {"x", "f"}, {"p"}) +
                           node("Concat", {"v", "p"}, {"w"}, attribute("axis", 0)) + node("Identity", {"go"}, {"go2"}) +
                           node("Shape", {"v"}, {"n"}) + output("go2") + output("w") + output("n");
  const Graph graph = import(model(13, input("x", {"1"}) + ints("trips", {3}) + output("y") + output("sizes") +
                                           node("Loop", {"trips", "", "x"}, {"y", "sizes"}, body("body", step))));
  EXPECT_EQ(to_text(graph[graph.outputs[0].value].type), "f32[?]");
  EXPECT_EQ(to_text(graph[graph.outputs[1].value].type), "i64[3,1]");
  EXPECT_EQ(run(graph, {vector({2})}), (Values{2, 0, 2, 4}));
  EXPECT_EQ(run(graph, {vector({2})}, 1), (Values{1, 2, 3}));  // not folded to the first size
}

TEST(Bodies, ALoopMayCarryWhatIsAnOptionalAtFirst) {
  // v is an optional before the first iteration and a tensor after it; w is the other way round.
  const std::string step = "input { name: 'i' } input { name: 'go' } input { name: 'v' } input { name: 'w' } " +
                           node("OptionalGetElement", {"v"}, {"a"}) + node("OptionalGetElement", {"w"}, {"b"}) +
                           node("Add", {"a", "b"}, {"sum"}) + node("Optional", {"sum"}, {"held"}) +
                           node("Identity", {"go"}, {"go2"}) + output("go2") + output("sum") + output("held");
  const Graph graph =
      import(model(18, input("x", {"1"}) + ints("trips", {3}) + output("y") + output("z") + node("Optional", {"x"}, {"o"}) +
                           node("Loop", {"trips", "", "o", "x"}, {"y", "held"}, body("body", step)) +
                           node("OptionalGetElement", {"held"}, {"z"})));
  EXPECT_EQ(graph[graph.outputs[0].value].type.kind, ValueKind::tensor);
  EXPECT_EQ(run(graph, {vector({2})}), (Values{16}));
  EXPECT_EQ(run(graph, {vector({2})}, 1), (Values{16}));
}

TEST(Bodies, Scan) {
  const std::string step = "input { name: 's' } input { name: 'e' } " + node("Add", {"s", "e"}, {"t"}) +
                           node("Mul", {"t", "k"}, {"u"}) + output("t") + output("u");
  const std::string rest = floats("k", {}, {10}) + output("last") + output("y");
  const Graph graph = import(
      model(11, input("s0", {}) + input("x", {"3"}) + rest +
                    node("Scan", {"s0", "x"}, {"last", "y"}, body("body", step) + attribute("num_scan_inputs", 1))));
  EXPECT_EQ(run(graph, {make_scalar(DType::f32, 1.0), vector({1, 2, 3})}), (Values{7}));
  EXPECT_EQ(run(graph, {make_scalar(DType::f32, 1.0), vector({1, 2, 3})}, 1), (Values{20, 40, 70}));
  // With a batch in front of everything, as opset 8 had it.
  const Graph old = import(
      model(8, input("s0", {"2"}) + input("x", {"2", "3"}) + rest +
                   node("Scan", {"", "s0", "x"}, {"last", "y"}, body("body", step) + attribute("num_scan_inputs", 1))));
  const float states[] = {1, 0}, xs[] = {1, 2, 3, 1, 1, 1};
  const int64_t state_shape[] = {2}, x_shape[] = {2, 3};
  const auto s = make_constant({DType::f32, state_shape, reinterpret_cast<const std::byte*>(states), nullptr});
  const auto x = make_constant({DType::f32, x_shape, reinterpret_cast<const std::byte*>(xs), nullptr});
  EXPECT_EQ(run(old, {s, x}), (Values{7, 3}));
  EXPECT_EQ(run(old, {s, x}, 1), (Values{20, 40, 70, 10, 20, 30}));
}

// y = alpha * x + beta with beta 1 unless the call says otherwise; "twice" calls it twice.
const std::string functions =
    "functions { name: 'Line' domain: 'f' input: 'a' output: 'b' attribute: 'alpha' opset_import { version: 13 } "
    "attribute_proto { name: 'beta' type: FLOAT f: 1 } " +
    node("Constant", {}, {"m"}, "attribute { name: 'value_float' type: FLOAT ref_attr_name: 'alpha' }") +
    node("Constant", {}, {"n"}, "attribute { name: 'value_float' type: FLOAT ref_attr_name: 'beta' }") +
    node("Mul", {"a", "m"}, {"p"}) + node("Add", {"p", "n"}, {"b"}, "name: 'sum'") +
    "} functions { name: 'Twice' domain: 'f' input: 'x' input: 'unused' output: 'y' " +
    "opset_import { version: 11 } opset_import { domain: 'f' version: 1 } " +
    node("Line", {"x"}, {"p"}, "domain: 'f' " + attribute("alpha", 2.0)) +
    node("Line", {"p"}, {"q"}, "domain: 'f' name: 'second' " + attribute("alpha", 3.0) + attribute("beta", 0.0)) +
    // The axes are an attribute in this function's opset.
    node("Unsqueeze", {"q"}, {"y"}, int_list("axes", {0})) + "} ";

TEST(Functions, AreInlined) {
  const Graph graph =
      import(model(13, input("x", {"2"}) + y + node("Twice", {"x"}, {"y"}, "domain: 'f' name: 'call'"), functions));
  EXPECT_EQ(run(graph, {vector({1, 2})}), (Values{9, 15}));
  bool found = false;
  for (const Node& n : graph.nodes) found |= n.origins == Origins{"call/second/sum (Add)"};
  EXPECT_TRUE(found);
}

TEST(Functions, MayNotCallThemselves) {
  const std::string loop =
      "functions { name: 'A' domain: 'f' input: 'x' output: 'y' " + node("B", {"x"}, {"y"}, "domain: 'f'") + "} " +
      "functions { name: 'B' domain: 'f' input: 'x' output: 'y' " + node("A", {"x"}, {"y"}, "domain: 'f'") + "} ";
  expect_error(model(13, input("x", {"2"}) + y + node("A", {"x"}, {"y"}, "domain: 'f'"), loop), Code::invalid_model,
               {"calls itself"});
}
}  // namespace
}  // namespace converter::test
