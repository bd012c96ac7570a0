// The transpose of a 2-D convolution in f32, channels last: x [N,H,W,C], w [C,K,KH,KW], y [N,OH,OW,K].
//
// Rows of y that are a stride apart, and pixels of them that are, see the same window of x through taps of their own: such rows
// are those of a convolution without strides, which has the taps of stride_w neighbouring pixels as its channels (Shi et
// al., "Is the deconvolution layer the same as a convolutional layer?", 2016). Results are the same to the bit for any
// thread count.
#pragma once
#include "kernels/table.h"
#include "kernels/threads.h"

namespace kernels::conv_transpose {
struct Spec {
  int64_t channels = 0, out_channels = 0;
  int64_t height = 0, width = 0, out_height = 0, out_width = 0;
  int kernel_h = 1, kernel_w = 1;
  int stride_h = 1, stride_w = 1;
  int dilation_h = 1, dilation_w = 1;
  int pad_top = 0, pad_left = 0;    // what is cut from the result; the rest of it is cut, or zero, up to its extent
  isa::Mask isa = isa::detected();  // of the convolutions inside
};

// y overlaps nothing else.
struct Args {
  const float* x;
  const void* w;                // what pack wrote
  const float* bias = nullptr;  // K values; null: zeros
  float* y;
  int64_t batch = 1;
  void* scratch;  // scratch_bytes
};

class ConvTranspose {
 public:
  virtual ~ConvTranspose() = default;
  virtual size_t packed_bytes() const = 0;
  virtual void pack(const float* w, void* to) const = 0;
  virtual size_t scratch_bytes() const = 0;
  virtual void run(const Args&, ThreadPool&, int max_threads = 0) const = 0;
};

using Kernel = std::shared_ptr<const ConvTranspose>;
using Row = kernels::Row<Spec, Kernel>;
using Choice = kernels::Choice<Kernel>;

#define KERNEL(name, isa, tile, where) \
  namespace where { \
  Support supports(const Spec&); \
  Kernel make(const Spec&); \
  }
#include "kernels/conv_transpose/kernels.inc"
std::span<const Row> rows();
Choice select(const Spec&);
}  // namespace kernels::conv_transpose
