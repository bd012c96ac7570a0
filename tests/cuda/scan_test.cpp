// Running sums, triangles, one-hot rows and samples of images: against plain loops.
#include <numeric>
#include "tests/cuda/device.h"

namespace {
using namespace kernels;
using cuda::GridSampleArgs, cuda::GridSampleProblem, cuda::MapArgs, cuda::OneHotArgs, cuda::ScanProblem;
using schema::DType, schema::GridPadding, schema::ResizeMode;

template <class T> void check_scan(const cuda::Row<ScanProblem, MapArgs>& row, const ScanProblem& p) {
  ASSERT_EQ(row.refusal(p), nullptr);
  std::mt19937 random(test::seed());
  std::vector<T> x(size_t(p.outer * p.n * p.inner)), want(x.size());
  for (T& v : x) v = T(std::uniform_real_distribution<double>(0.5, std::is_same_v<T, float> ? 1.5 : 4.0)(random));
  using Sum = std::conditional_t<std::is_same_v<T, float>, double, uint64_t>;
  for (int64_t line = 0; line < p.outer * p.inner; ++line) {
    Sum sum = p.product;
    for (int64_t d = 0; d < p.n; ++d) {
      const auto e = size_t((line / p.inner * p.n + (p.reverse ? p.n - 1 - d : d)) * p.inner + line % p.inner);
      const Sum with = p.product ? sum * Sum(x[e]) : sum + Sum(x[e]);
      want[e] = T(p.exclusive ? sum : with), sum = with;
    }
  }
  const test::OnDevice<T> in(x);
  const auto got = test::run_as<T>(row, p, MapArgs{in.data(), nullptr}, &MapArgs::y, x.size());
  for (size_t i = 0; i < got.size(); ++i)
    ASSERT_TRUE(got[i] == want[i] || std::fabs(double(got[i]) - double(want[i])) <= 1e-6 * std::fabs(double(want[i])))
        << i << ": " << double(got[i]) << " not " << double(want[i]);
}

class CudaScan : public testing::TestWithParam<size_t> {};
TEST_P(CudaScan, AgainstLoops) {
  const auto& row = cuda::scan_family().all()[GetParam()];
  for (const int64_t n : test::around(row.tile))
    for (const int64_t inner : {1, 3})
      for (const int way : {0, 1, 2, 3}) {
        const ScanProblem p{DType::f32, 2, n, inner, false, way % 2 == 1, way > 1};
        SCOPED_TRACE(std::to_string(n) + " " + std::to_string(inner) + " " + std::to_string(way));
        check_scan<float>(row, p);
        ScanProblem integers = p;
        integers.type = DType::i64, integers.product = true;
        check_scan<int64_t>(row, integers);
        integers.type = DType::u8;
        check_scan<uint8_t>(row, integers);
      }
  check_scan<float>(row, {DType::f32, 1, 2000, 1, true});
  EXPECT_NE(row.refusal({DType::boolean, 1, 1, 1}), nullptr);
  EXPECT_NE(row.refusal({DType::f64, 1, 1, 1}), nullptr);
}
INSTANTIATE_TEST_SUITE_P(Rows, CudaScan, testing::Range<size_t>(0, cuda::scan_family().count),
                         [](const auto& info) { return std::string(cuda::scan_family().all()[info.param].name); });
TEST(CudaScan, FewLinesHaveABlockEach) {
  EXPECT_STREQ(select(cuda::scan_family(), ScanProblem{DType::f32, 4, 10000, 1}, 80)->name, "scan_blocks_cuda");
  EXPECT_STREQ(select(cuda::scan_family(), ScanProblem{DType::f32, 4, 8, 100000}, 80)->name, "scan_lines_cuda");
}

TEST(CudaTriangle, KeepsOneSideOfADiagonal) {
  const auto& row = cuda::triangle_family().all()[0];
  for (const int64_t rows : {0, 1, 15, 16})
    for (const bool upper : {false, true})
      for (const int64_t k : {-20, -1, 0, 1, 17}) {
        const cuda::TriangleProblem p{8, 2, rows, 17, k, upper};
        ASSERT_EQ(row.refusal(p), nullptr);
        std::vector<int64_t> x(size_t(2 * rows * 17)), want(x.size());
        std::iota(x.begin(), x.end(), 1);
        for (int64_t i = 0; i < int64_t(x.size()); ++i)
          want[size_t(i)] = (upper ? i % 17 >= i / 17 % rows + k : i % 17 <= i / 17 % rows + k) ? x[size_t(i)] : 0;
        const test::OnDevice<int64_t> in(x);
        EXPECT_EQ(test::run_as<int64_t>(row, p, MapArgs{in.data(), nullptr}, &MapArgs::y, x.size()), want);
      }
  EXPECT_NE(row.refusal({0, 1, 1, 1}), nullptr);
}

TEST(CudaOneHot, NumbersFromBothEndsAndOutside) {
  const auto& row = cuda::one_hot_family().all()[0];
  const cuda::OneHotProblem p{DType::i32, 2, 3, 5, 2};
  ASSERT_EQ(row.refusal(p), nullptr);
  const test::OnDevice<int32_t> indices(std::vector<int32_t>{0, 4, -1, -5, 5, -6});
  const test::OnDevice<uint16_t> values(std::vector<uint16_t>{7, 9});
  std::vector<uint16_t> want(30, 7);
  const auto set = [&](int64_t o, int64_t at, int64_t i) { want[size_t((o * 5 + at) * 2 + i)] = 9; };
  set(0, 0, 0), set(0, 4, 1), set(1, 4, 0), set(1, 0, 1);
  EXPECT_EQ(test::run_as<uint16_t>(row, p, OneHotArgs{indices.data(), values.data(), nullptr}, &OneHotArgs::y, 30),
            want);
  EXPECT_NE(row.refusal({DType::f32, 4, 1, 1, 1}), nullptr);
}

// Of one dim, by the definition: a weight for each pixel.
std::vector<double> weights(const GridSampleProblem& p, double place, int64_t extent) {
  const auto n = double(extent);
  const double low = p.align_corners ? 0 : -0.5, high = p.align_corners ? n - 1 : n - 0.5;
  const auto mirrored = [&](double at) {
    if (high <= low) return low;
    while (at < low || at > high) at = at < low ? 2 * low - at : 2 * high - at;
    return at;
  };
  double at = p.align_corners ? (place + 1) / 2 * (n - 1) : ((place + 1) * n - 1) / 2;
  if (p.mode == ResizeMode::nearest) at = std::nearbyint(float(at));
  if (p.padding == GridPadding::reflection) at = mirrored(at);
  if (p.padding == GridPadding::border && (at < low || at > high)) at = std::clamp(at, 0.0, n - 1);
  std::vector<double> all(size_t(extent), 0);
  const auto add = [&](double i, double weight) {
    if (p.padding == GridPadding::reflection) i = std::trunc(mirrored(i));
    if (p.padding != GridPadding::zeros) i = std::clamp(i, 0.0, n - 1);
    if (i >= 0 && i < n) all[size_t(i)] += weight;
  };
  const double base = std::floor(at), t = at - base;
  if (p.mode == ResizeMode::nearest) add(at, 1);
  else if (p.mode == ResizeMode::linear) add(base, 1 - t), add(base + 1, t);
  else
    for (int k = -1; k < 3; ++k) {
      const double d = std::fabs(t - k);
      add(base + k, d <= 1 ? (1.25 * d - 2.25) * d * d + 1 : ((-0.75 * d + 3.75) * d - 6) * d + 3);
    }
  return all;
}
TEST(CudaGridSample, EveryModeAndPadding) {
  const auto& row = cuda::grid_sample_family().all()[0];
  for (const ResizeMode mode : {ResizeMode::nearest, ResizeMode::linear, ResizeMode::cubic})
    for (const GridPadding padding : {GridPadding::zeros, GridPadding::border, GridPadding::reflection})
      for (const bool corners : {false, true})
        for (const auto& [height, width] : {std::pair<int64_t, int64_t>{5, 7}, {1, 2}}) {
          const GridSampleProblem p{mode, padding, corners, 4, 2, 9, height, width, 70};
          ASSERT_EQ(row.refusal(p), nullptr);
          const test::Buffer x(size_t(2 * 9 * height * width), 1), grid(size_t(2 * 70 * 2), 2, -2.3f, 2.3f);
          const test::OnDevice<float> x_(x), grid_(grid);
          const auto got =
              test::run(row, p, GridSampleArgs{x_.data(), grid_.data(), nullptr}, &GridSampleArgs::y, 2 * 9 * 70);
          for (int64_t i = 0; i < 2 * 9 * 70; ++i) {
            const int64_t image = i / 70, place = i / (9 * 70) * 70 + i % 70;
            const auto columns = weights(p, grid[size_t(place * 2)], width),
                       rows = weights(p, grid[size_t(place * 2 + 1)], height);
            double want = 0;
            for (int64_t r = 0; r < height; ++r)
              for (int64_t c = 0; c < width; ++c)
                want += rows[size_t(r)] * columns[size_t(c)] * x[size_t((image * height + r) * width + c)];
            ASSERT_TRUE(test::near(got[size_t(i)], want, 2e-5))
                << int(mode) << int(padding) << corners << " " << i << ": " << got[size_t(i)] << " not " << want;
          }
        }
  const GridSampleProblem far{ResizeMode::linear, GridPadding::zeros, false, 4, 1, 1, 2, 2, 2};
  const test::OnDevice<float> x(std::vector<float>{1, 2, 3, 4}), grid(std::vector<float>{NAN, 0, 1e30f, -INFINITY});
  EXPECT_EQ(test::run(row, far, GridSampleArgs{x.data(), grid.data(), nullptr}, &GridSampleArgs::y, 2),
            (std::vector<float>{0, 0}));
  EXPECT_NE(row.refusal({ResizeMode::linear, GridPadding::zeros, false, 8, 1, 1, 1, 1, 1}), nullptr);
}
}  // namespace
