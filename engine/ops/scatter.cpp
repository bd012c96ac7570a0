// ScatterElements and ScatterND.
#include <algorithm>
#include <cstring>
#include "engine/ops/device_places.h"
#include "engine/ops/strides.h"

namespace engine {
namespace {
using schema::ScatterElements, schema::ScatterKind, schema::ScatterND;

void expect_operands(const InferContext& in, ScatterKind kind) {
  in.expect_inputs(3, 3);
  in.expect_dtype(1, {DType::i32, DType::i64});
  in.expect_same_dtype(0, 2);
  if (kind != ScatterKind::none && in.in(0).dtype != DType::boolean) in.expect_number(0);
  check(!in.in(0).ranked || in.in(0).rank() >= 1, "is not defined on a scalar");
}

int64_t checked(int64_t i, int64_t extent) {
  check(i >= -extent && i < extent, "index ", i, " is out of range for extent ", extent);
  return i < 0 ? i + extent : i;
}

// Of booleans: add and max are "or", mul and min are "and".
template <class T> T combine(ScatterKind kind, T old, T x) {
  switch (kind) {
    case ScatterKind::add: return old + x;
    case ScatterKind::mul: return old * x;
    case ScatterKind::min: return old != old || old < x ? old : x;
    case ScatterKind::max: return old != old || x < old ? old : x;
    default: return x;
  }
}

// y[to …] = y[to …] combined with updates[from …].
void update(ScatterKind kind, const View& y, int64_t to, const ConstView& updates, int64_t from, int64_t count) {
  if (kind == ScatterKind::none) return copy_elements(y, to, updates, from, count);
  with_carrier(y.dtype, [&]<class T>(T) {
    for (int64_t i = 0; i < count; ++i) store(y, to + i, combine(kind, load<T>(y, to + i), load<T>(updates, from + i)));
  });
}

Types infer(const ScatterElements& op, const InferContext& in) {
  expect_operands(in, op.kind);
  const Type &x = in.in(0), &indices = in.in(1), &updates = in.in(2);
  check(!indices.ranked || !updates.ranked ||
            (indices.rank() == updates.rank() && std::ranges::equal(indices.dims, updates.dims, may_equal)),
        "indices ", indices, " and updates ", updates, " differ in shape");
  if (x.ranked) {
    const int64_t axis = normal_axis(op.axis, x.rank());
    for (const Type* t : {&indices, &updates}) {
      if (!t->ranked) continue;
      check(t->rank() == x.rank(), "x ", x, " and ", *t, " differ in rank");
      for (int64_t d = 0; d < x.rank(); ++d)
        check(d == axis || !x.dims[d].known() || !t->dims[d].known() || t->dims[d].value() <= x.dims[d].value(), *t,
              " reaches beyond dim ", d, " of ", x);
    }
  }
  return {x};
}

void reference(const ScatterElements& op, RunContext& c) {
  const ConstView &x = c.in(0), &indices = c.in(1), &updates = c.in(2);
  const View y = c.out(0);
  const int64_t axis = normal_axis(op.axis, x.rank());
  copy_tensor(y, x);
  Nest<1> nest{Shape(indices.shape.begin(), indices.shape.end()), {dense_strides(x.shape)}};
  const int64_t step = std::exchange(nest.strides[0][axis], 0);
  int64_t i = 0;
  nest.each({}, [&](const auto& at) {
    update(op.kind, y, at[0] + checked(load<Int>(indices, i).v, y.shape[axis]) * step, updates, i, 1);
    ++i;
  });
}

Types infer(const ScatterND& op, const InferContext& in) {
  expect_operands(in, op.kind);
  const Type &x = in.in(0), &indices = in.in(1), &updates = in.in(2);
  check(!indices.ranked || indices.rank() >= 1, "the indices must not be a scalar");
  if (!x.ranked || !indices.ranked || !indices.dims.back().known()) return {x};
  const int64_t depth = indices.dims.back().value();
  check(depth <= x.rank(), "indices of ", depth, " dims are too long for ", x);
  Dims wanted(indices.dims.begin(), indices.dims.end() - 1);
  wanted.insert(wanted.end(), x.dims.begin() + depth, x.dims.end());
  check(
      !updates.ranked || (updates.dims.size() == wanted.size() && std::ranges::equal(updates.dims, wanted, may_equal)),
      "updates ", to_text(updates), " do not fit indices ", indices, " of ", x);
  return {x};
}

void reference(const ScatterND& op, RunContext& c) {
  const ConstView &x = c.in(0), &indices = c.in(1), &updates = c.in(2);
  const View y = c.out(0);
  copy_tensor(y, x);
  const int64_t depth = indices.shape.back(), tuples = product(indices.shape.first(indices.shape.size() - 1));
  const int64_t size = product(x.shape.subspan(depth));
  const Extents strides = dense_strides(x.shape);
  for (int64_t t = 0; t < tuples; ++t) {
    int64_t to = 0;
    for (int64_t d = 0; d < depth; ++d) to += checked(load<Int>(indices, t * depth + d).v, y.shape[d]) * strides[d];
    update(op.kind, y, to, updates, t * size, size);
  }
}

std::optional<Lowered> lower(const ScatterElements& op, const LowerContext& c) { return c.target ? lower_scatter(c, places_along(c, op.axis), op.kind) : std::nullopt; }

// Constant indices are known runs: an assignment to a slice, as exporters write it, is a few.
struct Run {
  int64_t to, from, bytes;
};
std::optional<Lowered> lower(const ScatterND& op, const LowerContext& c) {
  if (c.target) return lower_scatter(c, places_of_tuples(c, 0), op.kind);
  const Constant* given = c.constant(1);
  const DType dtype = c.in(0).dtype;
  if (!given || op.kind != ScatterKind::none || dtype == DType::string || schema::bits_of(dtype) % 8) return std::nullopt;
  const ConstView indices = given->view();
  const Shape shape = c.in(0).shape();
  const int64_t size = schema::bits_of(dtype) / 8, depth = indices.shape.back(), tuples = product(indices.shape.first(indices.shape.size() - 1));
  const int64_t part = product(std::span(shape).subspan(size_t(depth))) * size;
  const Extents strides = dense_strides(shape);
  std::vector<Run> runs;
  for (int64_t t = 0; t < tuples; ++t) {
    int64_t to = 0;
    for (int64_t d = 0; d < depth; ++d) {
      const int64_t i = load<Int>(indices, t * depth + d).v, extent = shape[size_t(d)];
      if (i < -extent || i >= extent) return std::nullopt;  // the reference says so
      to += (i < 0 ? i + extent : i) * strides[size_t(d)] * size;
    }
    if (!runs.empty() && runs.back().to + runs.back().bytes == to) runs.back().bytes += part;
    else runs.push_back({to, t * part, part});
  }
  runs.shrink_to_fit();
  Charge charge(int64_t(runs.size() * sizeof(Run)));
  const int64_t bytes = bytes_of(dtype, shape);
  const bool all = runs.size() == 1 && runs[0].bytes == bytes;
  return Lowered{"copy", [runs = std::move(runs), bytes, all, charge = std::move(charge)](RunContext& r) {
    std::byte* y = r.out(0).data;
    if (!all && r.in(0).data != y) std::memcpy(y, r.in(0).data, size_t(bytes));
    for (const Run& run : runs) std::memcpy(y + run.to, r.in(2).data + run.from, size_t(run.bytes));
  }};
}
}  // namespace

const OpDef<ScatterElements>& def(const ScatterElements&) {
  static constexpr OpDef<ScatterElements> def{.infer = infer, .reference = reference, .lower = lower, .on_device = true, .inplace_input = input_at<ScatterElements, 0>};
  return def;
}
const OpDef<ScatterND>& def(const ScatterND&) {
  static constexpr OpDef<ScatterND> def{.infer = infer, .reference = reference, .lower = lower, .on_device = true, .inplace_input = input_at<ScatterND, 0>};
  return def;
}
}  // namespace engine
