// Quantisation, and arithmetic on quantised tensors as what it stands for.
#include "converter/onnx_tensor.h"
#include "converter/shared.h"

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

// Of x over its whole range, 0 included: the scale and the zero point of u8.
struct DynamicScale {
  ValueId scale, zero;
};
DynamicScale dynamic_scale(OnnxNode& n, ValueId x) {
  const auto extremum = [&](ReduceKind kind, BinaryKind against_zero) {
    return n.binary(against_zero, n.add(schema::Reduce{kind, false}, {x, ValueId::none}), 0.0);
  };
  const ValueId low = extremum(ReduceKind::min, BinaryKind::min), high = extremum(ReduceKind::max, BinaryKind::max);
  const ValueId scale = n.binary(BinaryKind::div, n.binary(BinaryKind::sub, high, low), 255);
  const ValueId offset = n.unary(UnaryKind::neg, n.binary(BinaryKind::div, low, scale));
  return {scale, n.cast(n.unary(UnaryKind::round, n.unary(UnaryKind::clip, offset, 0, 255)), DType::u8)};
}

void dynamic_quantize_linear(OnnxNode& n) {
  n.expect_inputs(1, 1);
  const auto [scale, zero] = dynamic_scale(n, n.in(0));
  n.set(0, n.add(schema::QuantizeLinear{DType::u8}, {n.in(0), scale, zero}));
  n.set(1, scale);
  n.set(2, zero);
}

// A zero point of rows is a column beside them.
ValueId column(OnnxNode& n, ValueId zero) {
  return zero != ValueId::none && n.rank(zero) == 1 ? n.unsqueeze(zero, {1}) : zero;
}
void matmul_integer(OnnxNode& n) {
  n.expect_inputs(2, 4);
  for (size_t k : {0, 1}) n.expect_dtype(k, {DType::i8, DType::u8});
  n.set(0, integer_product(n, n.in(0), n.in(1), n.in(2), n.in(3)));
}

schema::QuantizedConv conv(OnnxNode& n) {
  using schema::AutoPad;
  n.ignore({"kernel_shape"});
  return {n.integers("strides"), n.integers("dilations"), n.integers("pads"), n.integer("group", 1),
          n.choice<AutoPad>("auto_pad", "NOTSET", {{"NOTSET", AutoPad::none}, {"SAME_UPPER", AutoPad::same_upper},
                                                   {"SAME_LOWER", AutoPad::same_lower}, {"VALID", AutoPad::valid}})};
}
void conv_integer(OnnxNode& n) {
  n.expect_inputs(2, 4);
  n.set(0, n.add(conv(n), {n.in(0), n.in(1), n.in(2), n.in(3)}));
}
// x_scale * w_scale / y_scale
ValueId requantisation(OnnxNode& n, size_t x_scale, size_t w_scale, size_t y_scale) {
  const auto real = [&](size_t k) { return n.cast(n.in(k), DType::f32); };
  return n.binary(BinaryKind::div, n.binary(BinaryKind::mul, real(x_scale), real(w_scale)), real(y_scale));
}
void qlinear_conv(OnnxNode& n) {
  n.expect_inputs(8, 9);
  schema::QuantizedConv op = conv(n);
  op.to = n.dtype(7);
  n.set(0, n.add(op, {n.in(0), n.in(3), n.in(2), n.in(5), n.in(8), requantisation(n, 1, 4, 6), n.in(7)}));
}
void qlinear_matmul(OnnxNode& n) {
  n.expect_inputs(8, 8);
  const auto one = [&](size_t k) { return n.rank(k) == 0 || n.type(k).dims == Dims{1}; };
  const auto byte = [&](size_t k) { return n.dtype(k) == DType::i8 || n.dtype(k) == DType::u8; };
  if (byte(0) && byte(3) && byte(7) && one(1) && one(6) && n.rank(4) <= 1)  // those of b are one, or one per column
    return n.set(0, n.add(schema::QuantizedMatMul{false, n.dtype(7)},
                          {n.in(0), n.in(3), n.in(2), n.in(5), ValueId::none, requantisation(n, 1, 4, 6), n.in(7)}));
  set_quantised(n, n.add(schema::MatMul{}, {dequantised(n, 0, -2), dequantised(n, 3, -1)}), 6);
}

// --- ONNX Runtime's: arithmetic on quantised tensors as what it stands for --------------------------------------------

// Sets output 0 to y, which is in steps of the result's scale already. ONNX Runtime adds the zero point before it rounds, so that
// halves become the even integer of the result, where QuantizeLinear would round them before.
void set_steps(OnnxNode& n, ValueId y, size_t scale) {
  const bool zero = n.has(scale + 1);
  const ValueId moved = zero ? n.binary(BinaryKind::add, y, n.cast(n.in(scale + 1), n.type(y).dtype)) : y;
  n.set(0, n.add(schema::QuantizeLinear{zero ? n.dtype(scale + 1) : DType::u8}, {moved, n.scalar_like(y, 1)}));
}
// Inputs: a, its scale and zero point, b, its, and those of the result.
void qlinear_add(OnnxNode& n) {
  n.expect_inputs(7, 8);
  set_steps(n, n.binary(BinaryKind::div, n.binary(BinaryKind::add, dequantised(n, 0), dequantised(n, 3)), n.in(6)), 6);
}
void qlinear_mul(OnnxNode& n) {
  n.expect_inputs(7, 8);
  const auto integers = [&](size_t k) {  // whose product is exact
    const ValueId one = n.add(schema::Expand{}, {n.scalar_like(n.in(k + 1), 1), n.add(schema::Shape{}, {n.in(k + 1)})});
    return n.add(schema::DequantizeLinear{n.dtype(k + 1)}, {n.in(k), one, n.in(k + 2)});
  };
  const ValueId factor = n.binary(BinaryKind::div, n.binary(BinaryKind::mul, n.in(1), n.in(4)), n.in(6));
  set_steps(n, n.binary(BinaryKind::mul, n.binary(BinaryKind::mul, integers(0), integers(3)), factor), 6);
}
// Inputs: x, its scale and zero point, and those of the result.
void qlinear_leaky_relu(OnnxNode& n) {
  n.expect_inputs(4, 5);
  set_quantised(n, n.unary(UnaryKind::leaky_relu, dequantised(n, 0), n.real("alpha", 0.01f)), 3);
}
void qlinear_sigmoid(OnnxNode& n) {
  n.expect_inputs(4, 5);
  set_quantised(n, n.unary(UnaryKind::sigmoid, dequantised(n, 0)), 3);
}
void qlinear_softmax(OnnxNode& n) {
  n.expect_inputs(4, 5);
  const int64_t opset = n.integer("opset");
  const int64_t rank = n.rank(0), axis = normal_axis(n.integer("axis", opset < 13 ? 1 : -1), rank);
  ValueId x = dequantised(n, 0);
  if (opset >= 13 || axis == rank - 1) return set_quantised(n, n.add(schema::Softmax{schema::SoftmaxKind::softmax, axis}, {x}), 3);
  const ValueId y = n.add(schema::Softmax{}, {n.add(schema::Flatten{axis}, {x})});  // all dims from the axis on are one
  set_quantised(n, n.add(schema::Reshape{true}, {y, n.add(schema::Shape{}, {x})}), 3);
}
// Channels last or first, around f.
template <class F, class Set> void qlinear_pool(OnnxNode& n, F f, Set set) {
  n.expect_inputs(4, 5);
  const bool last = n.flag("channels_last", false);
  const int64_t rank = n.rank(0);
  check(rank >= 3, "needs an input of rank 3 or more, not ", n.type(0));
  schema::Ints to_first{0, rank - 1}, to_last{0};
  for (int64_t d = 1; d + 1 < rank; ++d) to_first.push_back(d), to_last.push_back(d + 1);
  to_last.push_back(1);
  ValueId x = dequantised(n, 0);
  if (last) x = n.transpose(x, to_first);
  const ValueId y = f(x, rank);
  set(last ? n.transpose(y, to_last) : y);
}
void qlinear_global_average_pool(OnnxNode& n) {
  qlinear_pool(n, [&](ValueId x, int64_t rank) {
    std::vector<int64_t> axes;
    for (int64_t d = 2; d < rank; ++d) axes.push_back(d);
    return n.reduce(ReduceKind::mean, x, axes);
  }, [&](ValueId y) { set_quantised(n, y, 3); });
}
void qlinear_average_pool(OnnxNode& n) {
  const schema::Pool op = average_pool_op(n);
  qlinear_pool(n, [&](ValueId x, int64_t) { return n.add(op, {x}); }, [&](ValueId y) { set_steps(n, n.binary(BinaryKind::div, y, n.in(3)), 3); });
}
// Inputs: the result's scale and zero point, then each part, its scale and zero point.
void qlinear_concat(OnnxNode& n) {
  check(n.inputs() >= 5 && n.inputs() % 3 == 2, "has ", n.inputs(), " inputs, not 2 and 3 for each part");
  ValueIds parts;
  for (size_t k = 2; k < n.inputs(); k += 3) parts.push_back(dequantised(n, k));
  set_quantised(n, n.add(schema::Concat{n.integer("axis")}, parts), 0);
}

// One scale, or one per column, as a factor of the product's columns.
ValueId times(OnnxNode& n, ValueId y, ValueId by) { return n.binary(BinaryKind::mul, y, by); }
// Inputs: a (real), b (8 bits), its scale, [its zero point], [bias].
void dynamic_quantize_matmul(OnnxNode& n) {
  n.expect_inputs(3, 5);
  const auto [scale, zero] = dynamic_scale(n, n.in(0));
  const ValueId a = n.add(schema::QuantizeLinear{DType::u8}, {n.in(0), scale, zero});
  const ValueId y = n.cast(integer_product(n, a, n.in(1), zero, n.in(3)), n.dtype(0));
  const ValueId scaled = times(n, y, times(n, n.in(2), scale));
  n.set(0, n.has(4) ? n.binary(BinaryKind::add, scaled, n.in(4)) : scaled);
}
// Inputs: a, b (8 bits), their scales, [their zero points], [bias].
void matmul_integer_to_float(OnnxNode& n) {
  n.expect_inputs(4, 7);
  for (size_t k : {0, 1}) n.expect_dtype(k, {DType::i8, DType::u8});
  const ValueId y = n.cast(integer_product(n, n.in(0), n.in(1), n.in(4), n.in(5)), n.dtype(2));
  const ValueId scaled = times(n, y, times(n, n.in(2), n.in(3)));
  n.set(0, n.has(6) ? n.binary(BinaryKind::add, scaled, n.in(6)) : scaled);
}

// A constant of bytes, each of which holds several numbers, as these numbers [rows,…]. A row starts a byte; `columns` of its
// numbers count.
ValueId unpacked(OnnxNode& n, size_t k, DType dtype, int64_t rows, int64_t columns) {
  const ConstantPtr bytes = n.constant(n.in(k));
  require(bytes != nullptr, Code::unsupported, "input ", k, " must be a constant");
  const int64_t per_byte = 8 / bits_of(dtype), stored = (columns + per_byte - 1) / per_byte * per_byte;
  check(bytes->dtype == DType::u8 && bytes->view().elements() == rows * stored / per_byte, "input ", k, " is ",
        n.type(k), ", not ", rows, " rows of ", columns, " numbers of ", bits_of(dtype), " bits");
  auto all = std::make_shared<Constant>(*bytes);
  all->dtype = dtype, all->shape = {rows, stored};
  const ValueId v = n.constant(all);
  return stored == columns ? v : n.add(schema::Slice{}, {v, n.ints({0}), n.ints({columns}), n.ints({1})});
}
// y = a · wᵀ, where w [N,K] is stored in blocks of a row with a scale each, and a zero point, by default the middle. Inputs: a,
// blocks (u8 [N,blocks,bytes]), scales [N*blocks], [zero points, packed as blocks are, or real], _, [bias [N]].
void matmul_nbits(OnnxNode& n) {
  n.expect_inputs(3, 6);
  n.ignore({"accuracy_level"});
  require(!n.has(4), Code::unsupported, "group indices are not supported");
  const int64_t k = n.integer("K"), rows = n.integer("N"), bits = n.integer("bits", 4), block = n.integer("block_size");
  require(bits == 2 || bits == 4 || bits == 8, Code::unsupported, "numbers of ", bits, " bits are not supported");
  check(k > 0 && rows > 0 && block >= 16 && k < limits::extent && rows < limits::extent && block < limits::extent, "attributes K, N and block_size are ",
        k, ", ", rows, " and ", block);
  const DType dtype = bits == 2 ? DType::u2 : bits == 4 ? DType::u4 : DType::u8, real = n.dtype(0);
  const int64_t blocks = (k + block - 1) / block;
  const auto by_block = [&](ValueId v) { return n.reshape(v, {rows, blocks}); };
  if (real == DType::f32 && n.dtype(2) == DType::f32 && block % 2 == 0 && !(n.has(3) && schema::is_real(n.dtype(3)))) {
    const auto stored = [&](ValueId v) { return bits == 2 ? n.cast(v, DType::u4) : v; };
    const double middle = double(int64_t{1} << (bits - 1));
    const ValueId zero = n.has(3) ? unpacked(n, 3, dtype, rows, blocks) : n.add(schema::Expand{}, {n.scalar(dtype, middle), n.ints({rows, blocks})});
    const ValueId y = n.add(schema::NarrowMatMul{block}, {n.in(0), stored(unpacked(n, 1, dtype, rows, blocks * block)), by_block(n.in(2)), stored(zero)});
    return n.set(0, n.has(5) ? n.binary(BinaryKind::add, y, n.in(5)) : y);
  }
  ValueId w = unpacked(n, 1, dtype, rows, blocks * block), scale = by_block(n.cast(n.in(2), real));
  if (n.has(3) && schema::is_real(n.dtype(3))) {  // (w - zero) * scale, where zero is no integer
    const ValueId wide = n.reshape(n.cast(w, real), {rows, blocks, block});
    const ValueId moved = n.binary(BinaryKind::sub, wide, n.unsqueeze(by_block(n.cast(n.in(3), real)), {2}));
    w = n.reshape(n.binary(BinaryKind::mul, moved, n.unsqueeze(scale, {2})), {rows, blocks * block});
  } else {
    const ValueId middle = n.scalar(dtype, double(int64_t{1} << (bits - 1)));
    const ValueId zero = n.has(3) ? unpacked(n, 3, dtype, rows, blocks) : n.add(schema::Expand{}, {middle, n.ints({rows, blocks})});
    w = n.add(schema::DequantizeLinear{real, 1, block}, {w, scale, zero});
  }
  if (blocks * block != k) w = n.add(schema::Slice{}, {w, n.ints({0}), n.ints({k}), n.ints({1})});
  const ValueId y = n.add(schema::MatMul{false, true}, {n.in(0), w});
  n.set(0, n.has(5) ? n.binary(BinaryKind::add, y, n.in(5)) : y);
}

constexpr Row quantise_contrib_rows[] = {{"QLinearAdd", qlinear_add},
                                         {"QLinearMul", qlinear_mul},
                                         {"QLinearLeakyRelu", qlinear_leaky_relu},
                                         {"QLinearSigmoid", qlinear_sigmoid},
                                         {"QLinearSoftmax", qlinear_softmax},
                                         {"QLinearGlobalAveragePool", qlinear_global_average_pool},
                                         {"QLinearAveragePool", qlinear_average_pool},
                                         {"QLinearConcat", qlinear_concat},
                                         {"DynamicQuantizeMatMul", dynamic_quantize_matmul},
                                         {"MatMulIntegerToFloat", matmul_integer_to_float},
                                         {"MatMulNBits", matmul_nbits},
                                         {"DequantizeLinear", dequantize_linear},
                                         {"QuantizeLinear", quantize_linear}};
constexpr Row quantise_rows[] = {{"QuantizeLinear", quantize_linear},
                                 {"DequantizeLinear", dequantize_linear},
                                 {"DynamicQuantizeLinear", dynamic_quantize_linear},
                                 {"MatMulInteger", matmul_integer},
                                 {"ConvInteger", conv_integer},
                                 {"QLinearConv", qlinear_conv},
                                 {"QLinearMatMul", qlinear_matmul}};
}  // namespace

ValueId dequantised(OnnxNode& n, size_t x, int64_t axis) {
  return n.add(schema::DequantizeLinear{n.dtype(x + 1), axis}, {n.in(x), n.in(x + 1), n.in(x + 2)});
}
void set_quantised(OnnxNode& n, ValueId y, size_t scale) {
  const DType to = n.has(scale + 1) ? n.dtype(scale + 1) : DType::u8;
  n.set(0, n.add(schema::QuantizeLinear{to}, {y, n.in(scale), n.in(scale + 1)}));
}
ValueId integer_product(OnnxNode& n, ValueId a, ValueId b, ValueId a_zero, ValueId b_zero) {
  return n.add(schema::QuantizedMatMul{}, {a, b, column(n, a_zero), b_zero});
}

Group quantise_group() { return {onnx_domain, quantise_rows}; }
Group quantise_contrib_group() { return {microsoft_domain, quantise_contrib_rows}; }
}  // namespace converter
