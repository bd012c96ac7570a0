#include "engine/ops/strides.h"
#include <algorithm>

namespace engine {
namespace {
constexpr int64_t block = 32;  // elements of a side of a transposed tile: both sides stay in the L1 cache

// The last two dims of `nest` from `at` on, where `from` runs along the first of the two.
template <class M> void copy_tiles(M mover, const View& to, const ConstView& from, const Nest<2>& nest, std::array<int64_t, 2> at) {
  const size_t last = nest.extents.size() - 1;
  const int64_t rows = nest.extents[last - 1], columns = nest.extents[last];
  const int64_t to_row = nest.strides[0][last - 1], to_column = nest.strides[0][last];
  const int64_t from_row = nest.strides[1][last - 1], from_column = nest.strides[1][last];
  for (int64_t r0 = 0; r0 < rows; r0 += block)
    for (int64_t c0 = 0; c0 < columns; c0 += block)
      for (int64_t r = r0; r < std::min(rows, r0 + block); ++r)
        for (int64_t c = c0; c < std::min(columns, c0 + block); ++c)
          mover.move(to.data, at[0] + r * to_row + c * to_column, from.data, at[1] + r * from_row + c * from_column);
}
}  // namespace

Extents small_ints(const ConstView& v) {
  Extents values;
  for (int64_t i = 0, n = v.elements(); i < n; ++i) values.push_back(load<Int>(v, i).v);
  return values;
}

int64_t only_int(const ConstView& v, const char* what) {
  require(v.elements() == 1, Code::invalid_model, what, " must be one number");
  return load<Int>(v, 0).v;
}

Extents dense_strides(std::span<const int64_t> shape) {
  Extents strides(shape.size());
  int64_t stride = 1;
  for (size_t d = shape.size(); d-- > 0; stride *= shape[d]) strides[d] = stride;
  return strides;
}

Extents broadcast_strides(std::span<const int64_t> shape, size_t rank) {
  Extents strides = dense_strides(shape);
  for (size_t d = 0; d < shape.size(); ++d)
    if (shape[d] == 1) strides[d] = 0;
  strides.insert(strides.begin(), rank - shape.size(), 0);
  return strides;
}

void copy_nest(const View& to, const ConstView& from, const Nest<2>& given, std::array<int64_t, 2> first) {
  if (std::ranges::count(given.extents, 0)) return;
  Nest<2> nest = given.merged();
  const size_t last = nest.extents.size() - 1;
  if (nest.strides[0][last] == 1 && nest.strides[1][last] == 1)
    return nest.rows(first, [&](const auto& at) { copy_elements(to, at[0], from, at[1], nest.extents[last]); });
  // The dim along which `from` runs goes next to the last one, and both are walked in tiles.
  size_t run = last;
  for (size_t d = 0; d < last; ++d)
    if (nest.strides[1][d] == 1) run = d;
  with_mover(to.dtype, [&](auto mover) {
    if (run == last) {
      const int64_t n = nest.extents[last], to_step = nest.strides[0][last], from_step = nest.strides[1][last];
      return nest.rows(first, [&](const auto& at) {
        for (int64_t i = 0; i < n; ++i) mover.move(to.data, at[0] + i * to_step, from.data, at[1] + i * from_step);
      });
    }
    const auto to_front = [&](Extents& s) { std::rotate(s.begin() + run, s.begin() + run + 1, s.begin() + last); };
    to_front(nest.extents), to_front(nest.strides[0]), to_front(nest.strides[1]);
    Nest<2> outer = nest;
    outer.extents[last - 1] = outer.extents[last] = 1;
    outer.rows(first, [&](const auto& at) { copy_tiles(mover, to, from, nest, at); });
  });
}

void copy_strided(const View& to, const ConstView& from, Extents strides, int64_t first) {
  const Extents extents(to.shape);
  copy_nest(to, from, {extents, {dense_strides(extents), strides}}, {0, first});
}

void fill(const View& to, int64_t first, int64_t count, const ConstView& value) {
  with_mover(to.dtype, [&](auto mover) {
    for (int64_t i = first; i < first + count; ++i) mover.move(to.data, i, value.data, 0);
  });
}

Object zero_of(DType dtype) {
  Object zero;
  const View view = zero.set_tensor(dtype, {});
  if (dtype != DType::string) std::memset(view.data, 0, size_t(view.bytes()));
  return zero;
}
}  // namespace engine
