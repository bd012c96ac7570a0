// What attention does between its products, in vectors along keys; and the products themselves where queries are few.
#include "kernels/simd.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/attention/simd.cpp"
#include <hwy/foreach_target.h>
#include "kernels/simd-inl.h"
#include "kernels/pointwise/math-inl.h"
#include "kernels/attention/attention.h"

#if INLAY_SIMD_TARGET
HWY_BEFORE_NAMESPACE();
namespace kernels::attention::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;
namespace math = kernels::HWY_NAMESPACE;
using kernels::HWY_NAMESPACE::lanes;
using kernels::HWY_NAMESPACE::load_first;
using kernels::HWY_NAMESPACE::store_first;
using kernels::HWY_NAMESPACE::Vec;
using kernels::HWY_NAMESPACE::vector;

// What a product becomes before the softmax.
struct Scores {
  Vec scale, cap, inverse_cap;
  bool capped;
  explicit Scores(const Spec& spec)
      : scale(hn::Set(vector, spec.scale)), cap(hn::Set(vector, spec.softcap)), inverse_cap(hn::Set(vector, spec.softcap > 0 ? 1 / spec.softcap : 0)), capped(spec.softcap > 0) {}
  HWY_INLINE Vec operator()(Vec s, Vec mask) const {
    if (!capped) return hn::MulAdd(s, scale, mask);
    return hn::MulAdd(math::tanh(hn::Mul(hn::Mul(s, scale), inverse_cap)), cap, mask);
  }
};

void softmax(const Spec& spec, const Sight& sight, float* s, int64_t stride, int64_t row0, int64_t rows, int64_t n, const float* mask, int64_t masks, float* inverse) {
  const Vec least = hn::Set(vector, -HUGE_VALF), zero = hn::Zero(vector);
  const Scores scores(spec);
  for (int64_t r = 0; r < rows; ++r, s += stride) {
    const int64_t begin = std::min(sight.begin(row0 + r), n), end = std::max(begin, sight.end(row0 + r, n)), whole = begin + (end - begin) / lanes * lanes;
    const int rest = static_cast<int>(end - whole);
    const auto within = hn::FirstN(vector, rest);
    const float* m = mask ? mask + r * masks : nullptr;
    Vec most = least, sum = zero;
    for (int64_t i = begin; i < whole; i += lanes) {
      const Vec v = scores(hn::LoadU(vector, s + i), m ? hn::LoadU(vector, m + i) : zero);
      hn::StoreU(v, vector, s + i);
      most = hn::Max(v, most);
    }
    Vec tail = least;
    if (rest) {
      tail = scores(load_first(s + whole, rest), m ? load_first(m + whole, rest) : zero);
      tail = hn::IfThenElse(within, tail, least);
      most = hn::Max(tail, most);
    }
    most = hn::MaxOfLanes(vector, most);
    if (spec.zero_if_masked && hn::GetLane(most) == -HUGE_VALF) {
      std::fill_n(s, n, 0.0f);
      inverse[r] = 0;
      continue;
    }
    for (int64_t i = begin; i < whole; i += lanes) {
      const Vec e = math::exp_or_zero(hn::Sub(hn::LoadU(vector, s + i), most));
      hn::StoreU(e, vector, s + i);
      sum = hn::Add(sum, e);
    }
    if (rest) {
      const Vec e = hn::IfThenElseZero(within, math::exp_or_zero(hn::Sub(tail, most)));
      store_first(e, s + whole, rest);
      sum = hn::Add(sum, e);
    }
    std::fill_n(s, begin, 0.0f), std::fill(s + end, s + n, 0.0f);
    inverse[r] = 1 / hn::GetLane(hn::SumOfLanes(vector, sum));
  }
}

void scale(float* y, int64_t stride, int64_t rows, int64_t n, const float* by) {
  for (int64_t r = 0; r < rows; ++r, y += stride) {
    const Vec factor = hn::Set(vector, by[r]);
    int64_t i = 0;
    for (; i + lanes <= n; i += lanes) hn::StoreU(hn::Mul(hn::LoadU(vector, y + i), factor), vector, y + i);
    if (i < n) store_first(hn::Mul(load_first(y + i, static_cast<int>(n - i)), factor), y + i, static_cast<int>(n - i));
  }
}

// Of `count` keys with one query.
template <int count> HWY_INLINE void dots_at(const float* q, const float* k, int64_t stride, int64_t size, float* s) {
  Vec sum[count];
#pragma GCC unroll 4
  for (int j = 0; j < count; ++j) sum[j] = hn::Zero(vector);
  int64_t i = 0;
  for (; i + lanes <= size; i += lanes) {
    const Vec x = hn::LoadU(vector, q + i);
#pragma GCC unroll 4
    for (int j = 0; j < count; ++j) sum[j] = hn::MulAdd(x, hn::LoadU(vector, k + j * stride + i), sum[j]);
  }
  if (i < size) {
    const int rest = static_cast<int>(size - i);
    const Vec x = load_first(q + i, rest);
#pragma GCC unroll 4
    for (int j = 0; j < count; ++j) sum[j] = hn::MulAdd(x, load_first(k + j * stride + i, rest), sum[j]);
  }
#pragma GCC unroll 4
  for (int j = 0; j < count; ++j) s[j] = hn::GetLane(hn::SumOfLanes(vector, sum[j]));
}
void dots(const Spec& spec, const float* q, const float* k, int64_t stride, int64_t n, float* s) {
  int64_t j = 0;
  for (; j + 4 <= n; j += 4) dots_at<4>(q, k + j * stride, stride, spec.size, s + j);
  for (; j < n; ++j) dots_at<1>(q, k + j * stride, stride, spec.size, s + j);
}

// `count` vectors of columns, the last of which has `last` lanes.
template <int count> HWY_INLINE void mix_at(const float* p, const float* v, int64_t stride, int64_t keys, int last, float* y) {
  Vec sum[count];
#pragma GCC unroll 8
  for (int c = 0; c < count; ++c) sum[c] = hn::Zero(vector);
  for (int64_t j = 0; j < keys; ++j, v += stride) {
    const Vec weight = hn::Set(vector, p[j]);
#pragma GCC unroll 8
    for (int c = 0; c < count; ++c) {
      const bool part = c + 1 == count && last < lanes;
      sum[c] = hn::MulAdd(weight, part ? load_first(v + c * lanes, last) : hn::LoadU(vector, v + c * lanes), sum[c]);
    }
  }
#pragma GCC unroll 8
  for (int c = 0; c + 1 < count; ++c) hn::StoreU(sum[c], vector, y + c * lanes);
  last < lanes ? store_first(sum[count - 1], y + (count - 1) * lanes, last) : hn::StoreU(sum[count - 1], vector, y + (count - 1) * lanes);
}
void mix(const Spec& spec, const float* p, const float* v, int64_t stride, int64_t n, float* y) {
  int64_t c = 0;
  for (; c + 8 * lanes <= spec.value_size; c += 8 * lanes) mix_at<8>(p, v + c, stride, n, lanes, y + c);
  for (; c + 4 * lanes <= spec.value_size; c += 4 * lanes) mix_at<4>(p, v + c, stride, n, lanes, y + c);
  for (; c < spec.value_size; c += lanes)
    mix_at<1>(p, v + c, stride, n, spec.value_size - c < lanes ? static_cast<int>(spec.value_size - c) : lanes, y + c);
}
}  // namespace
constexpr Functions functions{softmax, scale, dots, mix};
}  // namespace kernels::attention::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

// Compiled for the baseline: what it instantiates may be shared with other files.
namespace kernels::attention::HWY_NAMESPACE {
Support supports(const Spec& spec) { return {16.0 / kernels::HWY_NAMESPACE::lanes, invalid(spec)}; }
Kernel make(const Spec& spec) { return {spec, functions, HWY_TARGET == HWY_AVX3 ? isa::avx512 : HWY_TARGET == HWY_AVX2 ? isa::avx2 : isa::neon}; }
}  // namespace kernels::attention::HWY_NAMESPACE
#endif
