// What the passes that recognise several nodes as one ask of a graph.
#pragma once
#include <cmath>
#include <optional>
#include "engine/op.h"

namespace engine {
class Match {
 public:
  explicit Match(const Graph& graph) : graph_(graph) {}

  const Node* producer(ValueId v) const {
    return v == ValueId::none || graph_[v].producer == NodeId::none ? nullptr : &graph_[graph_[v].producer];
  }
  // The node that makes v, if it is of this op.
  template <class Op> std::pair<const Node*, const Op*> made_by(ValueId v) const {
    const Node* node = producer(v);
    const Op* op = node ? node->op.get_if<Op>() : nullptr;
    return {op ? node : nullptr, op};
  }
  // A constant of one element.
  std::optional<double> number(ValueId v) const {
    const Constant* c = v == ValueId::none ? nullptr : graph_[v].constant.get();
    if (!c || !schema::is_real(c->dtype) || c->view().elements() != 1) return std::nullopt;
    return load<double>(c->view(), 0);
  }
  // Of which v is a function: its input, if the function is of this kind.
  const schema::Unary* unary(ValueId v, schema::UnaryKind kind, ValueId& x) const {
    const auto [node, op] = made_by<schema::Unary>(v);
    if (!op || op->kind != kind) return nullptr;
    x = node->inputs[0];
    return op;
  }
  // v = a kind b.
  bool binary(ValueId v, schema::BinaryKind kind, ValueId& a, ValueId& b) const {
    const auto [node, op] = made_by<schema::Binary>(v);
    if (!op || op->kind != kind) return false;
    a = node->inputs[0], b = node->inputs[1];
    return true;
  }
  // Exporters round constants to the model's dtype.
  bool near(double a, double b, ValueId like) const {
    const DType dtype = graph_[like].type.dtype;
    return std::fabs(a - b) <= (dtype == DType::f32 || dtype == DType::f64 ? 1e-5 : 1e-3) * std::fabs(b);
  }

 protected:
  const Graph& graph_;
};
}  // namespace engine
