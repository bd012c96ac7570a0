#include "kernels/cuda/epilogue.h"
#include "kernels/cuda/families.h"
#include "kernels/cuda/simt_tile.h"

namespace kernels::cuda {
namespace {
// A matrix whose rows (or columns, of B) and k lie at strides.
struct Strided {
  const float* base;
  int64_t row_step, k_step, rows, ks;
  using Row = int64_t;  // floats from the base; -1: outside
  using K = int64_t;
  __device__ Row row(int64_t r) const { return r < rows ? r * row_step : -1; }
  __device__ K k(int64_t i) const { return i < ks ? i * k_step : -1; }
  __device__ const float* address(Row r, K i) const { return r < 0 || i < 0 ? nullptr : base + r + i; }
};

template <class Tile, bool a_along_k, bool b_along_k>
__global__ void __launch_bounds__(Tile::threads)
    gemm_f32(GemmProblem p, const float* a, const float* b, float* c, const __grid_constant__ Epilogue chain) {
  const int64_t tiles_across = divide_up(p.n, Tile::n), tiles = divide_up(p.m, Tile::m) * tiles_across;
  int64_t i = blockIdx.x / tiles, a_first = 0, b_first = 0;
  const int64_t batch = i, tile = blockIdx.x % tiles;
  for (int d = 3; d-- > 0; i /= p.batch[d])
    a_first += i % p.batch[d] * p.a_steps[d], b_first += i % p.batch[d] * p.b_steps[d];
  const Strided from_a{a + a_first, p.trans_a ? 1 : p.lda, p.trans_a ? p.lda : 1, p.m, p.k};
  const Strided from_b{b + b_first, p.trans_b ? p.ldb : 1, p.trans_b ? 1 : p.ldb, p.n, p.k};
  float* to = c + batch * p.m * p.n;
  multiply_tile<Tile, a_along_k, b_along_k>(from_a, from_b, tile / tiles_across * Tile::m,
                                            tile % tiles_across * Tile::n, p.k,
                                            [&](int64_t row, int64_t column, float sum) {
                                              if (row < p.m && column < p.n)
                                                to[row * p.ldc + column] = apply(chain, sum, row, column);
                                            });
}

int64_t batches(const GemmProblem& p) { return p.batch[0] * p.batch[1] * p.batch[2]; }

const char* refusal(const GemmProblem& p) {
  if (p.ldc != p.n && batches(p) > 1) return "a batch whose results do not lie close";
  return refusal_of(p.chain);
}
template <class Tile> double cost(const GemmProblem& p) {
  return simt_cost<Tile>(double(p.m), double(p.n), double(p.k), double(batches(p)));
}
template <class Tile> Failure run(const GemmProblem& p, const GemmArgs& args, Stream* stream) {
  const int64_t blocks = divide_up(p.m, Tile::m) * divide_up(p.n, Tile::n) * batches(p);
  if (blocks == 0) return nullptr;
  if (blocks > INT32_MAX) return "a product of more tiles than a grid has";
  const Epilogue chain(p.chain, args.operands.data());
  const auto go = [&](auto kernel) {
    return launch<typename Tile::Shared>(kernel, unsigned(blocks), Tile::threads, stream, p, args.a, args.b, args.c,
                                         chain);
  };
  if (p.trans_a) return p.trans_b ? go(gemm_f32<Tile, false, true>) : go(gemm_f32<Tile, false, false>);
  return p.trans_b ? go(gemm_f32<Tile, true, true>) : go(gemm_f32<Tile, true, false>);
}
}  // namespace

Family<GemmProblem, GemmArgs> gemm_family() {
  static constexpr Row<GemmProblem, GemmArgs> rows[] = {
      {"gemm_f32_cuda_128x128", 80, LargeTile::m, refusal, cost<LargeTile>, run<LargeTile>},
      {"gemm_f32_cuda_64x64", 80, SmallTile::m, refusal, cost<SmallTile>, run<SmallTile>},
  };
  return {rows, std::size(rows)};
}
}  // namespace kernels::cuda
