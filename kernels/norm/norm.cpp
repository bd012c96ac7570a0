#include "kernels/norm/norm.h"
#include <cmath>
#include "kernels/split.h"

namespace kernels::norm {
namespace {
constexpr int64_t passes = 3;  // over a row, which its core's first cache keeps

void rows_of(const Spec& s, const float* x, const float* scale, const float* bias, float* y, int64_t rows) {
  for (int64_t r = 0; r < rows; ++r, x += s.n, y += s.n) {
    double mean = 0, variance = 0;
    for (int64_t i = 0; !s.rms && i < s.n; ++i) mean += x[i];
    mean /= static_cast<double>(s.n);
    for (int64_t i = 0; i < s.n; ++i) variance += (x[i] - mean) * (x[i] - mean);
    const double inverse = 1 / std::sqrt(variance / static_cast<double>(s.n) + s.epsilon);
    for (int64_t i = 0; i < s.n; ++i) y[i] = static_cast<float>((x[i] - mean) * inverse * scale[i] + (bias ? bias[i] : 0));
  }
}
}  // namespace

void Kernel::run(const float* x, const float* scale, const float* bias, float* y, int64_t rows, ThreadPool& pool, int max_threads) const {
  const int64_t n = spec_.n;
  run_split(pool, max_threads, rows, 1, rows * n * passes, [&](int64_t first, int64_t last, int64_t, int64_t) {
    function_(spec_, x + first * n, scale, bias, y + first * n, last - first);
  });
}

std::string invalid(const Spec& s) { return s.n <= 0 ? "rows without elements" : ""; }

std::span<const Row> rows() {
  static constexpr Row table[] = {
#define KERNEL(name, isa, tile, where) {#name, isa, tile, where::supports, where::make},
#include "kernels/norm/kernels.inc"
  };
  return table;
}

Choice select(const Spec& spec, isa::Mask have) { return choose(rows(), spec, have); }

Support scalar::supports(const Spec& spec) { return {16, invalid(spec)}; }
Kernel scalar::make(const Spec& spec) { return {spec, rows_of}; }
}  // namespace kernels::norm
