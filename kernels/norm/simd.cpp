// Layer normalisation in vectors along rows: the mean, the mean square of what differs from it, the result.
#include "kernels/simd.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/norm/simd.cpp"
#include <hwy/foreach_target.h>
#include "kernels/simd-inl.h"
#include "kernels/norm/norm.h"

#if INLAY_SIMD_TARGET
HWY_BEFORE_NAMESPACE();
namespace kernels::norm::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;
using kernels::HWY_NAMESPACE::lanes;
using kernels::HWY_NAMESPACE::load_first;
using kernels::HWY_NAMESPACE::store_first;
using kernels::HWY_NAMESPACE::Vec;
using kernels::HWY_NAMESPACE::vector;

constexpr int64_t run = 16;  // terms that are added one after the other: longer runs lose digits

// The sum over a row of x - mean, or of its square, in all lanes.
template <bool square> HWY_INLINE Vec sum(const float* x, int64_t n, Vec mean) {
  const auto add = [&](Vec sum, Vec v) HWY_ATTR {
    const Vec d = hn::Sub(v, mean);
    return square ? hn::MulAdd(d, d, sum) : hn::Add(sum, d);
  };
  Vec total = hn::Zero(vector);
  int64_t i = 0;
  while (i + 4 * lanes <= n) {
    Vec a = hn::Zero(vector), b = a, c = a, d = a;
    for (const int64_t end = n - i > run * 4 * lanes ? i + run * 4 * lanes : n; i + 4 * lanes <= end; i += 4 * lanes) {
      a = add(a, hn::LoadU(vector, x + i));
      b = add(b, hn::LoadU(vector, x + i + lanes));
      c = add(c, hn::LoadU(vector, x + i + 2 * lanes));
      d = add(d, hn::LoadU(vector, x + i + 3 * lanes));
    }
    total = hn::Add(total, hn::Add(hn::Add(a, b), hn::Add(c, d)));
  }
  for (; i + lanes <= n; i += lanes) total = add(total, hn::LoadU(vector, x + i));
  if (i < n) {
    const int rest = static_cast<int>(n - i);
    total = hn::IfThenElse(hn::FirstN(vector, rest), add(total, load_first(x + i, rest)), total);
  }
  return hn::SumOfLanes(vector, total);
}

void rows(const Spec& s, const float* x, const float* scale, const float* bias, float* y, int64_t rows) {
  const int64_t n = s.n, whole = n / lanes * lanes;
  const int rest = static_cast<int>(n - whole);
  const Vec zero = hn::Zero(vector), one = hn::Set(vector, 1), count = hn::Set(vector, static_cast<float>(n));
  for (int64_t r = 0; r < rows; ++r, x += n, y += n) {
    const Vec mean = s.rms ? zero : hn::Div(sum<false>(x, n, zero), count);
    const Vec variance = hn::Div(sum<true>(x, n, mean), count);
    const Vec inverse = hn::Div(one, hn::Sqrt(hn::Add(variance, hn::Set(vector, s.epsilon))));
    const auto result = [&](Vec v, Vec by, Vec plus) HWY_ATTR { return hn::MulAdd(hn::Mul(hn::Sub(v, mean), inverse), by, plus); };
    for (int64_t i = 0; i < whole; i += lanes)
      hn::StoreU(result(hn::LoadU(vector, x + i), hn::LoadU(vector, scale + i), bias ? hn::LoadU(vector, bias + i) : zero), vector, y + i);
    if (rest)
      store_first(result(load_first(x + whole, rest), load_first(scale + whole, rest), bias ? load_first(bias + whole, rest) : zero),
                  y + whole, rest);
  }
}
}  // namespace
constexpr Function function = rows;
}  // namespace kernels::norm::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

// Compiled for the baseline: what it instantiates may be shared with other files.
namespace kernels::norm::HWY_NAMESPACE {
Support supports(const Spec& spec) { return {16.0 / kernels::HWY_NAMESPACE::lanes, invalid(spec)}; }
Kernel make(const Spec& spec) { return {spec, function}; }
}  // namespace kernels::norm::HWY_NAMESPACE
#endif
