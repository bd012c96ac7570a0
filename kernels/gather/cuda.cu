// Elements by computed indices, read or written: one thread per element.
#include "kernels/cuda/elements.h"
#include "kernels/cuda/families.h"

namespace kernels::cuda {
namespace {
constexpr int threads = 256;

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

template <class T, class Index>
__global__ void __launch_bounds__(threads) gather(const __grid_constant__ GatherProblem p, const T* x,
                                                  const Index* indices, T* y, int64_t count, Watch watch) {
  for (int64_t i = linear_thread(); i < count; i += linear_threads()) y[i] = x[place(p, indices, i, watch)];
}

template <class T>
__global__ void __launch_bounds__(threads) begin_scatter(const T* x, T* y, int* owner, int64_t count) {
  for (int64_t i = linear_thread(); i < count; i += linear_threads()) {
    owner[i] = -1;
    if (x != y) y[i] = x[i];
  }
}
template <class Index>
__global__ void __launch_bounds__(threads)
    claim(const __grid_constant__ GatherProblem p, const Index* indices, int* owner, int64_t count, Watch watch) {
  for (int64_t i = linear_thread(); i < count; i += linear_threads())
    atomicMax(&owner[place(p, indices, i, watch)], int(i));
}
template <class T, class Index>
__global__ void __launch_bounds__(threads)
    scatter(const __grid_constant__ GatherProblem p, const Index* indices, const T* updates, T* y, const int* owner,
            int64_t count, Watch watch) {
  for (int64_t i = linear_thread(); i < count; i += linear_threads()) {
    const int64_t at = place(p, indices, i, watch);
    if (owner[at] == int(i)) y[at] = updates[i];
  }
}

int64_t count_of(const GatherProblem& p) {
  int64_t n = 1;
  for (int d = 0; d < p.dims; ++d) n *= p.extents[d];
  return n;
}
template <class F> Failure with_index(int bytes, F&& f) { return bytes == 4 ? f(int32_t{}) : f(int64_t{}); }

const char* refusal(const GatherProblem& p) {
  if (!is_word(p.element_bytes)) return "elements of another size";
  if (p.index_bytes != 4 && p.index_bytes != 8) return "indices of another type";
  if (p.dims < 0 || p.dims > GatherProblem::most_dims || p.depth < 0 || p.depth > GatherProblem::most_dims)
    return "too many dims";
  for (int j = 0; j < p.depth; ++j)
    if (p.index_extents[j] <= 0 && count_of(p) > 0) return "an extent of nothing";
  return nullptr;
}
const char* refuse_scatter(const ScatterProblem& p) {
  if (const char* reason = refusal(p.places)) return reason;
  return count_of(p.places) > INT32_MAX ? "more updates than an int counts" : nullptr;
}
double cost(const GatherProblem&) { return 1; }
double cost_of_scatter(const ScatterProblem&) { return 1; }
int64_t scratch_of_scatter(const ScatterProblem& p) { return p.count * int64_t(sizeof(int)); }

Failure run(const GatherProblem& p, const GatherArgs& args, Stream* stream) {
  const int64_t count = count_of(p);
  if (count == 0) return nullptr;
  Watch w;
  if (Failure f = watch(stream, &w)) return f;
  return with_word(p.element_bytes, [&](auto element) {
    return with_index(p.index_bytes, [&](auto index) {
      using T = decltype(element);
      using Index = decltype(index);
      return launch<void>(gather<T, Index>, blocks_for(count, threads), threads, stream, p,
                          static_cast<const T*>(args.x), static_cast<const Index*>(args.indices),
                          static_cast<T*>(args.y), count, w);
    });
  });
}
Failure run_scatter(const ScatterProblem& p, const ScatterArgs& args, Stream* stream) {
  const int64_t count = count_of(p.places);
  if (p.count == 0) return nullptr;
  Watch w;
  if (Failure f = watch(stream, &w)) return f;
  auto* owner = static_cast<int*>(args.scratch);
  return with_word(p.places.element_bytes, [&](auto element) {
    return with_index(p.places.index_bytes, [&](auto index) -> Failure {
      using T = decltype(element);
      using Index = decltype(index);
      const auto* indices = static_cast<const Index*>(args.indices);
      const unsigned blocks = blocks_for(count, threads);
      if (Failure f = launch<void>(begin_scatter<T>, blocks_for(p.count, threads), threads, stream,
                                   static_cast<const T*>(args.x), static_cast<T*>(args.y), owner, p.count))
        return f;
      if (count == 0) return nullptr;
      if (Failure f = launch<void>(claim<Index>, blocks, threads, stream, p.places, indices, owner, count, w)) return f;
      return launch<void>(scatter<T, Index>, blocks, threads, stream, p.places, indices,
                          static_cast<const T*>(args.updates), static_cast<T*>(args.y), owner, count, w);
    });
  });
}
}  // namespace

Family<GatherProblem, GatherArgs> gather_family() {
  static constexpr Row<GatherProblem, GatherArgs> rows[] = {{"gather_cuda", 80, threads, refusal, cost, run}};
  return {rows, std::size(rows)};
}
Family<ScatterProblem, ScatterArgs> scatter_family() {
  static constexpr Row<ScatterProblem, ScatterArgs> rows[] = {
      {"scatter_cuda", 80, threads, refuse_scatter, cost_of_scatter, run_scatter, scratch_of_scatter}};
  return {rows, std::size(rows)};
}
}  // namespace kernels::cuda
