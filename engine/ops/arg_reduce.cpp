#include "engine/op.h"
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
  check(!(y.dims[axis] == Dim(0)), "dim ", axis, " of ", to_text(in.in(0)), " is empty");
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

double flops(const ArgReduce&, std::span<const Type> in, std::span<const Type>) {
  return in[0].determined() ? double(elements(in[0].shape())) : 0;
}
}  // namespace

const OpDef<ArgReduce>& def(const ArgReduce&) {
  static constexpr OpDef<ArgReduce> def{.infer = infer, .reference = reference, .flops = flops};
  return def;
}
}  // namespace engine
