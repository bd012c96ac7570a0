// Elements by computed indices: one thread per element.
#include "kernels/gather/places.h"

namespace kernels::cuda {
namespace {
constexpr int threads = 256;

template <class T, class Index>
__global__ void __launch_bounds__(threads) gather(const __grid_constant__ GatherProblem p, const T* x,
                                                  const Index* indices, T* y, int64_t count, Watch watch) {
  for (int64_t i = linear_thread(); i < count; i += linear_threads()) y[i] = x[place(p, indices, i, watch)];
}

double cost(const GatherProblem&) { return 1; }
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
}  // namespace

Family<GatherProblem, GatherArgs> gather_family() {
  static constexpr Row<GatherProblem, GatherArgs> rows[] = {{"gather_cuda", 80, threads, refusal_of, cost, run}};
  return {rows, std::size(rows)};
}
}  // namespace kernels::cuda
