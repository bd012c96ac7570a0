// The problems that the CUDA kernels solve, and what they are run on. PODs: they pass from the runtime to the backend's library.
// Pointers are addresses on the device.
#pragma once
#include "kernels/pointwise/pointwise.h"

namespace kernels::cuda {
using pointwise::Chain;
using pointwise::Operand;

// kernels/pointwise/pointwise.h on outer × rows × columns: rows of x and y lie one behind the other, over all of `outer`, and
// the rows that an operand of mode per_row or full sees start over with each.
struct PointwiseProblem {
  Chain chain;
  int64_t outer = 1, rows = 0, columns = 0;
  int64_t x_stride = 0, y_stride = 0;  // floats from row to row
};
struct PointwiseArgs {
  const float* x;
  float* y;  // may be x, or a full operand, at the same stride
  const Operand* operands;  // the array is the host's
};

// y[i, j, …] = x[i, j, …] along strides of both, in elements: transposes, slices, broadcasts, parts of a concat.
struct CopyProblem {
  static constexpr int most_dims = 8;
  int element_bytes = 4;  // 1, 2, 4, 8
  int dims = 0;
  int64_t extents[most_dims] = {};
  int64_t x_strides[most_dims] = {};
  int64_t y_strides[most_dims] = {};
};
struct CopyArgs {
  const void* x;
  void* y;
};
}  // namespace kernels::cuda
