#include "kernels/norm/norm.h"
#include "tests/kernels/util.h"

namespace {
using namespace kernels;
using norm::Spec;

struct Problem {
  Spec spec;
  int64_t rows;
  bool bias = true;
  float mean = 0;
};

void check(const norm::Row& row, const Problem& p) {
  const Spec& s = p.spec;
  SCOPED_TRACE("seed " + std::to_string(test::seed()) + ": [" + std::to_string(p.rows) + ", " + std::to_string(s.n) + "]" + (s.rms ? " rms" : ""));
  ASSERT_EQ(row.supports(s).refusal, "");
  const norm::Kernel kernel = row.make(s);
  ASSERT_TRUE(kernel);
  const test::Buffer x(p.rows * s.n, 1, p.mean - 3, p.mean + 3), scale(s.n, 2, -2, 2), bias(s.n, 3, -1, 1);
  std::vector<double> want(x.size());
  for (int64_t r = 0; r < p.rows; ++r) {
    double mean = 0, variance = 0;
    const auto at = [&](int64_t i) { return double(x[static_cast<size_t>(r * s.n + i)]); };
    for (int64_t i = 0; !s.rms && i < s.n; ++i) mean += at(i) / double(s.n);
    for (int64_t i = 0; i < s.n; ++i) variance += (at(i) - mean) * (at(i) - mean) / double(s.n);
    for (int64_t i = 0; i < s.n; ++i)
      want[size_t(r * s.n + i)] = (at(i) - mean) / std::sqrt(variance + s.epsilon) * scale[size_t(i)] + (p.bias ? bias[size_t(i)] : 0);
  }
  ThreadPool one(1), two(2), three(3);
  const test::Buffer y(x.size());
  kernel.run(x.data(), scale.data(), p.bias ? bias.data() : nullptr, y.data(), p.rows, one);
  ASSERT_TRUE(y.guards_intact());
  const double tolerance = 3e-6 * (1 + std::fabs(p.mean));  // of a difference of numbers as large as the mean
  for (size_t i = 0; i < y.size(); ++i) ASSERT_NEAR(y[i], want[i], tolerance * (1 + std::fabs(want[i]))) << "at " << i;
  for (ThreadPool* pool : {&two, &three}) {
    test::Buffer again(x.size());
    std::copy_n(x.data(), x.size(), again.data());
    kernel.run(again.data(), scale.data(), p.bias ? bias.data() : nullptr, again.data(), p.rows, *pool);  // in place
    ASSERT_TRUE(again.guards_intact());
    ASSERT_TRUE(y.size() == 0 || std::memcmp(y.data(), again.data(), y.size() * sizeof(float)) == 0) << "on more threads, in place";
  }
}

class NormRow : public testing::TestWithParam<size_t> {
 protected:
  const norm::Row& row = norm::rows()[GetParam()];
  void SetUp() override {
    if (const std::string reason = test::unavailable(row); !reason.empty()) GTEST_SKIP() << reason;
  }
};

TEST_P(NormRow, ExtentsAroundTheTile) {
  const int64_t t = row.tile;
  for (const bool rms : {false, true})
    for (const int64_t n : {int64_t{1}, int64_t{2}, t - 1, t, t + 1, 4 * t - 1, 4 * t, 4 * t + 1, 64 * t + 4 * t + 3, int64_t{768}, int64_t{5000}})
      for (const int64_t rows : {0, 1, 5, 130})
        if (n) check(row, {{n, rms, 1e-5f}, rows, (n + rows) % 2 == 0});
}

TEST_P(NormRow, MeansFarFromZero) {
  check(row, {{768, false, 1e-12f}, 3, true, 1000});
  check(row, {{1 << 20, false, 1e-5f}, 1, true, 10});
}

TEST_P(NormRow, NanStaysInItsRow) {
  const norm::Kernel kernel = row.make({40, false, 1e-5f});
  const test::Buffer x(120, 1, -1, 1), scale(40, 2, 1, 2), y(120);
  x[50] = NAN;
  ThreadPool pool(1);
  kernel.run(x.data(), scale.data(), nullptr, y.data(), 3, pool);
  for (size_t i = 0; i < 120; ++i) EXPECT_EQ(std::isnan(y[i]), i / 40 == 1) << i;
}

TEST_P(NormRow, Refusals) { EXPECT_NE(row.supports({0, false, 1e-5f}).refusal, ""); }

INSTANTIATE_TEST_SUITE_P(Rows, NormRow, testing::Range<size_t>(0, norm::rows().size()),
                         [](const auto& info) { return std::string(norm::rows()[info.param].name); });
}  // namespace
