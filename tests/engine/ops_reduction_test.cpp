#include "tests/engine/op_case.h"

namespace engine::test {
namespace {
using namespace schema;
using Values = std::vector<double>;
using Extents = engine::Shape;

TEST(MatMul, FollowsNumPy) {
  const ConstantPtr a = f32_iota({2, 3}), b = f32_iota({3, 2});
  EXPECT_EQ(numbers(MatMul{}, {a, b}), (Values{10, 13, 28, 40}));
  EXPECT_EQ(numbers(MatMul{true, true}, {f32({3, 2}, {0, 3, 1, 4, 2, 5}), f32({2, 3}, {0, 2, 4, 1, 3, 5})}), (Values{10, 13, 28, 40}));
  const Object dot = run1(MatMul{}, {f32({3}, {1, 2, 3}), f32({3}, {4, 5, 6})});
  EXPECT_EQ(dot.shape, Extents{});
  EXPECT_EQ(values(dot), Values{32});
  EXPECT_EQ(numbers(MatMul{}, {f32({3}, {1, 0, 1}), b}), (Values{4, 6}));
  EXPECT_EQ(numbers(MatMul{}, {a, f32({3}, {1, 0, 1})}), (Values{2, 8}));
  const Object batched = run1(MatMul{}, {f32_iota({2, 1, 1, 2}), f32_iota({3, 2, 1})});
  EXPECT_EQ(batched.shape, (Extents{2, 3, 1, 1}));
  EXPECT_EQ(values(batched), (Values{1, 3, 5, 3, 13, 23}));
  EXPECT_EQ(numbers(MatMul{}, {f32({2, 0}, {}), f32({0, 2}, {})}), (Values{0, 0, 0, 0}));
  EXPECT_EQ(numbers(MatMul{}, {tensor(DType::i8, {1, 1}, {100}), tensor(DType::i8, {1, 1}, {3})}), Values{44});
  expect_error(MatMul{}, {a, a}, "has 3 columns");
  expect_error(MatMul{}, {a, f32({}, {1})}, "scalars");
}

TEST(MatMul, CoversMoreColumnsThanAPanel) {
  const Object y = run1(MatMul{}, {f32({2, 1}, {1, 2}), f32_iota({1, 600})});
  for (int64_t j = 0; j < 600; ++j) ASSERT_EQ(load<double>(y.view(), 600 + j), 2.0 * double(j));
}

TEST(Reduce, KindsOverAxes) {
  const ConstantPtr x = f32({2, 3}, {1, -2, 3, 4, 5, -6});
  const auto over = [&](ReduceKind kind, std::vector<int64_t> axes) { return numbers(Reduce{kind}, {x, i64(axes)}); };
  EXPECT_EQ(over(ReduceKind::sum, {1}), (Values{2, 3}));
  EXPECT_EQ(over(ReduceKind::sum, {0}), (Values{5, 3, -3}));
  EXPECT_EQ(over(ReduceKind::mean, {-1}), (Values{float(2.0 / 3), 1}));
  EXPECT_EQ(over(ReduceKind::prod, {1}), (Values{-6, -120}));
  EXPECT_EQ(over(ReduceKind::min, {0, 1}), Values{-6});
  EXPECT_EQ(over(ReduceKind::max, {0}), (Values{4, 5, 3}));
  EXPECT_EQ(over(ReduceKind::l1, {1}), (Values{6, 15}));
  EXPECT_EQ(over(ReduceKind::sum_square, {1}), (Values{14, 77}));
  EXPECT_EQ(numbers(Reduce{ReduceKind::l2}, {f32({2}, {3, 4})}), Values{5});
  EXPECT_NEAR(numbers(Reduce{ReduceKind::log_sum_exp}, {f32({2}, {1000, 1000})})[0], 1000.6931, 1e-3);
  EXPECT_EQ(run1(Reduce{ReduceKind::sum, false}, {x}).shape, Extents{});
  EXPECT_EQ(run1(Reduce{ReduceKind::sum, false}, {x, i64({1})}).shape, Extents{2});
  EXPECT_EQ(run1(Reduce{}, {x, i64({-2})}).shape, (Extents{1, 3}));
  const Object middle = run1(Reduce{ReduceKind::sum, false}, {f32_iota({2, 2, 2}), i64({1})});
  EXPECT_EQ(values(middle), (Values{2, 4, 10, 12}));
  expect_error(Reduce{}, {x, i64({2})}, "out of range");
  expect_error(Reduce{}, {x, i64({1, -1})}, "given twice");
}

TEST(Reduce, NoAxesMeansAllOrNone) {
  const ConstantPtr x = f32({2}, {-1, 2});
  EXPECT_EQ(numbers(Reduce{ReduceKind::l1}, {x, i64(std::vector<int64_t>{})}), Values{3});
  EXPECT_EQ(numbers(Reduce{ReduceKind::l1, true, true}, {x, i64(std::vector<int64_t>{})}), (Values{1, 2}));
  EXPECT_EQ(numbers(Reduce{ReduceKind::sum, true, true}, {x}), (Values{-1, 2}));
}

TEST(Reduce, OfNothing) {
  const auto of_nothing = [](ReduceKind kind, DType dtype) { return numbers(Reduce{kind}, {tensor(dtype, {0, 1}, {}), i64({0})})[0]; };
  EXPECT_EQ(of_nothing(ReduceKind::sum, DType::f32), 0);
  EXPECT_EQ(of_nothing(ReduceKind::prod, DType::f32), 1);
  EXPECT_EQ(of_nothing(ReduceKind::max, DType::f32), -INFINITY);
  EXPECT_EQ(of_nothing(ReduceKind::min, DType::f32), INFINITY);
  EXPECT_EQ(of_nothing(ReduceKind::log_sum, DType::f32), -INFINITY);
  EXPECT_EQ(of_nothing(ReduceKind::log_sum_exp, DType::f32), -INFINITY);
  EXPECT_EQ(of_nothing(ReduceKind::max, DType::i8), -128);
  EXPECT_EQ(of_nothing(ReduceKind::min, DType::u8), 255);
  EXPECT_EQ(of_nothing(ReduceKind::min, DType::boolean), 1);
  EXPECT_TRUE(std::isnan(of_nothing(ReduceKind::mean, DType::f32)));
  expect_error(Reduce{ReduceKind::mean}, {i64(std::vector<int64_t>{})}, "mean of no integers");
}

TEST(Reduce, IntegersAndNotANumber) {
  EXPECT_EQ(numbers(Reduce{ReduceKind::mean}, {i64({-3, -4})}), Values{-3});
  EXPECT_EQ(numbers(Reduce{ReduceKind::l2}, {i64({1, 2})}), Values{2});
  EXPECT_EQ(numbers(Reduce{ReduceKind::max}, {tensor(DType::u64, {2}, {1, 0x1p62})}), Values{0x1p62});
  EXPECT_TRUE(std::isnan(numbers(Reduce{ReduceKind::max}, {f32({3}, {1, NAN, 2})})[0]));
}

TEST(ArgReduce, FirstOrLastExtremum) {
  const ConstantPtr x = f32({2, 3}, {1, 3, 3, 5, 5, 2});
  EXPECT_EQ(numbers(ArgReduce{ArgKind::max, 1}, {x}), (Values{1, 0}));
  EXPECT_EQ(numbers(ArgReduce{ArgKind::max, 1, false, true}, {x}), (Values{2, 1}));
  EXPECT_EQ(numbers(ArgReduce{ArgKind::min, 0}, {x}), (Values{0, 0, 1}));
  EXPECT_EQ(numbers(ArgReduce{}, {f32({3}, {1, NAN, 9})}), Values{1});
  EXPECT_EQ(run1(ArgReduce{ArgKind::max, -1, false}, {x}).shape, Extents{2});
  expect_error(ArgReduce{}, {f32({0, 2}, {})}, "is empty");
}

TEST(Softmax, Kinds) {
  const ConstantPtr x = f32({2, 2}, {0, 0, 1000, 1000});
  EXPECT_EQ(numbers(Softmax{}, {x}), (Values{0.5, 0.5, 0.5, 0.5}));
  EXPECT_EQ(numbers(Softmax{SoftmaxKind::softmax, 0}, {x}), (Values{0, 0, 1, 1}));
  EXPECT_NEAR(numbers(Softmax{SoftmaxKind::log_softmax}, {x})[3], -0.6931472, 1e-6);
  EXPECT_EQ(numbers(Softmax{SoftmaxKind::hardmax}, {f32({4}, {1, 3, 3, 2})}), (Values{0, 1, 0, 0}));
  EXPECT_EQ(numbers(Softmax{}, {f32({0, 2}, {})}), Values{});
  expect_error(Softmax{}, {f32({}, {1})}, "out of range");
}

TEST(LayerNorm, NormalisesTheLastDims) {
  const ConstantPtr x = f32({2, 2}, {1, 3, -2, 2}), scale = f32({2}, {1, 2}), bias = f32({}, {10});
  const auto out = run(LayerNorm{-1, 0}, {x, scale, bias}, 3);
  EXPECT_EQ(values(out[0]), (Values{9, 12, 9, 12}));
  EXPECT_EQ(out[1].shape, (Extents{2, 1}));
  EXPECT_EQ(values(out[1]), (Values{2, 0}));
  EXPECT_EQ(values(out[2]), (Values{1, 0.5}));
  EXPECT_EQ(numbers(LayerNorm{1, 0, true}, {f32({1, 2}, {3, -3}), f32({2}, {1, 2})}), (Values{1, -2}));
  EXPECT_EQ(values(run(LayerNorm{0, 0}, {f32({2, 2}, {1, 1, 3, 3}), f32({2, 1}, {1, 5})}, 1)[0]), (Values{-1, -1, 5, 5}));
  expect_error(LayerNorm{}, {x, f32({3}, {1, 1, 1})}, "does not broadcast");
}

TEST(BatchNorm, ScalesEachChannel) {
  const ConstantPtr x = f32({1, 2, 2}, {1, 2, 3, 4}), one = f32({2}, {1, 1});
  EXPECT_EQ(numbers(BatchNorm{0}, {x, f32({2}, {2, 3}), f32({2}, {0, 10}), f32({2}, {1, 3}), f32({2}, {1, 4})}), (Values{0, 2, 10, 11.5}));
  expect_error(BatchNorm{}, {x, f32({3}, {1, 1, 1}), one, one, one}, "not one number per channel");
}

TEST(GroupNorm, GroupsOfChannelsOrEachByItself) {
  const ConstantPtr x = f32({1, 2, 2}, {1, 3, 5, 7}), one = f32({2}, {1, 1}), bias = f32({2}, {0, 10});
  EXPECT_EQ(numbers(GroupNorm{0, 0}, {x, one, bias}), (Values{-1, 1, 9, 11}));
  const Values whole = numbers(GroupNorm{1, 0}, {x, one, bias});
  EXPECT_NEAR(whole[0], -3 / std::sqrt(5), 1e-6);
  EXPECT_NEAR(whole[3], 10 + 3 / std::sqrt(5), 1e-6);
  expect_error(GroupNorm{3, 0}, {x, one, bias}, "do not divide");
}

TEST(CumSum, ExclusiveAndReverse) {
  const ConstantPtr x = f32({2, 3}, {1, 2, 3, 4, 5, 6});
  EXPECT_EQ(numbers(CumSum{}, {x, i64({}, {1})}), (Values{1, 3, 6, 4, 9, 15}));
  EXPECT_EQ(numbers(CumSum{true, false}, {x, i64({}, {0})}), (Values{0, 0, 0, 1, 2, 3}));
  EXPECT_EQ(numbers(CumSum{true, true}, {x, i64({}, {-1})}), (Values{5, 3, 0, 11, 6, 0}));
  expect_error(CumSum{}, {x, i64({}, {2})}, "out of range");
  expect_error(CumSum{}, {x, i64({0, 1})}, "must be a scalar");
}

TEST(CumProd, ExclusiveAndReverse) {
  const ConstantPtr x = f32({2, 3}, {1, 2, 3, 4, 5, 6});
  EXPECT_EQ(numbers(CumProd{}, {x, i64({}, {1})}), (Values{1, 2, 6, 4, 20, 120}));
  EXPECT_EQ(numbers(CumProd{true, false}, {x, i64({}, {0})}), (Values{1, 1, 1, 1, 2, 3}));
  EXPECT_EQ(numbers(CumProd{true, true}, {x, i64({}, {-1})}), (Values{6, 3, 1, 30, 6, 1}));
  for (DType d : {DType::f64, DType::f16, DType::bf16, DType::i32, DType::i64, DType::u32, DType::u64})
    EXPECT_EQ(numbers(CumProd{false, true}, {tensor(d, {3}, {2, 3, 4}), i64({0})}), (Values{24, 12, 4})) << name(d);
  EXPECT_EQ(numbers(CumProd{}, {tensor(DType::i8, {2}, {100, 3}), i64({0})}), (Values{100, 44}));
  EXPECT_EQ(run1(CumProd{}, {f32({2, 0}, {}), i64({1})}).shape, (Extents{2, 0}));
  expect_error(CumProd{}, {x, i64({}, {2})}, "out of range");
}

TEST(CumSum, LongOnesKeepTheirDigits) {
  const int64_t n = 10'000'000;
  Object x, y;
  const View in = x.set_tensor(DType::f32, {&n, 1});
  std::ranges::fill(in.as<float>(), 0.1f);
  const ConstantPtr axis = i64({0});
  RunContext context;
  context.in_.push_back({in}), context.in_.push_back({axis->view()});
  context.out_.push_back({y.set_tensor(DType::f32, {&n, 1})});
  def(CumSum{}).reference({}, context);
  EXPECT_FLOAT_EQ(y.view().as<float>().back(), float(double(n) * double(0.1f)));
  std::ranges::fill(in.as<float>(), 1 + 1e-6f);
  def(CumProd{}).reference({}, context);
  EXPECT_NEAR(y.view().as<float>().back() / std::pow(double(1 + 1e-6f), double(n)), 1, 1e-6);
}

TEST(Det, OfBatches) {
  EXPECT_EQ(numbers(Det{}, {f32({2, 2}, {0, 1, 2, 3})}), Values{-2});
  EXPECT_EQ(run1(Det{}, {f32({2, 2}, {0, 1, 2, 3})}).shape, Extents{});
  const Object batch = run1(Det{}, {f32({3, 1, 2, 2}, {1, 2, 3, 4, 1, 2, 2, 1, 1, 3, 3, 1})});
  EXPECT_EQ(batch.shape, (Extents{3, 1}));
  EXPECT_NEAR(values(batch)[0], -2, 1e-6);
  EXPECT_NEAR(values(batch)[1], -3, 1e-6);
  EXPECT_NEAR(values(batch)[2], -8, 1e-6);
  EXPECT_NEAR(numbers(Det{}, {f32({3, 3}, {1e-20, 1, 0, 1, 1, 0, 0, 0, 2})})[0], -2, 1e-6);  // without pivots: 0
  for (DType d : {DType::f64, DType::f16, DType::bf16}) EXPECT_EQ(numbers(Det{}, {tensor(d, {2, 2}, {3, 1, 1, 3})}), Values{8}) << name(d);
  EXPECT_EQ(numbers(Det{}, {f32({2, 0, 0}, {})}), (Values{1, 1}));
  EXPECT_EQ(numbers(Det{}, {f32({0, 2, 2}, {})}), Values{});
  EXPECT_EQ(numbers(Det{}, {f32({2, 2}, {1, 2, 2, 4})}), Values{0});
  for (size_t at = 0; at < 4; ++at) {
    Values x(4, 0);
    x[at] = NAN;
    EXPECT_EQ(std::isnan(numbers(Det{}, {f32({2, 2}, x)})[0]), at % 2 == 0);  // a column of zeros decides
  }
  expect_error(Det{}, {f32_iota({2, 3})}, "not square");
  expect_error(Det{}, {f32_iota({3})}, "expects matrices");
  expect_error(Det{}, {i64({1, 1}, {1})}, "i64");
}

TEST(TopK, TiesGoToTheFirst) {
  const auto top = run(TopK{}, {f32({2, 4}, {1, 9, 9, 3, 4, 4, 8, 8}), i64({2})}, 2);
  EXPECT_EQ(values(top[0]), (Values{9, 9, 8, 8}));
  EXPECT_EQ(values(top[1]), (Values{1, 2, 2, 3}));
  EXPECT_EQ(values(run(TopK{0, false}, {i64({3, 1}, {5, 1, 3}), i64({2})}, 2)[1]), (Values{1, 2}));
  expect_error(TopK{}, {f32({2}, {1, 2}), i64({3})}, "k is 3", 2);
}

TEST(NonMaxSuppression, DropsWhatOverlapsABetterBox) {
  const ConstantPtr boxes = f32({1, 3, 4}, {0, 0, 1, 1, 1.05, 1, 0.05, 0, 2, 2, 3, 3});  // the second has its corners swapped
  const ConstantPtr scores = f32({1, 1, 3}, {0.5, 0.9, 0.3});
  const Object kept = run1(NonMaxSuppression{}, {boxes, scores, i64({5}), f32({1}, {0.5}), f32({1}, {0.1})});
  EXPECT_EQ(kept.shape, (Extents{2, 3}));
  EXPECT_EQ(values(kept), (Values{0, 0, 1, 0, 0, 2}));
  EXPECT_EQ(run1(NonMaxSuppression{}, {boxes, scores}).shape, (Extents{0, 3}));
}
}  // namespace
}  // namespace engine::test
