#include "engine/ops/device_broadcast.h"
#include "engine/ops/strides.h"

namespace engine {
using kernels::cuda::BroadcastProblem;

std::optional<Lowered> lower_broadcast(BroadcastProblem problem, const LowerContext& c) {
  const Shape out = c.out(0).shape();
  for (size_t k = 0; k < c.node.inputs.size(); ++k)
    if (c.has(k) && c.kept_in(k) != c.in(k).dtype) return std::nullopt;
  if (c.kept_out() != c.out(0).dtype) return std::nullopt;
  const auto strides = [&](size_t k) { return c.has(k) ? broadcast_strides(c.in(k).shape(), out.size()) : Extents(out.size()); };
  const auto nest = Nest<4>{out, {dense_strides(out), strides(0), strides(1), strides(2)}}.merged();
  if (nest.extents.size() > size_t(BroadcastProblem::most_dims)) return std::nullopt;
  problem.dims = int(nest.extents.size());
  for (size_t d = 0; d < nest.extents.size(); ++d) {
    problem.extents[d] = nest.extents[d];
    for (size_t k = 0; k < 3; ++k) problem.strides[k][d] = nest.strides[k + 1][d];
  }
  return lower_on_device(c, &kernels::cuda::Backend::broadcast, problem, [in = std::array{device_input(c, 0), device_input(c, 1), device_input(c, 2)}](RunContext& r) {
    return kernels::cuda::BroadcastArgs{{in[0].at<void>(r), in[1].at<void>(r), in[2].at<void>(r)}, out_at<void>(r)};
  });
}
}  // namespace engine
