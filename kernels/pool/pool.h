// Maximum and average pooling in f32, channels last: x [N,H,W,C], y [N,OH,OW,C].
//
// Taps outside x take no part in a maximum, and a NaN is no maximum. A window with no tap inside x gives -∞, or an
// average of 0. Results are the same to the bit for any thread count.
#pragma once
#include "kernels/pointwise/pointwise.h"
#include "kernels/threads.h"
#include "schema/dtypes.h"

namespace kernels::pool {
struct Spec {
  schema::PoolKind kind = schema::PoolKind::max;
  int64_t channels = 0, height = 0, width = 0;
  int64_t out_height = 0, out_width = 0;  // given, since rounding up may add windows that leave the padding
  int kernel_h = 1, kernel_w = 1;
  int stride_h = 1, stride_w = 1;
  int dilation_h = 1, dilation_w = 1;
  int pad_top = 0, pad_left = 0, pad_bottom = 0, pad_right = 0;
  bool count_pad = false;            // an average divides by its taps in the padding too
  int64_t x_pitch = 0, y_pitch = 0;  // elements from pixel to pixel; 0: C
  schema::DType kept_x = schema::DType::f32, kept_y = schema::DType::f32;  // see pointwise::KeptTypes; a CPU's row refuses what it does not read or write

  int64_t in_pitch() const { return x_pitch ? x_pitch : channels; }
  int64_t out_pitch() const { return y_pitch ? y_pitch : channels; }
};

// Of one window along one dim: its taps inside x, and how many count in an average.
struct Window {
  int first, past, counted;
};

// One row of y.
struct RowArgs {
  const float* x;  // tap 0 of pixel 0 of y, in the first kernel row inside x (columns in the padding are not in memory)
  float* y;
  const Window* columns;  // of each pixel of y
  int64_t out_width;
  int64_t x_row, x_tap, x_step, y_step;  // elements; x: from kernel row to row, column to column, pixel of y to pixel
  int rows, counted;                     // kernel rows inside x; how many count in an average
};
using Function = void (*)(const RowArgs&, int64_t first_channel, int64_t last_channel);

class Kernel {
 public:
  Kernel() = default;
  Kernel(const Spec&, Function);
  explicit operator bool() const { return function_ != nullptr; }
  // y overlaps nothing else.
  void run(const float* x, float* y, int64_t batch, ThreadPool&, int max_threads = 0) const;

 private:
  void run_row(const float* x, float* y, int64_t row, int64_t c0, int64_t c1) const;
  Spec spec_;
  Function function_ = nullptr;
  std::vector<Window> rows_, columns_;
};

using Row = kernels::Row<Spec, Kernel>;
using Choice = kernels::Choice<Kernel>;

// Why no row takes the spec, or empty; of rows that do not read or write halves, where it has some.
std::string invalid(const Spec&, bool takes_halves = false);

#define KERNEL(name, isa, tile, where) \
  namespace where { \
  Support supports(const Spec&); \
  Kernel make(const Spec&); \
  }
#include "kernels/pool/kernels.inc"
std::span<const Row> rows();
Choice select(const Spec&, isa::Mask have = isa::detected());
}  // namespace kernels::pool
