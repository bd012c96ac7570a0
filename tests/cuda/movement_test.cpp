// Pads, resizes, casts, and functions of broadcast inputs.
#include "kernels/pad/pad.h"
#include "kernels/resize/resize.h"
#include "tests/cuda/device.h"

namespace {
using namespace kernels;
using cuda::BroadcastArgs, cuda::BroadcastProblem;
using schema::BinaryKind, schema::DType, schema::PadMode, schema::UnaryKind;

std::vector<float> numbers(size_t n, unsigned salt = 1) {
  const test::Buffer values(n, salt);
  return {values.data(), values.data() + n};
}

void check_pad(PadMode mode, const std::vector<pad::Dim>& dims, bool with_value) {
  pad::Spec spec{4, mode, dims};
  cuda::PadProblem p{.element_bytes = 4, .mode = mode, .dims = int(dims.size())};
  size_t in = 1, out = 1;
  std::string text = std::string(schema::name(mode)) + ":";
  for (size_t d = 0; d < dims.size(); ++d) {
    p.extents[d] = dims[d].extent, p.begin[d] = dims[d].begin, p.end[d] = dims[d].end;
    in *= size_t(dims[d].extent), out *= size_t(dims[d].out());
    text +=
        " " + std::to_string(dims[d].extent) + "+" + std::to_string(dims[d].begin) + "+" + std::to_string(dims[d].end);
  }
  SCOPED_TRACE(text);
  const auto x = numbers(in);
  const float value = 7;
  std::vector<float> want(out);
  ThreadPool pool(1);
  pad::Kernel(spec).run(x.data(), with_value ? &value : nullptr, want.data(), pool);
  const auto& row = cuda::pad_family().all()[0];
  ASSERT_EQ(row.refusal(p), nullptr);
  const test::OnDevice<float> x_(x), value_(std::vector<float>{value});
  const cuda::PadArgs args{x_.data(), with_value ? value_.data() : nullptr, nullptr};
  EXPECT_EQ(test::run_as<float>(row, p, args, &cuda::PadArgs::y, out), want);
}

TEST(CudaPad, EveryMode) {
  for (int mode = 0; mode < int(schema::names<PadMode>.size()); ++mode) {
    for (const int64_t n : {2, 5, 255, 256, 257}) check_pad(PadMode(mode), {{n, 1, 3}}, true);
    check_pad(PadMode(mode), {{3, 0, 2}, {4, 2, 0}, {5, 1, 1}, {6, 3, 2}}, mode % 2);
    check_pad(PadMode(mode), {{6, -2, 1}, {7, 1, -3}}, true);
    check_pad(PadMode(mode), {{3, 7, 8}, {1, 2, 2}}, false);
  }
  check_pad(PadMode::constant, {{0, 2, 3}, {4, 0, 0}}, true);
}

void check_resize(const resize::Spec& s) {
  const cuda::ResizeProblem p{s.element_bytes,     s.outer,   s.height, s.width, s.inner, s.rows.outputs(),
                              s.columns.outputs(), s.copies()};
  const auto x = numbers(size_t(s.outer * s.height * s.width * s.inner));
  const auto n = size_t(p.outer * p.out_height * p.out_width * p.inner);
  std::vector<float> want(n);
  ThreadPool pool(1);
  resize::scalar::make(s).run(x.data(), want.data(), pool);
  const auto& row = cuda::resize_family().all()[0];
  ASSERT_EQ(row.refusal(p), nullptr);
  struct Tables {
    test::OnDevice<int64_t> first, index;
    test::OnDevice<float> weight;
    explicit Tables(const resize::Axis& a) : first(a.first), index(a.index), weight(a.weight) {}
    cuda::ResizeAxis at() const { return {first.data(), index.data(), weight.data()}; }
  } rows(s.rows), columns(s.columns);
  const test::OnDevice<float> x_(x);
  struct Args {
    float* y;
  };
  struct Typed {
    const cuda::Row<cuda::ResizeProblem, cuda::ResizeArgs>& row;
    cuda::ResizeArgs args;
    cuda::Failure run(const cuda::ResizeProblem& problem, const Args& a, cuda::Stream* stream) const {
      auto given = args;
      given.y = a.y;
      return row.run(problem, given, stream);
    }
  } typed{row, {x_.data(), nullptr, rows.at(), columns.at()}};
  const auto got = test::run(typed, p, Args{}, &Args::y, n);
  for (size_t i = 0; i < n; ++i)
    ASSERT_TRUE(test::near(got[i], want[i], 2e-6)) << i << ": " << got[i] << " not " << want[i];
}

TEST(CudaResize, CopiesAndSums) {
  const resize::Axis one{{0, 1}, {0}, {1}}, twice{{0, 1, 2, 3, 4, 5, 6}, {0, 0, 1, 1, 2, 2}, {1, 1, 1, 1, 1, 1}};
  const resize::Axis linear{{0, 1, 3, 5, 6}, {0, 0, 1, 1, 2, 2}, {1, 0.75f, 0.25f, 0.25f, 0.75f, 1}};
  for (const int64_t inner : {1, 3, 64, 100}) {
    check_resize({4, 2, 3, 3, inner, twice, twice});
    check_resize({4, 2, 3, 3, inner, linear, twice});
    check_resize({4, 1, 3, 3, inner, linear, linear});
    check_resize({4, 2, 1, 3, inner, one, linear});
  }
  EXPECT_NE(cuda::resize_family().all()[0].refusal({.element_bytes = 2, .copies = false}), nullptr);
}

template <class To, class From> std::vector<To> cast(DType from, DType to, const std::vector<From>& x) {
  const auto& row = cuda::cast_family().all()[0];
  const cuda::CastProblem p{from, to, int64_t(x.size())};
  EXPECT_EQ(row.refusal(p), nullptr);
  const test::OnDevice<From> x_(x);
  struct Args {
    To* y;
  };
  struct Typed {
    const cuda::Row<cuda::CastProblem, cuda::CopyArgs>& row;
    const void* x;
    cuda::Failure run(const cuda::CastProblem& problem, const Args& a, cuda::Stream* stream) const {
      return row.run(problem, {x, a.y}, stream);
    }
  } typed{row, x_.data()};
  return test::run(typed, p, Args{}, &Args::y, x.size());
}

TEST(CudaCast, Numbers) {
  const std::vector<float> x{0, 1, -1, 2.9f, -2.9f, 300, -300, 1e10f, NAN, INFINITY, -INFINITY};
  EXPECT_EQ((cast<int64_t>(DType::f32, DType::i64, x)),
            (std::vector<int64_t>{0, 1, -1, 2, -2, 300, -300, 10000000000, 0, INT64_MAX, INT64_MIN}));
  EXPECT_EQ((cast<uint8_t>(DType::f32, DType::boolean, x)), (std::vector<uint8_t>{0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}));
  EXPECT_EQ((cast<uint8_t>(DType::f32, DType::u8, std::vector<float>{5.5f, 300})), (std::vector<uint8_t>{5, 44}));
  EXPECT_EQ((cast<float>(DType::i64, DType::f32, std::vector<int64_t>{0, -7, 16777217})),
            (std::vector<float>{0, -7, 16777216}));
  EXPECT_EQ((cast<int32_t>(DType::i64, DType::i32, std::vector<int64_t>{5, -5, (int64_t{1} << 32) + 3})),
            (std::vector<int32_t>{5, -5, 3}));
  EXPECT_EQ((cast<float>(DType::boolean, DType::f32, std::vector<uint8_t>{0, 1})), (std::vector<float>{0, 1}));
  for (const size_t n : {0, 1, 255, 256, 257})
    EXPECT_EQ((cast<int32_t>(DType::i32, DType::i32, std::vector<int32_t>(n, 3))), std::vector<int32_t>(n, 3));
}

TEST(CudaCast, EveryHalfAndBfloatComesBack) {
  std::vector<uint16_t> all(1 << 16);
  for (size_t i = 0; i < all.size(); ++i) all[i] = uint16_t(i);
  for (const DType type : {DType::f16, DType::bf16}) {
    const auto wide = cast<float>(type, DType::f32, all);
    const auto back = cast<uint16_t>(DType::f32, type, wide);
    for (size_t i = 0; i < all.size(); ++i) ASSERT_TRUE(std::isnan(wide[i]) || back[i] == all[i]) << i;
  }
  EXPECT_EQ((cast<float>(DType::f16, DType::f32, std::vector<uint16_t>{0x3c00, 0x0001, 0x7bff, 0xc000})),
            (std::vector<float>{1, 0x1p-24f, 65504, -2}));
}

TEST(CudaCast, RoundsToNearestEven) {
  const std::vector<float> x{1 + 0x1p-11f, 1 + 3 * 0x1p-11f, 65519, 65520, 0x1p-25f, 0x1.8p-25f, 0x1p-14f - 0x1p-26f};
  EXPECT_EQ((cast<uint16_t>(DType::f32, DType::f16, x)),
            (std::vector<uint16_t>{0x3c00, 0x3c02, 0x7bff, 0x7c00, 0x0000, 0x0001, 0x0400}));
  EXPECT_EQ((cast<uint16_t>(DType::f32, DType::bf16, std::vector<float>{1 + 0x1p-8f, 1 + 3 * 0x1p-8f})),
            (std::vector<uint16_t>{0x3f80, 0x3f82}));
  EXPECT_EQ((cast<uint16_t>(DType::i64, DType::f16, std::vector<int64_t>{-3, 2049, 2051, 65519, 65520, INT64_MIN})),
            (std::vector<uint16_t>{0xc200, 0x6800, 0x6802, 0x7bff, 0x7c00, 0xfc00}));
  EXPECT_NE(cuda::cast_family().all()[0].refusal({DType::i64, DType::bf16, 1}), nullptr);
}

TEST(CudaBroadcast, FunctionsAndChoices) {
  const auto& row = cuda::broadcast_family().all()[0];
  const auto a = numbers(12, 1), b = numbers(20, 2);
  const test::OnDevice<float> a_(a), b_(b);
  // a [3,4,1], b [1,4,5] → [3,4,5]
  BroadcastProblem p{
      .op = schema::BinaryKind::sub, .dims = 3, .extents = {3, 4, 5}, .strides = {{4, 1, 0}, {0, 5, 1}, {0, 0, 0}}};
  const auto go = [&]<class T>(const BroadcastProblem& problem, const void* x, const void* y, const void* z, T) {
    EXPECT_EQ(row.refusal(problem), nullptr);
    return test::run_as<T>(row, problem, BroadcastArgs{{x, y, z}, nullptr}, &BroadcastArgs::y, size_t(60));
  };
  const auto difference = go(p, a_.data(), b_.data(), nullptr, float{});
  p.op = schema::BinaryKind::less, p.out = DType::boolean;
  const auto less = go(p, a_.data(), b_.data(), nullptr, uint8_t{});
  std::vector<uint8_t> condition{1, 0, 0, 1, 1};
  const test::OnDevice<uint8_t> condition_(condition);
  BroadcastProblem w{.kind = BroadcastProblem::where,
                     .element_bytes = 4,
                     .dims = 3,
                     .extents = {3, 4, 5},
                     .strides = {{0, 0, 1}, {4, 1, 0}, {0, 5, 1}}};
  const auto chosen = go(w, condition_.data(), a_.data(), b_.data(), float{});
  for (size_t i = 0; i < 60; ++i) {
    const float x = a[i / 20 * 4 + i / 5 % 4], y = b[i % 20];
    EXPECT_EQ(difference[i], x - y);
    EXPECT_EQ(less[i], x < y);
    EXPECT_EQ(chosen[i], condition[i % 5] ? x : y);
  }
  EXPECT_NE(row.refusal({.kind = BroadcastProblem::binary, .op = schema::BinaryKind::bit_and}), nullptr);
}

// Along one dim, of n numbers of a type.
template <class Out, class T>
std::vector<Out> apply(BroadcastProblem p, const std::vector<T>& x, const std::vector<T>& y = {}) {
  const auto& row = cuda::broadcast_family().all()[0];
  p.dims = 1, p.extents[0] = int64_t(x.size()), p.strides[0][0] = 1, p.strides[1][0] = y.size() > 1;
  EXPECT_EQ(row.refusal(p), nullptr);
  const test::OnDevice<T> x_(x), y_(y);
  return test::run_as<Out>(row, p, BroadcastArgs{{x_.data(), y_.data()}, nullptr}, &BroadcastArgs::y, x.size());
}

TEST(CudaBroadcast, IntegersWrapAndRoundTowardZero) {
  const auto binary = [](BinaryKind op, DType type, DType out) {
    return BroadcastProblem{.op = op, .type = type, .out = out};
  };
  const std::vector<int32_t> x{7, -7, INT32_MAX, 0, -8}, y{2, 2, 1, -3, -1};
  const auto on_i32 = [&](BinaryKind op) { return apply<int32_t>(binary(op, DType::i32, DType::i32), x, y); };
  EXPECT_EQ(on_i32(BinaryKind::add), (std::vector<int32_t>{9, -5, INT32_MIN, -3, -9}));
  EXPECT_EQ(on_i32(BinaryKind::div), (std::vector<int32_t>{3, -3, INT32_MAX, 0, 8}));
  EXPECT_EQ(on_i32(BinaryKind::mod), (std::vector<int32_t>{1, 1, 0, 0, 0}));
  EXPECT_EQ(on_i32(BinaryKind::fmod), (std::vector<int32_t>{1, -1, 0, 0, 0}));
  EXPECT_EQ(on_i32(BinaryKind::min), (std::vector<int32_t>{2, -7, 1, -3, -8}));
  EXPECT_EQ(apply<int64_t>(binary(BinaryKind::pow, DType::i64, DType::i64), std::vector<int64_t>{3, -1, 2, -2},
                           std::vector<int64_t>{4, -3, -1, 3}),
            (std::vector<int64_t>{81, -1, 0, -8}));
  const std::vector<int64_t> big{INT64_MIN, 5, 1, -1}, by{-1, 64, 3, 70};
  EXPECT_EQ(apply<int64_t>(binary(BinaryKind::div, DType::i64, DType::i64), big, by),
            (std::vector<int64_t>{INT64_MIN, 0, 0, 0}));
  EXPECT_EQ(apply<int64_t>(binary(BinaryKind::shift_left, DType::i64, DType::i64), big, by),
            (std::vector<int64_t>{0, 0, 8, 0}));
  EXPECT_EQ(apply<int64_t>(binary(BinaryKind::shift_right, DType::i64, DType::i64), big, by),
            (std::vector<int64_t>{-1, 0, 0, -1}));
  EXPECT_EQ(
      apply<uint8_t>(binary(BinaryKind::sub, DType::u8, DType::u8), std::vector<uint8_t>{3}, std::vector<uint8_t>{5}),
      std::vector<uint8_t>{254});
  EXPECT_EQ(apply<uint8_t>(binary(BinaryKind::greater, DType::i64, DType::boolean), big, by),
            (std::vector<uint8_t>{0, 0, 0, 0}));
  const std::vector<uint8_t> p{0, 1, 2, 0}, q{0, 0, 1, 255};  // any byte but 0 is true
  EXPECT_EQ(apply<uint8_t>(binary(BinaryKind::logical_and, DType::boolean, DType::boolean), p, q),
            (std::vector<uint8_t>{0, 0, 1, 0}));
  EXPECT_EQ(apply<uint8_t>(binary(BinaryKind::equal, DType::boolean, DType::boolean), p, q),
            (std::vector<uint8_t>{1, 0, 1, 0}));
  const std::vector<float> real{1, NAN, INFINITY, -2};
  EXPECT_EQ(
      apply<uint8_t>({.kind = BroadcastProblem::unary, .function = UnaryKind::is_nan, .out = DType::boolean}, real),
      (std::vector<uint8_t>{0, 1, 0, 0}));
  EXPECT_EQ(apply<uint8_t>({.kind = BroadcastProblem::unary,
                            .function = UnaryKind::logical_not,
                            .type = DType::boolean,
                            .out = DType::boolean},
                           p),
            (std::vector<uint8_t>{1, 0, 0, 1}));
  EXPECT_EQ(
      apply<int64_t>(
          {.kind = BroadcastProblem::unary, .function = UnaryKind::abs, .type = DType::i64, .out = DType::i64}, big),
      (std::vector<int64_t>{INT64_MIN, 5, 1, 1}));
  const auto& row = cuda::broadcast_family().all()[0];
  EXPECT_NE(
      row.refusal({.kind = BroadcastProblem::unary, .function = UnaryKind::exp, .type = DType::i32, .out = DType::i32}),
      nullptr);
  EXPECT_NE(row.refusal({.op = BinaryKind::add, .type = DType::u64, .out = DType::u64}), nullptr);
}

TEST(CudaBroadcast, ReportsDivisionByZero) {
  const std::vector<int64_t> x{1, 2, 3}, y{1, 0, 0};
  const test::OnDevice<int64_t> x_(x), y_(y), z(3);
  const BroadcastProblem p{
      .op = BinaryKind::mod, .type = DType::i64, .out = DType::i64, .dims = 1, .extents = {3}, .strides = {{1}, {1}}};
  const cuda::Fault fault =
      test::fault_of(cuda::broadcast_family().all()[0], p, BroadcastArgs{{x_.data(), y_.data()}, z.data()});
  EXPECT_TRUE(fault.any && fault.what == cuda::Refused::divisor);
  EXPECT_EQ(fault.position, 1);
}

template <class T>
void check_quantize(DType type, std::vector<float> x, float scale, T zero, const std::vector<T>& want,
                    const std::vector<float>& back) {
  const auto& row = cuda::quantize_family().all()[0];
  const cuda::QuantizeProblem p{type, false, 1, int64_t(x.size()), 1};
  const test::OnDevice<float> x_(x), scale_(std::vector<float>{scale});
  const test::OnDevice<T> zero_(std::vector<T>{zero}), want_(want);
  ASSERT_EQ(row.refusal(p), nullptr);
  using Args = cuda::QuantizeArgs;
  EXPECT_EQ(test::run_as<T>(row, p, Args{x_.data(), scale_.data(), zero_.data(), nullptr}, &Args::y, x.size()), want);
  EXPECT_EQ(test::run_as<float>(row, cuda::QuantizeProblem{type, true, 1, int64_t(x.size()), 1},
                                Args{want_.data(), scale_.data(), zero_.data(), nullptr}, &Args::y, x.size()),
            back);
}
TEST(CudaQuantize, RoundsToEvenAndSaturates) {
  check_quantize<uint8_t>(DType::u8, {0.25f, 0.75f, -100, 1000, NAN}, 0.5f, 3, {3, 5, 0, 255, 0},
                          {0, 1, -1.5f, 126, -1.5f});
  check_quantize<int8_t>(DType::i8, {0.25f, -0.75f, -100, 1000, NAN}, 0.5f, -1, {-1, -3, -128, 127, 0},
                         {0, -1, -63.5f, 64, 0.5f});
  check_quantize<int16_t>(DType::i16, {1, -1e9f, 1e9f}, 0.25f, 2, {6, -32768, 32767}, {1, -8192.5f, 8191.25f});
}
TEST(CudaQuantize, AScalePerSlice) {
  const auto& row = cuda::quantize_family().all()[0];
  for (const int64_t n : {1, 5, 255, 256, 257}) {
    const cuda::QuantizeProblem p{DType::i32, true, 6, n, 3};
    std::vector<int32_t> x(size_t(6 * n)), zeros{1, -2, 1 << 25};
    for (size_t i = 0; i < x.size(); ++i) x[i] = int32_t(i * 7919) - 20000;
    const std::vector<float> scale{0.5f, 3, 0.1f};
    const test::OnDevice<int32_t> x_(x), zeros_(zeros);
    const test::OnDevice<float> scale_(scale);
    using Args = cuda::QuantizeArgs;
    const auto got =
        test::run_as<float>(row, p, Args{x_.data(), scale_.data(), zeros_.data(), nullptr}, &Args::y, x.size());
    for (size_t i = 0; i < x.size(); ++i) {
      const size_t s = i / size_t(n) % 3;
      ASSERT_EQ(got[i], float((double(x[i]) - zeros[s]) * double(scale[s]))) << i;
    }
  }
  EXPECT_NE(row.refusal({DType::i32, false, 1, 1, 1}), nullptr);
}
}  // namespace
