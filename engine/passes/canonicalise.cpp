#include "engine/op.h"
#include "engine/passes/passes.h"

namespace engine {
bool canonicalise(Graph& graph) {
  const bool inner = change_bodies(graph, canonicalise);
  Rewriter rewriter(graph);
  const size_t count = graph.nodes.size();  // what simplify adds has its turn in the next round
  for (size_t n = 0; n < count; ++n) simplify(NodeId(n), rewriter);
  return rewriter.commit() || inner;
}
}  // namespace engine
