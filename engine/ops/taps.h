// Places between the elements of a tensor: the elements that are read for one, and their weights.
#pragma once
#include <algorithm>
#include <cstdint>
#include <span>

namespace engine {
constexpr int64_t most_dims = 6;  // spatial ones: a place reads up to 4 elements to their power

// Along one dim: up to four elements of x and their weights; an index of -1 is padding.
struct Taps {
  int count = 0;
  int64_t index[4];
  double weight[4];
};

// An element of x, counted from its channel's first, and its weight.
struct Weighted {
  int64_t at;
  double weight;
};

// Replaces the first `count` parts by their products with the taps along a further dim, of this extent, without
// padding; returns how many these are. `parts` has room for both.
inline size_t join(std::span<Weighted> parts, size_t count, const Taps& along, int64_t extent) {
  size_t kept = 0;
  Weighted* const wider = parts.data() + count;
  for (size_t i = 0; i < count; ++i)
    for (int k = 0; k < along.count; ++k)
      if (along.index[k] >= 0)
        wider[kept++] = {parts[i].at * extent + along.index[k], parts[i].weight * along.weight[k]};
  std::copy_n(wider, kept, parts.data());
  return kept;
}
}  // namespace engine
