// The products, scale, masks and softmax that attention is written as become one node, which never holds all scores; transposes
// of heads around them become strides. A mask that replaces scores by -10000 or less is added as -infinity: both leave nothing of
// a key, unless all others are worse still.
#include <algorithm>
#include "engine/passes/match.h"
#include "engine/passes/target.h"

namespace engine {
namespace {
using schema::BinaryKind;

constexpr double absorbs = -1e9;  // what is added to this or less leaves it as it is: a score of up to 32 is less than half a step

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
  // `perm` is of [B,H,…]; of three dims, where batch and heads are one, it is what is left without the first.
  bool permutes(ValueId v, schema::Ints perm, ValueId& from) const {
    const auto [node, op] = made_by<schema::Transpose>(v);
    if (op && op->perm.size() == 3) {
      perm.erase(perm.begin());
      for (int64_t& d : perm) --d;
    }
    if (!op || op->perm != perm) return false;
    from = node->inputs[0];
    return true;
  }

  // What v is with its last two dims swapped; or, with its heads first, something with rows first. False: neither.
  bool untransposed(ValueId& v, bool& rows_first) const {
    rows_first = permutes(v, {0, 2, 3, 1}, v);
    return rows_first || permutes(v, {0, 1, 3, 2}, v);
  }

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

  // What [B,H,T,D] is, if that is each head of [B,G,T,D] H / G times, as heads of keys are repeated for queries that share them.
  ValueId unrepeated(ValueId v, Origins& origins) const {
    const auto [join, joins] = made_by<schema::Reshape>(v);
    const auto [repeat, repeats] = made_by<schema::Expand>(joins ? join->inputs[0] : ValueId::none);
    const Node* split = repeats ? producer(repeat->inputs[0]) : nullptr;
    if (!split || (!split->op.get_if<schema::Reshape>() && !split->op.get_if<schema::Unsqueeze>())) return v;
    const ValueId x = split->inputs[0];
    for (const ValueId each : {v, x, repeat->inputs[0], join->inputs[0]})
      if (!f32(each)) return v;
    if (shape(v).size() != 4 || shape(x).size() != 4) return v;
    if (shape(x)[1] == Dim(0)) return v;
    Dims once = shape(x), many = shape(x);
    once.insert(once.begin() + 2, 1), many.insert(many.begin() + 2, shape(v)[1] / shape(x)[1]);
    if (shape(repeat->inputs[0]) != once || shape(join->inputs[0]) != many || shape(v)[0] != shape(x)[0] || shape(v)[2] != shape(x)[2]) return v;
    for (const Node* n : {join, repeat}) origins.insert(origins.end(), n->origins.begin(), n->origins.end());
    return x;
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
      if (!producer(v)) return false;
      const Node node = *producer(v);  // adding nodes moves them
      ValueId next = ValueId::none;
      if (const auto* op = node.op.get_if<schema::Binary>(); op && op->kind == BinaryKind::add) {
        for (const int k : {0, 1})
          if (next == ValueId::none && fits(node.inputs[1 - k]) && f32(node.inputs[k]) && shape(node.inputs[k]) == shape(v) && leads_to_product(node.inputs[k]))
            next = node.inputs[k], found.masks.push_back(node.inputs[1 - k]);
      } else if (node.op.get_if<schema::Where>()) {
        const Constant* condition = graph_[node.inputs[0]].constant.get();
        for (const bool keeps : {true, false}) {
          const ValueId scores = node.inputs[keeps ? 1 : 2], other = node.inputs[keeps ? 2 : 1];
          const auto value = number(other);
          if (next != ValueId::none || !value || !(*value <= -1e4) || shape(scores) != shape(v)) continue;
          if (!condition) {
            const Type& type = graph_[node.inputs[0]].type;
            if (!(*value <= absorbs) || !type.placeable() || type.rank() == 0 || type.rank() > 4 || type.dims.back() != shape(v).back()) return false;
            const ValueId zero = graph().add_constant(make_scalar(DType::f32, 0.0)), least = graph().add_constant(make_scalar(DType::f32, *value));
            next = scores, found.masks.push_back(rewriter_.add(schema::Where{}, {node.inputs[0], keeps ? zero : least, keeps ? least : zero}, node.origins)[0]);
            break;
          }
          const ConstantPtr mask = mask_of(*condition, keeps);
          if (!mask || mask->shape.size() > 4 || Dim(mask->shape.back()) != shape(v).back()) return false;
          next = scores, found.masks.push_back(graph().add_constant(mask));
        }
      }
      if (next == ValueId::none) break;
      found.origins.insert(found.origins.end(), node.origins.begin(), node.origins.end());
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
    if (!op || op->kind != schema::SoftmaxKind::softmax || normal_axis(op->axis, graph_[weights].type.rank()) + 1 != graph_[weights].type.rank()) return false;
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
    if (!graph_[n].op.get_if<schema::MatMul>()) return;
    const Node node = graph_[n];
    const auto* product = node.op.get_if<schema::MatMul>();
    if (product->trans_a || !f32(node.outputs[0])) return;
    const size_t rank = shape(node.outputs[0]).size();
    if (rank != 3 && rank != 4) return;
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
    if (!op->trans_b && !untransposed(found.k, found.op.k_rows_first)) return;
    if (product->trans_b && !untransposed(found.v, found.op.v_rows_first)) return;
    found.op.scale *= peel(found.k, found.origins);
    if (rank == 4 && !found.op.k_rows_first) found.k = unrepeated(found.k, found.origins);
    if (rank == 4 && !found.op.v_rows_first) found.v = unrepeated(found.v, found.origins);
    if (!found.op.k_rows_first) found.op.k_rows_first = permutes(found.k, {0, 2, 1, 3}, found.k);
    if (!found.op.v_rows_first) found.op.v_rows_first = permutes(found.v, {0, 2, 1, 3}, found.v);
    found.op.q_rows_first = permutes(found.q, {0, 2, 1, 3}, found.q);
    if (!f32(found.q) || !f32(found.k) || !f32(found.v) || shape(found.q).size() != rank || shape(found.k).size() != rank || shape(found.v).size() != rank) return;
    const auto dim = [&](ValueId v, size_t d) { return d + rank < 4 ? Dim(1) : shape(v)[d + rank - 4]; };
    const auto heads = [&](ValueId v, bool rows_first) { return std::pair(dim(v, 0), dim(v, rows_first ? 2 : 1)); };
    const auto q_heads = heads(found.q, found.op.q_rows_first), k_heads = heads(found.k, found.op.k_rows_first);
    if (k_heads != heads(found.v, found.op.v_rows_first) || q_heads.first != k_heads.first) return;
    if (q_heads.second != k_heads.second && !(q_heads.second.known() && k_heads.second.known() && k_heads.second.value() > 0 && q_heads.second.value() % k_heads.second.value() == 0)) return;
    if (uses_[size_t(found.y)] == 1)
      if (const Node& after = graph_[user_[size_t(found.y)]]; after.op.get_if<schema::Transpose>())
        if (ValueId from = ValueId::none; permutes(after.outputs[0], {0, 2, 1, 3}, from)) found.op.y_rows_first = true, found.y = after.outputs[0];
    const Dim queries = dim(found.q, found.op.q_rows_first ? 1 : 2), keys = dim(found.k, found.op.k_rows_first ? 1 : 2);
    if (std::erase_if(found.masks, [&](ValueId mask) { return hides_what_follows(mask, queries, keys); })) found.op.causal = true;
    const ValueId front = rank == 3 ? graph().add_constant(make_ints({0})) : ValueId::none;
    ValueIds inputs{found.q, found.k, found.v};
    if (rank == 3)
      for (ValueId& v : inputs) v = rewriter_.add(schema::Unsqueeze{}, {v, front}, found.origins)[0];
    if (!found.masks.empty()) {
      ValueId mask = found.masks[0];
      for (size_t i = 1; i < found.masks.size(); ++i) mask = rewriter_.add(schema::Binary{BinaryKind::add}, {mask, found.masks[i]}, found.origins)[0];
      inputs.push_back(mask);
    }
    const ValueId y = rewriter_.add(found.op, inputs, found.origins)[0];
    rewriter_.replace(found.y, rank == 3 ? rewriter_.add(schema::Squeeze{}, {y, front}, found.origins)[0] : y);
  }

  Graph& graph() { return rewriter_.graph; }

  Rewriter rewriter_;
  std::vector<int> uses_;  // of the values there were
  std::vector<NodeId> user_;
};
}  // namespace

bool fuse_attention(Graph& graph) { return AttentionFuser(graph).run(); }
}  // namespace engine
