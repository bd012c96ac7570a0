// QuantizedConv and QuantizedMatMul: products of 8-bit integers, summed exactly and requantised. What runs them fast are
// products of bytes (lower_quantized.cpp), or the floating-point kernels that passes/expand_quantized.cpp gives them to, wherever
// their sums are exact.
#include <algorithm>
#include "engine/op.h"
#include "engine/ops/lowering.h"
#include "engine/ops/strides.h"

namespace engine {
namespace {
using schema::Conv, schema::MatMul, schema::QuantizedConv, schema::QuantizedMatMul;

// Inputs behind the operands.
enum : size_t { zero_of_x = 2, zero_of_w, bias, factor, zero_of_y };

MatMul sums_of(const QuantizedMatMul& op) { return {false, op.trans_b}; }
Conv sums_of(const QuantizedConv& op) { return {op.stride, op.dilation, op.pad, op.groups, op.auto_pad, true}; }

bool is_one(const Type& t) { return !t.ranked || std::ranges::all_of(t.dims, [](const Dim& d) { return !d.known() || d == Dim(1); }); }
void expect_one(const InferContext& in, size_t k, const char* what) {
  if (in.has(k)) check(is_one(in.in(k)), what, " is ", in.in(k), ", not one number");
}
// One number, or one per feature.
void expect_per_feature(const InferContext& in, size_t k, const Dim& features, const char* what, bool one = true) {
  if (!in.has(k) || !in.in(k).ranked || (one && is_one(in.in(k)) && in.in(k).rank() <= 1)) return;
  check(in.in(k).rank() == 1 && may_equal(in.in(k).dims[0], features), what, " is ", in.in(k), " for ", features.text(),
        " features");
}

// What both have in common; the type of y. `features`: their place among the dims of y.
template <class T> Types infer_sums(const T& op, const InferContext& in, int64_t feature_dim) {
  in.expect_inputs(2, 7);
  for (size_t k : {0, 1}) {
    in.expect_dtype(k, {DType::i8, DType::u8});
    if (in.has(zero_of_x + k)) in.expect_same_dtype(k, zero_of_x + k);
  }
  if (in.has(bias)) in.expect_dtype(bias, {DType::i32});
  if (in.has(factor)) in.expect_dtype(factor, {DType::f32});
  check(in.has(factor) || !in.has(zero_of_y), "has a zero point of y and no factor");
  check(op.to == DType::i8 || op.to == DType::u8, "does not quantise to ", name(op.to));
  if (in.has(zero_of_y)) in.expect_dtype(zero_of_y, {op.to});
  expect_one(in, zero_of_y, "the zero point of y");
  Graph graph;
  Node node{sums_of(op), {}, {ValueId::none}, {"sums"}, {}};
  for (size_t k : {0, 1}) {
    Type t = in.in(k);
    t.dtype = DType::f64;
    node.inputs.push_back(graph.add_input("x", t));
  }
  Type y = def(sums_of(op)).infer(sums_of(op), InferContext(graph, node))[0];
  y.dtype = in.has(factor) ? op.to : DType::i32;
  const Dim features = y.ranked && y.rank() > 0 ? y.dims[size_t(feature_dim < 0 ? feature_dim + y.rank() : feature_dim)] : Dim::unknown();
  expect_per_feature(in, bias, features, "the bias", false);
  expect_per_feature(in, factor, features, "the factor");
  return {y};
}
Types infer(const QuantizedConv& op, const InferContext& in) {
  expect_one(in, zero_of_x, "the zero point of x");
  const Types y = infer_sums(op, in, 1);
  expect_per_feature(in, zero_of_w, in.in(1).ranked ? in.in(1).dims[0] : Dim::unknown(), "the zero point of w");
  return y;
}
Types infer(const QuantizedMatMul& op, const InferContext& in) {
  for (size_t k : {0, 1}) {
    if (!in.has(zero_of_x + k) || !in.in(k).ranked || !in.in(zero_of_x + k).ranked) continue;
    const Type& x = in.in(k), &zero = in.in(zero_of_x + k);
    bool fits = zero.rank() <= x.rank();
    for (int64_t d = 1; fits && d <= zero.rank(); ++d) {
      const Dim& dim = zero.dims[size_t(zero.rank() - d)];
      fits = dim == Dim(1) || may_equal(dim, x.dims[size_t(x.rank() - d)]);
    }
    check(fits, "the zero point ", zero, " does not broadcast to ", x);
  }
  return infer_sums(op, in, -1);
}

// x less its zero point, in f64. `leading`: the zero point's dims are the first of x, not the last.
Object centred(RunContext& c, size_t k, bool leading) {
  const ConstView& x = c.in(k);
  Object object;
  const View y = object.set_tensor(DType::f64, x.shape);
  double* to = reinterpret_cast<double*>(y.data);
  if (!c.has(zero_of_x + k)) {
    for (int64_t i = 0, n = x.elements(); i < n; ++i) to[i] = load<double>(x, i);
    return object;
  }
  const ConstView& zero = c.in(zero_of_x + k);
  Shape of_zero(zero.shape.begin(), zero.shape.end());
  if (leading) of_zero.resize(x.shape.size(), 1);
  bool fits = of_zero.size() <= x.shape.size();
  for (size_t d = 1; fits && d <= of_zero.size(); ++d) {
    const int64_t dim = of_zero[of_zero.size() - d];
    fits = dim == 1 || dim == x.shape[x.shape.size() - d];
  }
  check(fits, "the zero point of input ", k, " does not broadcast to it");
  if (x.shape.empty() || x.elements() == 0) return object;
  Nest<2> nest{x.shape, {dense_strides(x.shape), broadcast_strides(of_zero, x.shape.size())}};
  nest.each({}, [&](const auto& at) { to[at[0]] = load<double>(x, at[0]) - load<double>(zero, at[1]); });
  return object;
}

// One number, or one per feature.
double at_feature(const RunContext& c, size_t k, int64_t feature) {
  const ConstView& v = c.in(k);
  check(v.elements() == 1 || feature < v.elements(), "input ", k, " has ", v.elements(), " numbers, and none for feature ", feature);
  return load<double>(v, v.elements() == 1 ? 0 : feature);
}

// Sums as f64, which has all of them exactly. In i32 they wrap.
template <class T> void run(const T& op, RunContext& c, bool leading, const auto& feature_of) {
  Object x = centred(c, 0, leading), w = centred(c, 1, leading), sums;
  RunContext inner;
  inner.in_ = {{std::as_const(x).view()}, {std::as_const(w).view()}};
  inner.out_ = {{sums.set_tensor(DType::f64, c.out(0).shape)}};
  inner.stop_ = c.stop_;
  def(sums_of(op)).reference(sums_of(op), inner);
  const View& y = c.out(0);
  const double low = op.to == DType::i8 ? -128 : 0, high = op.to == DType::i8 ? 127 : 255;
  const double zero = c.has(zero_of_y) ? load<double>(c.in(zero_of_y), 0) : 0;
  for (int64_t i = 0, n = y.elements(); i < n; ++i) {
    const int64_t feature = feature_of(i);
    const int64_t sum = int64_t(load<double>(sums.view(), i)) + (c.has(bias) ? int64_t(at_feature(c, bias, feature)) : 0);
    if (!c.has(factor)) {
      store(y, i, Int(int32_t(sum)));
      continue;
    }
    const float scaled = float(sum) * float(at_feature(c, factor, feature));
    store(y, i, Int(std::isnan(scaled) ? 0 : std::clamp(std::nearbyint(double(scaled)) + zero, low, high)));
  }
}
void reference(const QuantizedConv& op, RunContext& c) {
  const std::span<const int64_t> shape = c.out(0).shape;
  const int64_t plane = product(shape.subspan(2)), features = shape[1];
  run(op, c, true, [=](int64_t i) { return i / plane % features; });
}
void reference(const QuantizedMatMul& op, RunContext& c) {
  const int64_t columns = c.out(0).shape.empty() ? 1 : c.out(0).shape.back();
  run(op, c, false, [=](int64_t i) { return i % columns; });
}

template <class T> double flops(const T& op, std::span<const Type> in, std::span<const Type> out) {
  return def(sums_of(op)).flops(sums_of(op), in.first(2), out);
}
}  // namespace

const OpDef<QuantizedConv>& def(const QuantizedConv&) {
  static constexpr OpDef<QuantizedConv> def{.infer = infer, .reference = reference, .lower = lower_quantized_conv, .flops = flops<QuantizedConv>};
  return def;
}
const OpDef<QuantizedMatMul>& def(const QuantizedMatMul&) {
  static constexpr OpDef<QuantizedMatMul> def{.infer = infer, .reference = reference, .lower = lower_quantized_mat_mul, .flops = flops<QuantizedMatMul>};
  return def;
}
}  // namespace engine
