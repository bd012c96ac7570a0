#include "engine/kept.h"
#include <algorithm>
#include <set>
#include "engine/packing.h"

namespace engine {
namespace {
class Keeper {
 public:
  Keeper(const Graph& graph, const std::vector<bool>& on_device, std::span<const Inside> inside, const DeviceTarget& target, const CompileOptions& options)
      : graph_(graph), on_device_(on_device), inside_(inside), probe_{target.device, true, target.precision}, options_(options), root_(graph.values.size()), own_(graph.values.size()) {}

  std::vector<DType> run() {
    for (size_t v = 0; v < root_.size(); ++v) root_[v] = v, own_[v] = !may_keep(ValueId(v));
    for (const GraphOutput& out : graph_.outputs) own_[size_t(out.value)] = true;
    for (size_t n = 0; n < graph_.nodes.size(); ++n) {
      const Node& node = graph_.nodes[n];
      if (is_alias(node.op)) join(node.inputs[0], node.outputs[0]);
      else if (!lies_in_place(node, inside_) && !may_take(n)) leave(node);
      if (is_alias(node.op))  // what else it reads says no more than a shape
        for (ValueId v : std::span(node.inputs).subspan(1)) leave(v);
    }
    for (size_t v = 0; v < inside_.size(); ++v)
      if (inside_[v].whole != ValueId::none) join(ValueId(v), inside_[v].whole);
    for (size_t v = 0; v < own_.size(); ++v)
      if (own_[v]) own_[root(v)] = true;
    for (size_t v = 0; v < own_.size(); ++v) kept_.push_back(own_[root(v)] ? graph_.values[v].type.dtype : half());
    ask_all();
    return kept_;
  }

 private:
  bool may_keep(ValueId v) const {
    const Type& type = graph_[v].type;
    return type.is_tensor() && type.dtype == DType::f32 && type.determined() && !graph_[v].constant && graph_[v].producer != NodeId::none;
  }
  bool may_take(size_t n) const {
    const Node& node = graph_.nodes[n];
    if (probe_.device) return on_device_[n] && lowers_kept(node.op, true);
    const auto determined = [&](ValueId v) { return v == ValueId::none || graph_[v].type.determined(); };
    return lowers_kept(node.op, false) && std::ranges::all_of(node.inputs, determined) && std::ranges::all_of(node.outputs, determined);
  }
  void leave(ValueId v) {
    if (v != ValueId::none) own_[size_t(v)] = true;
  }
  void leave(const Node& node) {
    for (ValueId v : node.inputs) leave(v);
    for (ValueId v : node.outputs) leave(v);
  }
  size_t root(size_t v) {
    while (root_[v] != v) v = root_[v] = root_[root_[v]];
    return v;
  }
  void join(ValueId a, ValueId b) { root_[root(size_t(a))] = root(size_t(b)); }
  DType half() const { return probe_.precision == kernels::Precision::f16 ? DType::f16 : DType::bf16; }
  bool is_kept(ValueId v) const { return v != ValueId::none && kept_[size_t(v)] != graph_[v].type.dtype; }

  static std::vector<ValueId> values_of(const Node& node) {
    std::vector<ValueId> values(node.outputs.begin(), node.outputs.end());
    values.insert(values.end(), node.inputs.begin(), node.inputs.end());
    return values;
  }
  bool takes(size_t n) const {
    Packing unused;  // nothing is packed for a question
    const bool device = probe_.device != nullptr;
    return lower({graph_, graph_.nodes[n], options_.isa, options_.strict, inside_, device ? &probe_ : nullptr, &unused,
                  device ? kernels::Precision::f32 : options_.rounding(), kept_})
        .has_value();
  }

  // Where no kernel takes what a node would read and write, its last value that is kept is not, nor are those that lie
  // with it; who reads or makes one of them is asked again.
  void ask_all() {
    std::vector<std::vector<size_t>> values(own_.size()), nodes(own_.size());  // by root
    std::set<size_t> asked;
    for (size_t v = 0; v < own_.size(); ++v) values[root(v)].push_back(v);
    for (size_t n = 0; n < graph_.nodes.size(); ++n) {
      if (is_alias(graph_.nodes[n].op) || lies_in_place(graph_.nodes[n], inside_)) continue;
      for (ValueId v : values_of(graph_.nodes[n]))
        if (is_kept(v)) nodes[root(size_t(v))].push_back(n), asked.insert(n);
    }
    while (!asked.empty()) {
      const size_t n = *asked.begin();
      const auto all = values_of(graph_.nodes[n]);
      const auto last = std::ranges::find_if(all.rbegin(), all.rend(), [&](ValueId v) { return is_kept(v); });
      if (last == all.rend() || takes(n)) {
        asked.erase(asked.begin());
        continue;
      }
      const size_t with = root(size_t(*last));
      for (size_t v : values[with]) kept_[v] = graph_.values[v].type.dtype;
      asked.insert(nodes[with].begin(), nodes[with].end());
    }
  }

  const Graph& graph_;
  const std::vector<bool>& on_device_;
  const std::span<const Inside> inside_;
  const DeviceTarget probe_;
  const CompileOptions& options_;
  std::vector<size_t> root_;
  std::vector<bool> own_;  // by root: all of its values lie as their types say, whatever kernels take
  std::vector<DType> kept_;
};
}  // namespace

std::vector<DType> kept_types(const Graph& graph, const std::vector<bool>& on_device, std::span<const Inside> inside, const DeviceTarget& target, const CompileOptions& options) {
  using kernels::Precision;
  const bool device = target.device && (target.precision == Precision::f16 || target.precision == Precision::bf16);
  const bool cpu = !options.device && !options.strict && !options.reference_only && options.rounding() == Precision::f16 && kernels::isa::runs(kernels::isa::neon_fp16, options.isa);
  if (!device && !cpu) return {};
  return Keeper(graph, on_device, inside, target, options).run();
}
}  // namespace engine
