#include "kernels/conv/packed.h"
#include "kernels/gemm/gemm.h"

namespace kernels::conv {
namespace {
constexpr float zeros[gemm::Rows::most_k] = {};  // what lies in the padding
constexpr int64_t most_group = 8;

// The order of k. Channels last: (kernel row, kernel column, channel); planes: (channel, kernel row, kernel column). Either way
// some lines of kernel_w units, of which each is next to each other in x.
struct Order {
  int64_t lines, unit, line;
  explicit Order(const Spec& s)
      : lines(s.nchw_input ? s.channels * s.kernel_h : s.kernel_h), unit(s.nchw_input ? 1 : s.channels), line(s.kernel_w * unit) {}
};

class PixelRows final : public gemm::Rows {
 public:
  PixelRows(const Spec& spec, const Args& args, const tile::Backend& backend)
      : s_(spec), args_(args), backend_(backend), order_(spec), column_(backend.group * backend.element()), pixel_(spec.nchw_input ? 1 : spec.in_pitch()), row_(spec.width * pixel_),
        joined_(spec.dilation_w == 1 && pixel_ == order_.unit),
        pack_(spec.kept.x == schema::DType::f32 ? backend.pack : backend.pack_halves),
        shifts_(backend.pack_shifted && spec.nchw_input && spec.dilation_w == 1 && spec.stride_w <= 2),
        reach_h_(static_cast<int64_t>(spec.kernel_h - 1) * spec.dilation_h) {}

  void pack(void* packed, int64_t first, int64_t count, int64_t k0, int64_t k) const override {
    const int64_t group = backend_.group;
    const bool lines = k0 % order_.line == 0 && k % order_.line == 0;
    auto* to = static_cast<std::byte*>(packed);
    for (int64_t i = 0; i < count; i += group, to += column_ * k) {
      if (lines && shifts_ && pack_shifted(to, first + i, k0 / order_.line, (k0 + k) / order_.line)) continue;
      Pixel pixels[most_group];
      for (int64_t r = 0; r < group; ++r) pixels[r] = i + r < count || !r ? pixel(first + i + r) : pixels[r - 1];
      const bool inside = std::all_of(pixels, pixels + group, [&](const Pixel& p) {
        return p.top >= 0 && p.top + reach_h_ < args_.height && p.left >= 0 && p.left + s_.kernel_w <= s_.width;
      });
      if (inside && joined_ && lines) pack_lines(to, pixels, k0 / order_.line, (k0 + k) / order_.line);
      else pack_pieces(to, pixels, k0, k0 + k);
    }
  }

 private:
  struct Pixel {
    const float* x;     // under the first tap
    int64_t top, left;  // where that is in its image
  };

  Pixel pixel(int64_t i) const {
    const int64_t width = s_.out_width(), height = s_.out_height(args_.height), row = args_.first_row + i / width;
    const int64_t top = row % height * s_.stride_h - s_.pad_top, left = i % width * s_.stride_w - s_.pad_left;
    const int64_t image = row / height * args_.height * row_ * (s_.nchw_input ? s_.channels : 1);
    return {advance(args_.x, image + (top - args_.x_row) * row_ + left * pixel_), top, left};
  }

  const float* advance(const float* from, int64_t elements) const { return pointwise::advance(from, elements, s_.kept.x); }

  // Elements from the first tap of a pixel to a line.
  int64_t at_line(int64_t line) const {
    const int64_t plane = s_.nchw_input ? line / s_.kernel_h * args_.height * s_.width : 0;
    return plane + line % s_.kernel_h * s_.dilation_h * row_;
  }

  // Lines [line, end) of pixels that are next to each other in a row of planes. False: they are not, or meet the padding.
  bool pack_shifted(std::byte* to, int64_t first, int64_t line, int64_t end) const {
    const int64_t last = (backend_.group - 1) * s_.stride_w;
    if (first % s_.out_width() + backend_.group > s_.out_width()) return false;
    const Pixel p = pixel(first);
    if (p.top < 0 || p.top + reach_h_ >= args_.height || p.left < 0 || p.left + last + s_.kernel_w > s_.width) return false;
    const int64_t plane = args_.height * s_.width, row = s_.dilation_h * row_;
    const float* channel = p.x + line / s_.kernel_h * plane;
    for (int64_t kh = line % s_.kernel_h; line < end; ++line, to += order_.line * column_) {
      backend_.pack_shifted(to, channel + kh * row, order_.line, s_.stride_w);
      if (++kh == s_.kernel_h) kh = 0, channel += plane;
    }
    return true;
  }

  // Lines [line, end) of pixels that have nothing in the padding.
  void pack_lines(std::byte* to, const Pixel* pixels, int64_t line, int64_t end) const {
    while (line < end) {
      const int64_t lines = std::min(end - line, s_.kernel_h - line % s_.kernel_h), offset = at_line(line);
      const void* rows[most_group];
      for (int64_t r = 0; r < backend_.group; ++r) rows[r] = advance(pixels[r].x, offset);
      pack_(to, rows, order_.line, lines, s_.dilation_h * row_);
      to += lines * order_.line * column_, line += lines;
    }
  }

  // k in [k, end), in pieces that are next to each other in x, or in the padding, for each pixel.
  void pack_pieces(std::byte* to, const Pixel* pixels, int64_t k, int64_t end) const {
    while (k < end) {
      const int64_t line = k / order_.line, at = k % order_.line, kw = at / order_.unit, kh = line % s_.kernel_h * s_.dilation_h;
      const int64_t column = kw * s_.dilation_w, offset = at_line(line) + column * pixel_ + at % order_.unit;
      const void* rows[most_group];
      int64_t columns = joined_ ? s_.kernel_w - kw : 1;
      for (int64_t r = 0; r < backend_.group; ++r) {
        const Pixel& p = pixels[r];
        const int64_t x = p.left + column;
        const bool inside = p.top + kh >= 0 && p.top + kh < args_.height && x >= 0 && x < s_.width;
        rows[r] = inside ? advance(p.x, offset) : zeros;
        if (x < 0) columns = std::min(columns, -x);
        else if (x < s_.width) columns = std::min(columns, s_.width - x);
      }
      const int64_t n = std::min(end - k, columns * order_.unit - at % order_.unit);
      pack_(to, rows, n, 1, 0);
      to += n * column_, k += n;
    }
  }

  const Spec& s_;
  const Args& args_;
  const tile::Backend& backend_;
  Order order_;
  int64_t column_;  // bytes of one k of a group
  int64_t pixel_, row_;  // elements from pixel to pixel and from row to row of x
  bool joined_;          // the columns of the kernel are next to each other in x
  tile::Backend::Pack pack_;
  bool shifts_;          // so are the pixels of a row, or two apart
  int64_t reach_h_;      // rows from the first tap to the last
};

class PackedConv final : public Conv {
 public:
  PackedConv(const tile::Backend& backend, const Spec& spec)
      : s_(spec),
        backend_(backend),
        gemm_(gemm::make(backend, {.n = spec.out_channels, .k = k(), .transposed_b = true, .bias = spec.bias, .epilogue = spec.epilogue, .precision = backend.precision, .kept = spec.kept}, k())) {}
  bool ok() const { return gemm_ != nullptr; }

  size_t packed_bytes() const override { return gemm_->packed_bytes(); }
  void pack(const float* w, void* to) const override {
    const Order order(s_);
    const int64_t taps = static_cast<int64_t>(s_.kernel_h) * s_.kernel_w;
    std::vector<float> rows(static_cast<size_t>(s_.out_channels * k()));
    for (int64_t o = 0; o < s_.out_channels; ++o)
      for (int64_t i = 0; i < k(); ++i) {
        const int64_t line = i / order.line, kw = i % order.line / order.unit;
        const int64_t c = s_.nchw_input ? line / s_.kernel_h : i % order.unit, kh = line % s_.kernel_h;
        rows[static_cast<size_t>(o * k() + i)] = w[(o * s_.channels + c) * taps + kh * s_.kernel_w + kw];
      }
    gemm_->pack_b(rows.data(), k(), to);
  }

  void run(const Args& args, ThreadPool& pool, int max_threads) const override {
    const PixelRows rows(s_, args, backend_);
    gemm_->run({.b = args.w,
                .c = args.y,
                .ldc = s_.out_pitch(),
                .bias = args.bias,
                .operands = args.operands,
                .m = (args.rows < 0 ? args.batch * s_.out_height(args.height) : args.rows) * s_.out_width(),
                .rows = &rows},
               pool, max_threads);
  }

 private:
  int64_t k() const { return s_.channels * s_.kernel_h * s_.kernel_w; }

  Spec s_;
  const tile::Backend& backend_;
  gemm::Kernel gemm_;
};
}  // namespace

Kernel make_packed(const tile::Backend& backend, const Spec& spec) {
  if (!backend.pack || spec.groups != 1 || spec.long_sum_of_image()) return nullptr;
  auto conv = std::make_shared<const PackedConv>(backend, spec);
  return conv->ok() ? conv : nullptr;
}
}  // namespace kernels::conv
