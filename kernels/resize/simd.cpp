// Resampling in vectors over the elements of a pixel.
#include "kernels/simd.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/resize/simd.cpp"
#include <hwy/foreach_target.h>
#include "kernels/simd-inl.h"
#include "kernels/resize/resize.h"

#if INLAY_SIMD_TARGET
HWY_BEFORE_NAMESPACE();
namespace kernels::resize::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;
using kernels::HWY_NAMESPACE::lanes;
using kernels::HWY_NAMESPACE::load_first;
using kernels::HWY_NAMESPACE::store_first;
using kernels::HWY_NAMESPACE::Vec;
using kernels::HWY_NAMESPACE::vector;

// The taps of a pixel's columns.
struct Columns {
  const int64_t* index;
  const float* weight;
  int64_t taps;
};

// `count` vectors of a pixel, the last of n lanes.
template <int count> HWY_INLINE void pixel(const RowArgs& r, const float* x, const Columns& columns, float* y, int n) {
  Vec sum[count];
#pragma GCC unroll 4
  for (int v = 0; v < count; ++v) sum[v] = hn::Zero(vector);
  for (int64_t t = 0; t < r.taps; ++t) {
    const float* row = x + r.row[t] * r.x_row;
    for (int64_t u = 0; u < columns.taps; ++u) {
      const Vec weight = hn::Set(vector, r.weight[t] * columns.weight[u]);
      const float* from = row + columns.index[u] * r.inner;
#pragma GCC unroll 4
      for (int v = 0; v < count; ++v)
        sum[v] = hn::MulAdd(n == lanes ? hn::LoadU(vector, from + v * lanes) : load_first(from, n), weight, sum[v]);
    }
  }
#pragma GCC unroll 4
  for (int v = 0; v < count; ++v) n == lanes ? hn::StoreU(sum[v], vector, y + v * lanes) : store_first(sum[v], y, n);
}

void row(const RowArgs& r) {
  float* y = r.y;
  for (int64_t ow = 0; ow < r.out_width; ++ow, y += r.inner) {
    const int64_t first = r.first[ow];
    const Columns columns{r.index + first, r.column_weight + first, r.first[ow + 1] - first};
    int64_t c = 0;
    for (; c + 4 * lanes <= r.inner; c += 4 * lanes) pixel<4>(r, r.x + c, columns, y + c, lanes);
    for (; c + lanes <= r.inner; c += lanes) pixel<1>(r, r.x + c, columns, y + c, lanes);
    if (c < r.inner) pixel<1>(r, r.x + c, columns, y + c, static_cast<int>(r.inner - c));
  }
}
}  // namespace
Function function() { return row; }
}  // namespace kernels::resize::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

// Compiled for the baseline: what it instantiates may be shared with other files.
namespace kernels::resize::HWY_NAMESPACE {
Support supports(const Spec& spec) {
  constexpr int lanes = kernels::HWY_NAMESPACE::lanes;
  return {static_cast<double>(2 * ((spec.inner + lanes - 1) / lanes)), invalid(spec)};
}
Kernel make(const Spec& spec) { return {spec, function()}; }
}  // namespace kernels::resize::HWY_NAMESPACE
#endif
