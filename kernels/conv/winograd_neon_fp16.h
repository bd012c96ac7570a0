// The transforms of winograd_neon_fp16.cpp, for the rows in winograd_neon.cpp.
#pragma once
#include "kernels/conv/winograd.h"

namespace kernels::conv {
constexpr int64_t half_lanes = 8;  // channels that they need
extern const WinogradTransforms half_transforms;  // of tiles of x, and of products, that are kept as half
}  // namespace kernels::conv
