// Where the elements that indices name lie: what gather reads and scatter writes.
#pragma once
#include "kernels/cuda/elements.h"
#include "kernels/cuda/families.h"

namespace kernels::cuda {
// Where element i of the nest lies. An index out of range is reported, and counts as 0.
template <class Index>
__device__ int64_t place(const GatherProblem& p, const Index* indices, int64_t i, const Watch& watch) {
  int64_t at = 0, tuple = 0;
  for (int d = p.dims; d-- > 0; i /= p.extents[d]) {
    const int64_t k = i % p.extents[d];
    at += k * p.x_strides[d], tuple += k * p.index_strides[d];
  }
  for (int j = 0; j < p.depth; ++j) {
    int64_t index = indices[tuple + j];
    if (index < -p.index_extents[j] || index >= p.index_extents[j]) {
      report(watch, Refused::index, tuple + j);
      index = 0;
    }
    at += (index < 0 ? index + p.index_extents[j] : index) * p.steps[j];
  }
  return at;
}

inline int64_t count_of(const GatherProblem& p) {
  int64_t n = 1;
  for (int d = 0; d < p.dims; ++d) n *= p.extents[d];
  return n;
}
template <class F> Failure with_index(int bytes, F&& f) { return bytes == 4 ? f(int32_t{}) : f(int64_t{}); }
inline const char* refusal_of(const GatherProblem& p) {
  if (!is_word(p.element_bytes)) return "elements of another size";
  if (p.index_bytes != 4 && p.index_bytes != 8) return "indices of another type";
  if (p.dims < 0 || p.dims > GatherProblem::most_dims || p.depth < 0 || p.depth > GatherProblem::most_dims)
    return "too many dims";
  for (int j = 0; j < p.depth; ++j)
    if (p.index_extents[j] <= 0 && count_of(p) > 0) return "an extent of nothing";
  return nullptr;
}
}  // namespace kernels::cuda
