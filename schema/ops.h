// The op catalogue: one plain struct per op, holding its parameters and their defaults. `visit_fields` names every
// field; the file, the dump, equality and defaults follow from it. `version` grows with each field added, which must
// default to the old meaning. An op struct with `portable = false` is made by target passes and never saved.
//
// Inputs in brackets are optional: an absent one is ValueId::none, or left out at the end. Parameters that the newest
// ONNX makes inputs (shapes, axes, pads) are inputs here too; they must be known before a step can be planned, and
// are read when the step runs otherwise. Axes may be negative and count from the end then.
#pragma once
#include "schema/op_fields.h"

namespace schema {
#define F(name) v(#name, &Self::name)

// --- Elementwise -----------------------------------------------------------------------------------------------------

// y = f(x), a row of unary.def, with its parameters.
struct Unary {
  static constexpr int version = 1;
  UnaryKind kind = UnaryKind::relu;
  double a = 0, b = 0;
  SCHEMA_FIELDS(Unary, F(kind), F(a), F(b))
};

// z = f(x, y), a row of binary.def, with NumPy broadcasting. y has the dtype of x, except for pow.
struct Binary {
  static constexpr int version = 1;
  BinaryKind kind = BinaryKind::add;
  SCHEMA_FIELDS(Binary, F(kind))
};

// y = condition ? a : b. Inputs: condition (boolean), a, b; broadcast against each other.
struct Where {
  static constexpr int version = 1;
  SCHEMA_FIELDS(Where)
};

// y = x converted to `to`. Out of range for float8: saturates, or becomes NaN or infinity. `round` is for f8e8m0.
struct Cast {
  static constexpr int version = 1;
  DType to = DType::f32;
  bool saturate = true;
  RoundMode round = RoundMode::up;
  SCHEMA_FIELDS(Cast, F(to), F(saturate), F(round))
};

// The bits of x read as another dtype of as many bits per element. Not for strings.
struct BitCast {
  static constexpr int version = 1;
  DType to = DType::f32;
  SCHEMA_FIELDS(BitCast, F(to))
};

// y = saturate(round(x / scale) + zero). Inputs: x, scale, [zero point]. Scale is a scalar, one per index of `axis`, or
// one per block of `block_size` along it. `to` is the result's dtype.
struct QuantizeLinear {
  static constexpr int version = 1;
  DType to = DType::u8;
  int64_t axis = 1, block_size = 0;
  bool saturate = true;
  SCHEMA_FIELDS(QuantizeLinear, F(to), F(axis), F(block_size), F(saturate))
};

// y = (x - zero) * scale. Inputs: x, scale, [zero point]; y has the dtype `to`.
struct DequantizeLinear {
  static constexpr int version = 1;
  DType to = DType::f32;
  int64_t axis = 1, block_size = 0;
  SCHEMA_FIELDS(DequantizeLinear, F(to), F(axis), F(block_size))
};

// --- Products and convolutions ---------------------------------------------------------------------------------------

// NumPy matmul of a and b, after the last two dims of either are swapped if asked. `exact`: as of Conv.
struct MatMul {
  static constexpr int version = 1;
  bool trans_a = false, trans_b = false, exact = false;
  SCHEMA_FIELDS(MatMul, F(trans_a), F(trans_b), F(exact))
};

// MatMul of 8-bit integers, each less its zero point, summed exactly. Inputs: a […,M,K], b […,K,N] (i8 or u8 each), [zero point
// of a, broadcast to it], [that of b], [bias i32 [N]], [factor f32: one, or one per column], [zero point of y]. y is as that of
// QuantizedConv.
struct QuantizedMatMul {
  static constexpr int version = 1;
  bool trans_b = false;
  DType to = DType::u8;
  SCHEMA_FIELDS(QuantizedMatMul, F(trans_b), F(to))
};

// y = a · wᵀ in f32, where w [N,K'] has few bits. Inputs: a f32 […,K], w, [scale f32 [N,blocks]], [zero [N,blocks], of w's dtype: 0].
// u4 or u8: an element is (w - zero) * scale, in blocks of `block_size` along a row; K' = K, or blocks * block_size, of which K count.
// bf16: w [N,K] alone. y f32 […,N].
struct NarrowMatMul {
  static constexpr int version = 1;
  int64_t block_size = 0;
  SCHEMA_FIELDS(NarrowMatMul, F(block_size))
};

// The determinant of each matrix: x […,M,M], y […].
struct Det {
  static constexpr int version = 1;
  SCHEMA_FIELDS(Det)
};

// y[n,k,i…] = b[k] + sum over c,r… of x[n, c, i*stride + r*dilation - pad, …] * w[k, c, r…], c within the group of k.
// Inputs: x [N,C,spatial…], w [K,C/groups,kernel…], [b [K]]. Empty lists mean 1 (stride, dilation) or 0 (pad: all
// begins, then all ends). `auto_pad` other than none overrides pad. `exact`: all numbers are integers, and so are all sums of
// their products, so that only an algorithm that rounds (Winograd's) would give another result than any other.
struct Conv {
  static constexpr int version = 1;
  Ints stride, dilation, pad;
  int64_t groups = 1;
  AutoPad auto_pad = AutoPad::none;
  bool exact = false;
  SCHEMA_FIELDS(Conv, F(stride), F(dilation), F(pad), F(groups), F(auto_pad), F(exact))
};

// Conv of 8-bit integers, each less its zero point, summed exactly. Inputs: x [N,C,spatial…], w [K,C/groups,kernel…] (i8 or u8
// each), [zero point of x], [that of w: one, or one per feature], [b i32 [K]], [factor f32: one, or one per feature], [zero point
// of y]. With a factor, y = saturate(round(f32(sum) * factor) + zero) in the dtype `to`; without one, it is the sums, in i32, where they wrap.
struct QuantizedConv {
  static constexpr int version = 1;
  Ints stride, dilation, pad;
  int64_t groups = 1;
  AutoPad auto_pad = AutoPad::none;
  DType to = DType::u8;
  SCHEMA_FIELDS(QuantizedConv, F(stride), F(dilation), F(pad), F(groups), F(auto_pad), F(to))
};

// The transpose of Conv. Inputs: x [N,C,spatial…], w [C,K/groups,kernel…], [b [K]]. `output_shape`, if given, holds the
// spatial extents and overrides pad.
struct ConvTranspose {
  static constexpr int version = 1;
  Ints stride, dilation, pad, output_padding, output_shape;
  int64_t groups = 1;
  AutoPad auto_pad = AutoPad::none;
  SCHEMA_FIELDS(ConvTranspose, F(stride), F(dilation), F(pad), F(output_padding), F(output_shape), F(groups), F(auto_pad))
};

// Conv on x [N,H,W,C], y [N,OH,OW,K], or, with `planar_input`, on x [N,C,H,W]; w stays [K,C/groups,kh,kw]. Two spatial
// dims; all lists full. Inputs: x, w, [b].
struct ConvLast {
  static constexpr int version = 1;
  static constexpr bool portable = false;
  Ints stride, dilation, pad;
  int64_t groups = 1;
  bool planar_input = false, exact = false;
  SCHEMA_FIELDS(ConvLast, F(stride), F(dilation), F(pad), F(groups), F(planar_input), F(exact))
};

// Several nodes as one step. Its body computes the output from the inputs: either its first node is a convolution, product
// or elementwise function and each further one an elementwise function of the result so far, or its nodes are convolutions
// (each may be such a Fused), each on the result of the one before.
struct Fused {
  static constexpr int version = 1;
  static constexpr bool portable = false;
  SCHEMA_FIELDS(Fused)
};

// The same value in the memory of the device, or of the host. A target pass puts one where a value goes from a node that runs on the
// one to a node that runs on the other.
struct DeviceCopy {
  static constexpr int version = 1;
  static constexpr bool portable = false;
  bool to_device = true;
  SCHEMA_FIELDS(DeviceCopy, F(to_device))
};

// ConvTranspose on x [N,H,W,C], y [N,OH,OW,K]; w stays [C,K/groups,kh,kw]. Two spatial dims; all lists full, `output_shape`
// too: the padding is what is cut in front of y. Inputs: x, w, [b].
struct ConvTransposeLast {
  static constexpr int version = 1;
  static constexpr bool portable = false;
  Ints stride, dilation, pad, output_shape;
  int64_t groups = 1;
  SCHEMA_FIELDS(ConvTransposeLast, F(stride), F(dilation), F(pad), F(output_shape), F(groups))
};

// Conv whose taps are moved: for output i, tap r reads x at i*stride + r*dilation - pad + offset, interpolated linearly, as
// 0 where that is outside. Inputs: x [N,C,spatial…], w [K,C/groups,kernel…], offset [N,offset_groups*taps*dims,out…] in
// elements of x, for each group of channels, tap and dim, [b [K]], [mask [N,offset_groups*taps,out…]], which multiplies
// what a tap reads.
struct DeformConv {
  static constexpr int version = 1;
  Ints stride, dilation, pad;
  int64_t groups = 1, offset_groups = 1;
  SCHEMA_FIELDS(DeformConv, F(stride), F(dilation), F(pad), F(groups), F(offset_groups))
};

// Outputs: y, and for max the flat index of each maximum in x (i64), if asked for. `count_pad`: an average counts the
// padding too. `p` is the norm of lp. `column_major` is for the index.
struct Pool {
  static constexpr int version = 1;
  PoolKind kind = PoolKind::max;
  Ints kernel, stride, dilation, pad;
  AutoPad auto_pad = AutoPad::none;
  bool ceil_mode = false, count_pad = false, column_major = false;
  int64_t p = 2;
  SCHEMA_FIELDS(Pool, F(kind), F(kernel), F(stride), F(dilation), F(pad), F(auto_pad), F(ceil_mode), F(count_pad),
                F(column_major), F(p))
};

// Pool on x [N,H,W,C]: max and average, one output.
struct PoolLast {
  static constexpr int version = 1;
  static constexpr bool portable = false;
  PoolKind kind = PoolKind::max;
  Ints kernel, stride, dilation, pad;
  bool ceil_mode = false, count_pad = false;
  SCHEMA_FIELDS(PoolLast, F(kind), F(kernel), F(stride), F(dilation), F(pad), F(ceil_mode), F(count_pad))
};

// Undoes a maximum Pool: y is x's elements at their places, and 0 elsewhere. Inputs: x [N,C,spatial…], flat indices (i64, as
// x) into [N,C,out…], where out = (in - 1)*stride + kernel - pad, [shape (i64)]: y is that tensor, filled up with zeros at
// its ends to this shape. Of elements at one place the last stays.
struct MaxUnpool {
  static constexpr int version = 1;
  Ints kernel, stride, pad;
  SCHEMA_FIELDS(MaxUnpool, F(kernel), F(stride), F(pad))
};

// Sums what the windows of a convolution over an image would read of each of its elements. Inputs: x [N,C*taps,windows],
// image's spatial extents (i64), kernel's extents (i64). Output: [N,C,spatial…].
struct Col2Im {
  static constexpr int version = 1;
  Ints stride, dilation, pad;
  SCHEMA_FIELDS(Col2Im, F(stride), F(dilation), F(pad))
};

// Resamples x. Inputs: x, [roi], [scales], [sizes]; `axes` says which dims they are for (empty: all).
struct Resize {
  static constexpr int version = 1;
  ResizeMode mode = ResizeMode::nearest;
  ResizeCoordinates coordinates = ResizeCoordinates::half_pixel;
  ResizeNearest nearest = ResizeNearest::round_prefer_floor;
  ResizeAspect aspect = ResizeAspect::stretch;
  bool antialias = false, exclude_outside = false;
  double cubic_a = -0.75, extrapolation = 0;
  Ints axes;
  SCHEMA_FIELDS(Resize, F(mode), F(coordinates), F(nearest), F(aspect), F(antialias), F(exclude_outside), F(cubic_a),
                F(extrapolation), F(axes))
};

// Samples x [N,C,spatial…] at the places that grid [N,out…,r] names, where -1 and 1 are the ends of each of the r spatial
// dims: the centres of the outermost pixels, or with `align_corners` unset their far edges. The last spatial dim comes
// first in the grid. Nearest rounds ties to even; cubic has the coefficient -0.75. Output: [N,C,out…].
struct GridSample {
  static constexpr int version = 1;
  ResizeMode mode = ResizeMode::linear;
  GridPadding padding = GridPadding::zeros;
  bool align_corners = false;
  SCHEMA_FIELDS(GridSample, F(mode), F(padding), F(align_corners))
};

// The grid that makes GridSample apply an affine map. Inputs: theta [N,r,r+1] for r = 2 or 3, size (i64: N,C,spatial…).
// Output: [N,spatial…,r]: theta * (position, 1), the position's last dim first. -1 and 1 are the ends of a dim as they are
// for GridSample; the only place of an extent of 1 is -1 with `align_corners`.
struct AffineGrid {
  static constexpr int version = 1;
  bool align_corners = false;
  SCHEMA_FIELDS(AffineGrid, F(align_corners))
};

// Pools x [N,C,H,W] over `height` x `width` bins of each region of interest. Inputs: x, rois [R,4] (x1, y1, x2, y2, times
// `scale` in elements of x), the image of each (i64 [R]). Output: [R,C,height,width]. A bin is sampled at `samples` places
// per dim (0: its extent, rounded up) by linear interpolation between 4 elements. Average: the mean of the samples, those
// outside of x being 0. Max: the largest product of an element and its weight. `half_pixel`: an element's centre is at
// its index + 0.5; otherwise at its index, and regions are at least 1 wide and high.
struct RoiAlign {
  static constexpr int version = 1;
  PoolKind kind = PoolKind::average;
  int64_t height = 1, width = 1, samples = 0;
  double scale = 1;
  bool half_pixel = true;
  SCHEMA_FIELDS(RoiAlign, F(kind), F(height), F(width), F(samples), F(scale), F(half_pixel))
};

// The maxima of x [N,C,H,W] in `height` x `width` bins of each region of interest. Inputs: x, rois [R,5] (image, x1, y1, x2,
// y2: the first and last elements, times `scale` and rounded). Output: [R,C,height,width]; 0 for a bin outside of x.
struct MaxRoiPool {
  static constexpr int version = 1;
  int64_t height = 1, width = 1;
  double scale = 1;
  SCHEMA_FIELDS(MaxRoiPool, F(height), F(width), F(scale))
};

// --- Reductions and normalisations -----------------------------------------------------------------------------------

// Inputs: x, [axes (i64)]. No axes: all, or none of them with `noop_with_empty_axes`.
struct Reduce {
  static constexpr int version = 1;
  ReduceKind kind = ReduceKind::sum;
  bool keepdims = true, noop_with_empty_axes = false;
  SCHEMA_FIELDS(Reduce, F(kind), F(keepdims), F(noop_with_empty_axes))
};

// The index (i64) of the first, or last, extremum along `axis`.
struct ArgReduce {
  static constexpr int version = 1;
  ArgKind kind = ArgKind::max;
  int64_t axis = 0;
  bool keepdims = true, select_last = false;
  SCHEMA_FIELDS(ArgReduce, F(kind), F(axis), F(keepdims), F(select_last))
};

struct Softmax {
  static constexpr int version = 1;
  SoftmaxKind kind = SoftmaxKind::softmax;
  int64_t axis = -1;
  SCHEMA_FIELDS(Softmax, F(kind), F(axis))
};

// y = (x - mean) / sqrt(variance + epsilon) * scale + bias over the dims from `axis` on. Inputs: x, scale, [bias].
// Outputs: y, [mean], [1 / standard deviation], both f32. With `rms`, no mean is subtracted, and y is the only output.
struct LayerNorm {
  static constexpr int version = 1;
  int64_t axis = -1;
  double epsilon = 1e-5;
  bool rms = false;
  SCHEMA_FIELDS(LayerNorm, F(axis), F(epsilon), F(rms))
};

// Inputs: x [N,C,…], scale, bias, mean, variance [C].
struct BatchNorm {
  static constexpr int version = 1;
  double epsilon = 1e-5;
  SCHEMA_FIELDS(BatchNorm, F(epsilon))
};

// Normalises x [N,C,…] over each of `groups` groups of channels (0: each channel by itself) of each image.
// Inputs: x, scale [C], bias [C].
struct GroupNorm {
  static constexpr int version = 1;
  int64_t groups = 0;
  double epsilon = 1e-5;
  SCHEMA_FIELDS(GroupNorm, F(groups), F(epsilon))
};

// Inputs: x, axis (i32 or i64 scalar).
struct CumSum {
  static constexpr int version = 1;
  bool exclusive = false, reverse = false;
  SCHEMA_FIELDS(CumSum, F(exclusive), F(reverse))
};
struct CumProd {
  static constexpr int version = 1;
  bool exclusive = false, reverse = false;
  SCHEMA_FIELDS(CumProd, F(exclusive), F(reverse))
};

// --- Signals ---------------------------------------------------------------------------------------------------------

// The discrete Fourier transform of x […,1 (real) or 2 (real, imaginary)] along an axis other than the last, or its inverse,
// which divides by the length N. Inputs: x, [N (i32 or i64 scalar)], [axis (i64 scalar)]; the axis is -2 by default. x is cut,
// or padded with zeros, to N; by default N is the extent. With `onesided`, x is real and the first N/2 + 1 terms are the
// result; of the inverse, x holds those terms, N is 2 (extent - 1) by default and y […,1] is real.
struct Dft {
  static constexpr int version = 1;
  bool inverse = false, onesided = false;
  SCHEMA_FIELDS(Dft, F(inverse), F(onesided))
};

// The transforms of frames of x [B,L,1 or 2] that start at every `step`-th element: y [B,frames,F,2], or with `onesided` (of a
// real signal) [B,frames,F/2+1,2]. Inputs: x, step, [window [F], which frames are multiplied by], [frame length F]; F is L by
// default.
struct Stft {
  static constexpr int version = 1;
  bool onesided = true;
  SCHEMA_FIELDS(Stft, F(onesided))
};

// Triangles over the N/2 + 1 bins of a spectrum, evenly spaced in mel = 2595 log10(1 + hertz/700): y [N/2+1,bands] in the dtype
// `to`. Inputs, all scalars: bands, N, sample rate (integers), lower and upper edge (hertz).
struct MelWeightMatrix {
  static constexpr int version = 1;
  DType to = DType::f32;
  SCHEMA_FIELDS(MelWeightMatrix, F(to))
};

// --- Random numbers: with `seeded`, each run draws what `seed` says; else, every run draws others --------------------

// A tensor of the given shape (input: i64) and dtype (f32, f64, f16 or bf16): uniform over [a, b), as far as rounding to the
// dtype leaves b out, or normal with mean a and standard deviation b.
struct Random {
  static constexpr int version = 1;
  RandomKind kind = RandomKind::uniform;
  DType dtype = DType::f32;
  double a = 0, b = 1;
  bool seeded = false;
  int64_t seed = 0;
  SCHEMA_FIELDS(Random, F(kind), F(dtype), F(a), F(b), F(seeded), F(seed))
};

// 1 with the probability that x holds, else 0, in any dtype but string.
struct Bernoulli {
  static constexpr int version = 1;
  DType dtype = DType::boolean;
  bool seeded = false;
  int64_t seed = 0;
  SCHEMA_FIELDS(Bernoulli, F(dtype), F(seeded), F(seed))
};

// `samples` classes (i32 or i64 [B,samples]), drawn with replacement. Input: logarithms of their weights [B,classes].
struct Multinomial {
  static constexpr int version = 1;
  int64_t samples = 1;
  DType dtype = DType::i32;
  bool seeded = false;
  int64_t seed = 0;
  SCHEMA_FIELDS(Multinomial, F(samples), F(dtype), F(seeded), F(seed))
};

// --- Shapes and data movement ----------------------------------------------------------------------------------------

// A copy of x; the planner makes it an alias. Also for sequences and optionals.
struct Identity {
  static constexpr int version = 1;
  SCHEMA_FIELDS(Identity)
};

// Inputs: x, shape (i64). An extent of -1 is inferred; 0 copies x's extent unless `allow_zero`.
struct Reshape {
  static constexpr int version = 1;
  bool allow_zero = false;
  SCHEMA_FIELDS(Reshape, F(allow_zero))
};

// To rank 2: the dims before `axis`, and the rest.
struct Flatten {
  static constexpr int version = 1;
  int64_t axis = 1;
  SCHEMA_FIELDS(Flatten, F(axis))
};

// Inputs: x, [axes (i64)]. No axes: all of extent 1.
struct Squeeze {
  static constexpr int version = 1;
  SCHEMA_FIELDS(Squeeze)
};

// Inputs: x, axes (i64), which count dims of the result.
struct Unsqueeze {
  static constexpr int version = 1;
  SCHEMA_FIELDS(Unsqueeze)
};

// Dim k of y is dim perm[k] of x. Empty: reversed.
struct Transpose {
  static constexpr int version = 1;
  Ints perm;
  SCHEMA_FIELDS(Transpose, F(perm))
};

// Inputs: x, shape (i64). Broadcasts x against the shape.
struct Expand {
  static constexpr int version = 1;
  SCHEMA_FIELDS(Expand)
};

struct Concat {
  static constexpr int version = 1;
  int64_t axis = 0;
  SCHEMA_FIELDS(Concat, F(axis))
};

// Inputs: x, [sizes (i64)]. Without sizes, `parts` equal parts, the last one smaller if need be.
struct Split {
  static constexpr int version = 1;
  int64_t axis = 0, parts = 0;
  SCHEMA_FIELDS(Split, F(axis), F(parts))
};

// Inputs: x, starts, ends, [axes], [steps] (all i32 or all i64), clamped as NumPy does.
struct Slice {
  static constexpr int version = 1;
  SCHEMA_FIELDS(Slice)
};

// Inputs: x, pads (i64: all begins, then all ends; negative ones crop), [value], [axes].
struct Pad {
  static constexpr int version = 1;
  PadMode mode = PadMode::constant;
  SCHEMA_FIELDS(Pad, F(mode))
};

// Inputs: x, repeats (i64, one per dim).
struct Tile {
  static constexpr int version = 1;
  SCHEMA_FIELDS(Tile)
};

// Inputs: x, indices (i32 or i64; negative ones count from the end).
struct Gather {
  static constexpr int version = 1;
  int64_t axis = 0;
  SCHEMA_FIELDS(Gather, F(axis))
};
struct GatherElements {
  static constexpr int version = 1;
  int64_t axis = 0;
  SCHEMA_FIELDS(GatherElements, F(axis))
};
struct GatherND {
  static constexpr int version = 1;
  int64_t batch_dims = 0;
  SCHEMA_FIELDS(GatherND, F(batch_dims))
};

// Inputs: x, indices, updates.
struct ScatterElements {
  static constexpr int version = 1;
  int64_t axis = 0;
  ScatterKind kind = ScatterKind::none;
  SCHEMA_FIELDS(ScatterElements, F(axis), F(kind))
};
struct ScatterND {
  static constexpr int version = 1;
  ScatterKind kind = ScatterKind::none;
  SCHEMA_FIELDS(ScatterND, F(kind))
};

struct DepthToSpace {
  static constexpr int version = 1;
  int64_t block = 1;
  DepthMode mode = DepthMode::dcr;
  SCHEMA_FIELDS(DepthToSpace, F(block), F(mode))
};
struct SpaceToDepth {
  static constexpr int version = 1;
  int64_t block = 1;
  DepthMode mode = DepthMode::dcr;
  SCHEMA_FIELDS(SpaceToDepth, F(block), F(mode))
};

// The triangle of each matrix. Inputs: x, [k (i64 scalar)].
struct Trilu {
  static constexpr int version = 1;
  bool upper = true;
  SCHEMA_FIELDS(Trilu, F(upper))
};

// The extents of x (i64), from dim `start` to `end` (exclusive).
struct Shape {
  static constexpr int version = 1;
  int64_t start = 0, end = INT64_MAX;
  SCHEMA_FIELDS(Shape, F(start), F(end))
};

// The number of elements of x (i64 scalar).
struct Size {
  static constexpr int version = 1;
  SCHEMA_FIELDS(Size)
};

// Inputs: start, limit, delta: scalars of one dtype.
struct Range {
  static constexpr int version = 1;
  SCHEMA_FIELDS(Range)
};

// A tensor of the given shape. Inputs: shape (i64), value (one element of any dtype).
struct ConstantOfShape {
  static constexpr int version = 1;
  SCHEMA_FIELDS(ConstantOfShape)
};

// Inputs: indices, depth (scalar), values [off, on].
struct OneHot {
  static constexpr int version = 1;
  int64_t axis = -1;
  SCHEMA_FIELDS(OneHot, F(axis))
};

// Outputs: values and indices (i64) of the k largest or smallest. Inputs: x, k (i64, one element).
struct TopK {
  static constexpr int version = 1;
  int64_t axis = -1;
  bool largest = true, sorted = true;
  SCHEMA_FIELDS(TopK, F(axis), F(largest), F(sorted))
};

// --- Sizes found at run ----------------------------------------------------------------------------------------------

// The indices (i64 [rank, count]) of the elements that are not zero.
struct NonZero {
  static constexpr int version = 1;
  SCHEMA_FIELDS(NonZero)
};

// Inputs: boxes [B,N,4], scores [B,C,N], [most per class (i64)], [IoU threshold], [score threshold].
// Output: selected [count,3] (i64): batch, class, box.
struct NonMaxSuppression {
  static constexpr int version = 1;
  bool center_point_box = false;
  SCHEMA_FIELDS(NonMaxSuppression, F(center_point_box))
};

// The same in the extents that it can have, for a device, which cannot find a size when it runs: of each class at most `most` boxes.
// Outputs: selected [B*C*most,3], with zeros behind the results, and how many these are [1] (i64).
struct BoundedNonMaxSuppression {
  static constexpr int version = 1;
  static constexpr bool portable = false;
  bool center_point_box = false;
  int64_t most = 0;
  SCHEMA_FIELDS(BoundedNonMaxSuppression, F(center_point_box), F(most))
};

// What differs along `axis` of x, or with `flat` among all its elements: once each, ascending, or with `sorted` unset in the
// order of their first places. NaN comes last; it equals itself in a flat x alone. Outputs: y, [the first place of each],
// [for each of x, its place in y], [how often each is there] (i64 [n]).
struct Unique {
  static constexpr int version = 1;
  int64_t axis = 0;
  bool flat = true, sorted = true;
  SCHEMA_FIELDS(Unique, F(axis), F(flat), F(sorted))
};

// Inputs: x, condition (boolean [n]). `flat`: x is flattened first, and axis ignored.
struct Compress {
  static constexpr int version = 1;
  int64_t axis = 0;
  bool flat = true;
  SCHEMA_FIELDS(Compress, F(axis), F(flat))
};

// The pixels (u8 [H,W,3], of grey [H,W,1]) of a picture in a file (u8 [bytes]): BMP, JPEG, JPEG 2000, PNG, PNM, TIFF or WebP.
struct ImageDecoder {
  static constexpr int version = 1;
  PixelOrder order = PixelOrder::rgb;
  SCHEMA_FIELDS(ImageDecoder, F(order))
};

// --- Control flow: the bodies are Node::bodies ------------------------------------------------------------------------

// Inputs: condition (boolean scalar), captures. Bodies: then, else, with the captures as inputs.
struct If {
  static constexpr int version = 1;
  SCHEMA_FIELDS(If)
};

// Inputs: [trip count (i64)], [condition], `carried` values, captures. Body inputs: iteration (i64), condition, carried,
// captures; outputs: condition, carried, then one per scan output. Outputs: carried, scan outputs (stacked on axis 0).
struct Loop {
  static constexpr int version = 1;
  int64_t carried = 0;
  SCHEMA_FIELDS(Loop, F(carried))
};

// Inputs: `states`, `scans` sequences, captures. Body inputs: states, one slice per sequence, captures; outputs: states,
// one slice per scan output. Axes are of the sequences, directions 1 for reverse; empty lists mean 0.
struct Scan {
  static constexpr int version = 1;
  int64_t states = 0, scans = 0;
  Ints input_axes, input_directions, output_axes, output_directions;
  SCHEMA_FIELDS(Scan, F(states), F(scans), F(input_axes), F(input_directions), F(output_axes), F(output_directions))
};

// --- Sequences and optionals -----------------------------------------------------------------------------------------

// A sequence of the inputs; with no input, an empty one of `dtype`.
struct SequenceConstruct {
  static constexpr int version = 1;
  DType dtype = DType::f32;
  SCHEMA_FIELDS(SequenceConstruct, F(dtype))
};
// Inputs: sequence, tensor, [position]; appends without one.
struct SequenceInsert {
  static constexpr int version = 1;
  SCHEMA_FIELDS(SequenceInsert)
};
// Inputs: sequence, position.
struct SequenceAt {
  static constexpr int version = 1;
  SCHEMA_FIELDS(SequenceAt)
};
// Inputs: sequence, [position]; the last without one.
struct SequenceErase {
  static constexpr int version = 1;
  SCHEMA_FIELDS(SequenceErase)
};
struct SequenceLength {
  static constexpr int version = 1;
  SCHEMA_FIELDS(SequenceLength)
};
// Inputs: x, [sizes: a scalar, or one per part]. Without sizes each part has extent 1, and keepdims says if it stays.
struct SplitToSequence {
  static constexpr int version = 1;
  int64_t axis = 0;
  bool keepdims = true;
  SCHEMA_FIELDS(SplitToSequence, F(axis), F(keepdims))
};
// Concatenates, or with new_axis stacks, the tensors of a sequence.
struct ConcatFromSequence {
  static constexpr int version = 1;
  int64_t axis = 0;
  bool new_axis = false;
  SCHEMA_FIELDS(ConcatFromSequence, F(axis), F(new_axis))
};
// An optional that holds the input; with no input, an empty one of a tensor, or sequence, of `dtype`.
struct OptionalConstruct {
  static constexpr int version = 1;
  ValueKind kind = ValueKind::tensor;
  DType dtype = DType::f32;
  SCHEMA_FIELDS(OptionalConstruct, F(kind), F(dtype))
};
// What an optional holds; anything else passes through. An empty one is an error.
struct OptionalGet {
  static constexpr int version = 1;
  SCHEMA_FIELDS(OptionalGet)
};
// Boolean scalar: false for an empty optional and for no input.
struct OptionalHas {
  static constexpr int version = 1;
  SCHEMA_FIELDS(OptionalHas)
};

// --- Strings ---------------------------------------------------------------------------------------------------------

struct StringConcat {
  static constexpr int version = 1;
  SCHEMA_FIELDS(StringConcat)
};
// Outputs: parts (string […, most parts], padded with ""), and their count (i64). An empty delimiter: whitespace.
struct StringSplit {
  static constexpr int version = 1;
  std::string delimiter;
  int64_t max_splits = -1;
  SCHEMA_FIELDS(StringSplit, F(delimiter), F(max_splits))
};
// Drops stop words from x ([C] or [1,C]) and changes case. ASCII letters change case in every locale.
struct StringNormalizer {
  static constexpr int version = 1;
  CaseChange case_change = CaseChange::none;
  bool case_sensitive = false;
  Strings stopwords;
  SCHEMA_FIELDS(StringNormalizer, F(case_change), F(case_sensitive), F(stopwords))
};

// Whether each of x (string) as a whole matches a pattern, in RE2's syntax: boolean.
struct RegexFullMatch {
  static constexpr int version = 1;
  std::string pattern;
  SCHEMA_FIELDS(RegexFullMatch, F(pattern))
};

// Counts n-grams in x (string, i32 or i64; [C] or [N,C]): y [size] or [N,size] in f32, where size is the largest of `indexes`
// and 1. The pool, of strings or of integers, holds n-grams of 1, 2, … items, those of k items from counts[k-1] on; the i-th
// has place indexes[i] in y and weights[i], 1 by default. Of an n-gram, 0 to max_skip items are left out between neighbours.
// tf: counts; tf_idf: counts times weights; idf: the weight of what is there.
struct TfIdfVectorizer {
  static constexpr int version = 1;
  TfIdfMode mode = TfIdfMode::tf;
  int64_t min_length = 1, max_length = 1, max_skip = 0;
  Ints counts, indexes, pool_ints;
  Strings pool_strings;
  std::vector<double> weights;
  SCHEMA_FIELDS(TfIdfVectorizer, F(mode), F(min_length), F(max_length), F(max_skip), F(counts), F(indexes), F(pool_ints),
                F(pool_strings), F(weights))
};

// --- The application's ops -------------------------------------------------------------------------------------------

// An op that the application implements, named by domain ("": ONNX's own) and name. `opset` is the version of the domain
// that the model asks for; `outputs` are the dtypes of all outputs, as far as the model says. `binding` tells which
// implementation of this process it is, and is 0 in a file and wherever there is none.
struct Custom {
  static constexpr int version = 1;
  std::string domain, name;
  int64_t opset = 1;
  Attributes attributes;
  DTypes outputs;
  int64_t binding = 0;
  SCHEMA_FIELDS(Custom, F(domain), F(name), F(opset), F(attributes), F(outputs), F(binding))
};
#undef F
}  // namespace schema
