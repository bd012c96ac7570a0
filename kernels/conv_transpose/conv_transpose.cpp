#include "kernels/conv_transpose/conv_transpose.h"
#include <cstring>
#include <numeric>
#include "kernels/conv/conv.h"
#include "kernels/split.h"

namespace kernels::conv_transpose {
namespace {
constexpr int64_t floats_of_a_line = 16;
constexpr int64_t few_weights = 64 << 10;  // bytes that single rows may read again and again
constexpr int64_t many_pixels = 256;       // for which others are read once
constexpr int64_t most_stride = 64, most_extent = 1 << 12;
constexpr double most_growth = 16;         // of the weights, by zeros

// What one dim of a transposed convolution is to the outputs o = j · stride + phase: input j + at(k) meets them through each
// tap k that falls on them. All phases between `first` and `last` see one window, of `extent` inputs `step` apart from
// j - before on.
struct Window {
  int64_t stride, dilation, pad;
  int64_t before = 0, step = 1, extent = 1;

  Window(int stride, int dilation, int pad, int kernel, int64_t first, int64_t last) : stride(stride), dilation(dilation), pad(pad) {
    int64_t low = 0, high = 0;
    bool any = false;
    each(kernel, first, last, [&](int64_t at, int64_t, int64_t) {
      low = any ? std::min(low, at) : at, high = any ? std::max(high, at) : at, any = true;
    });
    low = std::min<int64_t>(low, 0);  // what is cut off cannot be seen as padding: the window has zeros there
    int64_t between = 0;
    each(kernel, first, last, [&](int64_t at, int64_t, int64_t) { between = std::gcd(between, at - low); });
    step = std::max<int64_t>(1, between), before = -low, extent = (high - low) / step + 1;
  }
  // f(at, tap, phase) for all taps of these phases.
  template <class F> void each(int64_t kernel, int64_t first, int64_t last, const F& f) const {
    for (int64_t phase = first; phase < last; ++phase)
      for (int64_t k = 0; k < kernel; ++k)
        if (const int64_t at = phase + pad - k * dilation; at % stride == 0) f(at / stride, k, phase);
  }
  // Where in the window.
  int64_t place(int64_t at) const { return (at + before) / step; }
  // The padding behind that gives `out` outputs or more of the window.
  int behind(int64_t in, int64_t out) const { return static_cast<int>(std::max<int64_t>(0, out + (extent - 1) * step - in - before)); }
};

class ByPhases final : public ConvTranspose {
 public:
  explicit ByPhases(const Spec& s)
      : s_(s),
        columns_(s.stride_w, s.dilation_w, s.pad_left, s.kernel_w, 0, s.stride_w),
        across_(divide_up(s.out_width, s.stride_w)) {
    for (int phase = 0; phase < s.stride_h; ++phase) {
      const Window rows(s.stride_h, s.dilation_h, s.pad_top, s.kernel_h, phase, phase + 1);
      conv::Spec spec;
      spec.channels = s.channels, spec.out_channels = s.out_channels * s.stride_w;
      spec.width = s.width;
      spec.kernel_h = static_cast<int>(rows.extent), spec.kernel_w = static_cast<int>(columns_.extent);
      spec.dilation_h = static_cast<int>(rows.step), spec.dilation_w = static_cast<int>(columns_.step);
      spec.pad_top = static_cast<int>(rows.before), spec.pad_left = static_cast<int>(columns_.before);
      spec.pad_bottom = rows.behind(s.height, divide_up(s.out_height, s.stride_h));
      spec.pad_right = columns_.behind(s.width, across_);
      spec.bias = true, spec.by_rows = true;
      phases_.push_back({rows, spec, conv::select(spec, s.isa).kernel, 0});
      if (!phases_.back().kernel) return;
      phases_.back().packed = packed_;
      packed_ += round_up(static_cast<int64_t>(phases_.back().kernel->packed_bytes()), 64);
    }
    const conv::Spec& spec = phases_[0].spec;
    row_ = spec.out_width() * spec.out_channels;
    whole_ = row_ == s.out_width * s.out_channels;
    const int64_t down = divide_up(s.out_height, s.stride_h);
    together_ = packed_ <= few_weights * s.stride_h ? 1 : std::clamp<int64_t>(many_pixels / std::max<int64_t>(1, across_), 1, down);
    complete_ = true;
  }
  bool complete() const { return complete_; }

  size_t packed_bytes() const override { return static_cast<size_t>(packed_); }
  void pack(const float* w, void* to) const override {
    const int64_t k = s_.out_channels;
    for (int phase = 0; phase < s_.stride_h; ++phase) {
      const Phase& p = phases_[static_cast<size_t>(phase)];
      const int64_t taps = p.rows.extent * columns_.extent;
      std::vector<float> filters(static_cast<size_t>(s_.stride_w * k * s_.channels * taps));
      p.rows.each(s_.kernel_h, phase, phase + 1, [&](int64_t at_h, int64_t kh, int64_t) {
        columns_.each(s_.kernel_w, 0, s_.stride_w, [&](int64_t at_w, int64_t kw, int64_t phase_w) {
          const int64_t place = p.rows.place(at_h) * columns_.extent + columns_.place(at_w);
          for (int64_t o = 0; o < k; ++o)
            for (int64_t c = 0; c < s_.channels; ++c)
              filters[static_cast<size_t>(((phase_w * k + o) * s_.channels + c) * taps + place)] =
                  w[((c * k + o) * s_.kernel_h + kh) * s_.kernel_w + kw];
        });
      });
      p.kernel->pack(filters.data(), static_cast<std::byte*>(to) + p.packed);
    }
  }

  size_t scratch_bytes() const override {
    return static_cast<size_t>(floats_of_a_line + bias_floats() + slots_.count() * slot_floats()) * sizeof(float);
  }

  void run(const Args& args, ThreadPool& pool, int max_threads) const override {
    constexpr uintptr_t line = floats_of_a_line * sizeof(float);
    auto* scratch = reinterpret_cast<float*>((reinterpret_cast<uintptr_t>(args.scratch) + line - 1) / line * line);
    for (int64_t i = 0; i < s_.stride_w * s_.out_channels; ++i) scratch[i] = args.bias ? args.bias[i % s_.out_channels] : 0;
    const int64_t down = divide_up(s_.out_height, s_.stride_h), groups = divide_up(down, together_), tasks = args.batch * groups;
    constexpr int64_t serial_work = 1 << 18;
    const int64_t work = args.batch * s_.height * s_.width * s_.channels * s_.out_channels * s_.kernel_h * s_.kernel_w;
    slots_.run(pool, work < serial_work ? 1 : max_threads, tasks, [&](int64_t task, int64_t slot) {
      const int64_t image = task / groups, first = task % groups * together_, last = std::min(down, first + together_);
      for (int phase = 0; phase < s_.stride_h; ++phase)
        run_rows(args, scratch, scratch + bias_floats() + slot * slot_floats(), image, phase, first, last, pool);
    });
  }

 private:
  // The rows of y that begin with this one, `stride_h` apart: a convolution whose pixels are stride_w of y's.
  struct Phase {
    Window rows;
    conv::Spec spec;
    conv::Kernel kernel;
    int64_t packed;  // where its weights begin, in bytes
  };

  int64_t bias_floats() const { return round_up(s_.stride_w * s_.out_channels, floats_of_a_line); }
  int64_t slot_floats() const { return whole_ && together_ == 1 ? 0 : round_up(together_ * row_, floats_of_a_line); }

  void run_rows(const Args& args, const float* bias, float* slot, int64_t image, int phase, int64_t first, int64_t last, ThreadPool& pool) const {
    last = std::min(last, divide_up(s_.out_height - phase, s_.stride_h));
    if (first >= last) return;
    const Phase& p = phases_[static_cast<size_t>(phase)];
    const bool in_place = whole_ && last - first == 1;
    const int64_t y_row = s_.out_width * s_.out_channels;
    float* y = args.y + (image * s_.out_height + first * s_.stride_h + phase) * y_row;
    conv::Args conv{};
    conv.x = args.x + image * s_.height * s_.width * s_.channels;
    conv.w = static_cast<const std::byte*>(args.w) + p.packed;
    conv.bias = bias;
    conv.y = in_place ? y : slot;
    conv.height = s_.height;
    conv.first_row = first, conv.rows = last - first;
    p.kernel->run(conv, pool, 1);
    if (in_place) return;
    for (int64_t row = first; row < last; ++row, slot += row_, y += s_.stride_h * y_row)
      std::memcpy(y, slot, static_cast<size_t>(y_row) * sizeof(float));
  }

  Spec s_;
  Window columns_;
  int64_t across_;  // pixels of the convolutions that a row of y is made of
  std::vector<Phase> phases_;
  int64_t packed_ = 0, row_ = 0, together_ = 1;  // bytes; floats; rows of a convolution at a time
  bool whole_ = false, complete_ = false;        // a row of the convolution is one of y
  Slots slots_;
};
}  // namespace

Support by_phases::supports(const Spec& s) {
  if (s.channels <= 0 || s.out_channels <= 0 || s.height <= 0 || s.width <= 0 || s.out_height <= 0 || s.out_width <= 0)
    return {0, "an extent is not positive"};
  if (s.kernel_h <= 0 || s.kernel_w <= 0 || s.stride_h <= 0 || s.stride_w <= 0 || s.dilation_h <= 0 || s.dilation_w <= 0)
    return {0, "kernel, stride or dilation is not positive"};
  if (s.pad_top < 0 || s.pad_left < 0) return {0, "negative padding"};
  if (s.stride_h > most_stride || s.stride_w > most_stride) return {0, "a stride over 64"};
  if (s.kernel_h > most_extent || s.kernel_w > most_extent) return {0, "its taps are too many"};
  double taps = 0;
  const Window columns(s.stride_w, s.dilation_w, s.pad_left, s.kernel_w, 0, s.stride_w);
  for (int phase = 0; phase < s.stride_h; ++phase) {
    const Window rows(s.stride_h, s.dilation_h, s.pad_top, s.kernel_h, phase, phase + 1);
    if (rows.extent > most_extent || columns.extent > most_extent) return {0, "its taps are too many"};
    taps += static_cast<double>(rows.extent * columns.extent * s.stride_w);
  }
  if (taps > most_growth * s.kernel_h * s.kernel_w + 64) return {0, "its phases are mostly zeros"};
  return {taps / s.kernel_h / s.kernel_w, {}};
}
Kernel by_phases::make(const Spec& spec) {
  auto kernel = std::make_shared<const ByPhases>(spec);
  return kernel->complete() ? kernel : nullptr;
}

std::span<const Row> rows() {
  static constexpr Row table[] = {
#define KERNEL(name, isa, tile, where) {#name, isa, tile, where::supports, where::make},
#include "kernels/conv_transpose/kernels.inc"
  };
  return table;
}

Choice select(const Spec& spec) { return choose(rows(), spec, spec.isa); }
}  // namespace kernels::conv_transpose
