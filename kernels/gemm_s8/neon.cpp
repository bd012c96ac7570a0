// Bytes packed as 16-bit numbers: four multiply-adds an instruction, as in f32, on every 64-bit ARM.
#if defined(__aarch64__)
#include "kernels/gemm_s8/neon-inl.h"

namespace kernels::gemm_s8 {
namespace {
constexpr int group = 8;  // k of a row in one register

template <int lane, int rows> INLINE void multiply(int32x4_t (&sum)[2 * rows], const int16x8_t (&a)[rows], const int16_t* b) {
  const int16x8_t column = vld1q_s16(b + lane * columns);
  UNROLL(int r = 0; r < rows; ++r) {
    sum[2 * r] = vmlal_laneq_s16(sum[2 * r], vget_low_s16(column), a[r], lane);
    sum[2 * r + 1] = vmlal_high_laneq_s16(sum[2 * r + 1], column, a[r], lane);
  }
}

template <int rows> void run(const TileArgs& t) {
  const auto *a = static_cast<const int16_t*>(t.a), *b = static_cast<const int16_t*>(t.b);
  int32x4_t sum[2 * rows];
  UNROLL(int i = 0; i < 2 * rows; ++i) sum[i] = vdupq_n_s32(0);
  for (int64_t g = t.steps * (step / group); g > 0; --g, a += rows * group, b += columns * group) {
    int16x8_t row[rows];
    UNROLL(int r = 0; r < rows; ++r) row[r] = vld1q_s16(a + r * group);
    multiply<0, rows>(sum, row, b);
    multiply<1, rows>(sum, row, b);
    multiply<2, rows>(sum, row, b);
    multiply<3, rows>(sum, row, b);
    multiply<4, rows>(sum, row, b);
    multiply<5, rows>(sum, row, b);
    multiply<6, rows>(sum, row, b);
    multiply<7, rows>(sum, row, b);
  }
  store<rows>(t, sum);
}
}  // namespace

const Tile neon{2, group, 1, 1, 1.0 / 8, {run<1>, run<2>, run<3>, run<4>, run<5>, run<6>, run<7>, run<8>}};
}  // namespace kernels::gemm_s8
#endif
