// Functions of one vector that propagate NaN and infinity as the C library does, for the target being compiled.
#if defined(INLAY_MATH_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef INLAY_MATH_INL
#undef INLAY_MATH_INL
#else
#define INLAY_MATH_INL
#endif
#include <hwy/contrib/math/math-inl.h>
#include "kernels/pointwise/coefficients.h"
#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace kernels::HWY_NAMESPACE {
namespace c = pointwise::coefficients;

HWY_INLINE Vec constant(float value) { return hn::Set(vector, value); }
// NaN stays NaN.
HWY_INLINE Vec clamp(Vec x, float least, float most) {
  x = hn::IfThenElse(hn::Lt(x, constant(least)), constant(least), x);
  return hn::IfThenElse(hn::Gt(x, constant(most)), constant(most), x);
}
// NaN becomes 1, as in fmax(0, fmin(1, x)).
HWY_INLINE Vec clamp01(Vec x) {
  x = hn::IfThenElse(hn::Lt(x, constant(1)), x, constant(1));
  return hn::IfThenElse(hn::Gt(x, constant(0)), x, constant(0));
}

template <int n> HWY_INLINE Vec polynomial(Vec x, const float (&coefficient)[n]) {
  Vec y = constant(coefficient[0]);
  for (int i = 1; i < n; ++i) y = hn::MulAdd(y, x, constant(coefficient[i]));
  return y;
}

// r + r²·q(r), and n as integers.
HWY_INLINE Vec exp_reduced(Vec x, hn::Vec<hn::RebindToSigned<Float>>& n) {
  const Vec rounded = hn::Round(hn::Mul(x, constant(c::log2e)));
  const Vec r = hn::NegMulAdd(rounded, constant(c::ln2_low), hn::NegMulAdd(rounded, constant(c::ln2_high), x));
  n = hn::ConvertTo(hn::RebindToSigned<Float>(), rounded);
  return hn::MulAdd(hn::Mul(polynomial(r, c::exp_q), r), r, r);
}

HWY_INLINE Vec power_of_two(hn::Vec<hn::RebindToSigned<Float>> n) {
  const hn::RebindToSigned<Float> integers;
  return hn::BitCast(vector, hn::Add(hn::ShiftLeft<23>(n), hn::Set(integers, 0x3f800000)));
}

HWY_INLINE Vec exp(Vec x) {
  hn::Vec<hn::RebindToSigned<Float>> n;
  const Vec y = hn::Add(exp_reduced(clamp(x, c::exp_least, c::exp_most), n), constant(1));
  const auto half = hn::ShiftRight<1>(n);
  return hn::Mul(hn::Mul(y, power_of_two(half)), power_of_two(hn::Sub(n, half)));
}

// For x <= 0. Below the least normal number, 0: such a result is slow to compute, and no sum of which one term is 1 sees it.
HWY_INLINE Vec exp_or_zero(Vec x) {
  hn::Vec<hn::RebindToSigned<Float>> n;
  const Vec y = hn::Add(exp_reduced(x, n), constant(1));
  return hn::IfThenZeroElse(hn::Lt(x, constant(-87)), hn::Mul(y, power_of_two(n)));
}

HWY_INLINE Vec expm1(Vec x) {
  hn::Vec<hn::RebindToSigned<Float>> n;
  const Vec y = exp_reduced(clamp(x, c::expm1_least, c::expm1_most), n), scale = power_of_two(n);
  return hn::MulAdd(y, scale, hn::Sub(scale, constant(1)));
}

template <int p, int q>
HWY_INLINE Vec odd_rational(Vec x, float limit, const float (&above)[p], const float (&below)[q]) {
  x = clamp(x, -limit, limit);
  const Vec square = hn::Mul(x, x);
  return hn::Div(hn::Mul(x, polynomial(square, above)), polynomial(square, below));
}
HWY_INLINE Vec tanh(Vec x) { return odd_rational(x, c::tanh_limit, c::tanh_p, c::tanh_q); }
HWY_INLINE Vec erf(Vec x) { return odd_rational(x, c::erf_limit, c::erf_p, c::erf_q); }

HWY_INLINE Vec log(Vec x) {
#if defined(__arm__)
  x = hn::Add(x, constant(0));  // subnormal numbers are zero to arithmetic there, but not to what takes a number's bits apart
#endif
  const Vec special = hn::IfThenElse(hn::Eq(x, constant(0)), constant(-HUGE_VALF),
                                     hn::IfThenElse(hn::Gt(x, constant(0)), x, hn::NaN(vector)));
  const auto regular = hn::And(hn::Gt(x, constant(0)), hn::Lt(x, constant(HUGE_VALF)));
  return hn::IfThenElse(regular, hn::Log(vector, x), special);
}

HWY_INLINE Vec softsign(Vec x) {
#if defined(__arm__)
  const Vec size = hn::Abs(x), large = constant(0x1p125f);  // the reciprocal of what is larger would be a subnormal number, which is zero
  x = hn::IfThenElse(hn::And(hn::Gt(size, large), hn::Lt(size, constant(HUGE_VALF))), hn::CopySign(large, x), x);
#endif
  return hn::Div(x, hn::Add(constant(1), hn::Abs(x)));
}

HWY_INLINE Vec softplus(Vec x) {
  const Vec positive = hn::IfThenElse(hn::Lt(x, constant(0)), constant(0), x);
  return hn::Add(positive, hn::Log1p(vector, exp(hn::Neg(hn::Abs(x)))));
}

// Where reducing the argument loses accuracy, the C library serves.
template <class F> HWY_INLINE Vec in_range(Vec x, Vec y, F scalar) {
  if (hn::AllTrue(vector, hn::Lt(hn::Abs(x), constant(8192)))) return y;
  HWY_ALIGN float lane[lanes];
  hn::Store(x, vector, lane);
  for (float& value : lane) value = scalar(value);
  return hn::Load(vector, lane);
}
HWY_INLINE Vec sin(Vec x) {
  return in_range(x, hn::Sin(vector, x), [](float v) { return __builtin_sinf(v); });
}
HWY_INLINE Vec cos(Vec x) {
  return in_range(x, hn::Cos(vector, x), [](float v) { return __builtin_cosf(v); });
}
}  // namespace kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
