// Between f32 and 8-bit integers: y = saturate(round(x / scale) + zero), halves to the even neighbour, NaN as the integer 0; and
// y = (x - zero) * scale. Results are the same to the bit for every row and any thread count.
#pragma once
#include "kernels/table.h"
#include "kernels/threads.h"
#include "schema/dtypes.h"

namespace kernels::quantize {
struct Spec {
  schema::DType integers = schema::DType::u8;  // i8 or u8
  bool back = false;                           // from integers to f32
};

using Function = void (*)(const void* x, void* y, int64_t n, float scale, int zero);

class Kernel {
 public:
  Kernel() = default;
  explicit Kernel(Function function) : function_(function) {}
  explicit operator bool() const { return function_ != nullptr; }
  // x and y are slices of n elements, with a scale and a zero point (`zeros` may be null) each; slice s has those at s % scales.
  // y may be x only where elements are as large.
  void run(const void* x, void* y, int64_t slices, int64_t n, const float* scale, const void* zeros, int64_t scales, const Spec&, ThreadPool&,
           int max_threads = 0) const;

 private:
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
#include "kernels/quantize/kernels.inc"
std::span<const Row> rows();
Choice select(const Spec&, isa::Mask have = isa::detected());
}  // namespace kernels::quantize
