// The cache of attention by groups of queries: it grows by a run's keys and values, and keys and queries are normalised
// and turned by the angles of their positions (Su et al., "RoFormer", 2021). A warp makes a head of a token.
#include "kernels/cuda/families.h"
#include "kernels/cuda/reduction.h"

namespace kernels::cuda {
namespace {
constexpr int threads = 128, warps = threads / warp_size;

// Of a sequence, in tokens: those in the cache when the run ends, those of this run that count. Where they contradict
// each other or the rows of the cache, that is reported, and there are none.
struct Tokens {
  int64_t after, valid;
};
__device__ Tokens tokens_of(const CacheProblem& p, const CacheArgs& a, int64_t b, const Watch& watch, bool reports) {
  const int64_t total = *a.total, after = int64_t(a.lengths[b]) + 1, all = after < p.length ? after : p.length;
  const int64_t valid = a.valid ? a.valid[b] : all;
  const bool right = total >= 0 && (total > p.past ? total : p.past) == p.rows && after >= 0 && after <= total &&
                     valid >= 0 && valid <= p.length && valid <= after && after - valid <= p.past;
  if (right) return {after, valid};
  if (reports) report(watch, Refused::length, b);
  return {0, 0};
}
__device__ int64_t position_of(const CacheProblem& p, const CacheArgs& a, int64_t b, int64_t s, int64_t before) {
  if (!a.position_ids) return before + s;
  return *a.total == p.length && !a.valid ? a.position_ids[0] + s : a.position_ids[b * p.length + s];
}

// A head of a token as the scores read it, by all lanes of a warp.
__device__ void prepare(const CacheProblem& p, const CacheArgs& a, const float* x, float* y, int64_t position,
                        const float* norm, float epsilon) {
  const int lane = int(threadIdx.x) % warp_size;
  float by = 1;
  if (p.normed) {
    float squares = 0;
    for (int64_t i = lane; i < p.size; i += warp_size) squares += x[i] * x[i];
    for (int mask = warp_size / 2; mask; mask /= 2) squares += __shfl_xor_sync(~0u, squares, mask);
    by = 1 / std::sqrt(squares / float(p.size) + epsilon);
  }
  const auto value = [&](int64_t i) { return p.normed ? x[i] * by * norm[i] : x[i]; };
  const int64_t step = p.interleaved ? 2 : 1, other = p.interleaved ? 1 : p.half;
  for (int64_t i = lane; i < p.half; i += warp_size) {
    const float u = value(i * step), v = value(i * step + other);
    const float cos = a.cos[position * p.half + i], sin = a.sin[position * p.half + i];
    y[i * step] = u * cos - v * sin, y[i * step + other] = v * cos + u * sin;
  }
  for (int64_t i = 2 * p.half + lane; i < p.size; i += warp_size) y[i] = value(i);
}

__global__ void __launch_bounds__(threads)
    count_tokens(const __grid_constant__ CacheProblem p, const __grid_constant__ CacheArgs a, Watch watch) {
  for (int64_t b = linear_thread(); b < p.batch; b += linear_threads()) {
    const Tokens t = tokens_of(p, a, b, watch, true);
    a.counts[2 * b] = int(t.after), a.counts[2 * b + 1] = int(t.valid);
    if (!p.half) continue;
    for (int64_t s = 0; s < t.valid; ++s) {
      const int64_t at = position_of(p, a, b, s, t.after - t.valid);
      if (at < 0 || at >= p.positions) report(watch, Refused::index, b * p.length + s);
    }
  }
}
// A warp for each head of each row of both caches, or of each query.
__global__ void __launch_bounds__(threads)
    extend(const __grid_constant__ CacheProblem p, const __grid_constant__ CacheArgs a, Watch watch) {
  const int lane = int(threadIdx.x) % warp_size;
  const int64_t cached = p.batch * p.kv_heads * p.rows, all = 2 * cached + p.batch * p.length * p.heads;
  for (int64_t w = linear_thread() / warp_size; w < all; w += linear_threads() / warp_size) {
    const bool of_cache = w < 2 * cached, key = w < cached;
    const int64_t i = of_cache ? w % cached : w - 2 * cached;
    const int64_t b = of_cache ? i / p.rows / p.kv_heads : i / p.heads / p.length;
    const Tokens t = tokens_of(p, a, b, watch, false);
    const int64_t before = t.after - t.valid, s = of_cache ? i % p.rows - before : i / p.heads % p.length;
    const bool fresh = s >= 0 && s < t.valid;
    int64_t position = fresh && p.half ? position_of(p, a, b, s, before) : 0;
    if (position < 0 || position >= p.positions) position = 0;  // it has been reported
    if (!of_cache) {
      if (fresh) prepare(p, a, a.q + i * p.size, a.queries + i * p.size, position, a.q_norm, p.q_epsilon);
      continue;
    }
    const int64_t head = i / p.rows % p.kv_heads, row = i % p.rows;
    float* to = (key ? a.present_k : a.present_v) + i * p.size;
    if (fresh) {
      const float* from = (key ? a.k : a.v) + ((b * p.length + s) * p.kv_heads + head) * p.size;
      if (key) prepare(p, a, from, to, position, a.k_norm, p.k_epsilon);
      else
        for (int64_t c = lane; c < p.size; c += warp_size) to[c] = from[c];
    } else {  // what lies behind the tokens of a past stays as it is
      const float* from = (key ? a.past_k : a.past_v) + ((b * p.kv_heads + head) * p.past + row) * p.size;
      for (int64_t c = lane; c < p.size; c += warp_size) to[c] = row < p.past ? from[c] : 0;
    }
  }
}

const char* refusal(const CacheProblem& p) {
  if (p.past > p.rows || 2 * p.half > p.size) return "extents that do not fit";
  return p.half && p.positions <= 0 ? "no positions" : nullptr;
}
double cost(const CacheProblem&) { return 1; }
Failure run(const CacheProblem& p, const CacheArgs& args, Stream* stream) {
  Watch w;
  if (p.batch == 0) return nullptr;
  if (Failure f = watch(stream, &w)) return f;
  if (Failure f = launch<void>(count_tokens, blocks_for(p.batch, threads), threads, stream, p, args, w)) return f;
  const int64_t all = 2 * p.batch * p.kv_heads * p.rows + p.batch * p.length * p.heads;
  if (all * p.size == 0) return nullptr;
  return launch<void>(extend, blocks_for(all, warps), threads, stream, p, args, w);
}
}  // namespace

Family<CacheProblem, CacheArgs> cache_family() {
  static constexpr Row<CacheProblem, CacheArgs> rows[] = {{"cache_f32_cuda", 80, warps, refusal, cost, run}};
  return {rows, std::size(rows)};
}
}  // namespace kernels::cuda
