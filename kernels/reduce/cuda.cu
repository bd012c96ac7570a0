// Reductions of rows, a block for each, and of columns: eight threads for each column, so that a plane of few channels
// still fills a block. Sums have an order that the extents fix.
#include "kernels/cuda/families.h"
#include "kernels/cuda/reduction.h"

namespace kernels::cuda {
namespace {
using schema::ReduceKind;
constexpr int threads = 256, columns = 32, parts = threads / columns;

__device__ float start(ReduceKind kind) {
  return kind == ReduceKind::min ? INFINITY : kind == ReduceKind::max ? -INFINITY : kind == ReduceKind::prod ? 1 : 0;
}
__device__ float prepare(ReduceKind kind, float x) {
  if (kind == ReduceKind::l1) return x < 0 ? -x : x;
  return kind == ReduceKind::l2 || kind == ReduceKind::sum_square ? x * x : x;
}
__device__ float combine(ReduceKind kind, float a, float b) {
  switch (kind) {
    case ReduceKind::min: return Min()(a, b);
    case ReduceKind::max: return Max()(a, b);
    case ReduceKind::prod: return a * b;
    default: return a + b;
  }
}
__device__ float finish(ReduceKind kind, float x, int64_t n) {
  switch (kind) {
    case ReduceKind::mean: return x / float(n);
    case ReduceKind::l2: return std::sqrt(x);
    case ReduceKind::log_sum: return std::log(x);
    default: return x;
  }
}

__global__ void __launch_bounds__(threads)
    reduce_rows(ReduceKind kind, const float* x, float* y, int64_t rows, int64_t n) {
  auto& memory = shared<ReductionMemory<threads>>();
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    float sum = start(kind);
    for (int64_t i = threadIdx.x; i < n; i += threads) sum = combine(kind, sum, prepare(kind, x[row * n + i]));
    sum = reduce_block<threads>(memory, sum, [kind](float a, float b) { return combine(kind, a, b); });
    if (threadIdx.x == 0) y[row] = finish(kind, sum, n);
  }
}

struct Parts {
  float at[parts][columns];
};
__global__ void __launch_bounds__(threads)
    reduce_columns(ReduceKind kind, const float* x, float* y, int64_t outer, int64_t n, int64_t inner) {
  auto& s = shared<Parts>();
  const int64_t across = divide_up(inner, columns);
  const int column = int(threadIdx.x) % columns, part = int(threadIdx.x) / columns;
  for (int64_t b = blockIdx.x; b < outer * across; b += gridDim.x) {
    const int64_t o = b / across, c = b % across * columns + column;
    float sum = start(kind);
    for (int64_t i = part; c < inner && i < n; i += parts)
      sum = combine(kind, sum, prepare(kind, x[(o * n + i) * inner + c]));
    s.at[part][column] = sum;
    __syncthreads();
    if (part == 0 && c < inner) {
      for (int k = 1; k < parts; ++k) sum = combine(kind, sum, s.at[k][column]);
      y[o * inner + c] = finish(kind, sum, n);
    }
    __syncthreads();
  }
}

const char* refusal(const reduce::Spec& s) {
  if (s.kind == ReduceKind::log_sum_exp) return "no fast form of log_sum_exp";
  return s.outer <= 0 || s.n <= 0 || s.inner <= 0 ? "an extent is not positive" : nullptr;
}
double cost(const reduce::Spec&) { return 1; }
Failure run(const reduce::Spec& s, const MapArgs& args, Stream* stream) {
  if (s.inner == 1)
    return launch<ReductionMemory<threads>>(reduce_rows, blocks_for(s.outer, 1), threads, stream, s.kind, args.x,
                                            args.y, s.outer, s.n);
  return launch<Parts>(reduce_columns, blocks_for(s.outer * divide_up(s.inner, columns), 1), threads, stream, s.kind,
                       args.x, args.y, s.outer, s.n, s.inner);
}
}  // namespace

Family<reduce::Spec, MapArgs> reduce_family() {
  static constexpr Row<reduce::Spec, MapArgs> rows[] = {{"reduce_f32_cuda", 80, columns, refusal, cost, run}};
  return {rows, std::size(rows)};
}
}  // namespace kernels::cuda
