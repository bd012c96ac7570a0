#include "kernels/gemm_narrow/gemm_narrow.h"
#include "tests/kernels/util.h"

namespace {
using namespace kernels;
using gemm_narrow::Spec;
using schema::DType;

// B as it is stored, and what it stands for.
struct Weights {
  std::vector<uint8_t> stored, zeros;
  std::vector<float> scales;
  std::vector<double> values;
  int64_t ldb;
  Weights(const Spec& s, bool with_zeros) : scales(size_t(s.n * s.blocks())), values(size_t(s.n * s.k)), ldb((s.k + 1) / 2 * 2) {
    std::mt19937 random(test::seed());
    stored.resize(size_t(s.n * ldb * 2));
    if (with_zeros) zeros.resize(scales.size());
    for (float& v : scales) v = std::uniform_real_distribution<float>(-0.2f, 0.3f)(random);
    for (uint8_t& v : zeros) v = uint8_t(random() % (s.dtype == DType::u4 ? 16 : 256));
    for (int64_t n = 0; n < s.n; ++n)
      for (int64_t k = 0; k < s.k; ++k) {
        double& value = values[size_t(n * s.k + k)];
        const auto i = size_t(n * ldb + k);
        if (s.dtype == DType::bf16) {
          const float v = std::uniform_real_distribution<float>(-1, 1)(random);
          uint32_t bits;
          std::memcpy(&bits, &v, 4);
          bits &= 0xffff0000;
          const auto half = uint16_t(bits >> 16);
          std::memcpy(stored.data() + 2 * i, &half, 2);
          float kept;
          std::memcpy(&kept, &bits, 4);
          value = kept;
          continue;
        }
        const auto number = int(random() % (s.dtype == DType::u4 ? 16 : 256));
        if (s.dtype == DType::u4) stored[i / 2] |= uint8_t(number << (i % 2 * 4));
        else stored[i] = uint8_t(number);
        const auto block = size_t(n * s.blocks() + k / s.block);
        value = double(scales[block]) * (number - (with_zeros ? zeros[block] : 0));
      }
  }
};

void check(const gemm_narrow::Row& row, const Spec& s, int64_t m, bool with_zeros = true) {
  SCOPED_TRACE("seed " + std::to_string(test::seed()) + ": " + std::string(schema::name(s.dtype)) + " " + std::to_string(m) + "x" + std::to_string(s.n) + "x" +
               std::to_string(s.k) + " in blocks of " + std::to_string(s.block));
  ASSERT_EQ(row.supports(s).refusal, "");
  const gemm_narrow::Kernel kernel = row.make(s);
  ASSERT_TRUE(kernel);
  const Weights w(s, with_zeros && s.block);
  const int64_t lda = s.k + 3, ldc = s.n + 5;
  const test::Buffer a(size_t(m * lda), 1, -1, 1);
  const test::Fenced packed(kernel.packed_bytes());
  kernel.pack(w.stored.data(), w.ldb, w.scales.data(), w.zeros.empty() ? nullptr : w.zeros.data(), packed.data());
  ASSERT_TRUE(packed.intact());
  std::vector<float> first;
  for (const int threads : {1, 2, 3}) {
    ThreadPool pool(threads);
    const test::Buffer c(size_t(m * ldc));
    std::fill_n(c.data(), c.size(), 77.0f);
    const test::Buffer scratch(kernel.scratch_bytes(m) / sizeof(float) + 16);
    kernel.run({.a = a.data(), .lda = lda, .b = packed.data(), .c = c.data(), .ldc = ldc, .m = m,
                .scratch = reinterpret_cast<void*>((reinterpret_cast<uintptr_t>(scratch.data()) + 63) / 64 * 64)}, pool);
    ASSERT_TRUE(c.guards_intact() && scratch.guards_intact());
    if (threads == 1) first.assign(c.data(), c.data() + c.size());
    else ASSERT_EQ(first, std::vector<float>(c.data(), c.data() + c.size())) << threads << " threads";
  }
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < ldc; ++j) {
      double want = j < s.n ? 0 : 77, size = 1;
      for (int64_t k = 0; k < s.k && j < s.n; ++k) {
        const double term = double(a[size_t(i * lda + k)]) * w.values[size_t(j * s.k + k)];
        want += term, size += std::fabs(term);
      }
      ASSERT_NEAR(first[size_t(i * ldc + j)], want, 2e-6 * size) << i << "," << j;
    }
}

class GemmNarrowRow : public testing::TestWithParam<size_t> {
 protected:
  const gemm_narrow::Row& row = gemm_narrow::rows()[GetParam()];
  void SetUp() override {
    if (const std::string reason = test::unavailable(row); !reason.empty()) GTEST_SKIP() << reason;
  }
};

TEST_P(GemmNarrowRow, ExtentsAroundTheTile) {
  for (const DType dtype : {DType::u4, DType::u8, DType::bf16})
    for (const int64_t m : {1, 3, 4, 5, 50})
      for (const int64_t n : {1, 31, 32, 33, 70})
        for (const int64_t k : {1, 2, 31, 32, 33, 100}) {
          check(row, {n, k, dtype, dtype == DType::bf16 ? 0 : 32}, m, k % 2 == 0);
          if (HasFatalFailure()) return;
        }
}

TEST_P(GemmNarrowRow, LongReductions) {
  for (const int64_t m : {1, 2, 20}) {
    check(row, {96, 2048, DType::u4, 32}, m);
    check(row, {33, 1500, DType::u8, 128}, m);
    check(row, {40, 1001, DType::bf16, 0}, m);
    check(row, {64, 300, DType::u4, 16}, m, false);
  }
}

TEST_P(GemmNarrowRow, NothingToDo) {
  check(row, {8, 32, DType::u4, 32}, 0);
  check(row, {0, 32, DType::u8, 32}, 3);
}

TEST_P(GemmNarrowRow, Refusals) {
  EXPECT_NE(row.supports({8, 32, DType::u4, 33}).refusal, "");
  EXPECT_NE(row.supports({8, 32, DType::bf16, 32}).refusal, "");
  EXPECT_NE(row.supports({8, 32, DType::f16, 0}).refusal, "");
  EXPECT_NE(row.supports({8, 0, DType::u8, 32}).refusal, "");
}

INSTANTIATE_TEST_SUITE_P(Rows, GemmNarrowRow, testing::Range<size_t>(0, gemm_narrow::rows().size()),
                         [](const auto& info) { return std::string(gemm_narrow::rows()[info.param].name); });
}  // namespace
