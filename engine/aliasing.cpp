#include "engine/aliasing.h"
#include <algorithm>
#include "engine/op.h"
#include "engine/ops/strides.h"

namespace engine {
namespace {
class Aliaser {
 public:
  explicit Aliaser(const Graph& graph)
      : graph_(graph), inside_(graph.values.size()), readers_(graph.values.size()), output_(graph.values.size()) {
    for (const Node& node : graph.nodes)
      for (size_t k = 0; k < node.inputs.size(); ++k)
        if (node.inputs[k] != ValueId::none) readers_[size_t(node.inputs[k])].push_back({&node, int(k)});
    for (const GraphOutput& out : graph.outputs) output_[size_t(out.value)] = true;
  }

  // From the end: of concats that share parts, the largest takes them, and the others may be parts of it.
  std::vector<Inside> run() {
    for (auto node = graph_.nodes.rbegin(); node != graph_.nodes.rend(); ++node)
      if (const auto* op = node->op.get_if<schema::Concat>()) join(*op, *node);
    for (const Node& node : graph_.nodes) cut(node);
    return std::move(inside_);
  }

 private:
  struct Reader {
    const Node* node;
    int port;
  };
  struct Position {
    ValueId root;
    int64_t offset;
    bool operator==(const Position&) const = default;
  };

  Inside& inside(ValueId v) { return inside_[size_t(v)]; }
  const Type& type(ValueId v) const { return graph_[v].type; }
  const Node* producer(ValueId v) const { return graph_[v].producer == NodeId::none ? nullptr : &graph_[graph_[v].producer]; }
  int64_t bytes(ValueId v, int64_t elements) const { return elements * schema::bits_of(type(v).dtype) / 8; }

  // A step writes it to the arena, in whole bytes.
  bool placeable(ValueId v) const {
    return v != ValueId::none && producer(v) && type(v).determined() && type(v).dtype != DType::string && schema::bits_of(type(v).dtype) % 8 == 0;
  }
  // It, or what it is another shape of.
  bool in_arena(ValueId v) const {
    const Node* node = placeable(v) ? producer(v) : nullptr;
    return node && (!is_alias(node->op) || in_arena(node->inputs[0]));
  }
  bool read_with_pitch(ValueId v) const {
    return type(v).dtype == DType::f32 && !output_[size_t(v)] &&
           std::ranges::all_of(readers_[size_t(v)], [&](const Reader& r) { return takes_pitch(graph_, *r.node, r.port); });
  }
  Position position(ValueId v) const {
    const Inside& i = inside_[size_t(v)];
    if (i.whole == ValueId::none) return {v, 0};
    const Position at = position(i.whole);
    return {at.root, at.offset + i.offset};
  }

  void join(const schema::Concat& op, const Node& node) {
    const ValueId y = node.outputs[0];
    if (!placeable(y) || !std::ranges::all_of(node.inputs, [&](ValueId v) { return type(v).determined(); })) return;
    const Shape shape = type(y).shape();
    const int64_t axis = normal_axis(op.axis, int64_t(shape.size()));
    const AxisSplit split(shape, axis);
    const bool last = axis + 1 == int64_t(shape.size()), one_row = last && split.outer == 1;
    if (!last && (split.outer != 1 || inside(y).pitch)) return;
    if (!output_[size_t(y)] && inside(y).whole == ValueId::none && is_range(node, axis, split.inner)) {
      const int64_t pitch = inside(node.inputs[0]).pitch;
      if (!pitch || read_with_pitch(y)) {
        inside(y) = {node.inputs[0], 0, pitch};
        return;
      }
    }
    const int64_t pitch = !last || one_row ? 0 : inside(y).pitch ? inside(y).pitch : shape.back();
    int64_t first = 0;
    for (ValueId v : node.inputs) {
      if (can_join(v, pitch) && std::ranges::count(node.inputs, v) == 1) inside(v) = {y, bytes(y, first), pitch};
      first += type(v).dims[size_t(axis)].value() * split.inner;
    }
  }

  // The inputs lie behind each other in something else.
  bool is_range(const Node& node, int64_t axis, int64_t inner) const {
    const Inside& head = inside_[size_t(node.inputs[0])];
    if (head.whole == ValueId::none) return false;
    Position next = position(node.inputs[0]);
    for (ValueId v : node.inputs) {
      if (inside_[size_t(v)].whole == ValueId::none || inside_[size_t(v)].pitch != head.pitch || position(v) != next) return false;
      next.offset += bytes(v, type(v).dims[size_t(axis)].value() * inner);
    }
    return true;
  }

  bool can_join(ValueId v, int64_t pitch) const {
    if (!placeable(v) || output_[size_t(v)] || inside_[size_t(v)].whole != ValueId::none || is_alias(producer(v)->op)) return false;
    return !pitch || (producer(v)->outputs[0] == v && takes_pitch(graph_, *producer(v), -1) && read_with_pitch(v));
  }

  void cut(const Node& node) {
    const auto parts = engine::parts(graph_, node);
    if (parts.empty() || !in_arena(node.inputs[0])) return;
    const ValueId x = node.inputs[0];
    const Shape shape = type(x).shape();
    std::vector<Inside> places;
    for (size_t k = 0; k < parts.size(); ++k) {
      const ValueId y = node.outputs[k];
      const AxisSplit split(shape, parts[k].axis);
      const bool last = parts[k].axis + 1 == int64_t(shape.size());
      if (!placeable(y) || output_[size_t(y)] || inside(y).whole != ValueId::none) return;
      const int64_t pitch = split.outer == 1 && !inside(x).pitch ? 0 : inside(x).pitch ? inside(x).pitch : shape.back();
      if (pitch && (!last || !read_with_pitch(y))) return;
      places.push_back({x, bytes(x, parts[k].first * split.inner), pitch});
    }
    for (size_t k = 0; k < parts.size(); ++k) inside(node.outputs[k]) = places[k];
  }

  const Graph& graph_;
  std::vector<Inside> inside_;
  std::vector<std::vector<Reader>> readers_;
  std::vector<bool> output_;
};
}  // namespace

bool lies_in_place(const Node& node, std::span<const Inside> inside) {
  if (inside.empty() || node.outputs.empty() || node.outputs[0] == ValueId::none) return false;
  const ValueId y = node.outputs[0];
  const auto whole_of = [&](ValueId v) { return v == ValueId::none ? v : inside[size_t(v)].whole; };
  if (node.op.get_if<schema::Concat>() && std::ranges::all_of(node.inputs, [&](ValueId v) { return whole_of(v) == y; })) return true;
  return whole_of(y) != ValueId::none && whole_of(y) == node.inputs.at(0);
}

std::vector<Inside> alias_parts(const Graph& graph) { return Aliaser(graph).run(); }
}  // namespace engine
