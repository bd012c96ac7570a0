#include "kernels/pool/pool.h"
#include <cmath>
#include "kernels/split.h"

namespace kernels::pool {
namespace {
constexpr int64_t block = 64;  // channels that threads do not share

std::vector<Window> windows(int64_t out, int64_t in, int64_t kernel, int64_t stride, int64_t dilation, int64_t begin,
                            int64_t end, bool count_pad) {
  std::vector<Window> all(static_cast<size_t>(out));
  for (int64_t o = 0; o < out; ++o) {
    const int64_t start = o * stride - begin;
    // Taps at or behind `least` and in front of `limit`.
    const auto first = [&](int64_t least) { return start >= least ? 0 : (least - start + dilation - 1) / dilation; };
    const auto past = [&](int64_t limit) {
      return start >= limit ? 0 : std::min(kernel, (limit - 1 - start) / dilation + 1);
    };
    Window& w = all[static_cast<size_t>(o)];
    w.first = static_cast<int>(std::min(first(0), kernel));
    w.past = std::max(w.first, static_cast<int>(past(in)));
    w.counted = count_pad ? static_cast<int>(std::max<int64_t>(0, past(in + end) - first(-begin))) : w.past - w.first;
  }
  return all;
}

template <bool max> void row(const RowArgs& r, int64_t c0, int64_t c1) {
  for (int64_t ow = 0; ow < r.out_width; ++ow) {
    const Window w = r.columns[ow];
    float* y = r.y + ow * r.y_step;
    for (int64_t c = c0; c < c1; ++c) y[c] = max ? -HUGE_VALF : 0;
    for (int i = 0; i < r.rows; ++i)
      for (int j = w.first; j < w.past; ++j) {
        const float* x = r.x + i * r.x_row + ow * r.x_step + j * r.x_tap;
        for (int64_t c = c0; c < c1; ++c) y[c] = max ? (x[c] > y[c] ? x[c] : y[c]) : y[c] + x[c];
      }
    if constexpr (!max) {
      const float scale = 1 / static_cast<float>(std::max<int64_t>(1, static_cast<int64_t>(r.counted) * w.counted));
      for (int64_t c = c0; c < c1; ++c) y[c] *= scale;
    }
  }
}
}  // namespace

Kernel::Kernel(const Spec& s, Function function)
    : spec_(s),
      function_(function),
      rows_(
          windows(s.out_height, s.height, s.kernel_h, s.stride_h, s.dilation_h, s.pad_top, s.pad_bottom, s.count_pad)),
      columns_(
          windows(s.out_width, s.width, s.kernel_w, s.stride_w, s.dilation_w, s.pad_left, s.pad_right, s.count_pad)) {}

void Kernel::run_row(const float* x, float* y, int64_t row, int64_t c0, int64_t c1) const {
  const Spec& s = spec_;
  const int64_t image = row / s.out_height, oh = row % s.out_height, pitch = s.in_pitch();
  const Window& w = rows_[static_cast<size_t>(oh)];
  const int64_t top = oh * s.stride_h - s.pad_top + static_cast<int64_t>(w.first) * s.dilation_h;
  RowArgs r;
  r.x = pointwise::advance(x, ((image * s.height + (w.first < w.past ? top : 0)) * s.width - s.pad_left) * pitch, s.kept_x);
  r.y = pointwise::advance(y, row * s.out_width * s.out_pitch(), s.kept_y);
  r.columns = columns_.data();
  r.out_width = s.out_width;
  r.x_row = s.dilation_h * s.width * pitch;
  r.x_tap = s.dilation_w * pitch;
  r.x_step = s.stride_w * pitch;
  r.y_step = s.out_pitch();
  r.rows = w.past - w.first;
  r.counted = w.counted;
  function_(r, c0, c1);
}

void Kernel::run(const float* x, float* y, int64_t batch, ThreadPool& pool, int max_threads) const {
  const int64_t rows = batch * spec_.out_height, channels = spec_.channels;
  const int64_t work = rows * spec_.out_width * channels * spec_.kernel_h * spec_.kernel_w;
  run_split(pool, max_threads, rows, (channels + block - 1) / block, work,
            [&](int64_t row, int64_t end, int64_t block0, int64_t block1) {
              for (; row < end; ++row) run_row(x, y, row, block0 * block, std::min(channels, block1 * block));
            });
}

std::string invalid(const Spec& s, bool takes_halves) {
  if (s.kind == schema::PoolKind::lp) return "lp pooling";
  if (s.channels < 0 || s.height < 0 || s.width < 0 || s.out_height < 0 || s.out_width < 0) return "a negative extent";
  if (s.kernel_h <= 0 || s.kernel_w <= 0 || s.stride_h <= 0 || s.stride_w <= 0 || s.dilation_h <= 0 ||
      s.dilation_w <= 0)
    return "kernel, stride or dilation is not positive";
  if (s.pad_top < 0 || s.pad_left < 0 || s.pad_bottom < 0 || s.pad_right < 0) return "negative padding";
  if (s.in_pitch() < s.channels || s.out_pitch() < s.channels) return "a pixel pitch below the channels";
  return std::string(pointwise::refusal({.x = s.kept_x, .y = s.kept_y}, takes_halves));
}

std::span<const Row> rows() {
  static constexpr Row table[] = {
#define KERNEL(name, isa, tile, where) {#name, isa, tile, where::supports, where::make},
#include "kernels/pool/kernels.inc"
  };
  return table;
}

Choice select(const Spec& spec, isa::Mask have) { return choose(rows(), spec, have); }

Support scalar::supports(const Spec& spec) { return {16, invalid(spec)}; }
Kernel scalar::make(const Spec& spec) { return {spec, spec.kind == schema::PoolKind::max ? row<true> : row<false>}; }
}  // namespace kernels::pool
