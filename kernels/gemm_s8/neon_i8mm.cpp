// smmla: eight k of two rows by two columns an instruction.
#if defined(__aarch64__)
#include "kernels/gemm_s8/neon-inl.h"

namespace kernels::gemm_s8 {
namespace {
constexpr int group = 8, pairs = columns / 2;

// One register holds two rows by two columns.
template <int rows> void run(const TileArgs& t) {
  const auto *a = static_cast<const int8_t*>(t.a), *b = static_cast<const int8_t*>(t.b);
  int32x4_t sum[rows / 2][pairs];
  UNROLL(int r = 0; r < rows / 2; ++r) {
    UNROLL(int p = 0; p < pairs; ++p) sum[r][p] = vdupq_n_s32(0);
  }
  for (int64_t s = t.steps; s > 0; --s) {
    UNROLL(int g = 0; g < step / group; ++g) {
      int8x16_t column[pairs];
      UNROLL(int p = 0; p < pairs; ++p) column[p] = vld1q_s8(b + (g * pairs + p) * 16);
      UNROLL(int r = 0; r < rows / 2; ++r) {
        const int8x16_t row = vld1q_s8(a + (g * (rows / 2) + r) * 16);
        UNROLL(int p = 0; p < pairs; ++p) sum[r][p] = vmmlaq_s32(sum[r][p], row, column[p]);
      }
    }
    a += rows * step, b += columns * step;
  }
  int32x4_t by_row[2 * rows];
  const auto low = [](int32x4_t x, int32x4_t y) __attribute__((always_inline)) { return vcombine_s32(vget_low_s32(x), vget_low_s32(y)); };
  const auto high = [](int32x4_t x, int32x4_t y) __attribute__((always_inline)) { return vcombine_s32(vget_high_s32(x), vget_high_s32(y)); };
  UNROLL(int r = 0; r < rows / 2; ++r) {
    UNROLL(int h = 0; h < 2; ++h) {
      by_row[4 * r + h] = low(sum[r][2 * h], sum[r][2 * h + 1]);
      by_row[4 * r + 2 + h] = high(sum[r][2 * h], sum[r][2 * h + 1]);
    }
  }
  store<rows>(t, by_row);
}
}  // namespace

const Tile neon_i8mm{1, group, group, 2, 1.0 / 64, {nullptr, run<2>, nullptr, run<4>, nullptr, run<6>, nullptr, run<8>}};
}  // namespace kernels::gemm_s8
#endif
