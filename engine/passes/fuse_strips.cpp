// Convolutions one after the other become one step where what lies between them is too large for the cache: it runs by strips
// of rows.
#include <algorithm>
#include <map>
#include "engine/ops/lowering.h"
#include "engine/passes/target.h"
#include "kernels/conv/strips.h"

namespace engine {
namespace {
constexpr int64_t least_bytes = 512 << 10;   // between two convolutions: less stays in a second-level cache by itself
constexpr int64_t most_weights = 256 << 10;  // bytes of all of them: each strip reads them again
constexpr int64_t most_rows = 384 << 10;     // bytes of the rows that one row of the next convolution reads
constexpr size_t most_links = kernels::conv::Strips::most;

class StripFuser {
 public:
  explicit StripFuser(Graph& graph) : graph_(graph), rewriter_(graph), uses_(graph.values.size(), 0), user_(graph.values.size(), NodeId::none), done_(graph.nodes.size()) {
    for (size_t n = 0; n < graph.nodes.size(); ++n)
      for (ValueId v : graph.nodes[n].inputs)
        if (v != ValueId::none) ++uses_[size_t(v)], user_[size_t(v)] = NodeId(n);
    for (const GraphOutput& out : graph.outputs) uses_[size_t(out.value)] += 2;  // it is wanted as it is
  }

  bool run() {
    for (size_t n = 0; n < done_.size(); ++n)
      if (const auto links = chain(NodeId(n)); links.size() > 1) fuse(links);
    return rewriter_.commit();
  }

 private:
  // A convolution whose kernels take single rows, and what it reads.
  struct Link {
    NodeId node;
    ValueId x;
    int64_t kernel_rows;
    int64_t weights;  // bytes
    bool planar;
  };

  std::optional<Link> link(NodeId n) const {
    const Node& node = graph_[n];
    const bool fused = node.op.get_if<schema::Fused>();
    if (done_[size_t(n)] || (fused && is_strips(*node.bodies.at(0)))) return std::nullopt;
    const auto* op = anchor_op(node).get_if<schema::ConvLast>();
    if (!op || !std::ranges::all_of(node.inputs, [&](ValueId v) { return f32(v); })) return std::nullopt;
    const Value& weights = graph_[anchor_input(node, 1)];
    if (!weights.constant) return std::nullopt;
    const Shape w = weights.type.shape();
    const bool strided = op->stride[0] > 1 || op->stride[1] > 1, depthwise = op->groups > 1 && w[1] == 1;
    if (w[2] * w[3] > 1 && !strided && !depthwise) return std::nullopt;  // Winograd's tiles are of several rows
    if (w[2] * w[3] == 1 && strided && op->groups == 1) return std::nullopt;  // gathers its pixels, of all rows
    return Link{n, anchor_input(node, 0), (w[2] - 1) * op->dilation[0] + 1, elements(w) * int64_t(sizeof(float)),
                op->planar_input};
  }
  bool f32(ValueId v) const { return v == ValueId::none || (graph_[v].type.dtype == DType::f32 && graph_[v].type.determined()); }

  std::vector<NodeId> chain(NodeId first) const {
    std::vector<NodeId> nodes;
    auto at = link(first);
    if (!at) return nodes;
    nodes.push_back(first);
    int64_t weights = at->weights;
    while (nodes.size() < most_links) {
      const ValueId y = graph_[at->node].outputs[0];
      const Shape shape = graph_[y].type.shape();
      const int64_t row_bytes = shape[2] * shape[3] * int64_t(sizeof(float));
      if (uses_[size_t(y)] != 1 || shape[1] * row_bytes < least_bytes) break;
      const auto next = link(user_[size_t(y)]);
      if (!next || next->x != y || next->planar || next->kernel_rows * row_bytes > most_rows) break;
      if ((weights += next->weights) > most_weights) break;
      nodes.push_back(next->node);
      at = next;
    }
    return nodes;
  }

  void fuse(const std::vector<NodeId>& nodes) {
    auto body = std::make_shared<Graph>();
    Rewriter inner(*body);
    ValueIds inputs;  // of the step
    std::map<ValueId, ValueId> inside;
    Origins origins;
    const auto made_here = [&](ValueId v) { return std::ranges::any_of(nodes, [&](NodeId n) { return graph_[n].outputs[0] == v; }); };
    inputs.push_back(link(nodes[0])->x);  // it comes first
    inside[inputs[0]] = body->add_input("x", graph_[inputs[0]].type);
    for (NodeId n : nodes)
      for (ValueId v : graph_[n].inputs) {
        if (v == ValueId::none || inside.contains(v) || made_here(v)) continue;
        if (graph_[v].constant) {
          inside[v] = body->add_constant(graph_[v].constant);
        } else {
          inside[v] = body->add_input(cat("in", inputs.size()), graph_[v].type);
          inputs.push_back(v);
        }
      }
    for (NodeId n : nodes) {
      const Node& node = graph_[n];
      ValueIds in;
      for (ValueId v : node.inputs) in.push_back(v == ValueId::none ? v : inside.at(v));
      inside[node.outputs[0]] = inner.copy(graph_, node, in)[0];
      origins.insert(origins.end(), node.origins.begin(), node.origins.end());
      done_[size_t(n)] = true;
    }
    const ValueId result = graph_[nodes.back()].outputs[0];
    body->outputs = {{"out", inside.at(result)}};
    rewriter_.replace(result, rewriter_.add(schema::Fused{}, inputs, origins, 1, {body})[0]);
  }

  Graph& graph_;
  Rewriter rewriter_;
  std::vector<int> uses_;  // of the values there were
  std::vector<NodeId> user_;
  std::vector<bool> done_;  // of the nodes there were
};
}  // namespace

bool fuse_strips(Graph& graph) { return StripFuser(graph).run(); }
}  // namespace engine
