#include <algorithm>
#include "engine/passes/passes.h"

namespace engine {
bool eliminate_dead(Graph& graph) {
  const bool inner = change_bodies(graph, eliminate_dead);
  std::vector<bool> live(graph.values.size());
  const auto need = [&](ValueId v) {
    if (v != ValueId::none) live[size_t(v)] = true;
  };
  for (const GraphOutput& out : graph.outputs) need(out.value);
  std::vector<bool> keep(graph.nodes.size());
  for (size_t n = graph.nodes.size(); n-- > 0;) {
    const Node& node = graph.nodes[n];
    for (ValueId v : node.outputs) keep[n] = keep[n] || (v != ValueId::none && live[size_t(v)]);
    if (!keep[n]) continue;
    for (ValueId v : node.inputs) need(v);
    for (ValueId v : node.outputs) need(v);  // a node keeps the outputs that nobody reads
  }
  for (ValueId v : graph.inputs) need(v);

  ValueIds number(graph.values.size(), ValueId::none);
  std::vector<Value> values;
  for (size_t v = 0; v < live.size(); ++v) {
    if (!live[v]) continue;
    number[v] = ValueId(values.size());
    values.push_back(std::move(graph.values[v]));
  }
  if (values.size() == graph.values.size() && std::ranges::count(keep, false) == 0)
    return graph.values = std::move(values), inner;
  const auto renumber = [&](ValueId& v) {
    if (v != ValueId::none) v = number[size_t(v)];
  };
  std::vector<Node> nodes;
  for (size_t n = 0; n < keep.size(); ++n) {
    if (!keep[n]) continue;
    Node& node = nodes.emplace_back(std::move(graph.nodes[n]));
    for (ValueId& v : node.inputs) renumber(v);
    for (ValueId& v : node.outputs) {
      renumber(v);
      if (v != ValueId::none) values[size_t(v)].producer = NodeId(nodes.size() - 1);
    }
  }
  graph.nodes = std::move(nodes);
  graph.values = std::move(values);
  for (ValueId& v : graph.inputs) renumber(v);
  for (GraphOutput& out : graph.outputs) renumber(out.value);
  return true;
}
}  // namespace engine
