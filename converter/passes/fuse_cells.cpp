// Steps of an LSTM become the op: one for each chain of steps that hand on their state, and one for a Loop that is nothing else.
#include <algorithm>
#include <functional>
#include <unordered_map>
#include "converter/convert.h"
#include "converter/passes/lstm_cell.h"

namespace converter {
using namespace engine;
namespace {
using Chain = std::vector<LstmCell>;

class CellFuser : Match {
 public:
  explicit CellFuser(Graph& graph) : Match(graph), rewriter_(graph), uses_(graph.values.size()) {
    for (const GraphOutput& out : graph.outputs) ++uses_[size_t(out.value)];
    for (const Node& node : graph.nodes)
      for (ValueId v : node.inputs)
        if (v != ValueId::none) ++uses_[size_t(v)];
  }

  bool run() {
    for (size_t n = 0, count = graph_.nodes.size(); n < count; ++n)
      if (graph_.nodes[n].op.get_if<schema::Loop>()) fuse_loop(graph_.nodes[n]);
    for (Chain& chain : chains()) {
      if (chain.size() > 1 && !one_sequence(chain)) {
        for (LstmCell& cell : chain) fuse_chain({std::move(cell)});
      } else {
        fuse_chain(chain);
      }
    }
    return rewriter_.commit();
  }

 private:
  Graph& graph() { return rewriter_.graph; }

  std::vector<Chain> chains() const {
    std::vector<Chain> all;
    std::unordered_map<ValueId, size_t> ending;  // by the h that a chain ends with
    const LstmCells cells(graph_);
    for (const Node& node : graph_.nodes) {
      if (!node.op.get_if<schema::Binary>()) continue;
      auto cell = cells.find(node.outputs[0], [&](ValueId v) { return graph_[v].producer == NodeId::none || ending.contains(v); });
      if (!cell) continue;
      const auto before = ending.find(cell->h);
      const LstmCell* const last = before == ending.end() ? nullptr : &all[before->second].back();
      const bool continues = last && last->next_c == cell->c && graph_[last->x].type == graph_[cell->x].type && last->same_weights(*cell);
      const size_t at = continues ? before->second : all.size();
      if (continues) ending.erase(before);
      else all.emplace_back();
      ending[cell->next_h] = at;
      all[at].push_back(std::move(*cell));
    }
    return all;
  }

  // No x follows from a state of the chain, and nobody else wants the c in between.
  bool one_sequence(const Chain& chain) const {
    for (size_t t = 0; t + 1 < chain.size(); ++t)
      if (uses_[size_t(chain[t].next_c)] != 2) return false;  // tanh(c), and the next step
    std::vector<bool> seen(graph_.values.size()), made(graph_.values.size());
    std::vector<ValueId> open;
    for (const LstmCell& cell : chain) open.push_back(cell.x), made[size_t(cell.next_h)] = made[size_t(cell.next_c)] = true;
    while (!open.empty()) {
      const ValueId v = open.back();
      open.pop_back();
      if (v == ValueId::none || seen[size_t(v)]) continue;
      seen[size_t(v)] = true;
      if (made[size_t(v)]) return false;
      if (const Node* node = producer(v)) open.insert(open.end(), node->inputs.begin(), node->inputs.end());
    }
    return true;
  }

  ValueId unsqueeze(ValueId v, const Origins& origins) { return rewriter_.add(schema::Unsqueeze{}, {v, graph().add_constant(make_ints({0}))}, origins)[0]; }
  ValueId squeeze(ValueId v, int64_t axis, const Origins& origins) { return rewriter_.add(schema::Squeeze{}, {v, graph().add_constant(make_ints({axis}))}, origins)[0]; }

  // [1,4H,rows], the gates in ONNX's order.
  ValueId weights(const LstmCell& cell, const CellWeights& from) {
    Object object;
    const View to = object.set_tensor(DType::f32, Shape{1, 4 * cell.hidden, from.rows});
    auto* out = reinterpret_cast<float*>(to.data);
    for (const int64_t gate : cell.gates)
      for (int64_t unit = 0; unit < cell.hidden; ++unit)
        for (int64_t row = 0; row < from.rows; ++row) *out++ = from.at(row, gate + unit);
    return graph().add_constant(make_constant(std::as_const(object).view()));
  }
  // [1,8H]: all of them as those of W.
  ValueId biases(const LstmCell& cell) {
    if (cell.biases.empty()) return ValueId::none;
    Object object;
    const View to = object.set_tensor(DType::f32, Shape{1, 8 * cell.hidden});
    std::fill_n(to.data, to.bytes(), std::byte{});
    auto* out = reinterpret_cast<float*>(to.data);
    for (const int64_t gate : cell.gates)
      for (int64_t unit = 0; unit < cell.hidden; ++unit, ++out)
        for (const ConstantPtr& bias : cell.biases) *out += reinterpret_cast<const float*>(bias->data)[gate + unit];
    return graph().add_constant(make_constant(std::as_const(object).view()));
  }
  // y [T,1,B,H], h and c [1,B,H].
  ValueIds add_op(const LstmCell& cell, ValueId x, ValueId h, ValueId c, const Origins& origins) {
    schema::Rnn op;
    op.hidden = cell.hidden;
    return rewriter_.add(std::move(op), {x, weights(cell, cell.w), weights(cell, cell.r), biases(cell), ValueId::none, unsqueeze(h, origins), unsqueeze(c, origins)}, origins, 3);
  }

  void fuse_chain(const Chain& chain) {
    Origins origins;
    ValueIds steps;
    for (const LstmCell& cell : chain) origins.insert(origins.end(), cell.origins.begin(), cell.origins.end());
    for (const LstmCell& cell : chain) steps.push_back(unsqueeze(cell.x, origins));
    const ValueId x = steps.size() == 1 ? steps[0] : rewriter_.add(schema::Concat{0}, steps, origins)[0];
    const ValueIds out = add_op(chain[0], x, chain[0].h, chain[0].c, origins);
    for (size_t t = 0; t + 1 < chain.size(); ++t) {
      const ValueId step = rewriter_.add(schema::Gather{0}, {out[0], graph().add_constant(make_scalar(DType::i64, int64_t(t)))}, origins)[0];
      rewriter_.replace(chain[t].next_h, squeeze(step, 0, origins));
    }
    rewriter_.replace(chain.back().next_h, squeeze(out[1], 0, origins));
    rewriter_.replace(chain.back().next_c, squeeze(out[2], 0, origins));
  }

  // The trip count is the extent of x's first dim.
  bool covers(ValueId trips, ValueId x) const {
    const auto integer = [&](ValueId v) -> std::optional<int64_t> {
      const Constant* c = graph_[v].constant.get();
      return c && schema::is_integer(c->dtype) && c->view().elements() == 1 ? std::optional(load<Int>(c->view(), 0).v) : std::nullopt;
    };
    const Type& type = graph_[x].type;
    if (const auto known = integer(trips)) return type.dims[0] == Dim(*known);
    const auto [gather, op] = made_by<schema::Gather>(trips);
    const auto [shape, range] = made_by<schema::Shape>(op ? gather->inputs[0] : ValueId::none);
    return range && range->start == 0 && shape->inputs[0] == x && integer(gather->inputs[1]) == 0;
  }

  // Loop(trips, true, h, c, captures): x = captured[iteration], a cell, and h as what it collects.
  void fuse_loop(const Node node) {
    const Graph& body = *node.bodies[0];
    const size_t collected = body.outputs.size() - 3;
    if (node.op.get_if<schema::Loop>()->carried != 2 || body.outputs.size() < 3 || node.inputs[0] == ValueId::none) return;
    const auto always = [](const Graph& graph, ValueId v) {
      const Constant* c = v == ValueId::none ? nullptr : graph[v].constant.get();
      return c && c->dtype == DType::boolean && c->view().elements() == 1 && load<Int>(c->view(), 0).v;
    };
    const bool started = node.inputs[1] == ValueId::none || always(graph_, node.inputs[1]);
    if (!started || (!always(body, body.outputs[0].value) && body.outputs[0].value != body.inputs[1])) return;
    // h and c, in either order.
    for (const size_t at : {1, 2}) {
      const size_t other = 3 - at;
      const auto is_state = [&](ValueId v) { return v == body.inputs[1 + at]; };
      const auto cell = LstmCells(body).find(body.outputs[at].value, is_state);
      if (!cell || cell->next_c != body.outputs[other].value || cell->h != body.inputs[1 + at] || cell->c != body.inputs[1 + other]) continue;
      for (size_t k = 0; k < collected; ++k)
        if (body.outputs[3 + k].value != cell->next_h) return;
      const auto [gather, op] = Match(body).made_by<schema::Gather>(cell->x);
      if (!op || op->axis != 0 || gather->inputs[1] != body.inputs[0]) return;
      const auto capture = std::ranges::find(body.inputs, gather->inputs[0]);
      if (capture - body.inputs.begin() < 4) return;
      const ValueId x = node.inputs[size_t(capture - body.inputs.begin())];
      const Type& type = graph_[x].type;
      if (!type.ranked || type.rank() != 3 || !covers(node.inputs[0], x)) return;
      const ValueIds out = add_op(*cell, x, node.inputs[1 + at], node.inputs[1 + other], node.origins);
      const auto give = [&](size_t k, ValueId v, int64_t axis) {
        if (k < node.outputs.size() && node.outputs[k] != ValueId::none) rewriter_.replace(node.outputs[k], squeeze(v, axis, node.origins));
      };
      give(at - 1, out[1], 0), give(other - 1, out[2], 0);
      for (size_t k = 0; k < collected; ++k) give(2 + k, out[0], 1);
      return;
    }
  }

  Rewriter rewriter_;
  std::vector<int64_t> uses_;  // by value
};
}  // namespace

bool fuse_cells(Graph& graph) {
  const bool here = CellFuser(graph).run();  // a Loop before what is in it
  return change_bodies(graph, fuse_cells) || here;
}
}  // namespace converter
