// Softmax along rows, a block for each, and along columns, a thread for each.
#include "kernels/cuda/families.h"
#include "kernels/cuda/reduction.h"

namespace kernels::cuda {
namespace {
constexpr int threads = 128;

__device__ float result(bool log, float x, float largest, float sum) {
  return log ? x - largest - std::log(sum) : std::exp(x - largest) / sum;
}

__global__ void __launch_bounds__(threads) softmax_rows(bool log, const float* x, float* y, int64_t rows, int64_t n) {
  auto& memory = shared<ReductionMemory<threads>>();
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    const float* from = x + row * n;
    float largest = -INFINITY, sum = 0;
    for (int64_t i = threadIdx.x; i < n; i += threads) largest = Max()(largest, from[i]);
    largest = reduce_block<threads>(memory, largest, Max());
    for (int64_t i = threadIdx.x; i < n; i += threads) sum += std::exp(from[i] - largest);
    sum = reduce_block<threads>(memory, sum, Add());
    for (int64_t i = threadIdx.x; i < n; i += threads) y[row * n + i] = result(log, from[i], largest, sum);
  }
}

__global__ void __launch_bounds__(threads)
    softmax_columns(bool log, const float* x, float* y, int64_t count, int64_t n, int64_t inner) {
  for (int64_t i = linear_thread(); i < count; i += linear_threads()) {
    const int64_t first = i / inner * n * inner + i % inner;
    float largest = -INFINITY, sum = 0;
    for (int64_t k = 0; k < n; ++k) largest = Max()(largest, x[first + k * inner]);
    for (int64_t k = 0; k < n; ++k) sum += std::exp(x[first + k * inner] - largest);
    for (int64_t k = 0; k < n; ++k) y[first + k * inner] = result(log, x[first + k * inner], largest, sum);
  }
}

const char* refusal(const softmax::Spec& s) {
  return s.kind == schema::SoftmaxKind::hardmax ? "no fast form of hardmax" : nullptr;
}
double cost(const softmax::Spec&) { return 1; }
Failure run(const softmax::Spec& s, const MapArgs& args, Stream* stream) {
  const bool log = s.kind == schema::SoftmaxKind::log_softmax;
  const int64_t count = s.outer * s.inner;
  if (count == 0 || s.n == 0) return nullptr;
  if (s.inner == 1)
    return launch<ReductionMemory<threads>>(softmax_rows, blocks_for(count, 1), threads, stream, log, args.x, args.y,
                                            count, s.n);
  return launch<void>(softmax_columns, blocks_for(count, threads), threads, stream, log, args.x, args.y, count, s.n,
                      s.inner);
}
}  // namespace

Family<softmax::Spec, MapArgs> softmax_family() {
  static constexpr Row<softmax::Spec, MapArgs> rows[] = {{"softmax_f32_cuda", 80, threads, refusal, cost, run}};
  return {rows, std::size(rows)};
}
}  // namespace kernels::cuda
