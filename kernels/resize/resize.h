// Resampling of the two middle dims of x [outer, H, W, inner]: each element of y is a sum of weighted elements of x, by
// one table of taps for rows and one for columns. Where each sum is one element, elements of any size are copied; else
// they are f32. Results are the same to the bit for any thread count.
#pragma once
#include "kernels/table.h"
#include "kernels/threads.h"

namespace kernels::resize {
// Output i is the sum of weight[t] · input index[t] for t in [first[i], first[i + 1]).
struct Axis {
  std::vector<int64_t> first, index;
  std::vector<float> weight;
  int64_t outputs() const { return static_cast<int64_t>(first.size()) - 1; }
  bool copies() const;
};
struct Spec {
  int element_bytes = 4;
  int64_t outer = 0, height = 0, width = 0, inner = 0;  // of x
  Axis rows = {}, columns = {};
  bool copies() const { return rows.copies() && columns.copies(); }
};

// Columns [first, last) of y, which read floats [begin, end) of a row of x.
struct Block {
  static constexpr int64_t most = 4096;  // floats
  int64_t first, last, begin, end;
};
// The two taps of a column of y, as offsets into a row of x; a single one is in two halves.
struct Pair {
  int64_t at[2];
  float weight[2];
};

// One row of y.
struct RowArgs {
  const float* x;  // the image
  float* y;
  int64_t x_row, inner;  // floats from row to row, in a pixel
  const int64_t* row;    // of x, for each tap
  const float* weight;
  int64_t taps;
  const int64_t *first, *index;  // of the columns' axis
  const float* column_weight;
  int64_t out_width;
  const Block* blocks;  // if any: rows of x are summed block by block, then the columns of that
  size_t block_count;
  const Pair* pairs;  // null: columns have more taps
};
using Function = void (*)(const RowArgs&);

class Kernel {
 public:
  Kernel() = default;
  Kernel(const Spec& spec, Function function);
  explicit operator bool() const { return function_ != nullptr; }
  // y overlaps nothing else.
  void run(const void* x, void* y, ThreadPool&, int max_threads = 0) const;

 private:
  void copy_rows(const std::byte* x, std::byte* y, int64_t first, int64_t last) const;
  void find_blocks();
  Spec spec_;
  std::vector<Block> blocks_ = {};
  std::vector<Pair> pairs_ = {};
  Function function_ = nullptr;
  bool copies_ = false;
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
#include "kernels/resize/kernels.inc"
std::span<const Row> rows();
Choice select(const Spec&, isa::Mask have = isa::detected());
}  // namespace kernels::resize
