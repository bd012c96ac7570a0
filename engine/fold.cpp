#include "engine/fold.h"
#include <algorithm>
#include "engine/plan.h"
#include "kernels/threads.h"

namespace engine {
ConstantPtr fold(const Graph& graph, const Node& node, size_t k) {
  const Value& out = graph[node.outputs[k]];
  if (out.constant) return out.constant;
  if (!out.type.is_tensor()) return nullptr;
  if (out.ints && std::ranges::all_of(*out.ints, &Dim::known) && out.type.determined()) {
    Object object;
    const View view = object.set_tensor(out.type.dtype, out.type.shape());
    for (size_t i = 0; i < out.ints->size(); ++i) store(view, int64_t(i), Int((*out.ints)[i].value()));
    return make_constant(std::as_const(object).view());
  }
  // The application's code runs when the model does, and not before. A picture's pixels take more room than its file, and
  // may differ by the version of the library that decodes it.
  const OpId op = node.op.id();
  if (!node.bodies.empty() || node.inputs.empty() || op == OpId::Custom || op == OpId::ImageDecoder || is_random(node.op)) return nullptr;
  for (ValueId v : node.inputs)
    if (v != ValueId::none && !graph[v].constant) return nullptr;
  for (ValueId v : node.outputs) {
    const Type& type = graph[v].type;
    if (!type.is_tensor()) return nullptr;
    if (type.determined() && bytes_of(type.dtype, type.shape()) > limits::folded_bytes) return nullptr;
  }
  const double work = work_of(node.op, types_of(graph, node.inputs), types_of(graph, node.outputs));
  if (work > limits::folded_work) return nullptr;
  if (const auto& budget = Budget::current()) budget->spend(work);
  RunContext context;
  std::vector<Object> objects(node.outputs.size());
  for (ValueId v : node.inputs)
    context.in_.push_back(v == ValueId::none ? RunContext::Input{{}, false} : RunContext::Input{graph[v].constant->view()});
  for (size_t i = 0; i < objects.size(); ++i) {
    const Type& type = graph[node.outputs[i]].type;
    View view{type.dtype, {}, nullptr, &objects[i]};
    if (type.determined()) view = objects[i].set_tensor(type.dtype, type.shape());
    context.out_.push_back({view, true, !type.determined()});
  }
  return with_context(
      [&] {
        reference(node.op, context);
        return make_constant(std::as_const(objects[k]).view());
      },
      [&] { return to_text(node.origins); });
}
}  // namespace engine
