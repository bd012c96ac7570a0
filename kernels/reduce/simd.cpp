// Reductions in vectors along rows, or over columns.
#include "kernels/simd.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/reduce/simd.cpp"
#include <hwy/foreach_target.h>
#include "kernels/simd-inl.h"
#include "kernels/reduce/reduce.h"

#if INLAY_SIMD_TARGET
HWY_BEFORE_NAMESPACE();
namespace kernels::reduce::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;
using kernels::HWY_NAMESPACE::lanes;
using kernels::HWY_NAMESPACE::load_first;
using kernels::HWY_NAMESPACE::store_first;
using kernels::HWY_NAMESPACE::Vec;
using kernels::HWY_NAMESPACE::vector;

template <Step step> HWY_INLINE Vec start() {
  return hn::Set(vector, step == Step::prod  ? 1.0f
                         : step == Step::min ? HUGE_VALF
                         : step == Step::max ? -HUGE_VALF
                                             : 0.0f);
}
template <Step step> HWY_INLINE Vec join(Vec sum, Vec x) {
  if constexpr (step == Step::sum) return hn::Add(sum, x);
  if constexpr (step == Step::absolute) return hn::Add(sum, hn::Abs(x));
  if constexpr (step == Step::square) return hn::MulAdd(x, x, sum);
  if constexpr (step == Step::prod) return hn::Mul(sum, x);
  const auto before = step == Step::min ? hn::Lt(sum, x) : hn::Gt(sum, x);
  return hn::IfThenElse(hn::Or(before, hn::IsNaN(sum)), sum, x);
}
// Of two parts, rather than of a part and an element.
template <Step step> HWY_INLINE Vec merge(Vec a, Vec b) {
  return join < step == Step::absolute || step == Step::square ? Step::sum : step > (a, b);
}
template <Step step> HWY_INLINE float merge_lanes(Vec v) {
  if constexpr (step == Step::sum || step == Step::absolute || step == Step::square)
    return hn::GetLane(hn::SumOfLanes(vector, v));
  HWY_ALIGN float lane[lanes];
  hn::Store(v, vector, lane);
  float sum = lane[0];
  for (int i = 1; i < lanes; ++i) {
    const float x = lane[i];
    if constexpr (step == Step::prod) sum *= x;
    else if (!(sum != sum) && !(step == Step::min ? sum < x : sum > x)) sum = x;
  }
  return sum;
}

constexpr int64_t run = 16;  // terms that are added one after the other: longer runs lose digits

template <Step step> void rows(const float* x, int64_t stride, int64_t rows, int64_t n, float* y) {
  for (int64_t r = 0; r < rows; ++r, x += stride) {
    Vec total = start<step>(), tail = total;
    int64_t i = 0;
    while (i + 4 * lanes <= n) {
      Vec a = start<step>(), b = a, c = a, d = a;
      for (const int64_t end = n - i > run * 4 * lanes ? i + run * 4 * lanes : n; i + 4 * lanes <= end; i += 4 * lanes) {
        a = join<step>(a, hn::LoadU(vector, x + i));
        b = join<step>(b, hn::LoadU(vector, x + i + lanes));
        c = join<step>(c, hn::LoadU(vector, x + i + 2 * lanes));
        d = join<step>(d, hn::LoadU(vector, x + i + 3 * lanes));
      }
      total = merge<step>(total, merge<step>(merge<step>(a, b), merge<step>(c, d)));
    }
    for (; i + lanes <= n; i += lanes) tail = join<step>(tail, hn::LoadU(vector, x + i));
    if (i < n) {
      const int rest = static_cast<int>(n - i);
      total = hn::IfThenElse(hn::FirstN(vector, rest), join<step>(total, load_first(x + i, rest)), total);
    }
    y[r] = merge_lanes<step>(merge<step>(total, tail));
  }
}

template <Step step, int count> HWY_INLINE void columns_at(const float* x, int64_t stride, int64_t n, float* y) {
  Vec total[count];
#pragma GCC unroll 4
  for (int v = 0; v < count; ++v) total[v] = start<step>();
  for (int64_t i = 0; i < n;) {
    Vec sum[count];
#pragma GCC unroll 4
    for (int v = 0; v < count; ++v) sum[v] = start<step>();
    for (const int64_t end = n - i > run ? i + run : n; i < end; ++i, x += stride)
#pragma GCC unroll 4
      for (int v = 0; v < count; ++v) sum[v] = join<step>(sum[v], hn::LoadU(vector, x + v * lanes));
#pragma GCC unroll 4
    for (int v = 0; v < count; ++v) total[v] = merge<step>(total[v], sum[v]);
  }
#pragma GCC unroll 4
  for (int v = 0; v < count; ++v) hn::StoreU(total[v], vector, y + v * lanes);
}

// Rows of few columns that lie close, `count` whole vectors of rows at a time; then the parts of each column.
template <Step step, int count> HWY_INLINE void few_columns(const float* x, int64_t n, int columns, float* y) {
  HWY_ALIGN float parts[count * lanes];
  const int joined = count * lanes / columns;
  const int64_t whole = n / joined * joined;
  columns_at<step, count>(x, count * lanes, n / joined, parts);
  Vec sum = start<step>();
  for (int i = 0; i < joined; ++i) sum = merge<step>(sum, load_first(parts + i * columns, columns));
  for (int64_t i = whole; i < n; ++i) sum = join<step>(sum, load_first(x + i * columns, columns));
  store_first(sum, y, columns);
}

template <Step step> void columns(const float* x, int64_t stride, int64_t n, int64_t columns, float* y) {
  if (stride == columns && columns < lanes && n * columns >= 8 * lanes) {
    const int few = static_cast<int>(columns);
    if (4 * lanes % few == 0) return few_columns<step, 4>(x, n, few, y);
    if (3 * lanes % few == 0) return few_columns<step, 3>(x, n, few, y);
  }
  int64_t c = 0;
  for (; c + 4 * lanes <= columns; c += 4 * lanes) columns_at<step, 4>(x + c, stride, n, y + c);
  for (; c + lanes <= columns; c += lanes) columns_at<step, 1>(x + c, stride, n, y + c);
  if (c == columns) return;
  const int rest = static_cast<int>(columns - c);
  Vec total = start<step>();
  for (int64_t i = 0; i < n;) {
    Vec sum = start<step>();
    for (const int64_t end = n - i > run ? i + run : n; i < end; ++i) sum = join<step>(sum, load_first(x + i * stride + c, rest));
    total = merge<step>(total, sum);
  }
  store_first(total, y + c, rest);
}
}  // namespace
template <Step step> constexpr Functions functions{rows<step>, columns<step>};
Functions functions_of(Step step) {
  switch (step) {
    case Step::sum: return functions<Step::sum>;
    case Step::absolute: return functions<Step::absolute>;
    case Step::square: return functions<Step::square>;
    case Step::prod: return functions<Step::prod>;
    case Step::min: return functions<Step::min>;
    default: return functions<Step::max>;
  }
}
}  // namespace kernels::reduce::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

// Compiled for the baseline: what it instantiates may be shared with other files.
namespace kernels::reduce::HWY_NAMESPACE {
Support supports(const Spec& spec) { return {16.0 / kernels::HWY_NAMESPACE::lanes, invalid(spec)}; }
Kernel make(const Spec& spec) { return {spec, functions_of}; }
}  // namespace kernels::reduce::HWY_NAMESPACE
#endif
