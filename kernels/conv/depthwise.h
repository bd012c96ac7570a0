// What the rows for narrow groups share, depthwise ones above all: blocking, packing and bounds; the rows give the arithmetic
// of one row of pixels.
#pragma once
#include "kernels/conv/conv.h"
#include "kernels/split.h"

namespace kernels::conv {
// One row of y. Offsets and steps in elements; kernel rows outside [kh0, kh1) lie in the padding.
struct PixelRow {
  const float*
      x;  // where column 0 of the kernel meets pixel 0, in kernel row kh0 (columns in the padding are not in memory)
  const float *w, *bias;  // w: as its pack() has it
  float* y;
  int64_t x_row, x_tap, x_step, y_step, channels;  // x: from kernel row to row, column to column, pixel of y to pixel
  int kh0, kh1, kernel_w, stride_w, dilation_w, pad_left, width, out_width;
  int inner_first, inner_last;  // pixels of y for which all columns lie inside x
  std::span<const pointwise::Stage> epilogue;  // unary functions, for the functions that apply them
};
// Of row `row` of those that `args` asks for.
PixelRow row_of(const Spec&, const Args&, int64_t row);
// How `rows` of y, or of blocks of rows of it, and blocks of its channels are divided: a channel needs no other.
Divisible divisible_by_channels(const Spec&, int64_t batch, int64_t out_height, int64_t rows, int64_t blocks);
using DepthwiseFunction = void (*)(const PixelRow&, int64_t first_channel, int64_t last_channel);
// What makes a row of y and, where there is such a thing, two neighbouring ones that both meet rows of x. Bits are the same.
struct DepthwiseFunctions {
  DepthwiseFunction row;
  void (*pair)(const PixelRow&, const PixelRow& below, int64_t first_channel, int64_t last_channel) = nullptr;
  void (*narrow)(void* to, const float* from, int64_t n) = nullptr;  // for weights that are not in f32
};

Support supports_depthwise(const Spec&, int lanes, bool takes_halves = false);
// Groups of as many channels as a vector holds several times over, which give as many.
Support supports_grouped(const Spec&, int lanes);
// `applies`: the function applies the epilogue; else that is a pass over each row.
Kernel make_depthwise(const Spec&, DepthwiseFunctions, int lanes, isa::Mask, bool applies = false);
}  // namespace kernels::conv
