#include "engine/graph.h"
#include <algorithm>
#include <map>
#include "engine/op.h"
#include "engine/shape.h"

namespace engine {
ValueId Graph::add_input(std::string name, Type type) {
  values.push_back({std::move(type), NodeId::none, std::move(name), nullptr, {}});
  return inputs.emplace_back(ValueId(values.size() - 1));
}

ValueId Graph::add_constant(ConstantPtr constant, std::string name) {
  Type type = Type::tensor(constant->dtype, constant->shape);
  values.push_back({std::move(type), NodeId::none, std::move(name), std::move(constant), {}});
  return ValueId(values.size() - 1);
}

Types types_of(const Graph& graph, std::span<const ValueId> ids) {
  Types types;
  types.reserve(ids.size());
  for (ValueId v : ids)
    if (v != ValueId::none) types.push_back(graph[v].type);
  return types;
}
Types input_types(const Graph& graph) { return types_of(graph, graph.inputs); }
Types output_types(const Graph& graph) {
  Types types;
  for (const GraphOutput& out : graph.outputs) types.push_back(graph[out.value].type);
  return types;
}

std::string to_text(const Origins& origins) {
  std::string text;
  for (size_t i = 0; i < origins.size(); ++i) {
    if (i == 3 && origins.size() > 4) return cat(text, " and ", origins.size() - 3, " more");
    text.append(i ? ", " : "").append(origins[i]);
  }
  return text;
}

void verify(const Graph& graph) {
  const auto check = [](bool ok, const auto&... message) { require(ok, Code::invalid_model, message...); };
  std::vector<bool> defined(graph.values.size());
  const auto define = [&](ValueId v, NodeId producer) {
    check(size_t(v) < graph.values.size(), "a value is out of range");
    check(!defined[size_t(v)] && graph[v].producer == producer, "value '", graph[v].name, "' is defined twice, or by another node");
    defined[size_t(v)] = true;
  };
  for (size_t v = 0; v < graph.values.size(); ++v)
    if (graph.values[v].constant) define(ValueId(v), NodeId::none);
  const auto use = [&](ValueId v) {
    check(size_t(v) < graph.values.size() && defined[size_t(v)], "a value is used before its definition");
  };
  for (ValueId v : graph.inputs) define(v, NodeId::none);
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    check(!node.origins.empty(), "node ", i, " (", name(node.op.id()), ") has no origins");
    with_context(
        [&] {
          for (ValueId v : node.inputs)
            if (v != ValueId::none) use(v);
          const Types types = infer(graph, node);
          check(types.size() == node.outputs.size(), "has ", node.outputs.size(), " outputs instead of ", types.size());
          for (size_t k = 0; k < types.size(); ++k) {
            if (node.outputs[k] == ValueId::none) continue;
            define(node.outputs[k], NodeId(i));
            check(compatible(graph[node.outputs[k]].type, types[k]), "output ", k, " is ",
                  to_text(graph[node.outputs[k]].type), " instead of ", types[k]);
          }
          for (const auto& body : node.bodies) verify(*body);
        },
        [&] { return to_text(node.origins); });
  }
  for (const GraphOutput& out : graph.outputs) use(out.value);
  for (const State& s : graph.states) check(s.input < graph.inputs.size() && s.output < graph.outputs.size(), "a state is out of range");
}

ValueIds Rewriter::add(Op op, ValueIds inputs, Origins origins, size_t outputs, std::vector<std::shared_ptr<const Graph>> bodies) {
  for (ValueId& v : inputs) v = resolve(v);
  while (!inputs.empty() && inputs.back() == ValueId::none) inputs.pop_back();
  Node node{std::move(op), std::move(inputs), ValueIds(outputs, ValueId::none), std::move(origins), std::move(bodies)};
  Types types = with_context([&] { return infer(graph, node); }, [&] { return to_text(node.origins); });
  if (types.size() != outputs) fail(Code::invalid_model, to_text(node.origins), ": ", name(node.op.id()), " has ", types.size(), " outputs, not ", outputs);
  return append(std::move(node), std::move(types));
}

ValueIds Rewriter::copy(const Graph& from, const Node& node, ValueIds inputs) {
  return append({node.op, std::move(inputs), ValueIds(node.outputs.size(), ValueId::none), node.origins, node.bodies}, types_of(from, node.outputs));
}

ValueIds Rewriter::append(Node node, Types types) {
  changed_ = true;
  for (size_t k = 0; k < types.size(); ++k) {
    node.outputs[k] = ValueId(graph.values.size());
    graph.values.push_back({std::move(types[k]), NodeId(graph.nodes.size()), {}, nullptr, {}});
  }
  infer_ints(graph, node);
  graph.nodes.push_back(std::move(node));
  if (!first_use_.empty()) add_uses(NodeId(graph.nodes.size() - 1));
  return graph.nodes.back().outputs;
}

ValueId Rewriter::resolve(ValueId v) const {
  while (size_t(v) < replaced_.size() && replaced_[size_t(v)] != ValueId::none) v = replaced_[size_t(v)];
  return v;
}

void Rewriter::replace(ValueId from, ValueId to) {
  to = resolve(to);
  if (from == to) return;
  if (!compatible(graph[from].type, graph[to].type))
    fail(Code::invalid_model, "replace: ", graph[to].type, " does not fit ", graph[from].type);
  changed_ = true;
  if (first_use_.empty())
    for (size_t n = 0; n < graph.nodes.size(); ++n) add_uses(NodeId(n));
  first_use_.resize(graph.values.size(), no_use);
  replaced_.resize(graph.values.size(), ValueId::none);
  if (replaced_[size_t(from)] == ValueId::none) replaced_[size_t(from)] = to;
  for (uint32_t u = std::exchange(first_use_[size_t(from)], no_use), next; u != no_use; u = next) {
    std::ranges::replace(graph[uses_[u].node].inputs, from, to);
    next = std::exchange(uses_[u].next, first_use_[size_t(to)]), first_use_[size_t(to)] = u;
  }
  for (GraphOutput& out : graph.outputs)
    if (out.value == from) out.value = to;
  if (graph[from].producer == NodeId::none || graph[to].producer == NodeId::none) return;
  Origins& kept = graph[graph[to].producer].origins;
  for (const std::string& origin : graph[graph[from].producer].origins)
    if (std::ranges::find(kept, origin) == kept.end()) kept.push_back(origin);
}

void Rewriter::add_uses(NodeId n) {
  first_use_.resize(graph.values.size(), no_use);
  for (ValueId v : graph[n].inputs)
    if (v != ValueId::none) uses_.push_back({n, std::exchange(first_use_[size_t(v)], uint32_t(uses_.size()))});
}

bool Rewriter::commit() {
  replaced_.clear(), first_use_.clear(), uses_.clear();
  if (!changed_) return false;
  changed_ = false;
  std::vector<Node> nodes;
  enum : char { unseen, open, done };
  std::vector<char> state(graph.nodes.size(), unseen);
  std::vector<NodeId> stack;
  const auto push = [&](ValueId v) {
    if (v == ValueId::none || graph[v].producer == NodeId::none || state[size_t(graph[v].producer)] == done) return false;
    if (state[size_t(graph[v].producer)] != unseen) fail(Code::invalid_model, "the graph has a cycle through ", to_text(graph[graph[v].producer].origins));
    stack.push_back(graph[v].producer);
    return true;
  };
  // Keeps the given order where it is one: roots are taken in order of their position.
  std::vector<NodeId> roots;
  for (const GraphOutput& out : graph.outputs)
    if (graph[out.value].producer != NodeId::none) roots.push_back(graph[out.value].producer);
  std::ranges::sort(roots);
  std::vector<bool> needed(graph.nodes.size());
  for (std::vector<NodeId> todo = roots; !todo.empty();) {
    const NodeId n = todo.back();
    todo.pop_back();
    if (needed[size_t(n)]) continue;
    needed[size_t(n)] = true;
    for (ValueId v : graph[n].inputs)
      if (v != ValueId::none && graph[v].producer != NodeId::none) todo.push_back(graph[v].producer);
  }
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    if (!needed[n] || state[n] == done) continue;
    stack.push_back(NodeId(n));
    while (!stack.empty()) {
      const NodeId top = stack.back();
      if (state[size_t(top)] == done) { stack.pop_back(); continue; }
      state[size_t(top)] = open;
      bool waiting = false;
      for (ValueId v : graph[top].inputs)
        if (push(v)) { waiting = true; break; }
      if (waiting) continue;
      stack.pop_back();
      state[size_t(top)] = done;
      nodes.push_back(std::move(graph[top]));
    }
  }
  graph.nodes = std::move(nodes);
  std::vector<bool> live(graph.values.size());
  for (size_t n = 0; n < graph.nodes.size(); ++n)
    for (ValueId v : graph.nodes[n].outputs)
      if (v != ValueId::none) graph[v].producer = NodeId(n);
  return true;
}
}  // namespace engine
