// Between f32 and integers with a scale, one thread per element.
#include "kernels/cuda/families.h"
#include "kernels/cuda/numbers.h"

namespace kernels::cuda {
namespace {
constexpr int threads = 256;

__global__ void __launch_bounds__(threads)
    quantize(QuantizeProblem p, const float* x, const float* scale, const void* zeros, void* y, float low, float high) {
  for (int64_t i = linear_thread(); i < p.slices * p.n; i += linear_threads()) {
    const int64_t s = i / p.n % p.scales;
    const float zero = zeros ? float(load_integer(p.integers, zeros, s)) : 0;
    const float v = std::nearbyint(x[i] / scale[s]) + zero;
    store_integer(p.integers, y, i, v != v ? 0 : int64_t(v < low ? low : v > high ? high : v));
  }
}
__global__ void __launch_bounds__(threads)
    dequantize(QuantizeProblem p, const void* x, const float* scale, const void* zeros, float* y) {
  for (int64_t i = linear_thread(); i < p.slices * p.n; i += linear_threads()) {
    const int64_t s = i / p.n % p.scales;
    const int64_t difference = load_integer(p.integers, x, i) - (zeros ? load_integer(p.integers, zeros, s) : 0);
    y[i] = float(double(difference) * double(scale[s]));
  }
}

const char* refusal(const QuantizeProblem& p) {
  switch (p.integers) {
    case DType::i8:
    case DType::u8:
    case DType::i16:
    case DType::u16: return p.scales <= 0 ? "there is no scale" : nullptr;
    case DType::i32: return p.back ? nullptr : "nothing is quantised to it";
    default: return "a type that kernels of the device do not have";
  }
}
double cost(const QuantizeProblem&) { return 1; }
Failure run(const QuantizeProblem& p, const QuantizeArgs& args, Stream* stream) {
  if (p.slices * p.n == 0) return nullptr;
  const unsigned blocks = blocks_for(p.slices * p.n, threads);
  if (p.back)
    return launch<void>(dequantize, blocks, threads, stream, p, args.x, args.scale, args.zeros,
                        static_cast<float*>(args.y));
  const bool is_signed = p.integers == DType::i8 || p.integers == DType::i16;
  const int values = 1 << schema::bits_of(p.integers);
  return launch<void>(quantize, blocks, threads, stream, p, static_cast<const float*>(args.x), args.scale, args.zeros,
                      args.y, is_signed ? -float(values / 2) : 0.0f, float(is_signed ? values / 2 - 1 : values - 1));
}
}  // namespace

Family<QuantizeProblem, QuantizeArgs> quantize_family() {
  static constexpr Row<QuantizeProblem, QuantizeArgs> rows[] = {{"quantize_cuda", 80, threads, refusal, cost, run}};
  return {rows, std::size(rows)};
}
}  // namespace kernels::cuda
