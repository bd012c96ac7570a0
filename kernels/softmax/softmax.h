// Softmax and its logarithm in f32 along the middle dim of [outer, n, inner]. A NaN makes all of its row NaN. Results
// are the same to the bit for any thread count.
#pragma once
#include "kernels/table.h"
#include "kernels/threads.h"
#include "schema/dtypes.h"

namespace kernels::softmax {
struct Spec {
  schema::SoftmaxKind kind = schema::SoftmaxKind::softmax;
  int64_t outer = 0, n = 0, inner = 0;
};

struct Functions {
  // Each of `rows` rows of n elements.
  void (*rows)(bool log, const float* x, float* y, int64_t rows, int64_t n);
  // Each of `columns` columns of n elements, `stride` floats apart.
  void (*columns)(bool log, const float* x, float* y, int64_t stride, int64_t n, int64_t columns);
};

class Kernel {
 public:
  Kernel() = default;
  Kernel(const Spec& spec, const Functions* functions) : spec_(spec), functions_(functions) {}
  explicit operator bool() const { return functions_ != nullptr; }
  // y overlaps nothing else.
  void run(const float* x, float* y, ThreadPool&, int max_threads = 0) const;

 private:
  Spec spec_;
  const Functions* functions_ = nullptr;
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
#include "kernels/softmax/kernels.inc"
std::span<const Row> rows();
Choice select(const Spec&, isa::Mask have = isa::detected());
}  // namespace kernels::softmax
