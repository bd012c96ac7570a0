// Layer normalisation in f32 (Ba, Kiros and Hinton, "Layer Normalization", 2016, section 3) of each row of x [rows, n]:
// y = (x - mean) / sqrt(variance + epsilon) * scale + bias; or, without a mean, by the root of the mean square (Zhang and
// Sennrich, "Root Mean Square Layer Normalization", 2019). The variance is that of the differences, so large means cost no
// digits. Results are the same to the bit for any thread count.
#pragma once
#include "kernels/table.h"
#include "kernels/threads.h"

namespace kernels::norm {
struct Spec {
  int64_t n = 0;
  bool rms = false;
  float epsilon = 1e-5f;
};

// `rows` rows of n elements each; scale and bias are of n elements, and bias may be null. y may be x.
using Function = void (*)(const Spec&, const float* x, const float* scale, const float* bias, float* y, int64_t rows);

class Kernel {
 public:
  Kernel() = default;
  Kernel(const Spec& spec, Function function) : spec_(spec), function_(function) {}
  explicit operator bool() const { return function_ != nullptr; }
  // y is x, or overlaps nothing else.
  void run(const float* x, const float* scale, const float* bias, float* y, int64_t rows, ThreadPool&, int max_threads = 0) const;

 private:
  Spec spec_;
  Function function_ = nullptr;
};

using Row = kernels::Row<Spec, Kernel>;
using Choice = kernels::Choice<Kernel>;

// Why no row takes the spec, or empty.
std::string invalid(const Spec&);

#define KERNEL(name, isa, tile, where) \
  namespace where { \
  Support supports(const Spec&); \
  Kernel make(const Spec&); \
  }
#include "kernels/norm/kernels.inc"
std::span<const Row> rows();
Choice select(const Spec&, isa::Mask have = isa::detected());
}  // namespace kernels::norm
