// Depthwise convolution in the words of kernels/neon.h or neon_fp16.h, one of which comes before this: neighbouring pixels of y at once, so
// that a vector of x is loaded once for all the taps that meet it. Vectors run over channels; partial_vector(row, first, last), which
// the file that includes this declares before, makes the channels of a last one. Such a file is compiled for an instruction set of its
// own: everything here is private to it.
#pragma once
#include "kernels/conv/depthwise.h"

namespace kernels::conv {
namespace {
constexpr int64_t bytes = sizeof(Element);
constexpr int together = 8;        // pixels: their sums hide the latency of the multiply-add
constexpr int pairs_together = 7;  // of each of two rows: one more, and compilers run out of registers
constexpr float no_bias[lanes] = {};

#define UNROLL _Pragma("GCC unroll 32") for

// Column j of a block's, of which those before from_left and from from_right on lie in the padding.
template <bool edges, int reach, int columns>
inline __attribute__((always_inline)) Vector load_column(const Element*& from, int64_t step, int j, int64_t from_left, int64_t from_right) {
  if (edges && ((j < reach && j < from_left) || (j >= columns - reach && j >= from_right))) {
    from = reinterpret_cast<const Element*>(reinterpret_cast<const char*>(from) + step);
    return all(0);
  }
  return load_next(from, step);
}

// `count` neighbouring pixels from `ow` on, and `taps` columns of the kernel from `kw0` on, which lie inside x for all of them. At
// `edges`, up to half of the taps on either side lie in the padding.
template <int taps, int stride, int count, bool edges>
void block(const PixelRow& r, int64_t ow, int64_t kw0, int64_t c0, int64_t c1) {
  constexpr int columns = (count - 1) * stride + taps, reach = taps / 2;
  const Element* const first = reinterpret_cast<const Element*>(r.x) + ow * r.x_step + kw0 * r.x_tap;
  const int64_t y_step = r.y_step * bytes, x_tap = r.x_tap * bytes, x_row = r.x_row, w_tap = r.channels * bytes;
  const int64_t from_left = r.pad_left - ow * stride, from_right = r.width + from_left;  // the columns that are inside
  for (int64_t c = c0; c < c1; c += lanes) {
    Vector sum[count];
    Element buffer[lanes];
    const Element* start = elements_of(r.bias ? r.bias + c : no_bias, buffer);
    UNROLL(int i = 0; i < count; ++i) sum[i] = load_anew(start);
    const Element* w = reinterpret_cast<const Element*>(r.w) + (r.kh0 * r.kernel_w + kw0) * r.channels + c;
    const Element* x = first + c;
    for (int kh = r.kh0; kh < r.kh1; ++kh, x += x_row, w += r.kernel_w * r.channels) {
      Vector weight[taps + 1];
      const Element* tap = w;
      UNROLL(int k = 0; k < taps; ++k) weight[k] = load_next(tap, w_tap);
      Vector value[columns + 1];
      const Element* from = x;
      UNROLL(int j = 0; j < columns; ++j) {
        value[j] = load_column<edges, reach, columns>(from, x_tap, j, from_left, from_right);
      }
      UNROLL(int k = 0; k < taps; ++k) {
        UNROLL(int i = 0; i < count; ++i) sum[i] = multiply_add(sum[i], value[i * stride + k], weight[k]);
      }
    }
    for (const pointwise::Stage& stage : r.epilogue) pointwise::neon_unary(stage, sum);
    limit(r.epilogue, sum);
    Element* y = reinterpret_cast<Element*>(r.y) + ow * r.y_step + c;
    UNROLL(int i = 0; i < count; ++i) store_next(y, sum[i], y_step);
  }
}
using Block = void (*)(const PixelRow&, int64_t ow, int64_t kw0, int64_t c0, int64_t c1);

// By pixels; and one pixel, by columns of the kernel that do not lie in the padding.
template <int kernel_w, int stride, bool edges, int... i> constexpr auto by_count(std::integer_sequence<int, i...>) {
  return std::array<Block, sizeof...(i)>{block<kernel_w, stride, i + 1, edges>...};
}
template <int... i> constexpr auto by_taps(std::integer_sequence<int, i...>) {
  return std::array<Block, sizeof...(i)>{block<i, 1, 1, false>...};
}

// Pixels of two neighbouring rows of y, of a 3×3 kernel with stride 1: a row of x that both meet is loaded once. Terms of a sum come
// in the order that block() gives them. `whole`: all four rows of x are in memory.
template <int count, bool edges, bool whole> void pair_block(const PixelRow& r, const PixelRow& below, int64_t ow, int64_t c0, int64_t c1) {
  constexpr int taps = 3, columns = count - 1 + taps, reach = taps / 2;
  const Element* const first = reinterpret_cast<const Element*>(r.x) + ow * r.x_step;
  const int64_t y_step = r.y_step * bytes, x_tap = r.x_tap * bytes, w_tap = r.channels * bytes;
  const int64_t from_left = r.pad_left - ow, from_right = r.width + from_left;
  const int row0 = r.kh0, row1 = below.kh1 + 1;  // of x, from the first that a kernel at r meets
  for (int64_t c = c0; c < c1; c += lanes) {
    Vector sum[2 * count], weight[taps * taps];
    const Element *w = reinterpret_cast<const Element*>(r.w) + c, *x = first + c;
    UNROLL(int k = 0; k < taps * taps; ++k) weight[k] = load_next(w, w_tap);
    Element buffer[lanes];
    const Element* start = elements_of(r.bias ? r.bias + c : no_bias, buffer);
    UNROLL(int i = 0; i < 2 * count; ++i) sum[i] = load_anew(start);
    UNROLL(int row = 0; row <= taps; ++row) {
      if (!whole && (row < row0 || row >= row1)) continue;
      const Element* from = x;
      UNROLL(int j = 0; j < columns; ++j) {
        const Vector value = load_column<edges, reach, columns>(from, x_tap, j, from_left, from_right);
        UNROLL(int k = taps - 1; k >= 0; --k) {
          if (j - k < 0 || j - k >= count) continue;
          if (row < taps) sum[j - k] = multiply_add(sum[j - k], value, weight[row * taps + k]);
          if (row > 0) sum[count + j - k] = multiply_add(sum[count + j - k], value, weight[(row - 1) * taps + k]);
        }
      }
      x += r.x_row;
    }
    for (const pointwise::Stage& stage : r.epilogue) pointwise::neon_unary(stage, sum);
    limit(r.epilogue, sum);
    Element *y = reinterpret_cast<Element*>(r.y) + ow * r.y_step + c, *y_below = reinterpret_cast<Element*>(below.y) + ow * r.y_step + c;
    UNROLL(int i = 0; i < count; ++i) store_next(y, sum[i], y_step);
    UNROLL(int i = 0; i < count; ++i) store_next(y_below, sum[count + i], y_step);
  }
}
using PairBlock = void (*)(const PixelRow&, const PixelRow&, int64_t ow, int64_t c0, int64_t c1);
template <bool edges, bool whole, int... i> constexpr auto pairs_by_count(std::integer_sequence<int, i...>) {
  return std::array<PairBlock, sizeof...(i)>{pair_block<i + 1, edges, whole>...};
}

// A row in blocks(ow, count, edges) of pixels. Those with more in the padding than blocks take come alone: pixel(ow, kw0, kw1), the
// columns of the kernel that are not in it.
template <int kernel_w, int stride, int together, class Blocks, class Pixel> void divide(const PixelRow& r, const Blocks& blocks, const Pixel& pixel) {
  constexpr int reach = kernel_w / 2;
  const auto out_left = [&](int ow) { return r.pad_left - ow * stride; };
  const auto out_right = [&](int ow) { return ow * stride - r.pad_left + kernel_w - r.width; };
  int last = r.out_width;
  while (last > 0 && out_right(last - 1) > reach) --last;
  for (int ow = 0; ow < r.out_width;) {
    const int left = last - ow, parts = (left + together - 1) / together;
    if (left <= 0 || out_left(ow) > reach) {
      const int at = -out_left(ow), kw0 = std::clamp(-at, 0, kernel_w), kw1 = std::clamp(r.width - at, kw0, kernel_w);
      pixel(ow++, kw0, kw1);
      continue;
    }
    const int count = (left + parts - 1) / parts;
    blocks(ow, count, out_left(ow) > 0 || out_right(ow + count - 1) > 0);
    ow += count;
  }
}

template <int kernel_w, int stride> void run(const PixelRow& r, int64_t c0, int64_t c1) {
  constexpr auto counts = std::make_integer_sequence<int, together>();
  static constexpr auto inner = by_count<kernel_w, stride, false>(counts), edge = by_count<kernel_w, stride, true>(counts);
  static constexpr auto border = by_taps(std::make_integer_sequence<int, kernel_w>());
  const int64_t whole = c0 + (c1 - c0) / lanes * lanes;
  if (whole < c1) partial_vector(r, whole, c1);
  divide<kernel_w, stride, together>(
      r, [&](int ow, int count, bool edges) { (edges ? edge : inner)[static_cast<size_t>(count - 1)](r, ow, 0, c0, whole); },
      [&](int ow, int kw0, int kw1) { border[static_cast<size_t>(kw1 - kw0)](r, ow, kw0, c0, whole); });
}

void run_pair(const PixelRow& r, const PixelRow& below, int64_t c0, int64_t c1) {
  constexpr auto counts = std::make_integer_sequence<int, pairs_together>();
  static constexpr std::array<PairBlock, pairs_together> by[2][2] = {{pairs_by_count<false, false>(counts), pairs_by_count<false, true>(counts)},
                                                               {pairs_by_count<true, false>(counts), pairs_by_count<true, true>(counts)}};
  const bool all_rows = r.kh0 == 0 && below.kh1 == 3;
  static constexpr auto border = by_taps(std::make_integer_sequence<int, 3>());
  const int64_t whole = c0 + (c1 - c0) / lanes * lanes;
  if (whole < c1) partial_vector(r, whole, c1), partial_vector(below, whole, c1);
  divide<3, 1, pairs_together>(
      r, [&](int ow, int count, bool edges) { by[edges][all_rows][static_cast<size_t>(count - 1)](r, below, ow, c0, whole); },
      [&](int ow, int kw0, int kw1) {
        for (const PixelRow* row : {&r, &below}) border[static_cast<size_t>(kw1 - kw0)](*row, ow, kw0, c0, whole);
      });
}

DepthwiseFunction function_of(const Spec& s) {
  if (s.stride_w == 1) return s.kernel_w == 3 ? run<3, 1> : s.kernel_w == 5 ? run<5, 1> : s.kernel_w == 7 ? run<7, 1> : nullptr;
  if (s.stride_w == 2) return s.kernel_w == 3 ? run<3, 2> : s.kernel_w == 5 ? run<5, 2> : nullptr;
  return nullptr;
}
}  // namespace
}  // namespace kernels::conv
