// Expand and Tile: both repeat what x has.
#include <algorithm>
#include "engine/ops/device_copies.h"

namespace engine {
namespace {
using schema::Expand, schema::Tile;

Type shape_only(const ConstView& x) { return Type::tensor(x.dtype, Shape(x.shape.begin(), x.shape.end())); }

// Input 1 is a list of i64; its length, if known.
std::optional<int64_t> expect_list(const InferContext& in) {
  in.expect_inputs(2, 2);
  in.expect_tensor(0);
  in.expect_dtype(1, {DType::i64});
  const Type& list = in.in(1);
  if (!list.ranked) return std::nullopt;
  check(list.rank() == 1, "input 1 must have rank 1, not ", list.rank());
  if (!list.dims[0].known()) return std::nullopt;
  check(list.dims[0].value() <= limits::rank, "rank ", list.dims[0].value(), " is too high");
  return list.dims[0].value();
}

Type expanded(const Type& x, const Dims& wanted) {
  for (const Dim& d : wanted) check(!d.known() || d.value() >= 0, "extent ", d.text(), " is negative");
  const Type inputs[] = {x, Type::tensor(x.dtype, wanted)};
  return broadcast(x.dtype, inputs);
}

Types infer(const Expand&, const InferContext& in) {
  const auto rank = expect_list(in);
  const Type& x = in.in(0);
  if (const auto wanted = in.ints(1)) return {expanded(x, *wanted)};
  if (!rank || !x.ranked) return {Type::unranked(x.dtype)};
  return {Type::tensor(x.dtype, Dims(size_t(std::max(*rank, x.rank())), Dim::unknown()))};
}

void reference(const Expand&, RunContext& c) {
  const ConstView& x = c.in(0);
  const auto wanted = to_ints(c.in(1));
  const Shape shape = expanded(shape_only(x), Dims(wanted.begin(), wanted.end())).shape();
  copy_strided(c.set_out(0, x.dtype, shape), x, broadcast_strides(x.shape, shape.size()));
}

Type tiled(const Type& x, const Dims& repeats) {
  check(repeats.size() == x.dims.size(), repeats.size(), " repeats do not fit ", x);
  Type y = x;
  for (size_t d = 0; d < repeats.size(); ++d) {
    check(!repeats[d].known() || repeats[d].value() >= 0, "repeat ", repeats[d].text(), " is negative");
    y.dims[d] = x.dims[d] * repeats[d];
  }
  return y;
}

Types infer(const Tile&, const InferContext& in) {
  const auto rank = expect_list(in);
  const Type& x = in.in(0);
  const auto repeats = in.ints(1);
  if (repeats && x.ranked) return {tiled(x, *repeats)};
  check(!rank || !x.ranked || *rank == x.rank(), "repeats do not fit ", x);
  if (!rank && !x.ranked) return {Type::unranked(x.dtype)};
  return {Type::tensor(x.dtype, Dims(size_t(rank.value_or(x.rank())), Dim::unknown()))};
}

// Each dim is two: the repeats, along which x stands still, and x's own.
Nest<2> nest_of(std::span<const int64_t> x, std::span<const int64_t> y, std::span<const int64_t> repeats) {
  Nest<2> nest;
  const Extents to = dense_strides(y), from = dense_strides(x);
  for (size_t d = 0; d < repeats.size(); ++d) {
    nest.extents.push_back(repeats[d]), nest.extents.push_back(x[d]);
    nest.strides[0].push_back(to[d] * x[d]), nest.strides[0].push_back(to[d]);
    nest.strides[1].push_back(0), nest.strides[1].push_back(from[d]);
  }
  return nest;
}

void reference(const Tile&, RunContext& c) {
  const ConstView& x = c.in(0);
  const auto repeats = to_ints(c.in(1));
  const View y = c.set_out(0, x.dtype, tiled(shape_only(x), Dims(repeats.begin(), repeats.end())).shape());
  copy_nest(y, x, nest_of(x.shape, y.shape, repeats));
}

// By the extents of x and of the result.
std::optional<Lowered> lower(const Expand&, const LowerContext& c) {
  return c.target ? lower_strided(c, broadcast_strides(c.in(0).shape(), c.out(0).shape().size())) : std::nullopt;
}
std::optional<Lowered> lower(const Tile&, const LowerContext& c) {
  const Shape x = c.in(0).shape(), y = c.out(0).shape();
  if (!c.target || elements(x) == 0) return std::nullopt;
  Extents repeats;
  for (size_t d = 0; d < x.size(); ++d) repeats.push_back(y[d] / x[d]);
  const StridedCopy copy{0, 0, nest_of(x, y, repeats)};
  return lower_copies(c, std::span(&copy, 1));
}

// Nothing is repeated.
void drop_if_same(NodeId n, Rewriter& rewriter) {
  const Graph& graph = rewriter.graph;
  const Node& node = graph[n];
  const Type& x = graph[node.inputs[0]].type;
  if (x.ranked && x == graph[node.outputs[0]].type) rewriter.replace(node.outputs[0], node.inputs[0]);
}
void simplify(const Expand&, NodeId n, Rewriter& rewriter) { drop_if_same(n, rewriter); }
void simplify(const Tile&, NodeId n, Rewriter& rewriter) { drop_if_same(n, rewriter); }
}  // namespace

const OpDef<Expand>& def(const Expand&) {
  static constexpr OpDef<Expand> def{.infer = infer,
                                     .reference = reference,
                                     .lower = lower,
                                     .on_device = true,
                                     .keeps_half = true,
                                     .simplify = simplify};
  return def;
}
const OpDef<Tile>& def(const Tile&) {
  static constexpr OpDef<Tile> def{.infer = infer,
                                   .reference = reference,
                                   .lower = lower,
                                   .on_device = true,
                                   .keeps_half = true,
                                   .simplify = simplify};
  return def;
}
}  // namespace engine
