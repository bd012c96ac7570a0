// Parts of a concat are written where they belong, slices are read where they are, with the same results.
#include "engine/aliasing.h"
#include "tests/engine/compiled.h"

namespace engine {
namespace {
using namespace test;

struct Regions : Built {
  ValueId concat(ValueIds parts, int64_t axis = 1) { return r.add(schema::Concat{axis}, std::move(parts), {"concat"})[0]; }
  ValueId slice(ValueId x, int64_t first, int64_t past, int64_t axis = 1) {
    return r.add(schema::Slice{}, {x, graph.add_constant(make_ints({first})), graph.add_constant(make_ints({past})), graph.add_constant(make_ints({axis}))},
                 {"slice"})[0];
  }
  ValueId pool(ValueId x) {
    return r.add(schema::Pool{.kernel = {3, 3}, .stride = {1, 1}, .dilation = {1, 1}, .pad = {1, 1, 1, 1}}, {x}, {"pool"})[0];
  }
  ValueIds split(ValueId x, size_t parts) { return r.add(schema::Split{1, 0}, {x}, {"split"}, parts); }
  ValueId relu(ValueId x) { return unary(r, UnaryKind::relu, x); }
};

TEST(Aliasing, ConvolutionsWriteIntoTheirConcat) {
  Regions b;
  const ValueId x = b.conv(b.input({2, 3, 9, 10}), 3, 16, 3);
  const ValueId y = b.concat({b.relu(b.conv(x, 16, 20, 1)), b.conv(x, 16, 33, 3), b.conv(x, 16, 16, 3, 16)});
  b.output(b.conv(y, 69, 8, 1));
  EXPECT_EQ(count(steps_of(b.graph), "Concat"), 0);
}

TEST(Aliasing, APartIsReadElsewhereToo) {
  Regions b;
  const ValueId x = b.conv(b.input({1, 3, 9, 10}), 3, 16, 3), p = b.conv(x, 16, 16, 1);
  const ValueId y = b.concat({p, b.conv(p, 16, 24, 3)});
  b.output(b.conv(binary(b.r, BinaryKind::add, b.conv(p, 16, 16, 3), p), 16, 5, 1));  // a residual with a pitch
  b.output(b.conv(y, 40, 8, 3));
  EXPECT_EQ(count(steps_of(b.graph), "Concat"), 0);
}

TEST(Aliasing, ConcatsThatGrow) {
  for (const bool nested : {false, true}) {
    Regions b;
    ValueIds parts{b.pool(b.conv(b.input({2, 3, 7, 7}), 3, 16, 3))};
    ValueId all = parts[0];
    int64_t channels = 16;
    for (int k = 0; k < 4; ++k, channels += 8) {
      const ValueId scaled = b.relu(binary(b.r, BinaryKind::mul, all, b.constant({channels, 1, 1})));
      parts.push_back(b.conv(scaled, channels, 8, 3));
      all = nested ? b.concat({all, parts.back()}) : b.concat(parts);
    }
    b.output(b.conv(all, channels, 4, 1));
    const auto steps = steps_of(b.graph);
    EXPECT_EQ(count(steps, "Concat"), 0) << nested << testing::PrintToString(steps);
  }
}

TEST(Aliasing, SlicesAndSplits) {
  Regions b;
  const ValueId x = b.relu(b.conv(b.input({2, 3, 8, 8}), 3, 48, 3));
  const ValueIds parts = b.split(x, 3);
  b.output(b.conv(binary(b.r, BinaryKind::add, b.conv(parts[0], 16, 16, 3), parts[2]), 16, 4, 1));
  b.output(b.conv(b.relu(parts[1]), 16, 4, 1));
  b.output(b.conv(b.slice(x, -20, -4), 16, 4, 1));
  const auto steps = steps_of(b.graph);
  EXPECT_EQ(count(steps, "Slice") + count(steps, "Split"), 0) << testing::PrintToString(steps);
}

TEST(Aliasing, ShuffledHalves) {
  Regions b;
  ValueId x = b.conv(b.input({2, 3, 8, 6}), 3, 32, 3);
  const ValueIds halves = b.split(x, 2);
  const ValueId y = b.concat({halves[0], b.conv(b.conv(halves[1], 16, 16, 3, 16), 16, 16, 1)});
  const auto reshape = [&](ValueId v, std::initializer_list<int64_t> shape) {
    return b.r.add(schema::Reshape{}, {v, b.graph.add_constant(make_ints(shape))}, {"reshape"})[0];
  };
  const ValueId shuffled = reshape(b.r.add(schema::Transpose{{0, 2, 1, 3, 4}}, {reshape(y, {2, 2, 16, 8, 6})}, {"shuffle"})[0], {2, 32, 8, 6});
  b.output(b.conv(shuffled, 32, 8, 3));
  const auto steps = steps_of(b.graph);
  EXPECT_EQ(count(steps, "Split"), 0) << testing::PrintToString(steps);
  EXPECT_EQ(count(steps, "Transpose"), 2) << "the shuffle, and the output's: " << testing::PrintToString(steps);
}

TEST(Aliasing, OneRowNeedsNoPitch) {
  Regions b;
  const ValueId x = b.input({1, 6, 5}), y = b.mat_mul(x, 5, 8);
  b.output(b.r.add(schema::Softmax{.axis = 2}, {b.concat({b.r.add(schema::Softmax{.axis = 2}, {y}, {"softmax"})[0], unary(b.r, UnaryKind::tanh, y)})}, {"softmax"})[0]);
  EXPECT_EQ(count(steps_of(b.graph), "Concat"), 0);
}

TEST(Aliasing, WhatIsWantedElsewhereIsCopied) {
  {
    Regions b;  // the part is an output
    const ValueId x = b.conv(b.input({2, 3, 9, 10}), 3, 16, 3);
    b.output(b.r.add(schema::Transpose{{0, 3, 2, 1}}, {x}, {"t"})[0]), b.output(b.conv(b.concat({x, b.relu(x)}), 32, 4, 1));
    EXPECT_EQ(count(steps_of(b.graph), "Concat"), 1);
  }
  {
    Regions b;  // the same part twice
    const ValueId x = b.conv(b.input({2, 3, 9, 10}), 3, 16, 3);
    b.output(b.conv(b.concat({x, x}), 32, 4, 1));
    EXPECT_EQ(count(steps_of(b.graph), "Concat"), 1);
  }
  {
    Regions b;  // two concats want it
    const ValueId x = b.conv(b.input({2, 3, 9, 10}), 3, 16, 3), p = b.conv(x, 16, 8, 1), q = b.conv(x, 16, 8, 3);
    b.output(b.conv(b.concat({p, q}), 16, 4, 1)), b.output(b.conv(b.concat({q, p}), 16, 4, 1));
    EXPECT_EQ(count(steps_of(b.graph), "Concat"), 1);
  }
  {
    Regions b;  // a graph input is where the caller put it
    const ValueId x = b.input({1, 4, 6}), y = b.input({1, 4, 6});
    b.output(b.concat({x, y})), b.output(b.slice(x, 0, 2));
    const auto steps = steps_of(b.graph);
    EXPECT_EQ(count(steps, "Concat") + count(steps, "Slice"), 2);
  }
}

// Outputs that are parts, or other shapes of parts, go where the caller wants them.
TEST(Aliasing, OutputsIntoTheCallersMemory) {
  Regions b;
  const ValueId x = b.mat_mul(b.input({1, 6, 5}), 5, 8), y = unary(b.r, UnaryKind::tanh, x);
  const ValueId all = b.concat({x, y}), part = b.slice(all, 3, 9);
  b.output(all);
  b.output(b.r.add(schema::Reshape{}, {part, b.graph.add_constant(make_ints({48}))}, {"reshape"})[0]);
  b.output(y);
  steps_of(b.graph);
  Session session(model_of(b.graph), {.threads = 1, .own_states = false});
  const ConstantPtr in = random_constant({1, 6, 5}, 5);
  session.set_input(0, in->view());
  session.run();
  const auto want = numbers(session.output(0)), want_part = numbers(session.output(1));
  std::vector<float> out(96), flat(48);
  session.set_output(0, {DType::f32, Shape{1, 12, 8}, reinterpret_cast<std::byte*>(out.data()), nullptr});
  session.set_output(1, {DType::f32, Shape{48}, reinterpret_cast<std::byte*>(flat.data()), nullptr});
  session.run();
  for (size_t i = 0; i < out.size(); ++i) EXPECT_EQ(out[i], float(want[i]));
  for (size_t i = 0; i < flat.size(); ++i) EXPECT_EQ(flat[i], float(want_part[i]));
}

TEST(Aliasing, RandomRegions) {
  for (unsigned seed = 0; seed < 40; ++seed) {
    SCOPED_TRACE(cat("seed ", seed));
    std::mt19937 random(seed);
    const auto pick = [&](size_t n) { return size_t(random() % n); };
    Regions b;
    const int64_t batch = 1 + int64_t(pick(2));
    std::vector<ValueId> values{b.conv(b.input({batch, 3, 5, 6}), 3, 8, 3)};
    const auto channels = [&](ValueId v) { return b.graph[v].type.dims[1].value(); };
    for (int k = 0; k < 14; ++k) {
      const ValueId x = values[pick(values.size())], y = values[pick(values.size())], z = values[pick(values.size())];
      const int64_t c = channels(x), half = c / 2;
      switch (pick(8)) {
        case 0: values.push_back(b.conv(x, c, 4 + int64_t(pick(14)), 1 + 2 * int64_t(pick(2)))); break;
        case 1: values.push_back(unary(b.r, pick(2) ? UnaryKind::sigmoid : UnaryKind::relu, x)); break;
        case 2: if (c + channels(y) < 64) values.push_back(b.concat({x, y})); break;
        case 3: if (c + channels(y) + channels(z) < 64) values.push_back(b.concat({x, y, z})); break;
        case 4: if (half) values.push_back(b.slice(x, int64_t(pick(size_t(half))), half + int64_t(pick(size_t(half))))); break;
        case 5: if (c % 2 == 0) for (ValueId v : b.split(x, 2)) values.push_back(v); break;
        case 7: values.push_back(b.pool(x)); break;
        case 6: if (c == channels(y)) values.push_back(binary(b.r, BinaryKind::add, x, y)); break;
      }
    }
    for (int k = 0; k < 3; ++k) b.output(values[values.size() - 1 - pick(std::min<size_t>(values.size(), 6))]);
    b.r.commit();
    steps_of(b.graph);
    if (HasFailure()) return;
  }
}
}  // namespace
}  // namespace engine
