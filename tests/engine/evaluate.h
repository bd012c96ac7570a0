// Runs a graph node by node with the references: what tests of the importer and of passes compare.
#pragma once
#include "engine/op.h"
#include "engine/shape.h"
#include "kernels/threads.h"

namespace engine::test {
std::vector<Object> evaluate(const Graph&, std::span<const ConstView> inputs);

inline Type type_of(const ConstView& v) {
  if (!v.object || v.object->kind == ValueKind::tensor)
    return Type::tensor(v.dtype, Shape(v.shape.begin(), v.shape.end()));
  const Type element = v.object->items.empty() ? Type::unranked(v.dtype) : type_of(v.object->items[0].view());
  const Type any = element.is_tensor() ? Type::unranked(element.dtype) : element;
  return v.object->kind == ValueKind::sequence ? Type::sequence(any) : Type::optional(element);
}

class GraphRunner : public BodyRunner {
 public:
  explicit GraphRunner(const Graph& graph) : graph_(graph) {}
  Types output_types() const override { return engine::output_types(graph_); }
  std::span<const ConstView> run(std::span<const ConstView> inputs) override {
    objects_ = evaluate(graph_, inputs);
    views_.clear();
    for (const Object& o : objects_) views_.push_back(o.view());
    return views_;
  }

 private:
  const Graph& graph_;
  std::vector<Object> objects_;
  std::vector<ConstView> views_;
};

inline std::vector<Object> evaluate(const Graph& graph, std::span<const ConstView> inputs) {
  check(inputs.size() == graph.inputs.size(), "the graph has ", graph.inputs.size(), " inputs, not ", inputs.size());
  std::vector<Object> values(graph.values.size());
  const auto view_of = [&](ValueId v) {
    return graph[v].constant ? graph[v].constant->view() : std::as_const(values[size_t(v)]).view();
  };
  for (size_t k = 0; k < inputs.size(); ++k) {
    const Type &declared = graph[graph.inputs[k]].type, given = type_of(inputs[k]);
    check(declared.kind == ValueKind::optional || compatible(declared, given), "input ", k, " is ", to_text(given),
          " instead of ", to_text(declared));
    values[size_t(graph.inputs[k])].assign(inputs[k]);
  }
  kernels::ThreadPool pool(1);
  for (const Node& node : graph.nodes) {
    Graph one;  // the node with inputs that are known
    Node copy = node;
    RunContext context;
    for (ValueId& v : copy.inputs) {
      if (v == ValueId::none) {
        context.in_.push_back({{}, false});
        continue;
      }
      const ConstView view = view_of(v);
      context.in_.push_back({view});
      v = view.object && view.object->kind != ValueKind::tensor
              ? one.add_input("", type_of(view))
              : one.add_constant(std::make_shared<Constant>(
                    Constant{view.dtype, Shape(view.shape.begin(), view.shape.end()), view.data, nullptr, nullptr}));
    }
    with_context([&] {
      const Types types = infer(one, copy);
      for (size_t k = 0; k < types.size(); ++k) {
        if (node.outputs[k] == ValueId::none) {
          context.out_.push_back({{}, false, false});
          continue;
        }
        check(compatible(graph[node.outputs[k]].type, types[k]) || !types[k].is_tensor(), "output ", k, " is ",
              to_text(types[k]), " instead of ", to_text(graph[node.outputs[k]].type));
        Object& object = values[size_t(node.outputs[k])];
        View view{types[k].dtype, {}, nullptr, &object};
        const bool placed = types[k].is_tensor() && types[k].determined();
        if (placed) view = object.set_tensor(types[k].dtype, types[k].shape());
        context.out_.push_back({view, true, !placed});
      }
      std::vector<std::unique_ptr<GraphRunner>> bodies;
      for (const auto& body : node.bodies)
        context.bodies_.push_back(bodies.emplace_back(std::make_unique<GraphRunner>(*body)).get());
      context.pool_ = &pool;
      reference(node.op, context);
    }, to_text(node.origins));
  }
  std::vector<Object> outputs(graph.outputs.size());
  for (size_t k = 0; k < outputs.size(); ++k) outputs[k].assign(view_of(graph.outputs[k].value));
  return outputs;
}
}  // namespace engine::test
