// Pooling, softmax, reductions, normalisation: against the scalar kernels of the CPU, or a sum in double.
#include "tests/cuda/device.h"

namespace {
using namespace kernels;
using cuda::MapArgs;
using schema::PoolKind, schema::ReduceKind, schema::SoftmaxKind;

template <class Row, class Problem>
std::vector<float> run(const Row& row, const Problem& problem, const test::Buffer& x, size_t n) {
  const test::OnDevice<float> in(x);
  EXPECT_EQ(row.refusal(problem), nullptr);
  return test::run(row, problem, MapArgs{in.data(), nullptr}, &MapArgs::y, n);
}

// A family's second row computes from what is kept as half just what the first one does from the same numbers in f32.
template <class Problem>
void check_kept(const cuda::Family<Problem, MapArgs>& family, Problem p, const test::Buffer& x, size_t n) {
  const auto &of_singles = family.all()[0], &of_kept = family.all()[1];
  for (const auto type : {schema::DType::f16, schema::DType::bf16}) {
    SCOPED_TRACE(schema::name(type));
    const auto half_x = test::halves({x.data(), x.data() + x.size()}, type);
    const test::OnDevice<uint16_t> half(half_x);
    const test::OnDevice<float> whole(test::floats(half_x, type));
    const auto want = test::run(of_singles, p, MapArgs{whole.data(), nullptr}, &MapArgs::y, n);
    p.x = type, p.y = schema::DType::f32;
    EXPECT_NE(of_singles.refusal(p), nullptr);
    ASSERT_EQ(of_kept.refusal(p), nullptr);
    const MapArgs args{half.data(), nullptr};
    test::expect_same(test::run(of_kept, p, args, &MapArgs::y, n), want, 1e-5);
    p.y = type;
    test::expect_same(test::floats(test::run_as<uint16_t>(of_kept, p, args, &MapArgs::y, n), type),
                      test::floats(test::halves(want, type), type), 8e-3);
    p.x = p.y = schema::DType::f32;
  }
}

void expect_near(const std::vector<float>& got, const test::Buffer& want, double tolerance) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); ++i)
    ASSERT_TRUE(test::near(got[i], want[i], tolerance)) << i << ": " << got[i] << " not " << want[i];
}

TEST(CudaPool, AgainstTheCpu) {
  const auto& row = cuda::pool_family().all()[0];
  std::mt19937 random(test::seed());
  const auto pick = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); };
  for (int i = 0; i < 120; ++i) {
    pool::Spec s;
    s.kind = pick(0, 1) ? PoolKind::max : PoolKind::average;
    s.channels = i < 5 ? test::around(row.tile)[size_t(i)] : pick(1, 40);
    s.height = pick(1, 9), s.width = pick(1, 9);
    s.kernel_h = pick(1, 4), s.kernel_w = pick(1, 4), s.stride_h = pick(1, 3), s.stride_w = pick(1, 3),
    s.dilation_h = pick(1, 2), s.dilation_w = pick(1, 2);
    s.pad_top = pick(0, 4), s.pad_left = pick(0, 4), s.pad_bottom = pick(0, 4), s.pad_right = pick(0, 4);
    s.count_pad = pick(0, 1);
    s.x_pitch = s.channels + pick(0, 1) * 5, s.y_pitch = s.channels + pick(0, 1) * 3;
    s.out_height = std::max<int64_t>(
        0, (s.height + s.pad_top + s.pad_bottom - (s.kernel_h - 1) * s.dilation_h - 1) / s.stride_h + 1);
    s.out_width = std::max<int64_t>(
        0, (s.width + s.pad_left + s.pad_right - (s.kernel_w - 1) * s.dilation_w - 1) / s.stride_w + 1);
    const int64_t batch = pick(1, 2), pixels = batch * s.out_height * s.out_width;
    const test::Buffer x(size_t(batch * s.height * s.width * s.x_pitch), unsigned(i)),
        want(pixels ? size_t((pixels - 1) * s.y_pitch + s.channels) : 0);
    ThreadPool pool(1);
    pool::scalar::make(s).run(x.data(), want.data(), batch, pool);
    SCOPED_TRACE(i);
    expect_near(run(row, cuda::PoolProblem{s, batch}, x, want.size()), want, 2e-6);
    if (i % 10 == 0 && s.y_pitch == s.channels) check_kept(cuda::pool_family(), {s, batch}, x, want.size());
    if (HasFatalFailure()) return;
  }
}

TEST(CudaSoftmax, RowsAndColumns) {
  const auto& row = cuda::softmax_family().all()[0];
  for (const SoftmaxKind kind : {SoftmaxKind::softmax, SoftmaxKind::log_softmax})
    for (const int64_t inner : {1, 3, 40})
      for (const int64_t n :
           {int64_t{1}, int64_t{2}, row.tile - int64_t{1}, int64_t{row.tile}, row.tile + int64_t{1}, int64_t{1000}}) {
        const softmax::Spec s{kind, 3, n, inner};
        const test::Buffer x(size_t(3 * n * inner), 1, -10, 10), want(x.size());
        ThreadPool pool(1);
        softmax::scalar::make(s).run(x.data(), want.data(), pool);
        SCOPED_TRACE(std::to_string(n) + " " + std::to_string(inner));
        expect_near(run(row, cuda::SoftmaxProblem{s}, x, x.size()), want, 2e-6);
        if (n < 1000) check_kept(cuda::softmax_family(), {s}, x, x.size());
      }
  test::Buffer x(2 * 130, 1);
  x[200] = NAN;
  const auto y = run(row, cuda::SoftmaxProblem{{SoftmaxKind::softmax, 2, 130, 1}}, x, x.size());
  EXPECT_FALSE(std::isnan(y[0]));
  EXPECT_TRUE(std::isnan(y[130]) && std::isnan(y[259])) << "a NaN makes its whole row NaN";
  EXPECT_NE(row.refusal({{SoftmaxKind::hardmax, 1, 2, 1}}), nullptr);
}

TEST(CudaReduce, EveryKind) {
  const auto& row = cuda::reduce_family().all()[0];
  for (int kind = 0; kind < int(schema::names<ReduceKind>.size()); ++kind) {
    SCOPED_TRACE(schema::name(ReduceKind(kind)));
    for (const int64_t inner : {int64_t{1}, row.tile - int64_t{1}, int64_t{row.tile}, row.tile + int64_t{1}})
      for (const int64_t n : {1, 7, 8, 9, 255, 256, 257, 3000}) {
        const reduce::Spec s{ReduceKind(kind), 2, n, inner};
        const test::Buffer x(size_t(2 * n * inner), 1, 0.5f, 1.4f), want(size_t(2 * inner));
        if (s.kind == ReduceKind::log_sum_exp) {  // which the CPU has no kernel for
          for (int64_t i = 0; i < 2 * inner; ++i) {
            double sum = 0;
            for (int64_t k = 0; k < n; ++k) sum += std::exp(x[size_t((i / inner * n + k) * inner + i % inner)]);
            want[size_t(i)] = float(std::log(sum));
          }
        } else {
          const auto kernel = reduce::scalar::make(s);
          std::vector<std::byte> scratch(kernel.scratch_bytes());
          ThreadPool pool(1);
          kernel.run(x.data(), want.data(), scratch.data(), pool);
        }
        SCOPED_TRACE(std::to_string(n) + " " + std::to_string(inner));
        expect_near(run(row, cuda::ReduceProblem{s}, x, want.size()), want, s.kind == ReduceKind::prod ? 2e-4 : 5e-6);
        if (n < 300 && s.kind != ReduceKind::prod) check_kept(cuda::reduce_family(), {s}, x, want.size());
      }
  }
  for (const float v : {INFINITY, -INFINITY, NAN, 200.f}) {  // where exponentials would be out of range
    test::Buffer x(3, 1);
    x[1] = v;
    const float y = run(row, cuda::ReduceProblem{{ReduceKind::log_sum_exp, 1, 3, 1}}, x, 1)[0];
    EXPECT_TRUE(std::isnan(v) ? std::isnan(y) : v > 0 ? y == v : std::isfinite(y)) << v << " gives " << y;
  }
}

template <class T> void check_integers(schema::DType type, ReduceKind kind, int64_t n, int64_t inner) {
  const auto& row = cuda::reduce_family().all()[2];
  const cuda::ReduceProblem p{{kind, 2, n, inner}, type, type};
  ASSERT_EQ(row.refusal(p), nullptr);
  std::mt19937_64 random(test::seed());
  std::vector<T> x(size_t(2 * n * inner)), want;
  for (T& v : x) v = T(random());
  for (int64_t i = 0; i < 2 * inner; ++i) {
    const auto at = [&](int64_t k) { return int64_t(x[size_t((i / inner * n + k) * inner + i % inner)]); };
    uint64_t sum = kind == ReduceKind::prod                             ? 1
                   : kind == ReduceKind::min || kind == ReduceKind::max ? uint64_t(at(0))
                                                                        : 0;
    for (int64_t k = 0; k < n; ++k) {
      const auto v = uint64_t(at(k));
      if (kind == ReduceKind::prod) sum *= v;
      else if (kind == ReduceKind::min) sum = uint64_t(std::min(int64_t(sum), at(k)));
      else if (kind == ReduceKind::max) sum = uint64_t(std::max(int64_t(sum), at(k)));
      else sum += kind == ReduceKind::l1 && at(k) < 0 ? -v : kind == ReduceKind::sum_square ? v * v : v;
    }
    want.push_back(T(kind == ReduceKind::mean ? int64_t(sum) / n : int64_t(sum)));
  }
  const test::OnDevice<T> in(x);
  EXPECT_EQ(test::run_as<T>(row, p, MapArgs{in.data(), nullptr}, &MapArgs::y, want.size()), want)
      << schema::name(kind) << " of " << schema::name(type) << " " << n << " " << inner;
}
TEST(CudaReduce, IntegersWrap) {
  for (const ReduceKind kind : {ReduceKind::sum, ReduceKind::mean, ReduceKind::prod, ReduceKind::min, ReduceKind::max,
                                ReduceKind::l1, ReduceKind::sum_square})
    for (const int64_t inner : {1, 33})
      for (const int64_t n : {1, 8, 257}) {
        check_integers<int64_t>(schema::DType::i64, kind, n, inner);
        check_integers<int32_t>(schema::DType::i32, kind, n, inner);
        check_integers<uint8_t>(schema::DType::u8, kind, n, inner);
        check_integers<int8_t>(schema::DType::i8, kind, n, inner);
      }
  const auto& row = cuda::reduce_family().all()[2];
  EXPECT_NE(row.refusal({{ReduceKind::l2, 1, 1, 1}, schema::DType::i32, schema::DType::i32}), nullptr);
  EXPECT_NE(row.refusal({{ReduceKind::sum, 1, 1, 1}}), nullptr);
}

TEST(CudaNorm, LayerAndGroup) {
  const auto& row = cuda::norm_family().all()[0];
  for (const int64_t columns :
       {int64_t{1}, row.tile - int64_t{1}, int64_t{row.tile}, row.tile + int64_t{1}, int64_t{768}})
    for (const int64_t groups : {1, 3})
      for (const int64_t inner : {int64_t{1}, columns})
        for (const bool rms : {false, true}) {
          const cuda::NormProblem p{6, columns, groups, inner, 1e-5, rms};
          const int64_t width = columns / inner;
          const test::Buffer x(size_t(6 * columns), 1, 3, 5), scale(size_t(groups * width), 2),
              bias(size_t(groups * width), 3);
          const test::OnDevice<float> x_(x), scale_(scale), bias_(bias);
          for (const auto type : {schema::DType::f16, schema::DType::bf16}) {  // kept as half
            cuda::NormProblem half = p;
            half.x = half.y = type;
            const auto from = test::halves({x.data(), x.data() + x.size()}, type);
            const test::OnDevice<uint16_t> half_x(from);
            const test::OnDevice<float> whole(test::floats(from, type));
            const auto want = test::run(row, p, cuda::NormArgs{whole.data(), scale_.data(), bias_.data(), nullptr},
                                        &cuda::NormArgs::y, x.size());
            EXPECT_NE(row.refusal(half), nullptr);
            const auto got = test::run_as<uint16_t>(cuda::norm_family().all()[1], half,
                                                    cuda::NormArgs{half_x.data(), scale_.data(), bias_.data(), nullptr},
                                                    &cuda::NormArgs::y, x.size());
            test::expect_same(test::floats(got, type), test::floats(test::halves(want, type), type), 8e-3);
          }
          for (const bool with_bias : {true, false}) {
            const test::OnDevice<float> mean_(6), inverse_(6);
            const auto got = test::run(row, p,
                                       cuda::NormArgs{x_.data(), scale_.data(), with_bias ? bias_.data() : nullptr,
                                                      nullptr, mean_.data(), inverse_.data()},
                                       &cuda::NormArgs::y, x.size());
            const auto means = mean_.read(), inverses = inverse_.read();
            for (int64_t r = 0; r < 6; ++r) {
              double mean = 0, variance = 0;
              for (int64_t c = 0; c < columns; ++c)
                mean += rms ? 0 : double(x[size_t(r * columns + c)]) / double(columns);
              for (int64_t c = 0; c < columns; ++c)
                variance += std::pow(x[size_t(r * columns + c)] - mean, 2) / double(columns);
              EXPECT_TRUE(test::near(means[size_t(r)], mean, 1e-5)) << means[size_t(r)] << " not " << mean;
              EXPECT_TRUE(test::near(inverses[size_t(r)], 1 / std::sqrt(variance + 1e-5), 1e-3)) << inverses[size_t(r)];
              for (int64_t c = 0; c < columns; ++c) {
                const auto k = size_t(r % groups * width + c / inner);
                const double want = (x[size_t(r * columns + c)] - mean) / std::sqrt(variance + 1e-5) * scale[k] +
                                    (with_bias ? bias[k] : 0);
                ASSERT_TRUE(test::near(got[size_t(r * columns + c)], want, columns == 1 ? 1e-3 : 2e-5))
                    << columns << " " << groups << " " << inner << ": " << got[size_t(r * columns + c)] << " not "
                    << want;
              }
            }
          }
        }
}
}  // namespace
