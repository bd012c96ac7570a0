// Convolutions along one dim, and what follows them, as images of one row: x [N,C,L] becomes [N,C,1,L], so that passes
// and kernels know one kind of convolution. The reshapes that this takes move no memory; they sink through the nodes
// that follow until they meet their inverse.
#include <algorithm>
#include <map>
#include "engine/fold.h"
#include "engine/op.h"
#include "engine/passes/target.h"

namespace engine {
namespace {
using schema::Ints;
constexpr int64_t line_rank = 3, row_axis = 2;
int64_t in_image(int64_t axis) { return axis < row_axis ? axis : axis + 1; }

class LinesAsImages {
 public:
  explicit LinesAsImages(Graph& graph) : graph_(graph), rewriter_(graph) {}

  bool run() {
    for (size_t n = 0, count = graph_.nodes.size(); n < count; ++n) {
      if (std::ranges::none_of(graph_.nodes[n].inputs, [&](ValueId v) { return line(v); })) continue;
      const Node node = graph_.nodes[n];
      Node wide = node;
      if (!std::ranges::all_of(node.outputs,
                               [&](ValueId v) { return v == ValueId::none || graph_[v].type.determined(); }) ||
          !widen(wide))
        continue;
      const ValueIds y = rewriter_.add(wide.op, wide.inputs, node.origins, node.outputs.size());
      for (size_t k = 0; k < y.size(); ++k) {
        const ValueId from = node.outputs[k];
        if (from != ValueId::none)
          rewriter_.replace(from, graph_[from].type.rank() == line_rank
                                      ? reshaped(y[k], graph_[from].type.shape(), node.origins)
                                      : y[k]);
      }
    }
    return rewriter_.commit();
  }

 private:
  bool line(ValueId v) const {
    return v != ValueId::none && graph_[v].type.determined() && graph_[v].type.rank() == line_rank;
  }
  const Constant* constant(ValueId v) const { return v == ValueId::none ? nullptr : graph_[v].constant.get(); }

  static Shape image_shape(Shape s) {
    s.insert(s.begin(), line_rank - s.size(), 1);
    s.insert(s.begin() + row_axis, 1);
    return s;
  }
  // The image that a line is a view of.
  ValueId source(ValueId v) const {
    if (!line(v) || graph_[v].producer == NodeId::none) return ValueId::none;
    const Node& node = graph_[graph_[v].producer];
    const Type& x = graph_[node.inputs.empty() ? v : node.inputs[0]].type;
    const bool is = node.op.get_if<schema::Reshape>() && x.determined() && x.rank() == line_rank + 1 &&
                    x.shape() == image_shape(graph_[v].type.shape());
    return is ? node.inputs[0] : ValueId::none;
  }
  ValueId reshaped(ValueId v, const Shape& shape, const Origins& origins) {
    const ValueId extents = graph_.add_constant(make_ints(Ints(shape.begin(), shape.end())));
    const ValueId y = rewriter_.add(schema::Reshape{.allow_zero = true}, {v, extents}, origins)[0];
    const ConstantPtr folded = constant(v) ? fold(graph_, graph_[graph_[y].producer], 0) : nullptr;
    return folded ? graph_.add_constant(folded) : y;
  }
  // Of any rank up to a line's, with extents of 1 in front.
  ValueId image(ValueId v, const Origins& origins) {
    if (const ValueId from = source(v); from != ValueId::none) return from;
    const auto [it, fresh] = images_.try_emplace(v);
    if (fresh) it->second = reshaped(v, image_shape(graph_[v].type.shape()), origins);
    return it->second;
  }
  // `otherwise` for the new dim, in each group of as many entries as there are dims. None: not as many.
  static bool insert(Ints& given, size_t dims, int64_t otherwise) {
    if (given.size() % dims) return false;
    for (size_t at = given.size() / dims; at-- > 0;)
      given.insert(given.begin() + int64_t(at * dims + (dims == line_rank ? row_axis : 0)), otherwise);
    return true;
  }
  bool insert(ValueId& v, int64_t otherwise) {
    const Constant* c = constant(v);
    if (!c || c->dtype != DType::i64) return false;
    Ints values = to_ints(c->view());
    if (!insert(values, line_rank, otherwise)) return false;
    v = graph_.add_constant(make_ints(values));
    return true;
  }

  // f(op) where the node's op is a T: whether the node changes, and into what. None: it is another op.
  template <class T, class F> static std::optional<bool> edit(Node& node, const F& f) {
    const T* given = node.op.get_if<T>();
    if (!given) return std::nullopt;
    T op = *given;
    const bool changes = f(op);
    node.op = std::move(op);
    return changes;
  }

  // The node on images; its inputs change too. False: it stays as it is.
  bool widen(Node& node) {
    if (const auto done = edit<schema::Conv>(node, [&](auto& op) { return convolution(node, op); })) return *done;
    if (const auto done = edit<schema::ConvTranspose>(node, [&](auto& op) {
          return convolution(node, op) && insert(op.output_padding, 1, 0) && insert(op.output_shape, 1, 1);
        }))
      return *done;
    if (std::ranges::none_of(node.inputs, [&](ValueId v) { return source(v) != ValueId::none; })) return false;
    if (node.op.get_if<schema::Binary>() || node.op.get_if<schema::Where>() || node.op.get_if<schema::Unary>() ||
        node.op.get_if<schema::Cast>())
      return all(node, true);
    if (const auto done = edit<schema::Concat>(node, [&](auto& op) { return moved(op) && all(node, false); }))
      return *done;
    if (!line(node.inputs[0])) return false;
    ValueIds in = node.inputs;
    if (!change(node, in)) return false;
    in[0] = image(in[0], node.origins);
    node.inputs = in;
    return true;
  }

  template <class T> bool convolution(Node& node, T& op) {
    const Type& w = graph_[node.inputs[1]].type;
    if (!line(node.inputs[0]) || graph_[node.inputs[0]].type.dtype != DType::f32 || !constant(node.inputs[1]) ||
        w.rank() != line_rank)
      return false;
    insert(op.stride, 1, 1), insert(op.dilation, 1, 1), insert(op.pad, 1, 0);
    node.inputs[0] = image(node.inputs[0], node.origins);
    node.inputs[1] = image(node.inputs[1], node.origins);
    return true;
  }

  bool all(Node& node, bool broadcasts) {
    const auto fits = [&](ValueId v) {
      return line(v) ||
             (v != ValueId::none && graph_[v].type.determined() && graph_[v].type.rank() < line_rank && broadcasts);
    };
    if (!std::ranges::all_of(node.inputs, fits)) return false;
    for (ValueId& v : node.inputs) v = image(v, node.origins);
    return true;
  }

  template <class T> static bool moved(T& op) { return op.axis = in_image(normal_axis(op.axis, line_rank)), true; }

  // All but its first input.
  bool change(Node& node, ValueIds& in) {
    if (const auto done = edit<schema::Pool>(node, [&](auto& op) {
          return op.kernel.size() == 1 && node.outputs.size() == 1 && insert(op.kernel, 1, 1) &&
                 insert(op.stride, 1, 1) && insert(op.dilation, 1, 1) && insert(op.pad, 1, 0);
        }))
      return *done;
    const auto scaled = [](auto& op) { return moved(op) && op.block_size == 0; };
    if (const auto done = edit<schema::QuantizeLinear>(node, scaled)) return *done;
    if (const auto done = edit<schema::DequantizeLinear>(node, scaled)) return *done;
    if (const auto done = edit<schema::Split>(node, [](auto& op) { return moved(op); })) return *done;
    if (const auto* op = node.op.get_if<schema::Reduce>()) return reduce(*op, in);
    if (node.op.get_if<schema::Pad>()) return in.size() <= 3 && insert(in[1], 0);
    if (node.op.get_if<schema::Slice>()) return slice(in);
    return node.op.get_if<schema::GroupNorm>() != nullptr;
  }

  bool reduce(const schema::Reduce& op, ValueIds& in) {
    if (in.size() != 2 || !constant(in[1])) return false;
    Ints axes = to_ints(constant(in[1])->view());
    for (int64_t& axis : axes) axis = in_image(normal_axis(axis, line_rank));
    const bool row = std::ranges::count(axes, row_axis + 1) > 0;
    if (axes.empty() || (!op.keepdims && !row)) return false;  // the row would be left
    if (row) axes.insert(std::ranges::find(axes, row_axis + 1), row_axis);
    in[1] = graph_.add_constant(make_ints(axes));
    return true;
  }

  bool slice(ValueIds& in) {
    in.resize(std::max<size_t>(in.size(), 4), ValueId::none);
    if (!constant(in[1]) || constant(in[1])->dtype != DType::i64 || (in[3] != ValueId::none && !constant(in[3])))
      return false;
    Ints axes = in[3] == ValueId::none ? Ints{} : to_ints(constant(in[3])->view());
    if (axes.empty())
      for (int64_t k = 0; k < constant(in[1])->view().elements(); ++k) axes.push_back(k);
    for (int64_t& axis : axes) axis = in_image(normal_axis(axis, line_rank));
    in[3] = graph_.add_constant(make_ints(axes));
    return true;
  }

  Graph& graph_;
  Rewriter rewriter_;
  std::map<ValueId, ValueId> images_;  // made so far
};
}  // namespace

bool lines_as_images(Graph& graph) { return LinesAsImages(graph).run(); }
}  // namespace engine
