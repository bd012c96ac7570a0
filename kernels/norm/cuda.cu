// Normalisation of rows by their own moments, a block for each row. The variance is a sum over the differences from the
// mean.
#include "kernels/cuda/families.h"
#include "kernels/cuda/reduction.h"

namespace kernels::cuda {
namespace {
constexpr int threads = 256;

__global__ void __launch_bounds__(threads)
    norm_f32(NormProblem p, const float* x, const float* scale, const float* bias, float* y) {
  auto& memory = shared<ReductionMemory<threads>>();
  const int64_t width = p.columns / p.inner;
  for (int64_t row = blockIdx.x; row < p.rows; row += gridDim.x) {
    const float* from = x + row * p.columns;
    float mean = 0, variance = 0;
    if (!p.rms) {
      for (int64_t i = threadIdx.x; i < p.columns; i += threads) mean += from[i];
      mean = reduce_block<threads>(memory, mean, Add()) / float(p.columns);
    }
    for (int64_t i = threadIdx.x; i < p.columns; i += threads) variance += (from[i] - mean) * (from[i] - mean);
    variance = reduce_block<threads>(memory, variance, Add()) / float(p.columns);
    const float inverse = 1 / std::sqrt(variance + float(p.epsilon));
    for (int64_t i = threadIdx.x; i < p.columns; i += threads) {
      const int64_t k = row % p.groups * width + i / p.inner;
      y[row * p.columns + i] = (from[i] - mean) * inverse * scale[k] + (bias ? bias[k] : 0);
    }
  }
}

const char* refusal(const NormProblem& p) {
  return p.inner <= 0 || p.columns <= 0 || p.columns % p.inner || p.groups <= 0 ? "an extent is not positive" : nullptr;
}
double cost(const NormProblem&) { return 1; }
Failure run(const NormProblem& p, const NormArgs& args, Stream* stream) {
  if (p.rows == 0) return nullptr;
  return launch<ReductionMemory<threads>>(norm_f32, blocks_for(p.rows, 1), threads, stream, p, args.x, args.scale,
                                          args.bias, args.y);
}
}  // namespace

Family<NormProblem, NormArgs> norm_family() {
  static constexpr Row<NormProblem, NormArgs> rows[] = {{"norm_f32_cuda", 80, threads, refusal, cost, run}};
  return {rows, std::size(rows)};
}
}  // namespace kernels::cuda
