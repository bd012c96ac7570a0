#include "engine/ops/device_broadcast.h"
#include "engine/ops/strides.h"

namespace engine {
namespace {
using schema::Where;

Types infer(const Where&, const InferContext& in) {
  in.expect_inputs(3, 3);
  in.expect_class(0, schema::DTypeClass::boolean);
  in.expect_same_dtype(1, 2);
  const Type inputs[] = {in.in(0), in.in(1), in.in(2)};
  return {broadcast(in.in(1).dtype, inputs)};
}

void reference(const Where&, RunContext& c) {
  const ConstView &condition = c.in(0), &a = c.in(1), &b = c.in(2);
  const View y = c.out(0);
  const size_t rank = y.shape.size();
  const Extents extents(y.shape);
  const auto nest = Nest<4>{extents, {broadcast_strides(condition.shape, rank), broadcast_strides(a.shape, rank),
                                      broadcast_strides(b.shape, rank), dense_strides(extents)}}.merged();
  const auto* chosen = reinterpret_cast<const uint8_t*>(condition.data);
  with_mover(y.dtype, [&](auto mover) {
    nest.each({}, [&](const auto& at) {
      if (chosen[at[0]]) mover.move(y.data, at[3], a.data, at[1]);
      else mover.move(y.data, at[3], b.data, at[2]);
    });
  });
}

std::optional<Lowered> lower(const Where&, const LowerContext& c) {
  if (!c.target || bits_of(c.out(0).dtype) % 8) return std::nullopt;
  return lower_broadcast({.kind = kernels::cuda::BroadcastProblem::where, .element_bytes = bits_of(c.out(0).dtype) / 8}, c);
}

// A condition that is one constant chooses now.
void simplify(const Where&, NodeId n, Rewriter& rewriter) {
  const Graph& graph = rewriter.graph;
  const Node node = graph[n];
  const Constant* condition = graph[node.inputs[0]].constant.get();
  if (!condition || condition->view().elements() != 1) return;
  const ValueId chosen = node.inputs[load<Int>(condition->view(), 0) != Int(0) ? 1 : 2];
  if (graph[chosen].type.ranked && graph[chosen].type == graph[node.outputs[0]].type) rewriter.replace(node.outputs[0], chosen);
}
}  // namespace

const OpDef<Where>& def(const Where&) {
  static constexpr OpDef<Where> def{.infer = infer, .reference = reference, .lower = lower, .on_device = true, .simplify = simplify, .inplace_input = input_at<Where, 1>};
  return def;
}
}  // namespace engine
