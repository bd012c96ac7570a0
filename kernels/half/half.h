// Between f32 and half precision, rounded to the nearest, halves to even: what a conversion instruction does.
#pragma once
#include "kernels/table.h"
#include "kernels/threads.h"

namespace kernels::half {
struct Spec {
  bool back = false;  // from half precision to f32
};

class Kernel {
 public:
  using Function = void (*)(const void* x, void* y, int64_t n);
  Kernel() = default;
  explicit Kernel(Function function) : function_(function) {}
  explicit operator bool() const { return function_ != nullptr; }
  Function function() const { return function_; }
  // n elements, which need the alignment of theirs only; y overlaps nothing of x.
  void run(const void* x, void* y, int64_t n, const Spec&, ThreadPool&, int max_threads = 0) const;

 private:
  Function function_ = nullptr;
};

using Row = kernels::Row<Spec, Kernel>;
using Choice = kernels::Choice<Kernel>;

#define KERNEL(name, isa, tile, where) \
  namespace where { \
  Support supports(const Spec&); \
  Kernel make(const Spec&); \
  }
#include "kernels/half/kernels.inc"
std::span<const Row> rows();
Choice select(const Spec&, isa::Mask have = isa::detected());
}  // namespace kernels::half
