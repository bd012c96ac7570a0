// Elements of one type as those of another: through f32 between reals, through int64 between integers.
#include "kernels/cuda/families.h"
#include "kernels/cuda/numbers.h"

namespace kernels::cuda {
namespace {
constexpr int threads = 256;

// Drops the fraction; NaN gives 0, and what passes 64 bits their largest or smallest value.
__device__ int64_t to_integer(float x) {
  if (x != x) return 0;
  if (x >= 0x1p63f) return INT64_MAX;
  return x < -0x1p63f ? INT64_MIN : int64_t(x);
}

__global__ void __launch_bounds__(threads) cast(DType from, DType to, const void* x, void* y, int64_t count) {
  for (int64_t i = linear_thread(); i < count; i += linear_threads()) {
    if (is_float(from)) {
      const float v = load_real(from, x, i);
      if (is_float(to)) store_real(to, y, i, v);
      else if (to == DType::boolean) store_integer(to, y, i, v != 0);
      else store_integer(to, y, i, to_integer(v));
    } else {
      const int64_t v = load_integer(from, x, i);
      if (is_float(to)) store_real(to, y, i, float(v));
      else store_integer(to, y, i, v);
    }
  }
}

const char* refusal(const CastProblem& p) {
  if (!is_known(p.from) || !is_known(p.to)) return "a type that kernels of the device do not have";
  // By way of f32 there would be two roundings. Integers that f32 has not are infinite as half.
  return !is_float(p.from) && p.to == DType::bf16 ? "integers become bfloat16 by one rounding" : nullptr;
}
double cost(const CastProblem&) { return 1; }
Failure run(const CastProblem& p, const CopyArgs& args, Stream* stream) {
  if (p.count == 0) return nullptr;
  return launch<void>(cast, blocks_for(p.count, threads), threads, stream, p.from, p.to, args.x, args.y, p.count);
}
}  // namespace

Family<CastProblem, CopyArgs> cast_family() {
  static constexpr Row<CastProblem, CopyArgs> rows[] = {{"cast_cuda", 80, threads, refusal, cost, run}};
  return {rows, std::size(rows)};
}
}  // namespace kernels::cuda
