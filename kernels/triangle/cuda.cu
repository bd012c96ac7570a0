// Triangles of matrices, one thread per element.
#include "kernels/cuda/elements.h"
#include "kernels/cuda/families.h"

namespace kernels::cuda {
namespace {
constexpr int threads = 256;

template <class T>
__global__ void __launch_bounds__(threads) triangle(TriangleProblem p, const T* x, T* y, int64_t count) {
  for (int64_t i = linear_thread(); i < count; i += linear_threads()) {
    const int64_t column = i % p.columns, diagonal = i / p.columns % p.rows + p.k;
    y[i] = (p.upper ? column >= diagonal : column <= diagonal) ? x[i] : T(0);
  }
}

const char* refusal(const TriangleProblem& p) {
  return is_word(p.element_bytes) ? nullptr : "elements of another size";
}
double cost(const TriangleProblem&) { return 1; }
Failure run(const TriangleProblem& p, const MapArgs& args, Stream* stream) {
  const int64_t count = p.matrices * p.rows * p.columns;
  if (count == 0) return nullptr;
  return with_word(p.element_bytes, [&](auto element) {
    using T = decltype(element);
    return launch<void>(triangle<T>, blocks_for(count, threads), threads, stream, p, static_cast<const T*>(args.x),
                        static_cast<T*>(args.y), count);
  });
}
}  // namespace

Family<TriangleProblem, MapArgs> triangle_family() {
  static constexpr Row<TriangleProblem, MapArgs> rows[] = {{"triangle_cuda", 80, threads, refusal, cost, run}};
  return {rows, std::size(rows)};
}
}  // namespace kernels::cuda
