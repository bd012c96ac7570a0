// The image loops for any machine.
#include <bit>
#include <cmath>
#include "kernels/image/functions.h"

namespace kernels::image::scalar {
namespace {
using schema::DType;

uint16_t half(float value) {
  uint32_t x = std::bit_cast<uint32_t>(value);
  const uint32_t sign = x >> 16 & 0x8000, magnitude = x & 0x7fffffff;
  if (magnitude >= 0x47800000) return static_cast<uint16_t>(sign | (magnitude > 0x7f800000 ? 0x7e00 : 0x7c00));
  if (magnitude < 0x38800000) {  // denormal: the addition rounds
    x = std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - std::bit_cast<uint32_t>(0.5f);
    return static_cast<uint16_t>(sign | x);
  }
  return static_cast<uint16_t>(sign | (magnitude - (112u << 23) + 0xfff + (magnitude >> 13 & 1)) >> 13);
}

void blend_rows(const uint8_t* from, int64_t stride, const float* weights, int taps, int64_t bytes, float* to) {
  for (int64_t i = 0; i < bytes; ++i) to[i] = weights[0] * static_cast<float>(from[i]);
  for (int k = 1; k < taps; ++k) {
    from += stride;
    for (int64_t i = 0; i < bytes; ++i) to[i] += weights[k] * static_cast<float>(from[i]);
  }
}

void blend_columns(const float* from, int channels, const Taps& taps, int64_t n, float* to) {
  const int wanted = std::min(channels, pixel_floats - 1);
  for (int64_t i = 0; i < n; ++i, to += pixel_floats) {
    const float* x = from + (taps.first[i] - taps.origin) * channels;
    const float* weights = taps.weights + i * taps.stride;
    float sum[pixel_floats] = {};
    for (int k = 0; k < taps.count[i]; ++k, x += channels)
      for (int c = 0; c < wanted; ++c) sum[c] += weights[k] * x[c];
    for (int c = 0; c < wanted; ++c) to[c] = sum[c];
  }
}

void finish(const float* pixels, int n, const Colour& colour, DType dtype, void* planes) {
  for (int i = 0; i < n; ++i, pixels += pixel_floats) {
    for (int c = 0; c < colour.channels; ++c) {
      const float* m = colour.m[c];
      const float level = m[0] * pixels[0] + m[1] * pixels[1] + m[2] * pixels[2] + colour.bias[c];
      const float value = std::clamp(level, 0.0f, 255.0f) * colour.scale[c] + colour.offset[c];
      const int at = c * finish_block + i;
      if (dtype == DType::f32) static_cast<float*>(planes)[at] = value;
      else if (dtype == DType::f16) static_cast<uint16_t*>(planes)[at] = half(value);
      else static_cast<uint8_t*>(planes)[at] = static_cast<uint8_t>(std::nearbyint(value));
    }
  }
}

constexpr Functions functions{blend_rows, blend_columns, finish};
}  // namespace

Support supports(const Preprocess&) { return {16, {}}; }
Kernel make(const Preprocess&) { return {&functions}; }
}  // namespace kernels::image::scalar
