// Regions of channels-last nodes, compared with references.
#include "tests/engine/compiled.h"

namespace engine {
namespace {
using namespace test;
using schema::ReduceKind;

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

TEST(ChannelsLast, TransposedConvolutionsInGroups) {
  using schema::AutoPad, schema::ConvTranspose;
  Built b;
  int64_t nodes = 0;
  for (const int64_t groups : {2, 4, 8})
    for (const auto& [h, w] : {std::pair<int64_t, int64_t>{1, 1}, {2, 2}, {1, 5}, {3, 3}, {4, 4}})
      for (const ConvTranspose& op : {ConvTranspose{{2, 2}, {}, {}, {}, {}, groups, AutoPad::none},
                                      {{1, 2}, {1, 2}, {}, {}, {}, groups, AutoPad::none},
                                      {{3, 2}, {2, 1}, {}, {1, 0}, {}, groups, AutoPad::none},
                                      {{2, 4}, {}, {}, {}, {9, 21}, groups, AutoPad::none},
                                      {{2, 2}, {}, {}, {}, {}, groups, AutoPad::same_upper}})
        b.output(b.r.add(op, {b.input({2, 8, 5, 6}), b.constant({8, 16 / groups, h, w}), b.constant({16})}, {"up"})[0]),
            ++nodes;
  const auto steps = steps_of(b.graph);
  EXPECT_EQ(count(steps, "ConvTranspose") + count(steps, "ConvTransposeLast"), 0);
  EXPECT_EQ(count(steps, "ConvLast"), nodes);
}
// More zeros than products: the reference is faster.
TEST(ChannelsLast, TransposedConvolutionsInGroupsFarApart) {
  Built b;
  b.output(b.r.add(schema::ConvTranspose{{4, 4}, {}, {}, {}, {}, 8, schema::AutoPad::none},
                   {b.input({1, 8, 5, 6}), b.constant({8, 1, 8, 8})}, {"up"})[0]);
  EXPECT_EQ(count(steps_of(b.graph), "ConvTranspose"), 1);
}

struct Lines : Built {
  ValueId line_conv(ValueId x, int64_t channels, int64_t out, int64_t kernel, int64_t stride = 1, int64_t groups = 1) {
    return r.add(schema::Conv{{stride}, {1}, {kernel / 2, kernel / 2}, groups, schema::AutoPad::none},
                 {x, constant({out, channels / groups, kernel}, 2 / std::sqrt(double(channels / groups * kernel))), constant({out})}, {"conv"})[0];
  }
  ValueId ints(schema::Ints values) { return graph.add_constant(make_ints(values)); }
  template <class Op> ValueId add(Op op, ValueIds in) { return r.add(std::move(op), std::move(in), {"node"})[0]; }
};

// Residual blocks: what lies between convolutions is part of them, and only the ends are transposed.
TEST(ChannelsLast, LinesStayInOneForm) {
  for (const int64_t batch : {1, 2}) {
    Lines b;
    ValueId x = b.line_conv(b.input({batch, 5, 37}), 5, 24, 3);
    for (int block = 0; block < 2; ++block)
      x = unary(b.r, UnaryKind::relu, binary(b.r, BinaryKind::add, x, b.line_conv(unary(b.r, UnaryKind::tanh, b.line_conv(x, 24, 24, 5)), 24, 24, 1)));
    b.output(x);
    const auto steps = steps_of(b.graph);
    EXPECT_EQ(count(steps, "Transpose"), 2) << testing::PrintToString(steps);
    EXPECT_EQ(count(steps, "Unary") + count(steps, "Binary"), 0) << testing::PrintToString(steps);
  }
}

TEST(ChannelsLast, LinesSinkThroughWhatFollows) {
  Lines b;
  const ValueId x = b.line_conv(b.input({2, 6, 40}), 6, 32, 3, 2);  // [2,32,20]
  const auto last = [&](ValueId v, int64_t channels) { b.output(b.line_conv(v, channels, 8, 3)); };
  last(binary(b.r, BinaryKind::mul, x, b.constant({32, 1})), 32);
  last(binary(b.r, BinaryKind::add, b.constant({20}), x), 32);
  last(b.add(schema::Concat{-2}, {x, x, b.input({2, 5, 20})}), 69);
  last(b.add(schema::Concat{2}, {x, x}), 32);
  last(b.add(schema::Pad{}, {x, b.ints({0, 1, 2, 0, 0, 3})}), 33);
  last(b.add(schema::Slice{}, {x, b.ints({3, 4}), b.ints({19, 28}), b.ints({-1, 1})}), 24);
  last(b.add(schema::GroupNorm{0, 1e-3}, {x, b.constant({32}), b.constant({32})}), 32);
  schema::Pool pool;
  pool.kernel = {3}, pool.stride = {2}, pool.pad = {1, 0};
  last(b.add(pool, {x}), 32);
  const ValueId gate = b.add(schema::Reduce{ReduceKind::mean}, {x, b.ints({2})});
  last(binary(b.r, BinaryKind::mul, x, unary(b.r, UnaryKind::sigmoid, b.line_conv(gate, 32, 32, 1))), 32);
  b.output(b.add(schema::Reduce{ReduceKind::max, false}, {x, b.ints({-1})}));
  const auto halves = b.r.add(schema::Split{1, 2}, {x}, {"split"}, 2);
  last(halves[0], 16), last(halves[1], 16);
  b.output(b.add(schema::ConvTranspose{{3}, {}, {1, 2}, {1}, {}, 1, schema::AutoPad::none}, {x, b.constant({32, 8, 4}, 0.2)}));
  last(b.line_conv(x, 32, 32, 7, 1, 32), 32);
  const auto steps = steps_of(b.graph);
  EXPECT_EQ(count(steps, "Transpose"), 15) << testing::PrintToString(steps);  // two inputs, every output of three dims
  EXPECT_EQ(count(steps, "Conv") + count(steps, "ConvTranspose") + count(steps, "Pool") + count(steps, "GroupNorm"), 0) << testing::PrintToString(steps);
}
}  // namespace
}  // namespace engine
