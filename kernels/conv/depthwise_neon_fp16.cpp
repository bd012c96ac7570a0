// Depthwise convolution of halves in half precision, for 64-bit ARM that computes in it. Nothing here may be shared with files that are
// compiled for less (tests/kernels/weak_symbols.sh): the row is in depthwise_neon.cpp.
#if defined(__aarch64__)
#include "kernels/neon_fp16.h"
#include "kernels/conv/depthwise_neon_fp16.h"

namespace kernels::conv {
namespace {
// A pixel and a channel at a time, each sum in the order that vectors have.
void partial_vector(const PixelRow& r, int64_t c0, int64_t c1) {
  const auto *x = reinterpret_cast<const Element*>(r.x), *w = reinterpret_cast<const Element*>(r.w);
  auto* y = reinterpret_cast<Element*>(r.y);
  for (int ow = 0; ow < r.out_width; ++ow) {
    const int left = ow * r.stride_w - r.pad_left;  // the column of x that the first tap meets
    for (int64_t c = c0; c < c1; ++c) {
      float16x8_t sum = all(r.bias ? r.bias[c] : 0);
      for (int kh = r.kh0; kh < r.kh1; ++kh)
        for (int k = 0; k < r.kernel_w; ++k) {
          if (left + k < 0 || left + k >= r.width) continue;
          sum = multiply_add(sum, vdupq_n_f16(x[(kh - r.kh0) * r.x_row + ow * r.x_step + k * r.x_tap + c]), vdupq_n_f16(w[(kh * r.kernel_w + k) * r.channels + c]));
        }
      Vector result[1] = {sum};
      limit({}, result);
      y[ow * r.y_step + c] = vgetq_lane_f16(result[0], 0);
    }
  }
}
}  // namespace
}  // namespace kernels::conv
#include "kernels/conv/depthwise_neon-inl.h"

namespace kernels::conv {
static_assert(lanes == HalfDepthwise::lanes);
const HalfDepthwise half_depthwise{function_of, run_pair};
}  // namespace kernels::conv
#endif
