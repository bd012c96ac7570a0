// A dense tensor with its dims in another order: dim k of y is dim perm[k] of x. Elements of 1, 2, 4 or 8 bytes.
//
// Dims that stay together are one. Where the last one stays, its runs are copied; else the dim along which x runs and
// the one along which y does are transposed in blocks, once for each index of the others.
#pragma once
#include "kernels/table.h"
#include "kernels/threads.h"

namespace kernels::transpose {
struct Spec {
  int element_bytes = 4;
  std::vector<int64_t> extents = {};  // of x
  std::vector<int> perm = {};
};

// y[c * y_stride + r] = x[r * x_stride + c] for r < rows, c < columns; strides in elements.
using Function = void (*)(const void* x, int64_t x_stride, void* y, int64_t y_stride, int64_t rows, int64_t columns);

class Kernel {
 public:
  Kernel() = default;
  Kernel(const Spec&, Function);
  explicit operator bool() const { return function_ != nullptr; }
  // y overlaps nothing else.
  void run(const void* x, void* y, ThreadPool&, int max_threads = 0) const;

 private:
  struct Dim {
    int64_t extent, x_stride, y_stride;
  };
  void run_batch(const std::byte* x, std::byte* y, int64_t first, int64_t last) const;

  Function function_ = nullptr;
  int element_ = 4;
  std::vector<Dim> batch_;  // all dims but these two
  Dim along_x_, along_y_;   // x_stride is 1 in the first, y_stride in the second; of runs, the first is theirs
  int64_t batches_ = 1, elements_ = 1;
  bool runs_ = false;
};

using Row = kernels::Row<Spec, Kernel>;
using Choice = kernels::Choice<Kernel>;

// Why no row takes the spec, or empty.
std::string invalid(const Spec&);
// For elements of any size, and for what vectors do not cover: fewer than 4 rows or columns.
Function plain(int element_bytes);

#define KERNEL(name, isa, tile, where) \
  namespace where { \
  Support supports(const Spec&); \
  Kernel make(const Spec&); \
  Function function(); /* for elements of 4 bytes */ \
  }
#include "kernels/transpose/kernels.inc"
std::span<const Row> rows();
Choice select(const Spec&, isa::Mask have = isa::detected());
}  // namespace kernels::transpose
