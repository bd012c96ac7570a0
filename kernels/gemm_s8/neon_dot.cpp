// sdot: four k of four columns an instruction.
#if defined(__aarch64__)
#include "kernels/gemm_s8/neon-inl.h"

namespace kernels::gemm_s8 {
namespace {
constexpr int group = 4;  // k of a column that one instruction takes

template <int lane, int rows> INLINE void multiply(int32x4_t (&sum)[2 * rows], const int8x16_t (&a)[rows], const int8_t* b) {
  const int8x16_t low = vld1q_s8(b + lane * group * columns), high = vld1q_s8(b + lane * group * columns + 16);
  UNROLL(int r = 0; r < rows; ++r) {
    sum[2 * r] = vdotq_laneq_s32(sum[2 * r], low, a[r], lane);
    sum[2 * r + 1] = vdotq_laneq_s32(sum[2 * r + 1], high, a[r], lane);
  }
}

template <int rows> void run(const TileArgs& t) {
  const auto *a = static_cast<const int8_t*>(t.a), *b = static_cast<const int8_t*>(t.b);
  int32x4_t sum[2 * rows];
  UNROLL(int i = 0; i < 2 * rows; ++i) sum[i] = vdupq_n_s32(0);
  for (int64_t s = t.steps; s > 0; --s, a += rows * step, b += columns * step) {
    int8x16_t row[rows];
    UNROLL(int r = 0; r < rows; ++r) row[r] = vld1q_s8(a + r * step);
    multiply<0, rows>(sum, row, b);
    multiply<1, rows>(sum, row, b);
    multiply<2, rows>(sum, row, b);
    multiply<3, rows>(sum, row, b);
  }
  store<rows>(t, sum);
}
}  // namespace

const Tile neon_dot{1, step, group, 1, 1.0 / 32, {run<1>, run<2>, run<3>, run<4>, run<5>, run<6>, run<7>, run<8>}};
}  // namespace kernels::gemm_s8
#endif
