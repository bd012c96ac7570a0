// Resampling in vectors over the elements of a pixel, or of a row and then of a pixel.
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
using kernels::HWY_NAMESPACE::Float;
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

// The sum of rows of x, of floats [begin, end).
HWY_INLINE void sum_rows(const RowArgs& r, int64_t begin, int64_t end, float* line) {
  const float* x = r.x + begin;
  const int64_t n = end - begin;
  int64_t i = 0;
  if (r.taps == 2) {
    const Vec w0 = hn::Set(vector, r.weight[0]), w1 = hn::Set(vector, r.weight[1]);
    const float *x0 = x + r.row[0] * r.x_row, *x1 = x + r.row[1] * r.x_row;
    for (; i + lanes <= n; i += lanes)
      hn::StoreU(hn::MulAdd(hn::LoadU(vector, x1 + i), w1, hn::Mul(hn::LoadU(vector, x0 + i), w0)), vector, line + i);
  }
  for (; i < n; i += lanes) {
    const int rest = n - i < lanes ? static_cast<int>(n - i) : lanes;
    Vec sum = hn::Zero(vector);
    for (int64_t t = 0; t < r.taps; ++t)
      sum = hn::MulAdd(load_first(x + r.row[t] * r.x_row + i, rest), hn::Set(vector, r.weight[t]), sum);
    hn::StoreU(sum, vector, line + i);
  }
}

// A vector of elements of a column of y.
template <class D> HWY_INLINE hn::Vec<D> pair_at(D d, const Pair& p, const float* line) {
  const auto sum = hn::Mul(hn::LoadU(d, line + p.at[0]), hn::Set(d, p.weight[0]));
  return hn::MulAdd(hn::LoadU(d, line + p.at[1]), hn::Set(d, p.weight[1]), sum);
}
template <class D> HWY_INLINE hn::Vec<D> taps_at(D d, const RowArgs& r, int64_t ow, const float* line) {
  auto sum = hn::Zero(d);
  for (int64_t u = r.first[ow]; u < r.first[ow + 1]; ++u)
    sum = hn::MulAdd(hn::LoadU(d, line + r.index[u] * r.inner), hn::Set(d, r.column_weight[u]), sum);
  return sum;
}

// The columns of a block from the sums of its rows. A vector may reach into the pixels that follow, which come later, but
// not behind the row.
template <class D> HWY_INLINE void sum_columns(D d, const RowArgs& r, const Block& b, const float* line) {
  constexpr int64_t n = static_cast<int64_t>(hn::MaxLanes(D()));
  const int64_t inner = r.inner, reach = (inner + n - 1) / n * n, total = r.out_width * inner, last = b.last;
  const int64_t inside = total < reach ? 0 : (total - reach) / inner + 1, whole = inside < last ? inside : last;
  const Pair* const pairs = r.pairs;
  line -= b.begin;
  int64_t ow = b.first;
  float* y = r.y + ow * inner;
  if (pairs && inner <= n) {
    for (; ow < whole; ++ow, y += inner) hn::StoreU(pair_at(d, pairs[ow], line), d, y);
  } else {
    for (; ow < whole; ++ow, y += inner)
      for (int64_t c = 0; c < inner; c += n)
        hn::StoreU(pairs ? pair_at(d, pairs[ow], line + c) : taps_at(d, r, ow, line + c), d, y + c);
  }
  for (; ow < last; ++ow, y += inner)
    for (int64_t c = 0; c < inner; c += n) {
      HWY_ALIGN float copy[n];
      hn::Store(pairs ? pair_at(d, pairs[ow], line + c) : taps_at(d, r, ow, line + c), d, copy);
      for (int64_t i = c; i < inner && i < c + n; ++i) y[i] = copy[i - c];
    }
}

void row(const RowArgs& r) {
  if (r.block_count) {
    HWY_ALIGN float line[Block::most + 2 * lanes];
    for (size_t i = 0; i < r.block_count; ++i) {
      const Block& b = r.blocks[i];
      sum_rows(r, b.begin, b.end, line);
      hn::StoreU(hn::Zero(vector), vector, line + (b.end - b.begin));
      if (r.inner <= 4) sum_columns(hn::CappedTag<float, 4>(), r, b, line);
      else if (r.inner <= 8) sum_columns(hn::CappedTag<float, 8>(), r, b, line);
      else sum_columns(vector, r, b, line);
    }
    return;
  }
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
  return {0.75 * static_cast<double>((spec.inner + lanes - 1) / lanes), invalid(spec)};
}
Kernel make(const Spec& spec) { return {spec, function()}; }
}  // namespace kernels::resize::HWY_NAMESPACE
#endif
