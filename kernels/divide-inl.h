// Quotients that are rounded once, for the target being compiled. 32-bit ARM divides no vectors, and what Highway puts
// in place of that, a reciprocal refined, is not exact: 6 / 3 may lie beside 2, and a byte be quantised to its
// neighbour.
#if defined(INLAY_DIVIDE_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef INLAY_DIVIDE_INL
#undef INLAY_DIVIDE_INL
#else
#define INLAY_DIVIDE_INL
#endif
#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace kernels::HWY_NAMESPACE {
HWY_INLINE Vec divide(Vec x, Vec y) {
#if HWY_ARCH_ARM_V7
  HWY_ALIGN float quotient[lanes], by[lanes];
  hn::Store(x, vector, quotient), hn::Store(y, vector, by);
  for (int i = 0; i < lanes; ++i) quotient[i] /= by[i];
  return hn::Load(vector, quotient);
#else
  return hn::Div(x, y);
#endif
}
HWY_INLINE Vec square_root(Vec x) {
#if HWY_ARCH_ARM_V7
  HWY_ALIGN float root[lanes];
  hn::Store(x, vector, root);
  for (float& v : root) v = __builtin_sqrtf(v);
  return hn::Load(vector, root);
#else
  return hn::Sqrt(x);
#endif
}
}  // namespace kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
