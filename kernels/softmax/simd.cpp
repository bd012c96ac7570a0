// Softmax in vectors along rows, over columns, or over short rows as if they were columns: the largest, the exponentials and their sum, the scaling.
#include "kernels/simd.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/softmax/simd.cpp"
#include <hwy/foreach_target.h>
#include "kernels/simd-inl.h"
#include "kernels/pointwise/math-inl.h"
#include "kernels/softmax/softmax.h"

#if INLAY_SIMD_TARGET
HWY_BEFORE_NAMESPACE();
namespace kernels::softmax::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;
namespace math = kernels::HWY_NAMESPACE;
using kernels::HWY_NAMESPACE::Float;
using kernels::HWY_NAMESPACE::lanes;
using kernels::HWY_NAMESPACE::load_first;
using kernels::HWY_NAMESPACE::store_first;
using kernels::HWY_NAMESPACE::Vec;
using kernels::HWY_NAMESPACE::vector;

HWY_INLINE Vec load(const float* from, int n) { return n == lanes ? hn::LoadU(vector, from) : load_first(from, n); }
HWY_INLINE void store(Vec v, float* to, int n) { n == lanes ? hn::StoreU(v, vector, to) : store_first(v, to, n); }

// What makes a row's shifted elements, or their exponentials, its result; `sum` is that of the exponentials.
HWY_INLINE Vec last_term(bool log, Vec sum) { return log ? math::log(sum) : hn::Div(hn::Set(vector, 1), sum); }
HWY_INLINE Vec result(bool log, Vec v, Vec last) { return log ? hn::Sub(v, last) : hn::Mul(v, last); }

// Rows of `count` vectors, in registers. A NaN may pass the maximum unseen: its exponential does not.
template <int count> HWY_INLINE void short_rows(bool log, const float* x, float* y, int64_t rows, int64_t n) {
  const Vec least = hn::Set(vector, -HUGE_VALF);
  const int rest = static_cast<int>(n) - (count - 1) * lanes;
  const auto mask = hn::FirstN(vector, rest);
  for (int64_t r = 0; r < rows; ++r, x += n, y += n) {
    Vec v[count], most = least, sum = hn::Zero(vector);
#pragma GCC unroll 4
    for (int i = 0; i < count; ++i) {
      v[i] = i + 1 < count ? hn::LoadU(vector, x + i * lanes) : hn::IfThenElse(mask, load(x + i * lanes, rest), least);
      most = hn::Max(v[i], most);
    }
    most = hn::MaxOfLanes(vector, most);
#pragma GCC unroll 4
    for (int i = 0; i < count; ++i) {
      const Vec shifted = hn::Sub(v[i], most), e = math::exp_or_zero(shifted);
      sum = hn::Add(sum, e);
      v[i] = log ? shifted : e;
    }
    const Vec last = last_term(log, hn::SumOfLanes(vector, sum));
#pragma GCC unroll 4
    for (int i = 0; i < count; ++i) store(result(log, v[i], last), y + i * lanes, i + 1 < count ? lanes : rest);
  }
}

void long_row(bool log, const float* x, float* y, int64_t n) {
  const int64_t whole = n / lanes * lanes;
  const int rest = static_cast<int>(n - whole);
  const auto mask = hn::FirstN(vector, rest);
  const Vec least = hn::Set(vector, -HUGE_VALF);
  Vec most = rest ? hn::IfThenElse(mask, load_first(x + whole, rest), least) : least, sum = hn::Zero(vector);
  for (int64_t i = 0; i < whole; i += lanes) most = hn::Max(hn::LoadU(vector, x + i), most);
  most = hn::MaxOfLanes(vector, most);
  for (int64_t i = 0; i < whole; i += lanes) {
    const Vec shifted = hn::Sub(hn::LoadU(vector, x + i), most), e = math::exp_or_zero(shifted);
    sum = hn::Add(sum, e);
    hn::StoreU(log ? shifted : e, vector, y + i);
  }
  Vec tail = hn::Zero(vector);
  if (rest) {
    const Vec shifted = hn::Sub(load_first(x + whole, rest), most), e = math::exp_or_zero(shifted);
    sum = hn::Add(sum, hn::IfThenElseZero(mask, e));
    tail = log ? shifted : e;
  }
  const Vec last = last_term(log, hn::SumOfLanes(vector, sum));
  for (int64_t i = 0; i < whole; i += lanes) hn::StoreU(result(log, hn::LoadU(vector, y + i), last), vector, y + i);
  if (rest) store_first(result(log, tail, last), y + whole, rest);
}

// A vector's worth of rows of n elements: lane r of vector i is element i of row r.
template <int n> HWY_INLINE void load_columns(const float* x, Vec (&v)[n]) {
  if constexpr (n == 1) v[0] = hn::LoadU(vector, x);
  else if constexpr (n == 2) hn::LoadInterleaved2(vector, x, v[0], v[1]);
  else if constexpr (n == 3) hn::LoadInterleaved3(vector, x, v[0], v[1], v[2]);
  else if constexpr (n == 4) hn::LoadInterleaved4(vector, x, v[0], v[1], v[2], v[3]);
  else {
    const hn::RebindToSigned<Float> ints;
    const auto index = hn::Mul(hn::Iota(ints, 0), hn::Set(ints, n));
#pragma GCC unroll 8
    for (int i = 0; i < n; ++i) v[i] = hn::GatherIndex(vector, x + i, index);
  }
}
template <int n> HWY_INLINE void store_columns(const Vec (&v)[n], float* y) {
  if constexpr (n == 1) hn::StoreU(v[0], vector, y);
  else if constexpr (n == 2) hn::StoreInterleaved2(v[0], v[1], vector, y);
  else if constexpr (n == 3) hn::StoreInterleaved3(v[0], v[1], v[2], vector, y);
  else if constexpr (n == 4) hn::StoreInterleaved4(v[0], v[1], v[2], v[3], vector, y);
  else {
    const hn::RebindToSigned<Float> ints;
    const auto index = hn::Mul(hn::Iota(ints, 0), hn::Set(ints, n));
#pragma GCC unroll 8
    for (int i = 0; i < n; ++i) hn::ScatterIndex(v[i], vector, y + i, index);
  }
}

template <int n> HWY_INLINE void narrow_block(bool log, const float* x, float* y) {
  Vec v[n], sum = hn::Zero(vector);
  load_columns<n>(x, v);
  Vec most = v[0];
#pragma GCC unroll 8
  for (int i = 1; i < n; ++i) most = hn::Max(v[i], most);
#pragma GCC unroll 8
  for (int i = 0; i < n; ++i) {
    const Vec shifted = hn::Sub(v[i], most), e = math::exp_or_zero(shifted);
    sum = hn::Add(sum, e);
    v[i] = log ? shifted : e;
  }
  const Vec last = last_term(log, sum);
#pragma GCC unroll 8
  for (int i = 0; i < n; ++i) v[i] = result(log, v[i], last);
  store_columns<n>(v, y);
}

// The last rows go through a copy: the same sums, wherever threads begin.
template <int n> void narrow_rows(bool log, const float* x, float* y, int64_t rows) {
  int64_t r = 0;
  for (; r + lanes <= rows; r += lanes) narrow_block<n>(log, x + r * n, y + r * n);
  if (r == rows) return;
  HWY_ALIGN float copy[lanes * n] = {};
  const int rest = static_cast<int>(rows - r) * n;
  for (int i = 0; i < rest; ++i) copy[i] = x[r * n + i];
  narrow_block<n>(log, copy, copy);
  for (int i = 0; i < rest; ++i) y[r * n + i] = copy[i];
}

void rows(bool log, const float* x, float* y, int64_t rows, int64_t n) {
  switch (n) {
    case 1: return narrow_rows<1>(log, x, y, rows);
    case 2: return narrow_rows<2>(log, x, y, rows);
    case 3: return narrow_rows<3>(log, x, y, rows);
    case 4: return narrow_rows<4>(log, x, y, rows);
    case 5: return narrow_rows<5>(log, x, y, rows);
    case 6: return narrow_rows<6>(log, x, y, rows);
    case 7: return narrow_rows<7>(log, x, y, rows);
    case 8: return narrow_rows<8>(log, x, y, rows);
    default: break;
  }
  switch ((n + lanes - 1) / lanes) {
    case 1: return short_rows<1>(log, x, y, rows, n);
    case 2: return short_rows<2>(log, x, y, rows, n);
    case 3: return short_rows<3>(log, x, y, rows, n);
    case 4: return short_rows<4>(log, x, y, rows, n);
    default:
      for (int64_t r = 0; r < rows; ++r) long_row(log, x + r * n, y + r * n, n);
  }
}

// `count` vectors of columns, the last of k lanes.
template <int count> HWY_INLINE void columns_at(bool log, const float* x, float* y, int64_t stride, int64_t n, int k) {
  Vec most[count], sum[count], last[count];
#pragma GCC unroll 4
  for (int v = 0; v < count; ++v) most[v] = hn::Set(vector, -HUGE_VALF), sum[v] = hn::Zero(vector);
  for (int64_t i = 0; i < n; ++i)
#pragma GCC unroll 4
    for (int v = 0; v < count; ++v) most[v] = hn::Max(load(x + i * stride + v * lanes, k), most[v]);
  for (int64_t i = 0; i < n; ++i)
#pragma GCC unroll 4
    for (int v = 0; v < count; ++v) {
      const Vec shifted = hn::Sub(load(x + i * stride + v * lanes, k), most[v]), e = math::exp_or_zero(shifted);
      sum[v] = hn::Add(sum[v], e);
      store(log ? shifted : e, y + i * stride + v * lanes, k);
    }
#pragma GCC unroll 4
  for (int v = 0; v < count; ++v) last[v] = last_term(log, sum[v]);
  for (int64_t i = 0; i < n; ++i)
#pragma GCC unroll 4
    for (int v = 0; v < count; ++v) {
      float* to = y + i * stride + v * lanes;
      store(result(log, load(to, k), last[v]), to, k);
    }
}

void columns(bool log, const float* x, float* y, int64_t stride, int64_t n, int64_t columns) {
  int64_t c = 0;
  for (; c + 4 * lanes <= columns; c += 4 * lanes) columns_at<4>(log, x + c, y + c, stride, n, lanes);
  for (; c < columns; c += lanes)
    columns_at<1>(log, x + c, y + c, stride, n, columns - c < lanes ? static_cast<int>(columns - c) : lanes);
}
}  // namespace
constexpr Functions functions{rows, columns};
}  // namespace kernels::softmax::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

// Compiled for the baseline: what it instantiates may be shared with other files.
namespace kernels::softmax::HWY_NAMESPACE {
Support supports(const Spec& spec) { return {16.0 / kernels::HWY_NAMESPACE::lanes, invalid(spec)}; }
Kernel make(const Spec& spec) { return {spec, &functions}; }
}  // namespace kernels::softmax::HWY_NAMESPACE
#endif
