// Transposes of elements of 4 bytes: a vector's worth of rows at a time, 4 columns of each; up to 4 whole rows or columns at once.
#include "kernels/simd.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/transpose/simd.cpp"
#include <hwy/foreach_target.h>
#include "kernels/simd-inl.h"
#include "kernels/transpose/transpose.h"

#if INLAY_SIMD_TARGET
HWY_BEFORE_NAMESPACE();
namespace kernels::transpose::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;
using kernels::HWY_NAMESPACE::Float;
using kernels::HWY_NAMESPACE::lanes;
using kernels::HWY_NAMESPACE::store_first;
using kernels::HWY_NAMESPACE::Vec;
using kernels::HWY_NAMESPACE::vector;

constexpr hn::Repartition<uint64_t, Float> pairs;  // 32-bit ARM has no vectors of double
HWY_INLINE Vec lower_pairs(Vec a, Vec b) {
  return hn::BitCast(vector, hn::InterleaveLower(pairs, hn::BitCast(pairs, a), hn::BitCast(pairs, b)));
}
HWY_INLINE Vec upper_pairs(Vec a, Vec b) {
  return hn::BitCast(vector, hn::InterleaveUpper(pairs, hn::BitCast(pairs, a), hn::BitCast(pairs, b)));
}

// Block b of the result: 4 columns of row first + 4·b, or of the last row where there is none.
HWY_INLINE Vec load_rows(const float* x, int64_t stride, int first, int last) {
  const auto row = [=](int b) HWY_ATTR {
    const int r = first + 4 * b;
    return hn::LoadDup128(vector, x + (r < last ? r : last) * stride);
  };
  Vec v = row(lanes / 4 - 1);
#pragma GCC unroll 4
  for (int b = lanes / 4 - 2; b >= 0; --b) v = hn::IfThenElse(hn::FirstN(vector, 4 * (b + 1)), row(b), v);
  return v;
}

// `rows` of at most a vector.
HWY_INLINE void tile(const float* x, int64_t x_stride, float* y, int64_t y_stride, int rows) {
  const Vec r0 = load_rows(x, x_stride, 0, rows - 1), r1 = load_rows(x, x_stride, 1, rows - 1);
  const Vec r2 = load_rows(x, x_stride, 2, rows - 1), r3 = load_rows(x, x_stride, 3, rows - 1);
  const Vec a = hn::InterleaveLower(vector, r0, r1), b = hn::InterleaveUpper(vector, r0, r1);
  const Vec c = hn::InterleaveLower(vector, r2, r3), d = hn::InterleaveUpper(vector, r2, r3);
  const auto put = [=](Vec v, int column) HWY_ATTR {
    rows == lanes ? hn::StoreU(v, vector, y + column * y_stride) : store_first(v, y + column * y_stride, rows);
  };
  put(lower_pairs(a, c), 0), put(upper_pairs(a, c), 1), put(lower_pairs(b, d), 2), put(upper_pairs(b, d), 3);
}

// The last 4 columns may be some of those before them once more.
HWY_INLINE void strip(const float* x, int64_t x_stride, float* y, int64_t y_stride, int rows, int64_t columns) {
  int64_t c = 0;
  for (; c + 4 <= columns; c += 4) tile(x + c, x_stride, y + c * y_stride, y_stride, rows);
  if (c < columns) tile(x + columns - 4, x_stride, y + (columns - 4) * y_stride, y_stride, rows);
}

// f(i) for vectors that cover [0, n), the last of which may overlap the one before it.
template <class F> HWY_INLINE void cover(int64_t n, F f) {
  for (int64_t i = 0; i + lanes <= n; i += lanes) f(i);
  if (n % lanes) f(n - lanes);
}

// Two to four rows woven into one, and back: channels that are shuffled or split, pixels of a picture.
template <int rows> HWY_INLINE void weave(const float* x, int64_t x_stride, float* y, int64_t columns) {
  cover(columns, [=](int64_t c) HWY_ATTR {
    const Vec a = hn::LoadU(vector, x + c), b = hn::LoadU(vector, x + x_stride + c);
    if constexpr (rows == 2) {
      hn::StoreInterleaved2(a, b, vector, y + 2 * c);
    } else {
      const Vec d = hn::LoadU(vector, x + 2 * x_stride + c);
      if constexpr (rows == 3) hn::StoreInterleaved3(a, b, d, vector, y + 3 * c);
      else hn::StoreInterleaved4(a, b, d, hn::LoadU(vector, x + 3 * x_stride + c), vector, y + 4 * c);
    }
  });
}
template <int columns> HWY_INLINE void unweave(const float* x, float* y, int64_t y_stride, int64_t rows) {
  cover(rows, [=](int64_t r) HWY_ATTR {
    Vec v[4];
    if constexpr (columns == 2) hn::LoadInterleaved2(vector, x + 2 * r, v[0], v[1]);
    else if constexpr (columns == 3) hn::LoadInterleaved3(vector, x + 3 * r, v[0], v[1], v[2]);
    else hn::LoadInterleaved4(vector, x + 4 * r, v[0], v[1], v[2], v[3]);
    for (int c = 0; c < columns; ++c) hn::StoreU(v[c], vector, y + c * y_stride + r);
  });
}

void run(const void* from, int64_t x_stride, void* to, int64_t y_stride, int64_t rows, int64_t columns) {
  const auto* x = static_cast<const float*>(from);
  auto* y = static_cast<float*>(to);
  if (rows == y_stride && columns >= lanes) {
    if (rows == 2) return weave<2>(x, x_stride, y, columns);
    if (rows == 3) return weave<3>(x, x_stride, y, columns);
    if (rows == 4) return weave<4>(x, x_stride, y, columns);
  }
  if (columns == x_stride && rows >= lanes) {
    if (columns == 2) return unweave<2>(x, y, y_stride, rows);
    if (columns == 3) return unweave<3>(x, y, y_stride, rows);
    if (columns == 4) return unweave<4>(x, y, y_stride, rows);
  }
  if (rows < 4 || columns < 4) return plain(4)(from, x_stride, to, y_stride, rows, columns);
  int64_t r = 0;
  for (; r + lanes <= rows; r += lanes) strip(x + r * x_stride, x_stride, y + r, y_stride, lanes, columns);
  if (r < rows) strip(x + r * x_stride, x_stride, y + r, y_stride, static_cast<int>(rows - r), columns);
}
}  // namespace
Function function() { return run; }
}  // namespace kernels::transpose::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

// Compiled for the baseline: what it instantiates may be shared with other files.
namespace kernels::transpose::HWY_NAMESPACE {
Support supports(const Spec& spec) {
  const std::string reason = invalid(spec);
  return {16.0 / kernels::HWY_NAMESPACE::lanes,
          reason.empty() && spec.element_bytes != 4 ? "elements of other than 4 bytes" : reason};
}
Kernel make(const Spec& spec) { return {spec, function()}; }
}  // namespace kernels::transpose::HWY_NAMESPACE
#endif
