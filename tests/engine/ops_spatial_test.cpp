#include "tests/engine/op_case.h"

#pragma GCC diagnostic ignored "-Wmissing-field-initializers"  // an op's other fields keep their defaults

namespace engine {
namespace {
using namespace test;
using schema::AutoPad, schema::Conv, schema::ConvLast, schema::ConvTranspose, schema::Pool, schema::PoolKind, schema::PoolLast, schema::Resize;
using schema::ResizeAspect, schema::ResizeCoordinates, schema::ResizeMode, schema::ResizeNearest;
using Numbers = std::vector<double>;

// With the dims permuted: dim k of the result is dim perm[k] of x.
ConstantPtr permuted(const ConstView& x, const std::vector<size_t>& perm) {
  Shape shape, step(perm.size(), 1);
  for (size_t d : perm) shape.push_back(x.shape[d]);
  for (size_t d = 0; d < perm.size(); ++d) step[d] = elements(x.shape.subspan(perm[d] + 1));
  Numbers values(size_t(x.elements()));
  for (size_t i = 0; i < values.size(); ++i) {
    int64_t from = 0, rest = int64_t(i);
    for (size_t d = perm.size(); d-- > 0; rest /= shape[d]) from += rest % shape[d] * step[d];
    values[i] = load<double>(x, from);
  }
  return tensor(x.dtype, shape, values);
}

// --- Conv ------------------------------------------------------------------------------------------------------------

TEST(ConvOp, PaddingStrideDilationAndBias) {
  const auto x = f32_iota({1, 1, 1, 5});
  const auto w = f32({1, 1, 1, 2}, {1, 10});
  EXPECT_EQ(numbers(Conv{}, {x, w, f32({1}, {100})}), (Numbers{110, 121, 132, 143}));
  EXPECT_EQ(numbers(Conv{.pad = {0, 1, 0, 2}}, {x, w}), (Numbers{0, 10, 21, 32, 43, 4, 0}));
  EXPECT_EQ(numbers(Conv{.stride = {1, 2}, .dilation = {1, 3}, .pad = {0, 1, 0, 1}}, {x, w}), (Numbers{20, 41}));
}

TEST(ConvOp, AutoPad) {
  const auto x = f32_iota({1, 1, 4}), w = f32({1, 1, 2}, {1, 10});
  EXPECT_EQ(numbers(Conv{.auto_pad = AutoPad::same_upper}, {x, w}), (Numbers{10, 21, 32, 3}));
  EXPECT_EQ(numbers(Conv{.auto_pad = AutoPad::same_lower}, {x, w}), (Numbers{0, 10, 21, 32}));
  EXPECT_EQ(numbers(Conv{.auto_pad = AutoPad::valid}, {x, w}), (Numbers{10, 21, 32}));
  EXPECT_EQ(numbers(Conv{.stride = {3}, .auto_pad = AutoPad::same_upper}, {x, w}), (Numbers{10, 3}));
}

TEST(ConvOp, GroupsAndThreeDims) {
  const auto x = f32({1, 4, 1}, {1, 2, 3, 4});
  EXPECT_EQ(numbers(Conv{.groups = 2}, {x, f32({2, 2, 1}, {1, 10, 100, 1000})}), (Numbers{21, 4300}));
  EXPECT_EQ(numbers(Conv{.groups = 4}, {x, f32({4, 1, 1}, {1, 10, 100, 1000})}), (Numbers{1, 20, 300, 4000}));
  EXPECT_EQ(numbers(Conv{}, {f32_iota({1, 1, 2, 2, 2}), f32({1, 1, 2, 2, 2}, Numbers(8, 1))}), (Numbers{28}));
}

TEST(ConvOp, EmptyBatchAndHalf) {
  EXPECT_EQ(run1(Conv{}, {f32({0, 1, 3}, {}), f32({2, 1, 2}, {1, 2, 3, 4})}).shape, (Shape{0, 2, 2}));
  EXPECT_EQ(numbers(Conv{}, {tensor(DType::f16, {1, 1, 2}, {1, 2}), tensor(DType::f16, {1, 1, 2}, {3, 0.5})}), (Numbers{4}));
}

TEST(ConvOp, Errors) {
  const auto x = f32_iota({1, 2, 4}), w = f32_iota({3, 2, 2});
  expect_error(Conv{}, {x, f32_iota({3, 1, 2})}, "channels");
  expect_error(Conv{.groups = 2}, {x, f32_iota({3, 1, 2})}, "groups");
  expect_error(Conv{}, {x, f32_iota({3, 2, 2, 1})}, "rank");
  expect_error(Conv{}, {x, w, f32_iota({2})}, "bias");
  expect_error(Conv{}, {x, f32_iota({3, 2, 5})}, "does not fit");
  expect_error(Conv{.stride = {0}}, {x, w}, "stride");
  expect_error(Conv{.pad = {1}}, {x, w}, "pad");
  expect_error(Conv{.pad = {-1, 0}}, {x, w}, "pad");
  expect_error(Conv{}, {iota(DType::i32, {1, 2, 4}), iota(DType::i32, {3, 2, 2})}, "real");
  expect_error(Conv{}, {x, iota(DType::f64, {3, 2, 2})}, "dtype");
}

TEST(ConvOp, SymbolicExtents) {
  const auto type = [](const Conv& op, Dim in) {
    Graph graph;
    const ValueId x = graph.add_input("x", Type::tensor(DType::f32, {Dim::symbol("n"), 3, in})), w = graph.add_constant(f32_iota({8, 3, 3}));
    const Node node{op, {x, w}, {ValueId::none}, {"test"}, {}};
    return def(op).infer(op, InferContext(graph, node))[0];
  };
  const Dim width = Dim::symbol("w");
  EXPECT_EQ(type(Conv{.pad = {1, 1}}, width).dims[2], width);
  EXPECT_EQ(type(Conv{.auto_pad = AutoPad::same_upper}, width).dims[2], width);
  EXPECT_EQ(type(Conv{}, width).dims[2], width - 2);
  EXPECT_EQ(type(Conv{}, width).dims[1], Dim(8));
}

TEST(ConvLastOp, IsConv) {
  for (const auto& [groups, features] : {std::pair{1, 5}, {2, 4}, {4, 4}, {4, 8}}) {
    const Conv conv{.stride = {2, 1}, .dilation = {1, 2}, .pad = {1, 0, 2, 3}, .groups = groups, .auto_pad = AutoPad::none};
    const auto x = random_tensor({2, 4, 6, 5}, 1), w = random_tensor({features, 4 / groups, 3, 2}, 2), b = random_tensor({features}, 3);
    const Object expected = run1(conv, {x, w, b});
    const Numbers last = values(*std::make_unique<Object>([&] { Object o; o.assign(permuted(expected.view(), {0, 2, 3, 1})->view()); return o; }()));
    ConvLast op{conv.stride, conv.dilation, conv.pad, groups, true};
    EXPECT_EQ(numbers(op, {x, w, b}), last);
    op.planar_input = false;
    EXPECT_EQ(numbers(op, {permuted(x->view(), {0, 2, 3, 1}), w, b}), last);
  }
}

// --- ConvTranspose ---------------------------------------------------------------------------------------------------

TEST(ConvTransposeOp, ExplicitPadding) {
  const auto x = f32({1, 1, 3}, {1, 2, 3}), w = f32({1, 1, 3}, {1, 10, 100});
  EXPECT_EQ(numbers(ConvTranspose{}, {x, w}), (Numbers{1, 12, 123, 230, 300}));
  EXPECT_EQ(numbers(ConvTranspose{.pad = {1, 2}}, {x, w}), (Numbers{12, 123}));
  EXPECT_EQ(numbers(ConvTranspose{.stride = {2}, .output_padding = {1}}, {x, w}), (Numbers{1, 10, 102, 20, 203, 30, 300, 0}));
  EXPECT_EQ(numbers(ConvTranspose{.dilation = {2}}, {x, w, f32({1}, {5})}), (Numbers{6, 7, 18, 25, 135, 205, 305}));
}

TEST(ConvTransposeOp, OutputShapeAndAutoPad) {
  const auto x = f32({1, 1, 3}, {1, 2, 3}), w = f32({1, 1, 3}, {1, 10, 100});
  EXPECT_EQ(numbers(ConvTranspose{.output_shape = {4}}, {x, w}), (Numbers{12, 123, 230, 300}));  // the odd one in front
  EXPECT_EQ(numbers(ConvTranspose{.output_shape = {4}, .auto_pad = AutoPad::same_upper}, {x, w}), (Numbers{1, 12, 123, 230}));
  EXPECT_EQ(numbers(ConvTranspose{.auto_pad = AutoPad::same_upper}, {x, w}), (Numbers{12, 123, 230}));
  EXPECT_EQ(run1(ConvTranspose{.stride = {2}, .auto_pad = AutoPad::same_lower}, {x, w}).shape, (Shape{1, 1, 6}));
}

TEST(ConvTransposeOp, Groups) {
  const auto x = f32({1, 2, 1}, {1, 2}), w = f32({2, 2, 1}, {1, 10, 100, 1000});
  EXPECT_EQ(numbers(ConvTranspose{}, {x, w}), (Numbers{201, 2010}));
  EXPECT_EQ(numbers(ConvTranspose{.groups = 2}, {x, w}), (Numbers{1, 10, 200, 2000}));
}

TEST(ConvTransposeOp, Errors) {
  expect_error(ConvTranspose{}, {f32_iota({1, 2, 3}), f32_iota({3, 1, 2})}, "channels");
  expect_error(ConvTranspose{.pad = {9, 9}}, {f32_iota({1, 1, 3}), f32_iota({1, 1, 2})}, "padding");
  expect_error(ConvTranspose{.output_padding = {1, 1}}, {f32_iota({1, 1, 3}), f32_iota({1, 1, 2})}, "entries");
}

// --- Pool ------------------------------------------------------------------------------------------------------------

TEST(PoolOp, MaxAndWhere) {
  const Pool op{.kernel = {2, 2}, .pad = {1, 0, 0, 0}};
  const auto out = run(op, {f32({1, 1, 2, 3}, {5, 1, 2, 3, 4, 9})}, 2);
  EXPECT_EQ(values(out[0]), (Numbers{5, 2, 5, 9}));
  EXPECT_EQ(values(out[1]), (Numbers{0, 2, 0, 5}));
  Pool columns = op;
  columns.column_major = true;
  EXPECT_EQ(values(run(columns, {f32({1, 1, 2, 3}, {5, 1, 2, 3, 4, 9})}, 2)[1]), (Numbers{0, 4, 0, 5}));
  const auto second_plane = run(Pool{.kernel = {2}}, {tensor(DType::i8, {1, 2, 2}, {-128, -128, -5, -3})}, 2);
  EXPECT_EQ(values(second_plane[0]), (Numbers{-128, -3}));
  EXPECT_EQ(values(second_plane[1]), (Numbers{0, 3}));
}

TEST(PoolOp, MaxPassesOverNaN) {
  const double nan = std::nan("");
  EXPECT_EQ(numbers(Pool{.kernel = {2}}, {f32({1, 1, 3}, {nan, 1, nan})}), (Numbers{1, 1}));
}

TEST(PoolOp, Average) {
  const auto x = f32({1, 1, 4}, {1, 2, 3, 4});
  EXPECT_EQ(numbers(Pool{.kind = PoolKind::average, .kernel = {3}, .pad = {1, 1}}, {x}), (Numbers{1.5, 2, 3, 3.5}));
  EXPECT_EQ(numbers(Pool{.kind = PoolKind::average, .kernel = {3}, .pad = {1, 1}, .count_pad = true}, {x}), (Numbers{1, 2, 3, 7.0f / 3}));
  EXPECT_EQ(numbers(Pool{.kind = PoolKind::average, .kernel = {2}, .dilation = {3}}, {x}), (Numbers{2.5}));
  // auto_pad counts like any padding.
  EXPECT_EQ(numbers(Pool{.kind = PoolKind::average, .kernel = {3}, .auto_pad = AutoPad::same_lower, .count_pad = true}, {x}), (Numbers{1, 2, 3, 7.0f / 3}));
}

TEST(PoolOp, CeilMode) {
  const auto x = f32({1, 1, 5}, {1, 2, 3, 4, 5});
  EXPECT_EQ(numbers(Pool{.kernel = {2}, .stride = {2}, .ceil_mode = true}, {x}), (Numbers{2, 4, 5}));
  EXPECT_EQ(numbers(Pool{.kind = PoolKind::average, .kernel = {2}, .stride = {2}, .ceil_mode = true, .count_pad = true}, {x}), (Numbers{1.5, 3.5, 5}));
  // The window that would start in the padding behind x is dropped.
  EXPECT_EQ(numbers(Pool{.kernel = {1}, .stride = {3}, .pad = {0, 2}, .ceil_mode = true}, {x}), (Numbers{1, 4}));
}

TEST(PoolOp, Lp) {
  EXPECT_EQ(numbers(Pool{.kind = PoolKind::lp, .kernel = {2}}, {f32({1, 1, 3}, {3, -4, 0})}), (Numbers{5, 4}));
  EXPECT_EQ(numbers(Pool{.kind = PoolKind::lp, .kernel = {2}, .p = 1}, {f32({1, 1, 3}, {3, -4, 0})}), (Numbers{7, 4}));
}

TEST(PoolOp, Errors) {
  expect_error(Pool{.kernel = {2, 2}}, {f32_iota({1, 1, 4})}, "kernel of 2 dims");
  expect_error(Pool{.kernel = {}}, {f32_iota({1, 1})}, "kernel");
  expect_error(Pool{.kernel = {0}}, {f32_iota({1, 1, 4})}, "kernel");
  expect_error(Pool{.kernel = {5}}, {f32_iota({1, 1, 4})}, "does not fit");
  expect_error(Pool{.kind = PoolKind::average, .kernel = {2}}, {iota(DType::u8, {1, 1, 4})}, "not defined");
  expect_error(Pool{.kind = PoolKind::average, .kernel = {2}}, {f32_iota({1, 1, 4})}, "one output", 2);
}

TEST(PoolLastOp, IsPool) {
  const auto x = random_tensor({2, 3, 7, 6}, 4);
  for (PoolKind kind : {PoolKind::max, PoolKind::average})
    for (bool ceil : {false, true})
      for (bool count : {false, true}) {
        const Pool pool{.kind = kind, .kernel = {3, 2}, .stride = {2, 3}, .dilation = {1, 2}, .pad = {1, 0, 2, 1}, .ceil_mode = ceil, .count_pad = count};
        const PoolLast last{kind, pool.kernel, pool.stride, pool.dilation, pool.pad, ceil, count};
        const Object expected = run1(pool, {x}), got = run1(last, {permuted(x->view(), {0, 2, 3, 1})});
        EXPECT_TRUE(same_contents(*permuted(expected.view(), {0, 2, 3, 1}), *make_constant(got.view())));
      }
}

// --- Resize ----------------------------------------------------------------------------------------------------------

Inputs sized(ConstantPtr x, const std::vector<int64_t>& sizes) { return {std::move(x), nullptr, nullptr, i64(sizes)}; }
Inputs scaled(ConstantPtr x, const Numbers& scales) { return {std::move(x), nullptr, f32({int64_t(scales.size())}, scales)}; }

TEST(ResizeOp, NearestRounding) {
  const auto x = f32({4}, {0, 1, 2, 3});
  const auto down = [&](ResizeNearest nearest) {
    return numbers(Resize{.coordinates = ResizeCoordinates::half_pixel, .nearest = nearest}, scaled(x, {0.5}));  // at 0.5 and 2.5
  };
  EXPECT_EQ(down(ResizeNearest::round_prefer_floor), (Numbers{0, 2}));
  EXPECT_EQ(down(ResizeNearest::round_prefer_ceil), (Numbers{1, 3}));
  EXPECT_EQ(down(ResizeNearest::floor), (Numbers{0, 2}));
  EXPECT_EQ(down(ResizeNearest::ceil), (Numbers{1, 3}));
}

TEST(ResizeOp, ACoordinateThatIsAWholeNumberButForTheScale) {
  // 8 / 1.6f is below 5 in exact arithmetic.
  const Resize op{.coordinates = ResizeCoordinates::asymmetric, .nearest = ResizeNearest::floor};
  EXPECT_EQ(numbers(op, scaled(f32_iota({10}), {1.6})), (Numbers{0, 0, 1, 1, 2, 3, 3, 4, 5, 5, 6, 6, 7, 8, 8, 9}));
  // 3.5 * (1 - 10 / 10.5) + 0.5 / 1.5 - 0.5 is above 0 in double, and 0 in exact arithmetic.
  const Resize symmetric{.coordinates = ResizeCoordinates::half_pixel_symmetric, .nearest = ResizeNearest::ceil};
  EXPECT_EQ(numbers(symmetric, scaled(f32_iota({7}), {1.5})), (Numbers{0, 1, 2, 2, 3, 4, 4, 5, 6, 6}));
}

TEST(ResizeOp, LinearTwoDims) {
  const auto x = f32({1, 1, 2, 2}, {0, 4, 8, 12});
  EXPECT_EQ(numbers(Resize{.mode = ResizeMode::linear, .coordinates = ResizeCoordinates::align_corners}, sized(x, {1, 1, 3, 3})),
            (Numbers{0, 2, 4, 4, 6, 8, 8, 10, 12}));
  EXPECT_EQ(numbers(Resize{.mode = ResizeMode::linear, .axes = {3, -2}}, sized(x, {4, 2})), (Numbers{0, 1, 3, 4, 8, 9, 11, 12}));
}

TEST(ResizeOp, CubicKeepsALine) {
  const auto x = f32_iota({8});
  const Numbers y = numbers(Resize{.mode = ResizeMode::cubic}, scaled(x, {2}));
  for (size_t i = 4; i < 12; ++i) EXPECT_NEAR(y[i], (double(i) + 0.5) / 2 - 0.5, 0.05);  // not at the edges
  EXPECT_EQ(y.size(), 16u);
}

TEST(ResizeOp, Antialias) {
  const auto x = f32({4}, {0, 10, 20, 30});
  // A triangle of twice the width: weights 1, 3, 3, 1 over eighths, the edge repeated.
  EXPECT_EQ(numbers(Resize{.mode = ResizeMode::linear, .antialias = true}, scaled(x, {0.5})), (Numbers{6.25, 23.75}));
}

TEST(ResizeOp, KeepsAspect) {
  const auto x = f32_iota({2, 4});
  EXPECT_EQ(run1(Resize{.aspect = ResizeAspect::not_larger}, sized(x, {7, 8})).shape, (Shape{4, 8}));
  EXPECT_EQ(run1(Resize{.aspect = ResizeAspect::not_smaller}, sized(x, {7, 8})).shape, (Shape{7, 14}));
}

TEST(ResizeOp, CropAndResize) {
  const Resize op{.mode = ResizeMode::linear, .coordinates = ResizeCoordinates::tf_crop_and_resize, .extrapolation = 7};
  EXPECT_EQ(numbers(op, {f32_iota({4}), f32({2}, {0, 2}), nullptr, i64({3})}), (Numbers{0, 3, 7}));
  EXPECT_EQ(numbers(op, {f32_iota({4}), f32({2}, {NAN, 2}), nullptr, i64({3})}), (Numbers{7, 7, 7}));
}

TEST(ResizeOp, OtherTypes) {
  EXPECT_EQ(run1(Resize{}, scaled(make_strings({2}, {"a", "b"}), {2})).strings, (std::vector<std::string>{"a", "a", "b", "b"}));
  EXPECT_EQ(numbers(Resize{}, scaled(tensor(DType::u4, {3}, {1, 2, 3}), {2})), (Numbers{1, 1, 2, 2, 3, 3}));
  EXPECT_EQ(numbers(Resize{.mode = ResizeMode::linear}, scaled(tensor(DType::i8, {3}, {-4, 2, 3}), {2})), (Numbers{-4, -2, 0, 2, 3, 3}));  // -2.5, 0.5, 2.25, 2.75
  // A cubic that overshoots stays within its type.
  for (double v : numbers(Resize{.mode = ResizeMode::cubic}, scaled(tensor(DType::u8, {4}, {0, 0, 255, 255}), {4}))) EXPECT_TRUE(v >= 0 && v <= 255);
  EXPECT_EQ(run1(Resize{}, sized(f32_iota({2, 3}), {0, 3})).shape, (Shape{0, 3}));
}

TEST(ResizeOp, Errors) {
  const auto x = f32_iota({2, 3});
  expect_error(Resize{}, {x}, "scales or sizes");
  expect_error(Resize{}, scaled(x, {2}), "1 scales for 2 axes");
  expect_error(Resize{}, scaled(x, {2, -1}), "positive");
  expect_error(Resize{}, scaled(x, {2, 1e30}), "too large");
  expect_error(Resize{}, sized(x, {2, -1}), "out of range");
  expect_error(Resize{.axes = {1, -1}}, sized(x, {2, 2}), "twice");
  expect_error(Resize{.axes = {2}}, sized(x, {2}), "out of range");
  expect_error(Resize{}, sized(f32({0, 2}, {}), {1, 2}), "extent of 0");
  expect_error(Resize{.mode = ResizeMode::linear}, scaled(make_strings({1}, {"a"}), {2}), "not defined");
  expect_error(Resize{.coordinates = ResizeCoordinates::tf_crop_and_resize}, sized(x, {2, 2}), "region");
}
}  // namespace
}  // namespace engine
