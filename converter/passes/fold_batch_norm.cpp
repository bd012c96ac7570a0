#include <algorithm>
#include "converter/convert.h"
#include "engine/op.h"

namespace converter {
using namespace engine;
using schema::BinaryKind;
namespace {
// y = x * scale + offset, per channel.
struct Affine {
  std::vector<double> scale, offset;
};

std::optional<std::vector<double>> reals(const Graph& graph, ValueId v) {
  const Constant* c = graph[v].constant.get();
  if (!c || !schema::is_real(c->dtype) || c->shape.size() != 1) return std::nullopt;
  std::vector<double> values(size_t(c->shape[0]));
  for (size_t i = 0; i < values.size(); ++i) values[i] = load<double>(c->view(), int64_t(i));
  return values;
}

std::optional<Affine> affine_of(const Graph& graph, const Node& node) {
  const auto* op = node.op.get_if<schema::BatchNorm>();
  if (!op) return std::nullopt;
  const auto scale = reals(graph, node.inputs[1]), bias = reals(graph, node.inputs[2]),
             mean = reals(graph, node.inputs[3]), variance = reals(graph, node.inputs[4]);
  if (!scale || !bias || !mean || !variance) return std::nullopt;
  const size_t n = scale->size();
  if (bias->size() != n || mean->size() != n || variance->size() != n) return std::nullopt;
  Affine affine{*scale, *bias};
  for (size_t i = 0; i < n; ++i) {
    affine.scale[i] /= std::sqrt((*variance)[i] + op->epsilon);
    affine.offset[i] -= (*mean)[i] * affine.scale[i];
  }
  return affine;
}

ConstantPtr make(DType dtype, const Shape& shape, auto&& value) {
  Object object;
  const View view = object.set_tensor(dtype, shape);
  for (int64_t i = 0, n = view.elements(); i < n; ++i) store(view, i, double(value(i)));
  return make_constant(std::as_const(object).view());
}

class Folder {
 public:
  explicit Folder(Graph& graph) : graph_(graph), rewriter_(graph), users_(graph.values.size()) {
    for (const Node& node : graph.nodes)
      for (ValueId v : node.inputs)
        if (v != ValueId::none) ++users_[size_t(v)];
    for (const GraphOutput& out : graph.outputs) ++users_[size_t(out.value)];
  }

  bool run() {
    const size_t count = graph_.nodes.size();
    for (size_t n = 0; n < count; ++n) {
      const Node node = graph_.nodes[n];
      const auto affine = affine_of(graph_, node);
      if (!affine) continue;
      ValueId y = into_producer(node, *affine);
      if (y == ValueId::none) y = scale_and_offset(node, *affine);
      if (y == ValueId::none) continue;
      graph_[y].name = graph_[node.outputs[0]].name;
      rewriter_.replace(node.outputs[0], y);
    }
    return rewriter_.commit();
  }

 private:
  ConstantPtr constant(const Node& node, size_t k) const {
    return k < node.inputs.size() && node.inputs[k] != ValueId::none ? graph_[node.inputs[k]].constant : nullptr;
  }

  // A convolution or product by constant weights that nobody else reads takes the scale into its weights.
  ValueId into_producer(const Node& norm, const Affine& affine) {
    const ValueId x = norm.inputs[0];
    const NodeId producer = graph_[x].producer;
    // What this run has made is looked at in the next one, when its users are counted.
    if (producer == NodeId::none || size_t(x) >= users_.size() || users_[size_t(x)] != 1) return ValueId::none;
    const Node node = graph_[producer];
    const auto* conv = node.op.get_if<schema::Conv>();
    const auto* transposed = node.op.get_if<schema::ConvTranspose>();
    const auto* product = node.op.get_if<schema::MatMul>();
    const ConstantPtr w = constant(node, 1);
    if ((!conv && !transposed && !product) || !w || !schema::is_real(w->dtype)) return ValueId::none;
    Origins origins = node.origins;
    origins.insert(origins.end(), norm.origins.begin(), norm.origins.end());
    const int64_t channels = int64_t(affine.scale.size());
    if (product) {  // of matrices: the channels are the columns
      const Type& y = graph_[x].type;
      if (w->shape.size() != 2 || !y.ranked || y.rank() != 2 || w->shape[product->trans_b ? 0 : 1] != channels)
        return ValueId::none;
      const int64_t inner = w->shape[1];
      const auto scaled = make(w->dtype, w->shape, [&](int64_t i) {
        return load<double>(w->view(), i) * affine.scale[size_t(product->trans_b ? i / inner : i % inner)];
      });
      const ValueId sum = rewriter_.add(node.op, {node.inputs[0], graph_.add_constant(scaled)}, origins)[0];
      return add_offset(sum, w->dtype, {channels}, affine, origins);
    }
    // Weights are [K, C/groups, …], transposed ones [C, K/groups, …] with the channels of group g from g * K/groups on.
    const int64_t rest = w->shape.size() < 2 ? 0 : elements(std::span(w->shape).subspan(2));
    if (rest == 0) return ValueId::none;
    const int64_t groups = conv ? conv->groups : transposed->groups, per_group = transposed ? w->shape[1] : 0;
    if (channels != (conv ? w->shape[0] : per_group * groups)) return ValueId::none;
    const ConstantPtr b = constant(node, 2);
    if (node.inputs.size() > 2 && node.inputs[2] != ValueId::none && (!b || b->shape != Shape{channels}))
      return ValueId::none;
    const auto scaled = make(w->dtype, w->shape, [&](int64_t i) {
      const int64_t row = i / rest;
      const int64_t k =
          conv ? row / w->shape[1] : row / per_group / (w->shape[0] / groups) * per_group + row % per_group;
      return load<double>(w->view(), i) * affine.scale[size_t(k)];
    });
    const auto bias = make(w->dtype, {channels}, [&](int64_t k) {
      return (b ? load<double>(b->view(), k) * affine.scale[size_t(k)] : 0) + affine.offset[size_t(k)];
    });
    return rewriter_.add(node.op, {node.inputs[0], graph_.add_constant(scaled), graph_.add_constant(bias)}, origins)[0];
  }

  ValueId add_offset(ValueId x, DType dtype, const Shape& shape, const Affine& affine, const Origins& origins) {
    const ValueId offset = graph_.add_constant(make(dtype, shape, [&](int64_t k) { return affine.offset[size_t(k)]; }));
    return rewriter_.add(schema::Binary{BinaryKind::add}, {x, offset}, origins)[0];
  }

  ValueId scale_and_offset(const Node& norm, const Affine& affine) {
    const Type& x = graph_[norm.inputs[0]].type;
    if (!x.ranked || x.rank() < 2) return ValueId::none;
    Shape shape(size_t(x.rank()) - 1, 1);
    shape[0] = int64_t(affine.scale.size());
    const DType dtype = x.dtype;
    const ValueId scale = graph_.add_constant(make(dtype, shape, [&](int64_t k) { return affine.scale[size_t(k)]; }));
    const ValueId scaled = rewriter_.add(schema::Binary{BinaryKind::mul}, {norm.inputs[0], scale}, norm.origins)[0];
    return add_offset(scaled, dtype, shape, affine, norm.origins);
  }

  Graph& graph_;
  Rewriter rewriter_;
  std::vector<int> users_;
};
}  // namespace

bool fold_batch_norm(Graph& graph) {
  const bool inner = change_bodies(graph, fold_batch_norm);
  return Folder(graph).run() || inner;
}
}  // namespace converter
