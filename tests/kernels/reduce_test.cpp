#include "kernels/reduce/reduce.h"
#include "tests/kernels/util.h"

namespace {
using namespace kernels;
using reduce::Spec;
using schema::ReduceKind;

double want(const Spec& s, const test::Buffer& x, int64_t o, int64_t c) {
  const auto at = [&](int64_t i) -> double { return x[(o * s.n + i) * s.inner + c]; };
  double sum = 0, square = 0, absolute = 0, prod = 1, least = at(0), most = at(0);
  for (int64_t i = 0; i < s.n; ++i) {
    const double v = at(i);
    sum += v, square += v * v, absolute += std::fabs(v), prod *= v;
    if (std::isnan(v) || v < least) least = v;
    if (std::isnan(v) || v > most) most = v;
    if (std::isnan(sum)) least = most = sum;
  }
  switch (s.kind) {
    case ReduceKind::sum: return sum;
    case ReduceKind::mean: return sum / static_cast<double>(s.n);
    case ReduceKind::prod: return prod;
    case ReduceKind::min: return least;
    case ReduceKind::max: return most;
    case ReduceKind::l1: return absolute;
    case ReduceKind::l2: return std::sqrt(square);
    case ReduceKind::sum_square: return square;
    default: return std::log(sum);
  }
}

std::vector<float> run(const reduce::Kernel& kernel, const Spec& s, const test::Buffer& x, ThreadPool& pool) {
  const test::Buffer y(s.outer * s.inner), scratch(kernel.scratch_bytes() / sizeof(float));
  kernel.run(x.data(), y.data(), scratch.data(), pool);
  EXPECT_TRUE(y.guards_intact() && scratch.guards_intact());
  return {y.data(), y.data() + y.size()};
}

void check(const reduce::Row& row, const Spec& s, float special = 0) {
  SCOPED_TRACE("seed " + std::to_string(test::seed()) + ": " + std::string(schema::name(s.kind)) + " [" +
               std::to_string(s.outer) + ", " + std::to_string(s.n) + ", " + std::to_string(s.inner) + "]");
  ASSERT_EQ(row.supports(s).refusal, "");
  const reduce::Kernel kernel = row.make(s);
  ASSERT_TRUE(kernel);
  const bool around_one = s.kind == ReduceKind::prod, positive = s.kind == ReduceKind::log_sum;
  const test::Buffer x(s.outer * s.n * s.inner, 1, around_one ? 0.95f : positive ? 0.1f : -1, around_one ? 1.05f : 1);
  if (special != 0)
    for (size_t i = 0; i < x.size(); i += 7) x[i] = special;
  ThreadPool one(1), two(2), three(3);
  const std::vector<float> y = run(kernel, s, x, one);
  const bool exact = s.kind == ReduceKind::min || s.kind == ReduceKind::max;
  const double tolerance = exact ? 0 : 1e-6 + 5e-7 * std::sqrt(static_cast<double>(s.n));
  for (int64_t o = 0; o < s.outer; ++o)
    for (int64_t c = 0; c < s.inner; ++c)
      ASSERT_TRUE(test::near(y[o * s.inner + c], want(s, x, o, c), tolerance))
          << o << " " << c << ": " << y[o * s.inner + c] << " not " << want(s, x, o, c);
  for (ThreadPool* pool : {&two, &three}) {
    const std::vector<float> again = run(kernel, s, x, *pool);
    ASSERT_EQ(std::memcmp(y.data(), again.data(), y.size() * sizeof(float)), 0) << "on more threads";
  }
}

class ReduceRow : public testing::TestWithParam<size_t> {
 protected:
  const reduce::Row& row = reduce::rows()[GetParam()];
  void SetUp() override {
    if (const std::string reason = test::unavailable(row); !reason.empty()) GTEST_SKIP() << reason;
  }
};

constexpr ReduceKind kinds[] = {ReduceKind::sum, ReduceKind::mean,       ReduceKind::prod,
                                ReduceKind::min, ReduceKind::max,        ReduceKind::l1,
                                ReduceKind::l2,  ReduceKind::sum_square, ReduceKind::log_sum};

TEST_P(ReduceRow, ExtentsAroundTheTile) {
  const int64_t t = row.tile;
  for (const ReduceKind kind : kinds)
    for (const int64_t extent : {int64_t{1}, t - 1, t, t + 1, 4 * t - 1, 4 * t, 7 * t + 3}) {
      if (extent == 0) continue;
      for (const int64_t outer : {1, 3}) {
        check(row, {kind, outer, extent, 1});
        check(row, {kind, outer, 5, extent});
        check(row, {kind, outer, extent, 200});
      }
      if (HasFatalFailure()) return;
    }
}

TEST_P(ReduceRow, InParts) {
  for (const ReduceKind kind : kinds) {
    check(row, {kind, 1, 8192, 1});
    check(row, {kind, 2, 8193, 1});
    check(row, {kind, 1, 100003, 1});
    check(row, {kind, 2, 256, 70});
    check(row, {kind, 1, 257, 130});
    check(row, {kind, 3, 3000, 17});
    check(row, {kind, 500, 33, 1});
    if (HasFatalFailure()) return;
  }
}

TEST_P(ReduceRow, FewColumns) {
  for (const ReduceKind kind : kinds)
    for (const int64_t columns : {2, 3, 4, 5, 6, 8, 12, 15}) {
      for (const int64_t n : {9, 31, 32, 43, 64, 65, 129, 255, 1000}) check(row, {kind, 2, n, columns});
      if (kind == ReduceKind::log_sum) continue;
      check(row, {kind, 1, 300, columns}, NAN);
      if (HasFatalFailure()) return;
    }
}

TEST_P(ReduceRow, NanAndInfinity) {
  for (const ReduceKind kind : kinds)
    for (const float special : {NAN, INFINITY, -INFINITY}) {
      if (kind == ReduceKind::log_sum && special < 0) continue;
      for (const int64_t n : {5, 70, 300}) check(row, {kind, 2, n, 1}, special), check(row, {kind, 1, n, 23}, special);
      if (HasFatalFailure()) return;
    }
}

// Adding 0.1 to a large sum loses the same digits each time.
TEST_P(ReduceRow, LongSumsKeepTheirDigits) {
  ThreadPool pool(2);
  for (const auto [outer, n, inner] : {std::array<int64_t, 3>{1, 10'000'000, 1}, {1, 1'000'000, 8}, {1, 1'000'000, 3}, {2, 100'000, 33}, {3, 8192, 1}, {1, 256, 70}}) {
    const test::Buffer x(outer * n * inner, 1, 0.1f, 0.1f);
    for (const ReduceKind kind : {ReduceKind::sum, ReduceKind::mean, ReduceKind::l1, ReduceKind::l2, ReduceKind::sum_square, ReduceKind::log_sum}) {
      const Spec s{kind, outer, n, inner};
      const double each = x[0], sum = each * double(n), squares = each * sum;
      const double wanted = kind == ReduceKind::mean      ? each
                          : kind == ReduceKind::l2         ? std::sqrt(squares)
                          : kind == ReduceKind::sum_square ? squares
                          : kind == ReduceKind::log_sum    ? std::log(sum)
                                                           : sum;
      for (const float y : run(row.make(s), s, x, pool)) ASSERT_NEAR(y / wanted, 1, 5e-7) << schema::name(kind) << " of " << n << ", " << inner;
    }
  }
}

TEST_P(ReduceRow, Refusals) {
  EXPECT_NE(row.supports({ReduceKind::log_sum_exp, 1, 2, 3}).refusal, "");
  EXPECT_NE(row.supports({ReduceKind::sum, 1, 0, 3}).refusal, "");
}

INSTANTIATE_TEST_SUITE_P(Rows, ReduceRow, testing::Range<size_t>(0, reduce::rows().size()),
                         [](const auto& info) { return std::string(reduce::rows()[info.param].name); });
}  // namespace
