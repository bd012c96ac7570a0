// What elementwise nodes do to the result of a convolution, product or other elementwise node becomes part of its step: it is
// applied to elements that are in registers, or at least in the first-level cache.
#include <algorithm>
#include <map>
#include "engine/op.h"
#include "engine/ops/pointwise.h"
#include "engine/passes/target.h"

namespace engine {
namespace {
class Fuser {
 public:
  explicit Fuser(Graph& graph) : graph_(graph), rewriter_(graph), uses_(graph.values.size(), 0), user_(graph.values.size(), NodeId::none), fused_(graph.nodes.size()) {
    for (size_t n = 0; n < graph.nodes.size(); ++n)
      for (ValueId v : graph.nodes[n].inputs)
        if (v != ValueId::none) ++uses_[size_t(v)], user_[size_t(v)] = NodeId(n);
    for (const GraphOutput& out : graph.outputs) uses_[size_t(out.value)] += 2;  // it is wanted as it is
  }

  bool run() {
    // Convolutions and products first: an elementwise node before them would take what they can.
    const size_t count = graph_.nodes.size();
    for (const bool elementwise : {false, true})
      for (size_t n = 0; n < count; ++n)
        if (!fused_[n] && is_elementwise(graph_.nodes[n]) == elementwise && anchors(graph_.nodes[n])) fuse(NodeId(n));
    return rewriter_.commit();
  }

 private:
  bool f32(ValueId v) const { return v == ValueId::none || (graph_[v].type.dtype == DType::f32 && graph_[v].type.determined()); }

  static bool is_elementwise(const Node& node) { return node.op.get_if<schema::Unary>() || node.op.get_if<schema::Binary>(); }

  bool anchors(const Node& node) const {
    const bool elementwise = is_elementwise(node);
    if (!elementwise && !node.op.get_if<schema::ConvLast>() && !node.op.get_if<schema::MatMul>()) return false;
    if (!std::ranges::all_of(node.inputs, [&](ValueId v) { return f32(v); }) || !f32(node.outputs[0])) return false;
    const ValueIds& in = node.inputs;  // the step's inputs keep their places only where they differ
    for (size_t i = 1; i < in.size(); ++i)
      if (std::find(in.begin(), in.begin() + ptrdiff_t(i), in[i]) != in.begin() + ptrdiff_t(i)) return false;
    if (elementwise) return pointwise_takes_pitch(graph_, node, -1);
    const Value& weights = graph_[in[1]];
    if (!weights.constant) return false;
    return node.op.get_if<schema::ConvLast>() || (weights.type.rank() == 2 && graph_[node.inputs[0]].type.rank() >= 2);
  }

  // The node after `result` and its part in the chain, if it can be one.
  std::optional<kernels::pointwise::Stage> next(const Node& node, ValueId result, uint8_t operands) const {
    if (node.outputs.size() != 1 || !f32(node.outputs[0]) || node.inputs.size() > 2 || !std::ranges::all_of(node.inputs, [&](ValueId v) { return f32(v); }))
      return std::nullopt;
    const Shape out = graph_[result].type.shape();
    if (graph_[node.outputs[0]].type.shape() != out) return std::nullopt;
    const size_t chain = node.inputs[0] == result ? 0 : 1;
    return stage_of(node.op, chain, graph_[node.inputs[node.inputs.size() > 1 ? 1 - chain : 0]].type, out, operands);
  }

  void fuse(NodeId n) {
    std::vector<NodeId> nodes{n};
    ValueId result = graph_[n].outputs[0];
    uint8_t operands = graph_[n].op.get_if<schema::Binary>() ? 1 : 0;
    const size_t most = kernels::pointwise::Chain::capacity + (is_elementwise(graph_[n]) ? 0 : 1);
    while (uses_[size_t(result)] == 1 && nodes.size() < most) {
      const NodeId after = user_[size_t(result)];
      if (fused_[size_t(after)]) break;
      const Node& node = graph_[after];
      if (!next(node, result, operands)) break;
      operands = uint8_t(operands + (node.inputs.size() > 1));
      nodes.push_back(after);
      result = node.outputs[0];
    }
    if (nodes.size() == 1) return;

    auto body = std::make_shared<Graph>();
    size_t most_inputs = 0, most_origins = 0;
    for (NodeId id : nodes) most_inputs += graph_[id].inputs.size(), most_origins += graph_[id].origins.size();
    body->values.reserve(most_inputs + nodes.size()), body->nodes.reserve(nodes.size());
    Rewriter inner(*body);
    ValueIds inputs;  // of the step
    std::map<ValueId, ValueId> inside;
    Origins origins;
    origins.reserve(most_origins);
    for (NodeId id : nodes) {  // the anchor's inputs first: body inputs are made before its nodes
      fused_[size_t(id)] = true;
      for (ValueId v : graph_[id].inputs)
        if (v != ValueId::none && !inside.contains(v) && !made_by(v, nodes)) {
          inside[v] = body->add_input(cat("in", inputs.size()), graph_[v].type);
          inputs.push_back(v);
        }
      origins.insert(origins.end(), graph_[id].origins.begin(), graph_[id].origins.end());
    }
    for (NodeId id : nodes) {
      const Node& node = graph_[id];
      ValueIds in;
      for (ValueId v : node.inputs) in.push_back(v == ValueId::none ? v : inside.at(v));
      inside[node.outputs[0]] = inner.copy(graph_, node, in)[0];
    }
    body->outputs = {{"out", inside.at(result)}};
    const ValueId y = rewriter_.add(schema::Fused{}, inputs, origins, 1, {body})[0];
    rewriter_.replace(result, y);
  }

  bool made_by(ValueId v, const std::vector<NodeId>& nodes) const {
    return size_t(v) < uses_.size() && std::ranges::find(nodes, graph_[v].producer) != nodes.end();
  }

  Graph& graph_;
  Rewriter rewriter_;
  std::vector<int> uses_;      // of the values there were
  std::vector<NodeId> user_;
  std::vector<bool> fused_;
};
}  // namespace

bool fuse_epilogues(Graph& graph) { return Fuser(graph).run(); }
}  // namespace engine
