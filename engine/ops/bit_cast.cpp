#include "engine/op.h"

namespace engine {
namespace {
using schema::BitCast;

Types infer(const BitCast& op, const InferContext& in) {
  in.expect_inputs(1, 1);
  in.expect_tensor(0);
  Type y = in.in(0);
  check(y.dtype != DType::string && op.to != DType::string, "strings have no bits of another dtype");
  check(bits_of(y.dtype) == bits_of(op.to), "an element of ", name(y.dtype), " has ", bits_of(y.dtype),
        " bits, and one of ", name(op.to), " has ", bits_of(op.to));
  y.dtype = op.to;
  return {y};
}

void reference(const BitCast& op, RunContext& c) { copy_tensor(c.set_out(0, op.to, c.in(0).shape), c.in(0)); }

void simplify(const BitCast& op, NodeId n, Rewriter& rewriter) {
  const Node& node = rewriter.graph[n];
  if (rewriter.graph[node.inputs[0]].type.dtype == op.to) rewriter.replace(node.outputs[0], node.inputs[0]);
}
}  // namespace

const OpDef<BitCast>& def(const BitCast&) {
  static constexpr OpDef<BitCast> def{.infer = infer, .reference = reference, .simplify = simplify, .alias = true};
  return def;
}
}  // namespace engine
