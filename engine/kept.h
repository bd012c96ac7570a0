// Values that a device keeps as half or bfloat16 between its steps.
#pragma once
#include "engine/device_lowering.h"

namespace engine {
// By value: how its elements lie in memory. Where the target's precision is half or bfloat16, that is the type of f32 values that are
// made and read by steps of the device alone, all of which take it (OpDef::keeps_half); it is their own type else. Steps compute in
// f32 from them, and finite numbers stay finite: what passes the largest half is stored as that.
std::vector<DType> kept_types(const Graph&, const std::vector<bool>& on_device, std::span<const Inside>, const DeviceTarget&, const CompileOptions&);
}  // namespace engine
