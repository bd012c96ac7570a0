// Reductions, softmax and its relatives.
#include "converter/onnx_node.h"

namespace converter {
namespace {
using schema::ArgKind, schema::BinaryKind, schema::ReduceKind, schema::SoftmaxKind, schema::UnaryKind;

// `since`: the opset in which the axes became an input.
template <ReduceKind kind, int since> void reduce(OnnxNode& n) {
  n.expect_inputs(1, n.opset() >= since ? 2 : 1);
  schema::Reduce op{kind, n.flag("keepdims", true), false};
  ValueId axes = n.in(1);
  if (n.opset() >= since) {
    op.noop_with_empty_axes = n.flag("noop_with_empty_axes", false);
  } else if (const schema::Ints given = n.integers("axes"); !given.empty()) {
    axes = n.ints(given);
  }
  n.finish(op, {n.in(0), axes});
}
template <ArgKind kind> void arg_reduce(OnnxNode& n) {
  n.finish(schema::ArgReduce{kind, n.integer("axis", 0), n.flag("keepdims", true), n.flag("select_last_index", false)},
           n.all());
}

// Before opset 13 all dims from `axis` on were taken as one.
template <SoftmaxKind kind> void softmax(OnnxNode& n) {
  n.expect_inputs(1, 1);
  const ValueId x = n.in(0);
  const bool flat = n.opset() < 13;
  const int64_t given = n.integer("axis", flat ? 1 : -1);
  if (!flat) return n.finish(schema::Softmax{kind, given}, {x});
  const int64_t rank = n.rank(x), axis = given == rank ? rank : normal_axis(given, rank);
  bool direct = axis < rank;
  for (int64_t i = axis + 1; i < rank; ++i) direct &= n.type(x).dims[size_t(i)] == Dim(1);
  if (direct) return n.finish(schema::Softmax{kind, axis}, {x});
  const ValueId y = n.add(schema::Softmax{kind, -1}, {n.add(schema::Flatten{axis}, {x})});
  n.set(0, n.add(schema::Reshape{true}, {y, n.add(schema::Shape{}, {x})}));
}

template <class T> void cumulative(OnnxNode& n) {
  n.finish(T{n.flag("exclusive", false), n.flag("reverse", false)}, n.all());
}

// x / norm(x), and 0 where the norm is 0.
void lp_normalization(OnnxNode& n) {
  n.expect_inputs(1, 1);
  const int64_t axis = n.integer("axis", -1), p = n.integer("p", 2);
  check(p == 1 || p == 2, "attribute p is ", p, ", not 1 or 2");
  const ValueId x = n.in(0), norm = n.reduce(p == 1 ? ReduceKind::l1 : ReduceKind::l2, x, std::span(&axis, 1));
  const ValueId zero = n.scalar_like(x, 0);
  n.set(0, n.add(schema::Where{}, {n.binary(BinaryKind::equal, norm, zero), zero, n.binary(BinaryKind::div, x, norm)}));
}

void mean_variance_normalization(OnnxNode& n) {
  n.expect_inputs(1, 1);
  schema::Ints axes = n.integers("axes");
  if (axes.empty()) axes = {0, 2, 3};
  const ValueId x = n.in(0), mean = n.reduce(ReduceKind::mean, x, axes);
  const ValueId squares = n.reduce(ReduceKind::mean, n.binary(BinaryKind::mul, x, x), axes);
  const ValueId variance = n.binary(BinaryKind::sub, squares, n.binary(BinaryKind::mul, mean, mean));
  const ValueId deviation = n.binary(BinaryKind::add, n.unary(UnaryKind::sqrt, variance), 1e-9);
  n.set(0, n.binary(BinaryKind::div, n.binary(BinaryKind::sub, x, mean), deviation));
}

constexpr Row reduce_rows[] = {{"ReduceSum", reduce<ReduceKind::sum, 13>},
                               {"ReduceMean", reduce<ReduceKind::mean, 18>},
                               {"ReduceProd", reduce<ReduceKind::prod, 18>},
                               {"ReduceMin", reduce<ReduceKind::min, 18>},
                               {"ReduceMax", reduce<ReduceKind::max, 18>},
                               {"ReduceL1", reduce<ReduceKind::l1, 18>},
                               {"ReduceL2", reduce<ReduceKind::l2, 18>},
                               {"ReduceLogSum", reduce<ReduceKind::log_sum, 18>},
                               {"ReduceLogSumExp", reduce<ReduceKind::log_sum_exp, 18>},
                               {"ReduceSumSquare", reduce<ReduceKind::sum_square, 18>},
                               {"ArgMax", arg_reduce<ArgKind::max>},
                               {"ArgMin", arg_reduce<ArgKind::min>},
                               {"Softmax", softmax<SoftmaxKind::softmax>},
                               {"LogSoftmax", softmax<SoftmaxKind::log_softmax>},
                               {"Hardmax", softmax<SoftmaxKind::hardmax>},
                               {"CumSum", cumulative<schema::CumSum>},
                               {"CumProd", cumulative<schema::CumProd>},
                               {"LpNormalization", lp_normalization},
                               {"MeanVarianceNormalization", mean_variance_normalization}};
}  // namespace

Group reduce_group() { return {onnx_domain, reduce_rows}; }
}  // namespace converter
