// Elementwise functions, casts, choices and windows.
#include <cmath>
#include "converter/onnx_node.h"
#include "converter/onnx_tensor.h"

namespace converter {
namespace {
using schema::BinaryKind, schema::UnaryKind;

template <UnaryKind kind> void unary(OnnxNode& n) {
  n.ignore({"consumed_inputs"});
  n.finish(schema::Unary{kind}, {n.in(0)});
}

// With one parameter, an attribute.
void with_alpha(OnnxNode& n, UnaryKind kind, float fallback) {
  n.ignore({"consumed_inputs"});
  n.finish(schema::Unary{kind, n.real("alpha", fallback)}, {n.in(0)});
}

void selu(OnnxNode& n) {
  n.ignore({"consumed_inputs"});
  const bool old = n.opset() < 6;
  n.finish(schema::Unary{UnaryKind::selu, n.real("alpha", old ? 1.6732f : 1.67326319217681884765625f),
                         n.real("gamma", old ? 1.0507f : 1.05070102214813232421875f)}, {n.in(0)});
}
void with_alpha_beta(OnnxNode& n, UnaryKind kind, float a, float b) {
  n.ignore({"consumed_inputs"});
  n.finish(schema::Unary{kind, n.real("alpha", a), n.real("beta", b)}, {n.in(0)});
}
void shrink(OnnxNode& n) {
  const schema::Unary op{UnaryKind::shrink, n.real("bias", 0), n.real("lambd", 0.5)};
  const DType dtype = n.dtype(0);
  const ValueId x = schema::is_integer(dtype) ? n.cast(n.in(0), DType::f64) : n.in(0);  // bias and lambd are real numbers
  n.set(0, n.cast(n.add(op, {x}), dtype));
}
void is_inf(OnnxNode& n) {
  n.finish(schema::Unary{UnaryKind::is_inf, double(n.flag("detect_negative", true)), double(n.flag("detect_positive", true))}, {n.in(0)});
}
void gelu(OnnxNode& n) {
  n.finish(schema::Unary{n.choice<UnaryKind>("approximate", "none", {{"none", UnaryKind::gelu}, {"tanh", UnaryKind::gelu_tanh}})}, {n.in(0)});
}

// The second operand as NumPy broadcasting wants it. Before opset 7 its dims matched those of the first from `axis` on.
ValueId operand(OnnxNode& n) {
  n.ignore({"consumed_inputs"});
  if (n.opset() >= 7) return n.in(1);
  const bool broadcast = n.flag("broadcast", false), has_axis = n.has_attribute("axis");
  const int64_t axis = n.integer("axis", 0);
  if (!broadcast || !has_axis) return n.in(1);
  const int64_t rank = n.rank(0), missing = rank - normal_axis(axis, rank) - n.rank(1);
  check(missing >= 0, "attribute axis ", axis, " leaves no room for ", n.type(1), " in ", n.type(0));
  std::vector<int64_t> axes;
  for (int64_t i = 0; i < missing; ++i) axes.push_back(n.rank(1) + i);
  return axes.empty() ? n.in(1) : n.add(schema::Unsqueeze{}, {n.in(1), n.ints(axes)});
}

template <BinaryKind kind> void binary(OnnxNode& n) {
  n.expect_inputs(2, 2);
  n.finish(schema::Binary{kind}, {n.in(0), operand(n)});
}
void mod(OnnxNode& n) {
  n.expect_inputs(2, 2);
  const bool truncated = n.flag("fmod", false);
  n.finish(schema::Binary{truncated ? BinaryKind::fmod : BinaryKind::mod}, n.all());
}
void bit_shift(OnnxNode& n) {
  n.finish(schema::Binary{n.choice<BinaryKind>("direction", "", {{"LEFT", BinaryKind::shift_left}, {"RIGHT", BinaryKind::shift_right}})}, n.all());
}
void prelu(OnnxNode& n) {
  n.expect_inputs(2, 2);
  n.ignore({"consumed_inputs"});
  ValueId slope = n.in(1);
  // Before opset 7 the slopes were one per channel.
  if (n.opset() < 7 && n.rank(slope) == 1 && n.rank(0) > 2 && n.type(slope).dims[0] == n.type(0).dims[1]) {
    std::vector<int64_t> axes;
    for (int64_t i = 1; i < n.rank(0) - 1; ++i) axes.push_back(i);
    slope = n.add(schema::Unsqueeze{}, {slope, n.ints(axes)});
  }
  n.finish(schema::Binary{BinaryKind::prelu}, {n.in(0), slope});
}

template <BinaryKind kind> void variadic(OnnxNode& n) {
  n.ignore({"consumed_inputs"});
  n.expect_inputs(1, size_t(limits::ports));
  ValueId sum = n.in(0);
  for (size_t k = 1; k < n.inputs(); ++k) sum = n.binary(kind, sum, n.in(k));
  n.set(0, sum);
}
void mean(OnnxNode& n) {
  n.ignore({"consumed_inputs"});
  n.expect_inputs(1, size_t(limits::ports));
  ValueId sum = n.in(0);
  for (size_t k = 1; k < n.inputs(); ++k) sum = n.binary(BinaryKind::add, sum, n.in(k));
  n.set(0, n.inputs() == 1 ? sum : n.binary(BinaryKind::div, sum, double(n.inputs())));
}

void clip(OnnxNode& n) {
  n.ignore({"consumed_inputs"});
  const ValueId x = n.in(0);
  const bool attributes = n.opset() < 11;
  n.expect_inputs(1, attributes ? 1 : 3);
  const bool has_low = attributes ? n.has_attribute("min") : n.has(1), has_high = attributes ? n.has_attribute("max") : n.has(2);
  const auto low = attributes ? n.real("min", -INFINITY) : has_low ? n.known_scalar(n.in(1)) : -INFINITY;
  const auto high = attributes ? n.real("max", INFINITY) : has_high ? n.known_scalar(n.in(2)) : INFINITY;
  if (!has_low && !has_high) return n.set(0, x);
  if (schema::is_real(n.dtype(0)) && low && high) return n.set(0, n.unary(UnaryKind::clip, x, std::min(*low, *high), *high));
  ValueId y = x;
  if (has_low) y = n.binary(BinaryKind::max, y, attributes ? n.scalar_like(x, *low) : n.in(1));
  if (has_high) y = n.binary(BinaryKind::min, y, attributes ? n.scalar_like(x, *high) : n.in(2));
  n.set(0, y);
}

void cast(OnnxNode& n) {
  schema::Cast op;
  op.to = n.opset() < 6 ? dtype_named(n.text("to")) : dtype_of(int32_t(n.integer("to")));
  op.saturate = n.flag("saturate", true);
  op.round = n.choice<schema::RoundMode>("round_mode", "up", {{"up", schema::RoundMode::up}, {"down", schema::RoundMode::down},
                                                              {"nearest", schema::RoundMode::nearest}});
  n.finish(op, {n.in(0)});
}
void cast_like(OnnxNode& n) {
  n.expect_inputs(2, 2);
  schema::Cast op{n.dtype(1), n.flag("saturate", true)};
  op.round = n.choice<schema::RoundMode>("round_mode", "up", {{"up", schema::RoundMode::up}, {"down", schema::RoundMode::down},
                                                              {"nearest", schema::RoundMode::nearest}});
  n.finish(op, {n.in(0)});
}
void bit_cast(OnnxNode& n) { n.finish(schema::BitCast{dtype_of(int32_t(n.integer("to")))}, n.all()); }
void swiglu(OnnxNode& n) {
  n.expect_inputs(2, 2);
  n.set(0, n.binary(BinaryKind::mul, n.unary(UnaryKind::silu, n.in(0), n.real("alpha", 1)), n.in(1)));
}

// a0 - a1 cos(2πi/N) + a2 cos(4πi/N) with N the size, or the size - 1 if not periodic.
void window(OnnxNode& n, double a0, double a1, double a2) {
  n.expect_inputs(1, 1);
  n.expect_dtype(0, {DType::i32, DType::i64});
  const DType dtype = dtype_of(int32_t(n.integer("output_datatype", 1)));
  const ValueId size = n.cast(n.in(0), DType::f32);
  const ValueId period = n.flag("periodic", true) ? size : n.binary(BinaryKind::sub, size, 1);
  const ValueId index = n.add(schema::Range{}, {n.scalar(DType::f32, 0), size, n.scalar(DType::f32, 1)});
  const ValueId angle = n.binary(BinaryKind::mul, index, n.binary(BinaryKind::div, n.scalar(DType::f32, 2 * M_PI), period));
  const auto wave = [&](ValueId x, double a) { return n.binary(BinaryKind::mul, n.unary(UnaryKind::cos, x), a); };
  const ValueId y = n.binary(BinaryKind::add, wave(angle, -a1), a0);
  n.set(0, n.cast(n.binary(BinaryKind::add, y, wave(n.binary(BinaryKind::mul, angle, 2), a2)), dtype));
}

void where(OnnxNode& n) { n.finish(schema::Where{}, n.all()); }

constexpr Row elementwise_rows[] = {
    {"Abs", unary<UnaryKind::abs>}, {"Neg", unary<UnaryKind::neg>}, {"Sign", unary<UnaryKind::sign>},
    {"Relu", unary<UnaryKind::relu>}, {"Sigmoid", unary<UnaryKind::sigmoid>}, {"HardSwish", unary<UnaryKind::hard_swish>},
    {"Mish", unary<UnaryKind::mish>}, {"Softplus", unary<UnaryKind::softplus>}, {"Softsign", unary<UnaryKind::softsign>},
    {"Exp", unary<UnaryKind::exp>}, {"Log", unary<UnaryKind::log>}, {"Sqrt", unary<UnaryKind::sqrt>},
    {"Reciprocal", unary<UnaryKind::reciprocal>}, {"Erf", unary<UnaryKind::erf>}, {"Floor", unary<UnaryKind::floor>},
    {"Ceil", unary<UnaryKind::ceil>}, {"Round", unary<UnaryKind::round>}, {"Sin", unary<UnaryKind::sin>},
    {"Cos", unary<UnaryKind::cos>}, {"Tan", unary<UnaryKind::tan>}, {"Asin", unary<UnaryKind::asin>},
    {"Acos", unary<UnaryKind::acos>}, {"Atan", unary<UnaryKind::atan>}, {"Sinh", unary<UnaryKind::sinh>},
    {"Cosh", unary<UnaryKind::cosh>}, {"Tanh", unary<UnaryKind::tanh>}, {"Asinh", unary<UnaryKind::asinh>},
    {"Acosh", unary<UnaryKind::acosh>}, {"Atanh", unary<UnaryKind::atanh>}, {"BitwiseNot", unary<UnaryKind::bit_not>},
    {"Not", unary<UnaryKind::logical_not>}, {"IsNaN", unary<UnaryKind::is_nan>}, {"IsInf", is_inf},
    {"LeakyRelu", [](OnnxNode& n) { with_alpha(n, UnaryKind::leaky_relu, 0.01f); }},
    {"Elu", [](OnnxNode& n) { with_alpha(n, UnaryKind::elu, 1.f); }},
    {"ThresholdedRelu", [](OnnxNode& n) { with_alpha(n, UnaryKind::thresholded_relu, 1.f); }},
    {"Celu", [](OnnxNode& n) { with_alpha(n, UnaryKind::celu, 1.f); }},
    {"Swish", [](OnnxNode& n) { with_alpha(n, UnaryKind::silu, 1.f); }}, {"Selu", selu}, {"Shrink", shrink},
    {"HardSigmoid", [](OnnxNode& n) { with_alpha_beta(n, UnaryKind::hard_sigmoid, 0.2f, 0.5f); }},
    {"ScaledTanh", [](OnnxNode& n) { with_alpha_beta(n, UnaryKind::scaled_tanh, 1.f, 1.f); }},
    {"Gelu", gelu}, {"Add", binary<BinaryKind::add>}, {"Sub", binary<BinaryKind::sub>}, {"Mul", binary<BinaryKind::mul>},
    {"Div", binary<BinaryKind::div>}, {"Pow", binary<BinaryKind::pow>}, {"Mod", mod}, {"PRelu", prelu},
    {"Equal", binary<BinaryKind::equal>}, {"Less", binary<BinaryKind::less>}, {"LessOrEqual", binary<BinaryKind::less_equal>},
    {"Greater", binary<BinaryKind::greater>}, {"GreaterOrEqual", binary<BinaryKind::greater_equal>},
    {"And", binary<BinaryKind::logical_and>}, {"Or", binary<BinaryKind::logical_or>}, {"Xor", binary<BinaryKind::logical_xor>},
    {"BitwiseAnd", binary<BinaryKind::bit_and>}, {"BitwiseOr", binary<BinaryKind::bit_or>},
    {"BitwiseXor", binary<BinaryKind::bit_xor>}, {"BitShift", bit_shift}, {"Sum", variadic<BinaryKind::add>},
    {"Max", variadic<BinaryKind::max>}, {"Min", variadic<BinaryKind::min>}, {"Mean", mean}, {"Clip", clip}, {"Cast", cast},
    {"CastLike", cast_like}, {"BitCast", bit_cast}, {"Where", where}, {"SwiGLU", swiglu},
    {"HannWindow", [](OnnxNode& n) { window(n, 0.5, 0.5, 0.0); }},
    {"HammingWindow", [](OnnxNode& n) { window(n, 25.0 / 46, 21.0 / 46, 0.0); }},
    {"BlackmanWindow", [](OnnxNode& n) { window(n, 0.42, 0.5, 0.08); }}};
}  // namespace

Group elementwise_group() { return {onnx_domain, elementwise_rows}; }
}  // namespace converter
