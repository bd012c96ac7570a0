#include "kernels/gemm_s8/pixels.h"
#include "tests/kernels/util.h"

namespace {
using namespace kernels;

// n numbers between pages that fault, all 77 at first.
template <class T> struct Numbers {
  test::Fenced memory;
  size_t n;
  explicit Numbers(int64_t count) : memory(static_cast<size_t>(count) * sizeof(T), sizeof(T)), n(static_cast<size_t>(count)) {
    std::fill_n(data(), n, T(77));
  }
  T* data() const { return reinterpret_cast<T*>(memory.data()); }
  T& operator[](int64_t i) const { return data()[i]; }
};

void check(const gemm_s8::Row& row, int64_t m, int64_t n, int64_t k, int64_t pad, bool extreme = false, bool unsigned_a = false) {
  SCOPED_TRACE(std::to_string(m) + "x" + std::to_string(n) + "x" + std::to_string(k) + " seed " + std::to_string(test::seed()));
  const int64_t lda = k + pad, ldb = n + pad, ldc = n + pad;
  const Numbers<int8_t> a(m * lda), b(k * ldb);
  std::minstd_rand random(test::seed());
  for (const auto* numbers : {&a, &b})
    for (size_t i = 0; i < numbers->n; ++i) numbers->data()[i] = extreme ? -128 : static_cast<int8_t>(random());
  const gemm_s8::Spec spec{n, k, unsigned_a};
  ASSERT_EQ(row.supports(spec).refusal, "");
  const gemm_s8::Kernel kernel = row.make(spec);
  std::vector<std::max_align_t> packed(kernel->packed_bytes() / sizeof(std::max_align_t) + 1);
  kernel->pack_b(b.data(), ldb, packed.data());
  for (const int threads : {1, 3}) {
    ThreadPool pool(threads);
    const Numbers<int32_t> c(m * ldc);
    kernel->run({.a = a.data(), .lda = lda, .b = packed.data(), .c = c.data(), .ldc = ldc, .m = m}, pool);
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < ldc; ++j) {
        int64_t want = j < n ? 0 : 77;
        if (j < n)
          for (int64_t x = 0; x < k; ++x) want += int64_t{unsigned_a ? static_cast<uint8_t>(a[i * lda + x]) - 128 : a[i * lda + x]} * b[x * ldb + j];
        ASSERT_EQ(c[i * ldc + j], static_cast<int32_t>(want)) << i << "," << j << " on " << threads << " threads";
      }
    ASSERT_TRUE(a.memory.intact() && b.memory.intact() && c.memory.intact());
  }
}

class GemmS8Row : public testing::TestWithParam<size_t> {
 protected:
  const gemm_s8::Row& row = gemm_s8::rows()[GetParam()];
  void SetUp() override {
    if (const std::string reason = test::unavailable(row); !reason.empty()) GTEST_SKIP() << reason;
  }
};

TEST_P(GemmS8Row, SizesAroundTheTile) {
  for (const int64_t m : {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 17})
    for (const int64_t n : {1, 7, 8, 9, 16, 21})
      for (const int64_t k : {0, 1, 3, 4, 15, 16, 17, 40}) check(row, m, n, k, n % 3);
}

TEST_P(GemmS8Row, LongReductionsAndManyPanels) {
  check(row, 5, 12, 2100, 1);
  check(row, 70, 90, 64, 0);
  check(row, 3, 8, 1024, 0, true);
}

TEST_P(GemmS8Row, UnsignedBytes) {
  check(row, 9, 9, 33, 1, false, true);
  check(row, 8, 16, 1040, 0, true, true);
}

// Convolutions, as products whose rows are in pieces: sizes around the tile, padding, strides and dilations.
TEST_P(GemmS8Row, RowsInPieces) {
  for (const int64_t channels : {1, 8, 15, 16, 17, 150})
    for (const int64_t n : {1, 8, 9})
      for (const auto& [kernel, stride, dilation, pad] : {std::array<int64_t, 4>{1, 1, 1, 0}, {3, 1, 1, 1}, {3, 2, 1, 1}, {2, 1, 2, 2}, {5, 3, 1, 0}}) {
        SCOPED_TRACE(std::to_string(channels) + " channels, " + std::to_string(n) + " features, kernel " + std::to_string(kernel) + " seed " + std::to_string(test::seed()));
        const int64_t batch = 2, height = 6, width = 5;
        const auto out = [&](int64_t extent) { return std::max<int64_t>(0, (extent + 2 * pad - (kernel - 1) * dilation - 1 + stride) / stride); };
        const gemm_s8::Image image{channels, height, width, out(height), out(width), kernel, kernel, stride, stride, dilation, dilation, pad, pad};
        const int64_t taps = kernel * kernel, m = batch * image.out_height * image.out_width;
        const Numbers<uint8_t> x(batch * height * width * channels);
        const Numbers<std::byte> padding(channels);
        const Numbers<int8_t> b(taps * channels * n);
        std::minstd_rand random(test::seed());
        for (size_t i = 0; i < x.n; ++i) x.data()[i] = static_cast<uint8_t>(random());
        for (size_t i = 0; i < b.n; ++i) b.data()[i] = static_cast<int8_t>(random());
        std::fill_n(padding.data(), channels, std::byte{201});
        const gemm_s8::Spec spec{n, channels, true, taps};
        const gemm_s8::Kernel gemm = row.make(spec);
        std::vector<std::max_align_t> packed(gemm->packed_bytes() / sizeof(std::max_align_t) + 1);
        gemm->pack_b(b.data(), n, packed.data());
        const gemm_s8::Pixels pixels(image, reinterpret_cast<const std::byte*>(x.data()), padding.data());
        ThreadPool pool(2);
        const Numbers<int32_t> c(m * n);
        gemm->run({.b = packed.data(), .c = c.data(), .ldc = n, .m = m, .rows = &pixels}, pool);
        for (int64_t i = 0; i < m; ++i)
          for (int64_t j = 0; j < n; ++j) {
            int64_t want = 0;
            for (int64_t tap = 0; tap < taps; ++tap) {
              const int64_t h = i / image.out_width % image.out_height * stride - pad + tap / kernel * dilation;
              const int64_t w = i % image.out_width * stride - pad + tap % kernel * dilation;
              const int64_t from = ((i / image.out_width / image.out_height * height + h) * width + w) * channels;
              const bool inside = h >= 0 && h < height && w >= 0 && w < width;
              for (int64_t k = 0; k < channels; ++k) want += ((inside ? x[from + k] : 201) - 128) * b[(tap * channels + k) * n + j];
            }
            ASSERT_EQ(c[i * n + j], want) << i << "," << j;
          }
        ASSERT_TRUE(x.memory.intact() && b.memory.intact() && c.memory.intact() && padding.memory.intact());
      }
  EXPECT_NE(row.supports({.n = 1, .k = 1, .taps = gemm_s8::Spec::most_taps + 1}).refusal, "");
}

TEST_P(GemmS8Row, SumsWrap) { check(row, 1, 1, 140000, 0, true); }

INSTANTIATE_TEST_SUITE_P(Rows, GemmS8Row, testing::Range<size_t>(0, gemm_s8::rows().size()),
                         [](const auto& info) { return std::string(gemm_s8::rows()[info.param].name); });

TEST(GemmS8, SelectsTheBestThatRuns) {
  for (const isa::Level& cap : test::caps()) {
    const gemm_s8::Choice choice = gemm_s8::select({.n = 32, .k = 32}, cap.mask);
    const auto best = std::ranges::find_if(gemm_s8::rows(), [&](const auto& row) { return isa::runs(row.isa, cap.mask); });
    EXPECT_EQ(choice.name, best->name);
  }
  EXPECT_FALSE(gemm_s8::select({.n = -1, .k = 1}));
}
}  // namespace
