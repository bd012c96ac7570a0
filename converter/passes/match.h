// What the passes that recognise an exporter's nodes ask of a graph.
#pragma once
#include <cmath>
#include <optional>
#include "engine/op.h"

namespace converter {
class Match {
 public:
  explicit Match(const engine::Graph& graph) : graph_(graph) {}

  const engine::Node* producer(engine::ValueId v) const {
    return v == engine::ValueId::none || graph_[v].producer == engine::NodeId::none ? nullptr : &graph_[graph_[v].producer];
  }
  // The node that makes v, if it is of this op.
  template <class Op> std::pair<const engine::Node*, const Op*> made_by(engine::ValueId v) const {
    const engine::Node* node = producer(v);
    const Op* op = node ? node->op.get_if<Op>() : nullptr;
    return {op ? node : nullptr, op};
  }
  // A constant of one element.
  std::optional<double> number(engine::ValueId v) const {
    const engine::Constant* c = v == engine::ValueId::none ? nullptr : graph_[v].constant.get();
    if (!c || !schema::is_real(c->dtype) || c->view().elements() != 1) return std::nullopt;
    return engine::load<double>(c->view(), 0);
  }
  // Of which v is a function: its input, if the function is of this kind.
  const schema::Unary* unary(engine::ValueId v, schema::UnaryKind kind, engine::ValueId& x) const {
    const auto [node, op] = made_by<schema::Unary>(v);
    if (!op || op->kind != kind) return nullptr;
    x = node->inputs[0];
    return op;
  }
  // v = a kind b.
  bool binary(engine::ValueId v, schema::BinaryKind kind, engine::ValueId& a, engine::ValueId& b) const {
    const auto [node, op] = made_by<schema::Binary>(v);
    if (!op || op->kind != kind) return false;
    a = node->inputs[0], b = node->inputs[1];
    return true;
  }
  // Exporters round constants to the model's dtype.
  bool near(double a, double b, engine::ValueId like) const {
    using schema::DType;
    const DType dtype = graph_[like].type.dtype;
    return std::fabs(a - b) <= (dtype == DType::f32 || dtype == DType::f64 ? 1e-5 : 1e-3) * std::fabs(b);
  }

 protected:
  const engine::Graph& graph_;
};
}  // namespace converter
