// Products of matrices in f32 on the ordinary cores: a block makes a tile of C, each of its threads a part of that in
// registers. Tiles of A and B pass through two buffers of shared memory, so that one is filled while the other one is
// read. Every element of C is one sum in the order of k.
//
// An operand is a functor: row(r) and k(i) prepare what follows from one index alone, address(row, k) is where the
// element lies, or null for a zero.
#pragma once
#include "kernels/cuda/device.h"

namespace kernels::cuda {
template <int M_, int N_, int K_, int RowsPerThread, int ColumnsPerThread> struct SimtTile {
  static constexpr int m = M_, n = N_, k = K_, rows = RowsPerThread, columns = ColumnsPerThread;
  static constexpr int across = n / columns, threads = m / rows * across;
  static constexpr int pad = 4;  // keeps rows apart in the banks, and aligned
  struct Shared {
    float a[2][k][m + pad], b[2][k][n + pad];
  };
};

// Brings an operand's part of a tile to shared memory, [k][extent]. `along_k`: neighbouring threads take neighbours
// along k.
template <class Tile, int extent, bool along_k, class Operand> class TileLoader {
 public:
  __device__ TileLoader(const Operand& operand, int64_t first_row) : operand_(operand) {
    const int t = int(threadIdx.x);
#pragma unroll
    for (int s = 0; s < (along_k ? slots : 1); ++s)
      rows_[s] = operand.row(first_row + (along_k ? t / Tile::k + s * (Tile::threads / Tile::k) : t % extent));
  }
  __device__ void load(float (*to)[extent + Tile::pad], int64_t first_k) const {
    const int t = int(threadIdx.x);
    if constexpr (along_k) {
      const auto k = operand_.k(first_k + t % Tile::k);
#pragma unroll
      for (int s = 0; s < slots; ++s)
        copy(&to[t % Tile::k][t / Tile::k + s * (Tile::threads / Tile::k)], operand_.address(rows_[s], k));
    } else {
#pragma unroll
      for (int s = 0; s < slots; ++s) {
        const int k = t / extent + s * (Tile::threads / extent);
        copy(&to[k][t % extent], operand_.address(rows_[0], operand_.k(first_k + k)));
      }
    }
  }

 private:
  static constexpr int slots = extent * Tile::k / Tile::threads;
  static_assert(slots * Tile::threads == extent * Tile::k && Tile::threads % extent == 0 &&
                Tile::threads % Tile::k == 0);
  __device__ void copy(float* to, const float* from) const {
    copy_async<4>(to, from ? from : operand_.base, from != nullptr);
  }
  Operand operand_;
  typename Operand::Row rows_[along_k ? slots : 1];
};

// Calls store(row, column, sum) for each element of the tile of C from (row0, column0) on.
template <class Tile, bool a_along_k, bool b_along_k, class A, class B, class Store>
__device__ void multiply_tile(const A& a, const B& b, int64_t row0, int64_t column0, int64_t k, Store&& store) {
  auto& s = shared<typename Tile::Shared>();
  const TileLoader<Tile, Tile::m, a_along_k, A> load_a(a, row0);
  const TileLoader<Tile, Tile::n, b_along_k, B> load_b(b, column0);
  const int row = int(threadIdx.x) / Tile::across * Tile::rows,
            column = int(threadIdx.x) % Tile::across * Tile::columns;
  float sum[Tile::rows][Tile::columns] = {};
  load_a.load(s.a[0], 0), load_b.load(s.b[0], 0);
  commit_async();
  int now = 0;
  for (int64_t first = 0; first < k; first += Tile::k, now ^= 1) {
    if (first + Tile::k < k) load_a.load(s.a[now ^ 1], first + Tile::k), load_b.load(s.b[now ^ 1], first + Tile::k);
    commit_async();
    wait_async<1>();
    __syncthreads();
#pragma unroll
    for (int i = 0; i < Tile::k; ++i) {
      float from_a[Tile::rows], from_b[Tile::columns];
#pragma unroll
      for (int r = 0; r < Tile::rows; ++r) from_a[r] = s.a[now][i][row + r];
#pragma unroll
      for (int c = 0; c < Tile::columns; ++c) from_b[c] = s.b[now][i][column + c];
#pragma unroll
      for (int r = 0; r < Tile::rows; ++r)
#pragma unroll
        for (int c = 0; c < Tile::columns; ++c) sum[r][c] += from_a[r] * from_b[c];
    }
    __syncthreads();
  }
#pragma unroll
  for (int r = 0; r < Tile::rows; ++r)
#pragma unroll
    for (int c = 0; c < Tile::columns; ++c) store(row0 + row + r, column0 + column + c, sum[r][c]);
}

using LargeTile = SimtTile<128, 128, 8, 8, 8>;
using SmallTile = SimtTile<64, 64, 16, 4, 4>;

// Cycles of a multiprocessor for the tiles of an m × n × k product, by the multiply-adds of whole tiles and by how many
// processors have one. What the constants stand for has not been measured yet.
template <class Tile> double simt_cost(double m, double n, double k, double batches) {
  constexpr double processors = 108, per_cycle = 64, small_tiles_efficiency = 0.7;
  const double tiles = std::ceil(m / Tile::m) * std::ceil(n / Tile::n) * batches, waves = std::ceil(tiles / processors);
  return waves * Tile::m * Tile::n * k / per_cycle / (Tile::m >= 128 ? 1 : small_tiles_efficiency);
}
}  // namespace kernels::cuda
