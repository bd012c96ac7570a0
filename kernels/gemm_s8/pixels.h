// A convolution, channels last, as a product of bytes: the rows are the pixels of y, the pieces the pixels of x that its taps meet.
#pragma once
#include "kernels/gemm_s8/gemm_s8.h"

namespace kernels::gemm_s8 {
struct Image {
  int64_t channels, height, width, out_height, out_width;
  int64_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
};

class Pixels final : public Rows {
 public:
  // `padding`: `channels` bytes, what lies around x [N,H,W,C].
  Pixels(const Image& image, const std::byte* x, const std::byte* padding) : i_(image), x_(x), padding_(padding) {}

  void pieces(const std::byte** to, int64_t first, int64_t count) const override {
    for (int64_t i = first; i < first + count; ++i) {
      const int64_t row = i / i_.out_width, top = row % i_.out_height * i_.stride_h - i_.pad_top;
      const int64_t left = i % i_.out_width * i_.stride_w - i_.pad_left, image = row / i_.out_height * i_.height;
      for (int64_t kh = 0; kh < i_.kernel_h; ++kh)
        for (int64_t kw = 0; kw < i_.kernel_w; ++kw) {
          const int64_t h = top + kh * i_.dilation_h, w = left + kw * i_.dilation_w;
          const bool inside = h >= 0 && h < i_.height && w >= 0 && w < i_.width;
          *to++ = inside ? x_ + ((image + h) * i_.width + w) * i_.channels : padding_;
        }
    }
  }

 private:
  Image i_;
  const std::byte *x_, *padding_;
};
}  // namespace kernels::gemm_s8
