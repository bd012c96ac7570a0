// Ops that move data by offsets, regions and indices: DeformConv, RoiAlign, MaxRoiPool, MaxUnpool, Col2Im, AffineGrid.
#include "tests/engine/op_case.h"

#pragma GCC diagnostic ignored "-Wmissing-field-initializers"  // an op's other fields keep their defaults

namespace engine {
namespace {
using namespace test;
using schema::AffineGrid, schema::Col2Im, schema::Conv, schema::DeformConv, schema::MaxRoiPool, schema::MaxUnpool,
    schema::Pool, schema::PoolKind, schema::RoiAlign;
using Numbers = std::vector<double>;

ConstantPtr filled(const Shape& shape, double value) { return f32(shape, Numbers(size_t(elements(shape)), value)); }

// --- DeformConv ------------------------------------------------------------------------------------------------------

TEST(DeformConvOp, WithoutOffsetsItIsAConvolution) {
  const auto x = random_tensor({2, 4, 5, 9}, 1), w = random_tensor({6, 2, 3, 2}, 2), bias = random_tensor({6}, 3);
  const Conv conv{.stride = {1, 2}, .dilation = {2, 1}, .pad = {1, 0, 2, 3}, .groups = 2};
  const Object expected = run1(conv, {x, w, bias});
  const DeformConv op{conv.stride, conv.dilation, conv.pad, 2, 4};
  const Shape& y = expected.shape;
  const auto offset = filled({2, 4 * 6 * 2, y[2], y[3]}, 0);
  EXPECT_EQ(numbers(op, {x, w, offset, bias}), values(expected));
  EXPECT_EQ(numbers(op, {x, w, offset, bias, filled({2, 4 * 6, y[2], y[3]}, 1)}), values(expected));
  const auto line = f32_iota({1, 1, 5}), taps = f32({1, 1, 2}, {1, 10});
  EXPECT_EQ(numbers(DeformConv{}, {line, taps, filled({1, 2, 4}, 0)}), numbers(Conv{}, {line, taps}));
  const auto cube = f32_iota({1, 1, 2, 3, 2}), block = f32_iota({1, 1, 2, 2, 2});
  EXPECT_EQ(numbers(DeformConv{}, {cube, block, filled({1, 24, 1, 2, 1}, 0)}), numbers(Conv{}, {cube, block}));
}

TEST(DeformConvOp, OffsetsMoveEachTapAndMasksScaleIt) {
  const auto x = f32({1, 1, 4}, {10, 20, 40, 80}), w = f32({1, 1, 1}, {1});
  const auto moved = [&](const Numbers& offsets, const ConstantPtr& mask = nullptr) {
    return numbers(DeformConv{}, {x, w, f32({1, 1, 4}, offsets), nullptr, mask});
  };
  EXPECT_EQ(moved({1, 0.5, -0.25, -3}), (Numbers{20, 30, 35, 10}));
  EXPECT_EQ(moved({-0.5, -1.75, 1.5, 1}), (Numbers{5, 2.5, 40, 0}));  // beyond an end x is 0
  EXPECT_EQ(moved({-1, 3, nan, inf}), (Numbers{0, 0, 0, 0}));
  EXPECT_EQ(moved({1e30, -1e30, 0, 0}), (Numbers{0, 0, 40, 80}));
  EXPECT_EQ(moved({1, 0.5, -0.25, -3}, f32({1, 1, 4}, {2, 0, 1, 0.5})), (Numbers{40, 0, 35, 5}));
  // Rows first, then columns; taps have offsets of their own.
  const auto plane = f32_iota({1, 1, 3, 4}), pair = f32({1, 1, 1, 2}, {1, 100});
  EXPECT_EQ(numbers(DeformConv{}, {plane, pair,
                                   f32({1, 4, 3, 3},
                                       [] {
                                         Numbers all(36);
                                         all[0] = 1, all[9] = 0.5, all[18] = 0.5, all[27] = -1;  // of the first place
                                         return all;
                                       }())})[0],
            4.5 + 100 * 2);
}

TEST(DeformConvOp, ManyPlacesAndOffsetGroups) {
  const auto x = random_tensor({1, 2, 9, 10}, 4), w = filled({1, 2, 1, 1}, 1), zero = filled({1, 1, 9, 10}, 0),
             one = filled({1, 1, 9, 10}, 1);
  Numbers offsets(4 * 90);
  std::fill_n(offsets.begin() + 3 * 90, 90, 1);  // the second channel is read one to the right
  const Numbers y = numbers(DeformConv{.offset_groups = 2}, {x, w, f32({1, 4, 9, 10}, offsets)});
  const auto at = [&](int64_t c, int64_t i, int64_t j) {
    return j < 10 ? load<double>(x->view(), (c * 9 + i) * 10 + j) : 0;
  };
  for (int64_t i = 0; i < 9; ++i)
    for (int64_t j = 0; j < 10; ++j) EXPECT_EQ(y[size_t(i * 10 + j)], at(0, i, j) + at(1, i, j + 1));
}

TEST(DeformConvOp, DtypesEmptyExtentsAndErrors) {
  for (DType d : {DType::f64, DType::f16, DType::bf16})
    EXPECT_EQ(
        numbers(DeformConv{}, {tensor(d, {1, 1, 2}, {1, 2}), tensor(d, {1, 1, 1}, {4}), tensor(d, {1, 1, 2}, {0.5, 0}),
                               tensor(d, {1}, {1}), tensor(d, {1, 1, 2}, {1, 0.5})}),
        (Numbers{7, 5}));
  EXPECT_EQ(run1(DeformConv{}, {f32({0, 1, 3}, {}), filled({2, 1, 2}, 1), f32({0, 2, 2}, {})}).shape, (Shape{0, 2, 2}));
  const auto x = f32_iota({1, 2, 4}), w = f32_iota({2, 2, 2}), offset = f32_iota({1, 2, 3});
  expect_error(DeformConv{}, {x, w, f32_iota({1, 3, 3})}, "3 offsets per output, not 2");
  expect_error(DeformConv{}, {x, w, f32_iota({1, 2, 4})}, "output extent 3 meets 4");
  expect_error(DeformConv{}, {x, w, f32_iota({2, 2, 3})}, "batch 1 meets 2");
  expect_error(DeformConv{}, {x, w, offset, f32_iota({3})}, "output channels 2 meets 3");
  expect_error(DeformConv{}, {x, w, offset, nullptr, f32_iota({1, 1, 3})}, "the mask has 1 elements per output, not 2");
  expect_error(DeformConv{.offset_groups = 3}, {x, w, f32_iota({1, 6, 3})}, "3 offset groups");
  expect_error(DeformConv{.offset_groups = 0}, {x, w, offset}, "offset groups is 0");
  expect_error(DeformConv{.groups = 2}, {x, w, offset}, "channels");
  expect_error(DeformConv{}, {f32_iota({1, 2}), f32_iota({2, 2}), f32_iota({1, 2})}, "spatial dims");
  expect_error(DeformConv{}, {f32_iota({}), f32_iota({}), f32_iota({})}, "spatial dims");
  expect_error(DeformConv{}, {x, f32_iota({2, 2, 5}), f32_iota({1, 5, 1})}, "does not fit");
}

// --- RoiAlign --------------------------------------------------------------------------------------------------------

ConstantPtr images(const std::vector<int64_t>& of) { return i64(of); }

TEST(RoiAlignOp, SamplesBetweenPixels) {
  const auto x = f32({1, 1, 1, 4}, {0, 10, 20, 30});
  const auto y = [&](const RoiAlign& op, const Numbers& roi) {
    return numbers(op, {x, f32({1, 4}, roi), images({0})});
  };
  EXPECT_EQ(y({.width = 2, .samples = 1}, {1, 0, 3, 1}), (Numbers{10, 20}));                       // centres 1 and 2
  EXPECT_EQ(y({.width = 2, .samples = 1, .half_pixel = false}, {1, 0, 3, 1}), (Numbers{15, 25}));  // 1.5 and 2.5
  EXPECT_EQ(y({.width = 1, .samples = 2}, {1, 0, 3, 1}), (Numbers{15}));
  EXPECT_EQ(y({.width = 1}, {0, 0, 4, 1}), (Numbers{15}));  // as many as the bin is wide
  EXPECT_EQ(y({.width = 1, .scale = 0.5}, {0, 0, 8, 2}), (Numbers{15}));
  EXPECT_EQ(y({.width = 2, .samples = 1}, {-3, 0, -1, 1}), (Numbers{0, 0}));  // -2.5 outside, -1.5 too
  EXPECT_EQ(y({.width = 2, .samples = 1}, {-1, 0, 1, 1}), (Numbers{0, 0}));   // -1 is the first pixel yet
  EXPECT_EQ(y({.width = 2, .samples = 1}, {3, 0, 5, 1}), (Numbers{30, 30}));  // 4 is the last one yet
  EXPECT_EQ(y({.width = 1, .samples = 1, .half_pixel = false}, {2, 0, 2, 0}), (Numbers{25}));  // at least 1 wide
  EXPECT_EQ(y({.width = 1}, {2, 0, 2, 1}), (Numbers{0}));                                      // no width, no samples
  for (double bad : {nan, inf, -inf, 1e30, -1e30}) {
    EXPECT_EQ(y({.width = 1}, {bad, 0, 2, 1}).size(), 1u);
    EXPECT_EQ(y({.width = 1}, {0, 0, bad, bad}).size(), 1u);
    EXPECT_EQ(y({.width = 3, .samples = 2, .half_pixel = false}, {bad, bad, bad, 1}).size(), 3u);
  }
}

TEST(RoiAlignOp, TheLargestProduct) {  // of a pixel and its weight
  const auto x = f32({1, 1, 1, 4}, {-8, -4, 12, 16});
  const auto y = [&](const RoiAlign& op, const Numbers& roi) {
    return numbers(op, {x, f32({1, 4}, roi), images({0})});
  };
  EXPECT_EQ(y({.kind = PoolKind::max, .width = 2, .samples = 1, .half_pixel = false}, {1, 0, 3, 1}), (Numbers{6, 8}));
  EXPECT_EQ(y({.kind = PoolKind::max, .width = 1, .samples = 1, .half_pixel = false}, {0, 0, 1, 1}),
            (Numbers{0}));  // rows with the weight 0
  EXPECT_EQ(y({.kind = PoolKind::max, .width = 1, .samples = 2, .half_pixel = false}, {-4, -4, 0, 0}), (Numbers{0}));
}

TEST(RoiAlignOp, ImagesChannelsAndBins) {
  const auto x = f32_iota({2, 3, 4, 5});
  const RoiAlign op{.height = 4, .width = 5, .samples = 1};
  const Numbers y = numbers(op, {x, f32({2, 4}, {0, 0, 5, 4, 0, 0, 5, 4}), images({1, 0})});
  for (size_t i = 0; i < 60; ++i) {
    EXPECT_NEAR(y[i], double(60 + i), 1e-5);
    EXPECT_NEAR(y[60 + i], double(i), 1e-5);
  }
  EXPECT_EQ(run1(op, {x, f32({0, 4}, {}), i64(std::vector<int64_t>{})}).shape, (Shape{0, 3, 4, 5}));
  for (DType d : {DType::f64, DType::f16, DType::bf16})
    EXPECT_EQ(numbers(RoiAlign{.width = 2, .samples = 1},
                      {tensor(d, {1, 1, 1, 4}, {0, 10, 20, 30}), tensor(d, {1, 4}, {1, 0, 3, 1}), images({0})}),
              (Numbers{10, 20}));
}

TEST(RoiAlignOp, Errors) {
  const auto x = f32_iota({2, 1, 3, 3}), roi = f32_iota({1, 4});
  expect_error(RoiAlign{}, {x, roi, images({2})}, "region 0 is in image 2 of 2");
  expect_error(RoiAlign{}, {x, roi, images({-1})}, "image -1");
  expect_error(RoiAlign{}, {x, roi, images({0, 1})}, "regions 1 meets 2");
  expect_error(RoiAlign{}, {x, f32_iota({1, 5}), images({0})}, "5 numbers, not 4");
  expect_error(RoiAlign{}, {f32_iota({1, 3, 3}), roi, images({0})}, "rank 4");
  expect_error(RoiAlign{}, {f32({1, 1, 0, 3}, {}), roi, images({0})}, "nothing to pool");
  expect_error(RoiAlign{.height = 0}, {x, roi, images({0})}, "output extent is 0");
  expect_error(RoiAlign{.samples = -1}, {x, roi, images({0})}, "samples is -1");
  expect_error(RoiAlign{.scale = inf}, {x, roi, images({0})}, "the scale is inf");
  expect_error(RoiAlign{.kind = PoolKind::lp}, {x, roi, images({0})}, "lp");
  expect_error(RoiAlign{}, {x, iota(DType::f64, {1, 4}), images({0})}, "dtype");
}

// --- MaxRoiPool ------------------------------------------------------------------------------------------------------

TEST(MaxRoiPoolOp, BinsOfWholePixels) {
  const auto x = f32_iota({2, 1, 4, 6});
  const auto y = [&](const MaxRoiPool& op, const Numbers& roi) { return numbers(op, {x, f32({1, 5}, roi)}); };
  EXPECT_EQ(y({2, 2}, {0, 0, 0, 5, 3}), (Numbers{8, 11, 20, 23}));
  EXPECT_EQ(y({1, 2}, {1, 1, 1, 3, 2}), (Numbers{38, 39}));   // the middle column is in both bins
  EXPECT_EQ(y({1, 1, 0.5}, {0, 2, 2, 5, 3}), (Numbers{15}));  // 1 to 3 (2.5, rounded), rows 1 to 2
  EXPECT_EQ(y({1, 1}, {0, 4, 3, 2, 1}), (Numbers{22}));       // the wrong way round: one pixel
  EXPECT_EQ(y({2, 1}, {0, -3, -2, 0, 1}), (Numbers{0, 6}));   // the first bin has no row of x
  EXPECT_EQ(y({1, 1}, {1, 7, 0, 9, 3}), (Numbers{0}));
  for (double bad : {nan, inf, -inf, 1e30, -1e30}) EXPECT_EQ(y({2, 2}, {0, bad, 0, bad, bad}).size(), 4u);
  EXPECT_EQ(numbers(MaxRoiPool{1, 1},
                    {tensor(DType::f16, {1, 1, 1, 2}, {-3, -2}), tensor(DType::f16, {1, 5}, {0, 0, 0, 1, 0})}),
            (Numbers{-2}));
  EXPECT_EQ(run1(MaxRoiPool{2, 3}, {x, f32({0, 5}, {})}).shape, (Shape{0, 1, 2, 3}));
  expect_error(MaxRoiPool{1, 1}, {x, f32({1, 5}, {2, 0, 0, 1, 1})}, "region 0 is in image 2 of 2");
  expect_error(MaxRoiPool{1, 1}, {x, f32({1, 5}, {nan, 0, 0, 1, 1})}, "in image nan");
  expect_error(MaxRoiPool{1, 1}, {x, f32_iota({1, 4})}, "4 numbers, not 5");
  expect_error(MaxRoiPool{0, 1}, {x, f32_iota({1, 5})}, "output extent is 0");
}

// --- MaxUnpool -------------------------------------------------------------------------------------------------------

TEST(MaxUnpoolOp, UndoesAPool) {
  const auto x = random_tensor({2, 3, 4, 6}, 5);
  const auto pooled = run(Pool{.kernel = {2, 2}, .stride = {2, 2}}, {x}, 2);
  const auto y = make_constant(pooled[0].view()), at = make_constant(pooled[1].view());
  const MaxUnpool op{{2, 2}, {2, 2}};
  const Numbers back = numbers(op, {y, at}), all = values([&] {
                                               Object o;
                                               o.assign(x->view());
                                               return o;
                                             }());
  const auto found = values(pooled[1]);
  for (size_t i = 0; i < back.size(); ++i) EXPECT_EQ(back[i], std::ranges::count(found, double(i)) ? all[i] : 0);
  const auto odd = run1(op, {y, at, i64({2, 3, 5, 7})});  // filled up at the ends
  EXPECT_EQ(odd.shape, (Shape{2, 3, 5, 7}));
  EXPECT_EQ(values(odd)[size_t(7 * 1 + 2)], back[size_t(6 * 1 + 2)]);
  EXPECT_EQ(values(odd)[size_t(6)], 0);
}

TEST(MaxUnpoolOp, ExtentsDtypesAndErrors) {
  EXPECT_EQ(run1(MaxUnpool{{3}, {2}, {1, 0}}, {f32({1, 1, 3}, {1, 2, 3}), i64({1, 1, 3}, {0, 0, 5})}).shape,
            (Shape{1, 1, 6}));
  EXPECT_EQ(numbers(MaxUnpool{{3}, {2}, {1, 0}}, {f32({1, 1, 3}, {1, 2, 3}), i64({1, 1, 3}, {0, 0, 5})}),
            (Numbers{2, 0, 0, 0, 0, 3}));
  EXPECT_EQ(run1(MaxUnpool{{2}, {2}}, {f32({1, 1, 0}, {}), i64({1, 1, 0}, {})}).shape, (Shape{1, 1, 0}));
  for (DType d : {DType::f64, DType::f16, DType::bf16, DType::i8, DType::u8})
    EXPECT_EQ(numbers(MaxUnpool{{2}, {2}}, {tensor(d, {1, 1, 2}, {7, 9}), i64({1, 1, 2}, {1, 2})}),
              (Numbers{0, 7, 9, 0}));
  const auto x = f32_iota({1, 1, 2}), at = i64({1, 1, 2}, {0, 3});
  const MaxUnpool op{{2}, {2}};
  expect_error(op, {x, i64({1, 1, 2}, {0, 4})}, "index 4 is outside of the 4 elements");
  expect_error(op, {x, i64({1, 1, 2}, {0, -1})}, "index -1");
  expect_error(op, {x, i64({1, 1, 1}, {0})}, "2 meets 1");
  expect_error(op, {x, at, i64({1, 1, 3})}, "extent 3 where x fills 4");
  expect_error(op, {x, at, i64({2, 1, 4})}, "extent 2 where x fills 1");
  expect_error(op, {x, at, i64({1, 4})}, "2 entries, not 3");
  expect_error(MaxUnpool{{2, 2}}, {x, at}, "rank 4");
  expect_error(MaxUnpool{{0}}, {x, at}, "kernel extent 0");
  expect_error(MaxUnpool{{2}, {2}, {4, 4}}, {x, at}, "leaves nothing");
  expect_error(MaxUnpool{{2}, {2, 2}}, {x, at}, "stride has 2 entries");
}

// --- Col2Im ----------------------------------------------------------------------------------------------------------

TEST(Col2ImOp, SumsWhatWindowsRead) {
  // Windows of 2 with a step of 1 over 3 elements: the middle one is read twice.
  EXPECT_EQ(numbers(Col2Im{}, {f32({1, 2, 2}, {1, 2, 10, 20}), i64({3}), i64({2})}), (Numbers{1, 12, 20}));
  EXPECT_EQ(numbers(Col2Im{.stride = {2}, .dilation = {2}, .pad = {1, 0}},
                    {f32({1, 2, 2}, {1, 2, 10, 20}), i64({4}), i64({2})}),
            (Numbers{0, 12, 0, 20}));
  // What the windows of a convolution read of ones counts them.
  const Conv conv{.stride = {2, 1}, .dilation = {1, 2}, .pad = {1, 0, 1, 2}};
  const auto counted =
      numbers(Col2Im{conv.stride, conv.dilation, conv.pad}, {filled({1, 2 * 6, 2 * 5}, 1), i64({3, 7}), i64({2, 3})});
  Numbers expected(42);
  for (int c = 0; c < 2; ++c)
    for (int i = 0; i < 2; ++i)
      for (int j = 0; j < 5; ++j)
        for (int r = 0; r < 2; ++r)
          for (int s = 0; s < 3; ++s)
            if (const int h = i * 2 + r - 1, w = j + s * 2; h >= 0 && h < 3 && w < 7)
              ++expected[size_t((c * 3 + h) * 7 + w)];
  EXPECT_EQ(counted, expected);
  const auto x = f32_iota({2, 3 * 8, 1});  // one window is the image itself
  EXPECT_EQ(numbers(Col2Im{}, {x, i64({2, 2, 2}), i64({2, 2, 2})}), values([&] {
              Object o;
              o.assign(x->view());
              return o;
            }()));
}

TEST(Col2ImOp, DtypesAndErrors) {
  for (DType d : {DType::f64, DType::f16, DType::bf16, DType::i8, DType::i16, DType::i32, DType::i64, DType::u8,
                  DType::u16, DType::u32, DType::u64})
    EXPECT_EQ(numbers(Col2Im{}, {tensor(d, {1, 2, 2}, {1, 2, 10, 20}), i64({3}), i64({2})}), (Numbers{1, 12, 20}))
        << name(d);
  EXPECT_EQ(numbers(Col2Im{}, {tensor(DType::boolean, {1, 2, 2}, {0, 1, 1, 0}), i64({3}), i64({2})}),
            (Numbers{0, 1, 0}));
  EXPECT_EQ(numbers(Col2Im{}, {tensor(DType::u8, {1, 2, 2}, {1, 200, 100, 20}), i64({3}), i64({2})}),
            (Numbers{1, 44, 20}));  // wraps
  EXPECT_EQ(run1(Col2Im{}, {f32({0, 4, 2}, {}), i64({3}), i64({2})}).shape, (Shape{0, 2, 3}));
  const auto x = f32_iota({1, 4, 2});
  expect_error(Col2Im{}, {x, i64({4}), i64({2})}, "2 columns for 3 windows");
  expect_error(Col2Im{}, {x, i64({4}), i64({3})}, "4 rows do not divide into kernels of 3");
  expect_error(Col2Im{}, {x, i64({1}), i64({2})}, "does not fit");
  expect_error(Col2Im{}, {x, i64({3, 3}), i64({2})}, "the kernel has 1 dims, the image 2");
  expect_error(Col2Im{}, {x, i64({-3}), i64({2})}, "image extent -3");
  expect_error(Col2Im{}, {x, i64({3}), i64({0})}, "kernel extent 0");
  expect_error(Col2Im{}, {x, i64(std::vector<int64_t>{}), i64(std::vector<int64_t>{})}, "0 dims");
  expect_error(Col2Im{.stride = {1, 1}}, {x, i64({3}), i64({2})}, "stride has 2 entries");
  expect_error(Col2Im{}, {f32_iota({4, 2}), i64({3}), i64({2})}, "rank 3");
  expect_error(Col2Im{}, {make_strings({1, 1, 1}, {"a"}), i64({1}), i64({1})}, "strings");
}

// --- AffineGrid ------------------------------------------------------------------------------------------------------

TEST(AffineGridOp, PlacesWithAndWithoutAlignedCorners) {
  const auto same = f32({1, 2, 3}, {1, 0, 0, 0, 1, 0}), size = i64({1, 7, 2, 3});
  const Object y = run1(AffineGrid{}, {same, size});
  EXPECT_EQ(y.shape, (Shape{1, 2, 3, 2}));
  const double third = double(float(2.0 / 3));
  EXPECT_EQ(values(y), (Numbers{-third, -0.5, 0, -0.5, third, -0.5, -third, 0.5, 0, 0.5, third, 0.5}));
  EXPECT_EQ(numbers(AffineGrid{true}, {same, size}), (Numbers{-1, -1, 0, -1, 1, -1, -1, 1, 0, 1, 1, 1}));
  EXPECT_EQ(numbers(AffineGrid{true}, {f32({1, 2, 3}, {2, 0, 5, 1, 3, 7}), i64({1, 1, 1, 2})}),
            (Numbers{3, 3, 7, 5}));  // an extent of 1 is at -1
}

TEST(AffineGridOp, ThreeDimsBatchesAndDtypes) {
  const auto theta = f32({2, 3, 4}, {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 1, 10, 0, 1, 0, 20, 1, 0, 0, 30});
  const Object y = run1(AffineGrid{true}, {theta, i64({2, 1, 2, 2, 3})});
  EXPECT_EQ(y.shape, (Shape{2, 2, 2, 3, 3}));
  const Numbers all = values(y);
  EXPECT_EQ(Numbers(all.begin() + 6, all.begin() + 12), (Numbers{1, -1, -1, -1, 1, -1}));
  EXPECT_EQ(Numbers(all.end() - 3, all.end()), (Numbers{11, 21, 31}));
  EXPECT_EQ(Numbers(all.begin() + 36, all.begin() + 39), (Numbers{9, 19, 29}));
  for (DType d : {DType::f64, DType::f16, DType::bf16})
    EXPECT_EQ(numbers(AffineGrid{true}, {tensor(d, {1, 2, 3}, {1, 0, 0, 0, 1, 0}), i64({1, 1, 1, 2})}),
              (Numbers{-1, -1, 1, -1}));
  EXPECT_EQ(run1(AffineGrid{}, {f32({0, 2, 3}, {}), i64({0, 1, 4, 2})}).shape, (Shape{0, 4, 2, 2}));
  EXPECT_EQ(run1(AffineGrid{}, {f32_iota({1, 2, 3}), i64({1, 1, 4, 0})}).shape, (Shape{1, 4, 0, 2}));
}

TEST(AffineGridOp, Errors) {
  const auto theta = f32_iota({1, 2, 3});
  expect_error(AffineGrid{}, {theta, i64({1, 1, 2})}, "the size has 3 entries, not 4 or 5");
  expect_error(AffineGrid{}, {theta, i64({1, 1, 2, 2, 2})}, "theta has 2 rows of 3 for 3 spatial dims");
  expect_error(AffineGrid{}, {theta, i64({2, 1, 2, 2})}, "batch 1 meets 2");
  expect_error(AffineGrid{}, {theta, i64({1, 1, -2, 2})}, "extent -2");
  expect_error(AffineGrid{}, {iota(DType::i32, {1, 2, 3}), i64({1, 1, 2, 2})}, "real");
  expect_error(AffineGrid{}, {f32_iota({2, 3}), i64({1, 1, 2, 2})}, "rank 3");
}
}  // namespace
}  // namespace engine
