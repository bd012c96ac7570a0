// Passes that undo an exporter's habits.
#include "converter/convert.h"
#include "tests/converter/onnx_text.h"
#include "tests/engine/evaluate.h"

namespace converter::test {
namespace {
std::vector<double> results(const Graph& graph) {
  std::vector<Object> inputs;
  for (ValueId v : graph.inputs) {
    const View view = inputs.emplace_back().set_tensor(DType::f32, graph[v].type.shape());
    for (int64_t i = 0; i < view.elements(); ++i) store(view, i, double(i % 11) * 0.3 - 1);
  }
  std::vector<ConstView> views;
  for (const Object& o : inputs) views.push_back(o.view());
  std::vector<double> all;
  for (const Object& o : engine::test::evaluate(graph, views))
    for (int64_t i = 0; i < elements(o.shape); ++i) all.push_back(load<double>(o.view(), i));
  return all;
}

const std::string parameters =
    "const s f32[4] {1,2,0.5,-1}\nconst b f32[4] {0,1,2,3}\nconst m f32[4] {0.1,0.2,-0.3,0}\nconst v f32[4] "
    "{1,0.5,2,4}\n";
std::string numbers(int count) {
  std::string text = "{";
  for (int i = 0; i < count; ++i) text += cat(i ? "," : "", (i * 37 % 19 - 9) / 8.0);
  return text + "}";
}

// What the pass makes of the graph, by op, after the results were compared.
std::string folded(const std::string& text) {
  Graph graph = parse_graph(text);
  const auto before = results(graph);
  EXPECT_TRUE(fold_batch_norm(graph));
  eliminate_dead(graph);
  verify(graph);
  const auto after = results(graph);
  EXPECT_EQ(before.size(), after.size());
  for (size_t i = 0; i < before.size(); ++i) EXPECT_NEAR(before[i], after[i], 1e-5);
  std::string ops;
  for (const Node& n : graph.nodes) ops += cat(name(n.op.id()), '/', n.inputs.size(), ' ');
  return ops;
}

TEST(FoldBatchNorm, IntoWhatComesBefore) {
  const std::string norm = "y = BatchNorm (c, s, b, m, v)\noutput y\n";
  EXPECT_EQ(
      folded(parameters + "input x f32[2,2,5,5]\nconst w f32[4,2,3,3] " + numbers(72) + "\nc = Conv (x, w)\n" + norm),
      "Conv/3 ");
  EXPECT_EQ(folded(parameters + "input x f32[2,4,5,5]\nconst w f32[4,2,3,3] " + numbers(72) + "\nconst k f32[4] " +
                   numbers(4) + "\nc = Conv groups=2 pad=1,1,1,1 (x, w, k)\n" + norm),
            "Conv/3 ");
  EXPECT_EQ(folded(parameters + "input x f32[1,3,4]\nconst w f32[3,4,2] " + numbers(24) +
                   "\nc = ConvTranspose stride=2 (x, w)\n" + norm),
            "ConvTranspose/3 ");
  EXPECT_EQ(folded(parameters + "input x f32[1,4,4]\nconst w f32[4,2,2] " + numbers(16) +
                   "\nc = ConvTranspose groups=2 (x, w)\n" + norm),
            "ConvTranspose/3 ");
  EXPECT_EQ(folded(parameters + "input x f32[3,2]\nconst w f32[2,4] " + numbers(8) + "\nc = MatMul (x, w)\n" + norm),
            "MatMul/2 Binary/2 ");
  EXPECT_EQ(folded(parameters + "input x f32[3,2]\nconst w f32[4,2] " + numbers(8) + "\nc = MatMul trans_b=1 (x, w)\n" +
                   norm),
            "MatMul/2 Binary/2 ");
}

TEST(FoldBatchNorm, ElseIntoScaleAndOffset) {
  EXPECT_EQ(folded(parameters + "input c f32[2,4,3]\ny = BatchNorm (c, s, b, m, v)\noutput y\n"), "Binary/2 Binary/2 ");
  // Somebody else reads the convolution.
  EXPECT_EQ(folded(parameters + "input x f32[1,1,3,3]\nconst w f32[4,1,1,1] " + numbers(4) +
                   "\nc = Conv (x, w)\ny = BatchNorm (c, s, b, m, v)\noutput y\noutput c\n"),
            "Conv/2 Binary/2 Binary/2 ");
}

TEST(FoldBatchNorm, OriginsOfBothStay) {
  Graph graph = parse_graph(parameters +
                            "input x f32[1,1,3,3]\nconst w f32[4,1,1,1] {1,2,3,4}\nc = Conv (x, w)\ny = BatchNorm (c, "
                            "s, b, m, v)\noutput y\n");
  EXPECT_TRUE(fold_batch_norm(graph));
  EXPECT_EQ(graph.nodes[0].origins, (Origins{"c (Conv)", "y (BatchNorm)"}));
}

TEST(Convert, ThePipelineEnds) {
  Graph graph = parse_graph(
      parameters +
      "input x f32[1,1,3,3]\nconst w f32[4,1,1,1] {1,2,3,4}\nc = Conv (x, w)\nn = BatchNorm (c, s, b, m, v)\n"
      "i = Identity (n)\ny = Unary (i)\noutput y\n");
  PassOptions options;
  options.verify = true;
  run_passes(graph, pipeline(), options);
  EXPECT_EQ(graph.nodes.size(), 2u);
  EXPECT_EQ(text(graph).substr(0, 6), "input ");
}

// The ops that the pass leaves, after the results were compared: within one step where the order of sums may decide.
std::string quantised(const std::string& text, bool expected = true) {
  Graph graph = parse_graph(text);
  const auto before = results(graph);
  EXPECT_EQ(fuse_quantized(graph), expected) << text;
  eliminate_dead(graph);
  verify(graph);
  const auto after = results(graph);
  EXPECT_EQ(before.size(), after.size());
  for (size_t i = 0; i < before.size(); ++i) EXPECT_NEAR(before[i], after[i], 1) << text;
  std::string ops;
  for (const Node& n : graph.nodes) ops += cat(name(n.op.id()), '/', n.inputs.size(), ' ');
  return ops;
}
const std::string quantised_x =
    "input x f32[1,2,5,5]\nconst sx f32[] {0.05}\nconst zx u8[] {100}\nq = QuantizeLinear to=u8 (x, sx, zx)\nd = DequantizeLinear to=f32 (q, sx, zx)\n";
const std::string quantised_w =
    "const w i8[2,2,1,1] {1,-2,3,100}\nconst sw f32[2] {0.02,0.01}\nconst zw i8[2] {0,0}\ne = DequantizeLinear to=f32 axis=0 (w, sw, zw)\n"
    "const b i32[2] {10,-400}\nconst sb f32[2] {0.001,0.0005}\nf = DequantizeLinear to=f32 axis=0 (b, sb)\n";
const std::string quantised_y = "const sy f32[] {0.03}\nconst zy u8[] {0}\n";

TEST(FuseQuantized, ConvolutionsAndProducts) {
  EXPECT_EQ(quantised(quantised_x + quantised_w + quantised_y + "c = Conv (d, e, f)\ny = QuantizeLinear to=u8 (c, sy, zy)\noutput y\n"), "QuantizeLinear/3 QuantizedConv/7 ");
  EXPECT_EQ(quantised(quantised_x + quantised_w + quantised_y + "c = Conv pad=1,1,1,1 (d, e)\ny = QuantizeLinear to=u8 (c, sy, zy)\noutput y\n"),
            "QuantizeLinear/3 QuantizedConv/7 ");
  // What cuts off no more than quantisation does vanishes.
  EXPECT_EQ(quantised(quantised_x + quantised_w + quantised_y + "c = Conv (d, e, f)\nr = Unary kind=relu (c)\ny = QuantizeLinear to=u8 (r, sy, zy)\noutput y\n"),
            "QuantizeLinear/3 QuantizedConv/7 ");
  EXPECT_EQ(quantised(quantised_x + quantised_w + quantised_y + "c = Conv (d, e, f)\nr = Unary kind=clip a=0 b=7.65 (c)\ny = QuantizeLinear to=u8 (r, sy, zy)\noutput y\n"),
            "QuantizeLinear/3 QuantizedConv/7 ");
  const std::string product = "input x f32[3,2]\nconst sx f32[] {0.05}\nq = QuantizeLinear to=i8 (x, sx)\nd = DequantizeLinear to=f32 (q, sx)\n"
                              "const w i8[2,2] {1,-2,3,100}\nconst sw f32[2] {0.02,0.01}\ne = DequantizeLinear to=f32 axis=1 (w, sw)\nm = MatMul (d, e)\nconst sy f32[] {0.03}\n";
  EXPECT_EQ(quantised(product + "y = QuantizeLinear to=i8 (m, sy)\noutput y\n"), "QuantizeLinear/2 QuantizedMatMul/6 ");
  EXPECT_EQ(quantised(product + "const b i32[2] {10,-400}\nconst sb f32[2] {0.001,0.0005}\nf = DequantizeLinear to=f32 axis=0 (b, sb)\n"
                                "s = Binary kind=add (m, f)\ny = QuantizeLinear to=i8 (s, sy)\noutput y\n"), "QuantizeLinear/2 QuantizedMatMul/6 ");
}

TEST(FuseQuantized, WhatItLeaves) {
  const std::string conv = quantised_x + quantised_w + quantised_y;
  const char* others[] = {
      "c = Conv (d, e)\ny = QuantizeLinear to=u8 (c, sy, zy)\noutput y\noutput c\n",                                       // the sums are wanted as they are
      "c = Conv (d, e)\nr = Unary kind=clip a=0 b=6 (c)\ny = QuantizeLinear to=u8 (r, sy, zy)\noutput y\n",                // cuts off more
      "c = Conv (d, e)\nr = Unary kind=sigmoid (c)\ny = QuantizeLinear to=u8 (r, sy, zy)\noutput y\n",
      "c = Conv (x, e)\ny = QuantizeLinear to=u8 (c, sy, zy)\noutput y\n",                                                 // x is no integer
      "const s f32[2] {0.001,0.0006}\ng = DequantizeLinear to=f32 axis=0 (b, s)\nc = Conv (d, e, g)\ny = QuantizeLinear to=u8 (c, sy, zy)\noutput y\n",  // another scale than the sums
      "const g f32[2] {1,2}\nc = Conv (d, e, g)\ny = QuantizeLinear to=u8 (c, sy, zy)\noutput y\n",
      "const z u16[] {0}\nc = Conv (d, e)\ny = QuantizeLinear to=u16 (c, sy, z)\noutput y\n"};
  for (const char* nodes : others) EXPECT_EQ(quantised(conv + nodes, false).find("Quantized"), std::string::npos) << nodes;
}

TEST(FuseQuantized, KeepsItsIntegersThroughThePipeline) {
  Graph graph = parse_graph(quantised_x + quantised_w + quantised_y + "c = Conv (d, e, f)\ny = QuantizeLinear to=u8 (c, sy, zy)\noutput y\n");
  PassOptions options;
  options.verify = true;
  run_passes(graph, pipeline(), options);
  ASSERT_EQ(graph.nodes.size(), 2u);
  const Node& node = graph.nodes[1];
  EXPECT_EQ(node.op.id(), OpId::QuantizedConv);
  EXPECT_EQ(node.origins, (Origins{"c (Conv)", "y (QuantizeLinear)"}));
  EXPECT_EQ(to_text(graph[node.inputs[4]].type), "i32[2]");
}

// What the nodes become, after the results were compared.
std::string fused(const std::string& nodes, bool expected = true, bool (*pass)(Graph&) = fuse_activations) {
  Graph graph = parse_graph("input x f32[3,7]\n" + nodes + "output y\n");
  const auto before = results(graph);
  EXPECT_EQ(pass(graph), expected) << nodes;
  eliminate_dead(graph);
  verify(graph);
  const auto after = results(graph);
  EXPECT_EQ(before.size(), after.size());
  for (size_t i = 0; i < before.size(); ++i) EXPECT_NEAR(before[i], after[i], 2e-6) << nodes;
  std::string ops;
  for (const Node& n : graph.nodes) ops += to_text(n.op) + ';';
  return ops;
}

TEST(FuseActivations, EveryFormOfEach) {
  const std::string silu = "s = Unary kind=sigmoid (x)\n";
  EXPECT_EQ(fused(silu + "y = Binary kind=mul (x, s)\n"), "Unary kind=silu a=1;");
  EXPECT_EQ(fused(silu + "y = Binary kind=mul (s, x)\n"), "Unary kind=silu a=1;");
  EXPECT_EQ(fused("const k f32[] {1.5}\nt = Binary kind=mul (x, k)\ns = Unary kind=sigmoid (t)\ny = Binary kind=mul (x, s)\n"),
            "Unary kind=silu a=1.5;");
  // x is itself a product
  EXPECT_EQ(fused("p = Binary kind=mul (x, x)\ns = Unary kind=sigmoid (p)\ny = Binary kind=mul (p, s)\n"), "Binary kind=mul;Unary kind=silu a=1;");

  const std::string six = "const three f32[] {3}\nconst six f32[1] {6}\nt = Binary kind=add (x, three)\nc = Unary kind=clip a=0 b=6 (t)\n";
  EXPECT_EQ(fused(six + "p = Binary kind=mul (x, c)\ny = Binary kind=div (p, six)\n"), "Unary kind=hard_swish;");
  EXPECT_EQ(fused(six + "p = Binary kind=div (c, six)\ny = Binary kind=mul (x, p)\n"), "Unary kind=hard_swish;");
  EXPECT_EQ(fused("s = Unary kind=hard_sigmoid a=0.16666666666666666 b=0.5 (x)\ny = Binary kind=mul (x, s)\n"), "Unary kind=hard_swish;");
  EXPECT_EQ(fused("s = Unary kind=softplus (x)\nt = Unary kind=tanh (s)\ny = Binary kind=mul (x, t)\n"), "Unary kind=mish;");

  const std::string erf = "const r f32[] {1.4142135}\nconst h f32[] {0.5}\nconst one f32[] {1}\nd = Binary kind=div (x, r)\n"
                          "e = Unary kind=erf (d)\ns = Binary kind=add (e, one)\n";
  EXPECT_EQ(fused(erf + "p = Binary kind=mul (x, s)\ny = Binary kind=mul (p, h)\n"), "Unary kind=gelu;");
  EXPECT_EQ(fused(erf + "p = Binary kind=mul (h, x)\ny = Binary kind=mul (p, s)\n"), "Unary kind=gelu;");
  EXPECT_EQ(fused(erf + "p = Binary kind=mul (h, s)\ny = Binary kind=mul (x, p)\n"), "Unary kind=gelu;");

  const std::string numbers = "const three f32[] {3}\nconst c f32[] {0.044715}\nconst o f32[] {0.7978845608}\nconst h f32[] {0.5}\nconst one f32[] {1}\n";
  const std::string rest = "t = Unary kind=tanh (m)\ns = Binary kind=add (t, one)\np = Binary kind=mul (x, s)\ny = Binary kind=mul (p, h)\n";
  EXPECT_EQ(fused(numbers + "q = Binary kind=pow (x, three)\nr = Binary kind=mul (q, c)\nu = Binary kind=add (x, r)\nm = Binary kind=mul (u, o)\n" + rest),
            "Unary kind=gelu_tanh;");
  EXPECT_EQ(fused(numbers + "q = Binary kind=mul (x, x)\nr = Binary kind=mul (q, c)\nu = Binary kind=add (r, one)\nw = Binary kind=mul (x, o)\n"
                            "m = Binary kind=mul (u, w)\n" + rest),
            "Unary kind=gelu_tanh;");
}

TEST(FuseActivations, NotWhatOnlyLooksLikeOne) {
  fused("const k f32[] {2}\ns = Unary kind=sigmoid (x)\np = Binary kind=mul (x, s)\ny = Binary kind=add (p, k)\n");  // a part of it is one
  const char* others[] = {
      "t = Unary kind=neg (x)\ns = Unary kind=sigmoid (t)\ny = Binary kind=mul (x, s)\n",
      "const k f32[7] {1,2,3,4,5,6,7}\nt = Binary kind=mul (x, k)\ns = Unary kind=sigmoid (t)\ny = Binary kind=mul (x, s)\n",
      "const t f32[] {2}\nconst six f32[] {6}\na = Binary kind=add (x, t)\nc = Unary kind=clip a=0 b=6 (a)\np = Binary kind=mul (x, c)\ny = Binary kind=div (p, six)\n",
      "s = Unary kind=hard_sigmoid a=0.2 b=0.5 (x)\ny = Binary kind=mul (x, s)\n",
      "const r f32[] {1.5}\nconst h f32[] {0.5}\nconst one f32[] {1}\nd = Binary kind=div (x, r)\ne = Unary kind=erf (d)\n"
      "s = Binary kind=add (e, one)\np = Binary kind=mul (x, s)\ny = Binary kind=mul (p, h)\n"};
  for (const char* nodes : others) EXPECT_EQ(fused(nodes, false).find("gelu"), std::string::npos);
  // a scale that broadcasts x to more dims
  Graph graph = parse_graph("input x f32[3]\nconst k f32[2,1] {1,1}\ns = Unary kind=sigmoid (x)\np = Binary kind=mul (x, s)\nq = Binary kind=mul (p, k)\noutput q\n");
  EXPECT_TRUE(fuse_activations(graph));
  verify(graph);
}

// x is -1 to 2 in steps of 0.3: ids from -1 on, and none for the fraction that a cast drops.
TEST(FuseOneHot, ProductsTakeRows) {
  const std::string start = "const axes i64[1] {-1}\nconst w f32[3,2] {1,2,3,4,5,6}\ni = Cast to=i32 (x)\nu = Unsqueeze (i, axes)\n";
  const auto one_hot = [&](const std::string& nodes, bool expected) { return fused(start + nodes + "c = Cast to=f32 (e)\ny = MatMul (c, w)\n", expected, fuse_one_hot); };
  const std::string gather = "Cast to=i32;Unsqueeze;Binary kind=max;Binary kind=min;Binary;Squeeze;Gather;";
  EXPECT_EQ(one_hot("const r i32[3] {0,1,2}\ne = Binary kind=equal (u, r)\n", true), gather);
  EXPECT_EQ(one_hot("const r i32[1,1,3] {0,1,2}\ne = Binary kind=equal (r, u)\n", true), gather);
  for (const char* other : {"const r i32[3] {0,1,3}\ne = Binary kind=equal (u, r)\n",                       // not 0, 1, 2
                            "const r i32[3] {0,1,2}\ne = Binary kind=less (u, r)\n",
                            "const r i32[7,3] {0,1,2,0,1,2,0,1,2,0,1,2,0,1,2,0,1,2,0,1,2}\ne = Binary kind=equal (u, r)\n"})
    EXPECT_EQ(one_hot(other, false).find("Gather"), std::string::npos);
}

TEST(FuseNorms, EveryForm) {
  const std::string constants =
      "const axes i64[1] {-1}\nconst two f32[] {2}\nconst one f32[] {1}\nconst e f32[] {0.001}\nconst g f32[7] {1,2,3,4,5,6,7}\nconst b f32[1,7] {7,6,5,4,3,2,1}\n";
  const std::string mean = constants + "m = Reduce kind=mean (x, axes)\nd = Binary kind=sub (x, m)\n";
  const std::string variance = "v = Reduce kind=mean (s, axes)\nw = Binary kind=add (v, e)\nr = Unary kind=sqrt (w)\n";
  const std::string power = mean + "s = Binary kind=pow (d, two)\n" + variance, product = mean + "s = Binary kind=mul (d, d)\n" + variance;
  const auto norm = [](const std::string& nodes) { return fused(nodes, true, fuse_norms); };
  const std::string layer = "LayerNorm epsilon=0.0010000000474974513;", rms = "LayerNorm epsilon=0.0010000000474974513 rms=1;";
  const std::string affine = "p = Binary kind=mul (n, g)\ny = Binary kind=add (p, b)\n";
  EXPECT_EQ(norm(power + "n = Binary kind=div (d, r)\n" + affine), layer);
  EXPECT_EQ(norm(product + "n = Binary kind=div (d, r)\n" + affine), layer);
  EXPECT_EQ(norm(mean + "f = Binary kind=sub (m, x)\ns = Binary kind=mul (f, f)\n" + variance + "n = Binary kind=div (d, r)\n" + affine), layer);
  EXPECT_EQ(norm(power + "i = Unary kind=reciprocal (r)\nn = Binary kind=mul (i, d)\n" + affine), layer);
  EXPECT_EQ(norm(power + "i = Binary kind=div (one, r)\nd2 = Binary kind=sub (x, m)\nn = Binary kind=mul (d2, i)\np = Binary kind=mul (g, n)\ny = Binary kind=add (b, p)\n"), layer);
  EXPECT_EQ(norm(power + "y = Binary kind=div (d, r)\n"), layer);                                     // no scale
  EXPECT_EQ(norm(power + "n = Binary kind=div (d, r)\ny = Binary kind=mul (n, g)\n"), layer);        // no bias
  EXPECT_EQ(norm(power + "n = Binary kind=div (d, r)\ny = Binary kind=mul (n, two)\n"), layer + "Binary kind=mul;");
  EXPECT_EQ(norm(product + "i = Unary kind=reciprocal (r)\nk = Binary kind=mul (i, g)\np = Binary kind=mul (x, k)\nq = Binary kind=mul (m, k)\n"
                           "o = Binary kind=sub (b, q)\ny = Binary kind=add (p, o)\n"), layer);      // TensorFlow's
  EXPECT_EQ(norm(product + "i = Unary kind=reciprocal (r)\nk = Binary kind=mul (g, i)\np = Binary kind=mul (k, x)\nq = Binary kind=mul (k, m)\n"
                           "o = Binary kind=sub (b, q)\ny = Binary kind=add (o, p)\n"), layer);
  const std::string square = constants + "s = Binary kind=pow (x, two)\n" + variance;
  EXPECT_EQ(norm(square + "n = Binary kind=div (x, r)\ny = Binary kind=mul (g, n)\n"), rms);
  EXPECT_EQ(norm(square + "i = Unary kind=reciprocal (r)\nn = Binary kind=mul (x, i)\n" + affine), rms + "Binary;");
  // The result without its scale is wanted elsewhere, too.
  EXPECT_EQ(norm(power + "n = Binary kind=div (d, r)\np = Binary kind=mul (n, g)\ny = Binary kind=add (p, n)\n"), layer + "Binary kind=mul;Binary;");
}

TEST(FuseNorms, NotWhatOnlyLooksLikeOne) {
  const std::string start = "const axes i64[1] {-1}\nconst first i64[1] {0}\nconst two f32[] {2}\nconst four f32[] {4}\nconst e f32[] {0.001}\nm = Reduce kind=mean (x, axes)\nd = Binary kind=sub (x, m)\n";
  const char* others[] = {
      "s = Binary kind=pow (d, four)\nv = Reduce kind=mean (s, axes)\nw = Binary kind=add (v, e)\nr = Unary kind=sqrt (w)\ny = Binary kind=div (d, r)\n",
      "s = Binary kind=pow (d, two)\nv = Reduce kind=sum (s, axes)\nw = Binary kind=add (v, e)\nr = Unary kind=sqrt (w)\ny = Binary kind=div (d, r)\n",
      "s = Binary kind=pow (d, two)\nv = Reduce kind=mean (s, first)\nw = Binary kind=add (v, e)\nr = Unary kind=sqrt (w)\ny = Binary kind=div (d, r)\n",
      "s = Binary kind=pow (d, two)\nv = Reduce kind=mean (s, axes)\nw = Binary kind=add (v, e)\nr = Unary kind=sqrt (w)\ny = Binary kind=div (x, r)\n",
      "s = Binary kind=pow (d, two)\nv = Reduce kind=mean (s, axes)\nw = Binary kind=add (v, m)\nr = Unary kind=sqrt (w)\ny = Binary kind=div (d, r)\n"};
  for (const char* nodes : others) EXPECT_EQ(fused(start + nodes, false, fuse_norms).find("LayerNorm"), std::string::npos);
}
}  // namespace
}  // namespace converter::test
