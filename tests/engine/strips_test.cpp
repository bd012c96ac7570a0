// Convolutions with large tensors between them run as one step, with the same results.
#include "engine/passes/target.h"
#include "tests/engine/compiled.h"

namespace engine {
namespace {
using namespace test;

int strips(const Graph& graph) {
  PlanCache plans(graph, {});
  Types types;
  for (ValueId v : graph.inputs) types.push_back(graph[v].type);
  int n = 0;
  for (const Step& step : plans.get(types)->steps) n += step.kernel == "conv_strips";
  return n;
}

// x + project(depthwise(expand(x)))
ValueId block(Built& b, ValueId x, int64_t channels, int64_t wide, int64_t out, int64_t kernel = 3) {
  const ValueId expanded = unary(b.r, UnaryKind::relu, b.conv(x, channels, wide, 1));
  const ValueId filtered = unary(b.r, UnaryKind::silu, b.conv(expanded, wide, wide, kernel, wide));
  const ValueId y = b.conv(filtered, wide, out, 1);
  return channels == out ? binary(b.r, BinaryKind::add, y, x) : y;
}

TEST(FuseStrips, Blocks) {
  Built b;
  ValueId y = block(b, b.input({2, 16, 37, 41}), 16, 96, 24);
  y = block(b, y, 24, 100, 24, 5);
  b.output(y);
  steps_of(b.graph);
  EXPECT_EQ(strips(b.graph), 2);
}

TEST(FuseStrips, FromAnImageToAPart) {
  Built b;
  const ValueId x = b.input({1, 3, 130, 130});
  const ValueId y = b.r.add(schema::Conv{{2, 2}, {1, 1}, {1, 1, 1, 1}, 1, schema::AutoPad::none}, {x, b.constant({48, 3, 3, 3})}, {"stem"})[0];
  const ValueId z = block(b, y, 48, 48, 16);
  b.output(b.r.add(schema::Concat{1}, {z, block(b, z, 16, 64, 8)}, {"join"})[0]);  // a pixel pitch
  steps_of(b.graph);
  EXPECT_EQ(strips(b.graph), 2);
}

// A kernel that gathers pixels takes no single rows.
TEST(FuseStrips, NotAStridedPixelwiseConvolution) {
  Built b;
  const ValueId x = b.conv(b.input({1, 16, 90, 90}), 16, 64, 1);
  b.output(b.r.add(schema::Conv{{2, 2}, {1, 1}, {0, 0, 0, 0}, 1, schema::AutoPad::none}, {x, b.constant({32, 64, 1, 1})}, {"strided"})[0]);
  steps_of(b.graph);
  PlanCache plans(b.graph, {});
  for (const Step& step : plans.get(Types{b.graph[b.graph.inputs[0]].type})->steps) EXPECT_NE(step.kernel, "reference");
  EXPECT_EQ(strips(b.graph), 0);
}

TEST(FuseStrips, NotWhatIsWantedElsewhereOrSmall) {
  {
    Built b;
    const ValueId wide = b.conv(b.input({1, 16, 40, 40}), 16, 128, 1);
    b.output(b.conv(wide, 128, 128, 3, 128)), b.output(wide);
    EXPECT_EQ(strips(b.graph), 0);
  }
  {
    Built b;
    b.output(block(b, b.input({1, 16, 14, 14}), 16, 96, 16));
    EXPECT_EQ(strips(b.graph), 0);
  }
  {
    Built b;  // the second one is Winograd's
    b.output(b.conv(b.conv(b.input({1, 16, 60, 60}), 16, 64, 1), 64, 64, 3));
    EXPECT_EQ(strips(b.graph), 0);
  }
}

TEST(FuseStrips, SpeaksForAllItHas) {
  Built b;
  b.output(block(b, b.input({1, 16, 40, 40}), 16, 96, 16));
  PlanCache plans(b.graph, {});
  const auto plan = plans.get(Types{b.graph[b.graph.inputs[0]].type});
  ASSERT_EQ(plan->steps.size(), 3u);  // a transpose on both sides
  const Step& step = plan->steps[1];
  EXPECT_EQ(step.origins.size(), 6u);
  EXPECT_GE(step.cost.flops, 2.0 * 40 * 40 * (16 * 96 + 9 * 96 + 96 * 16));
}
}  // namespace
}  // namespace engine
