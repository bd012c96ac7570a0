#include "engine/device_lowering.h"
#include "engine/ops/strides.h"
#include "kernels/softmax/softmax.h"

namespace engine {
namespace {
using schema::Softmax, schema::SoftmaxKind;

Types infer(const Softmax& op, const InferContext& in) {
  in.expect_inputs(1, 1);
  in.expect_class(0, schema::DTypeClass::real);
  if (in.in(0).ranked) normal_axis(op.axis, in.in(0).rank());
  return {in.in(0)};
}

void apply(SoftmaxKind kind, std::span<double> row) {
  size_t best = 0;
  for (size_t i = 1; i < row.size(); ++i)
    if (row[i] > row[best] || (std::isnan(row[i]) && !std::isnan(row[best]))) best = i;
  const double largest = row[best];
  if (kind == SoftmaxKind::hardmax) {
    for (size_t i = 0; i < row.size(); ++i) row[i] = i == best;
    return;
  }
  double sum = 0;
  for (double& x : row) {
    x -= largest;
    sum += std::exp(x);
  }
  for (double& x : row) x = kind == SoftmaxKind::softmax ? std::exp(x) / sum : x - std::log(sum);
}

void reference(const Softmax& op, RunContext& c) {
  const ConstView& x = c.in(0);
  const View y = c.out(0);
  const AxisSplit s(x.shape, normal_axis(op.axis, x.rank()));
  if (y.elements() == 0) return;
  const auto row = c.workspace<double>(size_t(s.extent));
  for (int64_t o = 0; o < s.outer; ++o)
    for (int64_t i = 0; i < s.inner; ++i) {
      const int64_t first = o * s.extent * s.inner + i;
      for (int64_t d = 0; d < s.extent; ++d) row[d] = load<double>(x, first + d * s.inner);
      apply(op.kind, row);
      for (int64_t d = 0; d < s.extent; ++d) store(y, first + d * s.inner, row[d]);
    }
}

std::optional<Lowered> lower(const Softmax& op, const LowerContext& c) {
  if (c.in(0).dtype != DType::f32) return std::nullopt;
  const Shape x = c.in(0).shape();
  const AxisSplit s(x, normal_axis(op.axis, int64_t(x.size())));
  if (c.target) return lower_map_on_device(c, &kernels::cuda::Backend::softmax, kernels::cuda::SoftmaxProblem{{op.kind, s.outer, s.extent, s.inner}, c.kept_in(0), c.kept_out()});
  auto choice = kernels::softmax::select({op.kind, s.outer, s.extent, s.inner}, c.isa);
  if (!choice) return std::nullopt;
  return Lowered{choice.name, [kernel = std::move(choice.kernel)](RunContext& r) {
    kernel.run(reinterpret_cast<const float*>(r.in(0).data), reinterpret_cast<float*>(r.out(0).data), r.pool(), r.threads());
  }};
}

// A maximum, a subtraction, an exponential, an addition and a division per element.
double flops(const Softmax&, std::span<const Type> in, std::span<const Type>) {
  return in[0].determined() ? 5.0 * double(elements(in[0].shape())) : 0;
}
}  // namespace

const OpDef<Softmax>& def(const Softmax&) {
  static constexpr OpDef<Softmax> def{.infer = infer, .reference = reference, .lower = lower, .on_device = true, .keeps_half = true, .flops = flops};
  return def;
}
}  // namespace engine
