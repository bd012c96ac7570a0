#include "engine/op.h"
#include "engine/ops/strides.h"

namespace engine {
namespace {
using schema::Concat;

Types infer(const Concat& op, const InferContext& in) {
  in.expect_inputs(1, size_t(limits::ports));
  for (size_t k = 0; k < in.inputs(); ++k) in.expect_same_dtype(0, k);
  const DType dtype = in.in(0).dtype;
  Type y = Type::unranked(dtype);
  bool ranked = true;
  for (size_t k = 0; k < in.inputs(); ++k) {
    const Type& x = in.in(k);
    ranked &= x.ranked;
    if (!x.ranked) continue;
    const int64_t axis = normal_axis(op.axis, x.rank());
    if (!y.ranked) {
      y = x;
      continue;
    }
    check(x.rank() == y.rank(), "inputs have ranks ", y.rank(), " and ", x.rank());
    for (int64_t d = 0; d < x.rank(); ++d) {
      if (d == axis) {
        y.dims[d] = y.dims[d] + x.dims[d];
        continue;
      }
      check(may_equal(x.dims[d], y.dims[d]), "input ", k, " is ", to_text(x), ", which does not continue ", to_text(in.in(0)), " along axis ", axis);
      if (x.dims[d].known()) y.dims[d] = x.dims[d];
    }
  }
  if (y.ranked && !ranked) y.dims[normal_axis(op.axis, y.rank())] = Dim::unknown();
  return {y};
}

void reference(const Concat& op, RunContext& c) {
  const View y = c.out(0);
  if (y.elements() == 0) return;
  const int64_t axis = normal_axis(op.axis, y.rank());
  const AxisSplit whole(y.shape, axis);
  const int64_t pitch = whole.extent * whole.inner;
  for (int64_t k = 0, first = 0; k < int64_t(c.inputs()); ++k) {
    const ConstView& x = c.in(k);
    const int64_t run = x.shape[axis] * whole.inner;
    for (int64_t o = 0; o < whole.outer; ++o) copy_elements(y, o * pitch + first, x, o * run, run);
    first += run;
  }
}

void simplify(const Concat&, NodeId n, Rewriter& rewriter) {
  const Node& node = rewriter.graph[n];
  if (node.inputs.size() == 1) rewriter.replace(node.outputs[0], node.inputs[0]);
}
}  // namespace

const OpDef<Concat>& def(const Concat&) {
  static constexpr OpDef<Concat> def{.infer = infer, .reference = reference, .simplify = simplify};
  return def;
}
}  // namespace engine
