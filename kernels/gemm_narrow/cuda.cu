// Products by weights of few bits. Few rows read the weights as they are stored, a warp for each column; for more, some
// columns at a time become floats in scratch, for a row of the gemm family.
#include "kernels/cuda/families.h"
#include "kernels/cuda/numbers.h"
#include "kernels/cuda/reduction.h"

namespace kernels::cuda {
namespace {
constexpr int threads = 256, warps = threads / warp_size, few = 8, at_once = 8;

__device__ int64_t integer_at(DType type, const void* x, int64_t i) {
  const int byte = static_cast<const uint8_t*>(x)[type == DType::u4 ? i / 2 : i];
  return type == DType::u4 ? byte >> (i % 2 * 4) & 15 : byte;
}
// Element k of a column.
__device__ float weight(const GemmNarrowProblem& p, const GemmNarrowArgs& a, int64_t column, int64_t k) {
  const int64_t i = column * p.ldb + k;
  if (!p.block) return load_real(p.type, a.b, i);
  const int64_t block = column * divide_up(p.k, p.block) + k / p.block;
  return float(integer_at(p.type, a.b, i) - (a.zero ? integer_at(p.type, a.zero, block) : 0)) * a.scale[block];
}
// `at_once` of them from k on, which lie in one block and begin with a word.
__device__ void weights_of_word(const GemmNarrowProblem& p, const GemmNarrowArgs& a, int64_t column, int64_t k,
                                float (&w)[at_once]) {
  const int64_t block = column * divide_up(p.k, p.block) + k / p.block;
  const uint32_t word = static_cast<const uint32_t*>(a.b)[(column * p.ldb + k) / at_once];
  const int zero = a.zero ? int(integer_at(p.type, a.zero, block)) : 0;
  const float scale = a.scale[block];
#pragma unroll
  for (int e = 0; e < at_once; ++e) w[e] = float(int(word >> 4 * e & 15) - zero) * scale;
}

template <class Numbers, int rows, bool words>
__global__ void __launch_bounds__(threads) multiply_rows(const GemmNarrowProblem p, const GemmNarrowArgs args) {
  const int lane = threadIdx.x % warp_size;
  for (int64_t column = linear_thread() / warp_size; column < p.n; column += linear_threads() / warp_size) {
    float sums[rows] = {};
    for (int64_t k = lane * at_once; k < p.k; k += warp_size * at_once) {
      float w[at_once];
      if constexpr (words) {
        weights_of_word(p, args, column, k, w);
      } else {
        for (int e = 0; e < at_once; ++e) w[e] = k + e < p.k ? weight(p, args, column, k + e) : 0;
      }
#pragma unroll
      for (int r = 0; r < rows; ++r)
        for (int e = 0; r < p.m && e < at_once; ++e)
          if (k + e < p.k) sums[r] += Numbers::load(p.kept.x, args.a, r * p.k + k + e) * w[e];
    }
#pragma unroll
    for (int r = 0; r < rows; ++r) {
      for (int mask = warp_size / 2; mask; mask /= 2) sums[r] += __shfl_xor_sync(~0u, sums[r], mask);
      if (lane == 0 && r < p.m) Numbers::store(p.kept.y, args.c, r * p.n + column, sums[r]);
    }
  }
}

__global__ void __launch_bounds__(threads)
    widen(const GemmNarrowProblem p, const GemmNarrowArgs args, int64_t first, int64_t count, float* to) {
  for (int64_t i = linear_thread(); i < count * p.k; i += linear_threads())
    to[i] = weight(p, args, first + i / p.k, i % p.k);
}

const char* refusal(const GemmNarrowProblem& p) {
  if (!is_float(p.kept.x) || !is_float(p.kept.y)) return "types that are not real";
  if (p.type == DType::bf16) return p.block ? "bfloat16 in blocks" : nullptr;
  return (p.type == DType::u4 || p.type == DType::u8) && p.block > 0 ? nullptr : "weights of another type";
}
const char* refuse_kept_rows(const GemmNarrowProblem& p) { return p.m > few ? "more than 8 rows" : refusal(p); }
const char* refuse_rows(const GemmNarrowProblem& p) {
  return p.kept.x != DType::f32 || p.kept.y != DType::f32 ? "types other than f32" : refuse_kept_rows(p);
}
double cost_of_rows(const GemmNarrowProblem&) { return 1; }

template <class Numbers> Failure run_rows(const GemmNarrowProblem& p, const GemmNarrowArgs& args, Stream* stream) {
  if (p.m == 0 || p.n == 0) return nullptr;
  const bool words = p.type == DType::u4 && reinterpret_cast<uintptr_t>(args.b) % sizeof(uint32_t) == 0 &&
                     p.ldb % at_once == 0 && p.k % at_once == 0 && p.block % at_once == 0;
  const auto go = [&](auto kernel) { return launch<void>(kernel, blocks_for(p.n, warps), threads, stream, p, args); };
  if (p.m == 1) return words ? go(multiply_rows<Numbers, 1, true>) : go(multiply_rows<Numbers, 1, false>);
  return words ? go(multiply_rows<Numbers, few, true>) : go(multiply_rows<Numbers, few, false>);
}

// The product by some columns as floats.
int64_t columns_at_once(const GemmNarrowProblem& p) { return p.columns < p.n ? p.columns : p.n; }
GemmProblem product(const GemmNarrowProblem& p, int64_t columns) {
  GemmProblem g{.m = p.m, .n = columns, .k = p.k, .lda = p.k, .ldb = p.k, .ldc = p.n, .trans_b = true};
  g.precision = p.precision, g.kept = p.kept;
  return g;
}
const auto* row_of(const GemmProblem& g) {
  constexpr int least = 80;  // all rows of the backend run there
  return select(gemm_family(), g, least);
}
int64_t bytes_of_columns(const GemmNarrowProblem& p) {
  return divide_up(columns_at_once(p) * p.k * int64_t(sizeof(float)), 256) * 256;
}
// Of the first columns, and of what is left at last.
template <class F> void each_product(const GemmNarrowProblem& p, F&& f) {
  const int64_t columns = columns_at_once(p), rest = columns ? p.n % columns : 0;
  if (columns) f(product(p, columns));
  if (rest) f(product(p, rest));
}
const char* refuse_widened(const GemmNarrowProblem& p) {
  const char* reason = p.columns <= 0 ? "no room for columns" : refusal(p);
  if (!reason)
    each_product(p, [&](const GemmProblem& g) {
      if (!row_of(g)) reason = "no kernel for the product by floats";
    });
  return reason;
}
double cost_of_widened(const GemmNarrowProblem&) { return 2; }
int64_t scratch_of_widened(const GemmNarrowProblem& p) {
  int64_t most = 0;
  each_product(p, [&](const GemmProblem& g) {
    const auto* row = row_of(g);
    const int64_t bytes = row && row->scratch ? row->scratch(g) : 0;
    most = bytes > most ? bytes : most;
  });
  return bytes_of_columns(p) + most;
}
Failure run_widened(const GemmNarrowProblem& p, const GemmNarrowArgs& args, Stream* stream) {
  if (p.m == 0 || p.n == 0) return nullptr;
  auto* const floats = static_cast<float*>(args.scratch);
  const int64_t columns = columns_at_once(p), bytes_of_y = p.kept.y == DType::f32 ? 4 : 2;
  for (int64_t first = 0; first < p.n; first += columns) {
    const int64_t count = p.n - first < columns ? p.n - first : columns;
    if (p.k)
      if (Failure f =
              launch<void>(widen, blocks_for(count * p.k, threads), threads, stream, p, args, first, count, floats))
        return f;
    const GemmProblem g = product(p, count);
    GemmArgs to{args.a, floats, static_cast<std::byte*>(args.c) + first * bytes_of_y, {}};
    to.scratch = static_cast<std::byte*>(args.scratch) + bytes_of_columns(p);
    if (Failure f = row_of(g)->run(g, to, stream)) return f;
  }
  return nullptr;
}
}  // namespace

Family<GemmNarrowProblem, GemmNarrowArgs> gemm_narrow_family() {
  static constexpr Row<GemmNarrowProblem, GemmNarrowArgs> rows[] = {
      {"gemm_narrow_rows_cuda", 80, warp_size * at_once, refuse_rows, cost_of_rows, run_rows<Singles>},
      {"gemm_narrow_rows_half_cuda", 80, warp_size * at_once, refuse_kept_rows, cost_of_rows, run_rows<Kept>},
      {"gemm_narrow_cuda", 80, 128, refuse_widened, cost_of_widened, run_widened, scratch_of_widened}};
  return {rows, std::size(rows)};
}
}  // namespace kernels::cuda
