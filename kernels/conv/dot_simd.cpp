// Convolution with few output channels: vectors over input channels.
#include "kernels/simd.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/conv/dot_simd.cpp"
#include <hwy/foreach_target.h>
#include "kernels/simd-inl.h"
#include "kernels/conv/dot.h"

#if INLAY_SIMD_TARGET
HWY_BEFORE_NAMESPACE();
namespace kernels::conv::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;
using kernels::HWY_NAMESPACE::lanes;
using kernels::HWY_NAMESPACE::load_first;
using kernels::HWY_NAMESPACE::Vec;
using kernels::HWY_NAMESPACE::vector;

template <int n> HWY_INLINE Vec dot_load(const float* from, int rest) {
  if constexpr (n == 0) return load_first(from, rest);
  return hn::LoadU(vector, from);
}

// The channels of one column of the kernel: from `c` on, whole vectors (n = 1) or the last `rest` channels (n = 0).
template <int n, int count, int outputs>
HWY_INLINE void dot_step(const DotRow& r, const float* x, const float* w, int rest, Vec (&sum)[count][outputs]) {
  Vec pixel[count];
#pragma GCC unroll 8
  for (int i = 0; i < count; ++i) pixel[i] = dot_load<n>(x + i * r.x_step, rest);
#pragma GCC unroll 8
  for (int o = 0; o < outputs; ++o) {
    const Vec weight = dot_load<n>(w + o * r.channels, rest);
#pragma GCC unroll 8
    for (int i = 0; i < count; ++i) sum[i][o] = hn::MulAdd(pixel[i], weight, sum[i][o]);
  }
}

// `count` neighbouring pixels from `ow` on, for which the kernel's columns [kw0, kw1) lie inside x.
template <int count, int outputs> HWY_INLINE void dot_pixels(const DotRow& r, int ow, int kw0, int kw1) {
  Vec sum[count][outputs];
#pragma GCC unroll 8
  for (int i = 0; i < count; ++i)
#pragma GCC unroll 8
    for (int o = 0; o < outputs; ++o) sum[i][o] = hn::Zero(vector);
  const int64_t whole = r.channels / lanes * lanes;
  const int rest = static_cast<int>(r.channels - whole);
  for (int kh = r.kh0; kh < r.kh1; ++kh) {
    const float* w = r.w + (static_cast<int64_t>(kh) * r.kernel_w + kw0) * outputs * r.channels;
    const float* x = r.x + ow * r.x_step + (kh - r.kh0) * r.x_row + kw0 * r.x_tap;
    for (int kw = kw0; kw < kw1; ++kw, w += outputs * r.channels, x += r.x_tap) {
      for (int64_t c = 0; c < whole; c += lanes) dot_step<1, count, outputs>(r, x + c, w + c, 0, sum);
      if (rest) dot_step<0, count, outputs>(r, x + whole, w + whole, rest, sum);
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < count; ++i)
#pragma GCC unroll 8
    for (int o = 0; o < outputs; ++o)
      r.y[(ow + i) * r.y_step + o] = hn::GetLane(hn::SumOfLanes(vector, sum[i][o])) + (r.bias ? r.bias[o] : 0.0f);
}

template <int outputs> void dot_row(const DotRow& r, int first, int last) {
  constexpr int together = HWY_TARGET == HWY_AVX2 && outputs > 2 ? 2 : 4;
  for (int ow = first; ow < last;) {
    const int left = ow * r.stride_w - r.pad_left, d = r.dilation_w, reach = (r.kernel_w - 1) * d;
    if (left >= 0 && ow + together <= last && left + (together - 1) * r.stride_w + reach < r.width) {
      dot_pixels<together, outputs>(r, ow, 0, r.kernel_w);
      ow += together;
      continue;
    }
    int kw0 = left < 0 ? (-left + d - 1) / d : 0;
    int kw1 = left >= r.width ? 0 : (r.width - 1 - left) / d + 1;
    if (kw1 > r.kernel_w) kw1 = r.kernel_w;
    if (kw0 > kw1) kw0 = kw1;
    dot_pixels<1, outputs>(r, ow++, kw0, kw1);
  }
}
}  // namespace

DotFunction dot_function(int64_t outputs) {
  constexpr DotFunction functions[most_dot_outputs] = {dot_row<1>, dot_row<2>, dot_row<3>, dot_row<4>};
  return functions[outputs - 1];
}
}  // namespace kernels::conv::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

// Compiled for the baseline: what it instantiates may be shared with other files.
namespace kernels::conv::HWY_NAMESPACE::dot {
#if HWY_TARGET == HWY_AVX2
constexpr isa::Mask target = isa::avx2;
#elif HWY_TARGET == HWY_AVX3
constexpr isa::Mask target = isa::avx512;
#else
constexpr isa::Mask target = isa::neon;
#endif
Support supports(const Spec& spec) { return supports_dot(spec, kernels::HWY_NAMESPACE::lanes); }
Kernel make(const Spec& spec) { return make_dot(spec, dot_function(spec.out_channels), target); }
}  // namespace kernels::conv::HWY_NAMESPACE::dot
#endif
