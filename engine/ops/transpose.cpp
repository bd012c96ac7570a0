#include <algorithm>
#include "engine/ops/device_copies.h"
#include "kernels/transpose/transpose.h"

namespace engine {
namespace {
using schema::Ints, schema::Transpose;

// The permutation in full.
Ints full(const Transpose& op, int64_t rank) {
  Ints perm = op.perm;
  if (perm.empty())
    for (int64_t d = rank; d-- > 0;) perm.push_back(d);
  check(
      int64_t(perm.size()) == rank, "permutation ", [&] { return to_text(perm); }, " does not fit rank ", rank);
  std::vector<bool> seen(perm.size());
  for (int64_t& d : perm) {
    d = normal_axis(d, rank, "permutation: dim");
    check(
        !seen[size_t(d)], [&] { return to_text(op.perm); }, " is not a permutation");
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
  dims.reserve(x.dims.size());
  for (int64_t d : full(op, x.rank())) dims.push_back(x.dims[d]);
  return just(Type::tensor(x.dtype, std::move(dims)));
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
  if (c.target) {
    const Extents from = dense_strides(x.shape());
    Extents strides;
    for (int64_t d : perm) strides.push_back(from[size_t(d)]);
    return lower_strided(c, strides);
  }
  auto choice = kernels::transpose::select({bits_of(x.dtype) / 8, x.shape(), std::vector<int>(perm.begin(), perm.end())}, c.isa);
  if (!choice) return std::nullopt;
  return Lowered{choice.name, [kernel = std::move(choice.kernel)](RunContext& r) { kernel.run(r.in(0).data, r.out(0).data, r.pool(), r.threads()); }};
}

// A reshape of a transpose as a transpose of a reshape.
struct Swapped {
  Shape shape;
  Ints perm;
};

// For x of these extents, transposed by `before` and reshaped to `after`. Empty where dims that the reshape joins do not lie
// next to each other in x.
std::optional<Swapped> swap(const Shape& x, const Ints& before, const Shape& after) {
  if (elements(x) == 0) return std::nullopt;
  std::vector<int64_t> places(x.size(), -1);  // of the dims of x that are not 1
  for (int64_t d = 0, n = 0; d < int64_t(x.size()); ++d)
    if (x[d] != 1) places[d] = n++;
  // The fewest dims of the transpose, and of the result, that stand for the same elements.
  struct Group {
    int64_t place;  // in x, of its first dim
    size_t first, last;  // in the result
  };
  std::vector<Group> groups;
  for (size_t i = 0, j = 0; i < before.size() || j < after.size();) {
    Group group{-1, j, j};
    int64_t from = 1, to = 1, next = -1;
    const auto take = [&] {
      const int64_t d = before[i++];
      if (x[d] == 1) return true;
      if (next >= 0 && places[d] != next) return false;
      if (next < 0) group.place = places[d];
      next = places[d] + 1, from *= x[d];
      return true;
    };
    if (i < before.size() && !take()) return std::nullopt;
    if (j < after.size()) to *= after[j++];
    while (from != to) {
      if (from < to) {
        if (!take()) return std::nullopt;
      } else {
        to *= after[j++];
      }
    }
    group.last = j;
    groups.push_back(group);
  }
  std::vector<Group> in_x = groups;
  std::ranges::stable_sort(in_x, {}, &Group::place);
  Swapped swapped{{}, Ints(after.size())};
  for (const Group& group : in_x)
    for (size_t j = group.first; j < group.last; ++j) swapped.perm[j] = int64_t(swapped.shape.size()), swapped.shape.push_back(after[j]);
  return swapped;
}

// Two transposes with a reshape between them become one behind the reshape.
bool join_across_reshape(const Ints& perm, const Node& node, const Node& reshape, Rewriter& rewriter) {
  const Graph& graph = rewriter.graph;
  const NodeId producer = graph[reshape.inputs[0]].producer;
  if (producer == NodeId::none) return false;
  const Node first = graph[producer];
  const auto* op = first.op.get_if<Transpose>();
  if (!op || !graph[first.inputs[0]].type.determined() || !graph[node.inputs[0]].type.determined()) return false;
  const Shape x = graph[first.inputs[0]].type.shape();
  const auto swapped = swap(x, full(*op, int64_t(x.size())), graph[node.inputs[0]].type.shape());
  if (!swapped) return false;
  Ints both;
  for (int64_t d : perm) both.push_back(swapped->perm[d]);
  Origins origins = first.origins;
  for (const Node* n : {&reshape, &node}) origins.insert(origins.end(), n->origins.begin(), n->origins.end());
  const ValueId shape = rewriter.graph.add_constant(make_ints(swapped->shape));
  const ValueId reshaped = rewriter.add(schema::Reshape{.allow_zero = true}, {first.inputs[0], shape}, origins)[0];
  rewriter.replace(node.outputs[0], std::ranges::is_sorted(both) ? reshaped : rewriter.add(Transpose{both}, {reshaped}, origins)[0]);
  return true;
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
  if (inner.op.get_if<schema::Reshape>() && join_across_reshape(perm, node, inner, rewriter)) return;
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
  static constexpr OpDef<Transpose> def{.infer = infer, .reference = reference, .lower = lower, .on_device = true, .keeps_half = true, .simplify = simplify};
  return def;
}
}  // namespace engine
