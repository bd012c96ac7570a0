// What the operands of products and convolutions are rounded to where there are faster units for less than f32. Sums are in f32 (on a CPU
// with arithmetic in half precision those of a few terms are not: tile/neon_fp16.cpp), and everything else is.
#pragma once
#include <cstdint>

namespace kernels {
enum class Precision : uint8_t { f32, tf32, f16, bf16 };
}  // namespace kernels
