// Products of 8-bit integers become what floating-point kernels compute: of integers in f32, which has all of them up to 2^24, so
// that every sum is exact in any order. The weights say how large a sum can be; one that might be larger is made of several, each
// over a part of the input channels. Two exact sums are added in f32, which rounds as the conversion of their int32 sum does; more
// are added in int32. What cannot be divided so is left to the op's reference. The largest of bytes is found in f32 as well.
#include <algorithm>
#include "engine/fold.h"
#include "engine/op.h"
#include "engine/ops/lowering.h"
#include "engine/passes/target.h"

namespace engine {
namespace {
using schema::BinaryKind, schema::Ints;
enum : size_t { zero_of_x = 2, zero_of_w, bias, factor, zero_of_y };
constexpr double exact = 1 << 24;
constexpr int64_t low_bits = 255, high_bits = ~low_bits, all_bits = -1;  // of a bias

class Expander {
 public:
  Expander(Rewriter& rewriter, const Node& node) : graph_(rewriter.graph), rewriter_(rewriter), node_(node) {}

  static bool concerns(const Op& op) {
    return op.get_if<schema::QuantizedConv>() || op.get_if<schema::QuantizedMatMul>() || op.get_if<schema::Pool>();
  }

  void run() {
    const auto* conv = node_.op.get_if<schema::QuantizedConv>();
    const auto* product = node_.op.get_if<schema::QuantizedMatMul>();
    if (const auto* pool = node_.op.get_if<schema::Pool>()) return largest_of_bytes(*pool);
    const Type x = type(node_.inputs[0]), w = type(node_.inputs[1]), y = type(node_.outputs[0]);
    if (!x.determined() || !w.determined() || !y.determined() || elements(y.shape()) == 0) return;
    if (has(bias) && !graph_[node_.inputs[bias]].constant) return;
    if ((has(zero_of_x) && !is_one(zero_of_x)) || (has(zero_of_y) && !is_one(zero_of_y))) return;
    if (product && (w.rank() < 2 || x.rank() < 2)) return;
    constant_ = graph_[node_.inputs[1]].constant && (conv || w.rank() == 2);
    const bool known = constant_ ? load_weights(conv ? w.rank() : int64_t{-1}, product && product->trans_b) : product && has(zero_of_w) <= is_one(zero_of_w);
    if (!known) return;
    if (!constant_) features_ = y.dims.back().value(), channels_ = x.dims.back().value();
    const int64_t parts = parts_of_sum(conv ? conv->groups : 1);
    if (parts == 0) return;

    const int64_t rank = x.rank(), axis = conv ? 1 : rank - 1, channels = channels_;  // of a group
    const ValueId real = add(schema::DequantizeLinear{}, {node_.inputs[0], one(zero_of_x), input(zero_of_x)});
    const ValueId real_w = constant_ ? ValueId::none : add(schema::DequantizeLinear{}, {node_.inputs[1], one(zero_of_w), input(zero_of_w)});
    const bool turned = !constant_ && product->trans_b;
    const bool in_float = has(factor) && parts <= 2;  // one rounding, of the last addition
    ValueId sums = ValueId::none;
    for (int64_t part = 0; part < parts; ++part) {
      const int64_t first = channels * part / parts, last = channels * (part + 1) / parts;
      const auto part_of = [&](ValueId v, int64_t dim) { return parts == 1 ? v : add(schema::Slice{}, {v, ints({first}), ints({last}), ints({dim})}); };
      ValueIds in{part_of(real, axis), constant_ ? graph_.add_constant(weights(first, last)) : part_of(real_w, w.rank() - (turned ? 1 : 2))};
      const bool with_bias = part == 0 && has(bias);
      const ValueId b = with_bias ? graph_.add_constant(real_bias(bias_behind_ ? low_bits : all_bits)) : ValueId::none;
      if (with_bias && conv) in.push_back(b);
      Op op = product ? Op(schema::MatMul{false, turned, true}) : Op(schema::Conv{conv->stride, conv->dilation, conv->pad, conv->groups, conv->auto_pad, true});
      ValueId sum = add(std::move(op), in);
      if (with_bias && product) sum = binary(BinaryKind::add, sum, b);
      if (parts > 1 && !in_float) sum = integers(sum);
      sums = part ? binary(BinaryKind::add, sums, sum) : sum;
    }
    if (bias_behind_) {
      const ValueId b = graph_.add_constant(real_bias(high_bits));
      sums = binary(BinaryKind::add, sums, conv ? per_channel(b, rank) : b);
    }
    if (!has(factor)) return replace(parts > 1 ? sums : integers(sums));
    if (!in_float) sums = add(schema::Cast{DType::f32}, {sums});
    const ValueId by = conv && !is_one(factor) ? per_channel(node_.inputs[factor], rank) : node_.inputs[factor];
    const ValueId scaled = binary(BinaryKind::mul, sums, by);
    return replace(add(schema::QuantizeLinear{conv ? conv->to : product->to}, {scaled, one(zero_of_y), input(zero_of_y)}));
  }

 private:
  const Type& type(ValueId v) const { return graph_[v].type; }
  bool has(size_t k) const { return k < node_.inputs.size() && node_.inputs[k] != ValueId::none; }
  bool is_one(size_t k) const { return has(k) && type(node_.inputs[k]).determined() && elements(type(node_.inputs[k]).shape()) == 1; }
  ValueId add(Op op, ValueIds in) {
    const ValueId y = rewriter_.add(std::move(op), std::move(in), node_.origins)[0];
    const ConstantPtr folded = fold(graph_, graph_[graph_[y].producer], 0);
    return folded ? graph_.add_constant(folded) : y;
  }
  ValueId binary(BinaryKind kind, ValueId a, ValueId b) { return add(schema::Binary{kind}, {a, b}); }
  ValueId input(size_t k) const { return has(k) ? node_.inputs[k] : ValueId::none; }
  // A scale of 1 in the shape of the zero point that goes with it.
  ValueId one(size_t zero) {
    Object object;
    store(object.set_tensor(DType::f32, has(zero) ? type(node_.inputs[zero]).shape() : Shape{}), 0, 1.0);
    return graph_.add_constant(make_constant(std::as_const(object).view()));
  }
  ValueId ints(std::initializer_list<int64_t> v) { return graph_.add_constant(make_ints(v)); }
  ValueId integers(ValueId v) { return add(schema::Cast{DType::i32}, {v}); }
  ValueId per_channel(ValueId v, int64_t rank) {  // [K] as what broadcasts over [N,K,spatial…]
    Ints shape(size_t(rank - 1), 1);
    shape[0] = -1;
    return add(schema::Reshape{}, {v, graph_.add_constant(make_ints(shape))});
  }
  void replace(ValueId y) { rewriter_.replace(node_.outputs[0], y); }

  void largest_of_bytes(const schema::Pool& op) {
    const DType dtype = type(node_.inputs[0]).dtype;
    if (op.kind != schema::PoolKind::max || node_.outputs.size() != 1 || (dtype != DType::i8 && dtype != DType::u8)) return;
    const ValueId none = ValueId::none, x = add(schema::DequantizeLinear{}, {node_.inputs[0], one(zero_of_x), none});
    replace(add(schema::QuantizeLinear{dtype}, {add(op, {x}), one(zero_of_x), none}));
  }

  // The weights less their zero points as [feature][channel][tap]: those of a product have one tap. `conv_rank`: -1 for a product.
  bool load_weights(int64_t conv_rank, bool transposed) {
    const Constant& w = *graph_[node_.inputs[1]].constant;
    const Constant* zero = has(zero_of_w) ? graph_[node_.inputs[zero_of_w]].constant.get() : nullptr;
    if (has(zero_of_w) && !zero) return false;
    const bool conv = conv_rank >= 0;
    shape_ = w.shape;
    features_ = conv || transposed ? shape_[0] : shape_[1], channels_ = conv || transposed ? shape_[1] : shape_[0];
    taps_ = 1;
    for (int64_t d = 2; conv && d < conv_rank; ++d) taps_ *= shape_[size_t(d)];
    if (zero && zero->view().elements() != 1) {  // it lies along the features
      const bool along = transposed ? zero->shape.size() == 2 && zero->shape[1] == 1 : zero->view().elements() == zero->shape.back();
      if (!along || zero->view().elements() != features_) return false;
    }
    w_.resize(size_t(features_ * channels_ * taps_));
    for (int64_t f = 0, i = 0; f < features_; ++f) {
      const auto offset = zero ? load<double>(zero->view(), zero->view().elements() == 1 ? 0 : f) : 0.0;
      for (int64_t c = 0; c < channels_ * taps_; ++c, ++i)
        w_[size_t(i)] = int16_t(load<double>(w.view(), conv || transposed ? i : c * features_ + f) - offset);
    }
    conv_ = conv;
    return true;
  }

  // By how much an element of an operand may differ from its zero point.
  double largest_of(size_t k) const {
    const double low = type(node_.inputs[k]).dtype == DType::i8 ? -128 : 0, high = low + 255;
    if (!has(zero_of_x + k)) return std::max(-low, high);
    const Constant* zero = graph_[node_.inputs[zero_of_x + k]].constant.get();
    const double z = zero && zero->view().elements() == 1 ? load<double>(zero->view(), 0) : low;
    return std::max(high - z, z - low);
  }

  // Over how many parts of the channels a sum is exact, the first with the bias. 0: it may not be over any.
  int64_t parts_of_sum(int64_t groups) {
    const double most = largest_of(0);
    const auto largest = [&](int64_t first, int64_t last, bool with_bias) {
      double of_all = 0;
      for (int64_t f = 0; f < features_; ++f) {
        double sum = with_bias && has(bias) ? std::fabs(load<double>(graph_[node_.inputs[bias]].constant->view(), f)) : 0;
        if (!constant_) sum += most * largest_of(1) * double(last - first);
        else for (int64_t i = first * taps_; i < last * taps_; ++i) sum += most * std::abs(w_[size_t(f * channels_ * taps_ + i)]);
        of_all = std::max(of_all, sum);
      }
      return of_all;
    };
    if (largest(0, channels_, true) <= exact) return 1;
    bias_behind_ = has(bias) && has(factor) && largest(0, channels_, false) + low_bits <= exact;
    if (bias_behind_) return 1;
    for (int64_t parts = 2; groups == 1 && parts <= std::min<int64_t>(channels_, 64); ++parts) {
      bool fits = true;
      for (int64_t p = 0; fits && p < parts; ++p) fits = largest(channels_ * p / parts, channels_ * (p + 1) / parts, p == 0) <= exact;
      if (fits) return parts;
    }
    return 0;
  }

  // Of channels [first, last), in f32 and in the layout of the op; those of a product as [channel][feature].
  ConstantPtr weights(int64_t first, int64_t last) const {
    Object object;
    Shape shape = conv_ ? shape_ : Shape{last - first, features_};
    if (conv_) shape[1] = last - first;
    const View view = object.set_tensor(DType::f32, shape);
    float* to = reinterpret_cast<float*>(view.data);
    for (int64_t f = 0; f < features_; ++f)
      for (int64_t i = first * taps_; i < last * taps_; ++i) {
        const int64_t at = i - first * taps_;
        to[conv_ ? f * (last - first) * taps_ + at : at * features_ + f] = float(w_[size_t(f * channels_ * taps_ + i)]);
      }
    return make_constant(std::as_const(object).view());
  }
  // The bias in f32, which has its low bits, and has the rest of it.
  ConstantPtr real_bias(int64_t bits) const {
    const ConstView b = graph_[node_.inputs[bias]].constant->view();
    Object object;
    const View view = object.set_tensor(DType::f32, b.shape);
    for (int64_t i = 0; i < b.elements(); ++i) {
      const int64_t v = load<Int>(b, i).v, low = v & low_bits;
      store(view, i, double(bits == all_bits ? v : bits == low_bits ? low : v - low));
    }
    return make_constant(std::as_const(object).view());
  }

  Graph& graph_;
  Rewriter& rewriter_;
  const Node node_;
  Shape shape_;
  int64_t features_ = 0, channels_ = 0, taps_ = 1;
  bool conv_ = false, constant_ = false;
  bool bias_behind_ = false;  // of all but its low bits: adding it to an exact sum rounds that as a conversion from int32 would
  Scratch<int16_t> w_;
};
}  // namespace

namespace {
template <class Wanted> bool expand(Graph& graph, const Wanted& wanted) {
  Rewriter rewriter(graph);
  for (size_t n = 0, count = graph.nodes.size(); n < count; ++n)
    if (Expander::concerns(graph.nodes[n].op) && wanted(graph.nodes[n])) Expander(rewriter, graph.nodes[n]).run();
  return rewriter.commit();
}
}  // namespace

bool expand_quantized(Graph& graph) {
  return expand(graph, [](const Node&) { return true; });
}
bool expand_quantized_but_products(Graph& graph) {
  return expand(graph, [&](const Node& node) { return !is_product_of_bytes(graph, node); });
}
}  // namespace engine
