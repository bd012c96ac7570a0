// Matrix products.
#include "converter/shared.h"

namespace converter {
namespace {
using schema::BinaryKind, schema::DType;

void matmul(OnnxNode& n) {
  n.expect_inputs(2, 2);
  n.finish(schema::MatMul{}, n.all());
}

void gemm(OnnxNode& n) { n.set(0, gemm_of(n)); }

// --- Einsum: each operand gets the dims (batch, free, summed) that a batched product wants
// ------------------------------

using Labels = std::string;  // one letter per dim

struct Operand {
  ValueId value;
  Labels labels;
};

// Sums over the labels that `keep` does not hold.
Operand sum_out(OnnxNode& n, Operand x, const Labels& keep) {
  std::vector<int64_t> axes;
  Labels left;
  for (size_t i = 0; i < x.labels.size(); ++i) {
    if (keep.find(x.labels[i]) == Labels::npos) axes.push_back(int64_t(i));
    else left += x.labels[i];
  }
  return axes.empty() ? x : Operand{n.reduce(schema::ReduceKind::sum, x.value, axes, false), left};
}

// Brings the dims into the order of `labels`, with extent 1 for those that the operand lacks.
ValueId arrange(OnnxNode& n, const Operand& x, const Labels& labels) {
  schema::Ints perm;
  std::vector<int64_t> missing;
  for (size_t i = 0; i < labels.size(); ++i) {
    const size_t at = x.labels.find(labels[i]);
    if (at == Labels::npos) missing.push_back(int64_t(i));
    else perm.push_back(int64_t(at));
  }
  ValueId y = perm.size() > 1 ? n.transpose(x.value, perm) : x.value;
  return missing.empty() ? y : n.add(schema::Unsqueeze{}, {y, n.ints(missing)});
}

// A label that one operand repeats stands for its diagonal.
Operand diagonal(OnnxNode& n, Operand x) {
  for (size_t i = 0; i < x.labels.size(); ++i) {
    const size_t j = x.labels.find(x.labels[i], i + 1);
    if (j == Labels::npos) continue;
    // The sum over dim j of x where the indices i and j agree, and of 0 elsewhere.
    const Type& type = n.type(x.value);
    check(may_equal(type.dims[i], type.dims[j]), "a repeated label has extents that differ");
    const ValueId positions = n.positions(x.value, int64_t(i));
    const auto index = [&](size_t axis) {
      std::vector<int64_t> others;
      for (int64_t d = 0; d < int64_t(x.labels.size()); ++d)
        if (d != int64_t(axis)) others.push_back(d);
      return n.add(schema::Unsqueeze{}, {positions, n.ints(others)});
    };
    const ValueId agree = n.binary(BinaryKind::equal, index(i), index(j));
    const ValueId masked = n.add(schema::Where{}, {agree, x.value, n.scalar_like(x.value, 0)});
    const int64_t axis = int64_t(j);
    x.value = n.reduce(schema::ReduceKind::sum, masked, std::span(&axis, 1), false);
    x.labels.erase(j, 1);
    return diagonal(n, x);
  }
  return x;
}

// The product of both, with the labels of `keep`: the others, which both have, are summed over.
Operand contract(OnnxNode& n, Operand a, Operand b, const Labels& keep) {
  Labels summed, batch, only_a, only_b;
  for (char c : a.labels) {
    const bool shared = b.labels.find(c) != Labels::npos, kept = keep.find(c) != Labels::npos;
    (shared ? kept ? batch : summed : only_a) += c;
  }
  for (char c : b.labels)
    if (a.labels.find(c) == Labels::npos) only_b += c;
  if (summed.empty()) {
    const Labels all = batch + only_a + only_b;
    return {n.binary(BinaryKind::mul, arrange(n, a, all), arrange(n, b, all)), all};
  }
  // Broadcasting pads the batch dims: a is [batch, free a, 1…, summed], b is [batch, 1…, free b, summed].
  const auto merge_last = [&](ValueId v, size_t count) {
    if (count == 1) return v;
    std::vector<int64_t> shape(size_t(n.rank(v)) - count, 0);
    shape.push_back(-1);
    return n.add(schema::Reshape{}, {v, n.ints(shape)});
  };
  const ValueId left = merge_last(arrange(n, a, batch + only_a + summed), summed.size());
  const ValueId right = merge_last(arrange(n, b, batch + only_b + summed), summed.size());
  if (only_a.size() == 1 && only_b.size() == 1)
    return {n.add(schema::MatMul{false, true}, {left, right}), batch + only_a + only_b};
  // Any other number of free dims: [batch, free a, 1…, 1, summed] times [batch, 1…, free b, summed, 1].
  const auto insert = [&](ValueId v, size_t at, size_t count) {
    std::vector<int64_t> axes;
    for (size_t i = 0; i < count; ++i) axes.push_back(int64_t(at + i));
    return axes.empty() ? v : n.add(schema::Unsqueeze{}, {v, n.ints(axes)});
  };
  const size_t base = batch.size() + only_a.size() + only_b.size();
  ValueId l = insert(insert(left, batch.size() + only_a.size(), only_b.size()), base, 1);
  ValueId r = insert(insert(right, batch.size(), only_a.size()), base, 1);
  const ValueId product = n.add(schema::MatMul{false, true}, {l, r});
  return {n.add(schema::Squeeze{}, {product, n.ints({int64_t(base), int64_t(base) + 1})}), batch + only_a + only_b};
}

void einsum(OnnxNode& n) {
  std::string equation = n.text("equation");
  std::erase(equation, ' ');
  const size_t arrow = equation.find("->");
  std::vector<Labels> terms(1);
  for (char c : equation.substr(0, arrow)) {
    if (c == ',') terms.emplace_back();
    else terms.back() += c;
  }
  check(terms.size() == n.inputs(), "equation '", equation, "' has ", terms.size(), " operands, not ", n.inputs());
  // Dims under an ellipsis get labels of their own: control characters, the last dim the same in every operand.
  int64_t dots = 0;
  for (size_t k = 0; k < terms.size(); ++k)
    if (terms[k].find("...") != Labels::npos) dots = std::max(dots, n.rank(k) - int64_t(terms[k].size()) + 3);
  check(dots < 26, "equation '", equation, "' leaves too many dims to the ellipsis");
  const auto spelled = [&](Labels labels, int64_t count) {
    const size_t at = labels.find("...");
    if (at == Labels::npos) return labels;
    Labels hidden;
    for (int64_t i = dots - count; i < dots; ++i) hidden += char(1 + i);
    return labels.replace(at, 3, hidden);
  };
  Labels result;
  if (arrow != std::string::npos) {
    result = spelled(equation.substr(arrow + 2), dots);
  } else {
    for (int64_t i = 0; i < dots; ++i) result += char(1 + i);
    for (char c = 'A'; c <= 'z'; ++c)
      if (std::count(equation.begin(), equation.end(), c) == 1) result += c;
  }
  std::vector<Operand> operands;
  for (size_t k = 0; k < terms.size(); ++k) {
    const Labels labels = spelled(terms[k], n.rank(k) - int64_t(terms[k].size()) + 3);
    check(int64_t(labels.size()) == n.rank(k), "equation '", equation, "' does not fit input ", k, ", ",
          to_text(n.type(k)));
    operands.push_back(diagonal(n, {n.in(k), labels}));
  }
  Operand y = operands[0];
  for (size_t k = 0; k < operands.size(); ++k) {
    Labels later = result;
    for (size_t j = k + 1; j < operands.size(); ++j) later += operands[j].labels;
    if (k == 0) {
      y = sum_out(n, y, later);
    } else {
      Operand next = sum_out(n, operands[k], later + y.labels);
      y = contract(n, sum_out(n, y, later + next.labels), next, later);
    }
  }
  y = sum_out(n, y, result);
  for (char c : result)
    check(y.labels.find(c) != Labels::npos, "equation '", equation, "' has a result label that no operand has");
  n.set(0, arrange(n, y, result));
}

void det(OnnxNode& n) { n.finish(schema::Det{}, n.all()); }

constexpr Row matmul_rows[] = {{"MatMul", matmul}, {"Gemm", gemm}, {"Einsum", einsum}, {"Det", det}};
}  // namespace

// y = alpha * A * B + beta * C
ValueId gemm_of(OnnxNode& n) {
  n.expect_inputs(2, 3);
  n.ignore({"broadcast"});
  const double alpha = n.real("alpha", 1), beta = n.real("beta", 1);
  for (size_t k : {0, 1}) check(!n.type(k).ranked || n.rank(k) == 2, "input ", k, " must have rank 2, not ", n.type(k));
  ValueId y = n.add(schema::MatMul{n.flag("transA", false), n.flag("transB", false)}, {n.in(0), n.in(1)});
  if (alpha != 1) y = n.binary(BinaryKind::mul, y, alpha);
  if (n.has(2) && beta != 0)
    y = n.binary(BinaryKind::add, y, beta == 1 ? n.in(2) : n.binary(BinaryKind::mul, n.in(2), beta));
  return y;
}

Group matmul_group() { return {onnx_domain, matmul_rows}; }
}  // namespace converter
