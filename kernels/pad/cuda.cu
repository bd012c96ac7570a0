#include "kernels/cuda/elements.h"
#include "kernels/cuda/families.h"

namespace kernels::cuda {
namespace {
using schema::PadMode;
constexpr int threads = 256;

// The position along a dim of x that position k of y repeats; -1: the value.
__device__ int64_t position(PadMode mode, int64_t extent, int64_t begin, int64_t end, int64_t k) {
  const int64_t first = begin < 0 ? -begin : 0, kept = extent - first - (end < 0 ? -end : 0),
                i = k - (begin > 0 ? begin : 0);
  if (i >= 0 && i < kept) return first + i;
  const auto wrap = [](int64_t v, int64_t n) { return (v % n + n) % n; };
  switch (mode) {
    case PadMode::constant: return -1;
    case PadMode::edge: return first + (i < 0 ? 0 : kept - 1);
    case PadMode::wrap: return first + wrap(i, kept);
    default: {
      const int64_t period = kept > 1 ? 2 * (kept - 1) : 1, at = wrap(i, period);
      return first + (at < period - at ? at : period - at);
    }
  }
}

template <class T>
__global__ void __launch_bounds__(threads) pad(PadProblem p, const T* x, const T* value, T* y, int64_t count) {
  for (int64_t i = linear_thread(); i < count; i += linear_threads()) {
    int64_t rest = i, from = 0, stride = 1;
    bool inside = true;
    for (int d = p.dims; d-- > 0;) {
      const int64_t out = p.extents[d] + p.begin[d] + p.end[d];
      const int64_t at = position(p.mode, p.extents[d], p.begin[d], p.end[d], rest % out);
      inside = inside && at >= 0;
      from += at * stride;
      rest /= out, stride *= p.extents[d];
    }
    y[i] = inside ? x[from] : value ? *value : T(0);
  }
}

const char* refusal(const PadProblem& p) {
  const int bytes = p.element_bytes;
  if (!is_word(bytes)) return "elements of another size";
  return p.dims < 0 || p.dims > PadProblem::most_dims ? "too many dims" : nullptr;
}
double cost(const PadProblem&) { return 1; }
Failure run(const PadProblem& p, const PadArgs& args, Stream* stream) {
  int64_t count = 1;
  for (int d = 0; d < p.dims; ++d) count *= p.extents[d] + p.begin[d] + p.end[d];
  if (count == 0) return nullptr;
  return with_word(p.element_bytes, [&](auto element) {
    using T = decltype(element);
    return launch<void>(pad<T>, blocks_for(count, threads), threads, stream, p, static_cast<const T*>(args.x),
                        static_cast<const T*>(args.value), static_cast<T*>(args.y), count);
  });
}
}  // namespace

Family<PadProblem, PadArgs> pad_family() {
  static constexpr Row<PadProblem, PadArgs> rows[] = {{"pad_cuda", 80, threads, refusal, cost, run}};
  return {rows, std::size(rows)};
}
}  // namespace kernels::cuda
