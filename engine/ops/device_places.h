// Gather and scatter on a device: where the elements that indices name lie.
#pragma once
#include "engine/device_lowering.h"

namespace engine {
// Of inputs x and indices, in this order. None: too many dims, or elements that are no bytes.
std::optional<kernels::cuda::GatherProblem> places_along(const LowerContext&, int64_t axis);         // GatherElements, ScatterElements
std::optional<kernels::cuda::GatherProblem> places_of_slices(const LowerContext&, int64_t axis);     // Gather
std::optional<kernels::cuda::GatherProblem> places_of_tuples(const LowerContext&, int64_t batch_dims);  // GatherND, ScatterND
std::optional<Lowered> lower_gather(const LowerContext&, const std::optional<kernels::cuda::GatherProblem>&);
std::optional<Lowered> lower_scatter(const LowerContext&, const std::optional<kernels::cuda::GatherProblem>&, schema::ScatterKind);
}  // namespace engine
