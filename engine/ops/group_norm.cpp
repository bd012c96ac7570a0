#include "engine/device_lowering.h"
#include "engine/ops/moments.h"
#include "engine/ops/strides.h"

namespace engine {
namespace {
using schema::GroupNorm;

Types infer(const GroupNorm& op, const InferContext& in) {
  in.expect_inputs(3, 3);
  for (size_t k = 0; k < 3; ++k) in.expect_class(k, schema::DTypeClass::real);
  const Type& x = in.in(0);
  check(op.groups >= 0, "groups ", op.groups, " is negative");
  if (!x.ranked) return {x};
  check(x.rank() >= 2, "needs batch and channel dims, not ", x);
  const Dim& channels = x.dims[1];
  check(!op.groups || !channels.known() || channels.value() % op.groups == 0, op.groups,
        " groups do not divide the channels of ", x);
  for (size_t k = 1; k < 3; ++k) {
    const Type& t = in.in(k);
    check(!t.ranked || (t.rank() == 1 && may_equal(t.dims[0], channels)), "input ", k, " is ", t,
          ", not one number per channel of ", x);
  }
  return {x};
}

void reference(const GroupNorm& op, RunContext& c) {
  const ConstView& x = c.in(0);
  const View y = c.out(0);
  if (y.elements() == 0) return;
  const int64_t inner = product(x.shape.subspan(2)), channels = x.shape[1];
  const int64_t groups = op.groups ? op.groups : channels, width = channels / groups;
  with_reader<double>(x, [&](auto read) {
    for (int64_t g = 0, i = 0; g < x.shape[0] * groups; ++g) {
      const Moments m = moments(read, i, width * inner);
      const double inverse = 1 / std::sqrt(m.variance + op.epsilon);
      for (int64_t k = g % groups * width, end = k + width; k < end; ++k) {
        const double scale = load<double>(c.in(1), k) * inverse, bias = load<double>(c.in(2), k);
        for (int64_t stop = i + inner; i < stop; ++i) store(y, i, (read(i) - m.mean) * scale + bias);
      }
    }
  });
}

std::optional<Lowered> lower(const GroupNorm& op, const LowerContext& c) {
  const Shape x = c.in(0).shape();
  if (!c.target || elements(x) == 0) return std::nullopt;
  for (size_t k = 0; k < 3; ++k)
    if (c.in(k).dtype != DType::f32 || (k && c.kept_in(k) != DType::f32)) return std::nullopt;
  const int64_t groups = op.groups ? op.groups : x[1], inner = product(std::span(x).subspan(2));
  const kernels::cuda::NormProblem problem{x[0] * groups, x[1] / groups * inner, groups, inner, op.epsilon, false, c.kept_in(0), c.kept_out()};
  return lower_on_device(c, &kernels::cuda::Backend::norm, problem, [x = device_input(c, 0), scale = device_input(c, 1), bias = device_input(c, 2)](RunContext& r) {
    return kernels::cuda::NormArgs{x.at<void>(r), scale.at(r), bias.at(r), out_at<void>(r)};
  });
}

// Two passes for the moments, one for the result.
double flops(const GroupNorm&, std::span<const Type> in, std::span<const Type>) {
  return in[0].determined() ? 6.0 * double(elements(in[0].shape())) : 0;
}
}  // namespace

const OpDef<GroupNorm>& def(const GroupNorm&) {
  static constexpr OpDef<GroupNorm> def{.infer = infer, .reference = reference, .lower = lower, .on_device = true, .keeps_half = true, .flops = flops};
  return def;
}
}  // namespace engine
