// Pooling of halves: maxima as they are, averages of sums in f32. Nothing here may be shared with files that are compiled for less
// (tests/kernels/weak_symbols.sh): the row is in neon.cpp.
#if defined(__aarch64__)
#include <cmath>
#include "kernels/neon_fp16.h"
#include "kernels/pool/neon_fp16.h"

namespace kernels::pool {
namespace {
#define UNROLL _Pragma("GCC unroll 4") for

// Of one pixel, `count` vectors of channels: the maximum of its taps, which no NaN is.
template <int count> INLAY_WORD void maximum(const RowArgs& r, const Element* x, int columns, float, Element* y) {
  Vector most[count];
  UNROLL(int v = 0; v < count; ++v) most[v] = all(-HUGE_VALF);
  for (int i = 0; i < r.rows; ++i, x += r.x_row) {
    const Element* from = x;
    for (int j = 0; j < columns; ++j, from += r.x_tap) {
      UNROLL(int v = 0; v < count; ++v) most[v] = vmaxnmq_f16(most[v], load(from + v * lanes));
    }
  }
  UNROLL(int v = 0; v < count; ++v) store(y + v * lanes, most[v]);
}
template <int count> INLAY_WORD void average(const RowArgs& r, const Element* x, int columns, float scale, Element* y) {
  float32x4_t low[count], high[count];
  UNROLL(int v = 0; v < count; ++v) low[v] = high[v] = vdupq_n_f32(0);
  for (int i = 0; i < r.rows; ++i, x += r.x_row) {
    const Element* from = x;
    for (int j = 0; j < columns; ++j, from += r.x_tap) {
      UNROLL(int v = 0; v < count; ++v) {
        const Vector tap = load(from + v * lanes);
        low[v] = vaddq_f32(low[v], vcvt_f32_f16(vget_low_f16(tap))), high[v] = vaddq_f32(high[v], vcvt_high_f32_f16(tap));
      }
    }
  }
  UNROLL(int v = 0; v < count; ++v) store(y + v * lanes, vcvt_high_f16_f32(vcvt_f16_f32(vmulq_n_f32(low[v], scale)), vmulq_n_f32(high[v], scale)));
}
template <bool max, int count> INLAY_WORD void pixel(const RowArgs& r, const Element* x, int columns, float scale, Element* y) {
  if constexpr (max) maximum<count>(r, x, columns, scale, y);
  else average<count>(r, x, columns, scale, y);
}

// A channel at a time, of a last, partial vector.
template <bool max> void one(const RowArgs& r, const Element* x, int columns, float scale, Element* y) {
  float result = max ? -HUGE_VALF : 0;
  for (int i = 0; i < r.rows; ++i)
    for (int j = 0; j < columns; ++j) {
      const auto tap = static_cast<float>(x[i * r.x_row + j * r.x_tap]);
      result = !max ? result + tap : tap > result ? tap : result;
    }
  *y = static_cast<Element>(max ? result : result * scale);
}

template <bool max> void row(const RowArgs& r, int64_t c0, int64_t c1) {
  for (int64_t ow = 0; ow < r.out_width; ++ow) {
    const Window w = r.columns[ow];
    const auto* x = reinterpret_cast<const Element*>(r.x) + ow * r.x_step + w.first * r.x_tap;
    auto* y = reinterpret_cast<Element*>(r.y) + ow * r.y_step;
    const int columns = w.past - w.first;
    const int64_t counted = static_cast<int64_t>(r.counted) * w.counted;
    const float scale = 1 / static_cast<float>(counted > 0 ? counted : 1);
    int64_t c = c0;
    for (; c + 4 * lanes <= c1; c += 4 * lanes) pixel<max, 4>(r, x + c, columns, scale, y + c);
    for (; c + lanes <= c1; c += lanes) pixel<max, 1>(r, x + c, columns, scale, y + c);
    for (; c < c1; ++c) one<max>(r, x + c, columns, scale, y + c);
  }
}
}  // namespace
const Function half_maximum = row<true>, half_average = row<false>;
}  // namespace kernels::pool
#endif
