// The products, scale, masks and softmax that attention is written as become one node, which never holds all scores; transposes
// of heads around them become strides. A mask that replaces scores by -10000 or less is added as -infinity: both leave nothing of
// a key, unless all others are worse still.
#include <algorithm>
#include "engine/passes/match.h"
#include "engine/passes/target.h"

namespace engine {
namespace {
using schema::BinaryKind;

class AttentionFuser : Match {
 public:
  explicit AttentionFuser(Graph& graph) : Match(graph), rewriter_(graph), uses_(graph.values.size(), 0), user_(graph.values.size(), NodeId::none) {
    for (size_t n = 0; n < graph.nodes.size(); ++n)
      for (ValueId v : graph.nodes[n].inputs)
        if (v != ValueId::none) ++uses_[size_t(v)], user_[size_t(v)] = NodeId(n);
    for (const GraphOutput& out : graph.outputs) uses_[size_t(out.value)] += 2;  // it is wanted as it is
  }
  bool run() {
    for (size_t n = 0, count = graph_.nodes.size(); n < count; ++n) fuse(NodeId(n));
    return rewriter_.commit();
  }

 private:
  struct Found {
    schema::Attention op;
    ValueId q, k, v, y;
    ValueIds masks;
    Origins origins;
  };

  bool f32(ValueId v) const { return graph_[v].type.dtype == DType::f32 && graph_[v].type.placeable(); }
  const Dims& shape(ValueId v) const { return graph_[v].type.dims; }
  bool permutes(ValueId v, const schema::Ints& perm, ValueId& from) const {
    const auto [node, op] = made_by<schema::Transpose>(v);
    if (!op || op->perm != perm) return false;
    from = node->inputs[0];
    return true;
  }
  using Ints = schema::Ints;

  // v as something times a number.
  double peel(ValueId& v, Origins& origins) const {
    double factor = 1;
    while (uses_[size_t(v)] == 1) {
      const auto [node, op] = made_by<schema::Binary>(v);
      if (!op || (op->kind != BinaryKind::mul && op->kind != BinaryKind::div)) break;
      const bool second = number(node->inputs[1]).has_value();
      if (!second && (op->kind == BinaryKind::div || !number(node->inputs[0]))) break;
      const double by = *number(node->inputs[second ? 1 : 0]);
      const ValueId other = node->inputs[second ? 0 : 1];
      if (shape(other) != shape(v)) break;
      factor *= op->kind == BinaryKind::mul ? by : 1 / by;
      origins.insert(origins.end(), node->origins.begin(), node->origins.end());
      v = other;
    }
    return factor;
  }

  // One of: -infinity where scores are replaced by a large negative number; none if that cannot be said of every row.
  ConstantPtr mask_of(const Constant& condition, bool keeps) const {
    const ConstView view = condition.view();
    if (view.rank() == 0) return nullptr;
    const int64_t columns = view.shape.back();
    Object object;
    const View mask = object.set_tensor(DType::f32, view.shape);
    for (int64_t i = 0; i < view.elements(); i += columns) {
      bool any = false;
      for (int64_t j = i; j < i + columns; ++j) {
        const bool keep = (load<int64_t>(view, j) != 0) == keeps;
        any |= keep;
        store(mask, j, keep ? 0.0 : -INFINITY);
      }
      if (!any) return nullptr;
    }
    return make_constant(std::as_const(object).view());
  }

  // A constant that leaves query s the keys up to T - S + s, as they are.
  bool hides_what_follows(ValueId mask, const Dim& queries, const Dim& keys) const {
    const Constant* c = graph_[mask].constant.get();
    if (!c || !queries.known() || !keys.known() || keys.value() < queries.value()) return false;
    const ConstView view = c->view();
    const int64_t rows = queries.value(), columns = keys.value(), past = columns - rows;
    if (view.rank() < 2 || view.elements() != rows * columns || view.shape[size_t(view.rank() - 2)] != rows || view.shape.back() != columns) return false;
    for (int64_t i = 0; i < view.elements(); ++i) {
      const double v = load<double>(view, i);
      if (i % columns <= i / columns + past ? v != 0 : !(v <= -1e4)) return false;
    }
    return true;
  }

  // The scores before masks were added to them.
  bool unmask(ValueId& v, Found& found) {
    const auto fits = [&](ValueId mask) {  // a number per key at least: it is read in rows
      return f32(mask) && !shape(mask).empty() && shape(mask).size() <= 4 && shape(mask).back() == shape(v).back();
    };
    for (int more = 4; more && uses_[size_t(v)] == 1; --more) {
      const Node* node = producer(v);
      if (!node) return false;
      ValueId next = ValueId::none;
      if (const auto* op = node->op.get_if<schema::Binary>(); op && op->kind == BinaryKind::add) {
        for (const int k : {0, 1})
          if (next == ValueId::none && fits(node->inputs[1 - k]) && f32(node->inputs[k]) && shape(node->inputs[k]) == shape(v) && leads_to_product(node->inputs[k]))
            next = node->inputs[k], found.masks.push_back(node->inputs[1 - k]);
      } else if (node->op.get_if<schema::Where>()) {
        const Constant* condition = graph_[node->inputs[0]].constant.get();
        for (const bool keeps : {true, false}) {
          const ValueId scores = node->inputs[keeps ? 1 : 2], other = node->inputs[keeps ? 2 : 1];
          const auto value = number(other);
          if (next != ValueId::none || !condition || !value || !(*value <= -1e4) || shape(scores) != shape(v)) continue;
          const ConstantPtr mask = mask_of(*condition, keeps);
          if (!mask || mask->shape.size() > 4 || Dim(mask->shape.back()) != shape(v).back()) return false;
          next = scores, found.masks.push_back(rewriter_.graph.add_constant(mask));
        }
      }
      if (next == ValueId::none) break;
      found.origins.insert(found.origins.end(), node->origins.begin(), node->origins.end());
      v = next;
    }
    return true;
  }
  // Through scales and further masks: of two addends, the one that is not a mask.
  bool leads_to_product(ValueId v, int depth = 6) const {
    const Node* node = producer(v);
    if (!node || !depth) return false;
    if (node->op.get_if<schema::MatMul>()) return true;
    if (!node->op.get_if<schema::Binary>() && !node->op.get_if<schema::Where>()) return false;
    return std::ranges::any_of(node->inputs, [&](ValueId in) { return leads_to_product(in, depth - 1); });
  }

  // v = softmax of its input; or 0 where that is masked for all keys.
  bool softmax(ValueId v, ValueId& scores, Found& found) const {
    const Node* node = producer(v);
    if (!node || uses_[size_t(v)] != 1) return false;
    ValueId weights = v;
    if (node->op.get_if<schema::Where>()) {
      if (number(node->inputs[1]) != 0.0) return false;
      weights = node->inputs[2];
      found.op.zero_if_masked = true;
    }
    const auto [made, op] = made_by<schema::Softmax>(weights);
    if (!op || op->kind != schema::SoftmaxKind::softmax || normal_axis(op->axis, graph_[weights].type.rank()) != 3) return false;
    scores = made->inputs[0];
    found.origins.insert(found.origins.end(), made->origins.begin(), made->origins.end());
    if (node != made) found.origins.insert(found.origins.end(), node->origins.begin(), node->origins.end());
    if (!found.op.zero_if_masked) return true;
    // NaN of the softmax, or a greatest score of -infinity.
    const Node* condition = producer(node->inputs[0]);
    if (!condition) return false;
    if (const auto* unary = condition->op.get_if<schema::Unary>()) return unary->kind == schema::UnaryKind::is_nan && condition->inputs[0] == weights;
    const auto* equal = condition->op.get_if<schema::Binary>();
    if (!equal || equal->kind != BinaryKind::equal || number(condition->inputs[1]) != -INFINITY) return false;
    const auto [reduce, kind] = made_by<schema::Reduce>(condition->inputs[0]);
    return kind && kind->kind == schema::ReduceKind::max && kind->keepdims && reduce->inputs[0] == scores;
  }

  void fuse(NodeId n) {
    const Node node = graph_[n];
    const auto* product = node.op.get_if<schema::MatMul>();
    if (!product || product->trans_a || product->trans_b || !f32(node.outputs[0]) || shape(node.outputs[0]).size() != 4) return;
    Found found{};
    found.origins = node.origins, found.v = node.inputs[1], found.y = node.outputs[0];
    ValueId scores;
    if (!softmax(node.inputs[0], scores, found)) return;
    const int wanted = found.op.zero_if_masked && graph_[scores].type.ranked ? uses_[size_t(scores)] : 1;  // the condition reads them, too
    if (wanted > 2) return;
    uses_[size_t(scores)] = 1;
    if (!unmask(scores, found)) return;
    found.op.scale = peel(scores, found.origins);
    const auto [dot, op] = made_by<schema::MatMul>(scores);
    if (!op || op->trans_a || uses_[size_t(scores)] != 1) return;
    found.origins.insert(found.origins.end(), dot->origins.begin(), dot->origins.end());
    found.q = dot->inputs[0], found.k = dot->inputs[1];
    found.op.scale *= peel(found.q, found.origins) * peel(found.k, found.origins);
    if (!op->trans_b) {
      if (permutes(found.k, {0, 2, 3, 1}, found.k)) found.op.k_rows_first = true;
      else if (!permutes(found.k, {0, 1, 3, 2}, found.k)) return;
      found.op.scale *= peel(found.k, found.origins);
    }
    if (!found.op.k_rows_first) found.op.k_rows_first = permutes(found.k, {0, 2, 1, 3}, found.k);
    found.op.q_rows_first = permutes(found.q, {0, 2, 1, 3}, found.q);
    found.op.v_rows_first = permutes(found.v, {0, 2, 1, 3}, found.v);
    if (!f32(found.q) || !f32(found.k) || !f32(found.v) || shape(found.q).size() != 4 || shape(found.k).size() != 4 || shape(found.v).size() != 4) return;
    const auto heads = [&](ValueId v, bool rows_first) { return std::pair(shape(v)[0], shape(v)[rows_first ? 2 : 1]); };
    if (heads(found.q, found.op.q_rows_first) != heads(found.k, found.op.k_rows_first) || heads(found.q, found.op.q_rows_first) != heads(found.v, found.op.v_rows_first)) return;
    if (uses_[size_t(found.y)] == 1)
      if (const Node& after = graph_[user_[size_t(found.y)]]; after.op.get_if<schema::Transpose>() && after.op.get_if<schema::Transpose>()->perm == Ints{0, 2, 1, 3})
        found.op.y_rows_first = true, found.y = after.outputs[0];
    const Dim queries = shape(found.q)[found.op.q_rows_first ? 1 : 2], keys = shape(found.k)[found.op.k_rows_first ? 1 : 2];
    if (std::erase_if(found.masks, [&](ValueId mask) { return hides_what_follows(mask, queries, keys); })) found.op.causal = true;
    ValueIds inputs{found.q, found.k, found.v};
    if (!found.masks.empty()) {
      ValueId mask = found.masks[0];
      for (size_t i = 1; i < found.masks.size(); ++i) mask = rewriter_.add(schema::Binary{BinaryKind::add}, {mask, found.masks[i]}, found.origins)[0];
      inputs.push_back(mask);
    }
    rewriter_.replace(found.y, rewriter_.add(found.op, inputs, found.origins)[0]);
  }

  Rewriter rewriter_;
  std::vector<int> uses_;  // of the values there were
  std::vector<NodeId> user_;
};
}  // namespace

bool fuse_attention(Graph& graph) { return AttentionFuser(graph).run(); }
}  // namespace engine
