// Elementwise functions on a device, of inputs that are broadcast.
#pragma once
#include "engine/device_lowering.h"

namespace engine {
// `problem` without dims, which follow from the inputs of the node: as many as it has.
std::optional<Lowered> lower_broadcast(kernels::cuda::BroadcastProblem problem, const LowerContext&);
}  // namespace engine
