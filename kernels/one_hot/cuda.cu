// One of two values by a number, one thread per element.
#include "kernels/cuda/elements.h"
#include "kernels/cuda/families.h"
#include "kernels/cuda/numbers.h"

namespace kernels::cuda {
namespace {
constexpr int threads = 256;

template <class T>
__global__ void __launch_bounds__(threads)
    one_hot(OneHotProblem p, const void* indices, const T* values, T* y, int64_t count) {
  for (int64_t i = linear_thread(); i < count; i += linear_threads()) {
    const int64_t at = i / p.inner % p.depth,
                  index = load_integer(p.indices, indices, i / p.inner / p.depth * p.inner + i % p.inner);
    y[i] = values[index == at || index + p.depth == at];
  }
}

const char* refusal(const OneHotProblem& p) {
  if (!is_counted(p.indices)) return "indices of another type";
  return is_word(p.element_bytes) ? nullptr : "elements of another size";
}
double cost(const OneHotProblem&) { return 1; }
Failure run(const OneHotProblem& p, const OneHotArgs& args, Stream* stream) {
  const int64_t count = p.outer * p.depth * p.inner;
  if (count == 0) return nullptr;
  return with_word(p.element_bytes, [&](auto element) {
    using T = decltype(element);
    return launch<void>(one_hot<T>, blocks_for(count, threads), threads, stream, p, args.indices,
                        static_cast<const T*>(args.values), static_cast<T*>(args.y), count);
  });
}
}  // namespace

Family<OneHotProblem, OneHotArgs> one_hot_family() {
  static constexpr Row<OneHotProblem, OneHotArgs> rows[] = {{"one_hot_cuda", 80, threads, refusal, cost, run}};
  return {rows, std::size(rows)};
}
}  // namespace kernels::cuda
