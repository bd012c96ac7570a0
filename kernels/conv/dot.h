// What the rows for few output channels share. Vectors over output channels would be all but empty: these go over input
// channels, and an output is a dot product of vectors, summed up at the end.
#pragma once
#include "kernels/conv/conv.h"

namespace kernels::conv {
constexpr int most_dot_outputs = 4;  // channels

// One row of y. Offsets and steps in floats; kernel rows outside [kh0, kh1) lie in the padding.
struct DotRow {
  const float* x;  // where column 0 of the kernel meets pixel 0, in kernel row kh0 (columns in the padding are not in memory)
  const float *w, *bias;  // [kh][kw][output][channel]
  float* y;
  int64_t x_row, x_tap, x_step, y_step, channels;  // x: from kernel row to row, column to column, pixel of y to pixel
  int kh0, kh1, kernel_w, stride_w, dilation_w, pad_left, width, out_width, outputs;
};
using DotFunction = void (*)(const DotRow&, int first_pixel, int last_pixel);

Support supports_dot(const Spec&, int lanes);
Kernel make_dot(const Spec&, DotFunction, isa::Mask);
}  // namespace kernels::conv
