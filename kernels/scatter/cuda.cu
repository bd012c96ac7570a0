// Elements written to computed indices. Where the last one of a place stays, updates claim their places first. Where
// they are combined, each place has a list of its updates; one thread sorts it and combines them in their order, so
// that sums have one, whatever order threads came in.
#include "kernels/cuda/numbers.h"
#include "kernels/gather/places.h"

namespace kernels::cuda {
namespace {
using schema::ScatterKind;
constexpr int threads = 256;

template <class T>
__global__ void __launch_bounds__(threads) begin_claims(const T* x, T* y, int* owner, int64_t count) {
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
__global__ void __launch_bounds__(threads) write(const __grid_constant__ GatherProblem p, const Index* indices,
                                                 const T* updates, T* y, const int* owner, int64_t count, Watch watch) {
  for (int64_t i = linear_thread(); i < count; i += linear_threads()) {
    const int64_t at = place(p, indices, i, watch);
    if (owner[at] == int(i)) y[at] = updates[i];
  }
}

// Lists: the first update of each place, the next one of each update; -1: there is none.
__global__ void __launch_bounds__(threads) begin_lists(int* first, int64_t count) {
  for (int64_t i = linear_thread(); i < count; i += linear_threads()) first[i] = -1;
}
template <class Index>
__global__ void __launch_bounds__(threads) enlist(const __grid_constant__ GatherProblem p, const Index* indices,
                                                  int* first, int* next, int64_t count, Watch watch) {
  for (int64_t i = linear_thread(); i < count; i += linear_threads())
    next[i] = atomicExch(&first[place(p, indices, i, watch)], int(i));
}
// A merge sort of a list from runs of one element upwards. Returns the first element.
__device__ int sorted(int* next, int list) {
  for (int64_t run = 1;; run *= 2) {
    int left = list, last = -1, merges = 0;
    list = -1;
    for (; left >= 0; ++merges) {
      int right = left;
      int64_t lefts = 0, rights = run;
      while (lefts < run && right >= 0) right = next[right], ++lefts;
      while (lefts > 0 || (rights > 0 && right >= 0)) {
        const bool takes_left = lefts > 0 && (rights == 0 || right < 0 || left < right);
        int& from = takes_left ? left : right;
        const int taken = from;
        from = next[taken], --(takes_left ? lefts : rights);
        (last < 0 ? list : next[last]) = taken;
        last = taken;
      }
      left = right;
    }
    if (last >= 0) next[last] = -1;
    if (merges <= 1) return list;
  }
}

// Of booleans: add and max are "or", mul and min are "and".
template <class T> __device__ T combine(ScatterKind kind, T old, T x) {
  switch (kind) {
    case ScatterKind::add: return old + x;
    case ScatterKind::mul: return old * x;
    case ScatterKind::min: return old != old || old < x ? old : x;
    default: return old != old || x < old ? old : x;
  }
}
template <class Numbers>
__global__ void __launch_bounds__(threads)
    combine_lists(ScatterKind kind, DType type, const void* x, const void* updates, void* y, const int* first,
                  int* next, int64_t count) {
  for (int64_t at = linear_thread(); at < count; at += linear_threads()) {
    if (first[at] < 0 && x == y) continue;
    Numbers::store(type, y, at, Numbers::load(type, x, at));
    for (int i = sorted(next, first[at]); i >= 0; i = next[i])  // each result is rounded
      Numbers::store(type, y, at, combine(kind, Numbers::load(type, y, at), Numbers::load(type, updates, i)));
  }
}

const char* refuse_updates(const ScatterProblem& p) {
  if (const char* reason = refusal_of(p.places)) return reason;
  return count_of(p.places) > INT32_MAX ? "more updates than an int counts" : nullptr;
}
const char* refuse_claims(const ScatterProblem& p) {
  return p.kind != ScatterKind::none ? "updates that are combined" : refuse_updates(p);
}
const char* refuse_lists(const ScatterProblem& p) {
  if (p.kind == ScatterKind::none) return "updates that are not combined";
  if (!is_known(p.type)) return "a type that kernels of the device do not have";
  constexpr int64_t most_of_a_place = 4096;  // on average: one thread combines them
  return count_of(p.places) / most_of_a_place > p.count ? "too many updates for so few places" : refuse_updates(p);
}
double cost(const ScatterProblem&) { return 1; }
int64_t scratch_of_claims(const ScatterProblem& p) { return p.count * int64_t(sizeof(int)); }
int64_t scratch_of_lists(const ScatterProblem& p) { return (p.count + count_of(p.places)) * int64_t(sizeof(int)); }

Failure run_claims(const ScatterProblem& p, const ScatterArgs& args, Stream* stream) {
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
      if (Failure f = launch<void>(begin_claims<T>, blocks_for(p.count, threads), threads, stream,
                                   static_cast<const T*>(args.x), static_cast<T*>(args.y), owner, p.count))
        return f;
      if (count == 0) return nullptr;
      if (Failure f = launch<void>(claim<Index>, blocks, threads, stream, p.places, indices, owner, count, w)) return f;
      return launch<void>(write<T, Index>, blocks, threads, stream, p.places, indices,
                          static_cast<const T*>(args.updates), static_cast<T*>(args.y), owner, count, w);
    });
  });
}
Failure run_lists(const ScatterProblem& p, const ScatterArgs& args, Stream* stream) {
  const int64_t count = count_of(p.places);
  if (p.count == 0) return nullptr;
  Watch w;
  if (Failure f = watch(stream, &w)) return f;
  auto* first = static_cast<int*>(args.scratch);
  int* next = first + p.count;
  const unsigned blocks = blocks_for(p.count, threads);
  if (Failure f = launch<void>(begin_lists, blocks, threads, stream, first, p.count)) return f;
  if (count)
    if (Failure f = with_index(p.places.index_bytes, [&](auto index) {
          using Index = decltype(index);
          return launch<void>(enlist<Index>, blocks_for(count, threads), threads, stream, p.places,
                              static_cast<const Index*>(args.indices), first, next, count, w);
        }))
      return f;
  return launch<void>(is_float(p.type) ? combine_lists<Reals> : combine_lists<Integers>, blocks, threads, stream,
                      p.kind, p.type, args.x, args.updates, args.y, first, next, p.count);
}
}  // namespace

Family<ScatterProblem, ScatterArgs> scatter_family() {
  static constexpr Row<ScatterProblem, ScatterArgs> rows[] = {
      {"scatter_cuda", 80, threads, refuse_claims, cost, run_claims, scratch_of_claims},
      {"scatter_combine_cuda", 80, threads, refuse_lists, cost, run_lists, scratch_of_lists}};
  return {rows, std::size(rows)};
}
}  // namespace kernels::cuda
