// Sums of products of packed rows and a packed panel in half precision, and stores of pairs, for the neon_fp16 tile: in assembly where all
// 32 registers are used, which compilers fill with copies.
#pragma once
#include <arm_neon.h>
#include <cstdint>

namespace kernels::tile {
namespace {
// sum[row * 2 + vector] = Σ over k of a[row][k] * b[k][vector], 8 rows: sums of `piece` k each, added up in their order. `sums` is room for
// as many. a0 and a1 are [k][4 rows] each, b is [k][16 columns].
inline __attribute__((always_inline)) void sums_of_8x16(float16x8_t (&sum)[16], const __fp16* a0, const __fp16* a1, const __fp16* b, int64_t k,
                                                        int64_t piece, __fp16* sums) {
  register float16x8_t s0 asm("v8"), s1 asm("v9"), s2 asm("v10"), s3 asm("v11"), s4 asm("v12"), s5 asm("v13"), s6 asm("v14"), s7 asm("v15");
  register float16x8_t s8 asm("v24"), s9 asm("v25"), s10 asm("v26"), s11 asm("v27"), s12 asm("v28"), s13 asm("v29"), s14 asm("v30"), s15 asm("v31");
  int64_t turns, count, left = k;
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
#define INLAY_ADD(a, b, c, d, e, f, g, h)                                                              \
  "\tfadd\t%" #a ".8h, %" #a ".8h, v" #e ".8h\n\tfadd\t%" #b ".8h, %" #b ".8h, v" #f ".8h\n"          \
  "\tfadd\t%" #c ".8h, %" #c ".8h, v" #g ".8h\n\tfadd\t%" #d ".8h, %" #d ".8h, v" #h ".8h\n"
  asm(".Lpiece%=:\n"
      "\tcmp\t%[left], %[piece]\n"
      "\tcsel\t%[count], %[left], %[piece], lt\n"
      "\tlsr\t%[turns], %[count], #3\n"
      "\tcbz\t%[turns], .Lzero%=\n" INLAY_LOAD INLAY_K("fmul", 0, 4, 16, 17) INLAY_SEVEN_K  // what begins with a product needs no zeros
      "\tb.eq\t.Lrest%=\n"
      ".Leight%=:\n" INLAY_LOAD INLAY_EVEN_K(0, 4, 16, 17) INLAY_SEVEN_K
      "\tb.ne\t.Leight%=\n"
      ".Lrest%=:\n"
      "\tands\t%[turns], %[count], #7\n"
      "\tb.eq\t.Lsummed%=\n"
      ".Lone%=:\n"
      "\tldr\td0, [%[a0]], #8\n\tldp\tq16, q17, [%[b]], #32\n\tldr\td4, [%[a1]], #8\n" INLAY_EVEN_K(0, 4, 16, 17)
      "\tsubs\t%[turns], %[turns], #1\n"
      "\tb.ne\t.Lone%=\n"
      ".Lsummed%=:\n"
      "\tcmp\t%[left], %[k]\n"
      "\tb.eq\t.Lfirst%=\n"
      "\tmov\t%[turns], %[sums]\n"
      "\tld1\t{v0.8h - v3.8h}, [%[turns]], #64\n\tld1\t{v4.8h - v7.8h}, [%[turns]], #64\n"
      "\tld1\t{v16.8h - v19.8h}, [%[turns]], #64\n\tld1\t{v20.8h - v23.8h}, [%[turns]]\n"
      INLAY_ADD(0, 1, 2, 3, 0, 1, 2, 3) INLAY_ADD(4, 5, 6, 7, 4, 5, 6, 7)
      INLAY_ADD(8, 9, 10, 11, 16, 17, 18, 19) INLAY_ADD(12, 13, 14, 15, 20, 21, 22, 23)
      ".Lfirst%=:\n"
      "\tsubs\t%[left], %[left], %[piece]\n"
      "\tb.le\t.Lend%=\n"
      "\tmov\t%[turns], %[sums]\n"
      "\tst1\t{v8.8h - v11.8h}, [%[turns]], #64\n\tst1\t{v12.8h - v15.8h}, [%[turns]], #64\n"
      "\tst1\t{v24.8h - v27.8h}, [%[turns]], #64\n\tst1\t{v28.8h - v31.8h}, [%[turns]]\n"
      "\tb\t.Lpiece%=\n"
      ".Lzero%=:\n" INLAY_ZERO(0, 1, 2, 3) INLAY_ZERO(4, 5, 6, 7) INLAY_ZERO(8, 9, 10, 11) INLAY_ZERO(12, 13, 14, 15)
      "\tb\t.Lrest%=\n"
      ".Lend%=:\n"
      : "=&w"(s0), "=&w"(s1), "=&w"(s2), "=&w"(s3), "=&w"(s4), "=&w"(s5), "=&w"(s6), "=&w"(s7), "=&w"(s8), "=&w"(s9), "=&w"(s10),
        "=&w"(s11), "=&w"(s12), "=&w"(s13), "=&w"(s14), "=&w"(s15), [a0] "+&r"(a0), [a1] "+&r"(a1), [b] "+&r"(b), [turns] "=&r"(turns),
        [count] "=&r"(count), [left] "+&r"(left)
      : [k] "r"(k), [piece] "r"(piece), [sums] "r"(sums)
      : "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "cc", "memory");
#undef INLAY_ROW
#undef INLAY_K
#undef INLAY_LOAD
#undef INLAY_SEVEN_K
#undef INLAY_EVEN_K
#undef INLAY_ODD_K
#undef INLAY_ADD
#undef INLAY_ZERO
  const float16x8_t all[]{s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, s12, s13, s14, s15};
  _Pragma("GCC unroll 16") for (int i = 0; i < 16; ++i) sum[i] = all[i];
}

// Four rows of 16 columns, each number between two others, else the nearer one. Rows are `ldc` bytes apart; `c` moves behind them.
inline __attribute__((always_inline)) void store_4x16(__fp16*& c, int64_t ldc, const float16x8_t* row, float16x8_t least, float16x8_t most) {
#define INLAY_MAX(to, from) "\tfmax\tv" #to ".8h, %[" #from "].8h, %[least].8h\n"
#define INLAY_MIN(to) "\tfmin\tv" #to ".8h, v" #to ".8h, %[most].8h\n"
#define INLAY_STORE(low, high) "\tst1\t{v" #low ".8h, v" #high ".8h}, [%[c]], %[ldc]\n"
  asm volatile(INLAY_MAX(0, a) INLAY_MAX(1, b) INLAY_MAX(2, d) INLAY_MAX(3, e) INLAY_MAX(4, f) INLAY_MAX(5, g) INLAY_MAX(6, h) INLAY_MAX(7, i)
               INLAY_MIN(0) INLAY_MIN(1) INLAY_MIN(2) INLAY_MIN(3) INLAY_MIN(4) INLAY_MIN(5) INLAY_MIN(6) INLAY_MIN(7)
               INLAY_STORE(0, 1) INLAY_STORE(2, 3) INLAY_STORE(4, 5) INLAY_STORE(6, 7)
               : [c] "+r"(c)
               : [ldc] "r"(ldc), [least] "w"(least), [most] "w"(most), [a] "w"(row[0]), [b] "w"(row[1]), [d] "w"(row[2]), [e] "w"(row[3]),
                 [f] "w"(row[4]), [g] "w"(row[5]), [h] "w"(row[6]), [i] "w"(row[7])
               : "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "memory");
#undef INLAY_MAX
#undef INLAY_MIN
#undef INLAY_STORE
}
}  // namespace
}  // namespace kernels::tile
