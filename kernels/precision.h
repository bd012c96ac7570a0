// What the operands of products and convolutions are rounded to on a device that has faster units for less than f32. Sums are in f32,
// and everything else is.
#pragma once
#include <cstdint>

namespace kernels {
enum class Precision : uint8_t { f32, tf32, f16, bf16 };
}  // namespace kernels
