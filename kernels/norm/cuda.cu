// Normalisation of rows by their own moments, a block for each row. The variance is a sum over the differences from the
// mean.
#include "kernels/cuda/families.h"
#include "kernels/cuda/numbers.h"
#include "kernels/cuda/reduction.h"

namespace kernels::cuda {
namespace {
constexpr int threads = 256;

template <class Numbers> __global__ void __launch_bounds__(threads) norm(NormProblem p, const NormArgs a) {
  auto& memory = shared<ReductionMemory<threads>>();
  const int64_t width = p.columns / p.inner;
  for (int64_t row = blockIdx.x; row < p.rows; row += gridDim.x) {
    const auto from = [&](int64_t i) { return Numbers::load(p.x, a.x, row * p.columns + i); };
    float mean = 0, variance = 0;
    if (!p.rms) {
      for (int64_t i = threadIdx.x; i < p.columns; i += threads) mean += from(i);
      mean = reduce_block<threads>(memory, mean, Add()) / float(p.columns);
    }
    for (int64_t i = threadIdx.x; i < p.columns; i += threads) variance += (from(i) - mean) * (from(i) - mean);
    variance = reduce_block<threads>(memory, variance, Add()) / float(p.columns);
    const float inverse = 1 / std::sqrt(variance + float(p.epsilon));
    if (threadIdx.x == 0 && a.mean) a.mean[row] = mean;
    if (threadIdx.x == 0 && a.inverse) a.inverse[row] = inverse;
    for (int64_t i = threadIdx.x; i < p.columns; i += threads) {
      const int64_t k = row % p.groups * width + i / p.inner;
      Numbers::store(p.y, a.y, row * p.columns + i, (from(i) - mean) * inverse * a.scale[k] + (a.bias ? a.bias[k] : 0));
    }
  }
}

const char* refuse_kept(const NormProblem& p) {
  if (!is_float(p.x) || !is_float(p.y)) return "types that are not real";
  return p.inner <= 0 || p.columns <= 0 || p.columns % p.inner || p.groups <= 0 ? "an extent is not positive" : nullptr;
}
const char* refuse_singles(const NormProblem& p) {
  return p.x != DType::f32 || p.y != DType::f32 ? "types other than f32" : refuse_kept(p);
}
double cost(const NormProblem&) { return 1; }
double cost_of_kept(const NormProblem&) { return 2; }
template <class Numbers> Failure run(const NormProblem& p, const NormArgs& args, Stream* stream) {
  if (p.rows == 0) return nullptr;
  return launch<ReductionMemory<threads>>(norm<Numbers>, blocks_for(p.rows, 1), threads, stream, p, args);
}
}  // namespace

Family<NormProblem, NormArgs> norm_family() {
  static constexpr Row<NormProblem, NormArgs> rows[] = {
      {"norm_f32_cuda", 80, threads, refuse_singles, cost, run<Singles>},
      {"norm_half_cuda", 80, threads, refuse_kept, cost_of_kept, run<Kept>}};
  return {rows, std::size(rows)};
}
}  // namespace kernels::cuda
