// Multiply-adds of halves on registers alone. Nothing here may be shared with files that are compiled for less
// (tests/kernels/weak_symbols.sh).
#if defined(__aarch64__)
#include "kernels/peak_neon_fp16.h"
#include <arm_neon.h>

namespace kernels {
void multiply_add_halves(void* state, float a, float b, int64_t rounds) {
  constexpr int lanes = 8, sums = half_peak_sums / lanes;  // independent chains: more than latency times throughput
  const float16x8_t x = vdupq_n_f16(static_cast<__fp16>(a)), y = vdupq_n_f16(static_cast<__fp16>(b));
  auto* at = static_cast<__fp16*>(state);
  float16x8_t sum[sums];
#pragma GCC unroll 12
  for (int i = 0; i < sums; ++i) sum[i] = vld1q_f16(at + i * lanes);
  for (int64_t r = 0; r < rounds; ++r) {
#pragma GCC unroll 12
    for (int i = 0; i < sums; ++i) sum[i] = vfmaq_f16(sum[i], x, y);
  }
#pragma GCC unroll 12
  for (int i = 0; i < sums; ++i) vst1q_f16(at + i * lanes, sum[i]);
}
}  // namespace kernels
#endif
