#include "engine/passes/splice.h"

namespace engine {
ValueIds splice(Rewriter& rewriter, const Graph& from, const ValueIds& inputs) {
  require(inputs.size() == from.inputs.size(), Code::invalid_model, "the body has ", from.inputs.size(), " inputs, not ", inputs.size());
  Graph& to = rewriter.graph;
  ValueIds map(from.values.size(), ValueId::none);
  for (size_t k = 0; k < inputs.size(); ++k) map[size_t(from.inputs[k])] = inputs[k];
  const auto find = [&](ValueId v) {
    if (v == ValueId::none) return v;
    ValueId& mapped = map[size_t(v)];
    if (mapped == ValueId::none && from[v].constant) mapped = to.add_constant(from[v].constant, from[v].name);
    return mapped;
  };
  for (const Node& node : from.nodes) {
    ValueIds in;
    for (ValueId v : node.inputs) in.push_back(find(v));
    const ValueIds out = rewriter.add(node.op, in, node.origins, node.outputs.size(), node.bodies);
    for (size_t k = 0; k < out.size(); ++k) {
      if (node.outputs[k] == ValueId::none) continue;
      map[size_t(node.outputs[k])] = out[k];
      to[out[k]].name = from[node.outputs[k]].name;
    }
  }
  ValueIds outputs;
  for (const GraphOutput& output : from.outputs) outputs.push_back(find(output.value));
  return outputs;
}
}  // namespace engine
