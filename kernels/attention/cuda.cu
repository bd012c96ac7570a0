// Attention without scores in memory (Dao et al., "FlashAttention", 2022, algorithm 1): a block takes 32 queries of a
// head, and keys and values in tiles of 32. Each query keeps the largest score so far and the sum of exponentials
// beside it; where a tile raises the largest one, what was summed before is scaled. Four threads share a query: its
// scores of a tile, and the columns of its result. Every sum has one order, by the keys.
#include "kernels/cuda/families.h"
#include "kernels/cuda/numbers.h"
#include "kernels/cuda/reduction.h"

namespace kernels::cuda {
namespace {
constexpr int block_queries = 32, tile_keys = 32, sharing = 4, threads = block_queries * sharing;

template <int most> struct Memory {
  static constexpr int pitch = most + 4;
  float q[block_queries][pitch], kv[tile_keys][pitch];  // keys, then values
  float p[block_queries][tile_keys + 1];
};

template <int pitch>
__device__ void load(float (*to)[pitch], DType type, const void* from, int64_t first, int64_t step, int64_t rows,
                     int64_t columns, int most_rows) {
  for (int64_t i = threadIdx.x; i < most_rows * columns; i += threads)
    to[i / columns][i % columns] =
        i / columns < rows ? load_real(type, from, first + i / columns * step + i % columns) : 0;
}

template <int most>
__global__ void __launch_bounds__(threads)
    attention_f32(const __grid_constant__ AttentionProblem p, const __grid_constant__ AttentionArgs a) {
  auto& s = shared<Memory<most>>();
  const int64_t tiles = divide_up(p.queries, block_queries), first = blockIdx.x % tiles * block_queries,
                head = blockIdx.x / tiles % p.heads, batch = blockIdx.x / tiles / p.heads;
  const int query = int(threadIdx.x) / sharing, part = int(threadIdx.x) % sharing;
  const int64_t all_keys = p.counted ? a.counts[2 * batch] : p.keys,
                all_queries = p.counted ? a.counts[2 * batch + 1] : p.queries;
  const bool present = first + query < all_queries;
  const int64_t keys = batch * p.k.batch + head / p.shared * p.k.head,
                values = batch * p.v.batch + head / p.shared * p.v.head;
  const float* mask =
      a.mask + batch * p.mask_strides[0] + head * p.mask_strides[1] + (first + query) * p.mask_strides[2];
  load(s.q, p.q_type, a.q, batch * p.q.batch + head * p.q.head + first * p.q.row, p.q.row, all_queries - first, p.size,
       block_queries);
  // The keys that this query sees, [unseen, seen), and that any one of the block may: no tile is needed in front or
  // behind.
  const int64_t place = all_keys - all_queries + first + query, seen = p.causal ? place + 1 : all_keys,
                unseen = p.causal && p.window > 0 ? place + 1 - p.window : 0;
  const int64_t of_last = all_keys - all_queries + first + block_queries, of_first = unseen - query,
                past = p.causal && of_last < all_keys ? of_last : all_keys,
                begin = of_first > 0 ? of_first / tile_keys * tile_keys : 0;
  float largest = -INFINITY, sum = 0, mixed[most / sharing] = {};
  for (int64_t key0 = begin; key0 < past; key0 += tile_keys) {
    const int64_t count = all_keys - key0 < tile_keys ? all_keys - key0 : tile_keys;
    __syncthreads();  // the values of the tile before have been read
    load(s.kv, p.k_type, a.k, keys + key0 * p.k.row, p.k.row, count, p.size, tile_keys);
    __syncthreads();
    float score[tile_keys / sharing], top = largest;
#pragma unroll
    for (int j = 0; j < tile_keys / sharing; ++j) {
      const int key = part + j * sharing;
      float dot = 0;
      for (int64_t i = 0; i < p.size; ++i) dot += s.q[query][i] * s.kv[key][i];
      dot *= p.scale;
      if (p.softcap > 0) dot = p.softcap * std::tanh(dot / p.softcap);
      if (p.masked && present && key < count) dot += mask[(key0 + key) * p.mask_strides[3]];
      score[j] = key < count && key0 + key < seen && key0 + key >= unseen ? dot : -INFINITY;
      top = Max()(top, score[j]);
    }
    for (int m = sharing / 2; m; m /= 2) top = Max()(top, __shfl_xor_sync(~0u, top, m));
    const bool nothing = top == -INFINITY;  // so far
    const float before = nothing ? 1 : std::exp(largest - top);
    float added = 0;
#pragma unroll
    for (int j = 0; j < tile_keys / sharing; ++j) {
      const float e = nothing ? 0 : std::exp(score[j] - top);
      s.p[query][part + j * sharing] = e;
      added += e;
    }
    for (int m = sharing / 2; m; m /= 2) added += __shfl_xor_sync(~0u, added, m);
    sum = sum * before + added, largest = top;
    __syncthreads();  // the keys have been read
    load(s.kv, p.v_type, a.v, values + key0 * p.v.row, p.v.row, count, p.value_size, tile_keys);
    __syncthreads();
#pragma unroll
    for (int c = 0; c < most / sharing; ++c) {
      const int column = part + c * sharing;
      if (column >= p.value_size) break;
      float total = mixed[c] * before;
      for (int k = 0; k < count; ++k) total += s.p[query][k] * s.kv[k][column];
      mixed[c] = total;
    }
  }
  if (first + query >= p.queries) return;
  const int64_t y = batch * p.y.batch + head * p.y.head + (first + query) * p.y.row;
  const bool zero = !present || (p.zero_if_masked && largest == -INFINITY);
#pragma unroll
  for (int c = 0; c < most / sharing; ++c) {
    const int column = part + c * sharing;
    if (column < p.value_size) Kept::store(p.y_type, a.y, y + column, zero ? 0 : mixed[c] / sum);
  }
}

template <int most> const char* refusal(const AttentionProblem& p) {
  for (const DType t : {p.q_type, p.k_type, p.v_type, p.y_type})
    if (!is_float(t)) return "types that are not real";
  return p.size > most || p.value_size > most ? "heads of more columns" : nullptr;
}
template <int most> double cost(const AttentionProblem&) { return most; }
template <int most> Failure run(const AttentionProblem& p, const AttentionArgs& args, Stream* stream) {
  const int64_t blocks = divide_up(p.queries, block_queries) * p.heads * p.batch;
  if (blocks * p.value_size == 0) return nullptr;
  if (blocks > INT32_MAX) return "more queries than a grid has blocks for";
  return launch<Memory<most>>(attention_f32<most>, unsigned(blocks), threads, stream, p, args);
}
}  // namespace

Family<AttentionProblem, AttentionArgs> attention_family() {
  static constexpr Row<AttentionProblem, AttentionArgs> rows[] = {
      {"attention_f32_cuda_64", 80, tile_keys, refusal<64>, cost<64>, run<64>},
      {"attention_f32_cuda_128", 80, tile_keys, refusal<128>, cost<128>, run<128>},
      {"attention_f32_cuda_256", 80, tile_keys, refusal<256>, cost<256>, run<256>},
  };
  return {rows, std::size(rows)};
}
}  // namespace kernels::cuda
