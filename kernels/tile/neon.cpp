// Register tiles in NEON intrinsics, for the 32 vector registers of 64-bit ARM.
//
// Four k of a row of A are one load, whose lanes are multiplied by the panel's vectors: two loads per eight
// multiply-adds and less. Rows are pointers with one common offset, so that a step costs two additions.
#if defined(__aarch64__)
#include <arm_neon.h>
#include "kernels/tile/tile.h"

namespace kernels::tile {
namespace {
constexpr int lanes = 4;
// Rows by vectors: the sums, four k of each row and a vector of B for each column fit the registers.
constexpr std::array<int, 5> max_rows{0, 12, 8, 6, 0};
constexpr float zeros[max_tap_k] = {};  // what rows in the padding read

#define UNROLL _Pragma("GCC unroll 16") for
#define INLINE inline __attribute__((always_inline))

INLINE const float* offset(const float* p, int64_t bytes) {
  return reinterpret_cast<const float*>(reinterpret_cast<const char*>(p) + bytes);
}

// The first n lanes, which alone are touched; n is 1 to 3.
INLINE float32x4_t load_first(const float* from, int n) {
  float32x4_t v = vsetq_lane_f32(from[0], vdupq_n_f32(0), 0);
  if (n > 1) v = vsetq_lane_f32(from[1], v, 1);
  if (n > 2) v = vsetq_lane_f32(from[2], v, 2);
  return v;
}
INLINE void store_first(float* to, float32x4_t v, int n) {
  vst1q_lane_f32(to, v, 0);
  if (n > 1) vst1q_lane_f32(to + 1, v, 1);
  if (n > 2) vst1q_lane_f32(to + 2, v, 2);
}
INLINE float32x4_t load(const float* from, bool whole, int tail) { return whole || !tail ? vld1q_f32(from) : load_first(from, tail); }

template <int M, int V> using Sums = float32x4_t[M][V];

template <int lane, int M, int V> INLINE void multiply(Sums<M, V>& sum, const float32x4_t (&row)[M], const float* b) {
  float32x4_t column[V];
  UNROLL(int v = 0; v < V; ++v) column[v] = vld1q_f32(b + v * lanes);
  UNROLL(int m = 0; m < M; ++m) {
    UNROLL(int v = 0; v < V; ++v) sum[m][v] = vfmaq_laneq_f32(sum[m][v], column[v], row[m], lane);
  }
}

// One k, whose elements of A are `at` bytes into their rows.
template <int M, int V> INLINE void multiply_one(Sums<M, V>& sum, const float* const (&row)[M], int64_t at, const float* b, int tail) {
  float32x4_t column[V];
  UNROLL(int v = 0; v < V; ++v) column[v] = load(b + v * lanes, v < V - 1, tail);
  UNROLL(int m = 0; m < M; ++m) {
    const float value = *offset(row[m], at);
    UNROLL(int v = 0; v < V; ++v) sum[m][v] = vfmaq_n_f32(sum[m][v], column[v], value);
  }
}

// Neighbouring k of all rows.
template <int M, int V> INLINE const float* dense(Sums<M, V>& sum, const float* const (&row)[M], const float* b, int64_t k) {
  const int64_t whole = k / 4 * 16, end = k * 4;
  int64_t at = 0;
  for (; at != whole; at += 16, b += 4 * V * lanes) {
    float32x4_t a[M];
    UNROLL(int m = 0; m < M; ++m) a[m] = vld1q_f32(offset(row[m], at));
    multiply<0>(sum, a, b);
    multiply<1>(sum, a, b + V * lanes);
    multiply<2>(sum, a, b + 2 * V * lanes);
    multiply<3>(sum, a, b + 3 * V * lanes);
  }
  for (; at != end; at += 4, b += V * lanes) multiply_one(sum, row, at, b, 0);
  return b;
}

// B as it is: its last vector may have a tail.
template <int M, int V>
INLINE const float* direct(Sums<M, V>& sum, const float* const (&row)[M], const float* b, int64_t k, int64_t b_stride, int tail) {
  for (int64_t at = 0; at != 4 * k; at += 4, b = offset(b, b_stride)) multiply_one(sum, row, at, b, tail);
  return b;
}

// k that lie apart, of the rows of a tap.
template <int M, int V>
INLINE const float* strided(Sums<M, V>& sum, const float* a, int64_t lda, const Tap& tap, const float* b, int64_t k, int64_t k_step) {
  const float* row[M];
  int64_t step[M];
  UNROLL(int m = 0; m < M; ++m) {
    const bool inside = m >= tap.first && m < tap.last;
    row[m] = inside ? offset(a, m * lda) : zeros;
    step[m] = inside ? k_step : 0;
  }
  for (; k > 0; --k, b += V * lanes) {
    multiply_one(sum, row, 0, b, 0);
    UNROLL(int m = 0; m < M; ++m) row[m] = offset(row[m], step[m]);
  }
  return b;
}

template <int M, int V> void run(Args* args) {
  const Shape& s = *args->shape;
  const int64_t lda = args->lda, ldc = args->ldc;
  for (int64_t tile = 0; tile < args->tiles; ++tile) {
    Sums<M, V> sum;
    UNROLL(int v = 0; v < V; ++v) sum[0][v] = s.bias ? load(args->bias + v * lanes, v < V - 1, s.tail) : vdupq_n_f32(0);
    UNROLL(int m = 1; m < M; ++m) {
      UNROLL(int v = 0; v < V; ++v) sum[m][v] = sum[0][v];
    }
    const float *a = args->a, *b = args->b;
    for (int64_t outer = 0; outer < args->outer; ++outer, a = offset(a, args->outer_step)) {
      for (const Tap& tap : s.taps) {
        const float* from = offset(a, tap.offset);
        if (s.strided) {
          b = strided(sum, from, lda, tap, b, args->k, args->k_step);
          continue;
        }
        const float* row[M];
        UNROLL(int m = 0; m < M; ++m) row[m] = m >= tap.first && m < tap.last ? offset(from, m * lda) : zeros;
        b = s.direct ? direct(sum, row, b, args->k, args->b_stride, s.tail) : dense(sum, row, b, args->k);
      }
    }
    float* c = args->c;
    UNROLL(int m = 0; m < M; ++m) {
      UNROLL(int v = 0; v < V; ++v) {
        const bool whole = v < V - 1 || !s.tail;
        if (s.accumulate) sum[m][v] = vaddq_f32(sum[m][v], load(c + v * lanes, whole, s.tail));
        whole ? vst1q_f32(c + v * lanes, sum[m][v]) : store_first(c + v * lanes, sum[m][v], s.tail);
      }
      c = const_cast<float*>(offset(c, ldc));
    }
    args->a = offset(args->a, M * lda);
    args->c = c;
  }
}

template <int V, int... M> constexpr auto functions(std::integer_sequence<int, M...>) {
  return std::array<Tile::Function, sizeof...(M)>{run<M + 1, V>...};
}
template <int V> constexpr auto by_rows = functions<V>(std::make_integer_sequence<int, max_rows[V]>());

Tile make_tile(const Shape& shape) {
  const size_t row = static_cast<size_t>(shape.rows) - 1;
  const Tile::Function function = shape.vectors == 1   ? by_rows<1>[row]
                                  : shape.vectors == 2 ? by_rows<2>[row]
                                                       : by_rows<3>[row];
  return {function, std::make_shared<const Shape>(shape), nullptr};
}
}  // namespace

const Backend neon{"neon", isa::neon, lanes, max_rows, 2, 1.0 / (2 * lanes), make_tile,
                   [](const pointwise::Chain&) { return std::string("the tile has no epilogue"); }};
}  // namespace kernels::tile
#endif
