#include "kernels/cuda/epilogue.h"
#include "kernels/cuda/families.h"
#include "kernels/cuda/simt_tile.h"
#include "kernels/cuda/splits.h"

namespace kernels::cuda {
namespace {
// A matrix whose rows (or columns, of B) and k lie at strides; with a vector, k is contiguous and divided by it.
template <class T = float, int vector_ = 1> struct Strided {
  static constexpr int vector = vector_;
  const T* base;
  int64_t row_step, k_step, rows, ks;
  using Row = int64_t;  // elements from the base; -1: outside
  using K = int64_t;
  __device__ Row row(int64_t r) const { return r < rows ? r * row_step : -1; }
  __device__ K k(int64_t i) const { return i < ks ? i * k_step : -1; }
  __device__ const T* address(Row r, K i) const { return r < 0 || i < 0 ? nullptr : base + r + i; }
};

// The operands of one C of the batch.
struct First {
  int64_t a = 0, b = 0;
  __device__ First(const GemmProblem& p, int64_t batch) {
    for (int d = 3; d-- > 0; batch /= p.batch[d])
      a += batch % p.batch[d] * p.a_steps[d], b += batch % p.batch[d] * p.b_steps[d];
  }
};
template <int vector = 1, class T> __device__ Strided<T, vector> rows_of_a(const GemmProblem& p, const T* a) {
  return {a, p.trans_a ? 1 : p.lda, p.trans_a ? p.lda : 1, p.m, p.k};
}
template <int vector = 1, class T> __device__ Strided<T, vector> columns_of_b(const GemmProblem& p, const T* b) {
  return {b, p.trans_b ? p.ldb : 1, p.trans_b ? 1 : p.ldb, p.n, p.k};
}

template <class Tile, bool a_along_k, bool b_along_k>
__global__ void __launch_bounds__(Tile::threads)
    gemm_f32(const __grid_constant__ GemmProblem p, const float* a, const float* b, void* c,
             const __grid_constant__ Epilogue chain) {
  const int64_t tiles_across = divide_up(p.n, Tile::n), tiles = divide_up(p.m, Tile::m) * tiles_across;
  const int64_t batch = blockIdx.x / tiles, tile = blockIdx.x % tiles;
  const First first(p, batch);
  const int64_t to = batch * p.m * p.n;
  multiply_tile<Tile, a_along_k, b_along_k>(rows_of_a(p, a + first.a), columns_of_b(p, b + first.b),
                                            tile / tiles_across * Tile::m, tile % tiles_across * Tile::n, p.k,
                                            [&](int64_t row, int64_t column, float sum) {
                                              if (row < p.m && column < p.n)
                                                keep(chain, p.kept.y, c, to + row * p.ldc + column, sum, row, column);
                                            });
}

// blockIdx.y: the part of k, whose sums go to `parts` if there are several.
template <class Tile, bool b_along_k, class A, int vector_a, class B, int vector_b>
__global__ void __launch_bounds__(Tile::threads)
    gemm_mma(const __grid_constant__ GemmProblem p, const A* a, const B* b, void* c, float* parts,
             const __grid_constant__ Epilogue chain) {
  const int64_t tiles_across = divide_up(p.n, Tile::n), tiles = divide_up(p.m, Tile::m) * tiles_across;
  const int64_t batch = blockIdx.x / tiles, tile = blockIdx.x % tiles, batches = p.batch[0] * p.batch[1] * p.batch[2];
  const First first(p, batch);
  const int64_t to = batch * p.m * p.n;
  float* part = parts + (blockIdx.y * batches + batch) * p.m * p.n;
  const int64_t length = split_length<Tile>(p.k, gridDim.y), k0 = blockIdx.y * length, k1 = k0 + length;
  multiply_mma<Tile, true, b_along_k>(rows_of_a<vector_a>(p, a + first.a), columns_of_b<vector_b>(p, b + first.b),
                                      tile / tiles_across * Tile::m, tile % tiles_across * Tile::n, k0,
                                      k1 < p.k ? k1 : p.k, [&](int64_t row, int64_t column, float sum) {
                                        if (row >= p.m || column >= p.n) return;
                                        if (gridDim.y > 1) part[row * p.n + column] = sum;
                                        else keep(chain, p.kept.y, c, to + row * p.ldc + column, sum, row, column);
                                      });
}

int64_t batches(const GemmProblem& p) { return p.batch[0] * p.batch[1] * p.batch[2]; }
template <class Tile> int64_t blocks_of(const GemmProblem& p) {
  return divide_up(p.m, Tile::m) * divide_up(p.n, Tile::n) * batches(p);
}

const char* refuse_layout(const GemmProblem& p) {
  if (p.ldc != p.n && batches(p) > 1) return "a batch whose results do not lie close";
  return refusal_of(p.chain, p.kept);
}
const char* refusal(const GemmProblem& p) {
  return p.half_b || p.kept.x != DType::f32 ? "an operand is not in f32" : refuse_layout(p);
}
template <class Tile> double cost(const GemmProblem& p) {
  return simt_cost<Tile>(double(p.m), double(p.n), double(p.k), double(batches(p)));
}
template <class Tile> Failure run(const GemmProblem& p, const GemmArgs& args, Stream* stream) {
  const int64_t blocks = blocks_of<Tile>(p);
  if (blocks == 0) return nullptr;
  if (blocks > INT32_MAX) return "a product of more tiles than a grid has";
  const Epilogue chain(p.chain, args.operands.data(), p.kept);
  const auto go = [&](auto kernel) {
    return launch<typename Tile::Shared>(kernel, unsigned(blocks), Tile::threads, stream, p,
                                         static_cast<const float*>(args.a), static_cast<const float*>(args.b), args.c,
                                         chain);
  };
  if (p.trans_a) return p.trans_b ? go(gemm_f32<Tile, false, true>) : go(gemm_f32<Tile, false, false>);
  return p.trans_b ? go(gemm_f32<Tile, true, true>) : go(gemm_f32<Tile, true, false>);
}

// Both operands run along k, and rows begin at 16 bytes.
bool runs_along_k(const GemmProblem& p) {
  const int64_t by_a = p.kept.x == DType::f32 ? 4 : 8, by_b = p.half_b ? 8 : 4, by = by_a > by_b ? by_a : by_b;
  bool runs = !p.trans_a && p.trans_b && p.lda % by_a == 0 && p.ldb % by_b == 0 && p.k % by == 0;
  for (int d = 0; d < 3; ++d) runs = runs && p.a_steps[d] % by_a == 0 && p.b_steps[d] % by_b == 0;
  return runs;
}
template <class Tile> int64_t splits_of(const GemmProblem& p) {
  return cuda::splits_of<Tile>(p.m, p.n, p.k, batches(p));
}
template <class Tile> const char* refuse_mma(const GemmProblem& p) {
  if (const char* reason = refuse_precision(p.precision, Tile::Type::precision)) return reason;
  if (const char* reason = refuse_kept(p.kept, Tile::Type::precision)) return reason;
  if (p.half_b && (sizeof(typename Tile::Element) != 2 || !runs_along_k(p))) return "a B that does not run along k";
  return refuse_layout(p);
}
template <class Tile> double cost_of_mma(const GemmProblem& p) {
  return mma_cost<Tile>(double(p.m), double(p.n), double(p.k), double(batches(p)));
}
template <class Tile> int64_t scratch_of_mma(const GemmProblem& p) {
  const int64_t splits = splits_of<Tile>(p);
  return splits > 1 ? splits * batches(p) * p.m * p.n * int64_t(sizeof(float)) : 0;
}
template <class Tile> Failure run_mma(const GemmProblem& p, const GemmArgs& args, Stream* stream) {
  using Element = typename Tile::Element;
  const int64_t blocks = blocks_of<Tile>(p), splits = splits_of<Tile>(p);
  if (blocks == 0) return nullptr;
  if (blocks > INT32_MAX) return "a product of more tiles than a grid has";
  const Epilogue chain(p.chain, args.operands.data(), p.kept);
  auto* parts = static_cast<float*>(args.scratch);
  const bool vectors = runs_along_k(p) && is_aligned(args.a) && is_aligned(args.b);
  // Of the types that A and B have in memory.
  const auto go = [&](auto of_a, auto of_b) {
    using A = decltype(of_a);
    using B = decltype(of_b);
    constexpr int vector_a = 16 / sizeof(A), vector_b = 16 / sizeof(B);
    return launch<typename Tile::Shared>(
        vectors ? gemm_mma<Tile, true, A, vector_a, B, vector_b> : gemm_mma<Tile, sizeof(B) == 2, A, 1, B, 1>,
        dim3(unsigned(blocks), unsigned(splits)), Tile::threads, stream, p, static_cast<const A*>(args.a),
        static_cast<const B*>(args.b), args.c, parts, chain);
  };
  const bool half_a = p.kept.x != DType::f32;
  Failure failure = nullptr;
  if constexpr (sizeof(Element) == 2) {
    if (half_a) failure = p.half_b ? go(Element{}, Element{}) : go(Element{}, float{});
    else failure = p.half_b ? go(float{}, Element{}) : go(float{}, float{});
  } else {
    failure = go(float{}, float{});
  }
  if (failure || splits == 1) return failure;
  constexpr int threads = 256;
  const int64_t rows = batches(p) * p.m;
  return launch<void>(sum_splits, blocks_for(rows * p.n, threads), threads, stream, chain, parts, splits, rows, p.n,
                      static_cast<const float*>(nullptr), p.kept.y, args.c, p.ldc);
}
template <class Tile> constexpr Row<GemmProblem, GemmArgs> mma_row(const char* name) {
  return {name, 80, Tile::m, refuse_mma<Tile>, cost_of_mma<Tile>, run_mma<Tile>, scratch_of_mma<Tile>};
}
}  // namespace

Family<GemmProblem, GemmArgs> gemm_family() {
  static constexpr Row<GemmProblem, GemmArgs> rows[] = {
      {"gemm_f32_cuda_128x128", 80, LargeTile::m, refusal, cost<LargeTile>, run<LargeTile>},
      {"gemm_f32_cuda_64x64", 80, SmallTile::m, refusal, cost<SmallTile>, run<SmallTile>},
      mma_row<MmaTile<Tf32, 128, 128, 2, 4>>("gemm_tf32_cuda_128x128"),
      mma_row<MmaTile<Tf32, 64, 64, 2, 2>>("gemm_tf32_cuda_64x64"),
      mma_row<MmaTile<Half, 128, 128, 2, 4>>("gemm_f16_cuda_128x128"),
      mma_row<MmaTile<Half, 64, 64, 2, 2>>("gemm_f16_cuda_64x64"),
      mma_row<MmaTile<Bfloat, 128, 128, 2, 4>>("gemm_bf16_cuda_128x128"),
      mma_row<MmaTile<Bfloat, 64, 64, 2, 2>>("gemm_bf16_cuda_64x64"),
  };
  return {rows, std::size(rows)};
}
}  // namespace kernels::cuda
