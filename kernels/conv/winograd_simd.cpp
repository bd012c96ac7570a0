// The transforms of Winograd convolution: vectors over channels.
#include "kernels/simd.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/conv/winograd_simd.cpp"
#include <hwy/foreach_target.h>
#include "kernels/simd-inl.h"
#include "kernels/conv/winograd.h"

#if INLAY_SIMD_TARGET
HWY_BEFORE_NAMESPACE();
namespace kernels::conv::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;
using kernels::HWY_NAMESPACE::lanes;
using kernels::HWY_NAMESPACE::load_first;
using kernels::HWY_NAMESPACE::store_first;
using kernels::HWY_NAMESPACE::Vec;
using kernels::HWY_NAMESPACE::vector;

HWY_INLINE Vec of(float value) { return hn::Set(vector, value); }

constexpr float point = 0.70710678118654752f;  // √½: see winograd.cpp

// Input gives Bᵀd, output Aᵀd.
template <int m> HWY_INLINE void input_1d(const Vec* d, Vec* to) {
  if constexpr (m == 2) {
    to[0] = hn::Sub(d[0], d[2]);
    to[1] = hn::Add(d[1], d[2]);
    to[2] = hn::Sub(d[2], d[1]);
    to[3] = hn::Sub(d[1], d[3]);
  } else {
    const Vec half = of(0.5f), two = of(2), middle = of(2.5f);
    const Vec even = hn::NegMulAdd(two, d[2], d[4]), odd = hn::Mul(of(point), hn::NegMulAdd(two, d[1], d[3]));
    const Vec far_even = hn::NegMulAdd(half, d[2], d[4]);
    const Vec far_odd = hn::Mul(of(2 * point), hn::NegMulAdd(half, d[1], d[3]));
    to[0] = hn::Add(d[0], hn::NegMulAdd(middle, d[2], d[4]));
    to[1] = hn::Add(even, odd);
    to[2] = hn::Sub(even, odd);
    to[3] = hn::Add(far_even, far_odd);
    to[4] = hn::Sub(far_even, far_odd);
    to[5] = hn::Add(d[1], hn::NegMulAdd(middle, d[3], d[5]));
  }
}
template <int m> HWY_INLINE void output_1d(const Vec* d, Vec* to) {
  if constexpr (m == 2) {
    to[0] = hn::Add(hn::Add(d[0], d[1]), d[2]);
    to[1] = hn::Sub(hn::Sub(d[1], d[2]), d[3]);
  } else {
    const Vec a = hn::Add(d[1], d[2]), b = hn::Mul(of(point), hn::Sub(d[1], d[2]));
    const Vec c = hn::Add(d[3], d[4]), e = hn::Mul(of(2 * point), hn::Sub(d[3], d[4]));
    const Vec half = of(0.5f), two = of(2);
    to[0] = hn::Add(hn::Add(d[0], a), c);
    to[1] = hn::Add(b, e);
    to[2] = hn::MulAdd(half, a, hn::Mul(two, c));
    to[3] = hn::MulAdd(half, b, hn::MulAdd(two, e, d[5]));
  }
}

HWY_INLINE Vec load(const float* from, int n) { return n == lanes ? hn::LoadU(vector, from) : load_first(from, n); }
HWY_INLINE void store(Vec v, float* to, int n) { n == lanes ? hn::StoreU(v, vector, to) : store_first(v, to, n); }

// n channels from c on; `inner`: all of the tile is in memory.
template <int m, bool inner> HWY_INLINE void input_block(const WinogradInput& t, int64_t c, int n) {
  constexpr int size = m + 2;
  Vec columns[size][size];  // [row of the result][column]
#pragma GCC unroll 6
  for (int j = 0; j < size; ++j) {
    Vec d[size], result[size];
    const float* from = t.x + j * t.x_pixel + c;
#pragma GCC unroll 6
    for (int i = 0; i < size; ++i) {
      if (inner || (i >= t.row0 && i < t.row1 && j >= t.col0 && j < t.col1)) d[i] = load(from + i * t.x_row, n);
      else d[i] = hn::Zero(vector);
    }
    input_1d<m>(d, result);
#pragma GCC unroll 6
    for (int i = 0; i < size; ++i) columns[i][j] = result[i];
  }
  float* to = t.v + c;
#pragma GCC unroll 6
  for (int i = 0; i < size; ++i) {
    Vec result[size];
    input_1d<m>(columns[i], result);
#pragma GCC unroll 6
    for (int j = 0; j < size; ++j) store(result[j], to + (i * size + j) * t.step, n);
  }
}
template <int m, bool inner> HWY_INLINE void input_channels(const WinogradInput& t) {
  int64_t c = 0;
  for (; c + lanes <= t.channels; c += lanes) input_block<m, inner>(t, c, lanes);
  if (c < t.channels) input_block<m, inner>(t, c, static_cast<int>(t.channels - c));
}
template <int m> void input(const WinogradInput& t) {
  if (t.row0 == 0 && t.col0 == 0 && t.row1 == m + 2 && t.col1 == m + 2) input_channels<m, true>(t);
  else input_channels<m, false>(t);
}

template <int m> HWY_INLINE void output_block(const WinogradOutput& t, int64_t c, int n) {
  constexpr int size = m + 2;
  Vec columns[m][size];
  const float* from = t.m + c;
#pragma GCC unroll 6
  for (int j = 0; j < size; ++j) {
    Vec d[size], result[m];
#pragma GCC unroll 6
    for (int i = 0; i < size; ++i) d[i] = load(from + (i * size + j) * t.step, n);
    output_1d<m>(d, result);
#pragma GCC unroll 6
    for (int i = 0; i < m; ++i) columns[i][j] = result[i];
  }
  const Vec bias = t.bias ? load(t.bias + c, n) : hn::Zero(vector);
#pragma GCC unroll 6
  for (int i = 0; i < m; ++i) {
    if (i >= t.rows) break;
    Vec result[m];
    output_1d<m>(columns[i], result);
    float* to = t.y + i * t.y_row + c;
#pragma GCC unroll 6
    for (int j = 0; j < m; ++j)
      if (j < t.cols) store(hn::Add(result[j], bias), to + j * t.y_pixel, n);
  }
}
template <int m> void output(const WinogradOutput& t) {
  int64_t c = 0;
  for (; c + lanes <= t.channels; c += lanes) output_block<m>(t, c, lanes);
  if (c < t.channels) output_block<m>(t, c, static_cast<int>(t.channels - c));
}
}  // namespace
WinogradTransforms transforms() { return {{input<2>, input<4>}, {output<2>, output<4>}}; }
}  // namespace kernels::conv::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

// Compiled for the baseline: what it instantiates may be shared with other files.
namespace kernels::conv {
#define ROWS(backend, target)                                                                            \
  namespace winograd2_##backend {                                                                        \
    Support supports(const Spec& spec) { return supports_winograd(tile::backend, spec, 2); }             \
    Kernel make(const Spec& spec) {                                                                      \
      return make_winograd(tile::backend, spec, 2, HWY_NAMESPACE::transforms(), target);                 \
    }                                                                                                    \
  }                                                                                                      \
  namespace winograd4_##backend {                                                                        \
    Support supports(const Spec& spec) { return supports_winograd(tile::backend, spec, 4); }             \
    Kernel make(const Spec& spec) {                                                                      \
      return make_winograd(tile::backend, spec, 4, HWY_NAMESPACE::transforms(), target);                 \
    }                                                                                                    \
  }
#if HWY_TARGET == HWY_AVX2
ROWS(jit_avx2, isa::avx2)
ROWS(simd_avx2, isa::avx2)
#elif HWY_TARGET == HWY_AVX3
ROWS(jit_avx512, isa::avx512)
ROWS(simd_avx512, isa::avx512)
#elif !defined(__aarch64__)  // which has winograd_neon.cpp
ROWS(simd_neon, isa::neon)
#endif
#undef ROWS
}  // namespace kernels::conv
#endif
