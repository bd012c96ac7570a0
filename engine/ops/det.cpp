#include "engine/op.h"
#include "engine/ops/strides.h"

namespace engine {
namespace {
using schema::Det;

Types infer(const Det&, const InferContext& in) {
  in.expect_inputs(1, 1);
  in.expect_dtype(0, {DType::f32, DType::f64, DType::f16, DType::bf16});
  Type y = in.in(0);
  if (!y.ranked) return {y};
  check(y.rank() >= 2, "expects matrices, not ", y);
  check(may_equal(y.dims[size_t(y.rank() - 2)], y.dims.back()), "the matrices of ", y, " are not square");
  y.dims.resize(size_t(y.rank() - 2));
  return {y};
}

// The product of the pivots of an LU decomposition with partial pivoting, which takes the place of the n rows of `a`.
double determinant(std::span<double> a, int64_t n) {
  double product = 1;
  const auto row = [&](int64_t r) { return a.subspan(size_t(r * n), size_t(n)); };
  for (int64_t k = 0; k < n; ++k) {
    int64_t pivot = k;
    for (int64_t r = k + 1; r < n; ++r)  // NaN is chosen, so that it stays
      if (std::isnan(row(r)[k]) || std::fabs(row(r)[k]) > std::fabs(row(pivot)[k])) pivot = r;
    if (pivot != k) std::ranges::swap_ranges(row(k), row(pivot)), product = -product;
    const auto top = row(k);
    product *= top[k];
    if (top[k] == 0) return product;
    for (int64_t r = k + 1; r < n; ++r) {
      const auto below = row(r);
      const double factor = below[k] / top[k];
      for (int64_t i = k + 1; i < n; ++i) below[i] -= factor * top[i];
    }
  }
  return product;
}

void reference(const Det&, RunContext& c) {
  const ConstView& x = c.in(0);
  const int64_t n = x.shape.back();
  const View y = c.set_out(0, x.dtype, x.shape.first(x.shape.size() - 2));
  const auto matrix = c.workspace<double>(size_t(y.elements() ? n * n : 0));
  with_reader<double>(x, [&](auto read) {
    for (int64_t m = 0; m < y.elements(); ++m) {
      c.check_stop();
      for (int64_t i = 0; i < n * n; ++i) matrix[i] = read(m * n * n + i);
      store(y, m, determinant(matrix, n));
    }
  });
}

double flops(const Det&, std::span<const Type> in, std::span<const Type>) {
  if (!in[0].determined()) return 0;
  const double n = double(in[0].shape().back());
  return 2.0 / 3 * n * double(elements(in[0].shape()));
}
}  // namespace

const OpDef<Det>& def(const Det&) {
  static constexpr OpDef<Det> def{.infer = infer, .reference = reference, .flops = flops};
  return def;
}
}  // namespace engine
