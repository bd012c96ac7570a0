// Sums of products of packed rows and a packed panel in half precision, for the neon_fp16 tile: in assembly where all 32 registers are
// used, which compilers fill with copies.
#pragma once
#include <arm_neon.h>
#include <cstdint>

namespace kernels::tile {
namespace {
// sum[row * 2 + vector] = Σ over k of a[row][k] * b[k][vector], 8 rows. a0 and a1 are [k][4 rows] each, b is [k][16 columns].
inline __attribute__((always_inline)) void sums_of_8x16(float16x8_t (&sum)[16], const __fp16* a0, const __fp16* a1, const __fp16* b, int64_t k) {
  register float16x8_t s0 asm("v8"), s1 asm("v9"), s2 asm("v10"), s3 asm("v11"), s4 asm("v12"), s5 asm("v13"), s6 asm("v14"), s7 asm("v15");
  register float16x8_t s8 asm("v24"), s9 asm("v25"), s10 asm("v26"), s11 asm("v27"), s12 asm("v28"), s13 asm("v29"), s14 asm("v30"), s15 asm("v31");
  int64_t turns;
#define INLAY_ROW(op, even, odd, low, high, a, row) \
  "\t" op "\t%" #even ".8h, v" #low ".8h, v" #a ".h[" #row "]\n\t" op "\t%" #odd ".8h, v" #high ".8h, v" #a ".h[" #row "]\n"
#define INLAY_K(op, a0, a1, low, high)                                                                                          \
  INLAY_ROW(op, 0, 1, low, high, a0, 0) INLAY_ROW(op, 2, 3, low, high, a0, 1) INLAY_ROW(op, 4, 5, low, high, a0, 2)             \
  INLAY_ROW(op, 6, 7, low, high, a0, 3) INLAY_ROW(op, 8, 9, low, high, a1, 0) INLAY_ROW(op, 10, 11, low, high, a1, 1)           \
  INLAY_ROW(op, 12, 13, low, high, a1, 2) INLAY_ROW(op, 14, 15, low, high, a1, 3)
#define INLAY_EVEN_K(a0, a1, low, high) INLAY_K("fmla", a0, a1, low, high)
#define INLAY_ODD_K(a0, a1, low, high)                                                                                  \
  INLAY_ROW("fmla", 0, 1, low, high, a0, 4) INLAY_ROW("fmla", 2, 3, low, high, a0, 5) INLAY_ROW("fmla", 4, 5, low, high, a0, 6)                 \
  INLAY_ROW("fmla", 6, 7, low, high, a0, 7) INLAY_ROW("fmla", 8, 9, low, high, a1, 4) INLAY_ROW("fmla", 10, 11, low, high, a1, 5)               \
  INLAY_ROW("fmla", 12, 13, low, high, a1, 6) INLAY_ROW("fmla", 14, 15, low, high, a1, 7)
#define INLAY_ZERO(a, b, c, d) \
  "\tmovi\t%" #a ".16b, #0\n\tmovi\t%" #b ".16b, #0\n\tmovi\t%" #c ".16b, #0\n\tmovi\t%" #d ".16b, #0\n"
#define INLAY_LOAD                                                            \
  "\tld1\t{v0.8h - v3.8h}, [%[a0]], #64\n\tld1\t{v16.8h - v19.8h}, [%[b]], #64\n" \
  "\tld1\t{v4.8h - v7.8h}, [%[a1]], #64\n\tld1\t{v20.8h - v23.8h}, [%[b]], #64\n"
#define INLAY_SEVEN_K                                                                                       \
  INLAY_ODD_K(0, 4, 18, 19)                                                                                 \
  "\tld1\t{v16.8h - v19.8h}, [%[b]], #64\n"                                                                 \
  INLAY_EVEN_K(1, 5, 20, 21) INLAY_ODD_K(1, 5, 22, 23)                                                      \
  "\tld1\t{v20.8h - v23.8h}, [%[b]], #64\n"                                                                 \
  INLAY_EVEN_K(2, 6, 16, 17) INLAY_ODD_K(2, 6, 18, 19) INLAY_EVEN_K(3, 7, 20, 21) INLAY_ODD_K(3, 7, 22, 23) \
  "\tsubs\t%[turns], %[turns], #1\n"
  asm("\tlsr\t%[turns], %[k], #3\n"
      "\tcbz\t%[turns], .Lzero%=\n" INLAY_LOAD INLAY_K("fmul", 0, 4, 16, 17) INLAY_SEVEN_K  // what begins with a product needs no zeros
      "\tb.eq\t.Lrest%=\n"
      ".Leight%=:\n" INLAY_LOAD INLAY_EVEN_K(0, 4, 16, 17) INLAY_SEVEN_K
      "\tb.ne\t.Leight%=\n"
      ".Lrest%=:\n"
      "\tands\t%[turns], %[k], #7\n"
      "\tb.eq\t.Lend%=\n"
      ".Lone%=:\n"
      "\tldr\td0, [%[a0]], #8\n\tldp\tq16, q17, [%[b]], #32\n\tldr\td4, [%[a1]], #8\n" INLAY_EVEN_K(0, 4, 16, 17)
      "\tsubs\t%[turns], %[turns], #1\n"
      "\tb.ne\t.Lone%=\n"
      "\tb\t.Lend%=\n"
      ".Lzero%=:\n" INLAY_ZERO(0, 1, 2, 3) INLAY_ZERO(4, 5, 6, 7) INLAY_ZERO(8, 9, 10, 11) INLAY_ZERO(12, 13, 14, 15)
      "\tb\t.Lrest%=\n"
      ".Lend%=:\n"
      : "=&w"(s0), "=&w"(s1), "=&w"(s2), "=&w"(s3), "=&w"(s4), "=&w"(s5), "=&w"(s6), "=&w"(s7), "=&w"(s8), "=&w"(s9), "=&w"(s10),
        "=&w"(s11), "=&w"(s12), "=&w"(s13), "=&w"(s14), "=&w"(s15), [a0] "+&r"(a0), [a1] "+&r"(a1), [b] "+&r"(b), [turns] "=&r"(turns)
      : [k] "r"(k)
      : "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "cc", "memory");
#undef INLAY_ROW
#undef INLAY_K
#undef INLAY_LOAD
#undef INLAY_SEVEN_K
#undef INLAY_EVEN_K
#undef INLAY_ODD_K
#undef INLAY_ZERO
  const float16x8_t all[]{s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, s12, s13, s14, s15};
  _Pragma("GCC unroll 16") for (int i = 0; i < 16; ++i) sum[i] = all[i];
}
}  // namespace
}  // namespace kernels::tile
