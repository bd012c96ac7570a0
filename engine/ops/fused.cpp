#include <algorithm>
#include "engine/ops/lowering.h"
#include "engine/shape.h"

namespace engine {
namespace {
using schema::Fused;

Types infer(const Fused&, const InferContext& in) {
  check(in.bodies() == 1, "has ", in.bodies(), " bodies instead of 1");
  const Graph& body = in.body(0);
  Types types = output_types(body);
  // Those of its body, which was inferred when it was made, unless other types are given now.
  bool same = body.inputs.size() == in.inputs() && std::ranges::all_of(types, &Type::determined);
  for (size_t k = 0; same && k < in.inputs(); ++k) same = body[body.inputs[k]].type == in.in(k);
  if (!same) {
    Types inputs;
    for (size_t k = 0; k < in.inputs(); ++k) inputs.push_back(in.in(k));
    types = infer_body(body, inputs);
  }
  check(types.size() == 1, "the body has ", types.size(), " outputs instead of 1");
  return types;
}

void reference(const Fused&, RunContext& c) {
  const auto inputs = c.workspace<ConstView>(c.inputs());
  for (size_t k = 0; k < c.inputs(); ++k) inputs[k] = c.in(k);
  c.set_out(0, c.body(0).run(inputs)[0]);
}

size_t input_of(const Graph& body, ValueId v) { return size_t(std::ranges::find(body.inputs, v) - body.inputs.begin()); }
bool is_elementwise(const Op& op) { return op.get_if<schema::Unary>() || op.get_if<schema::Binary>(); }

// The input that a chain starts from, where the first node is elementwise itself.
size_t chain_input(const Graph& body) {
  const Node& node = body.nodes.at(0);
  return input_of(body, node.inputs[body[node.inputs[0]].type == body[node.outputs[0]].type ? 0 : 1]);
}

std::optional<Lowered> lower(const Fused&, const LowerContext& c) {
  const Graph& body = *c.node.bodies.at(0);
  if (is_strips(body)) return c.target ? std::nullopt : lower_strips(c);
  const auto chained = epilogue_of(c);
  if (!chained) return std::nullopt;
  if (is_elementwise(body.nodes.at(0).op)) return lower_chain(*chained, chain_input(body), c);
  const Node anchor = anchor_of(c.node);
  const LowerContext context{c.graph,  anchor,    c.isa,       c.strict, c.inside,
                             c.target, c.packing, c.precision, c.kept,   c.alone};
  if (const auto* op = anchor.op.get_if<schema::MatMul>()) return lower_mat_mul(*op, context, *chained);
  if (const auto* op = anchor.op.get_if<schema::ConvLast>()) return lower_conv_last(*op, context, *chained);
  return std::nullopt;
}

// The first node says it of its inputs; operands and the input of a chain are rows of the output where they have its extents.
bool takes_pitch(const Fused&, const Graph& graph, const Node& node, int port) {
  if (is_strips(*node.bodies.at(0))) return strips_take_pitch(graph, node, port);
  const Node anchor = anchor_of(node);
  if (port == -1) return engine::takes_pitch(graph, anchor, -1);
  const auto at = std::ranges::find(anchor.inputs, node.inputs[size_t(port)]);
  if (at != anchor.inputs.end() && !is_elementwise(anchor.op)) return engine::takes_pitch(graph, anchor, int(at - anchor.inputs.begin()));
  return graph[node.inputs[size_t(port)]].type == graph[node.outputs[0]].type;
}

// A chain reads an element before it writes it; the sums of a product may be in y before they are complete.
int inplace_input(const Fused&, const Node& node) {
  const Graph& body = *node.bodies.at(0);
  return is_elementwise(body.nodes.at(0).op) ? int(chain_input(body)) : -1;
}

double flops(const Fused&, std::span<const Type>, std::span<const Type>) { return 0; }
}  // namespace

const Op& anchor_op(const Node& node) { return node.op.get_if<Fused>() ? node.bodies.at(0)->nodes.at(0).op : node.op; }
ValueId anchor_input(const Node& node, size_t k) {
  if (!node.op.get_if<Fused>()) return node.inputs.at(k);
  const Graph& body = *node.bodies.at(0);
  const ValueId v = body.nodes.at(0).inputs.at(k);
  return v == ValueId::none ? v : node.inputs.at(input_of(body, v));
}
Node anchor_of(const Node& fused) {
  Node anchor{anchor_op(fused), {}, fused.outputs, fused.origins, {}};
  const size_t inputs = fused.bodies.at(0)->nodes.at(0).inputs.size();
  anchor.inputs.reserve(inputs);
  for (size_t k = 0; k < inputs; ++k) anchor.inputs.push_back(anchor_input(fused, k));
  return anchor;
}

std::optional<Chained> epilogue_of(const LowerContext& c) {
  const Graph& body = *c.node.bodies.at(0);
  const bool chain_only = is_elementwise(body.nodes.at(0).op);
  const Shape out = c.out(0).shape();
  Chained chained;
  ValueId result = chain_only ? body.inputs.at(chain_input(body)) : body.nodes[0].outputs[0];
  for (const Node& node : std::span(body.nodes).subspan(chain_only ? 0 : 1)) {
    const size_t chain = node.inputs[0] == result ? 0 : 1;
    const bool has_operand = node.inputs.size() > 1;
    const Type& operand = body[has_operand ? node.inputs[1 - chain] : result].type;
    const auto stage = stage_of(node.op, chain, operand, out, uint8_t(chained.inputs.size()));
    if (!stage || !chained.chain.push(*stage)) return std::nullopt;
    if (has_operand) {
      const size_t k = input_of(body, node.inputs[1 - chain]);
      chained.add_operand(c, k, c.in_pitch(k) ? c.in_pitch(k) : out.empty() ? 1 : out.back());
    }
    result = node.outputs[0];
  }
  return chained;
}

const OpDef<Fused>& def(const Fused&) {
  static constexpr OpDef<Fused> def{.infer = infer, .reference = reference, .lower = lower, .on_device = true, .keeps_half = true, .cpu_keeps_half = true, .inplace_input = inplace_input, .takes_pitch = takes_pitch, .flops = flops};
  return def;
}
}  // namespace engine
