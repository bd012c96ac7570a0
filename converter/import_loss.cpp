// Losses of classifiers.
#include "converter/onnx_node.h"

namespace converter {
namespace {
using schema::BinaryKind, schema::ReduceKind;

// -x[n, target, …] * weight[target], 0 where the target is ignored; then all, their sum or their weighted mean. `x` has
// the classes in dim 1.
ValueId likelihood_loss(OnnxNode& n, ValueId x) {
  const std::string reduction = n.text("reduction", "mean");
  check(reduction == "none" || reduction == "sum" || reduction == "mean", "attribute reduction is '", reduction, "'");
  n.expect_dtype(1, {DType::i32, DType::i64});
  const bool ignores = n.has_attribute("ignore_index"), weighted = n.has(2);
  ValueId target = n.unsqueeze(n.cast(n.in(1), DType::i64), {1}), ignored = ValueId::none, weight = ValueId::none;
  if (ignores) {
    ignored = n.binary(BinaryKind::equal, target, n.constant(make_scalar(DType::i64, n.integer("ignore_index"))));
    target = n.add(schema::Where{}, {ignored, n.scalar(DType::i64, 0), target});
  }
  ValueId loss = n.unary(schema::UnaryKind::neg, n.add(schema::GatherElements{1}, {x, target}));
  if (weighted) weight = n.add(schema::Gather{0}, {n.in(2), target});
  if (ignores) {
    const ValueId one = n.scalar_like(x, 1), zero = n.scalar_like(x, 0);
    weight = n.add(schema::Where{}, {ignored, zero, weighted ? weight : one});
    loss = n.add(schema::Where{}, {ignored, zero, weighted ? n.binary(BinaryKind::mul, loss, weight) : loss});
  } else if (weighted) {
    loss = n.binary(BinaryKind::mul, loss, weight);
  }
  if (reduction == "none") return n.add(schema::Squeeze{}, {loss, n.ints({1})});
  const auto all = [&](ReduceKind kind, ValueId v) { return n.add(schema::Reduce{kind, false}, {v}); };
  if (reduction == "sum") return all(ReduceKind::sum, loss);
  if (weight == ValueId::none) return all(ReduceKind::mean, loss);
  return n.binary(BinaryKind::div, all(ReduceKind::sum, loss), all(ReduceKind::sum, weight));
}

void negative_log_likelihood(OnnxNode& n) {
  n.expect_inputs(2, 3);
  n.set(0, likelihood_loss(n, n.in(0)));
}
void softmax_cross_entropy(OnnxNode& n) {
  n.expect_inputs(2, 3);
  const ValueId x = n.add(schema::Softmax{schema::SoftmaxKind::log_softmax, 1}, {n.in(0)});
  n.set(0, likelihood_loss(n, x));
  n.set(1, x);
}

constexpr Row loss_rows[] = {{"NegativeLogLikelihoodLoss", negative_log_likelihood},
                             {"SoftmaxCrossEntropyLoss", softmax_cross_entropy}};
}  // namespace

Group loss_group() { return {onnx_domain, loss_rows}; }
}  // namespace converter
