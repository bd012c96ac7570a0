// The transforms of Winograd convolution in NEON intrinsics: loads and stores step their addresses themselves, what the first pass
// over a tile of x leaves for the second lies in pairs on the stack, and tiles of y are finished in registers.
#if defined(__aarch64__)
#include "kernels/conv/winograd.h"
#include "kernels/neon.h"
#include "kernels/pointwise/neon.h"

namespace kernels::conv {
namespace N_NEON {
WinogradTransforms transforms();  // for fewer channels than a vector has
}
namespace {
constexpr int lanes = 4;
constexpr float zeros[lanes] = {};

#define UNROLL _Pragma("GCC unroll 16") for
#define INLINE inline __attribute__((always_inline))

// Bᵀd. The points are those of winograd.cpp: 0, ±1, ∞, and 0, ±√½, ±√2, ∞.
constexpr float point = 0.70710678118654752f;
INLINE void input_1d(const float32x4_t (&d)[4], float32x4_t (&to)[4], float32x4_t) {
  to[0] = vsubq_f32(d[0], d[2]);
  to[1] = vaddq_f32(d[1], d[2]);
  to[2] = vsubq_f32(d[2], d[1]);
  to[3] = vsubq_f32(d[1], d[3]);
}
INLINE void input_1d(const float32x4_t (&d)[6], float32x4_t (&to)[6], float32x4_t k) {  // k: ½, 2½, √½, √2
  const float32x4_t two_even = vaddq_f32(d[2], d[2]), even = vsubq_f32(d[4], two_even), far_even = vfmsq_laneq_f32(d[4], d[2], k, 0);
  const float32x4_t odd = vsubq_f32(d[3], vaddq_f32(d[1], d[1])), end = vfmsq_laneq_f32(d[5], d[3], k, 1);
  const float32x4_t far_odd = vfmsq_laneq_f32(d[3], d[1], k, 0), by_p = vmulq_laneq_f32(odd, k, 2), by_q = vmulq_laneq_f32(far_odd, k, 3);
  to[0] = vsubq_f32(vaddq_f32(d[0], far_even), two_even);
  to[1] = vaddq_f32(even, by_p);
  to[2] = vsubq_f32(even, by_p);
  to[3] = vaddq_f32(far_even, by_q);
  to[4] = vsubq_f32(far_even, by_q);
  to[5] = vaddq_f32(d[1], end);
}

// `inner`: all of the tile is in memory. Rows that are not are read from zeros.
template <int m, bool inner> INLINE void input_channels(const WinogradInput& t) {
  constexpr int size = m + 2;
  const float32x4_t constants{0.5f, 2.5f, point, 2 * point}, none = vdupq_n_f32(0);
  const int64_t pixel = t.x_pixel * int64_t{sizeof(float)}, step = t.step * int64_t{sizeof(float)};
  const float* row[size];
  int64_t across[size];
  UNROLL(int i = 0; i < size; ++i) {
    const bool inside = inner || (i >= t.row0 && i < t.row1);
    row[i] = inside ? t.x + i * t.x_row + (inner ? 0 : t.col0 * t.x_pixel) : zeros;
    across[i] = inside ? pixel : 0;
  }
  for (int64_t c = 0;;) {
    float between[size * size * lanes];  // [column][row]
    float* at = between;
    asm("" : "+r"(at));
    const float* from[size];
    UNROLL(int i = 0; i < size; ++i) from[i] = row[i] + (inner || across[i] ? c : 0);
    UNROLL(int j = 0; j < size; ++j) {
      float32x4_t d[size], result[size];
      if (inner || (j >= t.col0 && j < t.col1)) {
        UNROLL(int i = 0; i < size; ++i) d[i] = load_next(from[i], inner ? pixel : across[i]);
        input_1d(d, result, constants);
      } else {
        UNROLL(int i = 0; i < size; ++i) result[i] = none;
      }
      UNROLL(int i = 0; i < size; ++i) vst1q_f32(at + (j * size + i) * lanes, result[i]);
    }
    asm("" : "+r"(at) : : "memory");
    float* to = t.v + c;
    UNROLL(int i = 0; i < size; i += 2) {
      float32x4_t first[size], second[size], result[size];
      UNROLL(int j = 0; j < size; ++j) {
        first[j] = vld1q_f32(at + (j * size + i) * lanes);
        second[j] = vld1q_f32(at + (j * size + i + 1) * lanes);
      }
      input_1d(first, result, constants);
      UNROLL(int j = 0; j < size; ++j) store_next(to, result[j], step);
      input_1d(second, result, constants);
      UNROLL(int j = 0; j < size; ++j) store_next(to, result[j], step);
    }
    c += lanes;
    if (c >= t.channels) return;
    c = std::min(c, t.channels - lanes);  // the last channels, again where they are no whole vector
  }
}
template <int m> void input(const WinogradInput& t) {
  if (t.row0 == 0 && t.col0 == 0 && t.row1 == m + 2 && t.col1 == m + 2) input_channels<m, true>(t);
  else input_channels<m, false>(t);
}

// Aᵀd of a row of products.
INLINE void output_row(const float*& from, int64_t step, float32x4_t (&to)[2], float32x4_t) {
  float32x4_t d[4];
  UNROLL(int j = 0; j < 4; ++j) d[j] = load_next(from, step);
  to[0] = vaddq_f32(vaddq_f32(d[0], d[1]), d[2]);
  to[1] = vsubq_f32(vsubq_f32(d[1], d[2]), d[3]);
}
INLINE void output_row(const float*& from, int64_t step, float32x4_t (&to)[4], float32x4_t k) {  // k: √½, √2, ½, √⅛
  float32x4_t d[6];
  UNROLL(int j = 0; j < 6; ++j) d[j] = load_next(from, step);
  const float32x4_t near_sum = vaddq_f32(d[1], d[2]), near = vsubq_f32(d[1], d[2]);
  const float32x4_t far_sum = vaddq_f32(d[3], d[4]), far = vsubq_f32(d[3], d[4]), two_far = vaddq_f32(far, far);
  to[0] = vaddq_f32(vaddq_f32(d[0], near_sum), far_sum);
  to[1] = vfmaq_laneq_f32(vmulq_laneq_f32(near, k, 0), far, k, 1);
  to[2] = vfmaq_laneq_f32(vaddq_f32(far_sum, far_sum), near_sum, k, 2);
  to[3] = vfmaq_laneq_f32(vfmaq_laneq_f32(d[5], near, k, 3), two_far, k, 1);
}

// The tile of y from its rows, which are added up as they come.
INLINE void output_tile(const float* from, int64_t step, float32x4_t bias, float32x4_t (&y)[4], float32x4_t k) {
  float32x4_t a[2], b[2];
  output_row(from, step, a, k);
  UNROLL(int j = 0; j < 2; ++j) y[j] = vaddq_f32(a[j], bias);
  output_row(from, step, a, k), output_row(from, step, b, k);
  UNROLL(int j = 0; j < 2; ++j) y[j] = vaddq_f32(y[j], vaddq_f32(a[j], b[j])), y[2 + j] = vaddq_f32(bias, vsubq_f32(a[j], b[j]));
  output_row(from, step, a, k);
  UNROLL(int j = 0; j < 2; ++j) y[2 + j] = vsubq_f32(y[2 + j], a[j]);
}
INLINE void output_tile(const float* from, int64_t step, float32x4_t bias, float32x4_t (&y)[16], float32x4_t k) {
  float32x4_t a[4], b[4];
  output_row(from, step, a, k);
  UNROLL(int j = 0; j < 4; ++j) y[j] = vaddq_f32(a[j], bias);
  output_row(from, step, a, k), output_row(from, step, b, k);
  UNROLL(int j = 0; j < 4; ++j) {
    const float32x4_t sum = vaddq_f32(a[j], b[j]), difference = vsubq_f32(a[j], b[j]);
    y[j] = vaddq_f32(y[j], sum);
    y[4 + j] = vfmaq_laneq_f32(bias, difference, k, 0);
    y[8 + j] = vfmaq_laneq_f32(bias, sum, k, 2);
    y[12 + j] = vfmaq_laneq_f32(bias, difference, k, 3);
  }
  output_row(from, step, a, k), output_row(from, step, b, k);
  UNROLL(int j = 0; j < 4; ++j) {
    const float32x4_t sum = vaddq_f32(a[j], b[j]), difference = vsubq_f32(a[j], b[j]);
    y[j] = vaddq_f32(y[j], sum);
    y[4 + j] = vfmaq_laneq_f32(y[4 + j], difference, k, 1);
    y[8 + j] = vaddq_f32(y[8 + j], vaddq_f32(sum, sum));
    y[12 + j] = vfmaq_laneq_f32(y[12 + j], vaddq_f32(difference, difference), k, 1);
  }
  output_row(from, step, a, k);
  UNROLL(int j = 0; j < 4; ++j) y[12 + j] = vaddq_f32(y[12 + j], a[j]);
}

// f(y, operand) for the pixels that are in memory; `c`: their channel.
template <int m, bool whole, class F> INLINE void combine(const WinogradOutput& t, const pointwise::Stage& stage, int64_t c, float32x4_t (&y)[m * m], F f) {
  const pointwise::Cursor& operand = t.cursors[stage.operand];
  const bool one = stage.mode == pointwise::Mode::per_row || stage.mode == pointwise::Mode::scalar;
  const int64_t down = t.row_pixels * operand.stride, across = t.next_pixel * operand.stride;
  const auto* data = reinterpret_cast<const char*>(operand.data + (one ? 0 : c));
  UNROLL(int i = 0; i < m; ++i, data += down) {
    const char* from = data;
    UNROLL(int j = 0; j < m; ++j, from += across) {
      if (!whole && (i >= t.rows || j >= t.cols)) continue;
      const auto* value = reinterpret_cast<const float*>(from);
      y[i * m + j] = f(y[i * m + j], one ? vld1q_dup_f32(value) : vld1q_f32(value));
    }
  }
}
template <int m, bool whole> INLINE void finish(const WinogradOutput& t, int64_t c, float32x4_t (&y)[m * m]) {
  for (const pointwise::Stage& stage : t.epilogue) {
    if (!stage.binary) pointwise::neon_unary(stage, y);
    else if (stage.op == schema::BinaryKind::add) combine<m, whole>(t, stage, c, y, vaddq_f32);
    else combine<m, whole>(t, stage, c, y, vmulq_f32);
  }
}

template <int m, bool whole> INLINE void output_channels(const WinogradOutput& t) {
  const float32x4_t constants{point, 2 * point, 0.5f, point / 2};
  const int64_t pixel = t.y_pixel * int64_t{sizeof(float)}, step = t.step * int64_t{sizeof(float)};
  for (int64_t c = 0;;) {
    float32x4_t y[m * m];
    output_tile(t.m + c, step, t.bias ? vld1q_f32(t.bias + c) : vdupq_n_f32(0), y, constants);
    finish<m, whole>(t, c, y);
    UNROLL(int i = 0; i < m; ++i) {
      if (!whole && i >= t.rows) break;
      float* to = t.y + i * t.y_row + c;
      UNROLL(int j = 0; j < m; ++j) {
        if (whole || j < t.cols) store_next(to, y[i * m + j], pixel);
      }
    }
    c += lanes;
    if (c >= t.channels) return;
    c = std::min(c, t.channels - lanes);
  }
}
template <int m> void output(const WinogradOutput& t) {
  t.rows == m && t.cols == m ? output_channels<m, true>(t) : output_channels<m, false>(t);
}

WinogradTransforms transforms_of(const Spec& s) {
  const bool applies = s.out_channels >= lanes && pointwise::neon_refusal(s.epilogue).empty();
  WinogradTransforms t = N_NEON::transforms();
  if (s.channels >= lanes) t.input[0] = input<2>, t.input[1] = input<4>;
  if (s.out_channels >= lanes) t.output[0] = output<2>, t.output[1] = output<4>;
  t.applies = applies;
  return t;
}
}  // namespace

namespace winograd2_neon {
Support supports(const Spec& spec) { return supports_winograd(tile::neon, spec, 2); }
Kernel make(const Spec& spec) { return make_winograd(tile::neon, spec, 2, transforms_of(spec), isa::neon); }
}  // namespace winograd2_neon
namespace winograd4_neon {
Support supports(const Spec& spec) { return supports_winograd(tile::neon, spec, 4); }
Kernel make(const Spec& spec) { return make_winograd(tile::neon, spec, 4, transforms_of(spec), isa::neon); }
}  // namespace winograd4_neon
namespace winograd2_neon_fp16 {
Support supports(const Spec& spec) { return supports_winograd(tile::neon_fp16, spec, 2); }
Kernel make(const Spec& spec) { return make_winograd(tile::neon_fp16, spec, 2, transforms_of(spec), isa::neon); }
}  // namespace winograd2_neon_fp16
namespace winograd4_neon_fp16 {
Support supports(const Spec& spec) { return supports_winograd(tile::neon_fp16, spec, 4); }
Kernel make(const Spec& spec) { return make_winograd(tile::neon_fp16, spec, 4, transforms_of(spec), isa::neon); }
}  // namespace winograd4_neon_fp16
}  // namespace kernels::conv
#endif
