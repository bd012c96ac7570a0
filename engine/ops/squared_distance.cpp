#include "engine/op.h"
#include "kernels/split.h"

namespace engine {
namespace {
using schema::SquaredDistance;

Types infer(const SquaredDistance&, const InferContext& in) {
  in.expect_inputs(2, 2);
  for (size_t k : {0, 1}) in.expect_class(k, schema::DTypeClass::real);
  in.expect_same_dtype(0, 1);
  const Dims a = in.expect_rank(0, 2), b = in.expect_rank(1, 2);
  check(may_equal(a[1], b[1]), "rows of ", in.in(0), " and ", in.in(1), " are not equally long");
  return {Type::tensor(in.in(0).dtype, {a[0], b[0]})};
}

void reference(const SquaredDistance&, RunContext& c) {
  const ConstView &a = c.in(0), &b = c.in(1);
  const int64_t n = a.shape[0], m = b.shape[0], f = a.shape[1], shape[] = {n, m};
  check(b.shape[1] == f, "rows of ", f, " and ", b.shape[1], " elements are not equally long");
  const View y = c.set_out(0, a.dtype, shape);
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < m; ++j) {
      double sum = 0;
      for (int64_t k = 0; k < f; ++k) {
        const double d = load<double>(a, i * f + k) - load<double>(b, j * f + k);
        sum += d * d;
      }
      store(y, i * m + j, sum);
    }
}

// In 16 sums, which a compiler makes vectors of.
float distance(const float* a, const float* b, int64_t f) {
  constexpr int64_t lanes = 16;
  float sums[lanes] = {}, sum = 0;
  int64_t k = 0;
  for (; k + lanes <= f; k += lanes)
    for (int64_t l = 0; l < lanes; ++l) {
      const float d = a[k + l] - b[k + l];
      sums[l] += d * d;
    }
  for (; k < f; ++k) sums[k % lanes] += (a[k] - b[k]) * (a[k] - b[k]);
  for (const float s : sums) sum += s;
  return sum;
}

std::optional<Lowered> lower(const SquaredDistance&, const LowerContext& c) {
  if (c.in(0).dtype != DType::f32) return std::nullopt;
  const int64_t n = c.in(0).dims[0].value(), m = c.in(1).dims[0].value(), f = c.in(0).dims[1].value();
  return Lowered{"squared_distance", [n, m, f](RunContext& r) {
    const auto *a = reinterpret_cast<const float*>(r.in(0).data), *b = reinterpret_cast<const float*>(r.in(1).data);
    auto* y = reinterpret_cast<float*>(r.out(0).data);
    kernels::run_split(r.pool(), r.threads(), n, (m + 63) / 64, n * m * f, [&](int64_t i, int64_t last, int64_t from, int64_t to) {
      for (; i < last; ++i)
        for (int64_t j = from * 64; j < std::min(m, to * 64); ++j) y[i * m + j] = distance(a + i * f, b + j * f, f);
    });
  }};
}

double flops(const SquaredDistance&, std::span<const Type> in, std::span<const Type> out) {
  return in[0].determined() && out[0].determined() ? 3 * double(elements(out[0].shape())) * double(in[0].dims[1].value()) : 0;
}
}  // namespace

const OpDef<SquaredDistance>& def(const SquaredDistance&) {
  static constexpr OpDef<SquaredDistance> def{.infer = infer, .reference = reference, .lower = lower, .flops = flops};
  return def;
}
}  // namespace engine
