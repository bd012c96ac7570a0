// Packing of weights: rows become columns.
#pragma once
#include <algorithm>
#include <cstdint>

namespace kernels {
namespace pack_detail {
using Four [[gnu::vector_size(16), gnu::aligned(4), gnu::may_alias]] = float;

// The first four elements of four rows, as four columns.
inline void turn_four(const float* const* rows, int64_t at, float* const* to, int64_t column) {
  const auto row = [&](int i) { return *reinterpret_cast<const Four*>(rows[i] + at); };
  const auto put = [&](int i, Four v) { *reinterpret_cast<Four*>(to[i] + column) = v; };
  const Four a = row(0), b = row(1), c = row(2), d = row(3);
  const Four ab_low = __builtin_shufflevector(a, b, 0, 4, 1, 5), ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
  const Four cd_low = __builtin_shufflevector(c, d, 0, 4, 1, 5), cd_high = __builtin_shufflevector(c, d, 2, 6, 3, 7);
  put(0, __builtin_shufflevector(ab_low, cd_low, 0, 1, 4, 5)), put(1, __builtin_shufflevector(ab_low, cd_low, 2, 3, 6, 7));
  put(2, __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5)), put(3, __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7));
}
}  // namespace pack_detail

// to(k)[c] = from[c * stride + k] for all k < count and c < columns; zeros from there to `width`. A cache line of each row at a time,
// by vectors that every target has.
template <class To> void pack_columns(const float* from, int64_t stride, int64_t columns, int64_t width, int64_t count, const To& to) {
  constexpr int64_t line = 16, side = 4;
  for (int64_t k0 = 0; k0 < count; k0 += line) {
    const int64_t n = std::min(line, count - k0);
    float* rows[line];
    for (int64_t k = 0; k < n; ++k) {
      rows[k] = to(k0 + k);
      std::fill(rows[k] + columns, rows[k] + width, 0.0f);
    }
    int64_t c = 0;
    for (; c + side <= columns; c += side) {
      const float* four[side];
      for (int64_t i = 0; i < side; ++i) four[i] = from + (c + i) * stride + k0;
      int64_t k = 0;
      for (; k + side <= n; k += side) pack_detail::turn_four(four, k, rows + k, c);
      for (; k < n; ++k)
        for (int64_t i = 0; i < side; ++i) rows[k][c + i] = four[i][k];
    }
    for (; c < columns; ++c)
      for (int64_t k = 0; k < n; ++k) rows[k][c] = from[c * stride + k0 + k];
  }
}
}  // namespace kernels
