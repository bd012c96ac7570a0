// Layer normalisation that exporters write as several nodes becomes one node: with a mean and without, by division and by the
// product with a reciprocal, and in TensorFlow's form, x·g + (bias - mean·g) where g = scale / √(variance + ε).
#include <algorithm>
#include "converter/convert.h"
#include "engine/passes/match.h"

namespace converter {
using namespace engine;
using schema::BinaryKind, schema::UnaryKind;
namespace {
class Norms : Match {
 public:
  explicit Norms(Graph& graph) : Match(graph), rewriter_(graph), users_(graph.values.size()) {
    for (size_t n = 0; n < graph.nodes.size(); ++n)
      for (ValueId v : graph.nodes[n].inputs)
        if (v != ValueId::none) users_[size_t(v)].push_back(NodeId(n));
    for (const GraphOutput& out : graph.outputs) users_[size_t(out.value)].push_back(NodeId::none);
  }

  bool run() {
    for (size_t n = 0, count = graph_.nodes.size(); n < count; ++n) {
      const Node node = graph_.nodes[n];
      if (node.op.get_if<schema::Binary>()) fuse(node.outputs[0]);
    }
    return rewriter_.commit();
  }

 private:
  struct Norm {
    ValueId x;
    int64_t axis = 0;  // from which on it is normalised
    bool rms = false;
    double epsilon = 0;
    ValueId mean = ValueId::none;
    ValueId scale = ValueId::none, bias = ValueId::none;
    ValueId y = ValueId::none;
  };

  // v = the mean of x over its last dims, which stay as extents of 1.
  std::optional<int64_t> mean_of(ValueId v, ValueId& x) const {
    const auto [node, op] = made_by<schema::Reduce>(v);
    if (!op || op->kind != schema::ReduceKind::mean || !op->keepdims || node->inputs.size() < 2 || node->inputs[1] == ValueId::none) return std::nullopt;
    const Constant* axes = graph_[node->inputs[1]].constant.get();
    const Type& type = graph_[node->inputs[0]].type;
    if (!axes || !type.ranked || !schema::is_real(type.dtype)) return std::nullopt;
    const int64_t rank = type.rank(), count = axes->view().elements();
    if (count == 0 || count > rank) return std::nullopt;
    for (int64_t i = 0; i < count; ++i) {
      const auto axis = load<int64_t>(axes->view(), i);
      if ((axis < 0 ? axis + rank : axis) != rank - count + i) return std::nullopt;
    }
    x = node->inputs[0];
    return rank - count;
  }
  bool square(ValueId v, ValueId& d) const {
    ValueId a, b;
    if (binary(v, BinaryKind::mul, a, b) && a == b) return d = a, true;
    if (binary(v, BinaryKind::pow, a, b) && number(b) == 2) return d = a, true;
    return false;
  }
  // d = x - mean(x). Exporters may compute it twice.
  bool centred(ValueId d, ValueId& x, ValueId& mean) const {
    ValueId from;
    return binary(d, BinaryKind::sub, x, mean) && mean_of(mean, from) && from == x;
  }

  // v = √(variance + ε), of the variance of x or its mean square.
  std::optional<Norm> deviation(ValueId v) const {
    ValueId sum, a, b, squares, d;
    if (!unary(v, UnaryKind::sqrt, sum) || !binary(sum, BinaryKind::add, a, b)) return std::nullopt;
    if (number(a)) std::swap(a, b);
    const auto epsilon = number(b);
    const auto axis = mean_of(a, squares);
    if (!epsilon || !(*epsilon >= 0) || !axis || !square(squares, d)) return std::nullopt;
    Norm norm{.x = d, .axis = *axis, .rms = true, .epsilon = *epsilon};
    ValueId x, from;
    const auto reversed = [&] { return binary(d, BinaryKind::sub, norm.mean, x) && mean_of(norm.mean, from) && from == x; };  // its square is the same
    if ((centred(d, x, norm.mean) || reversed()) && mean_of(norm.mean, from) == axis) norm.x = x, norm.rms = false;
    return norm;
  }
  // v = 1 / √(variance + ε)
  std::optional<Norm> inverse(ValueId v) const {
    ValueId root, one;
    if (!unary(v, UnaryKind::reciprocal, root) && !(binary(v, BinaryKind::div, one, root) && number(one) == 1)) return std::nullopt;
    return deviation(root);
  }
  // Whether `of` is what the norm divides: x without its mean.
  bool divides(const Norm& norm, ValueId of) const {
    ValueId x, mean;
    return norm.rms ? of == norm.x : centred(of, x, mean) && x == norm.x && mean_of(mean, x) == norm.axis;
  }

  // v = (x - mean) / √(variance + ε)
  std::optional<Norm> normalised(ValueId v) const {
    ValueId a, b;
    std::optional<Norm> norm;
    if (binary(v, BinaryKind::div, a, b)) norm = deviation(b);
    else if (binary(v, BinaryKind::mul, a, b) && !(norm = inverse(b))) norm = inverse(a), std::swap(a, b);
    if (!norm || !divides(*norm, a)) return std::nullopt;
    norm->y = v;
    return norm;
  }
  // v = x·g + (bias - mean·g), g = scale / √(variance + ε)
  std::optional<Norm> folded(ValueId v) const {
    ValueId p, q;
    if (!binary(v, BinaryKind::add, p, q)) return std::nullopt;
    ValueId bias, product;
    if (!binary(q, BinaryKind::sub, bias, product)) std::swap(p, q);
    if (!binary(q, BinaryKind::sub, bias, product)) return std::nullopt;
    ValueId x, g, mean, also, i, scale;
    if (!binary(p, BinaryKind::mul, x, g) || !binary(product, BinaryKind::mul, mean, also)) return std::nullopt;
    if (mean == g || mean == x) std::swap(mean, also);
    if (also != g) std::swap(x, g);
    if (also != g || !binary(g, BinaryKind::mul, i, scale)) return std::nullopt;
    auto norm = inverse(i);
    if (!norm) std::swap(i, scale), norm = inverse(i);
    if (!norm || norm->rms || norm->x != x || norm->mean != mean) return std::nullopt;
    if (!per_element(scale, *norm) || !per_element(bias, *norm)) return std::nullopt;
    norm->scale = scale, norm->bias = bias, norm->y = v;
    return norm;
  }

  // A constant with one number for each of the normalised elements.
  bool per_element(ValueId v, const Norm& norm) const {
    const Constant* c = graph_[v].constant.get();
    if (!c || c->dtype != graph_[norm.x].type.dtype) return false;
    const Dims& dims = graph_[norm.x].type.dims;
    const Shape& shape = c->shape;
    if (shape.size() < dims.size() - size_t(norm.axis) || shape.size() > dims.size()) return false;
    for (size_t k = 0; k < shape.size(); ++k) {
      const size_t d = dims.size() - shape.size() + k;
      if (int64_t(d) < norm.axis ? shape[k] != 1 : dims[d] != Dim(shape[k])) return false;
    }
    return true;
  }
  // The only use of v: the other operand of a product or sum with it.
  ValueId only_user(ValueId v, BinaryKind kind, ValueId& other) const {
    const auto& users = users_[size_t(v)];
    if (users.size() != 1 || users[0] == NodeId::none) return ValueId::none;
    const Node& node = graph_[users[0]];
    const auto* op = node.op.get_if<schema::Binary>();
    if (!op || op->kind != kind) return ValueId::none;
    other = node.inputs[node.inputs[0] == v ? 1 : 0];
    return node.outputs[0];
  }

  void fuse(ValueId v) {
    auto norm = folded(v);
    if (!norm) {
      norm = normalised(v);
      if (!norm) return;
      ValueId other;
      if (const ValueId y = only_user(v, BinaryKind::mul, other); y != ValueId::none && per_element(other, *norm)) {
        norm->scale = other, norm->y = y;
        if (const ValueId z = only_user(y, BinaryKind::add, other); !norm->rms && z != ValueId::none && per_element(other, *norm))
          norm->bias = other, norm->y = z;
      }
    }
    const Type x = graph_[norm->x].type;
    if (norm->scale == ValueId::none) {
      const Dims dims(x.dims.begin() + norm->axis, x.dims.end());
      if (!std::ranges::all_of(dims, &Dim::known)) return;
      Object ones;
      Shape shape;
      for (const Dim& d : dims) shape.push_back(d.value());
      const View view = ones.set_tensor(x.dtype, shape);
      for (int64_t i = 0; i < view.elements(); ++i) store(view, i, 1.0);
      norm->scale = rewriter_.graph.add_constant(make_constant(std::as_const(ones).view()));
    }
    if (norm->rms && norm->bias != ValueId::none) return;
    ValueIds inputs{norm->x, norm->scale};
    if (!norm->rms) inputs.push_back(norm->bias);
    const ValueId fused = rewriter_.add(schema::LayerNorm{norm->axis - int64_t(x.dims.size()), norm->epsilon, norm->rms}, inputs,
                                        producer(norm->y)->origins)[0];
    rewriter_.graph[fused].name = graph_[norm->y].name;
    rewriter_.replace(norm->y, fused);
  }

  Rewriter rewriter_;
  std::vector<std::vector<NodeId>> users_;  // of the values there were; none: it is an output
};
}  // namespace

bool fuse_norms(Graph& graph) {
  const bool inner = change_bodies(graph, fuse_norms);
  return Norms(graph).run() || inner;
}
}  // namespace converter
