// Regions of channels-last nodes, compared with references.
#include "tests/engine/compiled.h"

namespace engine {
namespace {
using namespace test;

TEST(ChannelsLast, InstanceNorm) {
  for (const int64_t batch : {1, 3}) {
    Built b;
    const ValueId x = b.conv(b.input({batch, 5, 9, 13}), 5, 24, 3);
    const ValueId y = b.r.add(schema::GroupNorm{0, 1e-3}, {x, b.constant({24}), b.constant({24})}, {"norm"})[0];
    b.output(b.conv(unary(b.r, UnaryKind::relu, y), 24, 8, 3));
    const auto steps = steps_of(b.graph);
    EXPECT_EQ(count(steps, "GroupNorm"), 0) << testing::PrintToString(steps);
    EXPECT_EQ(count(steps, "Transpose"), 2) << testing::PrintToString(steps);  // in, out
    EXPECT_EQ(count(steps, "Reduce"), 2) << testing::PrintToString(steps);
  }
}

// Where the mean is far from zero, a difference of squares would leave nothing of the variance.
TEST(ChannelsLast, InstanceNormFarFromZero) {
  Built b;
  const ValueId x = b.conv(b.input({1, 4, 16, 16}), 4, 16, 1);
  const ValueId far = binary(b.r, BinaryKind::add, x, b.graph.add_constant(make_scalar(DType::f32, 1000)));
  b.output(b.r.add(schema::GroupNorm{16, 1e-5}, {far, b.constant({16}, 0.01), b.constant({16}, 0.01)}, {"norm"})[0]);
  EXPECT_EQ(count(steps_of(b.graph), "GroupNorm"), 0);
}

TEST(ChannelsLast, GroupsOfChannelsStayAsTheyAre) {
  Built b;
  const ValueId x = b.conv(b.input({2, 4, 7, 7}), 4, 12, 1);
  b.output(b.r.add(schema::GroupNorm{3, 1e-5}, {x, b.constant({12}), b.constant({12})}, {"norm"})[0]);
  EXPECT_EQ(count(steps_of(b.graph), "GroupNorm"), 1);
}

// Packed weights are shared by content: what they also depend on tells them apart.
TEST(ChannelsLast, TransposedConvolutionsOfTheSameWeights) {
  Built b;
  const ValueId w = b.constant({8, 20, 3, 3});
  for (const int64_t width : {5, 40})
    for (const schema::Ints& stride : {schema::Ints{2, 2}, {2, 3}, {3, 2}})
      for (const schema::Ints& pad : {schema::Ints{}, {1, 0, 0, 1}, {0, 1, 1, 0}})
        b.output(b.r.add(schema::ConvTranspose{stride, {}, pad, {}, {}, 1, schema::AutoPad::none}, {b.input({1, 8, 4, width}), w}, {"up"})[0]);
  EXPECT_EQ(count(steps_of(b.graph), "ConvTransposeLast"), 18);
}
}  // namespace
}  // namespace engine
