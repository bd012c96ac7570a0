#include "kernels/conv/planar.h"
#include <cmath>
#include "kernels/split.h"

namespace kernels::conv {
namespace {
constexpr int64_t bytes = sizeof(float);
constexpr int64_t band_bytes = 256 << 10;      // of planes: a quarter of a second-level cache
constexpr double most_row_bytes = 4 << 20;     // of planes for one row of y
constexpr int64_t most_band_rows = 16;         // of y
constexpr int64_t part_terms = 96, image_part_terms = 27;  // of a sum: the errors of its parts do not add up
constexpr int64_t most_outputs = 48;
constexpr int64_t serial_work = 1 << 18;       // multiply-adds that one thread does sooner than two can share

// Outputs to a block, evenly: 24 are three blocks of 8, 9 two of 5.
int64_t per_block(int64_t outputs) { return divide_up(outputs, divide_up(outputs, most_planar_outputs)); }

class Planar final : public Conv {
 public:
  Planar(const Spec& spec, const PlanarRow& row, isa::Mask target)
      : s_(spec),
        row_(row),
        outputs_(per_block(spec.out_channels)),
        blocks_(divide_up(spec.out_channels, outputs_)),
        vectors_(divide_up(spec.out_width(), row.lanes)),
        phase_(vectors_ * row.lanes + reach_w() / spec.stride_w + 1),
        channels_at_once_(std::clamp<int64_t>(part_terms / taps(), 1, spec.channels)),
        rows_at_once_(spec.kernel_h) {
    if (spec.long_sum_of_image()) {
      channels_at_once_ = 1;
      rows_at_once_ = std::clamp<int64_t>(image_part_terms / spec.kernel_w, 1, spec.kernel_h);
    }
    for (int kw = 0; kw < spec.kernel_w; ++kw) {
      const int64_t at = static_cast<int64_t>(kw) * spec.dilation_w;
      taps_.push_back(at % spec.stride_w * phase_ + at / spec.stride_w);
    }
    int64_t most = 0;
    while (most < most_planar_vectors && row.blocks[outputs_ - 1][most]) ++most;
    const int64_t parts = divide_up(vectors_, most);
    for (int64_t part = 0; part <= parts; ++part) parts_.push_back(vectors_ * part / parts);
    y_plane_ = most * row.lanes;
    for (band_ = most_band_rows;; --band_) {
      x_plane_ = ((band_ - 1) * spec.stride_h + static_cast<int64_t>(spec.kernel_h - 1) * spec.dilation_h + 1) * x_row();
      if (band_ == 1 || x_floats() * bytes <= band_bytes) break;
    }
    if (!spec.epilogue.empty()) pass_ = pointwise::select(spec.epilogue, target).kernel;
  }

  bool takes_rows() const override { return false; }
  size_t scratch_bytes(int64_t, int64_t) const override { return static_cast<size_t>(slots_.count() * slot_floats() * bytes); }

  // [block of outputs][channel][kh][kw][output]
  size_t packed_bytes() const override { return static_cast<size_t>(blocks_ * block_weights() * bytes); }
  void pack(const float* w, void* packed) const override {
    auto* to = static_cast<float*>(packed);
    for (int64_t b = 0; b < blocks_; ++b)
      for (int64_t c = 0; c < s_.channels; ++c)
        for (int64_t tap = 0; tap < taps(); ++tap)
          for (int64_t o = b * outputs_; o < (b + 1) * outputs_; ++o)
            *to++ = o < s_.out_channels ? w[(o * s_.channels + c) * taps() + tap] : 0.0f;
  }

  void run(const Args& args, ThreadPool& pool, int max_threads) const override {
    const int64_t out_height = s_.out_height(args.height);
    if (args.batch <= 0 || out_height <= 0 || s_.out_width() <= 0) return;
    if (args.batch * out_height * s_.out_width() * s_.out_channels * s_.channels * taps() < serial_work) max_threads = 1;
    const int64_t threads = threads_of(pool, max_threads);
    int64_t bands = divide_up(out_height, band_);
    if (threads > 1) bands = std::min(out_height, std::max(bands, divide_up(4 * threads, args.batch)));
    slots_.run(pool, max_threads, args.batch * bands, [&](int64_t task, int64_t slot) {
      const int64_t band = task % bands;
      run_band(args, static_cast<float*>(args.scratch) + slot * slot_floats(), task / bands, out_height * band / bands,
               out_height * (band + 1) / bands);
    });
  }

 private:
  int64_t taps() const { return static_cast<int64_t>(s_.kernel_h) * s_.kernel_w; }
  int64_t reach_w() const { return static_cast<int64_t>(s_.kernel_w - 1) * s_.dilation_w; }
  int64_t x_row() const { return s_.stride_w * phase_; }
  int64_t x_floats() const { return round_up(s_.channels * x_plane_, 16); }
  int64_t slot_floats() const { return x_floats() + blocks_ * outputs_ * y_plane_; }
  int64_t block_weights() const { return s_.channels * taps() * outputs_; }

  void run_band(const Args& args, float* slot, int64_t image, int64_t row0, int64_t row1) const {
    float* y = slot + x_floats();
    const int64_t top = row0 * s_.stride_h - s_.pad_top, out_height = s_.out_height(args.height);
    const int64_t end = (row1 - 1) * s_.stride_h - s_.pad_top + static_cast<int64_t>(s_.kernel_h - 1) * s_.dilation_h + 1;
    for (int64_t r = std::max<int64_t>(0, top); r < std::min(end, args.height); ++r) lay_out(args, image, r, slot + (r - top) * x_row());
    for (size_t part = 1; part < parts_.size(); ++part) {
      const int64_t first = parts_[part - 1], column = first * row_.lanes;
      const int64_t columns = std::min(parts_[part] * row_.lanes, s_.out_width()) - column;
      for (int64_t row = row0; row < row1; ++row) {
        run_part(args, slot + (row - row0) * s_.stride_h * x_row() + column, row, parts_[part] - first, y);
        const int64_t pixel = (image * out_height + row) * s_.out_width() + column;
        float* to = args.y + pixel * s_.out_pitch();
        row_.transpose(y, y_plane_, to, s_.out_pitch(), s_.out_channels, columns);
        if (!pass_) continue;
        const pointwise::Operands operands = pointwise::offset(s_.epilogue, args.operands, pixel, 0);
        pass_.run({to, s_.out_pitch(), to, s_.out_pitch(), operands.data(), columns, s_.out_channels});
      }
    }
  }

  // A row of x, plane by plane.
  void lay_out(const Args& args, int64_t image, int64_t r, float* to) const {
    const int64_t pixel = s_.nchw_input ? 1 : s_.in_pitch(), channel = s_.nchw_input ? args.height * s_.width : 1;
    const float* x = args.x + (s_.nchw_input ? image * s_.channels * channel : image * args.height * s_.width * pixel) + r * s_.width * pixel;
    for (int64_t phase = 0; phase < s_.stride_w; ++phase, to += phase_) {
      const int64_t left = phase - s_.pad_left;  // the column of x that comes first
      const int64_t first = std::min(phase_, left < 0 ? divide_up(-left, s_.stride_w) : 0);
      const int64_t last = left >= s_.width ? first : std::max(first, std::min(phase_, divide_up(s_.width - left, s_.stride_w)));
      for (int64_t c = 0; c < s_.channels; ++c) {
        std::fill_n(to + c * x_plane_, first, 0.0f);
        std::fill(to + c * x_plane_ + last, to + c * x_plane_ + phase_, 0.0f);
      }
      if (first == last) continue;
      const float* from = x + (left + first * s_.stride_w) * pixel;
      if (!s_.nchw_input) {
        row_.transpose(from, s_.stride_w * pixel, to + first, x_plane_, last - first, s_.channels);
        continue;
      }
      for (int64_t c = 0; c < s_.channels; ++c)
        for (int64_t j = first; j < last; ++j) to[c * x_plane_ + j] = from[c * channel + (j - first) * s_.stride_w];
    }
  }

  // Some vectors of one row of y, as planes. x: the row under the kernel's first.
  void run_part(const Args& args, const float* x, int64_t row, int64_t vectors, float* y) const {
    const int64_t top = row * s_.stride_h - s_.pad_top, d = s_.dilation_h;
    const int64_t kh0 = top < 0 ? divide_up(-top, d) : 0;
    const int64_t kh1 = top >= args.height ? 0 : std::min<int64_t>(s_.kernel_h, (args.height - 1 - top) / d + 1);
    PlanarBlock b{};
    b.taps = taps_.data();
    b.x_plane = x_plane_, b.x_row = d * x_row(), b.w_plane = taps() * outputs_, b.y_plane = y_plane_;
    b.kernel_w = s_.kernel_w;
    for (int64_t c = 0; c < s_.channels; c += channels_at_once_) {
      b.channels = std::min(channels_at_once_, s_.channels - c);
      for (int64_t part = 0; part < s_.kernel_h; part += rows_at_once_) {
        const int64_t first = std::max(kh0, part), last = std::min(kh1, part + rows_at_once_);
        b.add = c + part > 0;
        if (b.add && first >= last) continue;
        b.rows = std::max<int64_t>(0, last - first);
        b.x = x + c * x_plane_ + first * b.x_row;
        for (int64_t block = 0; block < blocks_; ++block) {
          float start[most_planar_outputs] = {};
          if (s_.bias && !b.add) std::copy_n(args.bias + block * outputs_, std::min(outputs_, s_.out_channels - block * outputs_), start);
          b.start = start;
          b.w = static_cast<const float*>(args.w) + block * block_weights() + (c * taps() + first * s_.kernel_w) * outputs_;
          b.y = y + block * outputs_ * y_plane_;
          row_.blocks[outputs_ - 1][vectors - 1](b);
        }
      }
    }
  }

  Spec s_;
  PlanarRow row_;
  int64_t outputs_, blocks_;   // of a block; how many
  int64_t vectors_, phase_;    // of a row of y; floats of a row of x that are next to each other
  int64_t channels_at_once_, rows_at_once_;     // of the kernel, that a part of a sum is over
  int64_t band_ = 1, x_plane_ = 0;              // rows of y at a time; floats of a channel of x for them
  int64_t y_plane_ = 0;
  std::vector<int64_t> taps_, parts_;  // where columns of the kernel are in a row of x, and blocks, in vectors, in one of y
  pointwise::Kernel pass_;
  Slots slots_;
};
}  // namespace

Support supports_planar(const Spec& s, int lanes) {
  if (std::string reason = invalid(s); !reason.empty()) return {0, reason};
  if (s.groups != 1) return {0, "in groups"};
  if (s.out_channels > most_outputs) return {0, "more than 48 output channels"};
  if (s.by_rows) return {0, "single rows are asked for"};
  if (s.kernel_h * s.kernel_w == 1) return {0, "no tap shares an element of x with another"};
  if (s.stride_w > 4 || s.stride_h > 4) return {0, "strides over 4"};
  if (s.out_width() <= 0) return {0, "no columns"};
  const double rows = (s.kernel_h - 1.0) * s.dilation_h + 1, row = static_cast<double>(s.out_width() + lanes) * s.stride_w + s.kernel_w * static_cast<double>(s.dilation_w);
  if (static_cast<double>(s.channels) * rows * row * bytes > most_row_bytes) return {0, "a row of y is made of too much"};
  // Two products a cycle at best, unless loads that cross a cache line are more than them; columns and outputs that nobody
  // asked for; and each element of x and y moved once, those of x for the rows that bands share as well.
  const auto outputs = static_cast<double>(s.out_channels), channels = static_cast<double>(s.channels);
  const double taps = static_cast<double>(s.kernel_h) * s.kernel_w, moves = s.nchw_input && s.stride_w > 1 ? 1.5 : 0.55;
  const auto width = static_cast<double>(s.out_width()), block = static_cast<double>(per_block(s.out_channels));
  const double padded = static_cast<double>(divide_up(s.out_channels, per_block(s.out_channels))) * block / outputs *
                        std::ceil(width / lanes) * lanes / width;
  return {0.72 / lanes * padded * std::max(1.0, 1.9 / block) +
              moves * (1.3 * channels * s.stride_h * s.stride_w + outputs) / (taps * channels * outputs),
          {}};
}

Kernel make_planar(const Spec& spec, const PlanarRow& row, isa::Mask target) {
  return std::make_shared<const Planar>(spec, row, target);
}
}  // namespace kernels::conv
