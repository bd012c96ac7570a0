// Stages of a chain on vectors of halves that are in registers, for the NEON kernels that store halves: the functions of neon.h.
// Each file that includes it is compiled for an instruction set of its own: everything here is private to it.
#pragma once
#include "kernels/pointwise/neon.h"

namespace kernels::pointwise {
namespace {
constexpr float most_half = 65504;

// f(x) for n vectors, and NaN for NaN. The largest half stands for what is larger: a function that has a bound there is bounded by it.
template <int n> inline __attribute__((always_inline)) void neon_unary(const Stage& s, float16x8_t (&x)[n]) {
  const float16x8_t zero = vdupq_n_f16(0);
  const auto each = [&](auto f) __attribute__((always_inline)) {
    _Pragma("GCC unroll 32") for (int i = 0; i < n; ++i) x[i] = f(x[i]);
  };
  const auto half = [](float v) __attribute__((always_inline)) { return vdupq_n_f16(static_cast<__fp16>(v > most_half ? most_half : v < -most_half ? -most_half : v)); };
  switch (s.unary) {
    case schema::UnaryKind::relu:
    case schema::UnaryKind::clip: {
      const bool clip = s.unary == schema::UnaryKind::clip;
      const float16x8_t least = clip ? half(s.a) : zero, most = half(clip ? s.b : most_half);
      return each([&](float16x8_t v) __attribute__((always_inline)) { return vminq_f16(vmaxq_f16(v, least), most); });
    }
    case schema::UnaryKind::leaky_relu: {
      const float16x8_t a = half(s.a);
      return each([&](float16x8_t v) __attribute__((always_inline)) { return vbslq_f16(vcltzq_f16(v), vmulq_f16(v, a), v); });
    }
    default: {  // hard_swish
      const float16x8_t middle = half(0.5f), one = half(1), sixth = half(1 / 6.0f);
      return each([&](float16x8_t v) __attribute__((always_inline)) {
        return vmulq_f16(v, vmaxq_f16(vminq_f16(vfmaq_f16(middle, v, sixth), one), zero));
      });
    }
  }
}

// What passes the largest half is that: finite numbers stay finite. A chain that ends in a bound has no need of it.
template <int n> inline __attribute__((always_inline)) void neon_saturate(std::span<const Stage> chain, float16x8_t (&x)[n]) {
  if (!chain.empty() && !chain.back().binary && (chain.back().unary == schema::UnaryKind::relu || chain.back().unary == schema::UnaryKind::clip)) return;
  const float16x8_t least = vdupq_n_f16(static_cast<__fp16>(-most_half)), most = vdupq_n_f16(static_cast<__fp16>(most_half));
  _Pragma("GCC unroll 32") for (int i = 0; i < n; ++i) x[i] = vminq_f16(vmaxq_f16(x[i], least), most);
}

// Eight floats as halves.
inline __attribute__((always_inline)) float16x8_t neon_narrow(const float* from) { return vcvt_high_f16_f32(vcvt_f16_f32(vld1q_f32(from)), vld1q_f32(from + 4)); }
}  // namespace
}  // namespace kernels::pointwise
