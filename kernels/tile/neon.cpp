// Register tiles in NEON intrinsics, for the 32 vector registers of 64-bit ARM: lanes of A are multiplied by the vectors of a
// panel.
//
// Packed rows are four to a vector, and four vectors, of k or of columns, to a load. Of rows as they are, four k of one are a
// load. Rows are pointers with one common offset, so that a step costs two additions.
#if defined(__aarch64__)
#include "kernels/tile/neon-inl.h"
#include "kernels/tile/neon_fp16.h"
#include "kernels/tile/neon_packed.h"

namespace kernels::tile {
namespace {
// Rows by vectors: the sums, four k of each row and a vector of B for each column fit the registers.
constexpr int most_rows = 8, group = 4;
constexpr std::array<int, 5> max_rows{0, most_rows, most_rows, 0, 0};
constexpr float zeros[max_tap_k] = {};  // what rows in the padding read

template <int M> INLINE bool whole(const Tap& tap) { return tap.first == 0 && tap.last >= M; }

template <int lane, int M, int V> INLINE void multiply(Sums<M, V>& sum, const float32x4_t (&row)[M], const float* b) {
  float32x4_t column[V];
  UNROLL(int v = 0; v < V; ++v) column[v] = vld1q_f32(b + v * lanes);
  UNROLL(int m = 0; m < M; ++m) {
    UNROLL(int v = 0; v < V; ++v) sum[m * V + v] = vfmaq_laneq_f32(sum[m * V + v], column[v], row[m], lane);
  }
}

// One k, whose elements of A are `at` bytes into their rows.
template <int M, int V> INLINE void multiply_one(Sums<M, V>& sum, const float* const (&row)[M], int64_t at, const float* b, int tail) {
  float32x4_t column[V];
  UNROLL(int v = 0; v < V; ++v) column[v] = load(b + v * lanes, v < V - 1, tail);
  UNROLL(int m = 0; m < M; ++m) {
    const float value = *offset(row[m], at);
    UNROLL(int v = 0; v < V; ++v) sum[m * V + v] = vfmaq_n_f32(sum[m * V + v], column[v], value);
  }
}

// Neighbouring k of all rows.
template <int M, int V> INLINE const float* dense(Sums<M, V>& sum, const float* const (&row)[M], const float* b, int64_t k) {
  const int64_t whole = k / 4 * 16, end = k * 4;
  int64_t at = 0;
  for (; at != whole; at += 16, b += 4 * V * lanes) {
    float32x4_t a[M];
    UNROLL(int m = 0; m < M; ++m) a[m] = vld1q_f32(offset(row[m], at));
    multiply<0, M, V>(sum, a, b);
    multiply<1, M, V>(sum, a, b + V * lanes);
    multiply<2, M, V>(sum, a, b + 2 * V * lanes);
    multiply<3, M, V>(sum, a, b + 3 * V * lanes);
  }
  for (; at != end; at += 4, b += V * lanes) multiply_one<M, V>(sum, row, at, b, 0);
  return b;
}

// B as it is: its last vector may have a tail.
template <int M, int V>
INLINE const float* direct(Sums<M, V>& sum, const float* const (&row)[M], const float* b, int64_t k, int64_t b_stride, int tail) {
  for (int64_t at = 0; at != 4 * k; at += 4, b = offset(b, b_stride)) multiply_one<M, V>(sum, row, at, b, tail);
  return b;
}

// k that lie apart, of the rows of a tap.
template <int M, int V>
INLINE const float* strided(Sums<M, V>& sum, const float* a, int64_t lda, const Tap& tap, const float* b, int64_t k, int64_t k_step) {
  const float* row[M];
  if (whole<M>(tap)) {
    UNROLL(int m = 0; m < M; ++m) row[m] = offset(a, m * lda);
    for (int64_t at = 0; k > 0; --k, at += k_step, b += V * lanes) multiply_one<M, V>(sum, row, at, b, 0);
    return b;
  }
  int64_t step[M];
  UNROLL(int m = 0; m < M; ++m) {
    const bool inside = m >= tap.first && m < tap.last;
    row[m] = inside ? offset(a, m * lda) : zeros;
    step[m] = inside ? k_step : 0;
  }
  for (; k > 0; --k, b += V * lanes) {
    multiply_one<M, V>(sum, row, 0, b, 0);
    UNROLL(int m = 0; m < M; ++m) row[m] = offset(row[m], step[m]);
  }
  return b;
}

template <int M, int V> void run(Args* args) {
  const Shape& s = *args->shape;
  const int64_t lda = args->lda;
  const int operands = s.epilogue.empty() ? 0 : s.epilogue.operand_count();
  for (int64_t tile = 0; tile < args->tiles; ++tile) {
    Sums<M, V> sum;
    UNROLL(int v = 0; v < V; ++v) sum[v] = s.bias ? load(args->bias + v * lanes, v < V - 1, s.tail) : vdupq_n_f32(0);
    UNROLL(int m = 1; m < M; ++m) {
      UNROLL(int v = 0; v < V; ++v) sum[m * V + v] = sum[v];
    }
    const float *a = args->a, *b = args->b;
    for (int64_t outer = 0; outer < args->outer; ++outer, a = offset(a, args->outer_step)) {
      for (const Tap& tap : s.taps) {
        const float* from = offset(a, tap.offset);
        if (s.strided) {
          b = strided<M, V>(sum, from, lda, tap, b, args->k, args->k_step);
          continue;
        }
        const float* row[M];
        UNROLL(int m = 0; m < M; ++m) row[m] = offset(from, m * lda);
        if (!whole<M>(tap)) {
          UNROLL(int m = 0; m < M; ++m) row[m] = m >= tap.first && m < tap.last ? row[m] : zeros;
        }
        b = s.direct ? direct<M, V>(sum, row, b, args->k, args->b_stride, s.tail) : dense<M, V>(sum, row, b, args->k * tap.count);
      }
    }
    finish<M, V>(*args, s, sum, s.tail, operands, M * lda);
  }
}

// One k of packed rows, in groups.
template <int M, int V> INLINE void multiply_packed(Sums<M, V>& sum, const float32x4_t* groups, const float32x4_t* column) {
  UNROLL(int m = 0; m < M; ++m) {
    const float32x4_t a = groups[m / group];
    UNROLL(int v = 0; v < V; ++v) {
      float32x4_t& to = sum[m * V + v];
      to = m % group == 0   ? vfmaq_laneq_f32(to, column[v], a, 0)
           : m % group == 1 ? vfmaq_laneq_f32(to, column[v], a, 1)
           : m % group == 2 ? vfmaq_laneq_f32(to, column[v], a, 2)
                            : vfmaq_laneq_f32(to, column[v], a, 3);
    }
  }
}

// `count` k: 4 or 1. Groups are `step` floats apart.
template <int M, int V, int count> INLINE void multiply_packed(Sums<M, V>& sum, const float*& a, int64_t step, const float*& b) {
  constexpr int groups = (M + group - 1) / group;
  float32x4_t rows[count][groups], column[count * V];
  UNROLL(int g = 0; g < groups; ++g) {
    UNROLL(int i = 0; i < count; ++i) rows[i][g] = vld1q_f32(a + g * step + i * group);
  }
  UNROLL(int i = 0; i < count * V; ++i) column[i] = vld1q_f32(b + i * lanes);
  UNROLL(int i = 0; i < count; ++i) multiply_packed<M, V>(sum, rows[i], column + i * V);
  a += count * group, b += count * V * lanes;
}

template <int M, int V> INLINE void packed(Sums<M, V>& sum, const float* a, int64_t step, const float* b, int64_t k, const float* start) {
  if constexpr (M == 8 && V == 2) {
    sums_of_8x8(sum, a, a + step, b, k, start);
  } else {
    UNROLL(int m = 0; m < M; ++m) {
      UNROLL(int v = 0; v < V; ++v) sum[m * V + v] = vld1q_f32(start + v * lanes);
    }
    for (; k >= 4; k -= 4) multiply_packed<M, V, 4>(sum, a, step, b);
    for (; k > 0; --k) multiply_packed<M, V, 1>(sum, a, step, b);
  }
}

template <int M, int V> void run_packed(Args* args) {
  const Shape& s = *args->shape;
  const int operands = s.epilogue.empty() ? 0 : s.epilogue.operand_count();
  float start[2 * V * lanes] = {};  // twice: what four registers begin with is one load
  if (s.bias) {
    std::copy_n(args->bias, s.tail ? (V - 1) * lanes + s.tail : V * lanes, start);
    std::copy_n(start, V * lanes, start + V * lanes);
  }
  for (int64_t tile = 0; tile < args->tiles; ++tile) {
    Sums<M, V> sum;
    packed<M, V>(sum, args->a, args->lda / static_cast<int64_t>(sizeof(float)), args->b, args->k, start);
    finish<M, V>(*args, s, sum, s.tail, operands, (M + group - 1) / group * args->lda);
  }
}

template <bool packed, int V, int... M> constexpr auto functions(std::integer_sequence<int, M...>) {
  return std::array<Tile::Function, sizeof...(M)>{(packed ? run_packed<M + 1, V> : run<M + 1, V>)...};
}
template <bool packed, int V> constexpr auto by_rows = functions<packed, V>(std::make_integer_sequence<int, max_rows[V]>());

Tile make_tile(const Shape& shape) {
  const size_t row = static_cast<size_t>(shape.rows) - 1;
  const Tile::Function function = shape.packed ? shape.vectors == 1 ? by_rows<true, 1>[row] : by_rows<true, 2>[row]
                                  : shape.vectors == 1 ? by_rows<false, 1>[row]
                                                       : by_rows<false, 2>[row];
  return {function, std::make_shared<const Shape>(shape), nullptr};
}

// [k][row]: what four registers of rows are when they are stored interleaved.
void pack(void* packed, const void* const* rows, int64_t k, int64_t lines, int64_t step) {
  auto* to = static_cast<float*>(packed);
  const auto *a = static_cast<const float*>(rows[0]), *b = static_cast<const float*>(rows[1]);
  const auto *c = static_cast<const float*>(rows[2]), *d = static_cast<const float*>(rows[3]);
  const auto four = [&](int64_t i) __attribute__((always_inline)) {
    const float32x4x4_t all{{vld1q_f32(a + i), vld1q_f32(b + i), vld1q_f32(c + i), vld1q_f32(d + i)}};  // clang's vst4q is a macro
    vst4q_f32(to + group * i, all);
  };
  for (; lines > 0; --lines, a += step, b += step, c += step, d += step, to += group * k) {
    int64_t i = 0;
    for (; i + 4 <= k; i += 4) four(i);
    if (i == k) continue;
    if (k >= 4) {
      four(k - 4);
      continue;
    }
    if (k >= 2) {
      const float32x2x4_t all{{vld1_f32(a), vld1_f32(b), vld1_f32(c), vld1_f32(d)}};
      vst4_f32(to, all), i = 2;
    }
    if (i < k) {
      float32x4_t last = vld1q_dup_f32(a + i);
      last = vld1q_lane_f32(b + i, last, 1), last = vld1q_lane_f32(c + i, last, 2), last = vld1q_lane_f32(d + i, last, 3);
      vst1q_f32(to + group * i, last);
    }
  }
}

void pack_shifted(void* packed, const float* row, int64_t k, int shift) {
  auto* to = static_cast<float*>(packed);
  if (shift == 1) {
    for (int64_t i = 0; i < k; ++i) vst1q_f32(to + group * i, vld1q_f32(row + i));
    return;
  }
  int64_t i = 0;
  for (; i + 2 <= k; i += 2) {
    const float32x4x2_t two = vld2q_f32(row + i);
    vst1q_f32(to + group * i, two.val[0]);
    vst1q_f32(to + group * (i + 1), two.val[1]);
  }
  if (i == k) return;
  if (i > 0) return vst1q_f32(to + group * i, vld2q_f32(row + i - 1).val[1]);
  for (int r = 0; r < group; ++r) to[r] = row[r * shift];
}

Tile make_half_tile(const Shape& shape) {
  const int columns = shape.vectors * HalfTiles::lanes - (shape.tail ? HalfTiles::lanes - shape.tail : 0);
  return {half_tiles.by_rows[(columns + lanes - 1) / lanes - 1][shape.rows - 1], std::make_shared<const Shape>(shape), nullptr};
}
}  // namespace

const Backend neon_fp16{.name = "neon_fp16",
                        .isa = isa::neon_fp16,
                        .lanes = HalfTiles::lanes,
                        .max_rows = {0, HalfTiles::most_rows, HalfTiles::most_rows, 0, 0},
                        .vectors = 2,
                        .cost = 1.0 / (2 * HalfTiles::lanes),
                        .make = make_half_tile,
                        .epilogue_refusal = pointwise::neon_refusal,
                        .group = HalfTiles::group,
                        .pack = half_tiles.pack,
                        .pack_shifted = half_tiles.pack_shifted,
                        .precision = Precision::f16,
                        .narrow = half_tiles.narrow,
                        .pack_halves = half_tiles.pack_halves};
const Backend neon{"neon", isa::neon, lanes, max_rows, 2, 1.0 / (2 * lanes), make_tile, pointwise::neon_refusal, group, pack, pack_shifted};
}  // namespace kernels::tile
#endif
