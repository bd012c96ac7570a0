#include <algorithm>
#include "engine/plan.h"

namespace engine {
namespace {
// Bytes that each node's outputs add to memory, and which node reads each value last.
struct Sizes {
  explicit Sizes(const Graph& graph) : bytes(graph.values.size()), uses(graph.values.size()) {
    for (const Node& node : graph.nodes) {
      for (ValueId v : node.outputs) {
        const Type& type = graph[v].type;
        if (type.is_tensor() && type.placeable()) bytes[size_t(v)] = largest_bytes(type);
      }
      for (ValueId v : node.inputs)
        if (v != ValueId::none) ++uses[size_t(v)];
    }
    for (const GraphOutput& out : graph.outputs) ++uses[size_t(out.value)];  // alive until the end
  }
  std::vector<int64_t> bytes;
  std::vector<int> uses;
};

// What a node adds to the live bytes once it is done: its outputs, less the inputs that it reads last.
int64_t growth(const Node& node, const Sizes& sizes, const std::vector<int>& left) {
  int64_t bytes = 0;
  for (ValueId v : node.outputs) bytes += sizes.bytes[size_t(v)];
  for (size_t k = 0; k < node.inputs.size(); ++k) {
    const ValueId v = node.inputs[k];
    if (v == ValueId::none || std::find(node.inputs.begin(), node.inputs.begin() + k, v) != node.inputs.begin() + k) continue;
    if (left[size_t(v)] == std::ranges::count(node.inputs, v)) bytes -= sizes.bytes[size_t(v)];
  }
  return bytes;
}

int64_t peak(const Graph& graph, const std::vector<NodeId>& order, const Sizes& sizes) {
  std::vector<int> left = sizes.uses;
  int64_t live = 0, most = 0;
  for (NodeId n : order) {
    const Node& node = graph[n];
    int64_t made = 0;
    for (ValueId v : node.outputs) made += sizes.bytes[size_t(v)];
    most = std::max(most, live + made);
    live += growth(node, sizes, left);
    for (ValueId v : node.inputs)
      if (v != ValueId::none) --left[size_t(v)];
  }
  return most;
}

// List scheduling: of the nodes that are ready, the one after which the least is alive; the earliest of equals.
std::vector<NodeId> greedy(const Graph& graph, const Sizes& sizes) {
  std::vector<int> left = sizes.uses, waiting(graph.nodes.size());
  std::vector<std::vector<NodeId>> readers(graph.values.size());
  std::vector<NodeId> ready, order;
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    for (ValueId v : graph.nodes[n].inputs)
      if (v != ValueId::none && graph[v].producer != NodeId::none) ++waiting[n], readers[size_t(v)].push_back(NodeId(n));
    if (!waiting[n]) ready.push_back(NodeId(n));
  }
  while (!ready.empty()) {
    const auto best = std::ranges::min_element(ready, {}, [&](NodeId n) { return std::pair(growth(graph[n], sizes, left), n); });
    const NodeId n = *best;
    ready.erase(best);
    order.push_back(n);
    for (ValueId v : graph[n].inputs)
      if (v != ValueId::none) --left[size_t(v)];
    for (ValueId v : graph[n].outputs)
      for (NodeId reader : readers[size_t(v)])
        if (--waiting[size_t(reader)] == 0) ready.push_back(reader);
  }
  return order;
}
}  // namespace

std::vector<NodeId> schedule(const Graph& graph) {
  const Sizes sizes(graph);
  std::vector<NodeId> given;
  for (size_t n = 0; n < graph.nodes.size(); ++n) given.push_back(NodeId(n));
  std::vector<NodeId> other = greedy(graph, sizes);
  return peak(graph, other, sizes) < peak(graph, given, sizes) ? other : given;
}

void choose_threads(Plan& plan) {
  // Of a present core, within a factor of two or so: both sums below are wrong by the same factor.
  constexpr double flops = 120, bytes = 60;  // in a nanosecond, on one thread
  constexpr double hand_over = 1500;         // ns: a step's tasks to another thread, and waiting for it
  constexpr double from_other = 0.2;         // ns per byte that another core wrote
  constexpr double least = 3000;             // ns of a step that kernels divide: see kernels/split.h
  constexpr double gain = 0.95;
  std::vector<bool> divided(plan.values.size());  // by root: whether two threads wrote it
  double alone = 0, shared = 0;                   // ns
  for (const Step& step : plan.steps) {
    const double time = std::max(step.cost.flops / flops, step.cost.bytes / bytes);
    const bool divide = time >= least && step.kernel != "reference";
    alone += time, shared += divide ? time / 2 + hand_over : time;
    for (size_t k = 0; k < step.inputs.size(); ++k) {
      if (step.inputs[k] == Step::absent) continue;
      const PlannedValue& value = plan.values[step.inputs[k]];
      if (value.place.kind != Place::arena) continue;
      const double half = double(bytes_of(value.type.dtype, value.type.largest())) / 2;
      if (divided[value.root] != divide) shared += half * from_other;
      else if (divide && k == 0) shared += std::min(half, step.cost.border / 2) * from_other;
    }
    for (uint32_t v : step.outputs)
      if (v != Step::absent) divided[plan.values[v].root] = divide;
  }
  if (shared > gain * alone)
    for (Step& step : plan.steps) step.threads = 1;
}
}  // namespace engine
