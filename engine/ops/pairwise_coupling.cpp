#include <cmath>
#include "engine/op.h"

namespace engine {
namespace {
using schema::PairwiseCoupling;
constexpr int64_t most_classes = 1 << 12;

Types infer(const PairwiseCoupling& op, const InferContext& in) {
  in.expect_inputs(1, 1);
  in.expect_class(0, schema::DTypeClass::real);
  check(op.classes >= 2 && op.classes <= most_classes, op.classes, " classes are not possible");
  const Dims r = in.expect_rank(0, 2);
  check(may_equal(r[1], op.classes * (op.classes - 1) / 2), "input 0 is ", in.in(0),
        ", not one element for each pair of ", op.classes, " classes");
  return {Type::tensor(in.in(0).dtype, {r[0], Dim(op.classes)})};
}

// The fixed point of the paper's algorithm 2, whose matrix is q: q[i][i] is the sum of r[j][i]², q[i][j] = -r[j][i] r[i][j].
void couple(int64_t n, const double* r, double* q, double* qp, double* p) {
  for (int64_t i = 0; i < n; ++i) {
    p[i] = 1 / double(n);
    q[i * n + i] = 0;
    for (int64_t j = 0; j < n; ++j) {
      if (j == i) continue;
      q[i * n + i] += r[j * n + i] * r[j * n + i];
      q[i * n + j] = -r[j * n + i] * r[i * n + j];
    }
  }
  const double close = 0.005 / double(n);
  for (int64_t turn = 0; turn < std::max<int64_t>(100, n); ++turn) {
    double pqp = 0, worst = 0;
    for (int64_t i = 0; i < n; ++i) {
      qp[i] = 0;
      for (int64_t j = 0; j < n; ++j) qp[i] += q[i * n + j] * p[j];
      pqp += p[i] * qp[i];
    }
    for (int64_t i = 0; i < n; ++i) worst = std::max(worst, std::fabs(qp[i] - pqp));
    if (worst < close) break;
    for (int64_t i = 0; i < n; ++i) {
      const double by = (pqp - qp[i]) / q[i * n + i];
      p[i] += by;
      pqp = (pqp + by * (by * q[i * n + i] + 2 * qp[i])) / ((1 + by) * (1 + by));
      for (int64_t j = 0; j < n; ++j) {
        qp[j] = (qp[j] + by * q[i * n + j]) / (1 + by);
        p[j] /= 1 + by;
      }
    }
  }
}

void reference(const PairwiseCoupling& op, RunContext& c) {
  const ConstView& x = c.in(0);
  const int64_t n = op.classes, pairs = n * (n - 1) / 2, rows = x.shape[0], shape[] = {rows, n};
  check(x.shape[1] == pairs, "there are ", x.shape[1], " elements for ", pairs, " pairs");
  const View y = c.set_out(0, x.dtype, shape);
  const auto work = c.workspace<double>(size_t(2 * n * n + 2 * n));
  double *r = work.data(), *q = r + n * n, *qp = q + n * n, *p = qp + n;
  for (int64_t row = 0; row < rows; ++row) {
    c.check_stop();
    int64_t pair = row * pairs;
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = i + 1; j < n; ++j, ++pair) r[i * n + j] = load<double>(x, pair), r[j * n + i] = 1 - r[i * n + j];
    couple(n, r, q, qp, p);
    for (int64_t i = 0; i < n; ++i) store(y, row * n + i, p[i]);
  }
}

double flops(const PairwiseCoupling& op, std::span<const Type>, std::span<const Type> out) {
  return out[0].determined() ? 100.0 * double(elements(out[0].shape())) * double(op.classes) : 0;
}
}  // namespace

const OpDef<PairwiseCoupling>& def(const PairwiseCoupling&) {
  static constexpr OpDef<PairwiseCoupling> def{.infer = infer, .reference = reference, .flops = flops};
  return def;
}
}  // namespace engine
