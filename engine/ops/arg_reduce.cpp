#include "engine/device_lowering.h"
#include "engine/ops/strides.h"

namespace engine {
namespace {
using schema::ArgKind, schema::ArgReduce;

Types infer(const ArgReduce& op, const InferContext& in) {
  in.expect_inputs(1, 1);
  in.expect_number(0);
  Type y = in.in(0);
  y.dtype = DType::i64;
  if (!y.ranked) return {y};
  const int64_t axis = normal_axis(op.axis, y.rank());
  check(!(y.dims[axis] == Dim(0)), "dim ", axis, " of ", in.in(0), " is empty");
  if (op.keepdims) y.dims[axis] = 1;
  else y.dims.erase(y.dims.begin() + axis);
  return {y};
}

// The first NaN wins over any number.
void reference(const ArgReduce& op, RunContext& c) {
  const ConstView& x = c.in(0);
  const View y = c.out(0);
  const AxisSplit s(x.shape, normal_axis(op.axis, x.rank()));
  check(s.extent > 0, "has no elements to choose from");
  if (y.elements() == 0) return;
  with_carrier(x.dtype, [&]<class T>(T) {
    for (int64_t o = 0; o < s.outer; ++o)
      for (int64_t i = 0; i < s.inner; ++i) {
        const int64_t first = o * s.extent * s.inner + i;
        T best = load<T>(x, first);
        int64_t at = 0;
        for (int64_t d = 1; d < s.extent && best == best; ++d) {
          const T value = load<T>(x, first + d * s.inner);
          const bool better = op.kind == ArgKind::max ? value > best : value < best;
          if (better || value != value || (op.select_last && value == best)) best = value, at = d;
        }
        store(y, o * s.inner + i, Int(at));
      }
  });
}

std::optional<Lowered> lower(const ArgReduce& op, const LowerContext& c) {
  if (!c.target) return std::nullopt;
  const Shape x = c.in(0).shape();
  const AxisSplit s(x, normal_axis(op.axis, int64_t(x.size())));
  const kernels::cuda::TopKProblem problem{c.in(0).dtype, s.outer, s.extent, s.inner, 1, op.kind == ArgKind::max, true, op.select_last};
  return lower_on_device(c, &kernels::cuda::Backend::top_k, problem, [x = device_input(c, 0)](RunContext& r) {
    return kernels::cuda::TopKArgs{x.at<void>(r), nullptr, out_at<int64_t>(r)};
  });
}

double flops(const ArgReduce&, std::span<const Type> in, std::span<const Type>) {
  return in[0].determined() ? double(elements(in[0].shape())) : 0;
}
}  // namespace

const OpDef<ArgReduce>& def(const ArgReduce&) {
  static constexpr OpDef<ArgReduce> def{.infer = infer, .reference = reference, .lower = lower, .on_device = true, .flops = flops};
  return def;
}
}  // namespace engine
