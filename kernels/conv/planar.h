// Convolution of few output channels, or of a number that fills vectors badly: vectors over the columns of y. The rows of
// x that a band of rows of y reads are first laid out as planes, one per channel, with the padding as zeros; strided
// kernels find every so many columns next to each other.
#pragma once
#include "kernels/conv/conv.h"
#include "kernels/transpose/transpose.h"

namespace kernels::conv {
constexpr int most_planar_outputs = 8;  // of a block
constexpr int most_planar_vectors = 8;

// Neighbouring columns of one row of y, whole vectors of them, for some output channels. Steps in floats.
struct PlanarBlock {
  const float* x;       // the first channel, at the column under the first tap
  const float* w;       // [channel][kernel row][kernel column][output]
  const float* start;   // by output: what sums start from
  float* y;             // the first output
  const int64_t* taps;  // by column of the kernel: where it is in a row
  int64_t x_plane, x_row, w_plane, y_plane;
  int64_t channels, rows, kernel_w;
  bool add;  // to y
};
struct PlanarRow {
  using Function = void (*)(const PlanarBlock&);
  // By outputs - 1 and vectors - 1. A block has no more vectors than the largest there is for its outputs.
  Function blocks[most_planar_outputs][most_planar_vectors];
  transpose::Function transpose;
  int lanes;
};

Support supports_planar(const Spec&, int lanes);
Kernel make_planar(const Spec&, const PlanarRow&, isa::Mask);
}  // namespace kernels::conv
