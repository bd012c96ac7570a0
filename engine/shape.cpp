#include "engine/shape.h"
#include <algorithm>
#include <map>
#include <set>
#include "engine/fold.h"
#include "engine/op.h"

namespace engine {
bool compatible(const Type& general, const Type& specific) {
  if (general.kind != specific.kind || general.dtype != specific.dtype) return false;
  if (!general.is_tensor()) return !general.element || !specific.element || compatible(*general.element, *specific.element);
  if (!general.ranked || !specific.ranked) return true;
  return std::ranges::equal(general.dims, specific.dims, may_equal);
}

namespace {
using schema::BinaryKind;
template <class T> const T* get(const Node& node) { return node.op.get_if<T>(); }

std::optional<Dims> elementwise(BinaryKind kind, const Dims& a, const Dims& b) {
  const size_t n = std::max(a.size(), b.size());
  if ((a.size() != n && a.size() != 1) || (b.size() != n && b.size() != 1)) return std::nullopt;
  Dims out;
  for (size_t i = 0; i < n; ++i) {
    const Dim &x = a[a.size() == 1 ? 0 : i], &y = b[b.size() == 1 ? 0 : i];
    if (kind == BinaryKind::add) out.push_back(x + y);
    else if (kind == BinaryKind::sub) out.push_back(x - y);
    else if (kind == BinaryKind::mul) out.push_back(x * y);
    else if (kind == BinaryKind::div && x.lower() >= 0 && y.lower() > 0) out.push_back(x / y);
    else return std::nullopt;
  }
  return out;
}

std::optional<Dims> ints_of(const Graph& graph, const Node& node) {
  const InferContext in(graph, node);
  if (const auto* op = get<schema::Shape>(node)) {
    const Type& x = in.in(0);
    if (!x.is_tensor() || !x.ranked) return std::nullopt;
    const auto clip = [&](int64_t i) { return std::clamp<int64_t>(i < 0 ? i + x.rank() : i, 0, x.rank()); };
    const int64_t from = clip(op->start), to = std::max(from, clip(op->end));
    return Dims(x.dims.begin() + from, x.dims.begin() + to);
  }
  if (get<schema::Size>(node)) {
    const Type& x = in.in(0);
    if (!x.is_tensor() || !x.ranked) return std::nullopt;
    Dim count = 1;
    for (const Dim& d : x.dims) count = count * d;
    return Dims{count};
  }
  const Type& result = graph[node.outputs[0]].type;
  if (!result.is_tensor() || !result.ranked || result.rank() > 1 || !schema::is_integer(result.dtype)) return std::nullopt;
  if (const auto* op = get<schema::Concat>(node)) {
    Dims all;
    for (size_t k = 0; k < in.inputs(); ++k) {
      const auto part = in.ints(k);
      if (!part) return std::nullopt;
      all.insert(all.end(), part->begin(), part->end());
    }
    return op->axis == 0 || op->axis == -1 ? std::optional(all) : std::nullopt;
  }
  const auto x = in.inputs() ? in.ints(0) : std::nullopt;
  if (!x) return std::nullopt;
  if (get<schema::Cast>(node) || get<schema::Identity>(node) || get<schema::Reshape>(node) || get<schema::Squeeze>(node) ||
      get<schema::Unsqueeze>(node))
    return x;
  if (const auto* op = get<schema::Binary>(node)) {
    const auto y = in.ints(1);
    return y ? elementwise(op->kind, *x, *y) : std::nullopt;
  }
  if (const auto* op = get<schema::Gather>(node)) {
    const auto indices = in.known_ints(1);
    if (!indices || in.in(0).rank() != 1 || (op->axis != 0 && op->axis != -1)) return std::nullopt;
    Dims picked;
    for (int64_t i : *indices) {
      if (i < 0) i += int64_t(x->size());
      check(i >= 0 && i < int64_t(x->size()), "index ", i, " is out of range for extent ", x->size());
      picked.push_back((*x)[i]);
    }
    return picked;
  }
  if (get<schema::Slice>(node)) {
    const auto start = in.known_ints(1), end = in.known_ints(2);
    const auto step = in.has(4) ? in.known_ints(4) : std::vector<int64_t>{1};
    if (!start || !end || !step || start->size() != 1 || end->size() != 1 || step->size() != 1 || (*step)[0] != 1) return std::nullopt;
    const int64_t n = int64_t(x->size());
    const auto clip = [&](int64_t i) { return std::clamp<int64_t>(i < 0 ? i + n : i, 0, n); };
    const int64_t from = clip((*start)[0]), to = std::max(from, clip((*end)[0]));
    return Dims(x->begin() + from, x->begin() + to);
  }
  return std::nullopt;
}
}  // namespace

void infer_ints(Graph& graph, const Node& node) {
  if (node.outputs.empty() || node.outputs[0] == ValueId::none) return;
  auto ints = ints_of(graph, node);
  if (ints && int64_t(ints->size()) > limits::known_ints) ints.reset();
  graph[node.outputs[0]].ints = std::move(ints);
}

void infer_types(Graph& graph) {
  for (const Node& node : graph.nodes)
    with_context(
        [&] {
          const Types types = infer(graph, node);
          check(types.size() == node.outputs.size(), "has ", node.outputs.size(), " outputs instead of ", types.size());
          for (size_t k = 0; k < types.size(); ++k)
            if (node.outputs[k] != ValueId::none) graph[node.outputs[k]].type = types[k];
          infer_ints(graph, node);
        },
        [&] { return to_text(node.origins); });
}

Types infer_body(const Graph& body, std::span<const Type> inputs, std::span<const std::optional<Dims>> ints) {
  check(inputs.size() == body.inputs.size(), "the body has ", body.inputs.size(), " inputs, not ", inputs.size());
  Graph copy = body;
  for (size_t k = 0; k < inputs.size(); ++k) {
    copy[copy.inputs[k]].type = inputs[k];
    copy[copy.inputs[k]].ints = k < ints.size() ? ints[k] : std::nullopt;
  }
  infer_types(copy);
  return output_types(copy);
}

namespace {
class Specialiser {
 public:
  Specialiser() : head_(result_.head), tail_(result_.tail) {}

  Specialised run(const Graph& graph, std::span<const Type> inputs, std::span<const ConstantPtr> values) {
    if (settled(graph, inputs, values)) {
      Graph& head = result_.head;
      head.values.reserve(graph.values.size() * 5 / 2), head.nodes.reserve(graph.nodes.size() * 2);  // for passes, which add
      head.values = graph.values, head.nodes = graph.nodes, head.inputs = graph.inputs, head.outputs = graph.outputs;
      for (size_t k = 0; k < graph.outputs.size(); ++k) result_.outputs.push_back({false, k});
      return std::move(result_);
    }
    Scope scope(graph);
    for (size_t k = 0; k < inputs.size(); ++k) {
      const std::string& name = graph[graph.inputs[k]].name;
      const ValueId input = result_.head.add_input(name, inputs[k]);
      scope.set(graph.inputs[k],
                {false, k < values.size() && values[k] ? result_.head.add_constant(values[k], name) : input});
    }
    walk(scope);
    finish(scope);
    return std::move(result_);
  }

 private:
  // Nothing is left to fold, to inline or to drop, and the types are those that these inputs give: a file may claim others where
  // inference of unknown inputs cannot tell.
  static bool settled(const Graph& graph, std::span<const Type> inputs, std::span<const ConstantPtr> values) {
    if (input_types(graph) != Types(inputs.begin(), inputs.end()) ||
        std::ranges::any_of(values, [](const ConstantPtr& v) { return v != nullptr; }))
      return false;
    const auto extents_known = [](const Type& t) { return t.is_tensor() && t.determined(); };
    if (!std::ranges::all_of(inputs, extents_known)) return false;
    std::vector<bool> used(graph.values.size());
    for (const GraphOutput& out : graph.outputs) used[size_t(out.value)] = true;
    for (const Node& node : graph.nodes)
      for (ValueId v : node.inputs)
        if (v != ValueId::none) used[size_t(v)] = true;
    return std::ranges::all_of(graph.nodes, [&](const Node& node) {
      return node.op.id() != OpId::Identity && node.bodies.empty() &&
             std::ranges::any_of(node.inputs, [&](ValueId v) { return v != ValueId::none && !graph[v].constant; }) &&
             std::ranges::any_of(node.outputs, [&](ValueId v) { return v != ValueId::none && used[size_t(v)]; }) &&
             std::ranges::all_of(node.outputs, [&](ValueId v) {
               return v != ValueId::none && extents_known(graph[v].type) && !graph[v].ints;
             }) &&
             with_context([&] { return infer(graph, node); }, [&] { return to_text(node.origins); }) == types_of(graph, node.outputs);
    });
  }

  struct Mapped {
    bool tail = false;
    ValueId id = ValueId::none;
  };
  struct Scope {
    explicit Scope(const Graph& graph) : graph(graph), map(graph.values.size()) {}
    void set(ValueId v, Mapped m) { map[size_t(v)] = m; }
    const Graph& graph;
    std::vector<Mapped> map;
  };

  Mapped find(Scope& scope, ValueId v) {
    Mapped& m = scope.map[size_t(v)];
    if (m.id == ValueId::none && scope.graph[v].constant) m = {false, result_.head.add_constant(scope.graph[v].constant, scope.graph[v].name)};
    return m;
  }

  // The value in tail that stands for a value of head.
  ValueId cross(Mapped m) {
    if (m.tail || m.id == ValueId::none) return m.id;
    const auto [it, fresh] = crossed_.try_emplace(m.id);
    if (fresh) {
      const Value value = result_.head[m.id];
      it->second = value.constant ? result_.tail.add_constant(value.constant, value.name) : result_.tail.add_input(value.name, value.type);
      if (!value.constant) result_.tail[it->second].ints = value.ints, crossing_.push_back(m.id);
    }
    return it->second;
  }

  void walk(Scope& scope) {
    for (const Node& node : scope.graph.nodes) {
      std::vector<Mapped> in;
      for (ValueId v : node.inputs) in.push_back(v == ValueId::none ? Mapped{} : find(scope, v));
      if (inline_if(scope, node, in)) continue;
      if (node.op.id() == OpId::Identity) {
        scope.set(node.outputs[0], in[0]);
        continue;
      }
      bool placeable = true;
      for (const Mapped& m : in) placeable &= m.id == ValueId::none || (!m.tail && result_.head[m.id].type.placeable());
      const auto add = [&] {
        ValueIds ids;
        for (const Mapped& m : in) ids.push_back(placeable ? m.id : cross(m));
        return (placeable ? head_ : tail_).add(node.op, ids, node.origins, node.outputs.size(), node.bodies);
      };
      ValueIds out = add();
      if (placeable && waits_for_values(node, in, out)) placeable = false, out = add();  // the one in head is dead
      Graph& to = placeable ? result_.head : result_.tail;
      for (size_t k = 0; k < out.size(); ++k) {
        if (node.outputs[k] == ValueId::none) continue;
        to[out[k]].name = scope.graph[node.outputs[k]].name;
        ConstantPtr folded = placeable ? fold(to, to.nodes.back(), k) : nullptr;
        scope.set(node.outputs[k], {!placeable, folded ? to.add_constant(folded, to[out[k]].name) : out[k]});
      }
    }
  }

  // Whether small inputs say how large the outputs are, which are marked then.
  bool waits_for_values(const Node& node, const std::vector<Mapped>& in, const ValueIds& out) {
    if (std::ranges::all_of(out, [&](ValueId v) { return result_.head[v].type.placeable(); })) return false;
    std::vector<ValueId> waits;
    for (size_t k = 0; k < in.size(); ++k) {
      if (in[k].id == ValueId::none || !sizes_outputs(node.op, k) || result_.head[in[k].id].constant) continue;
      const Type& type = result_.head[in[k].id].type;
      if (type.dtype == DType::string || !type.determined() || elements(type.shape()) > limits::sizing_numbers)
        return false;
      waits.push_back(in[k].id);
    }
    by_value_.insert(waits.begin(), waits.end());
    return !waits.empty();
  }

  bool inline_if(Scope& scope, const Node& node, const std::vector<Mapped>& in) {
    if (node.op.id() != OpId::If || in[0].id == ValueId::none || in[0].tail) return false;
    const ConstantPtr condition = result_.head[in[0].id].constant;
    if (!condition) return false;
    check(
        condition->view().elements() == 1, [&] { return to_text(node.origins); },
        ": the condition must have one element");
    Scope body(*node.bodies.at(load<Int>(condition->view(), 0).v ? 0 : 1));
    for (size_t k = 1; k < in.size(); ++k) body.set(body.graph.inputs.at(k - 1), in[k]);
    walk(body);
    for (size_t k = 0; k < node.outputs.size(); ++k)
      if (node.outputs[k] != ValueId::none) scope.set(node.outputs[k], find(body, body.graph.outputs.at(k).value));
    return true;
  }

  void finish(Scope& scope) {
    std::vector<Mapped> out;
    for (const GraphOutput& o : scope.graph.outputs) out.push_back(find(scope, o.value));
    for (size_t k = 0; k < out.size(); ++k)
      if (out[k].tail) result_.tail.outputs.push_back({scope.graph.outputs[k].name, out[k].id});
    tail_.commit();
    std::vector<bool> used(result_.tail.values.size());
    for (const Node& node : result_.tail.nodes)
      for (ValueId v : node.inputs)
        if (v != ValueId::none) used[size_t(v)] = true;
    size_t tail_index = 0;
    for (size_t k = 0; k < out.size(); ++k) {
      result_.outputs.push_back({out[k].tail, out[k].tail ? tail_index++ : result_.head.outputs.size()});
      if (!out[k].tail) result_.head.outputs.push_back({scope.graph.outputs[k].name, out[k].id});
    }
    const ValueIds inputs = std::exchange(result_.tail.inputs, {});
    for (size_t k = 0; k < inputs.size(); ++k)
      if (used[size_t(inputs[k])]) {
        result_.tail.inputs.push_back(inputs[k]);
        result_.crossing.push_back(result_.head.outputs.size());
        result_.by_value.push_back(by_value_.contains(crossing_[k]));
        result_.head.outputs.push_back({result_.head[crossing_[k]].name, crossing_[k]});
      }
    head_.commit();
  }

  Specialised result_;
  Rewriter head_, tail_;
  std::map<ValueId, ValueId> crossed_;
  std::vector<ValueId> crossing_;  // in the order of tail's inputs
  std::set<ValueId> by_value_;     // of head, which tail is specialised by
};
}  // namespace

Specialised specialise(const Graph& graph, std::span<const Type> inputs, std::span<const ConstantPtr> values) {
  return Specialiser().run(graph, inputs, values);
}
}  // namespace engine
