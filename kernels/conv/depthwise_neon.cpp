// Depthwise convolution in NEON intrinsics: neighbouring pixels of y at once, so that a vector of x is loaded once for all
// the taps that meet it. Vectors run over channels.
#if defined(__aarch64__)
#include <arm_neon.h>
#include "kernels/conv/depthwise.h"
#include "kernels/pointwise/neon.h"

namespace kernels::conv {
namespace N_NEON {
DepthwiseFunction function();  // for any kernel: takes the channels of a last, partial vector
}
namespace {
constexpr int lanes = 4;
constexpr int together = 8;  // pixels: their sums hide the latency of the multiply-add

#define UNROLL _Pragma("GCC unroll 32") for

// `count` neighbouring pixels from `ow` on, and `taps` columns of the kernel from `kw0` on, which lie inside x for all of them. At
// `edges`, up to half of the taps on either side lie in the padding.
template <int taps, int stride, int count, bool edges>
void block(const PixelRow& r, int64_t ow, int64_t kw0, int64_t c0, int64_t c1) {
  constexpr int columns = (count - 1) * stride + taps, reach = taps / 2;
  const float* const first = r.x + ow * r.x_step + kw0 * r.x_tap;
  const int64_t y_step = r.y_step, x_tap = r.x_tap, x_row = r.x_row, channels = r.channels;
  const int64_t from_left = r.pad_left - ow * stride, from_right = r.width + from_left;  // the columns that are inside
  for (int64_t c = c0; c < c1; c += lanes) {
    float32x4_t sum[count];
    const float32x4_t start = r.bias ? vld1q_f32(r.bias + c) : vdupq_n_f32(0);
    UNROLL(int i = 0; i < count; ++i) sum[i] = start;
    const float* w = r.w + (r.kh0 * r.kernel_w + kw0) * channels + c;
    const float* x = first + c;
    for (int kh = r.kh0; kh < r.kh1; ++kh, x += x_row, w += r.kernel_w * channels) {
      float32x4_t weight[taps + 1];
      const float* tap = w;
      UNROLL(int k = 0; k < taps; ++k) {
        weight[k] = vld1q_f32(tap);
        tap += channels;
      }
      float32x4_t value[columns + 1];
      const float* from = x;
      UNROLL(int j = 0; j < columns; ++j) {
        const bool padding = edges && ((j < reach && j < from_left) || (j >= columns - reach && j >= from_right));
        value[j] = padding ? vdupq_n_f32(0) : vld1q_f32(from);
        from += x_tap;
      }
      UNROLL(int k = 0; k < taps; ++k) {
        UNROLL(int i = 0; i < count; ++i) sum[i] = vfmaq_f32(sum[i], value[i * stride + k], weight[k]);
      }
    }
    for (const pointwise::Stage& stage : r.epilogue) pointwise::neon_unary(stage, sum);
    float* y = r.y + ow * y_step + c;
    UNROLL(int i = 0; i < count; ++i) {
      vst1q_f32(y, sum[i]);
      y += y_step;
    }
  }
}
using Block = void (*)(const PixelRow&, int64_t ow, int64_t kw0, int64_t c0, int64_t c1);

// By pixels; and one pixel, by columns of the kernel that do not lie in the padding.
template <int kernel_w, int stride, bool edges, int... i> constexpr auto by_count(std::integer_sequence<int, i...>) {
  return std::array<Block, sizeof...(i)>{block<kernel_w, stride, i + 1, edges>...};
}
template <int... i> constexpr auto by_taps(std::integer_sequence<int, i...>) {
  return std::array<Block, sizeof...(i)>{block<i, 1, 1, false>...};
}

template <int kernel_w, int stride> void run(const PixelRow& r, int64_t c0, int64_t c1) {
  constexpr auto counts = std::make_integer_sequence<int, together>();
  static constexpr auto inner = by_count<kernel_w, stride, false>(counts), edge = by_count<kernel_w, stride, true>(counts);
  static constexpr auto border = by_taps(std::make_integer_sequence<int, kernel_w>());
  const int64_t whole = c0 + (c1 - c0) / lanes * lanes;
  if (whole < c1) N_NEON::function()(r, whole, c1);
  // Pixels with more in the padding than blocks take come alone.
  constexpr int reach = kernel_w / 2;
  const auto out_left = [&](int ow) { return r.pad_left - ow * stride; };
  const auto out_right = [&](int ow) { return ow * stride - r.pad_left + kernel_w - r.width; };
  int last = r.out_width;
  while (last > 0 && out_right(last - 1) > reach) --last;
  for (int ow = 0; ow < r.out_width;) {
    const int left = last - ow, blocks = (left + together - 1) / together;
    if (left <= 0 || out_left(ow) > reach) {
      const int at = -out_left(ow), kw0 = std::clamp(-at, 0, kernel_w), kw1 = std::clamp(r.width - at, kw0, kernel_w);
      border[static_cast<size_t>(kw1 - kw0)](r, ow++, kw0, c0, whole);
      continue;
    }
    const int count = (left + blocks - 1) / blocks;
    const auto& functions = out_left(ow) > 0 || out_right(ow + count - 1) > 0 ? edge : inner;
    functions[static_cast<size_t>(count - 1)](r, ow, 0, c0, whole);
    ow += count;
  }
}

DepthwiseFunction function_of(const Spec& s) {
  if (s.stride_w == 1) return s.kernel_w == 3 ? run<3, 1> : s.kernel_w == 5 ? run<5, 1> : s.kernel_w == 7 ? run<7, 1> : nullptr;
  if (s.stride_w == 2) return s.kernel_w == 3 ? run<3, 2> : s.kernel_w == 5 ? run<5, 2> : nullptr;
  return nullptr;
}
}  // namespace

namespace depthwise_neon {
Support supports(const Spec& spec) {
  Support support = supports_depthwise(spec, lanes);
  if (!support.refusal.empty()) return support;
  if (spec.dilation_w != 1) return {0, "dilated: taps of neighbouring pixels do not meet"};
  if (!function_of(spec)) return {0, "not 3, 5 or 7 columns wide with stride 1, or 3 or 5 with stride 2"};
  return {support.cost / 2, {}};
}
Kernel make(const Spec& spec) {
  const bool unary = !std::ranges::any_of(spec.epilogue, &pointwise::Stage::binary);
  const bool applies = unary && spec.channels % lanes == 0 && pointwise::neon_refusal(spec.epilogue).empty();
  return make_depthwise(spec, function_of(spec), lanes, isa::neon, applies);
}
}  // namespace depthwise_neon
}  // namespace kernels::conv
#endif
