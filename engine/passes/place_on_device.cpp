// Gives nodes to the device, and puts copies where values change sides: each value is copied once to each side that reads it.
#include <algorithm>
#include <map>
#include "engine/device_lowering.h"
#include "engine/passes/target.h"

namespace engine {
namespace {
constexpr double work_of_a_copy = 1e6;  // operations that a CPU does while a value goes to a device and another one comes back

bool determined_tensor(const Graph& graph, ValueId v) {
  const Type& type = graph[v].type;
  return type.is_tensor() && type.determined() && type.dtype != DType::string;
}
bool reads_data(const Graph& graph, ValueId v) { return v != ValueId::none && !graph[v].constant; }
// Of an alias, only what it is another shape of lies anywhere.
std::span<const ValueId> data_inputs(const Node& node) { return std::span(node.inputs).first(is_alias(node.op) ? 1 : node.inputs.size()); }

class Placer {
 public:
  Placer(Graph& graph, const CompileOptions& options) : graph_(graph), options_(options), target_{options.device, true, options.rounding()}, device_(graph.nodes.size()) {}

  void run() {
    for (size_t n = 0; n < graph_.nodes.size(); ++n) device_[n] = takes(graph_.nodes[n]);
    follow_aliases();
    if (!std::ranges::count(options_.disabled_passes, weigh_copies)) {
      give_back_what_is_not_worth_it();
      follow_aliases();
    }
    insert_copies();
  }

 private:
  bool takes(const Node& node) const {
    if (is_alias(node.op)) return false;
    if (!lowers_to_device(node.op) || !std::ranges::any_of(node.inputs, [&](ValueId v) { return reads_data(graph_, v); })) return false;
    const auto fits = [&](ValueId v) { return v == ValueId::none || determined_tensor(graph_, v); };
    if (!std::ranges::all_of(node.inputs, fits) || !std::ranges::all_of(node.outputs, fits)) return false;
    return lower({graph_, node, options_.isa, options_.strict, {}, &target_}).has_value();
  }

  bool value_on_device(ValueId v) const { return graph_[v].producer != NodeId::none && device_[size_t(graph_[v].producer)]; }

  void follow_aliases() {
    for (size_t n = 0; n < graph_.nodes.size(); ++n) {
      const Node& node = graph_.nodes[n];
      if (is_alias(node.op)) device_[n] = value_on_device(node.inputs[0]) && determined_tensor(graph_, node.inputs[0]) && determined_tensor(graph_, node.outputs[0]);
    }
  }

  // Nodes of the device that values connect, with nodes of the host around them, have to do more than the copies cost. So have those of
  // a body, whose inputs and results are copied in each of its runs.
  void give_back_what_is_not_worth_it() {
    std::vector<size_t> group(graph_.nodes.size());
    for (size_t n = 0; n < group.size(); ++n) group[n] = n;
    const auto root = [&](size_t n) {
      while (group[n] != n) n = group[n] = group[group[n]];
      return n;
    };
    for (size_t n = 0; n < graph_.nodes.size(); ++n)
      for (ValueId v : data_inputs(graph_.nodes[n]))
        if (device_[n] && reads_data(graph_, v) && value_on_device(v)) group[root(n)] = root(size_t(graph_[v].producer));
    struct Sum {
      double flops = 0;
      bool beside_host = false;
    };
    std::map<size_t, Sum> sums;
    for (size_t n = 0; n < graph_.nodes.size(); ++n) {
      const Node& node = graph_.nodes[n];
      for (ValueId v : data_inputs(node)) {
        if (!reads_data(graph_, v) || is_given(v)) continue;
        const size_t from = size_t(graph_[v].producer);
        if (device_[n] != device_[from]) sums[root(device_[n] ? n : from)].beside_host = true;
      }
      if (device_[n]) sums[root(n)].flops += flops_of(node);
    }
    for (size_t n = 0; n < graph_.nodes.size(); ++n)
      if (device_[n] && (options_.of_body || sums[root(n)].beside_host) && sums[root(n)].flops < work_of_a_copy) device_[n] = false;
  }

  // A graph input, or another shape of one: the host has nothing to do for it.
  bool is_given(ValueId v) const {
    while (graph_[v].producer != NodeId::none && is_alias(graph_[graph_[v].producer].op))
      v = graph_[graph_[v].producer].inputs[0];
    return graph_[v].producer == NodeId::none;
  }

  double flops_of(const Node& node) const {
    if (!node.op.get_if<schema::Fused>()) return cost(node.op, types_of(graph_, node.inputs), types_of(graph_, node.outputs)).flops;
    double sum = 0;
    for (const Node& inner : node.bodies[0]->nodes) sum += cost(inner.op, types_of(*node.bodies[0], inner.inputs), types_of(*node.bodies[0], inner.outputs)).flops;
    return sum;
  }

  void insert_copies() {
    Rewriter rewriter(graph_);
    std::map<ValueId, ValueId> copies;
    const size_t count = graph_.nodes.size();
    const auto on_side = [&](ValueId v, bool device, const Origins& origins) {
      if (!reads_data(graph_, v) || value_on_device(v) == device) return v;
      const auto [it, fresh] = copies.try_emplace(v);
      if (fresh) it->second = rewriter.add(schema::DeviceCopy{device}, {v}, graph_[v].producer == NodeId::none ? origins : graph_[graph_[v].producer].origins)[0];
      return it->second;
    };
    device_.resize(count);
    for (size_t n = 0; n < count; ++n) {
      const Origins origins = graph_.nodes[n].origins;
      for (size_t k = 0; k < data_inputs(graph_.nodes[n]).size(); ++k) {
        const ValueId v = on_side(graph_.nodes[n].inputs[k], device_[n], origins);  // adds to graph_.nodes
        graph_.nodes[n].inputs[k] = v;
        device_.resize(graph_.nodes.size());
      }
    }
    for (GraphOutput& out : graph_.outputs) out.value = on_side(out.value, false, {});
    rewriter.commit();
  }

  Graph& graph_;
  const CompileOptions& options_;
  const DeviceTarget target_;
  std::vector<bool> device_;  // by node
};
}  // namespace

void place_on_device(Graph& graph, const CompileOptions& options) { Placer(graph, options).run(); }

std::vector<bool> nodes_on_device(const Graph& graph) {
  std::vector<bool> device(graph.nodes.size());
  std::vector<bool> value(graph.values.size());
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    const Node& node = graph.nodes[n];
    const auto* copy = node.op.get_if<schema::DeviceCopy>();
    device[n] = copy || std::ranges::any_of(data_inputs(node), [&](ValueId v) { return v != ValueId::none && value[size_t(v)]; });
    for (ValueId v : node.outputs)
      if (v != ValueId::none) value[size_t(v)] = copy ? copy->to_device : device[n];
  }
  return device;
}

void explain_placement(const Graph& graph, const Node& node, const DeviceTarget& probe) {
  const auto why = [&](const char* reason) { kernels::RefusalLog::current->push_back({"cuda", reason}); };
  if (!lowers_to_device(node.op)) return why("no kernel of the device has this op");
  const auto fits = [&](ValueId v) { return v == ValueId::none || determined_tensor(graph, v); };
  if (!std::ranges::all_of(node.inputs, fits) || !std::ranges::all_of(node.outputs, fits)) return why("a type or an extent that is not known before the run");
  if (!std::ranges::any_of(node.inputs, [&](ValueId v) { return reads_data(graph, v); })) return why("it has no inputs but constants");
  const auto log = kernels::RefusalLog::current->size();
  if (lower({graph, node, kernels::isa::detected(), false, {}, &probe})) why("too little work for the copies it would need");
  else if (kernels::RefusalLog::current->size() == log) why("types, extents or parameters that no kernel of the device takes");
}
}  // namespace engine
