// The first elements of rows by selection: a block for each row looks for the one that comes next after the last found,
// k times. Nothing is moved or kept, and the order is the same whatever threads do.
#include "kernels/cuda/families.h"
#include "kernels/cuda/numbers.h"
#include "kernels/cuda/reduction.h"

namespace kernels::cuda {
namespace {
constexpr int threads = 128;

struct Candidates {
  int64_t of_warp[threads / warp_size];
};

template <class T> struct Order {
  const T* x;
  int64_t inner;
  bool largest, nan_first, last;
  // Element a of the row comes before element b.
  __device__ bool before(int64_t a, int64_t b) const {
    const T p = x[a * inner], q = x[b * inner];
    const bool p_nan = p != p, q_nan = q != q;
    if (p_nan != q_nan) return (nan_first || largest) == p_nan;
    if (p_nan) return a < b;
    if (p != q) return largest ? p > q : p < q;
    return last ? a > b : a < b;
  }
  __device__ int64_t first_of(int64_t a, int64_t b) const { return a < 0 ? b : b < 0 ? a : before(b, a) ? b : a; }
};

template <class T>
__global__ void __launch_bounds__(threads)
    top_k(const __grid_constant__ TopKProblem p, const T* x, T* values, int64_t* indices) {
  auto& s = shared<Candidates>();
  for (int64_t row = blockIdx.x; row < p.outer * p.inner; row += gridDim.x) {
    const int64_t o = row / p.inner, i = row % p.inner;
    const Order<T> order{x + o * p.n * p.inner + i, p.inner, p.largest, p.nan_first, p.last};
    int64_t found = -1;
    for (int64_t k = 0; k < p.k; ++k) {
      int64_t next = -1;
      for (int64_t e = threadIdx.x; e < p.n; e += threads)
        if (found < 0 || order.before(found, e)) next = order.first_of(next, e);
      for (int mask = warp_size / 2; mask; mask /= 2) next = order.first_of(next, __shfl_xor_sync(~0u, next, mask));
      __syncthreads();  // what was found before has been read
      if (threadIdx.x % warp_size == 0) s.of_warp[threadIdx.x / warp_size] = next;
      __syncthreads();
      found = s.of_warp[0];
      for (int w = 1; w < threads / warp_size; ++w) found = order.first_of(found, s.of_warp[w]);
      if (threadIdx.x == 0) {
        const int64_t to = (o * p.k + k) * p.inner + i;
        if (values) values[to] = order.x[found * p.inner];
        if (indices) indices[to] = found;
      }
    }
  }
}

const char* refusal(const TopKProblem& p) {
  if (p.type == DType::boolean || (p.type != DType::f32 && !is_counted(p.type))) return "a type that it does not order";
  constexpr int64_t most = 1024;
  return p.k > most ? "more than 1024 of a row" : p.k > p.n ? "more than a row has" : nullptr;
}
double cost(const TopKProblem&) { return 1; }
template <class T> Failure run_on(const TopKProblem& p, const TopKArgs& args, Stream* stream) {
  return launch<Candidates>(top_k<T>, blocks_for(p.outer * p.inner, 1), threads, stream, p,
                            static_cast<const T*>(args.x), static_cast<T*>(args.values), args.indices);
}
Failure run(const TopKProblem& p, const TopKArgs& args, Stream* stream) {
  if (p.outer * p.inner * p.k == 0) return nullptr;
  switch (p.type) {
    case DType::f32: return run_on<float>(p, args, stream);
    case DType::i8: return run_on<int8_t>(p, args, stream);
    case DType::u8: return run_on<uint8_t>(p, args, stream);
    case DType::i16: return run_on<int16_t>(p, args, stream);
    case DType::u16: return run_on<uint16_t>(p, args, stream);
    case DType::i32: return run_on<int32_t>(p, args, stream);
    case DType::u32: return run_on<uint32_t>(p, args, stream);
    default: return run_on<int64_t>(p, args, stream);
  }
}
}  // namespace

Family<TopKProblem, TopKArgs> top_k_family() {
  static constexpr Row<TopKProblem, TopKArgs> rows[] = {{"top_k_cuda", 80, threads, refusal, cost, run}};
  return {rows, std::size(rows)};
}
}  // namespace kernels::cuda
