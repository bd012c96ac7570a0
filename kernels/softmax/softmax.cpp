#include "kernels/softmax/softmax.h"
#include <cmath>
#include "kernels/split.h"

namespace kernels::softmax {
namespace {
constexpr int64_t block = 64;    // columns that threads do not share
constexpr int64_t function = 8;  // loads that an exponential takes the time of

// A row or column of n elements, `stride` floats apart.
void one(bool log, const float* x, float* y, int64_t stride, int64_t n) {
  float most = -HUGE_VALF, sum = 0;
  for (int64_t i = 0; i < n; ++i) most = std::max(most, x[i * stride]);
  for (int64_t i = 0; i < n; ++i) {
    const float e = std::exp(x[i * stride] - most);
    sum += e;
    y[i * stride] = log ? x[i * stride] - most : e;
  }
  const float log_sum = std::log(sum), scale = 1 / sum;
  for (int64_t i = 0; i < n; ++i) y[i * stride] = log ? y[i * stride] - log_sum : y[i * stride] * scale;
}
void rows_of(bool log, const float* x, float* y, int64_t rows, int64_t n) {
  for (int64_t r = 0; r < rows; ++r) one(log, x + r * n, y + r * n, 1, n);
}
void columns_of(bool log, const float* x, float* y, int64_t stride, int64_t n, int64_t columns) {
  for (int64_t c = 0; c < columns; ++c) one(log, x + c, y + c, stride, n);
}
constexpr Functions functions{rows_of, columns_of};
}  // namespace

void Kernel::run(const float* x, float* y, ThreadPool& pool, int max_threads) const {
  const int64_t outer = spec_.outer, n = spec_.n, inner = spec_.inner;
  if (outer * n * inner == 0) return;
  const bool log = spec_.kind == schema::SoftmaxKind::log_softmax;
  run_split(pool, max_threads, outer, (inner + block - 1) / block, outer * n * inner * function,
            [&](int64_t first, int64_t last, int64_t block0, int64_t block1) {
              if (inner == 1) return functions_->rows(log, x + first * n, y + first * n, last - first, n);
              const int64_t c = block0 * block, end = std::min(inner, block1 * block);
              for (int64_t o = first; o < last; ++o)
                functions_->columns(log, x + o * n * inner + c, y + o * n * inner + c, inner, n, end - c);
            });
}

std::string invalid(const Spec& s) {
  if (s.kind == schema::SoftmaxKind::hardmax) return "hardmax";
  return s.outer < 0 || s.n < 0 || s.inner < 0 ? "a negative extent" : "";
}

std::span<const Row> rows() {
  static constexpr Row table[] = {
#define KERNEL(name, isa, tile, where) {#name, isa, tile, where::supports, where::make},
#include "kernels/softmax/kernels.inc"
  };
  return table;
}

Choice select(const Spec& spec, isa::Mask have) { return choose(rows(), spec, have); }

Support scalar::supports(const Spec& spec) { return {16, invalid(spec)}; }
Kernel scalar::make(const Spec& spec) { return {spec, &functions}; }
}  // namespace kernels::softmax
