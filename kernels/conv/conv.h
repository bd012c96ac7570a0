// 2-D convolution in f32, channels last: x [N,H,W,C], w given as [OC, C/groups, KH, KW], y [N,OH,OW,OC].
//
// A tensor has a pixel pitch, the elements from pixel to pixel: rows are W pitches apart, images H rows. A kernel is made
// for the spec and serves every batch, height and thread count, with results that are the same to the bit for any
// thread count. A row may round x and w as Spec::precision allows. Packed weights depend on the weights, the spec and the row only. Nothing outside x's H × W × C is read:
// padding is not in memory.
#pragma once
#include "kernels/pointwise/pointwise.h"
#include "kernels/precision.h"
#include "kernels/threads.h"

namespace kernels::conv {
struct Spec {
  int64_t channels = 0, out_channels = 0, groups = 1;
  int64_t width = 0;  // of x
  int kernel_h = 1, kernel_w = 1;
  int stride_h = 1, stride_w = 1;
  int dilation_h = 1, dilation_w = 1;
  int pad_top = 0, pad_left = 0, pad_bottom = 0, pad_right = 0;
  bool nchw_input = false;           // x is [N,C,H,W], without pitch: a network's first layer
  int64_t x_pitch = 0, y_pitch = 0;  // 0: C, OC
  bool bias = false;
  bool strict = false;  // no algorithm whose error is larger than a direct sum's
  bool by_rows = false;  // the kernel must take Args::rows, and one thread runs it
  Precision precision = Precision::f32;
  pointwise::KeptTypes kept = {};  // for the CPU's rows, of which each refuses what it does not read or write
  int64_t rows = 0;      // of y, all images together, where all runs have as many: the kernel is made for these. 0: any
  pointwise::Chain epilogue = {};  // rows are the pixels of y in order, columns its channels
  bool operator==(const Spec&) const = default;

  int64_t in_pitch() const { return x_pitch ? x_pitch : channels; }
  int64_t out_pitch() const { return y_pitch ? y_pitch : out_channels; }
  int64_t out_width() const { return out_extent(width, kernel_w, stride_w, dilation_w, pad_left + pad_right); }
  int64_t out_height(int64_t height) const {
    return out_extent(height, kernel_h, stride_h, dilation_h, pad_top + pad_bottom);
  }
  static int64_t out_extent(int64_t extent, int kernel, int stride, int dilation, int padding) {
    const int64_t free = extent + padding - (static_cast<int64_t>(kernel) - 1) * dilation - 1;
    return free < 0 ? 0 : free / stride + 1;
  }
  // The channels of an image are all positive, and the sums of a large kernel over them are large where they cancel: they
  // are made in parts.
  bool long_sum_of_image() const {
    constexpr int64_t image_channels = 4, many_terms = 160;
    const int64_t in = channels / groups;
    return in <= image_channels && in * kernel_h * kernel_w > many_terms;
  }
  bool depthwise() const { return groups == channels && out_channels % groups == 0 && groups > 1; }
};

// y overlaps nothing else.
//
// `rows` >= 0: only so many rows of the one image's y, from `first_row` on. Then y and the operands start with that row, and
// x with row `x_row` of the image, which has `height`.
struct Args {
  const float* x;
  const void* w;                // what pack wrote
  const float* bias = nullptr;  // OC values
  float* y;
  const pointwise::Operand* operands = nullptr;  // a `full` operand's stride is its own pixel pitch
  int64_t batch = 1, height = 0;                 // of x
  int64_t first_row = 0, rows = -1, x_row = 0;
  void* scratch = nullptr;                       // scratch_bytes(batch, height), aligned to 64 bytes
};

class Conv {
 public:
  virtual ~Conv() = default;
  virtual size_t packed_bytes() const = 0;
  virtual void pack(const float* w, void* to) const = 0;
  virtual size_t scratch_bytes(int64_t /*batch*/, int64_t /*height*/) const { return 0; }
  virtual bool takes_rows() const { return true; }  // Args::rows, without scratch
  virtual void run(const Args&, ThreadPool&, int max_threads = 0) const = 0;
};

using Kernel = std::shared_ptr<const Conv>;
using Row = kernels::Row<Spec, Kernel>;
using Choice = kernels::Choice<Kernel>;

// Why no row takes the spec, or empty; of rows that do not read or write halves, where it has some.
std::string invalid(const Spec&, bool takes_halves = false);

#define KERNEL(name, isa, tile, where) \
  namespace where { \
  Support supports(const Spec&); \
  Kernel make(const Spec&); \
  }
#include "kernels/conv/kernels.inc"
std::span<const Row> rows();
Choice select(const Spec&, isa::Mask have = isa::detected());
}  // namespace kernels::conv
