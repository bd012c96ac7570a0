// Strided copies. One thread per element of y; where x runs along another dim than y, tiles go through shared memory,
// so that both are touched in runs.
#include "kernels/cuda/elements.h"
#include "kernels/cuda/families.h"

namespace kernels::cuda {
namespace {
constexpr int threads = 256, tile = 32, tile_rows = 8;

// Where element i of a nest of dims lies in x and in y.
struct Position {
  int64_t x, y;
};
__device__ Position position(const CopyProblem& p, int dims, int64_t i) {
  Position at{p.x_first, p.y_first};
  for (int d = dims; d-- > 0;) {
    const int64_t k = i % p.extents[d];
    i /= p.extents[d];
    at.x += k * p.x_strides[d], at.y += k * p.y_strides[d];
  }
  return at;
}

template <class T>
__global__ void __launch_bounds__(threads) copy_elements(CopyProblem p, const T* x, T* y, int64_t count) {
  for (int64_t i = linear_thread(); i < count; i += linear_threads()) {
    const Position at = position(p, p.dims, i);
    y[at.y] = x[at.x];
  }
}

// The last dim but one runs in x, the last one in y.
template <class T> struct Tile { T at[tile][tile + 1]; };
template <class T>
__global__ void __launch_bounds__(tile* tile_rows)
    transpose_tiles(CopyProblem p, const T* x, T* y, int64_t tiles, int64_t across, int64_t down) {
  auto& s = shared<Tile<T>>();
  const int r = p.dims - 2, c = p.dims - 1, in_tile = int(threadIdx.x) % tile, first = int(threadIdx.x) / tile;
  for (int64_t t = blockIdx.x; t < tiles; t += gridDim.x) {
    const int64_t column0 = t % across * tile, row0 = t / across % down * tile;
    const Position at = position(p, p.dims - 2, t / across / down);
    for (int k = first; k < tile; k += tile_rows) {
      const int64_t row = row0 + in_tile, column = column0 + k;
      if (row < p.extents[r] && column < p.extents[c])
        s.at[k][in_tile] = x[at.x + row * p.x_strides[r] + column * p.x_strides[c]];
    }
    __syncthreads();
    for (int k = first; k < tile; k += tile_rows) {
      const int64_t row = row0 + k, column = column0 + in_tile;
      if (row < p.extents[r] && column < p.extents[c])
        y[at.y + row * p.y_strides[r] + column * p.y_strides[c]] = s.at[in_tile][k];
    }
    __syncthreads();
  }
}

int64_t count_of(const CopyProblem& p) {
  int64_t n = 1;
  for (int d = 0; d < p.dims; ++d) n *= p.extents[d];
  return n;
}
const char* refuse_elements(const CopyProblem& p) {
  if (!is_word(p.element_bytes)) return "elements of another size";
  return p.dims < 0 || p.dims > CopyProblem::most_dims ? "too many dims" : nullptr;
}
double cost_of_elements(const CopyProblem& p) {
  const int last = p.dims - 1;
  return p.dims == 0 || (p.x_strides[last] <= 1 && p.y_strides[last] == 1) ? 1 : 4;
}
Failure run_elements(const CopyProblem& p, const CopyArgs& args, Stream* stream) {
  const int64_t count = count_of(p);
  if (count == 0) return nullptr;
  return with_word(p.element_bytes, [&](auto element) {
    using T = decltype(element);
    return launch<void>(copy_elements<T>, blocks_for(count, threads), threads, stream, p, static_cast<const T*>(args.x),
                        static_cast<T*>(args.y), count);
  });
}

// The dim along which x runs, in front of the last one; -1: there is none.
int run_of_x(const CopyProblem& p) {
  for (int d = 0; d + 1 < p.dims; ++d)
    if (p.x_strides[d] == 1 && p.extents[d] > 1) return d;
  return -1;
}
const char* refuse_tiles(const CopyProblem& p) {
  if (const char* reason = refuse_elements(p)) return reason;
  if (run_of_x(p) < 0 || p.y_strides[p.dims - 1] != 1) return "x and y do not run along two dims";
  return p.extents[run_of_x(p)] < 8 || p.extents[p.dims - 1] < 8 ? "too few rows or columns" : nullptr;
}
double cost_of_tiles(const CopyProblem&) { return 2; }
Failure run_tiles(const CopyProblem& given, const CopyArgs& args, Stream* stream) {
  const int from = run_of_x(given);
  CopyProblem p = given;  // the dim along which x runs moves to the last but one
  for (int d = from; d + 2 < p.dims; ++d)
    std::swap(p.extents[d], p.extents[d + 1]), std::swap(p.x_strides[d], p.x_strides[d + 1]),
        std::swap(p.y_strides[d], p.y_strides[d + 1]);
  const int64_t count = count_of(p), rows = p.extents[p.dims - 2], columns = p.extents[p.dims - 1];
  if (count == 0) return nullptr;
  const int64_t down = divide_up(rows, tile), across = divide_up(columns, tile),
                tiles = count / rows / columns * down * across;
  return with_word(p.element_bytes, [&](auto element) {
    using T = decltype(element);
    return launch<Tile<T>>(transpose_tiles<T>, blocks_for(tiles, 1), tile * tile_rows, stream, p,
                           static_cast<const T*>(args.x), static_cast<T*>(args.y), tiles, across, down);
  });
}
}  // namespace

Family<CopyProblem, CopyArgs> copy_family() {
  static constexpr Row<CopyProblem, CopyArgs> rows[] = {
      {"copy_cuda", 80, threads, refuse_elements, cost_of_elements, run_elements},
      {"transpose_cuda", 80, tile, refuse_tiles, cost_of_tiles, run_tiles}};
  return {rows, std::size(rows)};
}
}  // namespace kernels::cuda
