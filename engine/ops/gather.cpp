// Gather, GatherElements and GatherND.
#include "engine/ops/device_places.h"
#include "engine/ops/strides.h"

namespace engine {
namespace {
using schema::Gather, schema::GatherElements, schema::GatherND;

// Indices that are checked, and count from the front.
std::span<const int64_t> indices_of(RunContext& c, int64_t extent) {
  const ConstView& view = c.in(1);
  const std::span<int64_t> indices = c.workspace<int64_t>(size_t(view.elements()));
  for (size_t k = 0; k < indices.size(); ++k) {
    const int64_t i = load<Int>(view, int64_t(k)).v;
    check(i >= -extent && i < extent, "index ", i, " is out of range for extent ", extent);
    indices[k] = i < 0 ? i + extent : i;
  }
  return indices;
}

void expect_indices(const InferContext& in) {
  in.expect_inputs(2, 2);
  in.expect_tensor(0);
  in.expect_dtype(1, {DType::i32, DType::i64});
  check(!in.in(0).ranked || in.in(0).rank() >= 1, "is not defined on a scalar");
}

Types infer(const Gather& op, const InferContext& in) {
  expect_indices(in);
  const Type &x = in.in(0), &indices = in.in(1);
  if (!x.ranked) return {Type::unranked(x.dtype)};
  const int64_t axis = normal_axis(op.axis, x.rank());
  if (!indices.ranked) return {Type::unranked(x.dtype)};
  Dims dims(x.dims.begin(), x.dims.begin() + axis);
  dims.insert(dims.end(), indices.dims.begin(), indices.dims.end());
  dims.insert(dims.end(), x.dims.begin() + axis + 1, x.dims.end());
  return {Type::tensor(x.dtype, dims)};
}

// Indices count from the front.
void take(const AxisSplit& s, std::span<const int64_t> indices, const ConstView& x, const View& y) {
  if (y.elements() == 0) return;
  int64_t to = 0;
  if (s.inner == 1)
    return with_mover(x.dtype, [&](auto mover) {
      for (int64_t o = 0; o < s.outer; ++o)
        for (int64_t i : indices) mover.move(y.data, to++, x.data, o * s.extent + i);
    });
  for (int64_t o = 0; o < s.outer; ++o)
    for (int64_t i : indices) {
      copy_elements(y, to, x, (o * s.extent + i) * s.inner, s.inner);
      to += s.inner;
    }
}

void reference(const Gather& op, RunContext& c) {
  const AxisSplit s(c.in(0).shape, normal_axis(op.axis, c.in(0).rank()));
  take(s, indices_of(c, s.extent), c.in(0), c.out(0));
}

// On the host, by indices that are constant.
std::optional<Lowered> lower(const Gather& op, const LowerContext& c) {
  if (c.target) return lower_gather(c, places_of_slices(c, op.axis));
  const Constant* indices = c.constant(1);
  if (!indices || c.in(0).dtype == DType::string) return std::nullopt;
  const Shape shape = c.in(0).shape();
  const AxisSplit s(shape, normal_axis(op.axis, int64_t(shape.size())));
  Charge charge(indices->view().elements() * int64_t(sizeof(int64_t)));
  std::vector<int64_t> places = to_ints(indices->view());
  for (int64_t& i : places) {
    if (i < -s.extent || i >= s.extent) return std::nullopt;  // the reference says so
    if (i < 0) i += s.extent;
  }
  return Lowered{"copy", [s, places = std::move(places), charge = std::move(charge)](RunContext& r) { take(s, places, r.in(0), r.out(0)); }};
}

Types infer(const GatherElements& op, const InferContext& in) {
  expect_indices(in);
  const Type &x = in.in(0), &indices = in.in(1);
  if (x.ranked && indices.ranked) {
    check(x.rank() == indices.rank(), "x ", x, " and indices ", indices, " differ in rank");
    const int64_t axis = normal_axis(op.axis, x.rank());
    for (int64_t d = 0; d < x.rank(); ++d)
      check(d == axis || !x.dims[d].known() || !indices.dims[d].known() || indices.dims[d].value() <= x.dims[d].value(),
            "indices ", to_text(indices), " reach beyond dim ", d, " of ", x);
  }
  Type y = indices;
  y.dtype = x.dtype;
  return {y};
}

void reference(const GatherElements& op, RunContext& c) {
  const ConstView& x = c.in(0);
  const View y = c.out(0);
  const int64_t axis = normal_axis(op.axis, x.rank());
  const auto indices = indices_of(c, x.shape[axis]);
  Nest<1> nest{y.shape, {dense_strides(x.shape)}};
  const int64_t step = std::exchange(nest.strides[0][axis], 0);
  with_mover(x.dtype, [&](auto mover) {
    int64_t i = 0;
    nest.each({}, [&](const auto& at) {
      mover.move(y.data, i, x.data, at[0] + indices[i] * step);
      ++i;
    });
  });
}

Types infer(const GatherND& op, const InferContext& in) {
  expect_indices(in);
  const Type &x = in.in(0), &indices = in.in(1);
  check(!indices.ranked || indices.rank() >= 1, "the indices must not be a scalar");
  const int64_t batch = op.batch_dims;
  check(batch >= 0 && (!x.ranked || batch < x.rank()) && (!indices.ranked || batch < indices.rank()), "batch_dims ",
        batch, " is out of range for ", x, " and indices ", indices);
  if (!x.ranked || !indices.ranked || !indices.dims.back().known()) return {Type::unranked(x.dtype)};
  for (int64_t d = 0; d < batch; ++d)
    check(may_equal(x.dims[d], indices.dims[d]), "x ", x, " and indices ", indices, " differ in batch dim ", d);
  const int64_t depth = indices.dims.back().value();
  check(batch + depth <= x.rank(), "indices of ", depth, " dims are too long for ", x);
  Dims dims(indices.dims.begin(), indices.dims.end() - 1);
  dims.insert(dims.end(), x.dims.begin() + batch + depth, x.dims.end());
  return {Type::tensor(x.dtype, dims)};
}

void reference(const GatherND& op, RunContext& c) {
  const ConstView &x = c.in(0), &indices = c.in(1);
  const View y = c.out(0);
  if (y.elements() == 0) return;
  const int64_t depth = indices.shape.back(), batches = product(x.shape.first(op.batch_dims));
  const int64_t tuples = product(indices.shape.first(indices.shape.size() - 1)) / batches;
  const int64_t size = product(x.shape.subspan(op.batch_dims + depth)), pitch = product(x.shape.subspan(op.batch_dims));
  const Extents strides = dense_strides(x.shape);
  for (int64_t t = 0; t < batches * tuples; ++t) {
    int64_t from = t / tuples * pitch;
    for (int64_t d = 0; d < depth; ++d) {
      const int64_t extent = x.shape[op.batch_dims + d], i = load<Int>(indices, t * depth + d).v;
      check(i >= -extent && i < extent, "index ", i, " is out of range for extent ", extent);
      from += (i < 0 ? i + extent : i) * strides[op.batch_dims + d];
    }
    copy_elements(y, t * size, x, from, size);
  }
}

std::optional<Lowered> lower(const GatherElements& op, const LowerContext& c) { return c.target ? lower_gather(c, places_along(c, op.axis)) : std::nullopt; }
std::optional<Lowered> lower(const GatherND& op, const LowerContext& c) { return c.target ? lower_gather(c, places_of_tuples(c, op.batch_dims)) : std::nullopt; }
}  // namespace

const OpDef<Gather>& def(const Gather&) {
  static constexpr OpDef<Gather> def{.infer = infer, .reference = reference, .lower = lower, .on_device = true, .keeps_half = true};
  return def;
}
const OpDef<GatherElements>& def(const GatherElements&) {
  static constexpr OpDef<GatherElements> def{.infer = infer, .reference = reference, .lower = lower, .on_device = true, .keeps_half = true};
  return def;
}
const OpDef<GatherND>& def(const GatherND&) {
  static constexpr OpDef<GatherND> def{.infer = infer, .reference = reference, .lower = lower, .on_device = true, .keeps_half = true};
  return def;
}
}  // namespace engine
