#include "kernels/conv_transpose/conv_transpose.h"
#include "kernels/gemm/gemm.h"
#include "kernels/split.h"

namespace kernels::conv_transpose {
namespace {
constexpr int64_t products_bytes = 1 << 19;  // of the rows of x in work
constexpr size_t align = 64;

// Input `at` meets an output through kernel tap `tap`.
struct Tap {
  int64_t at, tap;
};
// Those of output o are taps[first[o]] … taps[first[o + 1] - 1], by ascending input.
struct Axis {
  std::vector<size_t> first{0};
  std::vector<Tap> taps;
  Axis(int64_t in, int64_t out, int64_t kernel, int64_t stride, int64_t dilation, int64_t pad) {
    for (int64_t o = 0; o < out; ++o) {
      for (int64_t k = kernel; k-- > 0;) {
        const int64_t place = o + pad - k * dilation;
        if (place >= 0 && place % stride == 0 && place / stride < in) taps.push_back({place / stride, k});
      }
      first.push_back(taps.size());
    }
  }
};

class ByGemm final : public ConvTranspose {
 public:
  explicit ByGemm(const Spec& s)
      : spec_(s),
        rows_(s.height, s.out_height, s.kernel_h, s.stride_h, s.dilation_h, s.pad_top),
        columns_(s.width, s.out_width, s.kernel_w, s.stride_w, s.dilation_w, s.pad_left),
        products_(static_cast<int64_t>(s.kernel_h) * s.kernel_w * s.out_channels),
        gemm_(gemm::select({.n = products_, .k = s.channels}, s.isa).kernel) {
    const int64_t row_bytes = s.width * products_ * static_cast<int64_t>(sizeof(float));
    together_ = std::clamp<int64_t>(products_bytes / std::max<int64_t>(1, row_bytes), 1, s.height);
  }
  bool complete() const { return gemm_ != nullptr; }

  size_t packed_bytes() const override { return gemm_->packed_bytes(); }
  void pack(const float* w, void* to) const override {
    const int64_t taps = static_cast<int64_t>(spec_.kernel_h) * spec_.kernel_w, features = spec_.out_channels;
    std::vector<float> b(static_cast<size_t>(spec_.channels * products_));
    float* next = b.data();
    for (int64_t c = 0; c < spec_.channels; ++c)
      for (int64_t tap = 0; tap < taps; ++tap)
        for (int64_t k = 0; k < features; ++k) *next++ = w[(c * features + k) * taps + tap];
    gemm_->pack_b(b.data(), products_, to);
  }

  size_t scratch_bytes() const override { return align + gathered() + gemm_->scratch_bytes(together_ * spec_.width); }

  void run(const Args& args, ThreadPool& pool, int max_threads) const override {
    const Spec& s = spec_;
    auto* aligned =
        reinterpret_cast<std::byte*>((reinterpret_cast<uintptr_t>(args.scratch) + align - 1) / align * align);
    auto* products = reinterpret_cast<float*>(aligned);
    const int64_t image = s.out_height * s.out_width * s.out_channels;
    for (int64_t n = 0; n < args.batch; ++n)
      for (int64_t h0 = 0; h0 < s.height; h0 += together_) {
        const int64_t h1 = std::min(s.height, h0 + together_);
        gemm_->run({.a = args.x + (n * s.height + h0) * s.width * s.channels,
                    .lda = s.channels,
                    .b = args.w,
                    .c = products,
                    .ldc = products_,
                    .m = (h1 - h0) * s.width,
                    .scratch = aligned + gathered()},
                   pool, max_threads);
        // The first rows of x also make the rows of y that no row of x meets.
        const int64_t reach = static_cast<int64_t>(s.kernel_h - 1) * s.dilation_h;
        const int64_t first = h0 == 0 ? 0 : std::max<int64_t>(0, h0 * s.stride_h - s.pad_top);
        const int64_t last =
            h0 == 0 ? s.out_height
                    : std::clamp<int64_t>((h1 - 1) * s.stride_h - s.pad_top + reach + 1, first, s.out_height);
        run_split(pool, max_threads, last - first, 1, (h1 - h0) * s.width * products_,
                  [&](int64_t row, int64_t end, int64_t, int64_t) {
                    for (; row < end; ++row) gather(products, args.bias, args.y + n * image, first + row, h0, h1);
                  });
      }
  }

 private:
  size_t gathered() const {
    return (static_cast<size_t>(together_ * spec_.width * products_) * sizeof(float) + align - 1) / align * align;
  }

  // Adds the products of rows [h0, h1) of x to row oh of y, which begins with the bias where these are the first.
  void gather(const float* products, const float* bias, float* image, int64_t oh, int64_t h0, int64_t h1) const {
    const int64_t k = spec_.out_channels, pixel_taps = products_;
    const Tap *tap = rows_.taps.data() + rows_.first[oh], *end = rows_.taps.data() + rows_.first[oh + 1];
    bool fresh = tap == end ? h0 == 0 : tap->at >= h0 && tap->at < h1;
    float* y = image + oh * spec_.out_width * k;
    if (fresh) {
      for (int64_t ow = 0; ow < spec_.out_width; ++ow)
        if (bias) std::copy_n(bias, k, y + ow * k);
        else std::fill_n(y + ow * k, k, 0.0f);
    }
    for (; tap != end; ++tap) {
      if (tap->at < h0 || tap->at >= h1) continue;
      const float* row = products + (tap->at - h0) * spec_.width * pixel_taps + tap->tap * spec_.kernel_w * k;
      for (int64_t ow = 0; ow < spec_.out_width; ++ow)
        for (size_t i = columns_.first[ow]; i < columns_.first[ow + 1]; ++i) {
          const float* __restrict from = row + columns_.taps[i].at * pixel_taps + columns_.taps[i].tap * k;
          float* __restrict to = y + ow * k;
          for (int64_t c = 0; c < k; ++c) to[c] += from[c];
        }
    }
  }

  Spec spec_;
  Axis rows_, columns_;
  int64_t products_;  // of one pixel: [kernel_h][kernel_w][K]
  gemm::Kernel gemm_;
  int64_t together_ = 1;  // rows of x in work
};
}  // namespace

Support by_gemm::supports(const Spec& s) {
  if (s.channels <= 0 || s.out_channels <= 0 || s.height <= 0 || s.width <= 0 || s.out_height <= 0 || s.out_width <= 0)
    return {0, "an extent is not positive"};
  if (s.kernel_h <= 0 || s.kernel_w <= 0 || s.stride_h <= 0 || s.stride_w <= 0 || s.dilation_h <= 0 ||
      s.dilation_w <= 0)
    return {0, "kernel, stride or dilation is not positive"};
  constexpr int64_t most_taps = 1 << 22;  // of all outputs along a dim: what tables are made of
  if (s.out_height > most_taps / s.kernel_h || s.out_width > most_taps / s.kernel_w) return {0, "its taps are too many"};
  return {1, s.pad_top < 0 || s.pad_left < 0 ? "negative padding" : ""};
}
Kernel by_gemm::make(const Spec& spec) {
  auto kernel = std::make_shared<const ByGemm>(spec);
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
