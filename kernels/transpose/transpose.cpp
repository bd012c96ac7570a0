#include "kernels/transpose/transpose.h"
#include <cstring>
#include "kernels/split.h"

namespace kernels::transpose {
namespace {
constexpr int64_t block_rows = 256, block_columns = 64;  // of a task's smallest piece
constexpr int64_t side = 16;                             // of a tile: its lines stay in the L1 cache

template <class T>
void tiles(const void* from, int64_t x_stride, void* to, int64_t y_stride, int64_t rows, int64_t columns) {
  const auto* x = static_cast<const T*>(from);
  auto* y = static_cast<T*>(to);
  for (int64_t c0 = 0; c0 < columns; c0 += side)
    for (int64_t r0 = 0; r0 < rows; r0 += side) {
      const int64_t r1 = std::min(rows, r0 + side);
      for (int64_t c = c0; c < std::min(columns, c0 + side); ++c)
        for (int64_t r = r0; r < r1; ++r) y[c * y_stride + r] = x[r * x_stride + c];
    }
}
}  // namespace

Function plain(int element_bytes) {
  switch (element_bytes) {
    case 1: return tiles<uint8_t>;
    case 2: return tiles<uint16_t>;
    case 4: return tiles<uint32_t>;
    default: return tiles<uint64_t>;
  }
}

Kernel::Kernel(const Spec& spec, Function function) : function_(function), element_(spec.element_bytes) {
  std::vector<int64_t> strides(spec.extents.size());
  for (size_t d = strides.size(); d-- > 0; elements_ *= spec.extents[d]) strides[d] = elements_;
  if (elements_ == 0) return;
  std::vector<Dim> dims;  // in y's order, with those joined that are one run of x
  for (const int from : spec.perm) {
    const Dim dim{spec.extents[static_cast<size_t>(from)], strides[static_cast<size_t>(from)], 0};
    if (dim.extent == 1) continue;
    if (!dims.empty() && dims.back().x_stride == dim.x_stride * dim.extent)
      dims.back() = {dims.back().extent * dim.extent, dim.x_stride, 0};
    else dims.push_back(dim);
  }
  if (dims.empty()) dims.push_back({1, 1, 0});
  int64_t stride = 1;
  for (size_t d = dims.size(); d-- > 0; stride *= dims[d].extent) dims[d].y_stride = stride;
  along_y_ = dims.back(), dims.pop_back();
  runs_ = along_y_.x_stride == 1;
  along_x_ = along_y_;
  if (runs_) {  // the dim in front of the runs is walked innermost
    along_y_ = dims.empty() ? Dim{1, 0, 0} : dims.back();
    if (!dims.empty()) dims.pop_back();
  } else {
    const auto at = std::find_if(dims.begin(), dims.end(), [](const Dim& d) { return d.x_stride == 1; });
    along_x_ = *at, dims.erase(at);
  }
  batch_ = std::move(dims);
  for (const Dim& d : batch_) batches_ *= d.extent;
}

// Rows [first, last) of along_y_ where runs are copied, else of a grid of blocks.
void Kernel::run_batch(const std::byte* x, std::byte* y, int64_t first, int64_t last) const {
  if (runs_) {
    const int64_t x_step = along_y_.x_stride * element_, y_step = along_y_.y_stride * element_;
    const auto bytes = static_cast<size_t>(along_x_.extent * element_);
    for (int64_t i = first; i < last; ++i) std::memcpy(y + i * y_step, x + i * x_step, bytes);
    return;
  }
  const int64_t row_blocks = (along_y_.extent + block_rows - 1) / block_rows;
  for (int64_t i = first; i < last; ++i) {
    const int64_t c = i / row_blocks * block_columns, r = i % row_blocks * block_rows;
    const int64_t columns = std::min(block_columns, along_x_.extent - c);
    const int64_t rows = std::min(block_rows, along_y_.extent - r);
    function_(x + (c + r * along_y_.x_stride) * element_, along_y_.x_stride, y + (c * along_x_.y_stride + r) * element_,
              along_x_.y_stride, rows, columns);
  }
}

void Kernel::run(const void* x, void* y, ThreadPool& pool, int max_threads) const {
  if (elements_ == 0) return;
  const int64_t row_blocks = (along_y_.extent + block_rows - 1) / block_rows;
  const int64_t column_blocks = (along_x_.extent + block_columns - 1) / block_columns;
  const int64_t blocks = runs_ ? along_y_.extent : row_blocks * column_blocks;
  run_split(pool, max_threads, batches_, blocks, elements_,
            [&](int64_t batch, int64_t end, int64_t first, int64_t last) {
              for (; batch < end; ++batch) {
                int64_t from = 0, to = 0, rest = batch;
                for (size_t d = batch_.size(); d-- > 0; rest /= batch_[d].extent) {
                  const int64_t index = rest % batch_[d].extent;
                  from += index * batch_[d].x_stride, to += index * batch_[d].y_stride;
                }
                run_batch(static_cast<const std::byte*>(x) + from * element_,
                          static_cast<std::byte*>(y) + to * element_, first, last);
              }
            });
}

std::string invalid(const Spec& s) {
  const int e = s.element_bytes;
  if (e != 1 && e != 2 && e != 4 && e != 8) return "elements of " + std::to_string(e) + " bytes";
  std::vector<int> sorted = s.perm;
  std::sort(sorted.begin(), sorted.end());
  for (size_t d = 0; d < sorted.size(); ++d)
    if (sorted[d] != static_cast<int>(d)) return "not a permutation";
  return sorted.size() != s.extents.size() ? "a permutation of another rank" : "";
}

std::span<const Row> rows() {
  static constexpr Row table[] = {
#define KERNEL(name, isa, tile, where) {#name, isa, tile, where::supports, where::make},
#include "kernels/transpose/kernels.inc"
  };
  return table;
}

Choice select(const Spec& spec, isa::Mask have) { return choose(rows(), spec, have); }

Support scalar::supports(const Spec& spec) { return {16, invalid(spec)}; }
Kernel scalar::make(const Spec& spec) { return {spec, plain(spec.element_bytes)}; }
Function scalar::function() { return plain(4); }
}  // namespace kernels::transpose
