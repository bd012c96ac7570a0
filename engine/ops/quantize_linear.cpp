// QuantizeLinear and DequantizeLinear: one way to lay scales over a tensor.
#include <algorithm>
#include "engine/device_lowering.h"
#include "engine/op.h"
#include "engine/ops/strides.h"
#include "kernels/quantize/quantize.h"

namespace engine {
namespace {
using schema::DequantizeLinear, schema::QuantizeLinear;

bool is_quantized(DType d) {
  return (schema::is_integer(d) && bits_of(d) <= 16) || (schema::is_real(d) && bits_of(d) <= 8 && d != DType::f8e8m0);
}
bool is_one(const Dims& dims) { return std::ranges::all_of(dims, [](const Dim& d) { return d == Dim(1); }); }

// The scale is one number, or one per index of `axis`, or one per block of `size` along it; the zero point is laid out alike.
void check_scale(const InferContext& in, int64_t axis, int64_t size) {
  const Type &x = in.in(0), &scale = in.in(1);
  in.expect_number(1);
  check(size >= 0, "block size ", size, " is negative");
  if (in.has(2) && in.in(2).ranked && scale.ranked)
    check(std::ranges::equal(in.in(2).dims, scale.dims, may_equal), "scale ", scale, " and zero point ", in.in(2),
          " differ in shape");
  if (!x.ranked || !scale.ranked) return;
  if (size == 0) {
    if (scale.rank() == 0 || is_one(scale.dims)) return;
    axis = normal_axis(axis, x.rank());
    check(scale.rank() == 1 && may_equal(scale.dims[0], x.dims[axis]), "scale ", scale, " does not fit axis ", axis,
          " of ", x);
    return;
  }
  axis = normal_axis(axis, x.rank());
  bool fits = scale.rank() == x.rank();
  for (int64_t d = 0; fits && d < x.rank(); ++d)
    fits = may_equal(scale.dims[d], d == axis ? (x.dims[d] + (size - 1)) / size : x.dims[d]);
  check(fits, "scale ", scale, " does not fit blocks of ", size, " along axis ", axis, " of ", x);
}

// Calls f(element of x, element of scale) for all elements.
template <class F> void each_scaled(const ConstView& x, const ConstView& scale, int64_t axis, int64_t size, F&& f) {
  if (size == 0 && scale.elements() == 1) {
    for (int64_t i = 0, n = x.elements(); i < n; ++i) f(i, 0);
    return;
  }
  if (x.elements() == 0) return;
  const AxisSplit s(x.shape, normal_axis(axis, x.rank()));
  const int64_t blocks = size ? (s.extent + size - 1) / size : 0;
  for (int64_t o = 0, i = 0; o < s.outer; ++o)
    for (int64_t d = 0; d < s.extent; ++d)
      for (int64_t k = 0; k < s.inner; ++k, ++i) f(i, size ? (o * blocks + d / size) * s.inner + k : d);
}

Types infer(const QuantizeLinear& op, const InferContext& in) {
  in.expect_inputs(2, 3);
  in.expect_number(0);
  check(is_quantized(op.to), "does not quantise to ", name(op.to));
  if (in.has(2)) in.expect_dtype(2, {op.to});
  check_scale(in, op.axis, op.block_size);
  Type type = in.in(0);
  type.dtype = op.to;
  return {type};
}

// x / scale has the precision of the scale, as if it had been computed in it.
double round_to(DType dtype, double x) {
  uint64_t bits = 0;
  store_element(dtype, &bits, 0, x);
  return load_element<double>(dtype, &bits, 0);
}

void reference(const QuantizeLinear& op, RunContext& c) {
  const ConstView &x = c.in(0), &scale = c.in(1);
  const View y = c.out(0);
  const bool integer = schema::is_integer(op.to), is_signed = op.to == DType::i8 || op.to == DType::i16 || op.to == DType::i4 || op.to == DType::i2;
  const int bits = bits_of(op.to);
  const double low = is_signed ? -std::ldexp(1, bits - 1) : 0, high = std::ldexp(1, is_signed ? bits - 1 : bits) - 1;
  const DType precision = schema::is_real(scale.dtype) && scale.dtype != DType::f8e8m0 ? scale.dtype : schema::is_real(x.dtype) ? x.dtype : DType::f32;
  each_scaled(x, scale, op.axis, op.block_size, [&](int64_t i, int64_t s) {
    const double ratio = round_to(precision, load<double>(x, i) / load<double>(scale, s)), zero = c.has(2) ? load<double>(c.in(2), s) : 0;
    if (!integer) return store(y, i, ratio + zero, op.saturate);
    const double rounded = std::nearbyint(ratio) + zero;
    store(y, i, Int(std::isnan(rounded) ? 0 : std::clamp(rounded, low, high)));
  });
}

Types infer(const DequantizeLinear& op, const InferContext& in) {
  in.expect_inputs(2, 3);
  in.expect_tensor(0);
  const DType from = in.in(0).dtype;
  check(is_quantized(from) || from == DType::i32, "does not dequantise ", name(from));
  check(schema::is_real(op.to), "does not dequantise to ", name(op.to));
  if (in.has(2)) in.expect_same_dtype(0, 2);
  check_scale(in, op.axis, op.block_size);
  Type type = in.in(0);
  type.dtype = op.to;
  return {type};
}

void reference(const DequantizeLinear& op, RunContext& c) {
  const ConstView &x = c.in(0), &scale = c.in(1);
  const View y = c.out(0);
  each_scaled(x, scale, op.axis, op.block_size, [&](int64_t i, int64_t s) {
    store(y, i, (load<double>(x, i) - (c.has(2) ? load<double>(c.in(2), s) : 0)) * load<double>(scale, s));
  });
}
// One scale, or one per index of a dim that has longer runs behind it.
std::optional<Lowered> lower(bool back, int64_t axis, int64_t block_size, const LowerContext& c) {
  const DType real = back ? c.out(0).dtype : c.in(0).dtype, integers = back ? c.in(0).dtype : c.out(0).dtype;
  if (real != DType::f32 || c.in(1).dtype != DType::f32 || block_size) return std::nullopt;
  const Shape x = c.in(0).shape();
  const int64_t scales = elements(c.in(1).shape());
  const AxisSplit s = scales == 1 ? AxisSplit(Shape{1, 1, elements(x)}, 1) : AxisSplit(x, normal_axis(axis, int64_t(x.size())));
  if (c.target) {
    const kernels::cuda::QuantizeProblem problem{integers, back, s.outer * s.extent, s.inner, scales};
    return lower_on_device(c, &kernels::cuda::Backend::quantize, problem, [x = device_input(c, 0), scale = device_input(c, 1), zeros = device_input(c, 2)](RunContext& r) {
      return kernels::cuda::QuantizeArgs{x.at<void>(r), scale.at(r), zeros.at<void>(r), out_at<void>(r)};
    });
  }
  if (scales != 1 && s.inner < 16) return std::nullopt;
  const kernels::quantize::Spec spec{integers, back};
  auto choice = kernels::quantize::select(spec, c.isa);
  if (!choice) return std::nullopt;
  return Lowered{choice.name, [kernel = std::move(choice.kernel), spec, s, scales](RunContext& r) {
    const auto* scale = reinterpret_cast<const float*>(r.in(1).data);
    kernel.run(r.in(0).data, r.out(0).data, s.outer * s.extent, s.inner, scale, r.has(2) ? r.in(2).data : nullptr, scales, spec, r.pool(), r.threads());
  }};
}
std::optional<Lowered> lower(const QuantizeLinear& op, const LowerContext& c) { return lower(false, op.axis, op.block_size, c); }
std::optional<Lowered> lower(const DequantizeLinear& op, const LowerContext& c) { return lower(true, op.axis, op.block_size, c); }
}  // namespace

const OpDef<QuantizeLinear>& def(const QuantizeLinear&) {
  static constexpr OpDef<QuantizeLinear> def{.infer = infer, .reference = reference, .lower = lower, .on_device = true};
  return def;
}
const OpDef<DequantizeLinear>& def(const DequantizeLinear&) {
  static constexpr OpDef<DequantizeLinear> def{.infer = infer, .reference = reference, .lower = lower, .on_device = true};
  return def;
}
}  // namespace engine
