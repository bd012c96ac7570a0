// What the rows of the image table differ in: three loops, of which image.cpp makes a picture's way into a tensor.
#pragma once
#include "kernels/image/image.h"

namespace kernels::image {
// An Axis as plain pointers; `origin` is the input that the first float at hand is of.
struct Taps {
  const int32_t *first, *count;
  const float* weights;
  int64_t stride, origin;
};

// From the resized channels of a pixel to those of the tensor: clamp(m · pixel + bias, 0, 255) × scale + offset.
struct Colour {
  int channels;
  float m[3][3], bias[3], scale[3], offset[3];
};

inline constexpr int pixel_floats = 4;   // a resized pixel: up to three channels, and what a vector leaves behind them
inline constexpr int finish_block = 64;  // pixels at most
inline constexpr int spare_floats = 64;  // that may be read behind a row's last, and hold numbers

struct Functions {
  // to[i] = Σ weights[k] · from[k · stride + i], 0 ≤ i < bytes.
  void (*blend_rows)(const uint8_t* from, int64_t stride, const float* weights, int taps, int64_t bytes, float* to);
  // The channels of pixel i of `to` are Σ weights · those of the pixels of `from`, which are `channels` floats apart.
  // Of one channel, only the first float of a pixel of `to` is written; of more, up to four.
  void (*blend_columns)(const float* from, int channels, const Taps&, int64_t n, float* to);
  // n ≤ finish_block pixels into planes of finish_block elements each.
  void (*finish)(const float* pixels, int n, const Colour&, schema::DType, void* planes);
};
}  // namespace kernels::image
