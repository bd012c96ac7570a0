// Running sums and products: a thread for each line, or, of few lines, a block for each, which takes as many elements
// at a time as it has threads (Hillis and Steele, "Data Parallel Algorithms", 1986). Which of them follows from the
// extents.
#include "kernels/cuda/families.h"
#include "kernels/cuda/numbers.h"

namespace kernels::cuda {
namespace {
constexpr int threads = 256;

struct Doubles {
  using T = double;
  __device__ static T load(DType type, const void* x, int64_t i) { return double(load_real(type, x, i)); }
  __device__ static void store(DType type, void* y, int64_t i, T v) { store_real(type, y, i, float(v)); }
};
struct Wrapping {
  using T = uint64_t;
  __device__ static T load(DType type, const void* x, int64_t i) { return T(load_integer(type, x, i)); }
  __device__ static void store(DType type, void* y, int64_t i, T v) { store_integer(type, y, i, int64_t(v)); }
};

// Element d of a line, in the order of the scan.
__device__ int64_t element(const ScanProblem& p, int64_t line, int64_t d) {
  return (line / p.inner * p.n + (p.reverse ? p.n - 1 - d : d)) * p.inner + line % p.inner;
}

template <class Numbers> __global__ void __launch_bounds__(threads) scan_lines(ScanProblem p, const void* x, void* y) {
  using T = typename Numbers::T;
  for (int64_t line = linear_thread(); line < p.outer * p.inner; line += linear_threads()) {
    T sum = p.product;
    for (int64_t d = 0; d < p.n; ++d) {
      const int64_t e = element(p, line, d);
      const T v = Numbers::load(p.type, x, e), with = p.product ? sum * v : sum + v;
      Numbers::store(p.type, y, e, p.exclusive ? sum : with);
      sum = with;
    }
  }
}

template <class T> struct Sums { T at[2][threads]; };
template <class Numbers> __global__ void __launch_bounds__(threads) scan_blocks(ScanProblem p, const void* x, void* y) {
  using T = typename Numbers::T;
  auto& s = shared<Sums<T>>();
  const int t = int(threadIdx.x);
  const auto join = [&](T a, T b) { return p.product ? a * b : a + b; };
  for (int64_t line = blockIdx.x; line < p.outer * p.inner; line += gridDim.x) {
    T before = p.product;  // of the elements in front of these
    for (int64_t first = 0; first < p.n; first += threads) {
      const bool inside = first + t < p.n;
      const int64_t e = inside ? element(p, line, first + t) : 0;
      int now = 0;
      s.at[0][t] = inside ? Numbers::load(p.type, x, e) : T(p.product);
      __syncthreads();
      for (int by = 1; by < threads; by *= 2, now ^= 1) {
        s.at[now ^ 1][t] = t >= by ? join(s.at[now][t - by], s.at[now][t]) : s.at[now][t];
        __syncthreads();
      }
      const T to_here = p.exclusive ? (t ? join(before, s.at[now][t - 1]) : before) : join(before, s.at[now][t]);
      if (inside) Numbers::store(p.type, y, e, to_here);
      before = join(before, s.at[now][threads - 1]);
      __syncthreads();  // all have read
    }
  }
}

const char* refusal(const ScanProblem& p) {
  return is_known(p.type) && p.type != DType::boolean ? nullptr : "a type that kernels of the device do not have";
}
// Elements that follow each other in the slowest thread, and barriers.
double cost_of_lines(const ScanProblem& p) {
  constexpr double at_once = 108 * 1024;
  return std::ceil(double(p.outer * p.inner) / at_once) * double(p.n);
}
double cost_of_blocks(const ScanProblem& p) {
  constexpr double at_once = 108 * 4, of_a_turn = 20;
  return std::ceil(double(p.outer * p.inner) / at_once) * double(divide_up(p.n, threads)) * of_a_turn;
}
Failure run_lines(const ScanProblem& p, const MapArgs& args, Stream* stream) {
  if (p.outer * p.n * p.inner == 0) return nullptr;
  return launch<void>(is_float(p.type) ? scan_lines<Doubles> : scan_lines<Wrapping>,
                      blocks_for(p.outer * p.inner, threads), threads, stream, p, args.x, args.y);
}
Failure run_blocks(const ScanProblem& p, const MapArgs& args, Stream* stream) {
  if (p.outer * p.n * p.inner == 0) return nullptr;
  return launch<Sums<double>>(is_float(p.type) ? scan_blocks<Doubles> : scan_blocks<Wrapping>,
                              blocks_for(p.outer * p.inner, 1), threads, stream, p, args.x, args.y);
}
}  // namespace

Family<ScanProblem, MapArgs> scan_family() {
  static_assert(sizeof(Sums<double>) == sizeof(Sums<uint64_t>));
  static constexpr Row<ScanProblem, MapArgs> rows[] = {
      {"scan_lines_cuda", 80, threads, refusal, cost_of_lines, run_lines},
      {"scan_blocks_cuda", 80, threads, refusal, cost_of_blocks, run_blocks}};
  return {rows, std::size(rows)};
}
}  // namespace kernels::cuda
