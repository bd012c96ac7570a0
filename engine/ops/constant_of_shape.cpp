#include "engine/ops/shape_input.h"
#include "engine/ops/strides.h"

namespace engine {
namespace {
using schema::ConstantOfShape;

Types infer(const ConstantOfShape&, const InferContext& in) {
  in.expect_inputs(2, 2);
  in.expect_tensor(1);
  const Type& value = in.in(1);
  if (value.determined()) check(elements(value.shape()) == 1, "the value must have one element");
  return {type_of_shape(in, 0, value.dtype)};
}

void reference(const ConstantOfShape&, RunContext& c) {
  const View y = c.set_out(0, c.in(1).dtype, given_shape(c.in(0)));
  fill(y, 0, y.elements(), c.in(1));
}
}  // namespace

const OpDef<ConstantOfShape>& def(const ConstantOfShape&) {
  static constexpr OpDef<ConstantOfShape> def{.infer = infer, .reference = reference};
  return def;
}
}  // namespace engine
