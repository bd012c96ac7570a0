// Quantisation, and arithmetic on quantised tensors as what it stands for.
#include "converter/onnx_node.h"
#include "converter/onnx_tensor.h"

namespace converter {
namespace {
using schema::BinaryKind, schema::ReduceKind, schema::UnaryKind;

// A zero point of one element may have another rank than a scalar scale.
ValueIds with_plain_zero(OnnxNode& n) {
  ValueIds inputs = n.all();
  if (n.has(2) && n.type(1).ranked && n.type(2).ranked && n.rank(1) == 0 && n.rank(2) == 1)
    inputs[2] = n.add(schema::Squeeze{}, {n.in(2)});
  return inputs;
}
void quantize_linear(OnnxNode& n) {
  n.expect_inputs(2, 3);
  n.ignore({"precision"});
  const int64_t given = n.integer("output_dtype", 0);
  const DType to = n.has(2) ? n.dtype(2) : given ? dtype_of(int32_t(given)) : DType::u8;
  check(!n.has(2) || !given || dtype_of(int32_t(given)) == to, "attribute output_dtype contradicts the zero point");
  n.finish(schema::QuantizeLinear{to, n.integer("axis", 1), n.integer("block_size", 0), n.flag("saturate", true)},
           with_plain_zero(n));
}
void dequantize_linear(OnnxNode& n) {
  n.expect_inputs(2, 3);
  const int64_t given = n.integer("output_dtype", 0);
  n.finish(schema::DequantizeLinear{given ? dtype_of(int32_t(given)) : n.dtype(1), n.integer("axis", 1),
                                    n.integer("block_size", 0)},
           with_plain_zero(n));
}

ValueId dequantize(OnnxNode& n, size_t x, size_t scale, size_t zero, int64_t axis) {
  return n.add(schema::DequantizeLinear{n.dtype(scale), axis}, {n.in(x), n.in(scale), n.in(zero)});
}
void quantize(OnnxNode& n, ValueId y, size_t scale, size_t zero) {
  n.set(0, n.add(schema::QuantizeLinear{n.has(zero) ? n.dtype(zero) : DType::u8}, {y, n.in(scale), n.in(zero)}));
}

void dynamic_quantize_linear(OnnxNode& n) {
  n.expect_inputs(1, 1);
  const ValueId x = n.in(0), none = ValueId::none;
  const auto extremum = [&](ReduceKind kind, BinaryKind against_zero) {
    return n.binary(against_zero, n.add(schema::Reduce{kind, false}, {x, none}), 0.0);
  };
  const ValueId low = extremum(ReduceKind::min, BinaryKind::min), high = extremum(ReduceKind::max, BinaryKind::max);
  const ValueId scale = n.binary(BinaryKind::div, n.binary(BinaryKind::sub, high, low), 255);
  const ValueId offset = n.unary(UnaryKind::neg, n.binary(BinaryKind::div, low, scale));
  const ValueId zero = n.cast(n.unary(UnaryKind::round, n.unary(UnaryKind::clip, offset, 0, 255)), DType::u8);
  n.set(0, n.add(schema::QuantizeLinear{DType::u8}, {x, scale, zero}));
  n.set(1, scale);
  n.set(2, zero);
}

// x - zero point, in a type that holds it. One zero point, or one per index of `axis` (negative: counted from the end).
ValueId centred(OnnxNode& n, size_t x, size_t zero, DType dtype, int64_t axis) {
  const ValueId wide = n.cast(n.in(x), dtype);
  if (!n.has(zero)) return wide;
  ValueId offset = n.cast(n.in(zero), dtype);
  if (n.rank(offset) == 1 && axis < -1) {
    std::vector<int64_t> axes;
    for (int64_t i = axis + 1; i < 0; ++i) axes.push_back(i);
    offset = n.add(schema::Unsqueeze{}, {offset, n.ints(axes)});
  }
  return n.binary(BinaryKind::sub, wide, offset);
}
void matmul_integer(OnnxNode& n) {
  n.expect_inputs(2, 4);
  for (size_t k : {0, 1}) n.expect_dtype(k, {DType::i8, DType::u8});
  n.finish(schema::MatMul{}, {centred(n, 0, 2, DType::i32, -2), centred(n, 1, 3, DType::i32, -1)});
}

schema::Conv conv(OnnxNode& n) {
  using schema::AutoPad;
  n.ignore({"kernel_shape"});
  return {n.integers("strides"), n.integers("dilations"), n.integers("pads"), n.integer("group", 1),
          n.choice<AutoPad>("auto_pad", "NOTSET", {{"NOTSET", AutoPad::none}, {"SAME_UPPER", AutoPad::same_upper},
                                                   {"SAME_LOWER", AutoPad::same_lower}, {"VALID", AutoPad::valid}})};
}
// In double, which holds every sum of products of bytes.
void conv_integer(OnnxNode& n) {
  n.expect_inputs(2, 4);
  for (size_t k : {0, 1}) n.expect_dtype(k, {DType::i8, DType::u8});
  const ValueId x = centred(n, 0, 2, DType::f64, 0), w = centred(n, 1, 3, DType::f64, -n.rank(1));
  n.set(0, n.cast(n.add(conv(n), {x, w}), DType::i32));
}
void qlinear_conv(OnnxNode& n) {
  n.expect_inputs(8, 9);
  const ValueId x = dequantize(n, 0, 1, 2, 1), w = dequantize(n, 3, 4, 5, 0);
  ValueId bias = ValueId::none;
  if (n.has(8))
    bias = n.binary(BinaryKind::mul, n.cast(n.in(8), n.dtype(1)), n.binary(BinaryKind::mul, n.in(1), n.in(4)));
  quantize(n, n.add(conv(n), {x, w, bias}), 6, 7);
}
void qlinear_matmul(OnnxNode& n) {
  n.expect_inputs(8, 8);
  const ValueId y = n.add(schema::MatMul{}, {dequantize(n, 0, 1, 2, -2), dequantize(n, 3, 4, 5, -1)});
  quantize(n, y, 6, 7);
}

constexpr Row quantise_rows[] = {{"QuantizeLinear", quantize_linear},
                                 {"DequantizeLinear", dequantize_linear},
                                 {"DynamicQuantizeLinear", dynamic_quantize_linear},
                                 {"MatMulInteger", matmul_integer},
                                 {"ConvInteger", conv_integer},
                                 {"QLinearConv", qlinear_conv},
                                 {"QLinearMatMul", qlinear_matmul}};
}  // namespace

Group quantise_group() { return {onnx_domain, quantise_rows}; }
}  // namespace converter
