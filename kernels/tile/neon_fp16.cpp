// Register tiles in half precision, for 64-bit ARM that computes in it: eight columns to a vector, eight products to an
// instruction. A and B are packed as halves; C is in f32, or kept as half.
//
// A sum in half precision loses a bit with every fourfold of its terms, so those of most_k products are added up once they are complete,
// as FABsum does (Blanchard, Higham, Mary, A Class of Fast and Accurate Summation Algorithms, 2020, section 3), both in half precision: of
// the 320 products that a block of a reduction has (gemm::Rows), the error is that of a sum of 42. Every element's sum is made in
// the same order, whatever tile it lies in. Nothing here may be shared with files that are compiled for less
// (tests/kernels/weak_symbols.sh): the Backend is in neon.cpp.
#if defined(__aarch64__)
#include "kernels/pointwise/neon_fp16.h"
#include "kernels/tile/neon-inl.h"
#include "kernels/tile/neon_fp16.h"
#include "kernels/tile/neon_fp16_packed.h"

namespace kernels::tile {
namespace {
constexpr int half_lanes = HalfTiles::lanes, most_rows = HalfTiles::most_rows, group = HalfTiles::group;
constexpr int64_t most_k = 32;

template <int M, int V> using Halves = float16x8_t[M * V];  // of row m in [m * V, (m + 1) * V)

// to += b * a[lane]: GCC 12 copies each lane into a vector first.
template <int lane> INLINE void multiply_add(float16x8_t& to, float16x8_t b, float16x8_t a) {
  asm("fmla\t%0.8h, %1.8h, %2.h[%3]" : "+w"(to) : "w"(b), "x"(a), "i"(lane));
}

// One k of packed rows; lane `first` of `a` is the first row of a group.
template <int first, int M, int V> INLINE void multiply(Halves<M, V>& sum, const float16x8_t* groups, const float16x8_t* column) {
  UNROLL(int m = 0; m < M; ++m) {
    const float16x8_t a = groups[m / group];
    UNROLL(int v = 0; v < V; ++v) {
      float16x8_t& to = sum[m * V + v];
      if (m % group == 0) multiply_add<first>(to, column[v], a);
      else if (m % group == 1) multiply_add<first + 1>(to, column[v], a);
      else if (m % group == 2) multiply_add<first + 2>(to, column[v], a);
      else multiply_add<first + 3>(to, column[v], a);
    }
  }
}

// to[i] = (add ? to[i] : 0) + Σ of k products, from packed rows whose groups are `step` apart and a packed panel. In a function of its own:
// beside epilogues, compilers leave the sums in memory.
template <int M, int V> __attribute__((noinline)) void sums_of(__fp16* to, const __fp16* a, int64_t step, const __fp16* b, int64_t k, bool add) {
  constexpr int groups = (M + group - 1) / group;
  float16x8_t rows[groups], column[2 * V];
  Halves<M, V> sum;
  const float16x8_t start = vdupq_n_f16(k >= 8 ? static_cast<__fp16>(-0.0f) : static_cast<__fp16>(0.0f));  // the sign of a zero is sums_of_8x16's
  UNROLL(int i = 0; i < M * V; ++i) sum[i] = start;
  for (; k >= 2; k -= 2, a += 2 * group, b += 2 * V * half_lanes) {
    UNROLL(int g = 0; g < groups; ++g) rows[g] = vld1q_f16(a + g * step);
    UNROLL(int i = 0; i < 2 * V; ++i) column[i] = vld1q_f16(b + i * half_lanes);
    multiply<0, M, V>(sum, rows, column);
    multiply<4, M, V>(sum, rows, column + V);
  }
  if (k) {
    UNROLL(int g = 0; g < groups; ++g) rows[g] = vcombine_f16(vld1_f16(a + g * step), vdup_n_f16(0));
    UNROLL(int i = 0; i < V; ++i) column[i] = vld1q_f16(b + i * half_lanes);
    multiply<0, M, V>(sum, rows, column);
  }
  if (add) {
    UNROLL(int i = 0; i < M * V; ++i) sum[i] = vaddq_f16(sum[i], vld1q_f16(to + i * half_lanes));
  }
  UNROLL(int i = 0; i < M * V; ++i) vst1q_f16(to + i * half_lanes, sum[i]);
}

// sum[i] = Σ of k products: sums of `piece` each, added up in their order.
template <int M, int V> INLINE void multiply(Halves<M, V>& sum, const __fp16* a, int64_t step, const __fp16* b, int64_t k, int64_t piece) {
  __fp16 sums[M * V * half_lanes];
  if constexpr (M == 8 && V == 2) {
    sums_of_8x16(sum, a, a + step, b, k, piece, sums);
  } else {
    for (int64_t at = 0; at == 0 || at < k; at += piece) sums_of<M, V>(sums, a + group * at, step, b + V * half_lanes * at, std::min(k - at, piece), at > 0);
    UNROLL(int i = 0; i < M * V; ++i) sum[i] = vld1q_f16(sums + i * half_lanes);
  }
}

// R rows from `first` on, W vectors of f32 each, and the bias.
template <int R, int W, int first, int M, int V> INLINE void widen(Sums<R, W>& to, const Halves<M, V>& sum, const float* bias) {
  UNROLL(int m = 0; m < R; ++m) {
    UNROLL(int w = 0; w < W; ++w) {
      const float16x8_t from = sum[(first + m) * V + w / 2];
      to[m * W + w] = vaddq_f32(w % 2 ? vcvt_high_f32_f16(from) : vcvt_f32_f16(vget_low_f16(from)), vld1q_f32(bias + w * lanes));
    }
  }
}

// The first n of eight halves, which alone are touched.
__attribute__((noinline)) float16x8_t load_first(const __fp16* from, int n) {
  __fp16 values[half_lanes] = {};
  __builtin_memcpy(values, from, static_cast<size_t>(n) * 2);
  return vld1q_f16(values);
}
__attribute__((noinline)) void store_first(__fp16* to, float16x8_t v, int n) { __builtin_memcpy(to, &v, static_cast<size_t>(n) * 2); }

// f(sum, what lies at from) for each sum, as combine() of f32 does; `n` elements of the last vector.
template <int M, int V, class F> INLINE void combine(Halves<M, V>& sum, const float* from, int64_t stride, bool broadcast, int n, F f) {
  const auto rows = [&](auto load) __attribute__((always_inline)) {
    UNROLL(int m = 0; m < M; ++m, from = offset(from, stride)) {
      UNROLL(int v = 0; v < V; ++v) sum[m * V + v] = f(sum[m * V + v], load(reinterpret_cast<const __fp16*>(from), v));
    }
  };
  if (broadcast) rows([](const __fp16* at, int) __attribute__((always_inline)) { return vld1q_dup_f16(at); });
  else if (n == half_lanes) rows([](const __fp16* at, int v) __attribute__((always_inline)) { return vld1q_f16(at + v * half_lanes); });
  else rows([n](const __fp16* at, int v) __attribute__((always_inline)) { return v < V - 1 ? vld1q_f16(at + v * half_lanes) : load_first(at + v * half_lanes, n); });
}

// C's rows are the sums, each between two numbers, else the nearer one. Returns what is behind them.
template <int M, int V> INLINE float* store_rows(float* c, int64_t ldc, const Halves<M, V>& sum, int n, float16x8_t least, float16x8_t most) {
  auto* to = reinterpret_cast<__fp16*>(c);
  if constexpr (V == 2 && M % 4 == 0) {
    if (n == half_lanes) {
      UNROLL(int m = 0; m < M; m += 4) store_4x16(to, ldc, sum + m * V, least, most);
      return reinterpret_cast<float*>(to);
    }
  }
  UNROLL(int m = 0; m < M; ++m, to = reinterpret_cast<__fp16*>(reinterpret_cast<char*>(to) + ldc)) {
    UNROLL(int v = 0; v < V; ++v) {
      const float16x8_t value = vminq_f16(vmaxq_f16(sum[m * V + v], least), most);
      v == V - 1 && n < half_lanes ? store_first(to + v * half_lanes, value, n) : vst1q_f16(to + v * half_lanes, value);
    }
  }
  return reinterpret_cast<float*>(to);
}

// An epilogue as most are: perhaps an operand is added, and what comes out lies between two numbers, which are the largest that halves
// have where the chain says no others.
struct Bounds {
  int added = -1;  // an operand
  float16x8_t least, most;
  bool whole;  // else the chain is more than that
  explicit Bounds(const pointwise::Chain& chain) {
    float from = -pointwise::most_half, to = pointwise::most_half;
    const pointwise::Stage *at = chain.begin(), *const end = chain.end();
    const auto row = [](pointwise::Mode m) { return m == pointwise::Mode::full || m == pointwise::Mode::per_column; };
    if (at != end && at->binary && at->op == schema::BinaryKind::add && row(at->mode)) added = at++->operand;
    if (at != end && !at->binary && (at->unary == schema::UnaryKind::relu || at->unary == schema::UnaryKind::clip)) {
      const bool clip = at->unary == schema::UnaryKind::clip;
      from = clip ? std::max(at->a, from) : 0, to = clip ? std::min(at->b, to) : to;
      ++at;
    }
    least = vdupq_n_f16(static_cast<__fp16>(from)), most = vdupq_n_f16(static_cast<__fp16>(to)), whole = at == end;
  }
};

// Any other epilogue, of sums that lie in memory: in registers beside all of its cases, they would be spilled for each.
template <int M, int V> __attribute__((noinline)) void apply(const Args& args, const Shape& s, __fp16* sums, int n) {
  Halves<M, V> sum;
  UNROLL(int i = 0; i < M * V; ++i) sum[i] = vld1q_f16(sums + i * half_lanes);
  for (const pointwise::Stage& stage : s.epilogue) {
    if (!stage.binary) {
      pointwise::neon_unary(stage, sum);
      continue;
    }
    const pointwise::Cursor& operand = args.cursors[stage.operand];
    const bool broadcast = stage.mode == pointwise::Mode::per_row || stage.mode == pointwise::Mode::scalar;
    const auto combined = [&](auto f) __attribute__((always_inline)) { combine<M, V>(sum, operand.data, operand.stride, broadcast, n, f); };
    stage.op == schema::BinaryKind::add ? combined(vaddq_f16) : combined(vmulq_f16);
  }
  UNROLL(int i = 0; i < M * V; ++i) vst1q_f16(sums + i * half_lanes, sum[i]);
}

// What follows the sums of M rows whose C is kept as half, n columns of its last vector, and the way to the next ones.
template <int M, int V> INLINE void finish_halves(Args& args, const Shape& s, Halves<M, V>& sum, int n, const __fp16* bias, const Bounds& bounds, int operands, int64_t a_step) {
  float* const c = args.c;
  const int64_t ldc = args.ldc;
  if (s.bias) {
    UNROLL(int v = 0; v < V; ++v) {
      const float16x8_t value = vld1q_f16(bias + v * half_lanes);
      UNROLL(int m = 0; m < M; ++m) sum[m * V + v] = vaddq_f16(sum[m * V + v], value);
    }
  }
  if (s.accumulate) combine<M, V>(sum, c, ldc, false, n, vaddq_f16);
  if (!bounds.whole) {
    __fp16 sums[M * V * half_lanes];
    UNROLL(int i = 0; i < M * V; ++i) vst1q_f16(sums + i * half_lanes, sum[i]);
    apply<M, V>(args, s, sums, n);
    UNROLL(int i = 0; i < M * V; ++i) sum[i] = vld1q_f16(sums + i * half_lanes);
  } else if (bounds.added >= 0) {
    combine<M, V>(sum, args.cursors[bounds.added].data, args.cursors[bounds.added].stride, false, n, vaddq_f16);
  }
  for (int i = 0; i < operands; ++i) args.cursors[i].data = offset(args.cursors[i].data, M * args.cursors[i].stride);
  args.c = store_rows<M, V>(c, ldc, sum, n, bounds.least, bounds.most);
  args.a = offset(args.a, a_step);
}

template <int M, int W> void run(Args* args) {
  constexpr int V = (W + 1) / 2, R = std::min(M, group);  // halves of a tile's rows fit the registers in f32
  const Shape& s = *args->shape;
  const int operands = s.epilogue.empty() ? 0 : s.epilogue.operand_count(), tail = s.tail % lanes, last = s.tail ? s.tail : half_lanes;
  const int64_t pieces = std::max<int64_t>(1, (args->k + most_k - 1) / most_k), piece = std::max<int64_t>(8, ((args->k + pieces - 1) / pieces + 7) / 8 * 8);
  const int64_t a_step = (M + group - 1) / group * args->lda;
  const bool halves = s.kept != schema::DType::f32;
  const Bounds bounds(s.epilogue);
  float bias[V * half_lanes] = {};
  __fp16 half_bias[V * half_lanes];
  if (s.bias) std::copy_n(args->bias, (tail ? W - 1 : W) * lanes + tail, bias);
  UNROLL(int v = 0; v < V; ++v) vst1q_f16(half_bias + v * half_lanes, pointwise::neon_narrow(bias + v * half_lanes));
  for (int64_t tile = 0; tile < args->tiles; ++tile) {
    const auto *a = reinterpret_cast<const __fp16*>(args->a), *b = reinterpret_cast<const __fp16*>(args->b);
    Halves<M, V> sum;
    multiply<M, V>(sum, a, args->lda / static_cast<int64_t>(sizeof(__fp16)), b, args->k, piece);
    if (halves) {
      finish_halves<M, V>(*args, s, sum, last, half_bias, bounds, operands, a_step);
      continue;
    }
    Sums<R, W> wide;
    widen<R, W, 0, M, V>(wide, sum, bias);
    finish<R, W>(*args, s, wide, tail, operands, M > R ? 0 : a_step);
    if constexpr (M > R) {
      Sums<M - R, W> rest;
      widen<M - R, W, R, M, V>(rest, sum, bias);
      finish<M - R, W>(*args, s, rest, tail, operands, a_step);
    }
  }
}

template <int W, int... M> constexpr auto functions(std::integer_sequence<int, M...>) {
  return std::array<Tile::Function, sizeof...(M)>{run<M + 1, W>...};
}
template <int W> constexpr auto by_rows = functions<W>(std::make_integer_sequence<int, most_rows>());

INLINE float16x8_t eight_of(const float* from) { return pointwise::neon_narrow(from); }
INLINE float16x8_t eight_of(const __fp16* from) { return vld1q_f16(from); }
INLINE float16x4_t four_of(const float* from) { return vcvt_f16_f32(vld1q_f32(from)); }
INLINE float16x4_t four_of(const __fp16* from) { return vld1_f16(from); }

// [k][row]: what four registers of rows are when they are stored interleaved.
template <class T> void pack(void* packed, const void* const* rows, int64_t k, int64_t lines, int64_t step) {
  auto* to = static_cast<__fp16*>(packed);
  const T *a = static_cast<const T*>(rows[0]), *b = static_cast<const T*>(rows[1]), *c = static_cast<const T*>(rows[2]), *d = static_cast<const T*>(rows[3]);
  const auto eight = [&](int64_t i) __attribute__((always_inline)) {
    const float16x8x4_t all{{eight_of(a + i), eight_of(b + i), eight_of(c + i), eight_of(d + i)}};  // clang's vst4q is a macro
    vst4q_f16(to + group * i, all);
  };
  const auto four = [&](int64_t i) __attribute__((always_inline)) {
    const float16x4x4_t all{{four_of(a + i), four_of(b + i), four_of(c + i), four_of(d + i)}};
    vst4_f16(to + group * i, all);
  };
  for (; lines > 0; --lines, a += step, b += step, c += step, d += step, to += group * k) {
    int64_t i = 0;
    for (; i + 8 <= k; i += 8) eight(i);
    if (i == k) continue;
    if (k >= 8) {
      eight(k - 8);
    } else if (k >= 4) {
      four(0), four(k - 4);
    } else {
      for (; i < k; ++i) {
        const T one[group] = {a[i], b[i], c[i], d[i]};
        vst1_f16(to + group * i, four_of(one));
      }
    }
  }
}

void pack_shifted(void* packed, const float* row, int64_t k, int shift) {
  auto* to = static_cast<__fp16*>(packed);
  if (shift == 1) {
    for (int64_t i = 0; i < k; ++i) vst1_f16(to + group * i, vcvt_f16_f32(vld1q_f32(row + i)));
    return;
  }
  const auto both = [&](const float32x4x2_t& two) __attribute__((always_inline)) { return vcvt_high_f16_f32(vcvt_f16_f32(two.val[0]), two.val[1]); };
  int64_t i = 0;
  for (; i + 2 <= k; i += 2) vst1q_f16(to + group * i, both(vld2q_f32(row + i)));
  if (i == k) return;
  if (i > 0) return vst1_f16(to + group * i, vget_high_f16(both(vld2q_f32(row + i - 1))));
  for (int r = 0; r < group; ++r) to[r] = static_cast<__fp16>(row[r * shift]);
}

void narrow(void* packed, const float* from, int64_t n) {
  auto* to = static_cast<__fp16*>(packed);
  int64_t i = 0;
  for (; i + half_lanes <= n; i += half_lanes) vst1q_f16(to + i, pointwise::neon_narrow(from + i));
  for (; i < n; ++i) to[i] = static_cast<__fp16>(from[i]);
}
}  // namespace

const HalfTiles half_tiles{{by_rows<1>.data(), by_rows<2>.data(), by_rows<3>.data(), by_rows<4>.data()}, pack<float>, pack<__fp16>, pack_shifted, narrow};
}  // namespace kernels::tile
#endif
