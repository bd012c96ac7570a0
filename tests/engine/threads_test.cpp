// Which plans run on one thread, however many there are.
#include "tests/engine/compiled.h"

namespace engine {
namespace {
using namespace test;

// `layers` times a depthwise and a 1×1 convolution on an image of one extent.
Plan plan_of(int64_t extent, int64_t channels, int64_t kernel, int layers, bool all_threads = false) {
  Built b;
  ValueId y = b.input({1, channels, extent, extent});
  for (int i = 0; i < layers; ++i) y = b.conv(b.conv(y, channels, channels, kernel, channels), channels, channels, 1);
  b.output(y);
  CompileOptions options;
  options.all_threads = all_threads;
  return compile(b.graph, {b.graph[b.graph.inputs[0]].type}, options);
}
bool one_thread(const Plan& plan) {
  return std::ranges::all_of(plan.steps, [](const Step& step) { return step.threads == 1; });
}

TEST(Threads, OneWhereStepsAreSmall) {
  EXPECT_TRUE(one_thread(plan_of(4, 16, 3, 5)));
  EXPECT_FALSE(one_thread(plan_of(4, 16, 3, 5, true)));
  EXPECT_FALSE(one_thread(plan_of(56, 64, 3, 5)));
}

// As much to compute, but half of each image is wanted by both halves of the next.
TEST(Threads, OneWhereRowsAreWantedTwice) {
  EXPECT_TRUE(one_thread(plan_of(8, 64, 7, 5)));
  const Plan plan = plan_of(8, 64, 7, 1, true);
  const auto step = std::ranges::find_if(plan.steps, [](const Step& s) { return s.cost.border > 0; });
  ASSERT_NE(step, plan.steps.end());
  EXPECT_EQ(step->cost.border, 6 * 8 * 64 * 4);
}
}  // namespace
}  // namespace engine
