// Reductions of rows, a block for each, and of columns: eight threads for each column, so that a plane of few channels
// still fills a block. Sums have an order that the extents fix.
#include "kernels/cuda/families.h"
#include "kernels/cuda/numbers.h"
#include "kernels/cuda/reduction.h"

namespace kernels::cuda {
namespace {
using schema::ReduceKind;
constexpr int threads = 256, columns = 32, parts = threads / columns;

// Integers wrap, and are the plain ones of the machine: a warp hands them on.
struct Wrapping {
  using T = int64_t;
  __device__ static T load(DType type, const void* x, int64_t i) { return load_integer(type, x, i); }
  __device__ static void store(DType type, void* y, int64_t i, T v) { store_integer(type, y, i, v); }
};

template <class T> __device__ T start(ReduceKind kind) {
  if (kind == ReduceKind::prod) return 1;
  if (kind != ReduceKind::min && kind != ReduceKind::max) return 0;
  if constexpr (std::is_same_v<T, float>) return kind == ReduceKind::min ? INFINITY : -INFINITY;
  else return kind == ReduceKind::min ? INT64_MAX : INT64_MIN;
}
__device__ float prepare(ReduceKind kind, float x, float largest) {
  if (kind == ReduceKind::log_sum_exp) return std::exp(x - largest);
  if (kind == ReduceKind::l1) return x < 0 ? -x : x;
  return kind == ReduceKind::l2 || kind == ReduceKind::sum_square ? x * x : x;
}
__device__ int64_t prepare(ReduceKind kind, int64_t x, int64_t) {
  if (kind == ReduceKind::l1) return x < 0 ? int64_t(-uint64_t(x)) : x;
  return kind == ReduceKind::sum_square ? int64_t(uint64_t(x) * uint64_t(x)) : x;
}
__device__ float combine(ReduceKind kind, float a, float b) {
  switch (kind) {
    case ReduceKind::min: return Min()(a, b);
    case ReduceKind::max: return Max()(a, b);
    case ReduceKind::prod: return a * b;
    default: return a + b;
  }
}
__device__ int64_t combine(ReduceKind kind, int64_t a, int64_t b) {
  switch (kind) {
    case ReduceKind::min: return a < b ? a : b;
    case ReduceKind::max: return a > b ? a : b;
    case ReduceKind::prod: return int64_t(uint64_t(a) * uint64_t(b));
    default: return int64_t(uint64_t(a) + uint64_t(b));
  }
}
__device__ float finish(ReduceKind kind, float x, int64_t n, float largest) {
  switch (kind) {
    case ReduceKind::mean: return x / float(n);
    case ReduceKind::l2: return std::sqrt(x);
    case ReduceKind::log_sum: return std::log(x);
    case ReduceKind::log_sum_exp: return std::log(x) + largest;
    default: return x;
  }
}
__device__ int64_t finish(ReduceKind kind, int64_t x, int64_t n, int64_t) {
  return kind == ReduceKind::mean ? x / n : x;
}
// What is taken off before exponentials: the largest one, where that is a number.
__device__ float shift_of(float largest) { return std::fabs(largest) < INFINITY ? largest : 0; }
__device__ int64_t shift_of(int64_t) { return 0; }

template <class Numbers>
__global__ void __launch_bounds__(threads) reduce_rows(ReduceProblem p, const void* x, void* y) {
  using T = typename Numbers::T;
  auto& memory = shared<ReductionMemory<threads, T>>();
  const ReduceKind kind = p.spec.kind;
  const int64_t n = p.spec.n;
  const auto fold = [&](ReduceKind by, int64_t row, T largest) {
    T sum = start<T>(by);
    for (int64_t i = threadIdx.x; i < n; i += threads)
      sum = combine(by, sum, prepare(by, Numbers::load(p.x, x, row * n + i), largest));
    return reduce_block<threads, T>(memory, sum, [by](T a, T b) { return combine(by, a, b); });
  };
  for (int64_t row = blockIdx.x; row < p.spec.outer; row += gridDim.x) {
    const T largest = kind == ReduceKind::log_sum_exp ? shift_of(fold(ReduceKind::max, row, 0)) : T(0);
    const T sum = fold(kind, row, largest);
    if (threadIdx.x == 0) Numbers::store(p.y, y, row, finish(kind, sum, n, largest));
  }
}

template <class T> struct Parts { T at[parts][columns]; };
template <class Numbers>
__global__ void __launch_bounds__(threads) reduce_columns(ReduceProblem p, const void* x, void* y) {
  using T = typename Numbers::T;
  auto& s = shared<Parts<T>>();
  const ReduceKind kind = p.spec.kind;
  const int64_t n = p.spec.n, inner = p.spec.inner, across = divide_up(inner, columns);
  const int column = int(threadIdx.x) % columns, part = int(threadIdx.x) / columns;
  // The result for this thread's column, of all parts.
  const auto fold = [&](ReduceKind by, int64_t o, int64_t c, T largest) {
    T sum = start<T>(by);
    for (int64_t i = part; c < inner && i < n; i += parts)
      sum = combine(by, sum, prepare(by, Numbers::load(p.x, x, (o * n + i) * inner + c), largest));
    __syncthreads();  // what was kept before has been read
    s.at[part][column] = sum;
    __syncthreads();
    sum = s.at[0][column];
    for (int k = 1; k < parts; ++k) sum = combine(by, sum, s.at[k][column]);
    return sum;
  };
  for (int64_t b = blockIdx.x; b < p.spec.outer * across; b += gridDim.x) {
    const int64_t o = b / across, c = b % across * columns + column;
    const T largest = kind == ReduceKind::log_sum_exp ? shift_of(fold(ReduceKind::max, o, c, 0)) : T(0);
    const T sum = fold(kind, o, c, largest);
    if (part == 0 && c < inner) Numbers::store(p.y, y, o * inner + c, finish(kind, sum, n, largest));
  }
}

const char* refuse_extents(const ReduceProblem& p) {
  return p.spec.outer <= 0 || p.spec.n <= 0 || p.spec.inner <= 0 ? "an extent is not positive" : nullptr;
}
const char* refuse_singles(const ReduceProblem& p) {
  return p.x != DType::f32 || p.y != DType::f32 ? "types other than f32" : refuse_extents(p);
}
const char* refuse_kept(const ReduceProblem& p) {
  return !is_float(p.x) || !is_float(p.y) ? "types that are not real" : refuse_extents(p);
}
const char* refuse_integers(const ReduceProblem& p) {
  if (!is_counted(p.x) || p.x != p.y) return "types other than an integer";
  const ReduceKind kind = p.spec.kind;
  const bool real = kind == ReduceKind::l2 || kind == ReduceKind::log_sum || kind == ReduceKind::log_sum_exp;
  return real ? "a function of real numbers" : refuse_extents(p);
}
double cost(const ReduceProblem&) { return 1; }
double cost_of_kept(const ReduceProblem&) { return 2; }
template <class Numbers> Failure run(const ReduceProblem& p, const MapArgs& args, Stream* stream) {
  using T = typename Numbers::T;
  const reduce::Spec& s = p.spec;
  if (s.inner == 1)
    return launch<ReductionMemory<threads, T>>(reduce_rows<Numbers>, blocks_for(s.outer, 1), threads, stream, p, args.x,
                                               args.y);
  return launch<Parts<T>>(reduce_columns<Numbers>, blocks_for(s.outer * divide_up(s.inner, columns), 1), threads,
                          stream, p, args.x, args.y);
}
}  // namespace

Family<ReduceProblem, MapArgs> reduce_family() {
  static constexpr Row<ReduceProblem, MapArgs> rows[] = {
      {"reduce_f32_cuda", 80, columns, refuse_singles, cost, run<Singles>},
      {"reduce_half_cuda", 80, columns, refuse_kept, cost_of_kept, run<Kept>},
      {"reduce_integer_cuda", 80, columns, refuse_integers, cost, run<Wrapping>}};
  return {rows, std::size(rows)};
}
}  // namespace kernels::cuda
