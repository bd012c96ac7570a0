// What the NEON tiles of gemm_s8 share. Each is compiled for an instruction set of its own: everything here is private to its file.
#pragma once
#include <arm_neon.h>
#include "kernels/gemm_s8/tile.h"

#define UNROLL _Pragma("GCC unroll 16") for
#define INLINE inline __attribute__((always_inline))

namespace kernels::gemm_s8 {
namespace {
// Two vectors a row.
template <int rows> INLINE void store(const TileArgs& t, const int32x4_t (&sum)[2 * rows]) {
  int32_t* c = t.c;
  UNROLL(int r = 0; r < rows; ++r) {
    if (r >= t.rows) return;
    if (t.columns == columns) {
      UNROLL(int h = 0; h < 2; ++h) vst1q_s32(c + 4 * h, t.accumulate ? vaddq_s32(sum[2 * r + h], vld1q_s32(c + 4 * h)) : sum[2 * r + h]);
    } else {
      int32_t copy[columns];
      vst1q_s32(copy, sum[2 * r]);
      vst1q_s32(copy + 4, sum[2 * r + 1]);
      for (int i = 0; i < t.columns; ++i)
        c[i] = t.accumulate ? static_cast<int32_t>(static_cast<uint32_t>(c[i]) + static_cast<uint32_t>(copy[i])) : copy[i];
    }
    c += t.ldc;
  }
}
}  // namespace
}  // namespace kernels::gemm_s8
