// DequantizeLinear → Conv or MatMul → QuantizeLinear is what the nodes of a model quantised to 8 bits look like. It stands for a
// product of integers whose sums are exact in int32 and rounded once, as the engine that the scales were calibrated for computes
// it: in floating point, the rounding of each sum would depend on its order.
#include <algorithm>
#include "converter/convert.h"
#include "engine/passes/match.h"

namespace converter {
using namespace engine;
using schema::BinaryKind, schema::UnaryKind;
namespace {
bool is_byte(DType d) { return d == DType::i8 || d == DType::u8; }

class Quantized : Match {
 public:
  explicit Quantized(Graph& graph) : Match(graph), rewriter_(graph), uses_(graph.values.size()) {
    for (const Node& node : graph.nodes)
      for (ValueId v : node.inputs)
        if (v != ValueId::none) ++uses_[size_t(v)];
    for (const GraphOutput& out : graph.outputs) ++uses_[size_t(out.value)];
  }

  bool run() {
    for (size_t n = 0, count = graph_.nodes.size(); n < count; ++n) {
      const Node node = graph_.nodes[n];
      const auto* op = node.op.get_if<schema::QuantizeLinear>();
      if (op && is_byte(op->to) && op->block_size == 0) fuse(node, op->to);
    }
    return rewriter_.commit();
  }

 private:
  // A tensor of integers with a scale, one or several along an axis, and perhaps a zero point.
  struct Integers {
    ValueId x, zero;
    std::vector<float> scale;
    int64_t axis;
    DType dtype;
  };

  static ValueId input(const Node& node, size_t k) { return k < node.inputs.size() ? node.inputs[k] : ValueId::none; }
  const Constant* constant(ValueId v) const { return v == ValueId::none ? nullptr : graph_[v].constant.get(); }
  bool only_here(ValueId v) const { return size_t(v) < uses_.size() && uses_[size_t(v)] == 1; }

  std::vector<float> scale_of(ValueId v) const {
    const Constant* c = constant(v);
    if (!c || c->dtype != DType::f32 || c->shape.size() > 1) return {};
    const auto values = c->view().as<float>();
    return {values.begin(), values.end()};
  }
  std::optional<Integers> dequantised(ValueId v) const {
    const Node* node = producer(v);
    const auto* op = node ? node->op.get_if<schema::DequantizeLinear>() : nullptr;
    if (!op || op->to != DType::f32 || op->block_size) return std::nullopt;
    Integers q{node->inputs[0], input(*node, 2), scale_of(node->inputs[1]), op->axis, graph_[node->inputs[0]].type.dtype};
    if (q.scale.empty() || (!is_byte(q.dtype) && q.dtype != DType::i32)) return std::nullopt;
    const Type& type = graph_[q.x].type;
    if (q.scale.size() > 1 && !type.ranked) return std::nullopt;
    if (type.ranked && q.scale.size() > 1) q.axis = normal_axis(q.axis, type.rank());
    return q;
  }

  // What comes before v, where a function of its range does nothing that quantisation does not do as well.
  ValueId before_clip(ValueId v, const Node& q, DType to) const {
    const Node* node = producer(v);
    const auto* op = node && only_here(v) ? node->op.get_if<schema::Unary>() : nullptr;
    const ValueId zero = input(q, 2);
    const std::vector<float> scale = scale_of(q.inputs[1]);
    if (!op || (op->kind != UnaryKind::relu && op->kind != UnaryKind::clip) || scale.size() != 1 || (zero != ValueId::none && !constant(zero))) return v;
    const double z = zero == ValueId::none ? 0 : load<double>(constant(zero)->view(), 0);
    const double low = to == DType::i8 ? -128 : 0, high = low + 255;
    const auto quantised = [&](double x) { return std::nearbyint(double(float(x) / scale[0])) + z; };
    const double least = op->kind == UnaryKind::relu ? 0 : op->a, most = op->kind == UnaryKind::relu ? INFINITY : op->b;
    return quantised(least) <= low && quantised(most) >= high ? node->inputs[0] : v;
  }

  // The bias as integers that have the scale of the sums.
  std::optional<ValueId> bias_of(ValueId v, const Integers& x, const Integers& w) const {
    if (v == ValueId::none) return v;
    const auto bias = dequantised(v);
    const Constant* zero = bias ? constant(bias->zero) : nullptr;
    if (!bias || bias->dtype != DType::i32 || !constant(bias->x) || constant(bias->x)->shape.size() != 1) return std::nullopt;
    if (bias->zero != ValueId::none && !zero) return std::nullopt;
    for (int64_t i = 0; zero && i < zero->view().elements(); ++i)
      if (load<double>(zero->view(), i) != 0) return std::nullopt;
    const size_t n = std::max(bias->scale.size(), w.scale.size());
    if ((bias->scale.size() != n && bias->scale.size() != 1) || (w.scale.size() != n && w.scale.size() != 1)) return std::nullopt;
    for (size_t i = 0; i < n; ++i) {
      const float b = bias->scale[bias->scale.size() == 1 ? 0 : i], sums = x.scale[0] * w.scale[w.scale.size() == 1 ? 0 : i];
      if (!(std::fabs(b - sums) <= 1e-5f * sums)) return std::nullopt;
    }
    return bias->x;
  }

  void fuse(const Node& q, DType to) {
    const std::vector<float> y_scale = scale_of(q.inputs[1]);
    ValueId result = q.inputs[0];
    if (y_scale.size() != 1 || !only_here(result)) return;
    result = before_clip(result, q, to);
    const Node* node = producer(result);
    if (!node || !only_here(result)) return;
    ValueId bias = ValueId::none;
    Origins origins = node->origins;
    const auto also = [&](const Node& other) { origins.insert(origins.end(), other.origins.begin(), other.origins.end()); };
    if (result != q.inputs[0]) also(*producer(q.inputs[0]));
    if (const auto* sum = node->op.get_if<schema::Binary>(); sum && sum->kind == BinaryKind::add) {
      const size_t at = producer(node->inputs[0]) && producer(node->inputs[0])->op.get_if<schema::MatMul>() ? 0 : 1;
      const Node* product = producer(node->inputs[at]);
      if (!product || !product->op.get_if<schema::MatMul>() || !only_here(node->inputs[at])) return;
      bias = node->inputs[1 - at];
      also(*product);
      node = product;
    }
    const auto* conv = node->op.get_if<schema::Conv>();
    const auto* product = node->op.get_if<schema::MatMul>();
    if ((!conv && !product) || (product && product->trans_a)) return;
    if (conv) bias = input(*node, 2);
    const auto x = dequantised(node->inputs[0]), w = dequantised(node->inputs[1]);
    if (!x || !w || !is_byte(x->dtype) || !is_byte(w->dtype) || x->scale.size() != 1) return;
    if (conv ? !constant(w->x) : !graph_[w->x].type.ranked || graph_[w->x].type.rank() < 2) return;
    if (w->scale.size() > 1 && w->axis != (conv || product->trans_b ? graph_[w->x].type.rank() - (conv ? graph_[w->x].type.rank() : 2)
                                                                     : graph_[w->x].type.rank() - 1)) return;
    if (product && w->scale.size() > 1 && product->trans_b && w->zero != ValueId::none) return;  // it would lie along the other dim
    const auto integer_bias = bias_of(bias, *x, *w);
    if (!integer_bias) return;

    Object factor;
    const View view = factor.set_tensor(DType::f32, w->scale.size() == 1 ? Shape{} : Shape{int64_t(w->scale.size())});
    for (size_t i = 0; i < w->scale.size(); ++i) view.as<float>()[i] = x->scale[0] * w->scale[i] / y_scale[0];
    const ValueIds in{x->x, w->x, x->zero, w->zero, *integer_bias, rewriter_.graph.add_constant(make_constant(std::as_const(factor).view())), input(q, 2)};
    const Op op = conv ? Op(schema::QuantizedConv{conv->stride, conv->dilation, conv->pad, conv->groups, conv->auto_pad, to})
                       : Op(schema::QuantizedMatMul{product->trans_b, to});
    const ValueId y = rewriter_.add(op, in, origins)[0];
    rewriter_.graph[y].name = graph_[q.outputs[0]].name;
    rewriter_.replace(q.outputs[0], y);
  }

  Rewriter rewriter_;
  std::vector<int> uses_;
};
}  // namespace

bool fuse_quantized(Graph& graph) {
  const bool inner = change_bodies(graph, fuse_quantized);
  return Quantized(graph).run() || inner;
}
}  // namespace converter
