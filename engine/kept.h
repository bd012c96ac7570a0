// Values that lie as half or bfloat16 in memory between steps.
#pragma once
#include "engine/device_lowering.h"

namespace engine {
// By value: how its elements lie in memory. Where the precision of the device, or of a plan without one, is half or bfloat16, that is the
// type of f32 values that are made and read by its steps alone, all of which take it (OpDef::keeps_half, cpu_keeps_half); it is their own
// type else. Finite numbers stay finite: what passes the largest half is stored as that.
std::vector<DType> kept_types(const Graph&, const std::vector<bool>& on_device, std::span<const Inside>, const DeviceTarget&, const CompileOptions&);
}  // namespace engine
