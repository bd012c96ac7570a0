// One row of A by rows of B: vectors along k, four rows of B at a time, two sums of each.
#include "kernels/simd.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/gemm/simd.cpp"
#include <hwy/foreach_target.h>
#include "kernels/simd-inl.h"
#include "kernels/gemm/gemv.h"

#if INLAY_SIMD_TARGET
HWY_BEFORE_NAMESPACE();
namespace kernels::gemm::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;
using kernels::HWY_NAMESPACE::lanes;
using kernels::HWY_NAMESPACE::load_first;
using kernels::HWY_NAMESPACE::Vec;
using kernels::HWY_NAMESPACE::vector;

constexpr int line = 64 / sizeof(float), sums = 2, vectors = line > sums *lanes ? line / lanes : sums;  // of a turn

// A row is about a page, where what loads ahead by itself stops: the next rows are asked for along the way.
template <int rows> HWY_INLINE void dots_of(const Dots& d, int64_t i) {
  const float* const b = d.b + i * d.ldb;
  Vec sum[rows][sums];
#pragma GCC unroll 8
  for (int r = 0; r < rows; ++r) sum[r][0] = sum[r][1] = hn::Zero(vector);
  int64_t k = 0;
  for (; k + vectors * lanes <= d.k; k += vectors * lanes) {
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r)
      for (int at = 0; at < vectors * lanes; at += line) __builtin_prefetch(b + (r + rows) * d.ldb + k + at, 0, 2);
#pragma GCC unroll 8
    for (int v = 0; v < vectors; ++v) {
      const Vec a = hn::LoadU(vector, d.a + k + v * lanes);
#pragma GCC unroll 8
      for (int r = 0; r < rows; ++r)
        sum[r][v % sums] = hn::MulAdd(a, hn::LoadU(vector, b + r * d.ldb + k + v * lanes), sum[r][v % sums]);
    }
  }
  for (; k < d.k; k += lanes) {
    const int n = static_cast<int>(d.k - k < lanes ? d.k - k : lanes);
    const Vec a = load_first(d.a + k, n);
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r) sum[r][0] = hn::MulAdd(a, load_first(b + r * d.ldb + k, n), sum[r][0]);
  }
#pragma GCC unroll 8
  for (int r = 0; r < rows; ++r) d.c[i + r] = hn::GetLane(hn::SumOfLanes(vector, hn::Add(sum[r][0], sum[r][1])));
}
}  // namespace

void dots(const Dots& d) {
  int64_t i = 0;
  for (; i + 4 <= d.n; i += 4) dots_of<4>(d, i);
  for (; i < d.n; ++i) dots_of<1>(d, i);
}
}  // namespace kernels::gemm::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
