// The loop of peak_neon_fp16.cpp, for peak.cpp.
#pragma once
#include <cstdint>

namespace kernels {
inline constexpr int half_peak_sums = 12 * 8;  // multiply-adds of a round
// To each of half_peak_sums halves at `state`, a · b is added `rounds` times.
void multiply_add_halves(void* state, float a, float b, int64_t rounds);
}  // namespace kernels
