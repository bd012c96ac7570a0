#include "converter/passes/lstm_cell.h"
#include <algorithm>
#include <functional>

namespace converter {
using namespace engine;
using schema::BinaryKind, schema::UnaryKind;

float CellWeights::at(int64_t row, int64_t column) const {
  const auto* data = reinterpret_cast<const float*>(constant->data);
  return transposed ? data[column * constant->shape[1] + first + row] : data[(first + row) * constant->shape[1] + column];
}

bool LstmCell::same_weights(const LstmCell& other) const {
  return w == other.w && r == other.r && biases == other.biases && hidden == other.hidden && gates == other.gates;
}

template <class F> bool LstmCells::factors(ValueId v, const F& f) const {
  ValueId a, b;
  return binary(v, BinaryKind::mul, a, b) && (f(a, b) || f(b, a));
}

// activation(part of z).
std::optional<LstmCells::Gate> LstmCells::gate(ValueId v, UnaryKind activation) const {
  ValueId part;
  const Node* node = unary(v, activation, part) ? producer(part) : nullptr;
  if (!node) return std::nullopt;
  const auto ranges = parts(graph_, *node);
  for (size_t k = 0; k < ranges.size(); ++k)
    if (node->outputs[k] == part && ranges[k].axis == 1) return Gate{node->inputs[0], ranges[k].first};
  return std::nullopt;
}

// z as a sum of products by constants, and of constants.
bool LstmCells::terms(ValueId z, int64_t width, std::vector<Product>& products, LstmCell& cell, int depth) const {
  if (const ConstantPtr& constant = graph_[z].constant) {
    if (constant->dtype != DType::f32 || constant->view().elements() != width || constant->shape.empty() || constant->shape.size() > 2 || constant->shape.back() != width) return false;
    cell.biases.push_back(constant);
    return true;
  }
  ValueId a, b;
  if (depth && binary(z, BinaryKind::add, a, b)) {
    const auto& origins = producer(z)->origins;
    cell.origins.insert(cell.origins.end(), origins.begin(), origins.end());
    return terms(a, width, products, cell, depth - 1) && terms(b, width, products, cell, depth - 1);
  }
  const auto [node, op] = made_by<schema::MatMul>(z);
  const ConstantPtr w = op ? graph_[node->inputs[1]].constant : nullptr;
  if (!w || op->trans_a || op->exact || w->dtype != DType::f32 || w->shape.size() != 2 || w->shape[op->trans_b ? 0 : 1] != width) return false;
  const Type& type = graph_[node->inputs[0]].type;
  if (!type.ranked || type.rank() != 2) return false;
  cell.origins.insert(cell.origins.end(), node->origins.begin(), node->origins.end());
  products.push_back({node->inputs[0], {w, op->trans_b, 0, w->shape[op->trans_b ? 1 : 0]}});
  return true;
}

bool LstmCells::read_products(std::vector<Product> products, const std::function<bool(ValueId)>& is_state, LstmCell& cell) const {
  if (products.size() == 1) {
    const auto [node, op] = made_by<schema::Concat>(products[0].a);
    if (!op || node->inputs.size() != 2 || (op->axis != 1 && op->axis != -1)) return false;
    const Type& first = graph_[node->inputs[0]].type;
    const CellWeights whole = products[0].b;
    if (first.rank() != 2 || !first.dims[1].known() || first.dims[1].value() < 0 || first.dims[1].value() > whole.rows) return false;
    const Dim width = first.dims[1];
    products = {{node->inputs[0], whole}, {node->inputs[1], whole}};
    products[0].b.rows = width.value(), products[1].b.first = width.value(), products[1].b.rows = whole.rows - width.value();
  }
  if (products.size() != 2) return false;
  const auto fits = [&](const Product& p) { return p.b.rows == cell.hidden && graph_[p.a].type == graph_[cell.c].type; };
  const bool second = fits(products[1]) && !(fits(products[0]) && is_state(products[0].a) && !is_state(products[1].a));
  if (!second && !fits(products[0])) return false;
  const Product &h = products[second], &x = products[!second];
  cell.h = h.a, cell.r = h.b, cell.x = x.a, cell.w = x.b;
  return true;
}

std::optional<LstmCell> LstmCells::find(ValueId next_h, const std::function<bool(ValueId)>& is_state) const {
  std::optional<LstmCell> found;
  factors(next_h, [&](ValueId output_gate, ValueId squashed) {
    LstmCell cell;
    cell.next_h = next_h;
    const auto o = gate(output_gate, UnaryKind::sigmoid);
    ValueId p, q;
    if (!o || !unary(squashed, UnaryKind::tanh, cell.next_c) || !binary(cell.next_c, BinaryKind::add, p, q)) return false;
    std::optional<Gate> i, f, g;
    const auto kept = [&](ValueId sum) { return factors(sum, [&](ValueId a, ValueId b) { return (f = gate(a, UnaryKind::sigmoid)) && !gate(b, UnaryKind::tanh) && (cell.c = b, true); }); };
    const auto added = [&](ValueId sum) { return factors(sum, [&](ValueId a, ValueId b) { return (i = gate(a, UnaryKind::sigmoid)) && (g = gate(b, UnaryKind::tanh)); }); };
    if (!(kept(p) && added(q)) && !(kept(q) && added(p))) return false;
    const Type &z = graph_[o->z].type, &state = graph_[next_h].type;
    if (i->z != o->z || f->z != o->z || g->z != o->z || z.dtype != DType::f32 || z.rank() != 2 || !z.dims[1].known()) return false;
    if (graph_[cell.c].type != state || graph_[cell.next_c].type != state || state.rank() != 2 || !state.dims[1].known()) return false;
    cell.hidden = state.dims[1].value(), cell.gates = {i->first, o->first, f->first, g->first};
    std::array<int64_t, 4> sorted = cell.gates;
    std::ranges::sort(sorted);
    for (int64_t k = 0; k < 4; ++k)
      if (sorted[size_t(k)] != k * cell.hidden) return false;
    std::vector<Product> products;
    if (z.dims[1].value() != 4 * cell.hidden || !terms(o->z, 4 * cell.hidden, products, cell) || !read_products(std::move(products), is_state, cell)) return false;
    for (const ValueId v : {o->z, output_gate, squashed, p, q, cell.next_c, next_h})
      if (const Node* node = producer(v)) cell.origins.insert(cell.origins.end(), node->origins.begin(), node->origins.end());
    found = std::move(cell);
    return true;
  });
  return found;
}
}  // namespace converter
