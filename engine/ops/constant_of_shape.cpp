#include <algorithm>
#include "engine/op.h"
#include "engine/ops/strides.h"

namespace engine {
namespace {
using schema::ConstantOfShape;

Types infer(const ConstantOfShape&, const InferContext& in) {
  in.expect_inputs(2, 2);
  in.expect_dtype(0, {DType::i64});
  in.expect_tensor(1);
  const Type &shape = in.in(0), &value = in.in(1);
  check(!shape.ranked || shape.rank() == 1, "the shape must have rank 1, not ", shape.rank());
  if (value.determined()) check(elements(value.shape()) == 1, "the value must have one element");
  if (const auto dims = in.ints(0)) {
    check(int64_t(dims->size()) <= limits::rank, "rank ", dims->size(), " is too high");
    for (const Dim& d : *dims) check(!d.known() || d.value() >= 0, "extent ", d.text(), " is negative");
    return {Type::tensor(value.dtype, *dims)};
  }
  if (!shape.ranked || !shape.dims[0].known() || shape.dims[0].value() > limits::rank) return {Type::unranked(value.dtype)};
  return {Type::tensor(value.dtype, Dims(shape.dims[0].value(), Dim::unknown()))};
}

void reference(const ConstantOfShape&, RunContext& c) {
  const ConstView& wanted = c.in(0);
  const std::span<const int64_t> shape(reinterpret_cast<const int64_t*>(wanted.data), size_t(wanted.elements()));
  check(int64_t(shape.size()) <= limits::rank, "rank ", shape.size(), " is too high");
  const View y = c.set_out(0, c.in(1).dtype, shape);
  fill(y, 0, y.elements(), c.in(1));
}
}  // namespace

const OpDef<ConstantOfShape>& def(const ConstantOfShape&) {
  static constexpr OpDef<ConstantOfShape> def{.infer = infer, .reference = reference};
  return def;
}
}  // namespace engine
