#include "engine/op.h"
#include "engine/passes/splice.h"
#include "engine/shape.h"

namespace engine {
namespace {
using schema::If;

// Which body a constant condition chooses; -1: it is not known.
int chosen(const ConstantPtr& condition) {
  if (!condition) return -1;
  check(condition->view().elements() == 1, "the condition must have one element");
  return load<Int>(condition->view(), 0).v ? 0 : 1;
}

Types infer(const If&, const InferContext& in) {
  in.expect_inputs(1, size_t(limits::ports));
  in.expect_dtype(0, {DType::boolean});
  check(in.bodies() == 2, "has ", in.bodies(), " bodies instead of 2");
  Types captures;
  std::vector<std::optional<Dims>> ints;
  for (size_t k = 1; k < in.inputs(); ++k) captures.push_back(in.in(k)), ints.push_back(in.ints(k));
  std::optional<Types> result;
  std::string error;
  Code code = Code::invalid_model;
  const int only = chosen(in.constant(0));
  for (int k = 0; k < 2; ++k) {
    if (only >= 0 && only != k) continue;
    Types types;
    try {
      types = infer_body(in.body(size_t(k)), captures, ints);
    } catch (const Error& e) {  // sizes that only the other branch takes
      error = cat(k ? "else: " : "then: ", e.what()), code = e.code;
      continue;
    }
    check(types.size() >= in.outputs(), "branch ", k, " has ", types.size(), " outputs instead of ", in.outputs());
    types.resize(in.outputs());
    for (size_t i = 0; result && i < types.size(); ++i) {
      const Type &a = (*result)[i], &b = types[i];
      check(a.kind == b.kind && a.dtype == b.dtype, "output ", i, " is ", a, " in one branch and ", b, " in the other");
      types[i] = generalise(a, b);
    }
    result = std::move(types);
  }
  require(result.has_value(), code, error);
  return *result;
}

void reference(const If&, RunContext& c) {
  check(c.in(0).elements() == 1, "the condition must have one element");
  const auto captures = c.workspace<ConstView>(c.inputs() - 1);
  for (size_t k = 1; k < c.inputs(); ++k) captures[k - 1] = c.in(k);
  const auto out = c.body(load<Int>(c.in(0), 0).v ? 0 : 1).run(captures);
  for (size_t k = 0; k < c.outputs(); ++k)
    if (c.wants(k)) c.set_out(k, out[k]);
}

// The body that a constant condition chooses takes the node's place.
void simplify(const If&, NodeId n, Rewriter& rewriter) {
  const Node node = rewriter.graph[n];
  const int only = chosen(rewriter.graph[node.inputs[0]].constant);
  if (only < 0) return;
  const ValueIds outputs = splice(rewriter, *node.bodies[size_t(only)], ValueIds(node.inputs.begin() + 1, node.inputs.end()));
  for (size_t k = 0; k < node.outputs.size(); ++k)
    if (node.outputs[k] != ValueId::none) rewriter.replace(node.outputs[k], outputs[k]);
}
}  // namespace

const OpDef<If>& def(const If&) {
  static constexpr OpDef<If> def{.infer = infer, .reference = reference, .simplify = simplify};
  return def;
}
}  // namespace engine
