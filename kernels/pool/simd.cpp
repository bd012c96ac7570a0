// Pooling in vectors over channels.
#include "kernels/simd.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/pool/simd.cpp"
#include <hwy/foreach_target.h>
#include "kernels/simd-inl.h"
#include "kernels/pool/pool.h"

#if INLAY_SIMD_TARGET
HWY_BEFORE_NAMESPACE();
namespace kernels::pool::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;
using kernels::HWY_NAMESPACE::lanes;
using kernels::HWY_NAMESPACE::load_first;
using kernels::HWY_NAMESPACE::store_first;
using kernels::HWY_NAMESPACE::Vec;
using kernels::HWY_NAMESPACE::vector;

HWY_INLINE Vec load(const float* from, int n) { return n == lanes ? hn::LoadU(vector, from) : load_first(from, n); }

// `most` where x is NaN: what the instruction does on x86, given its operands in this order.
HWY_INLINE Vec larger(Vec x, Vec most) {
  if constexpr (HWY_ARCH_X86) return hn::Max(x, most);
  else return hn::IfThenElse(hn::Gt(x, most), x, most);
}

// `count` vectors of channels of one pixel, the last of n lanes; neighbouring vectors hide each other's latency.
template <bool max, int count>
HWY_INLINE void pixel(const RowArgs& r, const float* x, int columns, Vec scale, float* y, int n) {
  Vec sum[count];
#pragma GCC unroll 4
  for (int v = 0; v < count; ++v) sum[v] = hn::Set(vector, max ? -HUGE_VALF : 0.0f);
  for (int i = 0; i < r.rows; ++i, x += r.x_row) {
    const float* from = x;
    for (int j = 0; j < columns; ++j, from += r.x_tap)
#pragma GCC unroll 4
      for (int v = 0; v < count; ++v) {
        const Vec tap = load(from + v * lanes, n);
        sum[v] = max ? larger(tap, sum[v]) : hn::Add(sum[v], tap);
      }
  }
#pragma GCC unroll 4
  for (int v = 0; v < count; ++v) {
    const Vec result = max ? sum[v] : hn::Mul(sum[v], scale);
    n == lanes ? hn::StoreU(result, vector, y + v * lanes) : store_first(result, y + v * lanes, n);
  }
}

template <bool max> void row(const RowArgs& r, int64_t c0, int64_t c1) {
  for (int64_t ow = 0; ow < r.out_width; ++ow) {
    const Window w = r.columns[ow];
    const float* x = r.x + ow * r.x_step + w.first * r.x_tap;
    float* y = r.y + ow * r.y_step;
    const int columns = w.past - w.first;
    const int64_t counted = static_cast<int64_t>(r.counted) * w.counted;
    const Vec scale = hn::Set(vector, 1 / static_cast<float>(counted > 0 ? counted : 1));
    int64_t c = c0;
    for (; c + 4 * lanes <= c1; c += 4 * lanes) pixel<max, 4>(r, x + c, columns, scale, y + c, lanes);
    for (; c + lanes <= c1; c += lanes) pixel<max, 1>(r, x + c, columns, scale, y + c, lanes);
    if (c < c1) pixel<max, 1>(r, x + c, columns, scale, y + c, static_cast<int>(c1 - c));
  }
}
}  // namespace
Function function(bool max) { return max ? row<true> : row<false>; }
}  // namespace kernels::pool::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

// Compiled for the baseline: what it instantiates may be shared with other files.
namespace kernels::pool::HWY_NAMESPACE {
Support supports(const Spec& spec) { return {16.0 / kernels::HWY_NAMESPACE::lanes, invalid(spec)}; }
Kernel make(const Spec& spec) { return {spec, function(spec.kind == schema::PoolKind::max)}; }
}  // namespace kernels::pool::HWY_NAMESPACE
#endif
