// vpdpbusd: four k of sixteen sums an instruction. It multiplies unsigned bytes by signed ones: A is taken 128 larger, and what that
// adds is summed beside and taken off again.
#if defined(__x86_64__)
#include <immintrin.h>
#include "kernels/gemm_s8/tile.h"

namespace kernels::gemm_s8 {
namespace {
constexpr int group = 8;  // k of a column that lie together, in two sums

template <int rows> void run(const TileArgs& t) {
  const auto *a = static_cast<const int8_t*>(t.a), *b = static_cast<const int8_t*>(t.b);
  const __m512i offset = _mm512_set1_epi8(static_cast<char>(0x80));
  __m512i sum[rows], too_much = _mm512_setzero_si512();
#pragma GCC unroll 8
  for (int r = 0; r < rows; ++r) sum[r] = _mm512_setzero_si512();
  for (int64_t g = t.steps * (step / group); g > 0; --g, a += rows * group, b += columns * group) {
    const __m512i column = _mm512_loadu_si512(b);
    too_much = _mm512_dpbusd_epi32(too_much, offset, column);
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r) {
      int64_t eight;
      __builtin_memcpy(&eight, a + r * group, sizeof eight);
      sum[r] = _mm512_dpbusd_epi32(sum[r], _mm512_xor_si512(_mm512_set1_epi64(eight), offset), column);
    }
  }
  const auto mask = static_cast<__mmask8>((1u << t.columns) - 1);
#pragma GCC unroll 8
  for (int r = 0; r < rows; ++r) {
    if (r >= t.rows) return;
    const __m512i exact = _mm512_sub_epi32(sum[r], too_much);
    __m256i c = _mm512_cvtepi64_epi32(_mm512_add_epi32(exact, _mm512_srli_epi64(exact, 32)));
    int32_t* to = t.c + r * t.ldc;
    if (t.accumulate) c = _mm256_add_epi32(c, _mm256_maskz_loadu_epi32(mask, to));
    _mm256_mask_storeu_epi32(to, mask, c);
  }
}
}  // namespace

const Tile vnni{1, group, group, 1, 1.0 / 64, {run<1>, run<2>, run<3>, run<4>, run<5>, run<6>, run<7>, run<8>}};
}  // namespace kernels::gemm_s8
#endif
