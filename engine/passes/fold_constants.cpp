#include "engine/fold.h"
#include "engine/passes/passes.h"
#include "engine/shape.h"

namespace engine {
namespace {
constexpr int64_t free_growth = 1 << 20;  // bytes by which a result may be larger than what it is made of

// A constant of a big shape takes space in the file and time to read, and its node hardly any.
bool worth_it(const Graph& graph, const Node& node) {
  int64_t growth = 0;
  for (ValueId v : node.outputs) {
    if (v == ValueId::none) continue;
    const Type& type = graph[v].type;
    if (type.is_tensor() && type.determined()) growth += bytes_of(type.dtype, type.shape());
  }
  for (ValueId v : node.inputs)
    if (v != ValueId::none && graph[v].constant) growth -= graph[v].constant->bytes();
  return growth <= free_growth;
}
}  // namespace

bool fold_constants(Graph& graph) {
  const bool inner = change_bodies(graph, fold_constants);
  Rewriter rewriter(graph);
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    const Node& node = graph.nodes[n];
    if (!worth_it(graph, node)) continue;
    for (size_t k = 0; k < node.outputs.size(); ++k) {
      const ValueId out = node.outputs[k];
      if (out == ValueId::none) continue;
      const ConstantPtr folded = fold(graph, node, k);
      if (!folded) break;
      const std::string name = graph[out].name;
      rewriter.replace(out, graph.add_constant(folded, name));
    }
  }
  if (!rewriter.commit()) return inner;
  infer_types(graph);  // a value that is known now may say more about the sizes of others
  return true;
}
}  // namespace engine
