// Convolutions and pools, and what undoes them.
#include "converter/shared.h"

namespace converter {
namespace {
using schema::AutoPad, schema::PoolKind, schema::ReduceKind;

AutoPad auto_pad(OnnxNode& n) {
  return n.choice<AutoPad>("auto_pad", "NOTSET",
                           {{"NOTSET", AutoPad::none},
                            {"", AutoPad::none},
                            {"SAME_UPPER", AutoPad::same_upper},
                            {"SAME_LOWER", AutoPad::same_lower},
                            {"VALID", AutoPad::valid}});
}
template <class T> void window_lists(OnnxNode& n, T& op) {
  op.stride = n.integers("strides");
  op.dilation = n.integers("dilations");
  op.pad = n.integers("pads");
}
// What convolutions have in common. The weights say the kernel's extents; the attribute may repeat them.
template <class T> void window(OnnxNode& n, T& op) {
  window_lists(n, op);
  if constexpr (requires { op.auto_pad; }) op.auto_pad = auto_pad(n);
  const schema::Ints kernel = n.integers("kernel_shape");
  const Type& w = n.type(1);
  if (kernel.empty() || !w.ranked) return;
  const bool same =
      w.rank() == int64_t(kernel.size()) + 2 && std::equal(kernel.begin(), kernel.end(), w.dims.begin() + 2,
                                                           [](int64_t k, const Dim& d) { return may_equal(k, d); });
  check(same, "attribute kernel_shape ", kernel, " contradicts the weights, ", w);
}

void conv(OnnxNode& n) {
  n.expect_inputs(2, 3);
  n.finish(conv_op(n), n.all());
}
void conv_transpose(OnnxNode& n) {
  n.expect_inputs(2, 3);
  schema::ConvTranspose op;
  window(n, op);
  op.groups = n.integer("group", 1);
  op.output_padding = n.integers("output_padding");
  op.output_shape = n.integers("output_shape");
  n.finish(op, n.all());
}

void deform_conv(OnnxNode& n) {
  n.expect_inputs(3, 5);
  schema::DeformConv op;
  window(n, op);
  op.groups = n.integer("group", 1);
  op.offset_groups = n.integer("offset_group", 1);
  n.finish(op, n.all());
}
void col2im(OnnxNode& n) {
  n.expect_inputs(3, 3);
  schema::Col2Im op;
  window_lists(n, op);
  n.finish(op, n.all());
}

template <PoolKind kind> schema::Pool pool_op(OnnxNode& n) {
  schema::Pool op{kind, n.integers("kernel_shape"), n.integers("strides"), n.integers("dilations"), n.integers("pads")};
  check(!op.kernel.empty(), "attribute kernel_shape is missing");
  op.auto_pad = auto_pad(n);
  op.ceil_mode = n.flag("ceil_mode", false);
  if (kind == PoolKind::average) op.count_pad = n.flag("count_include_pad", false);
  if (kind == PoolKind::max) op.column_major = n.flag("storage_order", false);
  if (kind == PoolKind::lp) op.p = n.opset() < 2 ? int64_t(n.real("p", 2)) : n.integer("p", 2);
  return op;
}
template <PoolKind kind> void pool(OnnxNode& n) {
  n.expect_inputs(1, 1);
  n.finish(pool_op<kind>(n), n.all());
}

void max_unpool(OnnxNode& n) {
  n.expect_inputs(2, 3);
  const schema::MaxUnpool op{n.integers("kernel_shape"), n.integers("strides"), n.integers("pads")};
  check(!op.kernel.empty(), "attribute kernel_shape is missing");
  n.finish(op, n.all());
}
void max_roi_pool(OnnxNode& n) {
  n.expect_inputs(2, 2);
  const schema::Ints shape = n.integers("pooled_shape");
  check(shape.size() == 2, "attribute pooled_shape has ", shape.size(), " entries, not 2");
  n.finish(schema::MaxRoiPool{shape[0], shape[1], n.real("spatial_scale", 1)}, n.all());
}

std::vector<int64_t> spatial_axes(OnnxNode& n) {
  std::vector<int64_t> axes;
  check(n.rank(0) >= 2, "needs an input of rank 2 or more, not ", n.type(0));
  for (int64_t i = 2; i < n.rank(0); ++i) axes.push_back(i);
  return axes;
}
template <ReduceKind kind> void global_pool(OnnxNode& n) {
  n.expect_inputs(1, 1);
  n.set(0, n.reduce(kind, n.in(0), spatial_axes(n)));
}
void global_lp_pool(OnnxNode& n) {
  n.expect_inputs(1, 1);
  const int64_t p = n.opset() < 2 ? int64_t(n.real("p", 2)) : n.integer("p", 2);
  const auto axes = spatial_axes(n);
  const ValueId x = n.in(0);
  if (p == 1 || p == 2) return n.set(0, n.reduce(p == 1 ? ReduceKind::l1 : ReduceKind::l2, x, axes));
  const ValueId powers = n.binary(schema::BinaryKind::pow, n.unary(schema::UnaryKind::abs, x), double(p));
  n.set(0, n.binary(schema::BinaryKind::pow, n.reduce(ReduceKind::sum, powers, axes), 1.0 / double(p)));
}

// y = x / (bias + alpha / size * (sum of x² over `size` channels around))^beta.
void lrn(OnnxNode& n) {
  n.expect_inputs(1, 1);
  const double alpha = n.real("alpha", 1e-4f), beta = n.real("beta", 0.75), bias = n.real("bias", 1);
  const int64_t size = n.integer("size"), rank = n.rank(0);
  check(size >= 1 && rank >= 2, "size ", size, " does not fit the input ", n.type(0));
  const ValueId x = n.in(0);
  // An average over channels is one over the first spatial dim of [N,1,C,…].
  schema::Pool op{
      PoolKind::average, schema::Ints(size_t(rank) - 1, 1), {}, {}, schema::Ints(2 * (size_t(rank) - 1), 0)};
  op.kernel[0] = size;
  op.pad[0] = (size - 1) / 2;
  op.pad[size_t(rank) - 1] = size / 2;
  op.count_pad = true;
  const ValueId squares = n.unsqueeze(n.binary(schema::BinaryKind::mul, x, x), {1});
  const ValueId mean = n.add(schema::Squeeze{}, {n.add(op, {squares}), n.ints({1})});
  const ValueId base = n.binary(schema::BinaryKind::add, n.binary(schema::BinaryKind::mul, mean, alpha), bias);
  n.set(0, n.binary(schema::BinaryKind::div, x, n.binary(schema::BinaryKind::pow, base, beta)));
}

constexpr Row conv_rows[] = {{"Conv", conv},
                             {"ConvTranspose", conv_transpose},
                             {"DeformConv", deform_conv},
                             {"Col2Im", col2im},
                             {"MaxPool", pool<PoolKind::max>},
                             {"AveragePool", pool<PoolKind::average>},
                             {"LpPool", pool<PoolKind::lp>},
                             {"MaxUnpool", max_unpool},
                             {"MaxRoiPool", max_roi_pool},
                             {"GlobalAveragePool", global_pool<ReduceKind::mean>},
                             {"GlobalMaxPool", global_pool<ReduceKind::max>},
                             {"GlobalLpPool", global_lp_pool},
                             {"LRN", lrn}};
}  // namespace

schema::Conv conv_op(OnnxNode& n) {
  schema::Conv op;
  window(n, op);
  op.groups = n.integer("group", 1);
  return op;
}
schema::Pool average_pool_op(OnnxNode& n) { return pool_op<PoolKind::average>(n); }

Group conv_group() { return {onnx_domain, conv_rows}; }
}  // namespace converter
