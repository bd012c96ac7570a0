// Reductions in f32 of the middle dim: x [outer, n, inner] → y [outer, inner].
//
// Sums are made of parts whose extent the problem fixes, so results are the same to the bit for any thread count. In a part,
// 16 terms at most are added up at a time, and more than 16 parts are added in double: a sum of positive numbers has a relative
// error of a few times 1e-7, for any n. NaN makes a minimum or a maximum NaN.
#pragma once
#include "kernels/table.h"
#include "kernels/threads.h"
#include "schema/dtypes.h"

namespace kernels::reduce {
struct Spec {
  schema::ReduceKind kind = schema::ReduceKind::sum;
  int64_t outer = 0, n = 0, inner = 0;
};

// What is done with each element, before `finish` makes a kind of it.
enum class Step : uint8_t { sum, absolute, square, prod, min, max };
struct Functions {
  // y[r] of the n elements from x[r * stride] on, for each of `rows` rows.
  void (*rows)(const float* x, int64_t stride, int64_t rows, int64_t n, float* y);
  // y[c] of the n elements x[i * stride + c], for each of `columns` columns.
  void (*columns)(const float* x, int64_t stride, int64_t n, int64_t columns, float* y);
};
using FunctionsOf = Functions (*)(Step);

class Kernel {
 public:
  Kernel() = default;
  Kernel(const Spec&, FunctionsOf);
  explicit operator bool() const { return functions_.rows != nullptr; }
  size_t scratch_bytes() const;  // with the alignment of a float
  // y overlaps nothing else.
  void run(const float* x, float* y, void* scratch, ThreadPool&, int max_threads = 0) const;

 private:
  void finish(float* y, int64_t count) const;
  Spec spec_;
  Functions functions_ = {}, merge_ = {};  // of elements, of parts
  bool sums_ = false;
  int64_t part_ = 0, parts_ = 0;  // elements in a part, and how many there are
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
#include "kernels/reduce/kernels.inc"
std::span<const Row> rows();
Choice select(const Spec&, isa::Mask have = isa::detected());
}  // namespace kernels::reduce
