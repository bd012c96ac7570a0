#include <algorithm>
#include <cstring>
#include <unordered_map>
#include "engine/op.h"
#include "engine/passes/passes.h"

namespace engine {
namespace {
// A few of the bytes, so that weights are hardly read: what has one hash is compared in full. Of a mapped file's weights none, for each
// would bring in a page or more: a converted model has no two that are equal.
size_t hash_of(const Constant& c) {
  if (c.mapping && c.bytes() > Constant::small) return std::hash<const void*>()(c.data);
  std::string key = cat(name(c.dtype), to_text(c.shape));
  if (c.dtype == DType::string) {
    for (const std::string& s : c.view().as<std::string>()) key += s;
  } else if (const int64_t bytes = c.bytes(); bytes > 0) {
    constexpr int64_t part = 64;
    const auto* data = reinterpret_cast<const char*>(c.data);
    key.append(data, size_t(std::min(part, bytes)));
    key.append(data + std::max<int64_t>(0, bytes / 2 - part), size_t(std::min(part, bytes / 2)));
    key.append(data + std::max<int64_t>(0, bytes - part), size_t(std::min(part, bytes)));
  }
  return std::hash<std::string>()(key);
}

void merge_constants(Graph& graph, Rewriter& rewriter) {
  std::vector<bool> used(graph.values.size());
  for (const Node& node : graph.nodes)
    for (ValueId v : node.inputs)
      if (v != ValueId::none) used[size_t(v)] = true;
  std::unordered_multimap<size_t, ValueId> seen;
  for (size_t v = 0; v < used.size(); ++v) {
    const ConstantPtr& constant = graph.values[v].constant;
    if (!constant || !used[v]) continue;
    const size_t hash = hash_of(*constant);
    const auto [first, last] = seen.equal_range(hash);
    const auto same = std::find_if(
        first, last, [&](const auto& entry) { return same_contents(*graph[entry.second].constant, *constant); });
    if (same == last) seen.emplace(hash, ValueId(v));
    else rewriter.replace(ValueId(v), same->second);
  }
}
}  // namespace

bool eliminate_common(Graph& graph) {
  const bool inner = change_bodies(graph, eliminate_common);
  Rewriter rewriter(graph);
  merge_constants(graph, rewriter);
  std::unordered_multimap<size_t, size_t> seen;  // nodes by the hash of op and inputs
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    const Node& node = graph.nodes[n];
    if (!node.bodies.empty() || is_random(node.op)) continue;
    size_t hash = size_t(node.op.id()) * 31 + node.outputs.size();
    for (ValueId v : node.inputs) hash = hash * 1099511628211u + size_t(v);
    const auto [first, last] = seen.equal_range(hash);
    const auto same = std::find_if(first, last, [&](const auto& entry) {
      const Node& other = graph.nodes[entry.second];
      return other.inputs == node.inputs && other.outputs.size() == node.outputs.size() && other.op == node.op &&
             std::ranges::find(other.outputs, ValueId::none) == other.outputs.end();
    });
    if (same == last) {
      seen.emplace(hash, n);
      continue;
    }
    const ValueIds from = node.outputs, to = graph.nodes[same->second].outputs;
    for (size_t k = 0; k < from.size(); ++k)
      if (from[k] != ValueId::none) rewriter.replace(from[k], to[k]);
  }
  return rewriter.commit() || inner;
}
}  // namespace engine
