// The functions of neon_fp16.cpp, for the row in neon.cpp.
#pragma once
#include "kernels/pool/pool.h"

namespace kernels::pool {
extern const Function half_maximum, half_average;
}  // namespace kernels::pool
