// Vectors of eight halves, in the words of neon.h: a file includes one of the two. Each that includes this one is compiled for an
// instruction set of its own: everything here is private to it.
#pragma once
#if defined(__aarch64__)
#include "kernels/pointwise/neon_fp16.h"

namespace kernels {
namespace {
#define INLAY_WORD inline __attribute__((always_inline))
using Element = __fp16;
using Vector = float16x8_t;
constexpr int lanes = 8;
using Elements = const Element (*)[lanes];

INLAY_WORD Vector load_next(const Element*& from, int64_t bytes) {
  Vector v;
  const Element* at = from;
  asm("ld1\t{%0.8h}, [%1], %2" : "=w"(v), "+r"(at) : "r"(bytes), "m"(*reinterpret_cast<Elements>(from)));
  from = at;
  return v;
}
INLAY_WORD Vector load_anew(const Element* from) {
  Vector v;
  asm volatile("ldr\t%q0, %1" : "=w"(v) : "m"(*reinterpret_cast<Elements>(from)));
  return v;
}
INLAY_WORD void store_next(Element*& to, Vector v, int64_t bytes) {
  asm volatile("st1\t{%1.8h}, [%0], %2" : "+r"(to) : "w"(v), "r"(bytes) : "memory");
}
INLAY_WORD Vector load(const Element* from) { return vld1q_f16(from); }
INLAY_WORD void store(Element* to, Vector v) { vst1q_f16(to, v); }
INLAY_WORD Vector broadcast(const Element* from) { return vld1q_dup_f16(from); }
INLAY_WORD Vector load_floats(const float* from) { return pointwise::neon_narrow(from); }
INLAY_WORD const Element* elements_of(const float* from, Element (&buffer)[lanes]) {
  store(buffer, pointwise::neon_narrow(from));
  return buffer;
}

INLAY_WORD Vector all(float x) { return vdupq_n_f16(static_cast<Element>(x)); }
INLAY_WORD Vector add(Vector a, Vector b) { return vaddq_f16(a, b); }
INLAY_WORD Vector sub(Vector a, Vector b) { return vsubq_f16(a, b); }
INLAY_WORD Vector mul(Vector a, Vector b) { return vmulq_f16(a, b); }
// GCC 12 moves sums from register to register between intrinsics, and copies a lane into a vector first.
INLAY_WORD Vector multiply_add(Vector sum, Vector a, Vector b) {
  asm("fmla\t%0.8h, %1.8h, %2.8h" : "+w"(sum) : "w"(a), "w"(b));
  return sum;
}
template <int lane> INLAY_WORD Vector product(Vector a, Vector k) {
  Vector v;
  asm("fmul\t%0.8h, %1.8h, %2.h[%3]" : "=w"(v) : "w"(a), "x"(k), "i"(lane));
  return v;
}
template <int lane> INLAY_WORD Vector add_product(Vector sum, Vector a, Vector k) {
  asm("fmla\t%0.8h, %1.8h, %2.h[%3]" : "+w"(sum) : "w"(a), "x"(k), "i"(lane));
  return sum;
}
template <int lane> INLAY_WORD Vector subtract_product(Vector from, Vector a, Vector k) {
  asm("fmls\t%0.8h, %1.8h, %2.h[%3]" : "+w"(from) : "w"(a), "x"(k), "i"(lane));
  return from;
}
template <int n> INLAY_WORD void limit(std::span<const pointwise::Stage> chain, Vector (&x)[n]) { pointwise::neon_saturate(chain, x); }
}  // namespace
}  // namespace kernels
#endif
