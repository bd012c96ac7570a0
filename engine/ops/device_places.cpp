#include "engine/ops/device_places.h"
#include "engine/ops/strides.h"

namespace engine {
using kernels::cuda::GatherProblem;

namespace {
// `nest`: places in x without what the indices add, and those of the indices.
std::optional<GatherProblem> finished(GatherProblem p, const Nest<2>& nest, const LowerContext& c) {
  const int bits = bits_of(c.kept_in(0));
  if (bits % 8 || c.kept_in(0) != c.kept_out() || nest.extents.size() > size_t(p.most_dims)) return std::nullopt;
  p.element_bytes = bits / 8, p.index_bytes = bits_of(c.in(1).dtype) / 8, p.dims = int(nest.extents.size());
  for (size_t d = 0; d < nest.extents.size(); ++d) p.extents[d] = nest.extents[d], p.x_strides[d] = nest.strides[0][d], p.index_strides[d] = nest.strides[1][d];
  return p;
}
}  // namespace

std::optional<GatherProblem> places_along(const LowerContext& c, int64_t axis) {
  const Shape x = c.in(0).shape(), indices = c.in(1).shape();
  const auto along = size_t(normal_axis(axis, int64_t(x.size())));
  Nest<2> nest{indices, {dense_strides(x), dense_strides(indices)}};
  const int64_t step = std::exchange(nest.strides[0][along], 0);
  return finished({.steps = {step}, .index_extents = {x[along]}}, nest.merged(), c);
}

std::optional<GatherProblem> places_of_slices(const LowerContext& c, int64_t axis) {
  const Shape x = c.in(0).shape();
  const AxisSplit s(x, normal_axis(axis, int64_t(x.size())));
  const Nest<2> nest{{s.outer, elements(c.in(1).shape()), s.inner}, {Extents{s.extent * s.inner, 0, 1}, Extents{0, 1, 0}}};
  return finished({.steps = {s.inner}, .index_extents = {s.extent}}, nest, c);
}

std::optional<GatherProblem> places_of_tuples(const LowerContext& c, int64_t batch_dims) {
  const Shape x = c.in(0).shape(), indices = c.in(1).shape();
  const auto batch = size_t(batch_dims), depth = size_t(indices.back());
  const int64_t batches = product(std::span(x).first(batch)), tuples = product(std::span(indices).first(indices.size() - 1));
  GatherProblem p{.depth = int(depth)};
  if (depth > size_t(p.most_dims) || batches == 0) return std::nullopt;
  const Extents strides = dense_strides(x);
  for (size_t d = 0; d < depth; ++d) p.steps[d] = strides[batch + d], p.index_extents[d] = x[batch + d];
  const int64_t size = product(std::span(x).subspan(batch + depth)), pitch = product(std::span(x).subspan(batch)), each = tuples / batches;
  return finished(p, {{batches, each, size}, {Extents{pitch, 0, 1}, Extents{each * int64_t(depth), int64_t(depth), 0}}}, c);
}

std::optional<Lowered> lower_gather(const LowerContext& c, const std::optional<GatherProblem>& p) {
  if (!p) return std::nullopt;
  return lower_on_device(c, &kernels::cuda::Backend::gather, *p, [x = device_input(c, 0), indices = device_input(c, 1)](RunContext& r) {
    return kernels::cuda::GatherArgs{x.at<void>(r), indices.at<void>(r), out_at<void>(r)};
  });
}

std::optional<Lowered> lower_scatter(const LowerContext& c, const std::optional<GatherProblem>& p, schema::ScatterKind kind) {
  if (!p) return std::nullopt;
  return lower_on_device(c, &kernels::cuda::Backend::scatter, kernels::cuda::ScatterProblem{*p, elements(c.out(0).shape()), kind, c.in(0).dtype},
                         [x = device_input(c, 0), indices = device_input(c, 1), updates = device_input(c, 2)](RunContext& r) {
    return kernels::cuda::ScatterArgs{x.at<void>(r), indices.at<void>(r), updates.at<void>(r), out_at<void>(r), r.scratch()};
  });
}
}  // namespace engine
