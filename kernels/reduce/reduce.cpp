#include "kernels/reduce/reduce.h"
#include <cmath>
#include "kernels/split.h"

namespace kernels::reduce {
namespace {
using schema::ReduceKind;
constexpr int64_t part_of_row = 8192, part_of_columns = 256;  // elements along n that are reduced in one go, at most
constexpr int64_t part_elements = 16 << 10;                   // of columns, at least: some 1.5 µs
constexpr int64_t few_parts = 16;                             // so many floats lose few digits
constexpr int64_t block = 64;                                 // columns that threads do not share

Step step_of(ReduceKind kind) {
  switch (kind) {
    case ReduceKind::prod: return Step::prod;
    case ReduceKind::min: return Step::min;
    case ReduceKind::max: return Step::max;
    case ReduceKind::l1: return Step::absolute;
    case ReduceKind::l2:
    case ReduceKind::sum_square: return Step::square;
    default: return Step::sum;
  }
}

struct Part {
  double start;
  double (*step)(double, double);
};
Part part_of(Step step) {
  switch (step) {
    case Step::sum: return {0, [](double a, double x) { return a + x; }};
    case Step::absolute: return {0, [](double a, double x) { return a + std::fabs(x); }};
    case Step::square: return {0, [](double a, double x) { return a + x * x; }};
    case Step::prod: return {1, [](double a, double x) { return a * x; }};
    case Step::min: return {HUGE_VAL, [](double a, double x) { return a < x || std::isnan(a) ? a : x; }};
    default: return {-HUGE_VAL, [](double a, double x) { return a > x || std::isnan(a) ? a : x; }};
  }
}

template <Step step> void rows_of(const float* x, int64_t stride, int64_t rows, int64_t n, float* y) {
  const Part part = part_of(step);
  for (int64_t r = 0; r < rows; ++r, x += stride) {
    double sum = part.start;
    for (int64_t i = 0; i < n; ++i) sum = part.step(sum, x[i]);
    y[r] = static_cast<float>(sum);
  }
}
template <Step step> void columns_of(const float* x, int64_t stride, int64_t n, int64_t columns, float* y) {
  const Part part = part_of(step);
  for (int64_t c0 = 0; c0 < columns; c0 += block) {
    double sum[block];
    const int64_t count = std::min(block, columns - c0);
    std::fill_n(sum, count, part.start);
    for (int64_t i = 0; i < n; ++i)
      for (int64_t c = 0; c < count; ++c) sum[c] = part.step(sum[c], x[i * stride + c0 + c]);
    std::transform(sum, sum + count, y + c0, [](double v) { return static_cast<float>(v); });
  }
}
template <Step step> constexpr Functions functions{rows_of<step>, columns_of<step>};
Functions functions_of(Step step) {
  switch (step) {
    case Step::sum: return functions<Step::sum>;
    case Step::absolute: return functions<Step::absolute>;
    case Step::square: return functions<Step::square>;
    case Step::prod: return functions<Step::prod>;
    case Step::min: return functions<Step::min>;
    default: return functions<Step::max>;
  }
}
}  // namespace

namespace {
// Sums of parts, in double: however many there are, they lose no digits.
void add_up(const float* parts, int64_t stride, int64_t count, int64_t columns, float* y) {
  for (int64_t c0 = 0; c0 < columns; c0 += block) {
    double sum[block] = {};
    const int64_t n = std::min(block, columns - c0);
    for (int64_t i = 0; i < count; ++i)
      for (int64_t c = 0; c < n; ++c) sum[c] += parts[i * stride + c0 + c];
    for (int64_t c = 0; c < n; ++c) y[c0 + c] = static_cast<float>(sum[c]);
  }
}
}  // namespace

Kernel::Kernel(const Spec& spec, FunctionsOf of) : spec_(spec) {
  const Step step = step_of(spec.kind);
  functions_ = of(step);
  sums_ = step == Step::sum || step == Step::absolute || step == Step::square;
  merge_ = of(sums_ ? Step::sum : step);
  part_ = part_of_row;
  if (spec.inner > 1) {
    // Threads share rows of x rather than columns, as the steps around this one do. Eight parts, where they are not too small.
    const int64_t least = std::max(divide_up(part_elements, spec.inner), divide_up(spec.n, int64_t{8}));
    part_ = spec.outer > 1 ? part_of_columns : std::min(part_of_columns, least);
  }
  parts_ = divide_up(spec.n, part_);
}

size_t Kernel::scratch_bytes() const {
  return parts_ == 1 ? 0 : static_cast<size_t>(spec_.outer * parts_ * spec_.inner) * sizeof(float);
}

void Kernel::finish(float* y, int64_t count) const {
  const auto n = static_cast<float>(spec_.n);
  switch (spec_.kind) {
    case ReduceKind::mean: return static_cast<void>(std::for_each_n(y, count, [n](float& v) { v /= n; }));
    case ReduceKind::l2: return static_cast<void>(std::for_each_n(y, count, [](float& v) { v = std::sqrt(v); }));
    case ReduceKind::log_sum: return static_cast<void>(std::for_each_n(y, count, [](float& v) { v = std::log(v); }));
    default: return;
  }
}

void Kernel::run(const float* x, float* y, void* scratch, ThreadPool& pool, int max_threads) const {
  const int64_t outer = spec_.outer, n = spec_.n, inner = spec_.inner;
  // Parts of x into `to`, or all of it where there is one part.
  float* to = parts_ == 1 ? y : static_cast<float*>(scratch);
  const auto reduce_parts = [&](int64_t first, int64_t last, int64_t c0, int64_t c1) {
    if (inner == 1 && parts_ == 1) return functions_.rows(x + first * n, n, last - first, n, to + first);
    for (int64_t i = first; i < last; ++i) {
      const int64_t begin = i % parts_ * part_, count = std::min(part_, n - begin);
      const float* from = x + (i / parts_ * n + begin) * inner;
      if (inner == 1) functions_.rows(from, 0, 1, count, to + i);
      else functions_.columns(from + c0, inner, count, c1 - c0, to + i * inner + c0);
    }
  };
  const int64_t blocks = (inner + block - 1) / block;
  run_split(pool, max_threads, outer * parts_, blocks, outer * n * inner,
            [&](int64_t first, int64_t last, int64_t block0, int64_t block1) {
              const int64_t c0 = block0 * block, c1 = std::min(inner, block1 * block);
              reduce_parts(first, last, c0, c1);
              if (parts_ > 1) return;
              for (int64_t i = first; i < last; ++i) finish(y + i * inner + c0, c1 - c0);
            });
  if (parts_ == 1) return;
  run_split(pool, max_threads, outer, blocks, outer * parts_ * inner,
            [&](int64_t first, int64_t last, int64_t block0, int64_t block1) {
              const int64_t c0 = block0 * block, c1 = std::min(inner, block1 * block);
              for (int64_t o = first; o < last; ++o) {
                const float* from = to + o * parts_ * inner;
                if (sums_ && parts_ > few_parts) add_up(from + c0, inner, parts_, c1 - c0, y + o * inner + c0);
                else if (inner == 1) merge_.rows(from, 0, 1, parts_, y + o);
                else merge_.columns(from + c0, inner, parts_, c1 - c0, y + o * inner + c0);
                finish(y + o * inner + c0, c1 - c0);
              }
            });
}

std::string invalid(const Spec& s) {
  if (s.kind == ReduceKind::log_sum_exp) return "no fast form of log_sum_exp";
  return s.outer <= 0 || s.n <= 0 || s.inner <= 0 ? "an extent is not positive" : "";
}

std::span<const Row> rows() {
  static constexpr Row table[] = {
#define KERNEL(name, isa, tile, where) {#name, isa, tile, where::supports, where::make},
#include "kernels/reduce/kernels.inc"
  };
  return table;
}

Choice select(const Spec& spec, isa::Mask have) { return choose(rows(), spec, have); }

Support scalar::supports(const Spec& spec) { return {16, invalid(spec)}; }
Kernel scalar::make(const Spec& spec) { return {spec, functions_of}; }
}  // namespace kernels::reduce
