#include <algorithm>
#include "engine/op.h"
#include "engine/ops/indices.h"
#include "engine/ops/strides.h"

namespace engine {
namespace {
using schema::GatherND, schema::ScatterND;

// Extents after those that an index tuple of `length` selects, behind `batch` dims.
Dims slice_dims(const Type& x, int64_t batch, const Dim& length) {
  check(length.value() >= 0 && batch + length.value() <= x.rank(), "index tuples of length ", length.text(), " are too long for rank ", x.rank());
  return Dims(x.dims.begin() + batch + length.value(), x.dims.end());
}

Types infer_gather(const GatherND& op, const InferContext& in) {
  in.expect_inputs(2, 2);
  in.expect_tensor(0);
  expect_indices(in, 1);
  const Type &x = in.in(0), &indices = in.in(1);
  if (!x.ranked || !indices.ranked) return {Type::unranked(x.dtype)};
  check(indices.rank() >= 1 && op.batch_dims >= 0 && op.batch_dims < std::min(x.rank() + 1, indices.rank()), "batch_dims ", op.batch_dims, " is out of range");
  for (int64_t i = 0; i < op.batch_dims; ++i) check(may_equal(x.dims[i], indices.dims[i]), "batch dims differ");
  if (!indices.dims.back().known()) return {Type::unranked(x.dtype)};
  Dims dims(indices.dims.begin(), indices.dims.end() - 1);
  const Dims rest = slice_dims(x, op.batch_dims, indices.dims.back());
  dims.insert(dims.end(), rest.begin(), rest.end());
  return {Type::tensor(x.dtype, dims)};
}

// Where index tuple i starts in `shape`, whose dims from `batch` on it selects.
int64_t position(const ConstView& indices, int64_t i, std::span<const int64_t> shape, int64_t batch) {
  const int64_t length = indices.shape.back();
  int64_t at = 0;
  for (int64_t d = 0; d < length; ++d) at = at * shape[batch + d] + index_at(indices, i * length + d, shape[batch + d]);
  return at;
}

void gather(const GatherND& op, RunContext& c) {
  const ConstView &x = c.in(0), &indices = c.in(1);
  const int64_t batch = op.batch_dims, length = indices.shape.back();
  check(batch + length <= x.rank(), "index tuples of length ", length, " are too long for rank ", x.rank());
  const auto rest = x.shape.subspan(batch + length);
  Shape shape(indices.shape.begin(), indices.shape.end() - 1);
  shape.insert(shape.end(), rest.begin(), rest.end());
  const View y = c.set_out(0, x.dtype, shape);
  const int64_t run = product(rest), block = product(x.shape.subspan(batch)), blocks = product(x.shape.first(batch));
  const int64_t tuples = product(indices.shape.first(indices.rank() - 1)), per_block = blocks ? tuples / blocks : 0;
  if (blocks) check(std::ranges::equal(x.shape.first(batch), indices.shape.first(batch)), "batch dims differ");
  for (int64_t i = 0; i < tuples && per_block; ++i)
    copy_elements(y, i * run, x, i / per_block * block + position(indices, i, x.shape, batch) * run, run);
}

Types infer_scatter(const ScatterND& op, const InferContext& in) {
  in.expect_inputs(3, 3);
  expect_indices(in, 1);
  expect_combinable(in, op.kind);
  const Type &x = in.in(0), &indices = in.in(1), &updates = in.in(2);
  if (x.ranked && indices.ranked && updates.ranked) {
    check(indices.rank() >= 1, "indices must have rank 1 or more");
    if (indices.dims.back().known()) {
      Dims dims(indices.dims.begin(), indices.dims.end() - 1);
      const Dims rest = slice_dims(x, 0, indices.dims.back());
      dims.insert(dims.end(), rest.begin(), rest.end());
      check(std::ranges::equal(dims, updates.dims, may_equal), "updates must be ", to_text(Type::tensor(x.dtype, dims)), ", not ", to_text(updates));
    }
  }
  return {x};
}

void scatter(const ScatterND& op, RunContext& c) {
  const ConstView &x = c.in(0), &indices = c.in(1), &updates = c.in(2);
  const View y = c.out(0);
  copy_tensor(y, x);
  const int64_t length = indices.shape.back();
  check(length <= x.rank(), "index tuples of length ", length, " are too long for rank ", x.rank());
  const int64_t run = product(x.shape.subspan(length)), tuples = product(indices.shape.first(indices.rank() - 1));
  check(updates.elements() == tuples * run, "the updates have ", updates.elements(), " elements, not ", tuples * run);
  for (int64_t i = 0; i < tuples; ++i) {
    const int64_t to = position(indices, i, x.shape, 0) * run;
    if (op.kind == schema::ScatterKind::none) copy_elements(y, to, updates, i * run, run);
    else
      for (int64_t k = 0; k < run; ++k) scatter_one(op.kind, y, to + k, updates, i * run + k);
  }
}
}  // namespace

const OpDef<GatherND>& def(const GatherND&) {
  static constexpr OpDef<GatherND> def{.infer = infer_gather, .reference = gather};
  return def;
}
const OpDef<ScatterND>& def(const ScatterND&) {
  static constexpr OpDef<ScatterND> def{.infer = infer_scatter, .reference = scatter, .inplace_input = 0};
  return def;
}
}  // namespace engine
