#include "engine/custom.h"
#include <mutex>
#include "engine/shape.h"

namespace engine {
namespace {
using schema::Custom;
using CustomOpPtr = std::shared_ptr<const CustomOp>;

// What is registered in this process, by binding. A binding is never used twice.
struct Table {
  std::mutex mutex;
  std::map<int64_t, CustomOpPtr> ops;
  int64_t last = 0;
};
Table& table() {
  static Table& table = *new Table;  // outlives every handle, also those that are destroyed at exit
  return table;
}

std::string title(const Custom& op) {
  return cat('\'', op.domain.empty() ? "ai.onnx" : op.domain, "::", op.name, '\'');
}

CustomOpPtr implementation(const Custom& op) {
  std::scoped_lock lock(table().mutex);
  const auto at = table().ops.find(op.binding);
  require(at != table().ops.end(), Code::unsupported, "custom op ", title(op), " is not registered",
          op.binding ? " any more" : "");
  return at->second;
}

// What foreign code throws becomes an Error.
template <class F> decltype(auto) guarded(F&& f) {
  try {
    return f();
  } catch (const Error&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& e) {
    fail(Code::internal, e.what());
  }
}

Types infer(const Custom& op, const InferContext& in) {
  check(!op.name.empty(), "a custom op has no name");
  check(!op.outputs.empty() && op.outputs.size() == in.outputs(), "custom op ", title(op), " has ", op.outputs.size(),
        " outputs, not ", in.outputs());
  Types declared;
  for (DType dtype : op.outputs) declared.push_back(Type::unranked(dtype));
  if (!op.binding) return declared;
  const CustomOpPtr custom = implementation(op);
  if (!custom->infer) return declared;
  Types inputs;
  for (size_t k = 0; k < in.inputs(); ++k) inputs.push_back(in.has(k) ? in.in(k) : absent_type());
  Types types = guarded([&] { return custom->infer(op, inputs); });
  check(types.size() == op.outputs.size(), "the implementation of ", title(op), " tells ", types.size(),
        " output types, not ", op.outputs.size());
  for (const Type& type : types) {
    check(type.is_tensor(), "an output of ", title(op), " is no tensor");
    check(type.rank() <= limits::rank, "an output of ", title(op), " has rank ", type.rank());
    for (const Dim& d : type.dims)
      check(!d.known() || (d.value() >= 0 && d.value() <= limits::extent), "an output of ", title(op),
            " has the extent ", d.text());
  }
  return types;
}

void run(const Custom& op, const CustomOp& custom, RunContext& c) {
  constexpr int64_t unset = -1;
  for (size_t k = 0; k < c.outputs(); ++k)
    if (c.wants(k) && !c.sized(k)) c.object(k).shape.assign(1, unset);
  guarded([&] { custom.run(op, c); });
  for (size_t k = 0; k < c.outputs(); ++k) {
    if (!c.wants(k) || c.sized(k)) continue;
    const Object& y = c.object(k);
    check(y.shape.size() != 1 || y.shape[0] != unset, title(op), " has not set output ", k);
    check(y.kind == ValueKind::tensor && y.dtype == c.out(k).dtype, title(op), " has set output ", k, " to ",
          to_text(Type::tensor(y.dtype, y.shape)), ", where ", name(c.out(k).dtype), " was expected");
  }
}

void reference(const Custom& op, RunContext& c) { run(op, *implementation(op), c); }

std::optional<Lowered> lower(const Custom& op, const LowerContext&) {
  return Lowered{"custom", [op, custom = implementation(op)](RunContext& c) { run(op, *custom, c); }, 0};
}

// f(op, node) for every custom op of the graph and its bodies.
template <class F> void each_custom(const Graph& graph, F&& f) {
  for (const Node& node : graph.nodes) {
    if (const auto* op = node.op.get_if<Custom>()) f(*op, node);
    for (const auto& body : node.bodies) each_custom(*body, f);
  }
}

// True if there was anything to bind.
bool bind(Graph& graph, const CustomOpSet& set) {
  bool any = false;
  for (Node& node : graph.nodes) {
    for (auto& body : node.bodies) {
      Graph copy = *body;
      if (bind(copy, set)) body = std::make_shared<const Graph>(std::move(copy)), any = true;
    }
    const auto* op = node.op.get_if<Custom>();
    if (!op) continue;
    if (const int64_t binding = set.find(op->domain, op->name)) {
      Custom bound = *op;
      bound.binding = binding;
      node.op = bound;
      any = true;
    }
  }
  if (any) infer_types(graph);
  return any;
}
}  // namespace

const OpDef<Custom>& def(const Custom&) {
  static constexpr OpDef<Custom> def{.infer = infer, .reference = reference, .lower = lower};
  return def;
}

CustomOpSet::CustomOpSet(std::vector<CustomOp> ops) {
  for (const CustomOp& op : ops) {
    require(!op.name.empty() && op.run, Code::invalid_argument, "custom op '", op.domain, "::", op.name, "' has no ",
            op.run ? "name" : "function to run");
    const auto [_, fresh] = bindings_.emplace(std::pair(op.domain, op.name), 0);
    require(fresh, Code::invalid_argument, "custom op '", op.domain, "::", op.name, "' is given twice");
  }
  std::scoped_lock lock(table().mutex);
  for (CustomOp& op : ops) {
    const int64_t binding = bindings_[{op.domain, op.name}] = ++table().last;
    table().ops.emplace(binding, std::make_shared<const CustomOp>(std::move(op)));
  }
}

CustomOpSet::~CustomOpSet() {
  std::vector<CustomOpPtr> released;  // destroyed without the lock: what the application captured may do anything
  std::scoped_lock lock(table().mutex);
  for (const auto& [_, binding] : bindings_) released.push_back(std::move(table().ops.extract(binding).mapped()));
}

int64_t CustomOpSet::find(const std::string& domain, const std::string& name) const {
  const auto at = bindings_.find({domain, name});
  return at == bindings_.end() ? 0 : at->second;
}

std::shared_ptr<const CustomOpSet> make_custom_ops(std::vector<CustomOp> ops) {
  return std::make_shared<const CustomOpSet>(std::move(ops));
}

void require_custom_ops(const Graph& graph) {
  std::string list;
  size_t count = 0;
  each_custom(graph, [&](const Custom& op, const Node& node) {
    if (op.binding) return;
    list +=
        cat(count++ ? "\n  " : "", "custom op ", title(op), " of node ", to_text(node.origins), " is not registered");
  });
  require(!count, Code::unsupported, list);
}

void bind_custom_ops(Graph& graph, const CustomOpSet& set) {
  bind(graph, set);
  require_custom_ops(graph);
}
}  // namespace engine
