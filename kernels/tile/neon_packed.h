// Sums of products of packed rows and a packed panel, for the NEON tile: in assembly where all 32 registers are used, which
// compilers fill with copies.
#pragma once
#include <arm_neon.h>
#include <cstdint>

namespace kernels::tile {
namespace {
// sum[row * 2 + vector] = start[vector] + Σ over k of a[row][k] * b[k][vector], 8 rows. a0 and a1 are [k][4 rows] each, b is
// [k][8 columns], start 8 columns, twice.
inline __attribute__((always_inline)) void sums_of_8x8(float32x4_t (&sum)[16], const float* a0, const float* a1, const float* b, int64_t k,
                                                       const float* start) {
  register float32x4_t s0 asm("v8"), s1 asm("v9"), s2 asm("v10"), s3 asm("v11"), s4 asm("v12"), s5 asm("v13"), s6 asm("v14"), s7 asm("v15");
  register float32x4_t s8 asm("v24"), s9 asm("v25"), s10 asm("v26"), s11 asm("v27"), s12 asm("v28"), s13 asm("v29"), s14 asm("v30"), s15 asm("v31");
  int64_t turns;
#define INLAY_ROW(even, odd, low, high, a, row) \
  "\tfmla\t%" #even ".4s, v" #low ".4s, v" #a ".s[" #row "]\n\tfmla\t%" #odd ".4s, v" #high ".4s, v" #a ".s[" #row "]\n"
#define INLAY_K(a0, a1, low, high)                                                                                      \
  INLAY_ROW(0, 1, low, high, a0, 0) INLAY_ROW(2, 3, low, high, a0, 1) INLAY_ROW(4, 5, low, high, a0, 2)                 \
  INLAY_ROW(6, 7, low, high, a0, 3) INLAY_ROW(8, 9, low, high, a1, 0) INLAY_ROW(10, 11, low, high, a1, 1)               \
  INLAY_ROW(12, 13, low, high, a1, 2) INLAY_ROW(14, 15, low, high, a1, 3)
#define INLAY_4K                                                                                                        \
  "\tld1\t{v0.4s - v3.4s}, [%[a0]], #64\n\tld1\t{v16.4s - v19.4s}, [%[b]], #64\n"                                       \
  "\tld1\t{v4.4s - v7.4s}, [%[a1]], #64\n\tld1\t{v20.4s - v23.4s}, [%[b]], #64\n"                                       \
  INLAY_K(0, 4, 16, 17) INLAY_K(1, 5, 18, 19) INLAY_K(2, 6, 20, 21) INLAY_K(3, 7, 22, 23)
  asm("\tld1\t{v8.4s - v11.4s}, [%[start]]\n\tld1\t{v12.4s - v15.4s}, [%[start]]\n"
      "\tld1\t{v24.4s - v27.4s}, [%[start]]\n\tld1\t{v28.4s - v31.4s}, [%[start]]\n"
      "\tlsr\t%[turns], %[k], #3\n"
      "\tcbz\t%[turns], .Lfour%=\n"
      ".Leight%=:\n" INLAY_4K INLAY_4K
      "\tsubs\t%[turns], %[turns], #1\n"
      "\tb.ne\t.Leight%=\n"
      ".Lfour%=:\n"
      "\ttbz\t%[k], #2, .Lrest%=\n" INLAY_4K
      ".Lrest%=:\n"
      "\tands\t%[turns], %[k], #3\n"
      "\tb.eq\t.Lend%=\n"
      ".Lone%=:\n"
      "\tldr\tq0, [%[a0]], #16\n\tldp\tq16, q17, [%[b]], #32\n\tldr\tq4, [%[a1]], #16\n" INLAY_K(0, 4, 16, 17)
      "\tsubs\t%[turns], %[turns], #1\n"
      "\tb.ne\t.Lone%=\n"
      ".Lend%=:\n"
      : "=w"(s0), "=w"(s1), "=w"(s2), "=w"(s3), "=w"(s4), "=w"(s5), "=w"(s6), "=w"(s7), "=w"(s8), "=w"(s9), "=w"(s10),
        "=w"(s11), "=w"(s12), "=w"(s13), "=w"(s14), "=w"(s15), [a0] "+&r"(a0), [a1] "+&r"(a1), [b] "+&r"(b), [turns] "=&r"(turns)
      : [k] "r"(k), [start] "r"(start)
      : "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "cc", "memory");
#undef INLAY_ROW
#undef INLAY_K
#undef INLAY_4K
  const float32x4_t all[]{s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, s12, s13, s14, s15};
  _Pragma("GCC unroll 16") for (int i = 0; i < 16; ++i) sum[i] = all[i];
}
}  // namespace
}  // namespace kernels::tile
