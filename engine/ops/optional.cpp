#include "engine/op.h"

namespace engine {
namespace {
using schema::OptionalConstruct, schema::OptionalGet, schema::OptionalHas;

Types infer_construct(const OptionalConstruct& op, const InferContext& in) {
  in.expect_inputs(0, 1);
  if (in.has(0)) {
    const ValueKind kind = in.in(0).kind;
    check(kind == ValueKind::tensor || kind == ValueKind::sequence, "holds a tensor or a sequence, not ", in.in(0));
    return {Type::optional(in.in(0))};
  }
  const Type tensor = Type::unranked(op.dtype);
  check(op.kind == ValueKind::tensor || op.kind == ValueKind::sequence, "holds a tensor or a sequence");
  return {Type::optional(op.kind == ValueKind::tensor ? tensor : Type::sequence(tensor))};
}
void construct(const OptionalConstruct& op, RunContext& c) {
  Object& y = c.object(0);
  y.set_empty(ValueKind::optional, c.has(0) ? c.in(0).dtype : op.dtype);
  if (c.has(0)) y.items.emplace_back().assign(c.in(0));
}

Types infer_get(const OptionalGet&, const InferContext& in) {
  in.expect_inputs(1, 1);
  const Type& x = in.in(0);
  return {x.kind == ValueKind::optional ? *x.element : x};
}
void get(const OptionalGet&, RunContext& c) {
  const ConstView& x = c.in(0);
  if (!x.object || x.object->kind != ValueKind::optional) return c.set_out(0, x);
  check(!x.object->items.empty(), "the optional is empty");
  c.set_out(0, x.object->items[0].view());
}

Types infer_has(const OptionalHas&, const InferContext& in) {
  in.expect_inputs(0, 1);
  return {Type::scalar(DType::boolean)};
}
void has(const OptionalHas&, RunContext& c) {
  const bool empty = !c.has(0) || (c.in(0).object && c.in(0).object->kind == ValueKind::optional && c.in(0).object->items.empty());
  store(c.out(0), 0, Int(!empty));
}
}  // namespace

const OpDef<OptionalConstruct>& def(const OptionalConstruct&) {
  static constexpr OpDef<OptionalConstruct> def{.infer = infer_construct, .reference = construct};
  return def;
}
const OpDef<OptionalGet>& def(const OptionalGet&) {
  static constexpr OpDef<OptionalGet> def{.infer = infer_get, .reference = get};
  return def;
}
const OpDef<OptionalHas>& def(const OptionalHas&) {
  static constexpr OpDef<OptionalHas> def{.infer = infer_has, .reference = has};
  return def;
}
}  // namespace engine
