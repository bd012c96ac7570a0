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
}  // namespace
}  // namespace converter::test
