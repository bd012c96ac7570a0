// Softmax along rows, a block for each, and along columns, a thread for each.
#include "kernels/cuda/families.h"
#include "kernels/cuda/numbers.h"
#include "kernels/cuda/reduction.h"

namespace kernels::cuda {
namespace {
constexpr int threads = 128;

__device__ float result(bool log, float x, float largest, float sum) {
  return log ? x - largest - std::log(sum) : std::exp(x - largest) / sum;
}

template <class Numbers>
__global__ void __launch_bounds__(threads) softmax_rows(SoftmaxProblem p, bool log, const void* x, void* y) {
  auto& memory = shared<ReductionMemory<threads>>();
  const int64_t n = p.spec.n;
  for (int64_t row = blockIdx.x; row < p.spec.outer; row += gridDim.x) {
    const auto from = [&](int64_t i) { return Numbers::load(p.x, x, row * n + i); };
    float largest = -INFINITY, sum = 0;
    for (int64_t i = threadIdx.x; i < n; i += threads) largest = Max()(largest, from(i));
    largest = reduce_block<threads>(memory, largest, Max());
    for (int64_t i = threadIdx.x; i < n; i += threads) sum += std::exp(from(i) - largest);
    sum = reduce_block<threads>(memory, sum, Add());
    for (int64_t i = threadIdx.x; i < n; i += threads)
      Numbers::store(p.y, y, row * n + i, result(log, from(i), largest, sum));
  }
}

template <class Numbers>
__global__ void __launch_bounds__(threads) softmax_columns(SoftmaxProblem p, bool log, const void* x, void* y) {
  const int64_t n = p.spec.n, inner = p.spec.inner;
  for (int64_t i = linear_thread(); i < p.spec.outer * inner; i += linear_threads()) {
    const int64_t first = i / inner * n * inner + i % inner;
    const auto from = [&](int64_t k) { return Numbers::load(p.x, x, first + k * inner); };
    float largest = -INFINITY, sum = 0;
    for (int64_t k = 0; k < n; ++k) largest = Max()(largest, from(k));
    for (int64_t k = 0; k < n; ++k) sum += std::exp(from(k) - largest);
    for (int64_t k = 0; k < n; ++k) Numbers::store(p.y, y, first + k * inner, result(log, from(k), largest, sum));
  }
}

const char* refuse_kept(const SoftmaxProblem& p) {
  if (!is_float(p.x) || !is_float(p.y)) return "types that are not real";
  return p.spec.kind == schema::SoftmaxKind::hardmax ? "no fast form of hardmax" : nullptr;
}
const char* refuse_singles(const SoftmaxProblem& p) {
  return p.x != DType::f32 || p.y != DType::f32 ? "types other than f32" : refuse_kept(p);
}
double cost(const SoftmaxProblem&) { return 1; }
double cost_of_kept(const SoftmaxProblem&) { return 2; }
template <class Numbers> Failure run(const SoftmaxProblem& p, const MapArgs& args, Stream* stream) {
  const bool log = p.spec.kind == schema::SoftmaxKind::log_softmax;
  const int64_t count = p.spec.outer * p.spec.inner;
  if (count == 0 || p.spec.n == 0) return nullptr;
  if (p.spec.inner == 1)
    return launch<ReductionMemory<threads>>(softmax_rows<Numbers>, blocks_for(count, 1), threads, stream, p, log,
                                            args.x, args.y);
  return launch<void>(softmax_columns<Numbers>, blocks_for(count, threads), threads, stream, p, log, args.x, args.y);
}
}  // namespace

Family<SoftmaxProblem, MapArgs> softmax_family() {
  static constexpr Row<SoftmaxProblem, MapArgs> rows[] = {
      {"softmax_f32_cuda", 80, threads, refuse_singles, cost, run<Singles>},
      {"softmax_half_cuda", 80, threads, refuse_kept, cost_of_kept, run<Kept>}};
  return {rows, std::size(rows)};
}
}  // namespace kernels::cuda
