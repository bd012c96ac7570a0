// ai.onnx.ml: linear models and support vector machines, as the products and kernels that they are made of.
#include <cmath>
#include "converter/ml.h"

namespace converter {
namespace {
using schema::BinaryKind, schema::UnaryKind;

// x · coefficientsᵀ + intercepts, with `outputs` rows of coefficients.
ValueId linear(OnnxNode& n, ValueId x, int64_t outputs, const std::vector<double>& coefficients, const std::vector<double>& intercepts) {
  check(outputs > 0 && !coefficients.empty() && coefficients.size() % size_t(outputs) == 0, coefficients.size(), " coefficients do not make ",
        outputs, " rows");
  const int64_t features = int64_t(coefficients.size()) / outputs;
  std::vector<double> turned(coefficients.size());
  for (int64_t o = 0; o < outputs; ++o)
    for (int64_t f = 0; f < features; ++f) turned[size_t(f * outputs + o)] = coefficients[size_t(o * features + f)];
  const ValueId y = n.add(schema::MatMul{}, {x, list(n, DType::f32, {features, outputs}, turned)});
  return intercepts.empty() ? y : n.binary(BinaryKind::add, y, list(n, DType::f32, intercepts));
}

void linear_regressor(OnnxNode& n) {
  n.expect_inputs(1, 1);
  expect_numbers(n);
  const int64_t targets = n.integer("targets", 1);
  const auto coefficients = n.reals("coefficients"), intercepts = n.reals("intercepts");
  check(intercepts.empty() || int64_t(intercepts.size()) == targets, "attribute intercepts has ", intercepts.size(), " values for ", targets, " targets");
  n.set(0, transformed(n, post_transform(n), linear(n, rows_of(n, 0, DType::f32), targets, coefficients, intercepts)));
}

void linear_classifier(OnnxNode& n) {
  n.expect_inputs(1, 1);
  expect_numbers(n);
  n.ignore({"multi_class"});
  const ValueId classes = labels(n, "classlabels_ints", "classlabels_strings");
  const int64_t count = n.type(classes).dims[0].value();
  const auto coefficients = n.reals("coefficients"), intercepts = n.reals("intercepts");
  const PostTransform post = post_transform(n);
  const int64_t outputs = intercepts.empty() ? count : int64_t(intercepts.size());
  check(outputs == count || (outputs == 1 && count == 2), "has ", outputs, " intercepts for ", count, " classes");
  const ValueId scores = linear(n, rows_of(n, 0, DType::f32), outputs, coefficients, intercepts);
  if (outputs == 1 && count == 2) {
    n.set(0, label_by_sign(n, classes, scores, 0));
    n.set(1, two_classes(n, post, scores, false));
  } else {
    n.set(0, label_of_largest(n, classes, scores));
    n.set(1, transformed(n, post, scores));
  }
}

// --- Support vector machines -----------------------------------------------------------------------------------------

// The kernel function of each row of x and each of `count` support vectors: [N,count].
ValueId svm_kernel(OnnxNode& n, ValueId x, int64_t count, const std::vector<double>& vectors) {
  enum class Kind { linear, polynomial, rbf, sigmoid };
  const auto kind = n.choice<Kind>("kernel_type", "LINEAR", {{"LINEAR", Kind::linear}, {"POLY", Kind::polynomial}, {"RBF", Kind::rbf}, {"SIGMOID", Kind::sigmoid}});
  std::vector<double> params = n.reals("kernel_params");  // gamma, coef0, degree
  check(params.empty() || params.size() == 3, "attribute kernel_params has ", params.size(), " values instead of 3");
  params.resize(3);
  check(count > 0 && !vectors.empty() && vectors.size() % size_t(count) == 0, vectors.size(), " numbers do not make ", count, " support vectors");
  if (kind == Kind::rbf) {
    const ValueId all = list(n, DType::f32, {count, int64_t(vectors.size()) / count}, vectors);
    return n.unary(UnaryKind::exp, n.binary(BinaryKind::mul, n.add(schema::SquaredDistance{}, {x, all}), -params[0]));
  }
  const ValueId dot = linear(n, x, count, vectors, {});
  if (kind == Kind::linear) return dot;
  const ValueId moved = n.binary(BinaryKind::add, n.binary(BinaryKind::mul, dot, params[0]), params[1]);
  return kind == Kind::sigmoid ? n.unary(UnaryKind::tanh, moved) : n.binary(BinaryKind::pow, moved, params[2]);
}

void svm_regressor(OnnxNode& n) {
  n.expect_inputs(1, 1);
  expect_numbers(n);
  const int64_t supports = n.integer("n_supports", 0);
  const bool one_class = n.flag("one_class", false);
  const auto coefficients = n.reals("coefficients"), rho = n.reals("rho"), vectors = n.reals("support_vectors");
  check(rho.size() == 1, "attribute rho has ", rho.size(), " values instead of 1");
  const PostTransform post = post_transform(n);
  ValueId x = rows_of(n, 0, DType::f32);
  if (supports > 0) x = svm_kernel(n, x, supports, vectors);
  else n.ignore({"kernel_type", "kernel_params"});  // without support vectors the model is linear
  const ValueId y = linear(n, x, 1, coefficients, rho);
  const ValueId inside = n.binary(BinaryKind::greater, y, 0.0);
  n.set(0, one_class ? n.add(schema::Where{}, {inside, n.scalar_like(y, 1), n.scalar_like(y, -1)}) : transformed(n, post, y));
}

// What combines the kernels of all support vectors into a score for each pair of classes i < j: [pairs,vectors]. A vector of
// class i has its coefficient against j in row j - 1, one of class j its own against i in row i.
std::vector<double> pair_weights(const schema::Ints& per_class, int64_t vectors, const std::vector<double>& coefficients) {
  const auto classes = int64_t(per_class.size());
  check(int64_t(coefficients.size()) == (classes - 1) * vectors, "has ", coefficients.size(), " coefficients for ", vectors,
        " support vectors of ", classes, " classes");
  std::vector<int64_t> first{0};
  for (const int64_t c : per_class) first.push_back(first.back() + c);
  std::vector<double> weights(size_t(classes * (classes - 1) / 2 * vectors));
  double* row = weights.data();
  for (int64_t i = 0; i < classes; ++i)
    for (int64_t j = i + 1; j < classes; ++j, row += vectors) {
      for (int64_t v = first[size_t(i)]; v < first[size_t(i) + 1]; ++v) row[v] = coefficients[size_t((j - 1) * vectors + v)];
      for (int64_t v = first[size_t(j)]; v < first[size_t(j) + 1]; ++v) row[v] = coefficients[size_t(i * vectors + v)];
    }
  return weights;
}

// The votes of all pairs: a positive score is one for the first class, any other for the second.
ValueId votes_of(OnnxNode& n, ValueId scores, int64_t classes) {
  const int64_t pairs = classes * (classes - 1) / 2;
  std::vector<double> won(size_t(pairs * classes)), base(size_t(classes), 0.0);
  int64_t pair = 0;
  for (int64_t i = 0; i < classes; ++i)
    for (int64_t j = i + 1; j < classes; ++j, ++pair) {
      won[size_t(pair * classes + i)] = 1, won[size_t(pair * classes + j)] = -1;
      base[size_t(j)] += 1;
    }
  const ValueId positive = n.cast(n.binary(BinaryKind::greater, scores, 0.0), DType::f32);
  return n.binary(BinaryKind::add, n.add(schema::MatMul{}, {positive, list(n, DType::f32, {pairs, classes}, won)}), list(n, DType::f32, base));
}

void svm_classifier(OnnxNode& n) {
  n.expect_inputs(1, 1);
  expect_numbers(n);
  const ValueId classes = labels(n, "classlabels_ints", "classlabels_strings");
  const int64_t count = n.type(classes).dims[0].value(), pairs = count * (count - 1) / 2;
  const schema::Ints per_class = n.integers("vectors_per_class");
  const auto coefficients = n.reals("coefficients"), rho = n.reals("rho"), vectors = n.reals("support_vectors"), a = n.reals("prob_a"), b = n.reals("prob_b");
  const PostTransform post = post_transform(n);
  const ValueId x = rows_of(n, 0, DType::f32);
  int64_t supports = 0;
  for (const int64_t c : per_class) {
    check(c >= 0 && c < limits::extent, "attribute vectors_per_class has ", c);
    supports += c;
  }
  if (supports == 0) {  // a linear model: one row of coefficients per class
    n.ignore({"kernel_type", "kernel_params"});
    check(!rho.empty(), "attribute rho is missing");
    const ValueId scores = n.binary(BinaryKind::add, linear(n, x, count, coefficients, {}), rho[0]);
    n.set(0, label_of_largest(n, classes, scores));
    n.set(1, transformed(n, post, scores));
    return;
  }
  check(count >= 2 && int64_t(per_class.size()) == count, "attribute vectors_per_class has ", per_class.size(), " values for ", count, " classes");
  check(int64_t(rho.size()) == pairs, "attribute rho has ", rho.size(), " values for ", pairs, " pairs of classes");
  check(a.size() == b.size() && (a.empty() || int64_t(a.size()) == pairs), "attributes prob_a and prob_b have ", a.size(), " and ", b.size(),
        " values for ", pairs, " pairs of classes");
  const ValueId kernels = svm_kernel(n, x, supports, vectors);
  const ValueId scores = linear(n, kernels, pairs, pair_weights(per_class, supports, coefficients), rho);
  n.set(0, label_of_largest(n, classes, votes_of(n, scores, count)));
  if (!a.empty()) {  // Platt's sigmoid of each score
    const ValueId moved = n.binary(BinaryKind::add, n.binary(BinaryKind::mul, scores, list(n, DType::f32, a)), list(n, DType::f32, b));
    const ValueId chance = n.unary(UnaryKind::clip, n.unary(UnaryKind::sigmoid, n.unary(UnaryKind::neg, moved)), 1e-7, 1 - 1e-7);
    n.set(1, transformed(n, post, n.add(schema::PairwiseCoupling{count}, {chance})));
  } else {
    n.set(1, count == 2 ? two_classes(n, post, scores, post == PostTransform::none) : transformed(n, post, scores));
  }
}

constexpr Row ml_model_rows[] = {{"LinearClassifier", linear_classifier},
                        {"LinearRegressor", linear_regressor},
                        {"SVMClassifier", svm_classifier},
                        {"SVMRegressor", svm_regressor}};
}  // namespace

Group ml_models_group() { return {ml_domain, ml_model_rows}; }
}  // namespace converter
