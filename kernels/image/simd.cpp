// The image loops in vectors: over bytes where rows are blended, over a pixel's channels where columns are, over pixels
// where they become channels of the tensor.
#include "kernels/simd.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/image/simd.cpp"
#include <hwy/foreach_target.h>
#include "kernels/simd-inl.h"
#include "kernels/image/functions.h"

#if INLAY_SIMD_TARGET
HWY_BEFORE_NAMESPACE();
namespace kernels::image::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;
using kernels::HWY_NAMESPACE::Float;
using kernels::HWY_NAMESPACE::lanes;
using kernels::HWY_NAMESPACE::Vec;
using kernels::HWY_NAMESPACE::vector;
using schema::DType;

HWY_INLINE Vec load_levels(const uint8_t* from) {
  return hn::ConvertTo(vector,
                       hn::PromoteTo(hn::Rebind<int32_t, Float>(), hn::LoadU(hn::Rebind<uint8_t, Float>(), from)));
}

template <int count>
HWY_INLINE void blend_bytes(const uint8_t* from, int64_t stride, const float* weights, int taps, float* to) {
  Vec sum[count];
#pragma GCC unroll 4
  for (int v = 0; v < count; ++v) sum[v] = hn::Zero(vector);
  for (int k = 0; k < taps; ++k, from += stride) {
    const Vec weight = hn::Set(vector, weights[k]);
#pragma GCC unroll 4
    for (int v = 0; v < count; ++v) sum[v] = hn::MulAdd(load_levels(from + v * lanes), weight, sum[v]);
  }
#pragma GCC unroll 4
  for (int v = 0; v < count; ++v) hn::StoreU(sum[v], vector, to + v * lanes);
}

// The last vector overlaps the one before, so that no byte behind the row is read.
void blend_rows(const uint8_t* from, int64_t stride, const float* weights, int taps, int64_t bytes, float* to) {
  int64_t i = 0;
  for (; i + 4 * lanes <= bytes; i += 4 * lanes) blend_bytes<4>(from + i, stride, weights, taps, to + i);
  for (; i + lanes <= bytes; i += lanes) blend_bytes<1>(from + i, stride, weights, taps, to + i);
  if (i == bytes) return;
  if (bytes >= lanes) return blend_bytes<1>(from + bytes - lanes, stride, weights, taps, to + bytes - lanes);
  for (i = 0; i < bytes; ++i) {
    float sum = 0;
    for (int k = 0; k < taps; ++k) sum += weights[k] * static_cast<float>(from[k * stride + i]);
    to[i] = sum;
  }
}

using Pixel = hn::FixedTag<float, pixel_floats>;
constexpr Pixel pixel;

// Two sums, of the taps that are even and odd, hide some of the latency. Lanes without a channel hold their
// neighbours'.
HWY_INLINE hn::Vec<Pixel> sum_pixels(const float* x, int channels, const float* weights, int count) {
  auto even = hn::Zero(pixel), odd = hn::Zero(pixel);
  int k = 0;
  for (; k + 2 <= count; k += 2, x += 2 * channels) {
    even = hn::MulAdd(hn::LoadU(pixel, x), hn::Set(pixel, weights[k]), even);
    odd = hn::MulAdd(hn::LoadU(pixel, x + channels), hn::Set(pixel, weights[k + 1]), odd);
  }
  if (k < count) even = hn::MulAdd(hn::LoadU(pixel, x), hn::Set(pixel, weights[k]), even);
  return hn::Add(even, odd);
}

// One channel: vectors over the taps. Weights behind the last are zeros.
HWY_INLINE float sum_taps(const float* x, const float* weights, int count) {
  auto sum = hn::Zero(pixel);
  for (int k = 0; k < count; k += pixel_floats)
    sum = hn::MulAdd(hn::LoadU(pixel, x + k), hn::LoadU(pixel, weights + k), sum);
  return hn::GetLane(hn::SumOfLanes(pixel, sum));
}

void blend_columns(const float* from, int channels, const Taps& taps, int64_t n, float* to) {
  for (int64_t i = 0; i < n; ++i, to += pixel_floats) {
    const float* x = from + (taps.first[i] - taps.origin) * channels;
    const float* weights = taps.weights + i * taps.stride;
    if (channels == 1) *to = sum_taps(x, weights, taps.count[i]);
    else hn::StoreU(sum_pixels(x, channels, weights, taps.count[i]), pixel, to);
  }
}

void finish(const float* pixels, int n, const Colour& colour, DType dtype, void* planes) {
  for (int i = 0; i < n; i += lanes) {
    Vec x0, x1, x2, x3;
    hn::LoadInterleaved4(vector, pixels + i * pixel_floats, x0, x1, x2, x3);
    for (int c = 0; c < colour.channels; ++c) {
      Vec level = hn::MulAdd(x0, hn::Set(vector, colour.m[c][0]), hn::Set(vector, colour.bias[c]));
      level = hn::MulAdd(x1, hn::Set(vector, colour.m[c][1]), level);
      level = hn::MulAdd(x2, hn::Set(vector, colour.m[c][2]), level);
      level = hn::Min(hn::Max(level, hn::Zero(vector)), hn::Set(vector, 255));
      const Vec value = hn::MulAdd(level, hn::Set(vector, colour.scale[c]), hn::Set(vector, colour.offset[c]));
      const int at = c * finish_block + i;
      if (dtype == DType::f32) {
        hn::StoreU(value, vector, static_cast<float*>(planes) + at);
      } else if (dtype == DType::f16) {
        const hn::Rebind<hwy::float16_t, Float> halves;
        hn::StoreU(hn::DemoteTo(halves, value), halves, static_cast<hwy::float16_t*>(planes) + at);
      } else {
        const hn::Rebind<uint8_t, Float> levels;
        hn::StoreU(hn::DemoteTo(levels, hn::NearestInt(value)), levels, static_cast<uint8_t*>(planes) + at);
      }
    }
  }
}
}  // namespace
constexpr Functions functions{blend_rows, blend_columns, finish};
}  // namespace kernels::image::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

// Compiled for the baseline: what it instantiates may be shared with other files.
namespace kernels::image::HWY_NAMESPACE {
Support supports(const Preprocess&) { return {16.0 / kernels::HWY_NAMESPACE::lanes, {}}; }
Kernel make(const Preprocess&) { return {&functions}; }
}  // namespace kernels::image::HWY_NAMESPACE
#endif
