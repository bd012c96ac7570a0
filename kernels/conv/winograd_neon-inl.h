// The transforms of Winograd convolution in the words of kernels/neon.h or neon_fp16.h, one of which comes before this: loads and stores
// step their addresses themselves, what the first pass over a tile of x leaves for the second lies in pairs on the stack, and tiles of y
// are finished in registers. Each file that includes it is compiled for an instruction set of its own: everything here is private to it.
#pragma once
#include "kernels/conv/winograd.h"

#define UNROLL _Pragma("GCC unroll 16") for
#define INLINE inline __attribute__((always_inline))

namespace kernels::conv {
namespace {
constexpr Element zeros[lanes] = {};

// Bᵀd. The points are those of winograd.cpp: 0, ±1, ∞, and 0, ±√½, ±√2, ∞.
constexpr float point = 0.70710678118654752f;
INLINE void input_1d(const Vector (&d)[4], Vector (&to)[4], Vector) {
  to[0] = sub(d[0], d[2]);
  to[1] = add(d[1], d[2]);
  to[2] = sub(d[2], d[1]);
  to[3] = sub(d[1], d[3]);
}
INLINE void input_1d(const Vector (&d)[6], Vector (&to)[6], Vector k) {  // k: ½, 2½, √½, √2
  const Vector two_even = add(d[2], d[2]), even = sub(d[4], two_even), far_even = subtract_product<0>(d[4], d[2], k);
  const Vector odd = sub(d[3], add(d[1], d[1])), end = subtract_product<1>(d[5], d[3], k);
  const Vector far_odd = subtract_product<0>(d[3], d[1], k), by_p = product<2>(odd, k), by_q = product<3>(far_odd, k);
  to[0] = sub(add(d[0], far_even), two_even);
  to[1] = add(even, by_p);
  to[2] = sub(even, by_p);
  to[3] = add(far_even, by_q);
  to[4] = sub(far_even, by_q);
  to[5] = add(d[1], end);
}

// `inner`: all of the tile is in memory. Rows that are not are read from zeros.
template <int m, bool inner> INLINE void input_channels(const WinogradInput& t) {
  constexpr int size = m + 2;
  const Vector constants{0.5f, 2.5f, point, 2 * point}, none = all(0);
  const int64_t pixel = t.x_pixel * int64_t{sizeof(Element)}, step = t.step * int64_t{sizeof(Element)};
  const auto* x = reinterpret_cast<const Element*>(t.x);
  const Element* row[size];
  int64_t across[size];
  UNROLL(int i = 0; i < size; ++i) {
    const bool inside = inner || (i >= t.row0 && i < t.row1);
    row[i] = inside ? x + i * t.x_row + (inner ? 0 : t.col0 * t.x_pixel) : zeros;
    across[i] = inside ? pixel : 0;
  }
  for (int64_t c = 0;;) {
    Element between[size * size * lanes];  // [column][row]
    Element* at = between;
    asm("" : "+r"(at));
    const Element* from[size];
    UNROLL(int i = 0; i < size; ++i) from[i] = row[i] + (inner || across[i] ? c : 0);
    UNROLL(int j = 0; j < size; ++j) {
      Vector d[size], result[size];
      if (inner || (j >= t.col0 && j < t.col1)) {
        UNROLL(int i = 0; i < size; ++i) d[i] = load_next(from[i], inner ? pixel : across[i]);
        input_1d(d, result, constants);
      } else {
        UNROLL(int i = 0; i < size; ++i) result[i] = none;
      }
      UNROLL(int i = 0; i < size; ++i) store(at + (j * size + i) * lanes, result[i]);
    }
    asm("" : "+r"(at) : : "memory");
    auto* to = reinterpret_cast<Element*>(t.v) + c;
    UNROLL(int i = 0; i < size; i += 2) {
      Vector first[size], second[size], result[size];
      UNROLL(int j = 0; j < size; ++j) {
        first[j] = load(at + (j * size + i) * lanes);
        second[j] = load(at + (j * size + i + 1) * lanes);
      }
      input_1d(first, result, constants);
      UNROLL(int j = 0; j < size; ++j) store_next(to, result[j], step);
      input_1d(second, result, constants);
      UNROLL(int j = 0; j < size; ++j) store_next(to, result[j], step);
    }
    c += lanes;
    if (c >= t.channels) return;
    c = std::min(c, t.channels - lanes);  // the last channels, again where they are no whole vector
  }
}
template <int m> void input(const WinogradInput& t) {
  if (t.row0 == 0 && t.col0 == 0 && t.row1 == m + 2 && t.col1 == m + 2) input_channels<m, true>(t);
  else input_channels<m, false>(t);
}

// Aᵀd of a row of products.
INLINE void output_row(const Element*& from, int64_t step, Vector (&to)[2], Vector) {
  Vector d[4];
  UNROLL(int j = 0; j < 4; ++j) d[j] = load_next(from, step);
  to[0] = add(add(d[0], d[1]), d[2]);
  to[1] = sub(sub(d[1], d[2]), d[3]);
}
INLINE void output_row(const Element*& from, int64_t step, Vector (&to)[4], Vector k) {  // k: √½, √2, ½, √⅛
  Vector d[6];
  UNROLL(int j = 0; j < 6; ++j) d[j] = load_next(from, step);
  const Vector near_sum = add(d[1], d[2]), near = sub(d[1], d[2]);
  const Vector far_sum = add(d[3], d[4]), far = sub(d[3], d[4]), two_far = add(far, far);
  to[0] = add(add(d[0], near_sum), far_sum);
  to[1] = add_product<1>(product<0>(near, k), far, k);
  to[2] = add_product<2>(add(far_sum, far_sum), near_sum, k);
  to[3] = add_product<1>(add_product<3>(d[5], near, k), two_far, k);
}

// The tile of y from its rows, which are added up as they come.
INLINE void output_tile(const Element* from, int64_t step, Vector bias, Vector (&y)[4], Vector k) {
  Vector a[2], b[2];
  output_row(from, step, a, k);
  UNROLL(int j = 0; j < 2; ++j) y[j] = add(a[j], bias);
  output_row(from, step, a, k), output_row(from, step, b, k);
  UNROLL(int j = 0; j < 2; ++j) y[j] = add(y[j], add(a[j], b[j])), y[2 + j] = add(bias, sub(a[j], b[j]));
  output_row(from, step, a, k);
  UNROLL(int j = 0; j < 2; ++j) y[2 + j] = sub(y[2 + j], a[j]);
}
INLINE void output_tile(const Element* from, int64_t step, Vector bias, Vector (&y)[16], Vector k) {
  Vector a[4], b[4];
  output_row(from, step, a, k);
  UNROLL(int j = 0; j < 4; ++j) y[j] = add(a[j], bias);
  output_row(from, step, a, k), output_row(from, step, b, k);
  UNROLL(int j = 0; j < 4; ++j) {
    const Vector sum = add(a[j], b[j]), difference = sub(a[j], b[j]);
    y[j] = add(y[j], sum);
    y[4 + j] = add_product<0>(bias, difference, k);
    y[8 + j] = add_product<2>(bias, sum, k);
    y[12 + j] = add_product<3>(bias, difference, k);
  }
  output_row(from, step, a, k), output_row(from, step, b, k);
  UNROLL(int j = 0; j < 4; ++j) {
    const Vector sum = add(a[j], b[j]), difference = sub(a[j], b[j]);
    y[j] = add(y[j], sum);
    y[4 + j] = add_product<1>(y[4 + j], difference, k);
    y[8 + j] = add(y[8 + j], add(sum, sum));
    y[12 + j] = add_product<1>(y[12 + j], add(difference, difference), k);
  }
  output_row(from, step, a, k);
  UNROLL(int j = 0; j < 4; ++j) y[12 + j] = add(y[12 + j], a[j]);
}

// f(y, operand) for the pixels that are in memory; `c`: their channel.
template <int m, bool whole, class F> INLINE void combine(const WinogradOutput& t, const pointwise::Stage& stage, int64_t c, Vector (&y)[m * m], F f) {
  const pointwise::Cursor& operand = t.cursors[stage.operand];
  const bool one = stage.mode == pointwise::Mode::per_row || stage.mode == pointwise::Mode::scalar;
  const int64_t down = t.row_pixels * operand.stride, across = t.next_pixel * operand.stride;
  const auto* data = reinterpret_cast<const char*>(reinterpret_cast<const Element*>(operand.data) + (one ? 0 : c));
  UNROLL(int i = 0; i < m; ++i, data += down) {
    const char* from = data;
    UNROLL(int j = 0; j < m; ++j, from += across) {
      if (!whole && (i >= t.rows || j >= t.cols)) continue;
      const auto* value = reinterpret_cast<const Element*>(from);
      y[i * m + j] = f(y[i * m + j], one ? broadcast(value) : load(value));
    }
  }
}
template <int m, bool whole> INLINE void finish(const WinogradOutput& t, int64_t c, Vector (&y)[m * m]) {
  for (const pointwise::Stage& stage : t.epilogue) {
    if (!stage.binary) pointwise::neon_unary(stage, y);
    else if (stage.op == schema::BinaryKind::add) combine<m, whole>(t, stage, c, y, add);
    else combine<m, whole>(t, stage, c, y, mul);
  }
  limit(t.epilogue, y);
}

template <int m, bool whole> INLINE void output_channels(const WinogradOutput& t) {
  const Vector constants{point, 2 * point, 0.5f, point / 2};
  const int64_t pixel = t.y_pixel * int64_t{sizeof(Element)}, step = t.step * int64_t{sizeof(Element)};
  for (int64_t c = 0;;) {
    Vector y[m * m];
    output_tile(reinterpret_cast<const Element*>(t.m) + c, step, t.bias ? load_floats(t.bias + c) : all(0), y, constants);
    finish<m, whole>(t, c, y);
    UNROLL(int i = 0; i < m; ++i) {
      if (!whole && i >= t.rows) break;
      auto* to = reinterpret_cast<Element*>(t.y) + i * t.y_row + c;
      UNROLL(int j = 0; j < m; ++j) {
        if (whole || j < t.cols) store_next(to, y[i * m + j], pixel);
      }
    }
    c += lanes;
    if (c >= t.channels) return;
    c = std::min(c, t.channels - lanes);
  }
}
template <int m> void output(const WinogradOutput& t) {
  t.rows == m && t.cols == m ? output_channels<m, true>(t) : output_channels<m, false>(t);
}
}  // namespace
}  // namespace kernels::conv
