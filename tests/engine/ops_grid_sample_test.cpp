#include <cmath>
#include "tests/engine/op_case.h"

#pragma GCC diagnostic ignored "-Wmissing-field-initializers"  // an op's other fields keep their defaults

namespace engine {
namespace {
using namespace test;
using schema::GridPadding, schema::GridSample, schema::ResizeMode;
using Numbers = std::vector<double>;

// One image of one channel and one dim, at these places.
ConstantPtr row(const Numbers& values) { return f32({1, 1, int64_t(values.size())}, values); }
ConstantPtr at(const Numbers& places, DType dtype = DType::f32) {
  return tensor(dtype, {1, int64_t(places.size()), 1}, places);
}

TEST(GridSampleOp, PlacesWithAndWithoutAlignedCorners) {
  const auto x = row({10, 20, 30, 40});
  EXPECT_EQ(numbers(GridSample{.align_corners = true}, {x, at({-1, 1, 0, 0.5, -0.5})}),
            (Numbers{10, 40, 25, 32.5, 17.5}));
  EXPECT_EQ(numbers(GridSample{}, {x, at({-0.75, 0.75, 0, 0.5})}), (Numbers{10, 40, 25, 35}));
}

TEST(GridSampleOp, Padding) {
  const auto x = row({10, 20, 30, 40}), places = at({-1, 1.25, -1.5, -5, nan, inf, -inf});
  EXPECT_EQ(numbers(GridSample{}, {x, places}), (Numbers{5, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(numbers(GridSample{.padding = GridPadding::border}, {x, places}), (Numbers{10, 40, 10, 10, 10, 40, 10}));
  // Mirrored at -0.5 and 3.5, or at 0 and 3.
  EXPECT_EQ(numbers(GridSample{.padding = GridPadding::reflection}, {x, at({-1, 1.25, -1.5, -5, 5.5})}),
            (Numbers{10, 40, 15, 10, 35}));
  EXPECT_EQ(numbers(GridSample{.padding = GridPadding::reflection, .align_corners = true}, {x, at({-2, 2, 4, -5})}),
            (Numbers{25, 25, 25, 10}));
  for (bool align : {false, true}) {  // one element has nothing to mirror at
    const GridSample op{.padding = GridPadding::reflection, .align_corners = align};
    EXPECT_EQ(numbers(op, {row({7}), at({-3, 0, 2.5})}), (Numbers{7, 7, 7}));
    EXPECT_EQ(run1(op, {row({7}), at({nan, inf})}).shape, (Shape{1, 1, 2}));
  }
}

TEST(GridSampleOp, NearestRoundsTiesToEven) {
  const auto x = row({0, 1, 2, 3, 4});
  const GridSample aligned{.mode = ResizeMode::nearest, .align_corners = true};
  EXPECT_EQ(numbers(aligned, {x, at({-0.75, -0.25, 0.25, 0.75, 1.5})}), (Numbers{0, 2, 2, 4, 0}));
  // -1.5 and 6.5, as f32 counts them: -2 and 6, and then they are mirrored.
  EXPECT_EQ(numbers(GridSample{.mode = ResizeMode::nearest, .padding = GridPadding::reflection}, {x, at({-1.4, 1.8})}),
            (Numbers{1, 3}));
}

TEST(GridSampleOp, Cubic) {
  const auto x = row({0, 1, 4, 9, 16});
  const GridSample op{.mode = ResizeMode::cubic, .align_corners = true};
  EXPECT_EQ(numbers(op, {x, at({-1, 0.5, -0.25})}), (Numbers{0, 9, 2.125}));
  EXPECT_EQ(numbers(op, {x, at({-0.75})}), (Numbers{0.59375 - 4 * 0.09375}));  // what lies in front is 0
  const GridSample mirrored{.mode = ResizeMode::cubic, .padding = GridPadding::reflection, .align_corners = true};
  EXPECT_EQ(numbers(mirrored, {x, at({-0.75})}), (Numbers{0.59375 - 5 * 0.09375}));
}

TEST(GridSampleOp, TheLastDimComesFirst) {
  const GridSample op{.align_corners = true};
  EXPECT_EQ(numbers(op, {f32_iota({1, 1, 2, 3}), f32({1, 1, 3, 2}, {1, -1, -1, 1, 0, 0})}), (Numbers{2, 3, 2.5}));
  const auto grid = f32({1, 1, 2, 2, 3}, {1, -1, -1, -1, 1, -1, -1, -1, 1, 0, 0, 0});
  for (ResizeMode mode : {ResizeMode::linear, ResizeMode::nearest, ResizeMode::cubic}) {
    const auto y = run1(GridSample{.mode = mode, .align_corners = true}, {f32_iota({1, 1, 2, 3, 5}), grid});
    EXPECT_EQ(y.shape, (Shape{1, 1, 1, 2, 2}));
    const Numbers corners = values(y);
    EXPECT_EQ(Numbers(corners.begin(), corners.begin() + 3), (Numbers{4, 10, 15}));
  }
  EXPECT_EQ(numbers(op, {f32_iota({1, 1, 2, 3, 5}), grid})[3], 14.5);
}

TEST(GridSampleOp, BatchesAndChannels) {
  const auto x = f32_iota({2, 2, 1, 2});
  EXPECT_EQ(numbers(GridSample{.align_corners = true}, {x, f32({2, 1, 1, 2}, {-1, 0, 1, 0})}), (Numbers{0, 2, 5, 7}));
  EXPECT_EQ(run1(GridSample{}, {x, f32({2, 0, 3, 2}, {})}).shape, (Shape{2, 2, 0, 3}));
  EXPECT_EQ(run1(GridSample{}, {f32({0, 3, 0, 2}, {}), f32({0, 1, 3, 2}, {})}).shape, (Shape{0, 3, 1, 3}));
}

TEST(GridSampleOp, EveryDtype) {
  const GridSample nearest{.mode = ResizeMode::nearest, .align_corners = true}, linear{.align_corners = true};
  const auto places = at({1, -3, -1});
  for (DType d : {DType::f32, DType::f64, DType::f16, DType::bf16, DType::i8, DType::i16, DType::i32, DType::i64,
                  DType::u8, DType::u16, DType::u32, DType::u64}) {
    EXPECT_EQ(numbers(nearest, {tensor(d, {1, 1, 3}, {1, 2, 3}), places}), (Numbers{3, 0, 1})) << name(d);
    EXPECT_EQ(numbers(linear, {tensor(d, {1, 1, 3}, {2, 4, 9}), at({-0.5, 0, 1})}), (Numbers{3, 4, 9})) << name(d);
  }
  EXPECT_EQ(numbers(linear, {tensor(DType::i32, {1, 1, 2}, {-4, 3}), at({0})}), (Numbers{0}));  // -0.5, truncated
  EXPECT_EQ(numbers(nearest, {tensor(DType::boolean, {1, 1, 2}, {0, 1}), places}), (Numbers{1, 0, 0}));
  EXPECT_EQ(numbers(linear, {tensor(DType::boolean, {1, 1, 2}, {0, 1}), at({0, -1})}), (Numbers{1, 0}));
  const auto words = make_strings({1, 1, 2}, {"a", "b"});
  EXPECT_EQ(run1(nearest, {words, places}).strings, (std::vector<std::string>{"b", "", "a"}));
  const int64_t large[] = {INT64_MAX - 1, INT64_MIN + 1};
  const Shape shape{1, 1, 2};
  const auto wide = make_constant({DType::i64, shape, reinterpret_cast<const std::byte*>(large), nullptr});
  const Object moved = run1(nearest, {wide, places});
  EXPECT_EQ(load<Int>(moved.view(), 0).v, large[1]);
  EXPECT_EQ(load<Int>(moved.view(), 2).v, large[0]);
  for (DType d : {DType::f16, DType::bf16, DType::f64})
    EXPECT_EQ(numbers(linear, {row({1, 2, 3}), at({-1, 0.5}, d)}), (Numbers{1, 2.5})) << name(d);
}

TEST(GridSampleOp, Errors) {
  const auto x = f32_iota({1, 1, 2, 2}), grid = f32_iota({1, 1, 1, 2});
  expect_error(GridSample{}, {x}, "inputs");
  expect_error(GridSample{}, {x, f32_iota({1, 1, 1})}, "differ in rank");
  expect_error(GridSample{}, {x, f32_iota({2, 1, 1, 2})}, "differ in batch");
  expect_error(GridSample{}, {x, f32_iota({1, 1, 1, 3})}, "3 coordinates in 2 dims");
  expect_error(GridSample{}, {f32_iota({1, 1}), f32_iota({1, 1})}, "spatial dims");
  expect_error(GridSample{}, {f32({1, 1, 0, 2}, {}), grid}, "nothing to sample");
  expect_error(GridSample{}, {x, iota(DType::i32, {1, 1, 1, 2})}, "real");
  expect_error(GridSample{}, {make_strings({1, 1, 1}, {"a"}), at({0})}, "not defined");
  const Shape deep(9, 1);
  expect_error(GridSample{}, {f32(deep, {1}), f32(deep, {1})}, "1 to 6 spatial dims");
}
}  // namespace
}  // namespace engine
