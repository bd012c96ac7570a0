#include <algorithm>
#include "engine/op.h"
#include "engine/ops/strides.h"
#include "kernels/transpose/transpose.h"

namespace engine {
namespace {
using schema::Ints, schema::Transpose;

// The permutation in full.
Ints full(const Transpose& op, int64_t rank) {
  Ints perm = op.perm;
  if (perm.empty())
    for (int64_t d = rank; d-- > 0;) perm.push_back(d);
  check(int64_t(perm.size()) == rank, "permutation ", to_text(perm), " does not fit rank ", rank);
  std::vector<bool> seen(perm.size());
  for (int64_t& d : perm) {
    d = normal_axis(d, rank, "permutation: dim");
    check(!seen[size_t(d)], to_text(op.perm), " is not a permutation");
    seen[size_t(d)] = true;
  }
  return perm;
}

Types infer(const Transpose& op, const InferContext& in) {
  in.expect_inputs(1, 1);
  in.expect_tensor(0);
  const Type& x = in.in(0);
  if (!x.ranked) {
    if (op.perm.empty()) return {Type::unranked(x.dtype)};
    const Ints perm = full(op, int64_t(op.perm.size()));
    return {Type::tensor(x.dtype, Dims(perm.size(), Dim::unknown()))};
  }
  Dims dims;
  for (int64_t d : full(op, x.rank())) dims.push_back(x.dims[d]);
  return {Type::tensor(x.dtype, dims)};
}

void reference(const Transpose& op, RunContext& c) {
  const ConstView& x = c.in(0);
  const Extents from = dense_strides(x.shape);
  Extents strides;
  for (int64_t d = 0; d < x.rank(); ++d) strides.push_back(from[op.perm.empty() ? x.rank() - 1 - d : normal_axis(op.perm[d], x.rank())]);
  copy_strided(c.out(0), x, strides);
}

std::optional<Lowered> lower(const Transpose& op, const LowerContext& c) {
  const Type& x = c.in(0);
  if (x.dtype == DType::string || bits_of(x.dtype) % 8) return std::nullopt;
  const Ints perm = full(op, x.rank());
  auto choice = kernels::transpose::select({bits_of(x.dtype) / 8, x.shape(), std::vector<int>(perm.begin(), perm.end())}, c.isa);
  if (!choice) return std::nullopt;
  return Lowered{choice.name, [kernel = std::move(choice.kernel)](RunContext& r) { kernel.run(r.in(0).data, r.out(0).data, r.pool(), r.threads()); }};
}

// One that moves nothing goes; two become one.
void simplify(const Transpose& op, NodeId n, Rewriter& rewriter) {
  const Graph& graph = rewriter.graph;
  const Node node = graph[n];
  const Type& x = graph[node.inputs[0]].type;
  if (!x.ranked) return;
  const Ints perm = full(op, x.rank());
  if (std::ranges::is_sorted(perm)) return rewriter.replace(node.outputs[0], node.inputs[0]);
  const NodeId producer = graph[node.inputs[0]].producer;
  if (producer == NodeId::none) return;
  const Node inner = graph[producer];
  const auto* first = inner.op.get_if<Transpose>();
  if (!first) return;
  const Ints before = full(*first, x.rank());
  Ints both;
  for (int64_t d : perm) both.push_back(before[d]);
  if (std::ranges::is_sorted(both)) return rewriter.replace(node.outputs[0], inner.inputs[0]);
  Origins origins = inner.origins;
  origins.insert(origins.end(), node.origins.begin(), node.origins.end());
  rewriter.replace(node.outputs[0], rewriter.add(Transpose{both}, {inner.inputs[0]}, origins)[0]);
}
}  // namespace

const OpDef<Transpose>& def(const Transpose&) {
  static constexpr OpDef<Transpose> def{.infer = infer, .reference = reference, .lower = lower, .simplify = simplify};
  return def;
}
}  // namespace engine
