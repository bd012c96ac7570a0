#include "kernels/cuda/epilogue.h"
#include "kernels/cuda/families.h"

namespace kernels::cuda {
namespace {
constexpr int threads = 256;

__global__ void __launch_bounds__(threads)
    chain_f32(const __grid_constant__ Epilogue chain, const float* x, float* y, int64_t x_stride, int64_t y_stride,
              int64_t rows, int64_t columns, int64_t count) {
  for (int64_t i = linear_thread(); i < count; i += linear_threads()) {
    const int64_t row = i / columns, column = i % columns;
    y[row * y_stride + column] = apply(chain, x[row * x_stride + column], row % rows, column);
  }
}

const char* refusal(const PointwiseProblem& p) { return refusal_of(p.chain); }
double cost(const PointwiseProblem& p) { return p.chain.size; }
Failure run(const PointwiseProblem& p, const PointwiseArgs& args, Stream* stream) {
  const int64_t count = p.outer * p.rows * p.columns;
  if (count == 0) return nullptr;
  return launch<void>(chain_f32, blocks_for(count, threads), threads, stream, Epilogue(p.chain, args.operands.data()),
                      args.x, args.y, p.x_stride, p.y_stride, p.rows, p.columns, count);
}
}  // namespace

Family<PointwiseProblem, PointwiseArgs> pointwise_family() {
  static constexpr Row<PointwiseProblem, PointwiseArgs> rows[] = {
      {"pointwise_f32_cuda", 80, threads, refusal, cost, run}};
  return {rows, std::size(rows)};
}
}  // namespace kernels::cuda
