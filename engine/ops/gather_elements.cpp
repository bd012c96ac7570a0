#include <algorithm>
#include "engine/op.h"
#include "engine/ops/indices.h"
#include "engine/ops/strides.h"

namespace engine {
namespace {
using schema::GatherElements, schema::ScatterElements;

void check_extents(const Type& x, const Type& indices, int64_t axis) {
  check(x.rank() == indices.rank(), "indices of rank ", indices.rank(), " for an input of rank ", x.rank());
  const int64_t along = normal_axis(axis, x.rank());
  for (int64_t i = 0; i < x.rank(); ++i)
    if (i != along && x.dims[i].known() && indices.dims[i].known())
      check(indices.dims[i].value() <= x.dims[i].value(), "indices ", to_text(indices), " reach outside ", to_text(x));
}

Types infer_gather(const GatherElements& op, const InferContext& in) {
  in.expect_inputs(2, 2);
  in.expect_tensor(0);
  expect_indices(in, 1);
  Type y = in.in(1);
  y.dtype = in.in(0).dtype;
  if (in.in(0).ranked && y.ranked) check_extents(in.in(0), in.in(1), op.axis);
  return {y};
}

// f(position among the indices, position in x or y before the index along the axis is added, stride of the axis).
template <class F> void each_index(std::span<const int64_t> indices, std::span<const int64_t> x, int64_t axis, F&& f) {
  Shape moves = dense_strides(x);
  const int64_t stride = std::exchange(moves[axis], 0);
  const Nest<2> nest{Shape(indices.begin(), indices.end()), {dense_strides(indices), moves}};
  nest.each({}, [&](const auto& at) { f(at[0], at[1], stride); });
}

void gather(const GatherElements& op, RunContext& c) {
  const ConstView &x = c.in(0), &indices = c.in(1);
  const View y = c.set_out(0, x.dtype, indices.shape);
  if (!x.rank()) return copy_tensor(y, x);
  const int64_t axis = normal_axis(op.axis, x.rank());
  each_index(indices.shape, x.shape, axis, [&](int64_t i, int64_t base, int64_t stride) {
    copy_elements(y, i, x, base + index_at(indices, i, x.shape[axis]) * stride, 1);
  });
}

Types infer_scatter(const ScatterElements& op, const InferContext& in) {
  in.expect_inputs(3, 3);
  expect_indices(in, 1);
  expect_combinable(in, op.kind);
  check(!in.in(1).ranked || !in.in(2).ranked || std::ranges::equal(in.in(1).dims, in.in(2).dims, may_equal), "indices ", to_text(in.in(1)), " and updates ", to_text(in.in(2)), " differ in shape");
  if (in.in(0).ranked && in.in(1).ranked) check_extents(in.in(0), in.in(1), op.axis);
  return {in.in(0)};
}

void scatter(const ScatterElements& op, RunContext& c) {
  const ConstView &x = c.in(0), &indices = c.in(1), &updates = c.in(2);
  const View y = c.out(0);
  copy_tensor(y, x);
  check(std::ranges::equal(indices.shape, updates.shape), "indices and updates differ in shape");
  if (!x.rank()) return;
  const int64_t axis = normal_axis(op.axis, x.rank());
  each_index(indices.shape, x.shape, axis, [&](int64_t i, int64_t base, int64_t stride) {
    scatter_one(op.kind, y, base + index_at(indices, i, x.shape[axis]) * stride, updates, i);
  });
}
}  // namespace

const OpDef<GatherElements>& def(const GatherElements&) {
  static constexpr OpDef<GatherElements> def{.infer = infer_gather, .reference = gather};
  return def;
}
const OpDef<ScatterElements>& def(const ScatterElements&) {
  static constexpr OpDef<ScatterElements> def{.infer = infer_scatter, .reference = scatter, .inplace_input = 0};
  return def;
}
}  // namespace engine
