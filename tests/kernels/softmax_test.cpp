#include "kernels/softmax/softmax.h"
#include "tests/kernels/util.h"

namespace {
using namespace kernels;
using schema::SoftmaxKind;
using softmax::Spec;

std::vector<double> want(const Spec& s, const test::Buffer& x) {
  std::vector<double> y(x.size());
  for (int64_t o = 0; o < s.outer; ++o)
    for (int64_t c = 0; c < s.inner; ++c) {
      const auto at = [&](int64_t i) { return static_cast<size_t>((o * s.n + i) * s.inner + c); };
      double most = -INFINITY, sum = 0;
      for (int64_t i = 0; i < s.n; ++i) most = std::fmax(most, x[at(i)]);
      for (int64_t i = 0; i < s.n; ++i) sum += std::exp(x[at(i)] - most);
      for (int64_t i = 0; i < s.n; ++i) {
        const double shifted = x[at(i)] - most;
        y[at(i)] = s.kind == SoftmaxKind::softmax ? std::exp(shifted) / sum : shifted - std::log(sum);
      }
    }
  return y;
}

std::vector<float> run(const softmax::Kernel& kernel, const test::Buffer& x, ThreadPool& pool) {
  const test::Buffer y(x.size());
  kernel.run(x.data(), y.data(), pool);
  EXPECT_TRUE(y.guards_intact());
  return {y.data(), y.data() + y.size()};
}

void check(const softmax::Row& row, const Spec& s, std::vector<float> specials = {}) {
  SCOPED_TRACE("seed " + std::to_string(test::seed()) + ": " + std::string(schema::name(s.kind)) + " [" +
               std::to_string(s.outer) + ", " + std::to_string(s.n) + ", " + std::to_string(s.inner) + "]");
  ASSERT_EQ(row.supports(s).refusal, "");
  const softmax::Kernel kernel = row.make(s);
  ASSERT_TRUE(kernel);
  const test::Buffer x(s.outer * s.n * s.inner, 1, -20, 20);
  for (size_t i = 0; i < specials.size() && i * 11 < x.size(); ++i) x[i * 11] = specials[i];
  ThreadPool one(1), two(2), three(3);
  const std::vector<float> y = run(kernel, x, one);
  const std::vector<double> expected = want(s, x);
  for (size_t i = 0; i < y.size(); ++i)
    ASSERT_TRUE(test::near(y[i], expected[i], 2e-6)) << "at " << i << ": " << y[i] << " not " << expected[i];
  for (ThreadPool* pool : {&two, &three}) {
    const std::vector<float> again = run(kernel, x, *pool);
    ASSERT_TRUE(y.empty() || std::memcmp(y.data(), again.data(), y.size() * sizeof(float)) == 0) << "on more threads";
  }
}

class SoftmaxRow : public testing::TestWithParam<size_t> {
 protected:
  const softmax::Row& row = softmax::rows()[GetParam()];
  void SetUp() override {
    if (const std::string reason = test::unavailable(row); !reason.empty()) GTEST_SKIP() << reason;
  }
};

TEST_P(SoftmaxRow, ExtentsAroundTheTile) {
  const int64_t t = row.tile;
  for (const SoftmaxKind kind : {SoftmaxKind::softmax, SoftmaxKind::log_softmax})
    for (const int64_t extent : {int64_t{0}, int64_t{1}, t - 1, t, t + 1, 4 * t - 1, 4 * t, 7 * t + 3, int64_t{1000}}) {
      check(row, {kind, 1, extent, 1});
      check(row, {kind, 70, extent, 1});
      check(row, {kind, 2, 5, extent});
      check(row, {kind, 3, extent, 21});
      check(row, {kind, 1, extent, 150});
      if (HasFatalFailure()) return;
    }
}

TEST_P(SoftmaxRow, ShortRows) {
  const int64_t t = row.tile;
  for (const SoftmaxKind kind : {SoftmaxKind::softmax, SoftmaxKind::log_softmax})
    for (int64_t n = 1; n <= 9; ++n)
      for (const int64_t rows : {int64_t{1}, t - 1, t, t + 1, 3 * t + 2, int64_t{4200}}) {
        check(row, {kind, rows, n, 1});
        check(row, {kind, rows, n, 1}, {NAN, INFINITY, -INFINITY, 1e9f, -3e38f});
        if (HasFatalFailure()) return;
      }
}

TEST_P(SoftmaxRow, NanAndInfinity) {
  constexpr float inf = INFINITY;
  for (const SoftmaxKind kind : {SoftmaxKind::softmax, SoftmaxKind::log_softmax})
    for (const std::vector<float>& specials :
         {std::vector<float>{NAN}, {-inf, -inf}, {inf}, {NAN, inf, -inf}, {-1e9f, 1e9f}, {3e38f, -1e30f}}) {
      check(row, {kind, 5, 37, 1}, specials);
      check(row, {kind, 40, 11, 1}, specials);
      check(row, {kind, 2, 11, 21}, specials);
      check(row, {kind, 30, 1, 1}, specials);
      if (HasFatalFailure()) return;
    }
}

TEST_P(SoftmaxRow, Refusals) { EXPECT_NE(row.supports({SoftmaxKind::hardmax, 1, 2, 3}).refusal, ""); }

INSTANTIATE_TEST_SUITE_P(Rows, SoftmaxRow, testing::Range<size_t>(0, softmax::rows().size()),
                         [](const auto& info) { return std::string(softmax::rows()[info.param].name); });
}  // namespace
