// Stages of a chain on vectors that are in registers, for the epilogues of the NEON kernels: the functions that take a few
// instructions. Chains with others are a pass of the pointwise row.
#pragma once
#if defined(__aarch64__)
#include <arm_neon.h>
#include "kernels/pointwise/pointwise.h"

namespace kernels::pointwise {
namespace {
// Why a chain cannot be part of a kernel, or empty.
inline std::string neon_refusal(const Chain& chain) {
  for (const Stage& s : chain) {
    using enum schema::UnaryKind;
    if (s.binary ? s.op != schema::BinaryKind::add && s.op != schema::BinaryKind::mul
                 : s.unary != relu && s.unary != leaky_relu && s.unary != hard_swish && (s.unary != clip || !(s.a <= s.b)))
      return "the kernel has no " + std::string(s.binary ? schema::name(s.op) : schema::name(s.unary));
  }
  return {};
}

inline __attribute__((always_inline)) float32x4_t neon_negative(float32x4_t x, float32x4_t then) {
  return vbslq_f32(vcltzq_f32(x), then, x);
}

// f(x) for n vectors, and NaN for NaN.
template <int n> inline __attribute__((always_inline)) void neon_unary(const Stage& s, float32x4_t (&x)[n]) {
  const float32x4_t zero = vdupq_n_f32(0);
  const auto each = [&](auto f) __attribute__((always_inline)) {
    _Pragma("GCC unroll 32") for (int i = 0; i < n; ++i) x[i] = f(x[i]);
  };
  switch (s.unary) {
    case schema::UnaryKind::relu:
      return each([&](float32x4_t v) __attribute__((always_inline)) { return vmaxq_f32(v, zero); });
    case schema::UnaryKind::clip: {
      const float32x4_t least = vdupq_n_f32(s.a), most = vdupq_n_f32(s.b);
      return each([&](float32x4_t v) __attribute__((always_inline)) { return vminq_f32(vmaxq_f32(v, least), most); });
    }
    case schema::UnaryKind::leaky_relu:
      return each([&](float32x4_t v) __attribute__((always_inline)) { return neon_negative(v, vmulq_n_f32(v, s.a)); });
    default: {  // hard_swish
      const float32x4_t half = vdupq_n_f32(0.5f), one = vdupq_n_f32(1), sixth = vdupq_n_f32(1 / 6.0f);
      return each([&](float32x4_t v) __attribute__((always_inline)) {
        return vmulq_f32(v, vmaxq_f32(vminq_f32(vfmaq_f32(half, v, sixth), one), zero));
      });
    }
  }
}
}  // namespace
}  // namespace kernels::pointwise
#endif
