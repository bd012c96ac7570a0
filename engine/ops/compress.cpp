#include "engine/op.h"
#include "engine/ops/strides.h"

namespace engine {
namespace {
using schema::Compress;

Types infer(const Compress& op, const InferContext& in) {
  in.expect_inputs(2, 2);
  in.expect_tensor(0);
  in.expect_class(1, schema::DTypeClass::boolean);
  check(!in.in(1).ranked || in.in(1).rank() == 1, "the condition must have rank 1");
  const Type& x = in.in(0);
  if (op.flat) return {Type::tensor(x.dtype, {Dim::unknown()})};
  if (!x.ranked) return {x};
  Type y = x;
  y.dims[normal_axis(op.axis, x.rank())] = Dim::unknown();
  return {y};
}

void reference(const Compress& op, RunContext& c) {
  const ConstView &x = c.in(0), &condition = c.in(1);
  Shape shape = op.flat ? Shape{x.elements()} : Shape(x.shape.begin(), x.shape.end());
  const int64_t axis = op.flat ? 0 : normal_axis(op.axis, x.rank());
  const AxisSplit at(shape, axis);
  check(condition.elements() <= at.extent, "the condition has ", condition.elements(), " elements for an extent of ", at.extent);
  Scratch<int64_t> kept;
  for (int64_t i = 0; i < condition.elements(); ++i)
    if (load<Int>(condition, i).v) kept.push_back(i);
  shape[axis] = int64_t(kept.size());
  const View y = c.set_out(0, x.dtype, shape);
  for (int64_t o = 0, to = 0; o < at.outer; ++o)
    for (int64_t i : kept) {
      copy_elements(y, to, x, (o * at.extent + i) * at.inner, at.inner);
      to += at.inner;
    }
}
}  // namespace

const OpDef<Compress>& def(const Compress&) {
  static constexpr OpDef<Compress> def{.infer = infer, .reference = reference};
  return def;
}
}  // namespace engine
