#include "kernels/half/half.h"
#include <bit>
#include <cmath>
#include "tests/kernels/util.h"

namespace {
using namespace kernels;

double value_of(uint16_t h) {
  const int exponent = h >> 10 & 31, mantissa = h & 1023;
  const double magnitude = exponent == 31 ? (mantissa ? NAN : INFINITY) : exponent ? std::ldexp(1024 + mantissa, exponent - 25) : std::ldexp(mantissa, -24);
  return h >> 15 ? -magnitude : magnitude;
}

class HalfRow : public testing::TestWithParam<size_t> {
 protected:
  const half::Row& row = half::rows()[GetParam()];
  void SetUp() override {
    if (const std::string reason = test::unavailable(row); !reason.empty()) GTEST_SKIP() << reason;
  }
  template <class From, class To> std::vector<To> run(const std::vector<From>& x, int threads) const {
    const half::Spec spec{.back = sizeof(From) == 2};
    const test::Fenced from(x.size() * sizeof(From), sizeof(From)), to(x.size() * sizeof(To), sizeof(To));
    if (!x.empty()) std::memcpy(from.data(), x.data(), x.size() * sizeof(From));
    ThreadPool pool(threads);
    row.make(spec).run(from.data(), to.data(), static_cast<int64_t>(x.size()), spec, pool);
    EXPECT_TRUE(from.intact() && to.intact());
    std::vector<To> y(x.size());
    if (!x.empty()) std::memcpy(y.data(), to.data(), y.size() * sizeof(To));
    return y;
  }
};

TEST_P(HalfRow, EveryHalfThereAndBack) {
  std::vector<uint16_t> all(1 << 16);
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<uint16_t>(i);
  const std::vector<float> reals = run<uint16_t, float>(all, 3);
  const std::vector<uint16_t> back = run<float, uint16_t>(reals, 3);
  for (size_t i = 0; i < all.size(); ++i) {
    const double want = value_of(all[i]);
    ASSERT_TRUE(std::isnan(want) ? std::isnan(reals[i]) : reals[i] == want && std::signbit(reals[i]) == std::signbit(want)) << i;
    ASSERT_TRUE(std::isnan(want) ? std::isnan(value_of(back[i])) : back[i] == all[i]) << i;
  }
}

// Between neighbours, at the halves and on either side of them.
TEST_P(HalfRow, RoundsToTheNearestAndHalvesToEven) {
  std::vector<float> x;
  std::vector<uint16_t> want;
  for (uint16_t h = 0; h < 0x7bff; ++h) {
    const auto middle = static_cast<float>((value_of(h) + value_of(static_cast<uint16_t>(h + 1))) / 2);
    for (const float v : {std::nextafter(middle, 0.0f), middle, std::nextafter(middle, INFINITY)}) {
      x.push_back(v), want.push_back(static_cast<uint16_t>(v < middle ? h : v > middle ? h + 1 : h + (h & 1)));
      x.push_back(-v), want.push_back(static_cast<uint16_t>(want.back() | 0x8000));
    }
  }
  for (const float large : {65520.0f, 1e30f, INFINITY}) x.push_back(large), want.push_back(0x7c00);
  x.push_back(65519.0f), want.push_back(0x7bff);
  EXPECT_EQ((run<float, uint16_t>(x, 1)), want);
}

TEST_P(HalfRow, ExtentsAroundTheTile) {
  const int64_t t = row.tile;
  for (const int64_t n : {int64_t{0}, int64_t{1}, t - 1, t, t + 1, 2 * t + 3}) {
    const std::vector<uint16_t> one(static_cast<size_t>(n), 0x3c00);
    EXPECT_EQ((run<uint16_t, float>(one, 2)), std::vector<float>(one.size(), 1));
    EXPECT_EQ((run<float, uint16_t>(std::vector<float>(one.size(), 1), 2)), one);
  }
}

INSTANTIATE_TEST_SUITE_P(Rows, HalfRow, testing::Range<size_t>(0, half::rows().size()),
                         [](const auto& info) { return std::string(half::rows()[info.param].name); });
}  // namespace
