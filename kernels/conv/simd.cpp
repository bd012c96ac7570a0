// Convolution that is depthwise, in narrow groups or with few output channels: vectors over channels.
#include "kernels/simd.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/conv/simd.cpp"
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
using kernels::HWY_NAMESPACE::registers;
using kernels::HWY_NAMESPACE::store_first;
using kernels::HWY_NAMESPACE::Vec;
using kernels::HWY_NAMESPACE::vector;

// Pixels of y at once: each weight loaded serves all of them, and their sums hide the latency of the multiply-add.
constexpr int together = registers == 16 ? 4 : 8;

HWY_INLINE Vec load(const float* from, int n) { return n == lanes ? hn::LoadU(vector, from) : load_first(from, n); }

// `count` neighbouring pixels from `ow` on, for which the kernel's columns [kw0, kw1) lie inside x; n channels from c
// on.
template <int count> HWY_INLINE void pixels(const PixelRow& r, int ow, int64_t c, int n, int kw0, int kw1) {
  const float* x = r.x + ow * r.x_step + c;
  const Vec bias = r.bias ? load(r.bias + c, n) : hn::Zero(vector);
  Vec sum[count];
#pragma GCC unroll 8
  for (int i = 0; i < count; ++i) sum[i] = bias;
  for (int kh = r.kh0; kh < r.kh1; ++kh) {
    const float* w = r.w + (static_cast<int64_t>(kh) * r.kernel_w + kw0) * r.channels + c;
    const float* from = x + (kh - r.kh0) * r.x_row + kw0 * r.x_tap;
    for (int kw = kw0; kw < kw1; ++kw, w += r.channels, from += r.x_tap) {
      const Vec weight = load(w, n);
#pragma GCC unroll 8
      for (int i = 0; i < count; ++i) sum[i] = hn::MulAdd(load(from + i * r.x_step, n), weight, sum[i]);
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < count; ++i) {
    float* to = r.y + (ow + i) * r.y_step + c;
    n == lanes ? hn::StoreU(sum[i], vector, to) : store_first(sum[i], to, n);
  }
}

// Channels inside, pixels outside: memory is read in order.
template <int count> HWY_INLINE void columns(const PixelRow& r, int ow, int64_t c0, int64_t c1, int kw0, int kw1) {
  int64_t c = c0;
  for (; c + lanes <= c1; c += lanes) pixels<count>(r, ow, c, lanes, kw0, kw1);
  if (c < c1) pixels<count>(r, ow, c, static_cast<int>(c1 - c), kw0, kw1);
}

// f(all, ow, kw0, kw1) for `count` pixels at a time where all columns lie inside x, and for one otherwise.
template <int count, class F> HWY_INLINE void each_run(const PixelRow& r, const F& f) {
  for (int ow = 0; ow < r.out_width;) {
    if (ow >= r.inner_first && ow + count <= r.inner_last) {
      f(true, ow, 0, r.kernel_w);
      ow += count;
      continue;
    }
    const int left = ow * r.stride_w - r.pad_left, d = r.dilation_w;
    int kw0 = left < 0 ? (-left + d - 1) / d : 0;
    int kw1 = left >= r.width ? 0 : (r.width - 1 - left) / d + 1;
    if (kw1 > r.kernel_w) kw1 = r.kernel_w;
    if (kw0 > kw1) kw0 = kw1;
    f(false, ow++, kw0, kw1);
  }
}

void run(const PixelRow& r, int64_t c0, int64_t c1) {
  each_run<together>(r, [&](bool all, int ow, int kw0, int kw1) HWY_ATTR {
    all ? columns<together>(r, ow, c0, c1, kw0, kw1) : columns<1>(r, ow, c0, c1, kw0, kw1);
  });
}

// The same in groups of `group` channels: y takes each vector of x in all the ways its groups can be turned.
template <int group> struct Turns {
  decltype(hn::SetTableIndices(vector, static_cast<const int32_t*>(nullptr))) by[group];
  Turns() {
    for (int turn = 0; turn < group; ++turn) {
      int32_t from[lanes];
      for (int l = 0; l < lanes; ++l) from[l] = l / group * group + (l + turn) % group;
      by[turn] = hn::SetTableIndices(vector, from);
    }
  }
};

template <int count, int group>
HWY_INLINE void grouped_pixels(const PixelRow& r, const Turns<group>& turns, int ow, int64_t c, int n, int kw0, int kw1) {
  const Vec bias = r.bias ? load(r.bias + c, n) : hn::Zero(vector);
  Vec sum[count], x[count];
#pragma GCC unroll 8
  for (int i = 0; i < count; ++i) sum[i] = bias;
  for (int kh = r.kh0; kh < r.kh1; ++kh) {
    const float* w = r.w + (static_cast<int64_t>(kh) * r.kernel_w + kw0) * group * r.channels + c;
    const float* from = r.x + ow * r.x_step + c + (kh - r.kh0) * r.x_row + kw0 * r.x_tap;
    for (int kw = kw0; kw < kw1; ++kw, from += r.x_tap) {
#pragma GCC unroll 8
      for (int i = 0; i < count; ++i) x[i] = load(from + i * r.x_step, n);
#pragma GCC unroll 16
      for (int turn = 0; turn < group; ++turn, w += r.channels) {
        const Vec weight = load(w, n);
#pragma GCC unroll 8
        for (int i = 0; i < count; ++i)
          sum[i] = hn::MulAdd(turn ? hn::TableLookupLanes(x[i], turns.by[turn]) : x[i], weight, sum[i]);
      }
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < count; ++i) {
    float* to = r.y + (ow + i) * r.y_step + c;
    n == lanes ? hn::StoreU(sum[i], vector, to) : store_first(sum[i], to, n);
  }
}

template <int count, int group>
HWY_INLINE void grouped_columns(const PixelRow& r, const Turns<group>& turns, int ow, int64_t c0, int64_t c1, int kw0, int kw1) {
  int64_t c = c0;
  for (; c + lanes <= c1; c += lanes) grouped_pixels<count, group>(r, turns, ow, c, lanes, kw0, kw1);
  if (c < c1) grouped_pixels<count, group>(r, turns, ow, c, static_cast<int>(c1 - c), kw0, kw1);
}

template <int group> void run_grouped(const PixelRow& r, int64_t c0, int64_t c1) {
  constexpr int count = registers == 16 ? 4 : 6;
  if constexpr (group <= lanes) {
    const Turns<group> turns;
    each_run<count>(r, [&](bool all, int ow, int kw0, int kw1) HWY_ATTR {
      all ? grouped_columns<count, group>(r, turns, ow, c0, c1, kw0, kw1) : grouped_columns<1, group>(r, turns, ow, c0, c1, kw0, kw1);
    });
  }
}

// Few output channels: vectors over input channels.
template <int n> HWY_INLINE Vec dot_load(const float* from, int rest) {
  if constexpr (n == 0) return load_first(from, rest);
  return hn::LoadU(vector, from);
}

// A run of floats of x: whole vectors (n = 1) or the last `rest` floats (n = 0). `w_step`: from output to output.
template <int n, int count, int outputs>
HWY_INLINE void dot_step(const PixelRow& r, const float* x, const float* w, int64_t w_step, int rest, Vec (&sum)[count][outputs]) {
  Vec pixel[count];
#pragma GCC unroll 8
  for (int i = 0; i < count; ++i) pixel[i] = dot_load<n>(x + i * r.x_step, rest);
#pragma GCC unroll 8
  for (int o = 0; o < outputs; ++o) {
    const Vec weight = dot_load<n>(w + o * w_step, rest);
#pragma GCC unroll 8
    for (int i = 0; i < count; ++i) sum[i][o] = hn::MulAdd(pixel[i], weight, sum[i][o]);
  }
}

// `count` neighbouring pixels from `ow` on, for which the kernel's columns [kw0, kw1) lie inside x.
template <int count, int outputs> HWY_INLINE void dot_pixels(const PixelRow& r, int ow, int kw0, int kw1) {
  Vec sum[count][outputs];
#pragma GCC unroll 8
  for (int i = 0; i < count; ++i)
#pragma GCC unroll 8
    for (int o = 0; o < outputs; ++o) sum[i][o] = hn::Zero(vector);
  const bool joined = joins_columns(r);
  const int64_t w_step = joined ? r.kernel_w * r.channels : r.channels, w_row = outputs * r.kernel_w * r.channels;
  const int64_t run = joined ? (kw1 - kw0) * r.channels : r.channels, whole = run / lanes * lanes;
  const int rest = static_cast<int>(run - whole), runs = joined ? kw0 < kw1 : kw1 - kw0;
  for (int kh = r.kh0; kh < r.kh1; ++kh) {
    const float* w = r.w + kh * w_row + kw0 * (joined ? r.channels : outputs * r.channels);
    const float* x = r.x + ow * r.x_step + (kh - r.kh0) * r.x_row + kw0 * r.x_tap;
    for (int i = 0; i < runs; ++i, w += outputs * r.channels, x += r.x_tap) {
      for (int64_t c = 0; c < whole; c += lanes) dot_step<1, count, outputs>(r, x + c, w + c, w_step, 0, sum);
      if (rest) dot_step<0, count, outputs>(r, x + whole, w + whole, w_step, rest, sum);
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < count; ++i)
#pragma GCC unroll 8
    for (int o = 0; o < outputs; ++o)
      r.y[(ow + i) * r.y_step + o] = hn::GetLane(hn::SumOfLanes(vector, sum[i][o])) + (r.bias ? r.bias[o] : 0.0f);
}

template <int outputs> void dot_row(const PixelRow& r) {
  constexpr int count = registers == 16 && outputs > 2 ? 2 : 4;
  each_run<count>(r, [&](bool all, int ow, int kw0, int kw1) HWY_ATTR {
    all ? dot_pixels<count, outputs>(r, ow, kw0, kw1) : dot_pixels<1, outputs>(r, ow, kw0, kw1);
  });
}
}  // namespace
DepthwiseFunction function() { return run; }
DotFunction dot_function(int64_t outputs) {
  constexpr DotFunction functions[most_dot_outputs] = {dot_row<1>, dot_row<2>, dot_row<3>, dot_row<4>};
  return functions[outputs - 1];
}
DepthwiseFunction grouped_function(int64_t group) {
  return group == 2 ? run_grouped<2> : group == 4 ? run_grouped<4> : group == 8 ? run_grouped<8> : run_grouped<16>;
}
}  // namespace kernels::conv::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

// Compiled for the baseline: what it instantiates may be shared with other files.
namespace kernels::conv::HWY_NAMESPACE {
#if HWY_TARGET == HWY_AVX2
constexpr isa::Mask target = isa::avx2;
#elif HWY_TARGET == HWY_AVX3
constexpr isa::Mask target = isa::avx512;
#else
constexpr isa::Mask target = isa::neon;
#endif
Support supports(const Spec& spec) { return supports_depthwise(spec, kernels::HWY_NAMESPACE::lanes); }
Kernel make(const Spec& spec) { return make_depthwise(spec, {function()}, kernels::HWY_NAMESPACE::lanes, target); }
namespace grouped {
Support supports(const Spec& spec) { return supports_grouped(spec, kernels::HWY_NAMESPACE::lanes); }
Kernel make(const Spec& spec) {
  return make_depthwise(spec, {grouped_function(spec.channels / spec.groups)}, kernels::HWY_NAMESPACE::lanes, target);
}
}  // namespace grouped
namespace dot {
Support supports(const Spec& spec) { return supports_dot(spec, kernels::HWY_NAMESPACE::lanes); }
Kernel make(const Spec& spec) { return make_dot(spec, dot_function(spec.out_channels), target); }
}  // namespace dot
}  // namespace kernels::conv::HWY_NAMESPACE
#endif
