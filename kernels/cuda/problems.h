// The problems that the CUDA kernels solve, and what they are run on. PODs: they pass from the runtime to the backend's library.
// Pointers are addresses on the device.
#pragma once
#include "kernels/conv/conv.h"
#include "kernels/pool/pool.h"
#include "kernels/reduce/reduce.h"
#include "kernels/softmax/softmax.h"

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
  pointwise::Operands operands;
};

// y[i, j, …] = x[i, j, …] along strides of both, in elements, from the first ones on: transposes, slices, broadcasts, parts of a concat.
struct CopyProblem {
  static constexpr int most_dims = 8;
  int element_bytes = 4;  // 1, 2, 4, 8
  int dims = 0;
  int64_t extents[most_dims] = {};
  int64_t x_strides[most_dims] = {};
  int64_t y_strides[most_dims] = {};
  int64_t x_first = 0, y_first = 0;
};
struct CopyArgs {
  const void* x;
  void* y;
};

// C[i] = chain(A[i] · B[i]) for each i of a batch of up to three dims, f32: A [m,k], B [k,n], or transposed in memory. Rows and columns
// of the chain are those of one C; with a chain there is one batch. C is dense over the batch, ldc = n but where there is one.
struct GemmProblem {
  int64_t m = 0, n = 0, k = 0;
  int64_t lda = 0, ldb = 0, ldc = 0;  // floats from row to row in memory
  bool trans_a = false, trans_b = false;
  int64_t batch[3] = {1, 1, 1}, a_steps[3] = {}, b_steps[3] = {};
  Chain chain = {};
};
struct GemmArgs {
  const float *a, *b;
  float* c;
  pointwise::Operands operands;
};

// kernels/conv/conv.h, for all rows of a batch; without `by_rows` and scratch.
struct ConvProblem {
  conv::Spec spec;
  int64_t batch = 1, height = 0;  // of x
};
struct ConvArgs {
  const float* x;
  const float* w;  // [kernel_h, kernel_w, channels of a group, out_channels]: see pack_weights
  const float* bias;
  float* y;
  pointwise::Operands operands;
};
// From [out_channels, channels of a group, kernel_h, kernel_w].
inline void pack_weights(const conv::Spec& s, const float* w, float* to) {
  const int64_t taps = int64_t(s.kernel_h) * s.kernel_w, in = s.channels / s.groups;
  for (int64_t tap = 0; tap < taps; ++tap)
    for (int64_t c = 0; c < in; ++c)
      for (int64_t out = 0; out < s.out_channels; ++out) *to++ = w[(out * in + c) * taps + tap];
}

// kernels/pool/pool.h
struct PoolProblem {
  pool::Spec spec;
  int64_t batch = 1;
};

// What reads one tensor of f32 and writes another: the pool, kernels/softmax/softmax.h, kernels/reduce/reduce.h.
struct MapArgs {
  const float* x;
  float* y;
};

// y = (x - mean) / sqrt(variance + epsilon) * scale + bias, moments of each row of `columns` f32; with `rms`, the mean counts as 0.
// Element c of row r has the scale and bias r % groups * (columns / inner) + c / inner.
struct NormProblem {
  int64_t rows = 0, columns = 0, groups = 1, inner = 1;
  double epsilon = 0;
  bool rms = false;
};
struct NormArgs {
  const float *x, *scale, *bias;  // no bias: null
  float* y;
};

// kernels/pad/pad.h
struct PadProblem {
  static constexpr int most_dims = 8;
  int element_bytes = 4;
  schema::PadMode mode = schema::PadMode::constant;
  int dims = 0;
  int64_t extents[most_dims] = {}, begin[most_dims] = {}, end[most_dims] = {};  // of x; see pad::Dim
};
struct PadArgs {
  const void* x;
  const void* value;  // null: zeros
  void* y;
};

// kernels/resize/resize.h, the tables of both axes on the device.
struct ResizeProblem {
  int element_bytes = 4;
  int64_t outer = 0, height = 0, width = 0, inner = 0, out_height = 0, out_width = 0;
  bool copies = false;
};
struct ResizeAxis {
  const int64_t *first, *index;
  const float* weight;
};
struct ResizeArgs {
  const void* x;
  void* y;
  ResizeAxis rows, columns;
};

// An elementwise function of inputs that are broadcast, each along strides of its own, into a dense output.
struct BroadcastProblem {
  static constexpr int most_dims = 8;
  enum Kind : uint8_t {
    binary,  // f32 → f32
    truth,   // f32 → boolean: equal, less, …
    where,   // boolean, and two of any one size of element
  } kind = binary;
  schema::BinaryKind op = schema::BinaryKind::add;
  int element_bytes = 4;  // of where's
  int dims = 0;
  int64_t extents[most_dims] = {}, strides[3][most_dims] = {};
};
struct BroadcastArgs {
  const void* in[3];
  void* y;
};

// Elements of one type as those of another, as the engine's Cast has it.
struct CastProblem {
  schema::DType from = schema::DType::f32, to = schema::DType::f32;
  int64_t count = 0;
};
}  // namespace kernels::cuda
