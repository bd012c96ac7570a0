#include "converter/ml.h"
#include <cmath>

namespace converter {
using schema::BinaryKind, schema::ReduceKind, schema::UnaryKind;

ValueId list(OnnxNode& n, DType dtype, const Shape& shape, std::span<const double> values) {
  check(elements(shape) == int64_t(values.size()), values.size(), " values do not fill ", shape);
  Object object;
  const View view = object.set_tensor(dtype, shape);
  for (size_t i = 0; i < values.size(); ++i) {
    if (schema::is_real(dtype)) store(view, int64_t(i), values[i]);
    else store(view, int64_t(i), Int(values[i]));
  }
  return n.constant(make_constant(std::as_const(object).view()));
}
ValueId list(OnnxNode& n, schema::Strings values) {
  const Shape shape{int64_t(values.size())};
  return n.constant(make_strings(shape, std::move(values)));
}

ValueId rows_of(OnnxNode& n, size_t k, DType dtype) {
  const int64_t rank = n.rank(k);
  check(rank == 1 || rank == 2, "expects rows of features, not ", n.type(k));
  const ValueId x = n.cast(n.in(k), dtype);
  return rank == 2 ? x : n.unsqueeze(x, {0});
}

ValueId labels(OnnxNode& n, std::string_view ints, std::string_view strings) {
  const schema::Ints numbers = n.integers(ints);
  schema::Strings words = n.texts(strings);
  check(numbers.empty() != words.empty(), "needs one of the attributes ", ints, " and ", strings);
  return words.empty() ? n.ints(numbers) : list(n, std::move(words));
}
ValueId pick(OnnxNode& n, ValueId labels, ValueId indices) { return n.add(schema::Gather{0}, {labels, indices}); }
ValueId label_of_largest(OnnxNode& n, ValueId labels, ValueId scores) {
  return pick(n, labels, n.add(schema::ArgReduce{schema::ArgKind::max, -1, false}, {scores}));
}
ValueId label_by_sign(OnnxNode& n, ValueId labels, ValueId score, double threshold) {
  const ValueId second = n.cast(n.binary(BinaryKind::greater, score, threshold), DType::i64);
  return pick(n, labels, n.add(schema::Squeeze{}, {second, n.ints({1})}));
}

PostTransform post_transform(OnnxNode& n) {
  using enum PostTransform;
  return n.choice<PostTransform>("post_transform", "NONE", {{"NONE", none}, {"SOFTMAX", softmax}, {"LOGISTIC", logistic},
                                                            {"SOFTMAX_ZERO", softmax_zero}, {"PROBIT", probit}});
}

namespace {
// Softmax of what is not 0; the rest stays about 0.
ValueId softmax_zero(OnnxNode& n, ValueId x) {
  const int64_t last = -1;
  const auto reduce = [&](ReduceKind kind, ValueId v) { return n.reduce(kind, v, std::span(&last, 1)); };
  const ValueId top = reduce(ReduceKind::max, x);
  const ValueId present = n.binary(BinaryKind::greater, n.unary(UnaryKind::abs, x), 1e-7);
  const ValueId terms = n.unary(UnaryKind::exp, n.binary(BinaryKind::sub, x, top));
  const ValueId sum = reduce(ReduceKind::sum, n.add(schema::Where{}, {present, terms, n.scalar_like(x, 0)}));
  const ValueId small = n.binary(BinaryKind::mul, x, n.unary(UnaryKind::exp, n.unary(UnaryKind::neg, top)));
  const ValueId some = n.binary(BinaryKind::greater, sum, 0.0);
  return n.binary(BinaryKind::div, n.add(schema::Where{}, {present, terms, small}),
                  n.add(schema::Where{}, {some, sum, n.scalar_like(sum, 1)}));
}
// The inverse of the normal distribution in the approximation that ONNX's reference implementation has: S. Winitzki, "A
// handy approximation for the error function and its inverse", 2008, with its a = 0.147.
ValueId probit(OnnxNode& n, ValueId p) {
  constexpr double a = 0.147;
  const ValueId x = n.binary(BinaryKind::sub, n.binary(BinaryKind::mul, p, 2), 1);
  const ValueId one = n.scalar_like(p, 1);
  const ValueId log = n.unary(UnaryKind::log, n.binary(BinaryKind::mul, n.binary(BinaryKind::sub, one, x), n.binary(BinaryKind::add, one, x)));
  const ValueId b = n.binary(BinaryKind::add, n.binary(BinaryKind::mul, log, 0.5), 2 / (3.14159 * a));
  const ValueId root = n.unary(UnaryKind::sqrt, n.binary(BinaryKind::sub, n.binary(BinaryKind::mul, b, b), n.binary(BinaryKind::div, log, a)));
  const ValueId magnitude = n.unary(UnaryKind::sqrt, n.binary(BinaryKind::sub, root, b));
  return n.binary(BinaryKind::mul, n.binary(BinaryKind::mul, n.unary(UnaryKind::sign, x), magnitude), std::sqrt(2.0));
}
}  // namespace

ValueId transformed(OnnxNode& n, PostTransform kind, ValueId scores) {
  switch (kind) {
    case PostTransform::none: return scores;
    case PostTransform::softmax: return n.add(schema::Softmax{}, {scores});
    case PostTransform::logistic: return n.unary(UnaryKind::sigmoid, scores);
    case PostTransform::softmax_zero: return softmax_zero(n, scores);
    case PostTransform::probit: return probit(n, scores);
  }
  return scores;
}

ValueId two_classes(OnnxNode& n, PostTransform kind, ValueId score, bool signed_score) {
  const ValueId negative = n.unary(UnaryKind::neg, score);
  if (kind == PostTransform::logistic) return transformed(n, kind, n.add(schema::Concat{1}, {negative, score}));
  if (kind == PostTransform::probit) score = transformed(n, kind, score);
  const ValueId first = signed_score ? n.unary(UnaryKind::neg, score) : n.binary(BinaryKind::sub, n.scalar_like(score, 1), score);
  return n.add(schema::Concat{1}, {first, score});
}
}  // namespace converter
