#include "kernels/quantize/quantize.h"
#include "tests/kernels/util.h"

namespace {
using namespace kernels;
using quantize::Spec;
using schema::DType;

int low_of(const Spec& s) { return s.integers == DType::i8 ? -128 : 0; }
int integer(const Spec& s, const std::byte* p) {
  return s.integers == DType::i8 ? static_cast<int>(static_cast<int8_t>(*p)) : static_cast<int>(static_cast<uint8_t>(*p));
}

// Slices of n elements, each of which has one of `scales` scales; the expected bits are from double precision.
void check(const quantize::Row& row, const Spec& s, int64_t slices, int64_t n, int64_t scales, const std::vector<float>& specials = {}) {
  SCOPED_TRACE("seed " + std::to_string(test::seed()) + ": " + std::string(schema::name(s.integers)) + (s.back ? " to f32 " : " from f32 ") +
               std::to_string(slices) + "x" + std::to_string(n) + ", scales " + std::to_string(scales));
  ASSERT_EQ(row.supports(s).refusal, "");
  const quantize::Kernel kernel = row.make(s);
  ASSERT_TRUE(kernel);
  const auto count = static_cast<size_t>(slices * n);
  const test::Buffer reals(count, 1, -150, 150), scale(static_cast<size_t>(scales), 2, 0.25f, 1.5f);
  for (size_t i = 0; i < specials.size() && i * 3 < count; ++i) reals[i * 3] = specials[i];
  const test::Fenced integers(count), zeros(static_cast<size_t>(scales));
  std::mt19937 random(test::seed() + 3);
  for (size_t i = 0; i < count; ++i) integers.data()[i] = static_cast<std::byte>(random());
  for (int64_t k = 0; k < scales; ++k) zeros.data()[k] = static_cast<std::byte>(random());
  for (const bool with_zero : {false, true})
    for (const int threads : {1, 2, 3}) {
      ThreadPool pool(threads);
      const test::Fenced y(s.back ? count * 4 : count, s.back ? 4 : 1);
      kernel.run(s.back ? static_cast<const void*>(integers.data()) : reals.data(), y.data(), slices, n, scale.data(),
                 with_zero ? zeros.data() : nullptr, scales, s, pool);
      ASSERT_TRUE(y.intact());
      for (size_t i = 0; i < count; ++i) {
        const size_t k = i / static_cast<size_t>(n) % static_cast<size_t>(scales);
        const int zero = with_zero ? integer(s, zeros.data() + k) : 0;
        if (s.back) {
          float got;
          std::memcpy(&got, y.data() + 4 * i, 4);
          ASSERT_EQ(got, static_cast<float>(integer(s, integers.data() + i) - zero) * scale[k]) << "at " << i;
        } else {
          const double ratio = static_cast<float>(static_cast<double>(reals[i]) / scale[k]);
          const double want = std::isnan(ratio) ? 0 : std::clamp<double>(std::nearbyint(ratio) + zero, low_of(s), low_of(s) + 255);
          ASSERT_EQ(integer(s, y.data() + i), static_cast<int>(want)) << "at " << i << ": " << reals[i] << " / " << scale[k] << " + " << zero;
        }
      }
    }
}

class QuantizeRow : public testing::TestWithParam<size_t> {
 protected:
  const quantize::Row& row = quantize::rows()[GetParam()];
  void SetUp() override {
    if (const std::string reason = test::unavailable(row); !reason.empty()) GTEST_SKIP() << reason;
  }
};

TEST_P(QuantizeRow, ExtentsAroundTheTile) {
  const int64_t t = row.tile;
  for (const DType integers : {DType::u8, DType::i8})
    for (const bool back : {false, true})
      for (const int64_t n : {int64_t{0}, int64_t{1}, t - 1, t, t + 1, 3 * t - 1, 5 * t + 1, int64_t{100001}}) {
        check(row, {integers, back}, 1, n, 1);
        if (n < 1000) check(row, {integers, back}, 6, n, 3);
        if (HasFatalFailure()) return;
      }
}

TEST_P(QuantizeRow, HalvesNanAndWhatSaturates) {
  constexpr float inf = INFINITY;
  for (const DType integers : {DType::u8, DType::i8})
    check(row, {integers, false}, 1, 64, 1, {NAN, inf, -inf, 0.5f, 1.5f, -0.5f, 2.5f, 3e38f, -3e38f, 1e10f, -0.0f, 1e-40f});
  const quantize::Kernel kernel = row.make({DType::i8, false});
  ThreadPool pool(1);
  const float x[] = {0.5f, 1.5f, 2.5f, -0.5f, -1.5f, 126.5f, 127.5f, -128.5f}, scale = 1;
  int8_t y[8];
  kernel.run(x, y, 1, 8, &scale, nullptr, 1, {DType::i8, false}, pool);
  const int8_t want[] = {0, 2, 2, 0, -2, 126, 127, -128};
  for (int i = 0; i < 8; ++i) EXPECT_EQ(y[i], want[i]) << i;
}

// Of (k + ½) · scale: a reciprocal in place of the quotient would miss the half.
TEST_P(QuantizeRow, QuotientsAreRoundedOnce) {
  const quantize::Kernel kernel = row.make({DType::u8, false});
  ThreadPool pool(1);
  for (int by = 1; by < 200; by += 2) {
    const auto scale = static_cast<float>(by);
    float x[255];
    uint8_t y[255];
    for (int k = 0; k < 255; ++k) x[k] = (static_cast<float>(k) + 0.5f) * scale;
    kernel.run(x, y, 1, 255, &scale, nullptr, 1, {DType::u8, false}, pool);
    for (int k = 0; k < 255; ++k) ASSERT_EQ(y[k], std::min(255, k + k % 2)) << x[k] << " / " << scale;
  }
}

TEST_P(QuantizeRow, Refusals) { EXPECT_NE(row.supports({DType::u16}).refusal, ""); }

INSTANTIATE_TEST_SUITE_P(Rows, QuantizeRow, testing::Range<size_t>(0, quantize::rows().size()),
                         [](const auto& info) { return std::string(quantize::rows()[info.param].name); });
}  // namespace
