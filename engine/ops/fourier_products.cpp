#include "engine/ops/fourier_products.h"
#include <cmath>
#include <numbers>

namespace engine {
namespace {
// Rows of a matrix [results * parts of a result, given * parts]: what each result is the sum of.
std::vector<float> table_of(const Transform& t) {
  std::vector<float> table;
  const double sign = t.inverse ? -1 : 1;
  for (int64_t r = 0; r < t.results; ++r)
    for (int out = 0; out < (t.real ? 1 : 2); ++out)
      for (int64_t k = 0; k < t.given; ++k) {
        const double angle = 2 * std::numbers::pi * double(r * k % t.n) / double(t.n);
        double by = t.inverse ? 1 / double(t.n) : 1;
        if (!t.window.empty()) by *= t.window[size_t(k)];
        if (t.real && k > 0 && 2 * k != t.n) by *= 2;  // its conjugate is in the other half
        for (int in = 0; in < t.parts; ++in)
          table.push_back(float(by * (in == out ? std::cos(angle) : (in ? sign : -sign) * std::sin(angle))));
      }
  return table;
}
}  // namespace

std::optional<Lowered> lower_transform(const LowerContext& c, const Transform& t, int64_t batch, int64_t length,
                                       int64_t rows, int64_t step) {
  constexpr int64_t most = 16 << 20;  // numbers of a table
  const int64_t columns = t.results * (t.real ? 1 : 2), k = t.given * t.parts;
  if (k == 0 || columns * k > most || c.in(0).dtype != DType::f32) return std::nullopt;
  kernels::cuda::GemmProblem p;
  p.m = rows, p.n = p.ldc = columns, p.k = p.ldb = k, p.lda = step * t.parts, p.trans_b = true;
  p.batch[0] = batch, p.a_steps[0] = length * t.parts;
  const std::vector<float> numbers = c.target->probe ? std::vector<float>() : table_of(t);
  const DeviceInput table = device_table(c, std::as_bytes(std::span(numbers)));
  return lower_on_device(c, &kernels::cuda::Backend::gemm, p, [x = device_input(c, 0), table](RunContext& r) {
    return kernels::cuda::GemmArgs{x.at<void>(r), table.at<void>(r), out_at<void>(r), {}, r.scratch()};
  });
}
}  // namespace engine
