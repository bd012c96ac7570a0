// A dense tensor with more around it, or less: each element of y is one of x, or the value. Elements of any size.
//
// The innermost dim that is padded is a row of units, which are all that lies behind that dim. What a row takes from x in
// one piece is copied at once; large units are rows by themselves.
#pragma once
#include "kernels/table.h"
#include "kernels/threads.h"
#include "schema/dtypes.h"

namespace kernels::pad {
// Negative pads crop, before anything is added.
struct Dim {
  int64_t extent = 0, begin = 0, end = 0;
  int64_t out() const { return extent + begin + end; }
};
struct Spec {
  int element_bytes = 4;
  schema::PadMode mode = schema::PadMode::constant;
  std::vector<Dim> dims = {};
};

class Kernel {
 public:
  Kernel() = default;
  explicit Kernel(const Spec&);
  explicit operator bool() const { return element_ != 0; }
  // y overlaps nothing else. `value`: one element; null: zeros. Read where the mode is `constant`.
  void run(const void* x, const void* value, void* y, ThreadPool&, int max_threads = 0) const;

 private:
  void run_rows(const std::byte* x, const std::byte* value, std::byte* y, int64_t first, int64_t last) const;

  int64_t element_ = 0, unit_ = 1;                 // bytes
  std::vector<std::vector<int64_t>> outer_ = {};   // where each index of a dim is in x, in bytes; -1: nowhere
  std::vector<int64_t> left_ = {}, right_ = {};    // the same of units in front of a row's piece of x, and behind it
  int64_t middle_ = 0, from_ = 0;                  // bytes of that piece, and where it begins
  int64_t rows_ = 1, row_ = 0;                     // of y; bytes of one
  void (*copy_units_)(const std::byte* x, std::byte* y, const std::vector<int64_t>& from, int64_t unit) = nullptr;
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
#include "kernels/pad/kernels.inc"
std::span<const Row> rows();
Choice select(const Spec&, isa::Mask have = isa::detected());
}  // namespace kernels::pad
