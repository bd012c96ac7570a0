// What tiles in NEON intrinsics share: vectors of four columns of C, and what follows their sums. Each file is compiled for an
// instruction set of its own: everything here is private to it.
#pragma once
#include <arm_neon.h>
#include "kernels/pointwise/neon.h"
#include "kernels/tile/tile.h"

#define UNROLL _Pragma("GCC unroll 16") for
#define INLINE inline __attribute__((always_inline))

namespace kernels::tile {
namespace {
constexpr int lanes = 4;

INLINE const float* offset(const float* p, int64_t bytes) {
  return reinterpret_cast<const float*>(reinterpret_cast<const char*>(p) + bytes);
}

// The first n lanes, which alone are touched; n is 1 to 3.
__attribute__((noinline)) float32x4_t load_first(const float* from, int n) {
  float32x4_t v = vsetq_lane_f32(from[0], vdupq_n_f32(0), 0);
  if (n > 1) v = vsetq_lane_f32(from[1], v, 1);
  if (n > 2) v = vsetq_lane_f32(from[2], v, 2);
  return v;
}
__attribute__((noinline)) void store_first(float* to, float32x4_t v, int n) {
  vst1q_lane_f32(to, v, 0);
  if (n > 1) vst1q_lane_f32(to + 1, v, 1);
  if (n > 2) vst1q_lane_f32(to + 2, v, 2);
}
INLINE float32x4_t load(const float* from, bool whole, int tail) { return whole || !tail ? vld1q_f32(from) : load_first(from, tail); }

template <int M, int V> using Sums = float32x4_t[M * V];  // of row m in [m * V, (m + 1) * V)

// f(sum, what lies at from) for each sum: rows are `stride` bytes apart, and a row is one value where `broadcast`.
template <int M, int V, class F> INLINE void combine(Sums<M, V>& sum, const float* from, int64_t stride, bool broadcast, int tail, F f) {
  if (broadcast) {
    UNROLL(int m = 0; m < M; ++m, from = offset(from, stride)) {
      const float32x4_t value = vdupq_n_f32(*from);
      UNROLL(int v = 0; v < V; ++v) sum[m * V + v] = f(sum[m * V + v], value);
    }
  } else if (!tail) {
    UNROLL(int m = 0; m < M; ++m, from = offset(from, stride)) {
      UNROLL(int v = 0; v < V; ++v) sum[m * V + v] = f(sum[m * V + v], vld1q_f32(from + v * lanes));
    }
  } else {
    UNROLL(int m = 0; m < M; ++m, from = offset(from, stride)) {
      UNROLL(int v = 0; v < V; ++v) sum[m * V + v] = f(sum[m * V + v], load(from + v * lanes, v < V - 1, tail));
    }
  }
}

template <int M, int V> INLINE void apply(Sums<M, V>& sum, const pointwise::Stage& stage, const pointwise::Cursor* cursors, int tail) {
  if (!stage.binary) return pointwise::neon_unary(stage, sum);
  const pointwise::Cursor& operand = cursors[stage.operand];
  const bool broadcast = stage.mode == pointwise::Mode::per_row || stage.mode == pointwise::Mode::scalar;
  const auto combined = [&](auto f) __attribute__((always_inline)) { combine<M, V>(sum, operand.data, operand.stride, broadcast, tail, f); };
  stage.op == schema::BinaryKind::add ? combined(vaddq_f32) : combined(vmulq_f32);
}

template <int M, int V> INLINE void store(float* c, int64_t ldc, const Sums<M, V>& sum, int tail) {
  UNROLL(int m = 0; m < M; ++m) {
    UNROLL(int v = 0; v < V; ++v) tail && v == V - 1 ? store_first(c + v * lanes, sum[m * V + v], tail) : vst1q_f32(c + v * lanes, sum[m * V + v]);
    c = const_cast<float*>(offset(c, ldc));
  }
}

// What follows the sums of M rows, and the way to the next ones. `tail`: columns in the last vector, 0 for all; `a_step`: bytes.
template <int M, int V> INLINE void finish(Args& args, const Shape& s, Sums<M, V>& sum, int tail, int operands, int64_t a_step) {
  float* const c = args.c;
  const int64_t ldc = args.ldc;
  if (s.accumulate) combine<M, V>(sum, c, ldc, false, tail, vaddq_f32);
  for (const pointwise::Stage& stage : s.epilogue) apply<M, V>(sum, stage, args.cursors, tail);
  for (int i = 0; i < operands; ++i) args.cursors[i].data = offset(args.cursors[i].data, M * args.cursors[i].stride);
  tail ? store<M, V>(c, ldc, sum, tail) : store<M, V>(c, ldc, sum, 0);
  args.a = offset(args.a, a_step);
  args.c = const_cast<float*>(offset(c, M * ldc));
}
}  // namespace
}  // namespace kernels::tile
