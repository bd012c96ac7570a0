// Instruction sets, as clusters rather than single CPUID bits. A level's mask includes the levels below it.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace kernels::isa {
using Mask = uint32_t;
enum : Mask {
  scalar = 0,
  avx2 = 0x1,    // with fma, f16c and bmi2
  avx512 = 0x3,  // f, bw, vl, dq
  avx512_vnni = 0x7,
  avx512_bf16 = 0xf,
  neon = 0x100,       // with fused multiply-add
  neon_fp16 = 0x300,  // arithmetic in half precision
  neon_dot = 0x700,   // dot products of bytes
  neon_i8mm = 0xf00,  // products of matrices of bytes, and bfloat16
};

struct Level {
  std::string_view name;
  Mask mask;
};
std::span<const Level> levels();  // ascending within an architecture
std::optional<Mask> find(std::string_view name);
std::string_view name(Mask);  // of the highest level that `mask` runs

// What this machine has, capped by INLAY_MAX_ISA. A value of it that names no level caps nothing, and is an error that
// `error` describes (empty otherwise), for the caller to report.
Mask detected();
const std::string& error();
std::string processor();  // as it names itself; empty where that takes more than an instruction

constexpr bool runs(Mask needs, Mask have) { return (needs & have) == needs; }
}  // namespace kernels::isa
