// Winograd convolution F(m×m, 3×3): tiles of m×m pixels of y from (m+2)×(m+2) pixels of x (Lavin and Gray, "Fast
// Algorithms for Convolutional Neural Networks", 2015, sections 4.1 to 4.3). The rows give the transforms.
#pragma once
#include "kernels/conv/conv.h"
#include "kernels/tile/tile.h"

namespace kernels::conv {
// One tile of x. Steps in elements. Pixels outside rows [row0, row1) and columns [col0, col1) of the tile lie in the
// padding: they are zeros, and not in memory.
struct WinogradInput {
  const float* x;  // the tile's first pixel
  int64_t x_row, x_pixel, channels;
  int row0, row1, col0, col1;
  float* v;  // the (m+2)² transformed pixels, `step` apart
  int64_t step;
};
// One tile of y, of which `rows` rows and `cols` columns are in memory.
struct WinogradOutput {
  const float* m;  // (m+2)² products, `step` apart
  int64_t step;
  const float* bias;  // or null
  float* y;
  int64_t y_row, y_pixel, channels;
  int rows, cols;
  // For transforms that apply it: the chain, its operands at the tile's first pixel, and the pixels of y, in order, from one row of
  // the tile to the next and from one of its columns to the next.
  std::span<const pointwise::Stage> epilogue;
  const pointwise::Cursor* cursors;
  int64_t row_pixels, next_pixel;
};
struct WinogradTransforms {
  void (*input[2])(const WinogradInput&);  // by whether m is 4, else 2
  void (*output[2])(const WinogradOutput&);
  bool applies = false;  // the output's apply the epilogue; else that is a pass over rows of tiles
};

Support supports_winograd(const tile::Backend&, const Spec&, int m);
Kernel make_winograd(const tile::Backend&, const Spec&, int m, const WinogradTransforms&, isa::Mask);
}  // namespace kernels::conv
