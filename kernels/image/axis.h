// Where things are on the way from a picture to a tensor.
#pragma once
#include "kernels/image/image.h"

namespace kernels::image {
// Outputs first … first + count − 1 of an axis of `size` inputs, `scale` inputs to an output; pixels are areas, with
// their centres at halves. The last centre may lie behind the last input by half an input.
void make_axis(Axis&, Filter, int64_t size, double scale, int64_t first, int64_t count);

// One dimension of the way: `resized` pixels, of which `count` from `first` on show at `at` among `size` of the tensor.
struct Span {
  int64_t resized, first, count, at, size;
};
struct Geometry {
  Span x, y;
  Geometry(const Preprocess&, int64_t width, int64_t height);
};
}  // namespace kernels::image
