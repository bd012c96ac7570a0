// A device cannot find a size when it runs. It finds as many boxes as there can be, and their number; the host cuts the
// others off, and the next segment is planned for what is left.
#include <algorithm>
#include "engine/op.h"
#include "engine/passes/target.h"

namespace engine {
namespace {
using schema::NonMaxSuppression, schema::BoundedNonMaxSuppression;
constexpr double most_rows = 1 << 20;  // which are copied to the host: 24 MB

// How many boxes of a class a node can give. None: it is not known, or makes too many rows.
std::optional<int64_t> most_of(const Graph& graph, const Node& node) {
  const Type& scores = graph[node.inputs[1]].type;
  if (!scores.determined() || !graph[node.inputs[0]].type.determined()) return std::nullopt;
  if (node.inputs.size() < 3 || node.inputs[2] == ValueId::none) return 0;
  int64_t most = scores.shape()[2];
  if (const auto& constant = graph[node.inputs[2]].constant)
    most = constant->view().elements() ? std::clamp<int64_t>(load<Int>(constant->view(), 0).v, 0, most) : 0;
  return double(scores.shape()[0]) * double(scores.shape()[1]) * double(most) <= most_rows ? std::optional(most)
                                                                                           : std::nullopt;
}
}  // namespace

bool bound_selections(Graph& graph) {
  Rewriter rewriter(graph);
  for (size_t n = 0, count = graph.nodes.size(); n < count; ++n) {
    const Node node = graph.nodes[n];
    const auto* op = node.op.get_if<NonMaxSuppression>();
    const auto most = op ? most_of(graph, node) : std::nullopt;
    if (!most) continue;
    const ValueIds bounded =
        rewriter.add(BoundedNonMaxSuppression{op->center_point_box, *most}, node.inputs, node.origins, 2);
    const ValueId zero = graph.add_constant(make_ints({0}));
    const ValueId y = rewriter.add(schema::Slice{}, {bounded[0], zero, bounded[1], zero}, node.origins)[0];
    graph[y].name = graph[node.outputs[0]].name;
    rewriter.replace(node.outputs[0], y);
  }
  return rewriter.commit();
}
}  // namespace engine
