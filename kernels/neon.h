// Loads and stores of vectors that step their address in the same instruction, for NEON kernels that walk with strides: compilers
// write an addition beside each.
#pragma once
#if defined(__aarch64__)
#include <arm_neon.h>
#include <cstdint>

namespace kernels {
namespace {
using FourFloats = const float (*)[4];
inline __attribute__((always_inline)) float32x4_t load_next(const float*& from, int64_t bytes) {
  float32x4_t v;
  const float* at = from;  // an array's element would stay in memory
  asm("ld1\t{%0.4s}, [%1], %2" : "=w"(v), "+r"(at) : "r"(bytes), "m"(*reinterpret_cast<FourFloats>(from)));
  from = at;
  return v;
}
// A load for each use, where a compiler would copy registers in the pipes that multiply.
inline __attribute__((always_inline)) float32x4_t load_anew(const float* from) {
  float32x4_t v;
  asm volatile("ldr\t%q0, %1" : "=w"(v) : "m"(*reinterpret_cast<FourFloats>(from)));
  return v;
}
inline __attribute__((always_inline)) void store_next(float*& to, float32x4_t v, int64_t bytes) {
  asm volatile("st1\t{%1.4s}, [%0], %2" : "+r"(to) : "w"(v), "r"(bytes) : "memory");
}
}  // namespace
}  // namespace kernels
#endif
