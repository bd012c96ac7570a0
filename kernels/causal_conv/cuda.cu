// A convolution of each channel behind what came before it, one thread per element of both results.
#include "kernels/cuda/families.h"
#include "kernels/cuda/device.h"

namespace kernels::cuda {
namespace {
constexpr int threads = 256;

__global__ void __launch_bounds__(threads) causal_conv(const CausalConvProblem p, const CausalConvArgs a) {
  const int64_t before = p.taps - 1, rows = p.batch * p.channels;
  const auto element = [&](int64_t row, int64_t i) {  // of the past, then of x
    return i >= before ? a.x[row * p.length + i - before] : a.past ? a.past[row * before + i] : 0;
  };
  for (int64_t i = linear_thread(); a.y && i < rows * p.length; i += linear_threads()) {
    const int64_t row = i / p.length, channel = row % p.channels;
    float sum = a.bias ? a.bias[channel] : 0;
    for (int64_t tap = 0; tap < p.taps; ++tap) sum += a.w[channel * p.taps + tap] * element(row, i % p.length + tap);
    a.y[i] = sum;
  }
  for (int64_t i = linear_thread(); a.present && i < rows * before; i += linear_threads())
    a.present[i] = element(i / before, p.length + i % before);
}

const char* refusal(const CausalConvProblem& p) { return p.taps < 1 ? "no taps" : nullptr; }
double cost(const CausalConvProblem&) { return 1; }
Failure run(const CausalConvProblem& p, const CausalConvArgs& args, Stream* stream) {
  const int64_t longest = p.length > p.taps - 1 ? p.length : p.taps - 1, count = p.batch * p.channels * longest;
  if (count == 0) return nullptr;
  return launch<void>(causal_conv, blocks_for(count, threads), threads, stream, p, args);
}
}  // namespace

Family<CausalConvProblem, CausalConvArgs> causal_conv_family() {
  static constexpr Row<CausalConvProblem, CausalConvArgs> rows[] = {
      {"causal_conv_f32_cuda", 80, threads, refusal, cost, run}};
  return {rows, std::size(rows)};
}
}  // namespace kernels::cuda
