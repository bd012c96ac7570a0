#include "kernels/resize/resize.h"
#include "tests/kernels/util.h"

namespace {
using namespace kernels;
using resize::Axis;
using resize::Spec;

// `most` taps at most for each output, at random places.
Axis axis(int64_t in, int64_t out, int most, std::mt19937& random) {
  const auto pick = [&](int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random);
  };
  Axis a{{0}, {}, {}};
  for (int64_t i = 0; i < out; ++i) {
    const int64_t taps = most == 1 ? 1 : pick(0, most);
    for (int64_t t = 0; t < taps; ++t) {
      a.index.push_back(most == 1 ? i * in / out : pick(0, in - 1));
      a.weight.push_back(most == 1 ? 1.0f : std::uniform_real_distribution<float>(-0.3f, 1)(random));
    }
    a.first.push_back(static_cast<int64_t>(a.index.size()));
  }
  return a;
}

void check(const resize::Row& row, const Spec& s) {
  SCOPED_TRACE("seed " + std::to_string(test::seed()) + ": [" + std::to_string(s.outer) + ", " +
               std::to_string(s.height) + ", " + std::to_string(s.width) + ", " + std::to_string(s.inner) + "] to " +
               std::to_string(s.rows.outputs()) + "x" + std::to_string(s.columns.outputs()) + ", " +
               std::to_string(s.element_bytes) + " bytes");
  ASSERT_EQ(row.supports(s).refusal, "");
  const resize::Kernel kernel = row.make(s);
  ASSERT_TRUE(kernel);
  const int64_t oh = s.rows.outputs(), ow = s.columns.outputs(), elements = s.outer * oh * ow * s.inner;
  const auto floats = [&](int64_t n) { return static_cast<size_t>((n * s.element_bytes + 3) / 4); };
  const test::Buffer x(floats(s.outer * s.height * s.width * s.inner), 1), y(floats(elements));
  ThreadPool one(1);
  kernel.run(x.data(), y.data(), one);
  EXPECT_TRUE(y.guards_intact());
  for (int64_t i = 0; i < elements; ++i) {
    const int64_t c = i % s.inner, w = i / s.inner % ow, h = i / s.inner / ow % oh, o = i / s.inner / ow / oh;
    double sum = 0;
    for (int64_t t = s.rows.first[h]; t < s.rows.first[h + 1]; ++t)
      for (int64_t u = s.columns.first[w]; u < s.columns.first[w + 1]; ++u) {
        const int64_t at = ((o * s.height + s.rows.index[t]) * s.width + s.columns.index[u]) * s.inner + c;
        if (s.copies()) {
          const auto* bytes = reinterpret_cast<const char*>(x.data());
          ASSERT_EQ(std::memcmp(reinterpret_cast<const char*>(y.data()) + i * s.element_bytes,
                                bytes + at * s.element_bytes, static_cast<size_t>(s.element_bytes)),
                    0)
              << "at " << i;
        } else {
          sum += static_cast<double>(s.rows.weight[t]) * s.columns.weight[u] * x[at];
        }
      }
    ASSERT_TRUE(s.copies() || test::near(y[i], sum, 4e-6)) << "at " << i << ": " << y[i] << " not " << sum;
  }
  for (const int threads : {2, 3}) {
    ThreadPool pool(threads);
    const test::Buffer again(y.size());
    kernel.run(x.data(), again.data(), pool);
    ASSERT_EQ(std::memcmp(y.data(), again.data(), static_cast<size_t>(elements * s.element_bytes)), 0)
        << "on more threads";
  }
}

class ResizeRow : public testing::TestWithParam<size_t> {
 protected:
  const resize::Row& row = resize::rows()[GetParam()];
  void SetUp() override {
    if (const std::string reason = test::unavailable(row); !reason.empty()) GTEST_SKIP() << reason;
  }
};

TEST_P(ResizeRow, SumsAroundTheTile) {
  std::mt19937 random(test::seed());
  const int64_t t = row.tile;
  for (const int taps : {1, 2, 4, 7})
    for (const int64_t inner : {int64_t{0}, int64_t{1}, int64_t{3}, t - 1, t, t + 1, 4 * t, 5 * t + 3, int64_t{100}}) {
      Spec s{4, 2, 7, 9, inner, axis(7, 13, taps, random), axis(9, 5, taps, random)};
      check(row, s);
      s.rows = axis(7, 1, taps, random), s.columns = axis(9, 20, taps, random);
      check(row, s);
      if (HasFatalFailure()) return;
    }
  check(row, {4, 1, 40, 40, 33, axis(40, 80, 2, random), axis(40, 80, 2, random)});
}

// Neighbours of each place, as interpolation takes them.
Axis near_axis(int64_t in, int64_t out, int taps) {
  Axis a{{0}, {}, {}};
  for (int64_t i = 0; i < out; ++i) {
    const double at = (static_cast<double>(i) + 0.5) * static_cast<double>(in) / static_cast<double>(out) - 0.5;
    const auto base = static_cast<int64_t>(std::floor(at)) - taps / 2 + 1;
    const int used = i % 3 == 0 && taps == 2 ? 1 : taps;
    for (int t = 0; t < used; ++t) {
      a.index.push_back(std::clamp(base + t, int64_t{0}, in - 1));
      a.weight.push_back(used == 1 ? 1.0f : 0.1f + 0.3f * static_cast<float>(t));
    }
    a.first.push_back(static_cast<int64_t>(a.index.size()));
  }
  return a;
}

TEST_P(ResizeRow, NeighboursOfFewChannels) {
  for (const int taps : {2, 4})
    for (const int64_t inner : {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 24, 40, 64, 100}) {
      check(row, {4, 2, 9, 11, inner, near_axis(9, 18, taps), near_axis(11, 22, taps)});
      check(row, {4, 1, 9, 40, inner, near_axis(9, 4, taps), near_axis(40, 13, taps)});
      check(row, {4, 1, 1, 7, inner, near_axis(1, 3, taps), near_axis(7, 21, taps)});
      check(row, {4, 1, 3, 1500, inner, near_axis(3, 5, taps), near_axis(1500, 1800, taps)});
      if (HasFatalFailure()) return;
    }
  check(row, {4, 1, 3, 9000, 1, near_axis(3, 5, 2), near_axis(9000, 40, 2)});
}

TEST_P(ResizeRow, CopiesOfAnySize) {
  std::mt19937 random(test::seed());
  for (const int bytes : {1, 2, 4, 8})
    for (const int64_t inner : {1, 2, 3, 16, 17}) {
      check(row, {bytes, 2, 5, 6, inner, axis(5, 10, 1, random), axis(6, 12, 1, random)});
      check(row, {bytes, 1, 50, 60, inner, axis(50, 75, 1, random), axis(60, 40, 1, random)});
      if (HasFatalFailure()) return;
    }
}

TEST_P(ResizeRow, Refusals) {
  std::mt19937 random(test::seed());
  EXPECT_NE(row.supports({8, 1, 4, 4, 1, axis(4, 8, 2, random), axis(4, 8, 2, random)}).refusal, "");
  EXPECT_NE(row.supports({4, 1, 3, 4, 1, axis(4, 8, 1, random), axis(4, 8, 1, random)}).refusal, "");
}

INSTANTIATE_TEST_SUITE_P(Rows, ResizeRow, testing::Range<size_t>(0, resize::rows().size()),
                         [](const auto& info) { return std::string(resize::rows()[info.param].name); });
}  // namespace
