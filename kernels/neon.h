// Vectors of four floats, in the words that NEON kernels of f32 and of halves are written in (neon_fp16.h has the same of eight halves).
// Loads and stores ending in `next` step their address in the same instruction, for kernels that walk with strides: compilers write an
// addition beside each.
#pragma once
#if defined(__aarch64__)
#include "kernels/pointwise/neon.h"

namespace kernels {
namespace {
#define INLAY_WORD inline __attribute__((always_inline))
using Element = float;
using Vector = float32x4_t;
constexpr int lanes = 4;
using Elements = const Element (*)[lanes];

INLAY_WORD Vector load_next(const Element*& from, int64_t bytes) {
  Vector v;
  const Element* at = from;  // an array's element would stay in memory
  asm("ld1\t{%0.4s}, [%1], %2" : "=w"(v), "+r"(at) : "r"(bytes), "m"(*reinterpret_cast<Elements>(from)));
  from = at;
  return v;
}
// A load for each use, where a compiler would copy registers in the pipes that multiply.
INLAY_WORD Vector load_anew(const Element* from) {
  Vector v;
  asm volatile("ldr\t%q0, %1" : "=w"(v) : "m"(*reinterpret_cast<Elements>(from)));
  return v;
}
INLAY_WORD void store_next(Element*& to, Vector v, int64_t bytes) {
  asm volatile("st1\t{%1.4s}, [%0], %2" : "+r"(to) : "w"(v), "r"(bytes) : "memory");
}
INLAY_WORD Vector load(const Element* from) { return vld1q_f32(from); }
INLAY_WORD void store(Element* to, Vector v) { vst1q_f32(to, v); }
INLAY_WORD Vector broadcast(const Element* from) { return vld1q_dup_f32(from); }
INLAY_WORD Vector load_floats(const float* from) { return vld1q_f32(from); }

// A vector of numbers in f32 as elements, in the buffer where they are others.
INLAY_WORD const Element* elements_of(const float* from, Element (&)[lanes]) { return from; }

INLAY_WORD Vector all(Element x) { return vdupq_n_f32(x); }
INLAY_WORD Vector add(Vector a, Vector b) { return vaddq_f32(a, b); }
INLAY_WORD Vector sub(Vector a, Vector b) { return vsubq_f32(a, b); }
INLAY_WORD Vector mul(Vector a, Vector b) { return vmulq_f32(a, b); }
INLAY_WORD Vector multiply_add(Vector sum, Vector a, Vector b) { return vfmaq_f32(sum, a, b); }
// By one lane of k.
template <int lane> INLAY_WORD Vector product(Vector a, Vector k) { return vmulq_laneq_f32(a, k, lane); }
template <int lane> INLAY_WORD Vector add_product(Vector sum, Vector a, Vector k) { return vfmaq_laneq_f32(sum, a, k, lane); }
template <int lane> INLAY_WORD Vector subtract_product(Vector from, Vector a, Vector k) { return vfmsq_laneq_f32(from, a, k, lane); }
// What is stored at the end of a chain.
template <int n> INLAY_WORD void limit(std::span<const pointwise::Stage>, Vector (&)[n]) {}
}  // namespace
}  // namespace kernels
#endif
