// Activations that exporters write as several nodes become the one they are: SiLU, hard swish, mish and both forms of GELU
// are all products of x and a function of x.
#include <algorithm>
#include "converter/convert.h"
#include "engine/passes/match.h"

namespace converter {
using namespace engine;
using schema::BinaryKind, schema::UnaryKind;
namespace {
class Activations : Match {
 public:
  explicit Activations(Graph& graph) : Match(graph), rewriter_(graph) {}

  bool run() {
    for (size_t n = 0, count = graph_.nodes.size(); n < count; ++n) {
      const Node node = graph_.nodes[n];
      const auto* op = node.op.get_if<schema::Binary>();
      if (!op || (op->kind != BinaryKind::mul && op->kind != BinaryKind::div)) continue;
      const ValueId y = node.outputs[0];
      std::optional<Found> found;
      for (int depth = 4; depth && !found; --depth) found = activation(product(y, ValueId::none, depth));
      if (!found || !graph_[found->x].type.ranked || graph_[found->x].type != graph_[y].type) continue;
      const ValueId fused = rewriter_.add(found->op, {found->x}, node.origins)[0];
      rewriter_.graph[fused].name = graph_[y].name;
      rewriter_.replace(y, fused);
    }
    return rewriter_.commit();
  }

 private:
  // A tree of products and quotients by constants, as a constant and what it multiplies.
  struct Product {
    double constant = 1;
    ValueIds factors;
  };
  struct Found {
    schema::Unary op;
    ValueId x;
  };

  // v = x + c, either way round.
  bool sum(ValueId v, double c, ValueId& x) const {
    ValueId a, b;
    if (!binary(v, BinaryKind::add, a, b)) return false;
    for (const auto& [value, other] : {std::pair(a, b), std::pair(b, a)})
      if (const auto constant = number(value); constant && near(*constant, c, v)) {
        x = other;
        return true;
      }
    return false;
  }

  // Not looking into `whole`.
  Product product(ValueId v, ValueId whole, int depth = 4) const {
    if (v == whole) return {1, {v}};
    if (const auto constant = number(v)) return {*constant, {}};
    const auto [node, op] = made_by<schema::Binary>(v);
    if (depth && op && op->kind == BinaryKind::mul) {
      Product a = product(node->inputs[0], whole, depth - 1), b = product(node->inputs[1], whole, depth - 1);
      a.constant *= b.constant;
      a.factors.insert(a.factors.end(), b.factors.begin(), b.factors.end());
      return a;
    }
    if (depth && op && op->kind == BinaryKind::div)
      if (const auto constant = number(node->inputs[1])) {
        Product a = product(node->inputs[0], whole, depth - 1);
        a.constant /= *constant;
        return a;
      }
    if (op && op->kind == BinaryKind::pow)
      if (const auto power = number(node->inputs[1]); power && (*power == 2 || *power == 3))
        return {1, ValueIds(size_t(*power), node->inputs[0])};
    return {1, {v}};
  }
  bool is(const Product& p, double constant, std::initializer_list<ValueId> factors) const {
    return near(p.constant, constant, *factors.begin()) && std::ranges::is_permutation(p.factors, factors);
  }

  std::optional<Found> activation(const Product& p) const {
    if (p.factors.size() != 2) return std::nullopt;
    for (int k : {0, 1}) {
      const ValueId x = p.factors[size_t(k)], gate = p.factors[size_t(1 - k)];
      ValueId inner;
      const auto found = [&](UnaryKind kind, double scale, double a = 0) {
        return near(p.constant, scale, x) ? std::optional(Found{{kind, a, 0}, x}) : std::nullopt;
      };
      if (unary(gate, UnaryKind::sigmoid, inner)) {
        const Product argument = product(inner, x);
        if (inner == x) return found(UnaryKind::silu, 1, 1);
        if (argument.factors == ValueIds{x}) return found(UnaryKind::silu, 1, argument.constant);
      }
      if (const auto* op = unary(gate, UnaryKind::hard_sigmoid, inner); op && inner == x && near(op->a, 1. / 6, x) && op->b == 0.5)
        return found(UnaryKind::hard_swish, 1);
      ValueId shifted;
      if (const auto* op = unary(gate, UnaryKind::clip, shifted); op && op->a == 0 && op->b == 6 && sum(shifted, 3, inner) && inner == x)
        return found(UnaryKind::hard_swish, 1. / 6);
      ValueId soft;
      if (unary(gate, UnaryKind::tanh, soft) && unary(soft, UnaryKind::softplus, inner) && inner == x) return found(UnaryKind::mish, 1);
      ValueId function;
      if (!sum(gate, 1, function)) continue;
      if (unary(function, UnaryKind::erf, inner) && is(product(inner, x), std::sqrt(0.5), {x})) return found(UnaryKind::gelu, 0.5);
      if (unary(function, UnaryKind::tanh, inner) && is_gelu_argument(product(inner, x), x)) return found(UnaryKind::gelu_tanh, 0.5);
    }
    return std::nullopt;
  }

  // sqrt(2/π)·(x + 0.044715·x³), or with x taken out of the sum.
  bool is_gelu_argument(const Product& p, ValueId x) const {
    constexpr double outer = 0.79788456080286535588, cubic = 0.044715;
    if (p.factors.size() == 2) {
      ValueId square;
      for (int k : {0, 1})
        if (p.factors[size_t(k)] == x && sum(p.factors[size_t(1 - k)], 1, square)) return near(p.constant, outer, x) && is(product(square, x), cubic, {x, x});
      return false;
    }
    const auto [node, op] = made_by<schema::Binary>(p.factors.size() == 1 ? p.factors[0] : ValueId::none);
    if (!op || op->kind != BinaryKind::add || !near(p.constant, outer, x)) return false;
    return std::ranges::any_of(std::initializer_list<size_t>{0, 1}, [&, &inputs = node->inputs](size_t k) {
      return inputs[k] == x && is(product(inputs[1 - k], x), cubic, {x, x, x});
    });
  }

  Rewriter rewriter_;
};
}  // namespace

bool fuse_activations(Graph& graph) {
  const bool inner = change_bodies(graph, fuse_activations);
  return Activations(graph).run() || inner;
}
}  // namespace converter
