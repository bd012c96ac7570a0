// The problems that the CUDA kernels solve, and what they are run on. PODs: they pass from the runtime to the backend's library.
// Pointers are addresses on the device.
#pragma once
#include "kernels/attention/attention.h"
#include "kernels/conv/conv.h"
#include "kernels/pool/pool.h"
#include "kernels/precision.h"
#include "kernels/reduce/reduce.h"
#include "kernels/rnn/rnn.h"
#include "kernels/softmax/softmax.h"

namespace kernels::cuda {
using pointwise::Chain;
using pointwise::KeptTypes;
using pointwise::Operand;

// kernels/pointwise/pointwise.h on outer × rows × columns: rows of x and y lie one behind the other, over all of `outer`, and
// the rows that an operand of mode per_row or full sees start over with each.
struct PointwiseProblem {
  Chain chain;
  int64_t outer = 1, rows = 0, columns = 0;
  int64_t x_stride = 0, y_stride = 0;  // elements from row to row
  KeptTypes kept = {};
};
struct PointwiseArgs {
  const void* x;
  void* y;  // may be x, or a full operand, at the same stride
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
  Precision precision = Precision::f32;  // that operands may be rounded to
  bool half_b = false;                   // B is in memory as `precision` has it, which is f16 or bf16
  KeptTypes kept = {};                   // of A, C and operands
};
struct GemmArgs {
  const void *a, *b;
  void* c;
  pointwise::Operands operands;
  void* scratch = nullptr;
};

// C = A · Bᵀ: A [m,k], C [m,n]. B [n,ldb] has few bits: bf16, or u4 (two to a byte, the first in the low half) or u8 in blocks of k,
// whose elements are (b - zero) * scale, both [n, blocks].
struct GemmNarrowProblem {
  int64_t m = 0, n = 0, k = 0, ldb = 0;
  schema::DType type = schema::DType::u4;
  int64_t block = 0;                     // of k; 0: bf16
  int64_t columns = 4096;                // of C: for so many at once, B may be floats in scratch
  Precision precision = Precision::f32;  // that operands may be rounded to
  KeptTypes kept = {};                   // of A and C
};
struct GemmNarrowArgs {
  const void *a, *b;
  const float* scale;
  const void* zero;  // of B's type; null: 0
  void* c;
  void* scratch = nullptr;
};

// kernels/conv/conv.h, for all rows of a batch; without `by_rows` and scratch.
struct ConvProblem {
  conv::Spec spec;
  int64_t batch = 1, height = 0;  // of x
  Precision precision = Precision::f32;  // that operands may be rounded to
  // How w lies: [kernel_h, kernel_w, channels of a group, out_channels], see pack_weights; or, where it is another precision's,
  // [out_channels, kernel_h, kernel_w, channels of a group] in f32 for TF32, else in that type.
  Precision weights = Precision::f32;
  KeptTypes kept = {};
};
struct ConvArgs {
  const void *x, *w;
  const float* bias;
  void* y;
  pointwise::Operands operands;
  void* scratch = nullptr;
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
  schema::DType x = schema::DType::f32, y = schema::DType::f32;  // of memory; see KeptTypes
};
// kernels/softmax/softmax.h
struct SoftmaxProblem {
  softmax::Spec spec;
  schema::DType x = schema::DType::f32, y = schema::DType::f32;
};
// kernels/reduce/reduce.h; or both are one type of integers, which wrap.
struct ReduceProblem {
  reduce::Spec spec;
  schema::DType x = schema::DType::f32, y = schema::DType::f32;
};
// What reads one tensor and writes another.
struct MapArgs {
  const void* x;
  void* y;
};

// Sums (or products) of what lies in front along the middle dim of [outer, n, inner]: reals in double, integers wrap. y may be x.
struct ScanProblem {
  schema::DType type = schema::DType::f32;
  int64_t outer = 1, n = 0, inner = 1;
  bool product = false, exclusive = false, reverse = false;
};

// The triangle of each matrix from the diagonal `k` on (upper) or up to it; zeros elsewhere. y may be x.
struct TriangleProblem {
  int element_bytes = 4;
  int64_t matrices = 1, rows = 0, columns = 0, k = 0;
  bool upper = true;
};

// y [outer, depth, inner]: the second of two values where the number in indices [outer, inner] is, else the first; a negative
// one counts from the end.
struct OneHotProblem {
  schema::DType indices = schema::DType::i64;  // an integer
  int element_bytes = 4;
  int64_t outer = 1, depth = 0, inner = 1;
};
struct OneHotArgs {
  const void *indices, *values;
  void* y;
};

// y [batch, channels, places]: x [batch, channels, height, width] at the places that grid [batch, places, 2] names, column first;
// see GridSample in schema/ops.h. Sums are in f32; nearest copies elements of any type.
struct GridSampleProblem {
  schema::ResizeMode mode = schema::ResizeMode::linear;
  schema::GridPadding padding = schema::GridPadding::zeros;
  bool align_corners = false;
  int element_bytes = 4;
  int64_t batch = 1, channels = 1, height = 0, width = 0, places = 0;
};
struct GridSampleArgs {
  const void* x;
  const float* grid;
  void* y;
};

// RoiAlign in schema/ops.h, of f32: y [regions, channels, out_height, out_width]. A region of an image that there is not is reported.
struct RoiAlignProblem {
  int64_t batch = 1, channels = 1, height = 0, width = 0, regions = 0, out_height = 1, out_width = 1;
  int64_t samples = 0;
  float scale = 1;
  bool half_pixel = true, largest = false;
};
struct RoiAlignArgs {
  const float *x, *rois;
  const int64_t* images;
  float* y;
};

// y = (x - mean) / sqrt(variance + epsilon) * scale + bias, moments of each row of `columns` f32; with `rms`, the mean counts as 0.
// Element c of row r has the scale and bias r % groups * (columns / inner) + c / inner.
struct NormProblem {
  int64_t rows = 0, columns = 0, groups = 1, inner = 1;
  double epsilon = 0;
  bool rms = false;
  schema::DType x = schema::DType::f32, y = schema::DType::f32;  // of memory; see KeptTypes
};
struct NormArgs {
  const void* x;
  const float *scale, *bias;  // no bias: null
  void* y;
  float *mean = nullptr, *inverse = nullptr;  // of each row, and 1 / sqrt(variance + epsilon); null: not wanted
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
  schema::DType x = schema::DType::f32, y = schema::DType::f32;  // of memory, of sums; see KeptTypes
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

// An elementwise function of inputs that are broadcast, each along strides of its own, into a dense output. Reals compute in f32,
// integers and booleans in int64, whose division by zero is reported.
struct BroadcastProblem {
  static constexpr int most_dims = 8;
  enum Kind : uint8_t {
    unary,
    binary,
    where,  // boolean, and two of any one size of element
  } kind = binary;
  schema::UnaryKind function = schema::UnaryKind::abs;  // of unary, with its parameters
  float a = 0, b = 0;
  schema::BinaryKind op = schema::BinaryKind::add;
  schema::DType type = schema::DType::f32, out = schema::DType::f32;  // of unary and binary: the inputs', the result's
  int element_bytes = 4;                                              // of where
  int dims = 0;
  int64_t extents[most_dims] = {}, strides[3][most_dims] = {};
};
struct BroadcastArgs {
  const void* in[3];
  void* y;
};

// y[e] = x[…] for each element of a nest of dims: where along x_strides, and along each of `depth` numbers of a tuple of indices, which
// lies along index_strides, by its step. A negative index counts from the end; one outside of its extent is reported.
struct GatherProblem {
  static constexpr int most_dims = 8;
  int element_bytes = 4, index_bytes = 8;  // i32 or i64
  int dims = 0, depth = 1;
  int64_t extents[most_dims] = {}, x_strides[most_dims] = {}, index_strides[most_dims] = {};
  int64_t steps[most_dims] = {}, index_extents[most_dims] = {};  // by the numbers of a tuple
};
struct GatherArgs {
  const void *x, *indices;
  void* y;
};
// The other way round: y is x, but for the elements of `updates`, which lie along the nest. Of several for one place the last one
// stays, or all are combined with what is there, in their order.
struct ScatterProblem {
  GatherProblem places;
  int64_t count = 0;  // elements of x and y
  schema::ScatterKind kind = schema::ScatterKind::none;
  schema::DType type = schema::DType::f32;  // of what is combined
};
struct ScatterArgs {
  const void *x, *indices, *updates;
  void* y;  // may be x
  void* scratch;
};

// The first k elements of each row in an order, and where they are along it: x [outer, n, inner], results [outer, k, inner].
struct TopKProblem {
  schema::DType type = schema::DType::f32;
  int64_t outer = 1, n = 0, inner = 1, k = 1;
  bool largest = true;
  bool nan_first = true;  // else NaN is the largest number
  bool last = false;      // of equals, the last one comes first
};
struct TopKArgs {
  const void* x;
  void* values;      // null: not wanted
  int64_t* indices;  // null: not wanted
};

// NonMaxSuppression in schema/ops.h, for scores [batch, classes, count]: at most `most` boxes of a class. Of the rows of `selected`
// [batch * classes * most, 3], the first `count` are results, the rest zeros. A threshold outside of 0 to 1 is reported.
struct NonMaxSuppressionProblem {
  int64_t batch = 1, classes = 1, count = 0, most = 0;
  bool center = false;
};
struct NonMaxSuppressionArgs {
  const float *boxes, *scores;
  const int64_t* most;          // of a class, beside the problem's; null: 0
  const float *limit, *least;   // what boxes may overlap, null: 0; what scores are above, null: nothing
  int64_t *selected, *count;
  void* scratch;
};

// kernels/quantize/quantize.h, slices of n elements.
struct QuantizeProblem {
  schema::DType integers = schema::DType::u8;
  bool back = false;
  int64_t slices = 0, n = 0, scales = 1;
};
struct QuantizeArgs {
  const void* x;
  const float* scale;
  const void* zeros;  // null: zeros
  void* y;
};

// kernels/conv_transpose/conv_transpose.h
struct ConvTransposeProblem {
  int64_t batch = 1, height = 0, width = 0, channels = 0, out_height = 0, out_width = 0, out_channels = 0;
  int kernel_h = 1, kernel_w = 1, stride_h = 1, stride_w = 1, dilation_h = 1, dilation_w = 1, pad_top = 0, pad_left = 0;
};
struct ConvTransposeArgs {
  const float* x;
  const float* w;  // [kernel_h, kernel_w, channels, out_channels]
  const float* bias;
  float* y;
};

// The spatial dims of what passes a window over planes; of fewer than three, the first ones have an extent, and a kernel, of 1. Element o
// of y reads x at o * stride + tap * dilation - begin.
struct WindowDims {
  static constexpr int count = 3;
  int64_t in[count] = {1, 1, 1}, out[count] = {1, 1, 1}, kernel[count] = {1, 1, 1};
  int64_t stride[count] = {1, 1, 1}, dilation[count] = {1, 1, 1}, begin[count] = {};
};
// Conv and ConvTranspose in schema/ops.h, f32: x [batch, channels, in], w [out_channels, channels / groups, kernel], transposed
// [channels, out_channels / groups, kernel]. Transposed, `begin` is what the convolution that makes x of y has.
struct DirectConvProblem {
  WindowDims dims;
  int64_t batch = 1, channels = 0, out_channels = 0, groups = 1;
  bool transposed = false;
};
struct DirectConvArgs {
  const float *x, *w, *bias;  // no bias: null
  float* y;
};
// Pool in schema/ops.h, reals; of the maximum i8 and u8, too.
struct DirectPoolProblem {
  WindowDims dims;
  int64_t end[WindowDims::count] = {};  // with count_pad: what an average counts behind x
  int64_t planes = 0;
  schema::PoolKind kind = schema::PoolKind::max;
  schema::DType type = schema::DType::f32;
  int64_t p = 2;
  bool count_pad = false, column_major = false;
};
struct DirectPoolArgs {
  const void* x;
  void* y;           // of the maximum: null: not wanted
  int64_t* indices;  // of the maximum, in all of x; null: not wanted
};

// DeformConv in schema/ops.h, of f32 and two spatial dims.
struct DeformConvProblem {
  int64_t batch = 1, height = 0, width = 0, channels = 0, out_height = 0, out_width = 0, out_channels = 0;
  int64_t groups = 1, offset_groups = 1;
  int kernel_h = 1, kernel_w = 1, stride_h = 1, stride_w = 1, dilation_h = 1, dilation_w = 1, pad_top = 0, pad_left = 0;
  bool biased = false;
  Precision precision = Precision::f32;  // that operands of the product may be rounded to
};
struct DeformConvArgs {
  const float *x, *w, *offset, *bias, *mask;  // no bias or mask: null
  float* y;
  void* scratch = nullptr;
};

// kernels/attention/attention.h
struct AttentionProblem {
  int64_t batch = 1, heads = 1, shared = 1, queries = 0, keys = 0, size = 0, value_size = 0;
  float scale = 1;
  bool zero_if_masked = false;
  bool causal = false;  // the last query sees all keys, each one before it a key less
  attention::Strides q, k, v, y;
  bool masked = false;
  int64_t mask_strides[4] = {};  // by batch, head, query, key
  int64_t window = 0;            // with `causal`: a query sees so many keys at most; 0: all
  float softcap = 0;             // above 0: scores become softcap * tanh(score / softcap), before the mask
  bool counted = false;          // sequences have keys and queries of their own number
  schema::DType q_type = schema::DType::f32, k_type = schema::DType::f32, v_type = schema::DType::f32,
                y_type = schema::DType::f32;  // of memory; see KeptTypes
};
struct AttentionArgs {
  const void *q, *k, *v;
  const float* mask;
  void* y;
  const int32_t* counts = nullptr;  // by sequence: the keys that there are, the queries that count; results of others are 0
};

// What GroupQueryAttention does before its scores: present k and v [batch, kv_heads, rows, size] are those of the past and the
// valid tokens of this run behind them, of k normalised and turned by the angles of their positions; so are the queries
// [batch, length, heads, size]. It counts keys and queries for AttentionArgs. Lengths and positions that contradict each other are reported.
struct CacheProblem {
  int64_t batch = 1, length = 0, heads = 1, kv_heads = 1, size = 0, past = 0, rows = 0;
  int64_t positions = 0, half = 0;  // of cos and sin [positions, half]; 0: nothing is turned
  bool interleaved = false, normed = false;
  float q_epsilon = 0, k_epsilon = 0;
};
struct CacheArgs {
  const float *q, *k, *v, *past_k, *past_v;  // no past: null
  const int32_t *lengths, *total, *valid;    // of each sequence, less one; of all; no valid ones: null
  const float *cos, *sin, *q_norm, *k_norm;
  const int64_t* position_ids;  // null: they follow from the lengths
  float *present_k, *present_v, *queries;
  int32_t* counts;
};

// LinearAttention in schema/ops_recurrent.h, of f32: heads of `keys` elements of q and k, and of `values` of v.
struct LinearAttentionProblem {
  int64_t batch = 1, length = 0, heads = 1, kv_heads = 1, keys = 0, values = 0;
  int64_t decays = 0, betas = 0;  // of a token
  float scale = 1;
};
struct LinearAttentionArgs {
  const float *q, *k, *v, *past, *decay, *beta;  // null: absent
  float *y, *present;                            // null: not wanted
};

// CausalConvWithState in schema/ops_recurrent.h, of f32.
struct CausalConvProblem {
  int64_t batch = 1, channels = 1, length = 0, taps = 1;
};
struct CausalConvArgs {
  const float *x, *w, *bias, *past;  // null: absent
  float *y, *present;                // null: not wanted
};

// One direction of kernels/rnn/rnn.h behind its product with x: gates_x [T,B,G*H] is w·x and the biases, but rb of a gru's hidden gate.
struct RnnProblem {
  rnn::Spec spec;
  int64_t time = 0, batch = 0;
  bool reverse = false;
  int64_t y_step = 0;  // floats from step to step
};
struct RnnArgs {
  const float *gates_x, *r;  // r [G*H,H]
  const float* bias;         // gru: rb of the hidden gate; null: zeros
  const float *h0, *c0;      // [B,H]; null: zeros
  const int32_t* lengths;    // [B]; null: `time` each. One out of range is reported
  float *y, *h, *c;          // y: null where it is not wanted; c: of lstm
  void* scratch;
};

// Elements of one type as those of another, as the engine's Cast has it.
struct CastProblem {
  schema::DType from = schema::DType::f32, to = schema::DType::f32;
  int64_t count = 0;
};
}  // namespace kernels::cuda
