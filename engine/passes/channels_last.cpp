// Gives spatial regions one form: channels last. A convolution becomes its channels-last twin between two transposes, and
// transposes then sink through the nodes that follow, whose axes are remapped, until they meet their inverse.
#include <algorithm>
#include <map>
#include "engine/fold.h"
#include "engine/op.h"
#include "engine/ops/conv_transpose.h"
#include "engine/passes/target.h"

namespace engine {
namespace {
using schema::BinaryKind;
using schema::Ints;
using schema::ReduceKind;
const Ints to_last{0, 2, 3, 1}, to_first{0, 3, 1, 2};  // as Transpose::perm
constexpr int64_t axis_in_last[] = {0, 3, 1, 2};       // where axis k of [N,C,H,W] is in [N,H,W,C]

class ChannelsLast {
 public:
  ChannelsLast(Graph& graph, bool on_device) : graph_(graph), rewriter_(graph), on_device_(on_device) {}

  bool run() {
    for (size_t n = 0, count = graph_.nodes.size(); n < count; ++n) {
      if (!concerns(graph_.nodes[n])) continue;
      const Node node = graph_.nodes[n];  // adding nodes moves it
      if (node.op.get_if<schema::Split>()) split(node);
      if (node.outputs[0] == ValueId::none) continue;
      const ValueId y = rewrite(node);
      if (y != ValueId::none) rewriter_.replace(node.outputs[0], y);
    }
    drop_unit_transposes();
    return rewriter_.commit();
  }

 private:
  const Type& type(ValueId v) const { return graph_[v].type; }
  ValueId add(Op op, ValueIds inputs, const Origins& origins) { return rewriter_.add(std::move(op), std::move(inputs), origins)[0]; }

  // The channels-last source of a value that is a transpose of one.
  ValueId source(ValueId v) const {
    if (v == ValueId::none || graph_[v].producer == NodeId::none) return ValueId::none;
    const Node& node = graph_[graph_[v].producer];
    const auto* op = node.op.get_if<schema::Transpose>();
    return op && op->perm == to_first ? node.inputs[0] : ValueId::none;
  }
  bool from_region(ValueId v) const { return source(v) != ValueId::none; }

  // The channels-last form of a value of rank 4.
  ValueId last(ValueId v, const Origins& origins) {
    if (const ValueId from = source(v); from != ValueId::none) return from;
    const auto [it, fresh] = last_.try_emplace(v);
    if (fresh) {
      it->second = add(schema::Transpose{to_last}, {v}, origins);
      fold_constant(it->second);
    }
    return it->second;
  }
  void fold_constant(ValueId& v) {
    if (const ConstantPtr folded = fold(graph_, graph_[graph_[v].producer], 0)) v = graph_.add_constant(folded);
  }
  ValueId first(ValueId v, const Origins& origins) { return add(schema::Transpose{to_first}, {v}, origins); }

  // Whether the node may begin a region, or one of its inputs lies in one.
  bool concerns(const Node& node) const {
    return node.op.get_if<schema::Conv>() || node.op.get_if<schema::ConvTranspose>() || node.op.get_if<schema::Reshape>() || node.op.get_if<schema::Split>() ||
           std::ranges::any_of(node.inputs, [&](ValueId v) { return from_region(v); });
  }

  // The value that stands for output 0 in the new form; none: the node stays as it is.
  ValueId rewrite(const Node& node) {
    if (const auto* op = node.op.get_if<schema::Conv>()) return convolution(node, *op);
    if (const auto* op = node.op.get_if<schema::ConvTranspose>()) return transposed_convolution(node, *op);
    if (node.inputs.empty() || node.outputs.size() > 1) return ValueId::none;
    if (node.op.get_if<schema::Reshape>()) return shuffle(node);
    if (const auto* op = node.op.get_if<schema::Pool>()) return pool(node, *op);
    if (node.op.get_if<schema::Unary>() || node.op.get_if<schema::Cast>())
      return first(add(node.op, {source(node.inputs[0])}, node.origins), node.origins);
    if (node.op.get_if<schema::Binary>() || node.op.get_if<schema::Where>()) return elementwise(node);
    if (const auto* op = node.op.get_if<schema::QuantizeLinear>()) return scaled(node, *op);
    if (const auto* op = node.op.get_if<schema::DequantizeLinear>()) return scaled(node, *op);
    if (const auto* op = node.op.get_if<schema::Concat>()) return concat(node, *op);
    if (const auto* op = node.op.get_if<schema::Reduce>()) return reduce(node, *op);
    if (const auto* op = node.op.get_if<schema::Resize>()) return resize(node, *op);
    if (node.op.get_if<schema::Pad>()) return pad(node);
    if (node.op.get_if<schema::Slice>()) return slice(node);
    if (const auto* op = node.op.get_if<schema::GroupNorm>()) return instance_norm(node, *op);
    return ValueId::none;
  }

  // Explicit values for both spatial dims.
  static Ints pair(const Ints& given, int64_t otherwise) { return given.empty() ? Ints{otherwise, otherwise} : given; }
  // All begins, then all ends, with auto_pad resolved for these extents.
  template <class T> static Ints pads(const T& op, std::span<const int64_t> x, std::span<const int64_t> kernel) {
    const auto given = windows(op, x.size());
    Ints begins, ends;
    for (size_t d = 0; d < x.size(); ++d) {
      const Window& w = given[d];
      const int64_t out = w.out(x[d], kernel[d]).value(), total = std::max<int64_t>(0, (out - 1) * w.stride + (kernel[d] - 1) * w.dilation + 1 - x[d]);
      begins.push_back(w.same() ? w.before(total) : w.begin), ends.push_back(w.same() ? total - w.before(total) : w.end);
    }
    begins.insert(begins.end(), ends.begin(), ends.end());
    return begins;
  }

  ValueId convolution(const Node& node, const schema::Conv& op) {
    const Type &x = type(node.inputs[0]), &w = type(node.inputs[1]);
    if (x.rank() != 4 || x.dtype != DType::f32 || !graph_[node.inputs[1]].constant) return ValueId::none;
    if (!x.determined() || !w.determined()) return ValueId::none;
    const Shape extents = x.shape(), kernel = w.shape();
    schema::ConvLast out{pair(op.stride, 1), pair(op.dilation, 1),
                         pads(op, std::span(extents).subspan(2), std::span(kernel).subspan(2)), op.groups, false, op.exact};
    ValueIds in = node.inputs;
    out.planar_input = !from_region(in[0]) && graph_[in[0]].producer == NodeId::none && x.dims[1].value() <= 4 && op.groups == 1;
    if (!out.planar_input) in[0] = last(in[0], node.origins);
    return first(add(out, in, node.origins), node.origins);
  }

  ValueId transposed_convolution(const Node& node, const schema::ConvTranspose& op) {
    const Type &x = type(node.inputs[0]), &w = type(node.inputs[1]), &y = type(node.outputs[0]);
    if (x.rank() != 4 || x.dtype != DType::f32 || !graph_[node.inputs[1]].constant) return ValueId::none;
    if (!x.determined() || !w.determined() || !y.determined()) return ValueId::none;
    if (op.groups != 1) return on_device_ ? ValueId::none : spread_convolution(node, op);
    schema::ConvTransposeLast out{pair(op.stride, 1), pair(op.dilation, 1), Ints(4, 0), {}, 1};
    const auto given = all_windows(op, 2);
    for (size_t d = 0; d < 2; ++d) {
      Dim extent;
      const Window window = resolve(op, d, given[d], x.dims[d + 2], w.dims[d + 2], &extent);
      out.pad[d] = window.begin, out.pad[d + 2] = window.end;
      out.output_shape.push_back(extent.value());
    }
    ValueIds in = node.inputs;
    in[0] = last(in[0], node.origins);
    return first(add(out, in, node.origins), node.origins);
  }

  // In groups: a convolution of an x with zeros between its pixels, as many as the stride says, whose kernel is turned
  // around (Dumoulin and Visin, A guide to convolution arithmetic for deep learning, section 4.5).
  ValueId spread_convolution(const Node& node, const schema::ConvTranspose& op) {
    const Shape x = type(node.inputs[0]).shape(), w = type(node.inputs[1]).shape();
    const Origins origins = node.origins;
    const auto given = all_windows(op, 2);
    Ints apart(2), pad(4), crop(2), dilation(2);
    for (size_t d = 0; d < 2; ++d) {
      Dim extent;
      const Window window = resolve(op, d, given[d], x[d + 2], w[d + 2], &extent);
      const int64_t reach = window.reach(w[d + 2]).value() - 1;
      apart[d] = window.stride, dilation[d] = window.dilation, pad[d] = reach - window.begin;
      pad[d + 2] = extent.value() - x[d + 2] * window.stride + reach - pad[d];
      crop[d] = std::min<int64_t>(0, pad[d + 2]), pad[d + 2] -= crop[d];
      if (pad[d] < 0 || x[d + 2] * window.stride + crop[d] < 0) return ValueId::none;
    }
    constexpr int64_t most = 8;  // times the products of the op: a kernel is some 15 times as fast as the reference
    if (apart[0] > most || apart[1] > most || apart[0] * apart[1] > most) return ValueId::none;
    const auto ints = [&](const Ints& values) { return graph_.add_constant(make_ints(values)); };
    const auto reshape = [&](ValueId v, const Ints& shape) {
      return add(schema::Reshape{.allow_zero = true}, {v, ints(shape)}, origins);
    };
    const auto padded = [&](ValueId v, const Ints& ends) {
      Ints pads(ends.size());
      pads.insert(pads.end(), ends.begin(), ends.end());
      return add(schema::Pad{}, {v, ints(pads)}, origins);
    };
    ValueId spread = reshape(last(node.inputs[0], origins), {x[0], x[2], 1, x[3], 1, x[1]});
    spread = reshape(padded(spread, {0, 0, apart[0] - 1, 0, apart[1] - 1, 0}),
                     {x[0], x[2] * apart[0], x[3] * apart[1], x[1]});
    if (crop[0] || crop[1]) spread = padded(spread, {0, crop[0], crop[1], 0});
    ValueIds in = node.inputs;
    in[0] = spread, in[1] = graph_.add_constant(flipped(graph_[in[1]].constant->view(), op.groups));
    return first(add(schema::ConvLast{{1, 1}, dilation, pad, op.groups, false, false}, in, origins), origins);
  }

  ValueId pool(const Node& node, const schema::Pool& op) {
    const Type& x = type(node.inputs[0]);
    if (op.kind == schema::PoolKind::lp || op.kernel.size() != 2 || !x.determined()) return ValueId::none;
    const Shape extents = x.shape();
    const bool ceil = op.ceil_mode && !windows(op, 2)[0].same();  // auto_pad has said how many windows there are
    const schema::PoolLast out{op.kind, op.kernel, pair(op.stride, 1), pair(op.dilation, 1),
                               pads(op, std::span(extents).subspan(2), op.kernel), ceil, op.count_pad};
    return first(add(out, {source(node.inputs[0])}, node.origins), node.origins);
  }

  ValueId elementwise(const Node& node) {
    ValueIds in;
    for (ValueId v : node.inputs) {
      const Type& t = type(v);
      if (from_region(v) || (t.rank() == 4 && t.determined())) {
        in.push_back(last(v, node.origins));
      } else if (t.determined() && t.rank() < 4) {
        Shape shape = t.shape();
        shape.insert(shape.begin(), 4 - shape.size(), 1);
        ValueId wide = add(schema::Reshape{.allow_zero = true}, {v, graph_.add_constant(make_ints(shape))}, node.origins);
        fold_constant(wide);
        in.push_back(last(wide, node.origins));
      } else {
        return ValueId::none;
      }
    }
    return first(add(node.op, in, node.origins), node.origins);
  }

  // The scale is one number, or one per index of an axis.
  template <class T> ValueId scaled(const Node& node, T op) {
    const Type& scale = type(node.inputs[1]);
    if (op.block_size || !scale.determined() || !from_region(node.inputs[0])) return ValueId::none;
    if (elements(scale.shape()) != 1) op.axis = axis_in_last[normal_axis(op.axis, 4)];
    ValueIds in = node.inputs;
    in[0] = source(in[0]);
    return first(add(op, in, node.origins), node.origins);
  }

  ValueId concat(const Node& node, schema::Concat op) {
    ValueIds in;
    for (ValueId v : node.inputs) in.push_back(last(v, node.origins));
    op.axis = axis_in_last[normal_axis(op.axis, 4)];
    return first(add(op, in, node.origins), node.origins);
  }

  void split(const Node& node) {
    if (!from_region(node.inputs[0])) return;
    schema::Split op = *node.op.get_if<schema::Split>();
    op.axis = axis_in_last[normal_axis(op.axis, 4)];
    ValueIds in = node.inputs;
    in[0] = source(in[0]);
    const ValueIds parts = rewriter_.add(op, in, node.origins, node.outputs.size());
    for (size_t k = 0; k < parts.size(); ++k)
      if (node.outputs[k] != ValueId::none) rewriter_.replace(node.outputs[k], first(parts[k], node.origins));
  }

  ValueId slice(const Node& node) {
    ValueIds in = node.inputs;
    in.resize(std::max<size_t>(in.size(), 4), ValueId::none);
    const auto constant = [&](ValueId v) { return graph_[v].constant.get(); };
    if (!from_region(in[0]) || !constant(in[1]) || (in[3] != ValueId::none && !constant(in[3]))) return ValueId::none;
    Ints axes = in[3] == ValueId::none ? Ints{} : to_ints(constant(in[3])->view());
    if (axes.empty())
      for (int64_t k = 0; k < constant(in[1])->view().elements(); ++k) axes.push_back(k);
    for (int64_t& axis : axes) axis = axis_in_last[normal_axis(axis, 4)];
    in[0] = source(in[0]), in[3] = graph_.add_constant(make_ints(axes));
    return first(add(node.op, in, node.origins), node.origins);
  }

  // Channels in groups, transposed: [N,C,H,W] as [N,g,C/g,H,W], then [N,C/g,g,H,W], then [N,C,H,W].
  ValueId shuffle(const Node& node) {
    const auto producer = [&](ValueId v) { return graph_[v].producer == NodeId::none ? nullptr : &graph_[graph_[v].producer]; };
    const Node* transpose = producer(node.inputs[0]);
    const auto* op = transpose ? transpose->op.get_if<schema::Transpose>() : nullptr;
    const Node* groups = op && op->perm == Ints{0, 2, 1, 3, 4} ? producer(transpose->inputs[0]) : nullptr;
    if (!groups || !groups->op.get_if<schema::Reshape>() || !from_region(groups->inputs[0])) return ValueId::none;
    const ValueId x = source(groups->inputs[0]), y = node.outputs[0];
    if (!type(x).determined() || !type(y).determined() || !type(groups->outputs[0]).determined() || type(y).rank() != 4) return ValueId::none;
    const Shape all = type(x).shape(), parts = type(groups->outputs[0]).shape();  // [N,H,W,C], [N,g,C/g,H,W]
    if (type(y) != type(groups->inputs[0]) || parts[0] != all[0] || parts[1] * parts[2] != all[3] || parts[3] != all[1] || parts[4] != all[2]) return ValueId::none;
    const Origins origins = node.origins;
    const auto reshape = [&](ValueId v, const Ints& shape) {
      return add(schema::Reshape{.allow_zero = true}, {v, graph_.add_constant(make_ints(shape))}, origins);
    };
    const ValueId grouped = reshape(x, {all[0], all[1], all[2], parts[1], parts[2]});
    return first(reshape(add(schema::Transpose{{0, 1, 2, 4, 3}}, {grouped}, origins), Ints(all.begin(), all.end())), origins);
  }

  ValueId reduce(const Node& node, const schema::Reduce& op) {
    if (node.inputs.size() != 2 || !graph_[node.inputs[1]].constant || !from_region(node.inputs[0])) return ValueId::none;
    Ints axes = to_ints(graph_[node.inputs[1]].constant->view());
    for (int64_t& axis : axes) axis = axis_in_last[normal_axis(axis, 4)];
    std::ranges::sort(axes);
    if (axes.empty() || (!op.keepdims && axes != Ints{1, 2} && axes != Ints{1, 2, 3})) return ValueId::none;
    const ValueId y = add(op, {source(node.inputs[0]), graph_.add_constant(make_ints(axes))}, node.origins);
    return op.keepdims ? first(y, node.origins) : y;
  }

  // (x - mean) * scale / sqrt(variance + epsilon) + bias, each channel of each image by itself. The variance is a sum over the
  // differences, not over x, whose mean may be much larger.
  ValueId instance_norm(const Node& node, const schema::GroupNorm& op) {
    const Type& given = type(node.inputs[0]);
    if (given.dtype != DType::f32 || !given.determined() || elements(given.shape()) == 0) return ValueId::none;
    const Shape extents = given.shape();
    if (!from_region(node.inputs[0]) || (op.groups && op.groups != extents[1])) return ValueId::none;
    const Origins& origins = node.origins;
    const ValueId x = source(node.inputs[0]), plane = graph_.add_constant(make_ints({1, 2}));
    const auto number = [&](double v) { return graph_.add_constant(make_scalar(DType::f32, v)); };
    const auto binary = [&](BinaryKind kind, ValueId a, ValueId b) { return add(schema::Binary{kind}, {a, b}, origins); };
    const ValueId difference = binary(BinaryKind::sub, x, add(schema::Reduce{ReduceKind::mean}, {x, plane}, origins));
    const ValueId squares = add(schema::Reduce{ReduceKind::sum_square}, {difference, plane}, origins);
    const ValueId variance = binary(BinaryKind::mul, squares, number(1 / double(extents[2] * extents[3])));
    const ValueId deviation = add(schema::Unary{schema::UnaryKind::sqrt}, {binary(BinaryKind::add, variance, number(op.epsilon))}, origins);
    const ValueId factor = binary(BinaryKind::div, node.inputs[1], deviation);
    return first(binary(BinaryKind::add, binary(BinaryKind::mul, difference, factor), node.inputs[2]), origins);
  }

  // The four values of a constant, in the new order. None: it is not a constant with four values.
  ValueId permuted(ValueId v) {
    const Constant* c = v == ValueId::none ? nullptr : graph_[v].constant.get();
    if (!c || c->view().elements() != 4) return ValueId::none;
    Object object;
    const View out = object.set_tensor(c->dtype, c->shape);
    for (int64_t i = 0; i < 4; ++i) copy_elements(out, axis_in_last[i], c->view(), i, 1);
    return graph_.add_constant(make_constant(std::as_const(object).view()));
  }

  ValueId resize(const Node& node, const schema::Resize& op) {
    if (!op.axes.empty() || !from_region(node.inputs[0]) || op.coordinates == schema::ResizeCoordinates::tf_crop_and_resize) return ValueId::none;
    ValueIds in{source(node.inputs[0]), ValueId::none};
    for (size_t k = 2; k < node.inputs.size(); ++k) {
      in.push_back(permuted(node.inputs[k]));
      if (node.inputs[k] != ValueId::none && in[k] == ValueId::none) return ValueId::none;
    }
    return first(add(op, in, node.origins), node.origins);
  }

  ValueId pad(const Node& node) {
    const Constant* pads = graph_[node.inputs[1]].constant.get();
    if (!pads || pads->view().elements() != 8 || node.inputs.size() > 3 || !from_region(node.inputs[0])) return ValueId::none;
    const Ints given = to_ints(pads->view());
    Ints moved(8);
    for (int64_t i = 0; i < 4; ++i) moved[axis_in_last[i]] = given[i], moved[axis_in_last[i] + 4] = given[i + 4];
    ValueIds in = node.inputs;
    in[0] = source(in[0]), in[1] = graph_.add_constant(make_ints(moved));
    return first(add(node.op, in, node.origins), node.origins);
  }

  // A transpose that moves no dim but those of extent 1 leaves memory as it is.
  void drop_unit_transposes() {
    for (size_t n = 0, count = graph_.nodes.size(); n < count; ++n) {
      const auto* op = graph_.nodes[n].op.get_if<schema::Transpose>();
      if (!op || op->perm.empty()) continue;
      const Type& x = type(graph_.nodes[n].inputs[0]);
      if (!x.determined()) continue;
      int64_t before = -1;
      const bool still = std::ranges::all_of(op->perm, [&](int64_t d) {
        const int64_t axis = normal_axis(d, x.rank());
        return x.dims[size_t(axis)].value() == 1 || std::exchange(before, axis) < axis;
      });
      if (!still) continue;
      const Node node = graph_.nodes[n];  // adding nodes moves it
      const ValueId extents = graph_.add_constant(make_ints(type(node.outputs[0]).shape()));
      rewriter_.replace(node.outputs[0], add(schema::Reshape{.allow_zero = true}, {node.inputs[0], extents}, node.origins));
    }
  }

  Graph& graph_;
  Rewriter rewriter_;
  const bool on_device_;
  std::map<ValueId, ValueId> last_;  // transposes added so far
};
}  // namespace

bool channels_last(Graph& graph) { return ChannelsLast(graph, false).run(); }
bool channels_last_on_device(Graph& graph) { return ChannelsLast(graph, true).run(); }
}  // namespace engine
