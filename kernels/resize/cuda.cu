// Resampling by tables of taps. Where each sum is one element, it is copied, whatever its type.
#include "kernels/cuda/elements.h"
#include "kernels/cuda/families.h"
#include "kernels/cuda/numbers.h"

namespace kernels::cuda {
namespace {
constexpr int threads = 256;

struct Element {
  int64_t image, row, column, inner;
};
__device__ Element element(const ResizeProblem& p, int64_t i) {
  return {i / p.inner / p.out_width / p.out_height, i / p.inner / p.out_width % p.out_height, i / p.inner % p.out_width,
          i % p.inner};
}

template <class T>
__global__ void __launch_bounds__(threads)
    copy_taps(ResizeProblem p, const T* x, T* y, ResizeAxis rows, ResizeAxis columns, int64_t count) {
  for (int64_t i = linear_thread(); i < count; i += linear_threads()) {
    const Element e = element(p, i);
    y[i] = x[((e.image * p.height + rows.index[rows.first[e.row]]) * p.width + columns.index[columns.first[e.column]]) *
                 p.inner +
             e.inner];
  }
}

__global__ void __launch_bounds__(threads)
    sum_taps(ResizeProblem p, const void* x, void* y, ResizeAxis rows, ResizeAxis columns, int64_t count) {
  for (int64_t i = linear_thread(); i < count; i += linear_threads()) {
    const Element e = element(p, i);
    float sum = 0;
    for (int64_t r = rows.first[e.row]; r < rows.first[e.row + 1]; ++r) {
      const int64_t from = (e.image * p.height + rows.index[r]) * p.width * p.inner + e.inner;
      float across = 0;
      for (int64_t c = columns.first[e.column]; c < columns.first[e.column + 1]; ++c)
        across += columns.weight[c] * load_real(p.x, x, from + columns.index[c] * p.inner);
      sum += rows.weight[r] * across;
    }
    Kept::store(p.y, y, i, sum);
  }
}

const char* refusal(const ResizeProblem& p) {
  const int bytes = p.element_bytes;
  if (!p.copies)
    return is_float(p.x) && is_float(p.y) && schema::bits_of(p.x) == 8 * bytes ? nullptr : "sums of what is not real";
  return !is_word(bytes) ? "elements of another size" : nullptr;
}
double cost(const ResizeProblem&) { return 1; }
Failure run(const ResizeProblem& p, const ResizeArgs& args, Stream* stream) {
  const int64_t count = p.outer * p.out_height * p.out_width * p.inner;
  if (count == 0) return nullptr;
  const unsigned blocks = blocks_for(count, threads);
  if (!p.copies)
    return launch<void>(sum_taps, blocks, threads, stream, p, args.x, args.y, args.rows, args.columns, count);
  return with_word(p.element_bytes, [&](auto element) {
    using T = decltype(element);
    return launch<void>(copy_taps<T>, blocks, threads, stream, p, static_cast<const T*>(args.x),
                        static_cast<T*>(args.y), args.rows, args.columns, count);
  });
}
}  // namespace

Family<ResizeProblem, ResizeArgs> resize_family() {
  static constexpr Row<ResizeProblem, ResizeArgs> rows[] = {{"resize_cuda", 80, threads, refusal, cost, run}};
  return {rows, std::size(rows)};
}
}  // namespace kernels::cuda
