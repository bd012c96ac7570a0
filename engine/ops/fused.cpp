#include "engine/ops/lowering.h"
#include "engine/shape.h"

namespace engine {
namespace {
using schema::Fused;

Types infer(const Fused&, const InferContext& in) {
  check(in.bodies() == 1, "has ", in.bodies(), " bodies instead of 1");
  Types inputs;
  for (size_t k = 0; k < in.inputs(); ++k) inputs.push_back(in.in(k));
  Types types = infer_body(in.body(0), inputs);
  check(types.size() == 1, "the body has ", types.size(), " outputs instead of 1");
  return types;
}

void reference(const Fused&, RunContext& c) {
  const auto inputs = c.workspace<ConstView>(c.inputs());
  for (size_t k = 0; k < c.inputs(); ++k) inputs[k] = c.in(k);
  c.set_out(0, c.body(0).run(inputs)[0]);
}

std::optional<Lowered> lower(const Fused&, const LowerContext& c) { return lower_fused(c); }
}  // namespace

const OpDef<Fused>& def(const Fused&) {
  static constexpr OpDef<Fused> def{.infer = infer, .reference = reference, .lower = lower};
  return def;
}
}  // namespace engine
