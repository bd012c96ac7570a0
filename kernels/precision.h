// What the operands of products and convolutions are rounded to where there are faster units for less than f32. Sums are in f32 (on a CPU
// with arithmetic in half precision those of a few terms are not: tile/neon_fp16.cpp), and everything else is.
#pragma once
#include <array>
#include <cstdint>
#include <string_view>

namespace kernels {
enum class Precision : uint8_t { f32, tf32, f16, bf16 };
// As files and commands spell it.
inline constexpr auto precision_names = std::to_array<std::string_view>({"fp32", "tf32", "fp16", "bf16"});
inline std::string_view name(Precision p) { return precision_names[size_t(p)]; }
}  // namespace kernels
