// Products of matrices on tensor cores: operands rounded to TF32, half or bfloat16, sums in f32. A block makes a tile
// of C, each of its warps a part of that in fragments (mma.sync, PTX ISA, "Warp-level matrix instructions"). Tiles of A
// and B pass through several buffers of shared memory, [row of A or column of B][k]; rows are 80 bytes apart, which
// ldmatrix reads without conflicts. Where memory has the type that is multiplied, cp.async fills them; else elements
// are rounded on the way.
//
// An operand is a functor as for simt_tile.h, whose address(row, k) is that of `vector` elements along k, or null:
// zeros. Every element of C is one sum in an order that the problem alone fixes.
#pragma once
#include "kernels/cuda/numbers.h"

namespace kernels::cuda {
// What a product multiplies, and how it is kept in shared memory.
struct Tf32 {
  using Element = float;
  static constexpr Precision precision = Precision::tf32;
  static constexpr int k = 8;                            // of an instruction
  __device__ static Element from(float x) { return x; }  // rounded in fragments
  __device__ static uint32_t loaded(uint32_t x) { return round_tf32(x); }
  __device__ static void multiply(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) { mma_tf32(d, a, b); }
};
struct Half {
  using Element = uint16_t;
  static constexpr Precision precision = Precision::f16;
  static constexpr int k = 16;
  __device__ static Element from(float x) { return to_half_saturated(x); }
  __device__ static uint32_t loaded(uint32_t x) { return x; }
  __device__ static void multiply(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) { mma_f16(d, a, b); }
};
struct Bfloat {
  using Element = uint16_t;
  static constexpr Precision precision = Precision::bf16;
  static constexpr int k = 16;
  __device__ static Element from(float x) { return to_bfloat_saturated(x); }
  __device__ static uint32_t loaded(uint32_t x) { return x; }
  __device__ static void multiply(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) { mma_bf16(d, a, b); }
};

template <class Type_, int M_, int N_, int WarpsDown, int WarpsAcross> struct MmaTile {
  using Type = Type_;
  using Element = typename Type::Element;
  static constexpr int m = M_, n = N_, stages = 3, threads = 32 * WarpsDown * WarpsAcross;
  static constexpr int k = 64 / sizeof(Element), pitch = 80 / sizeof(Element);
  static constexpr int warp_m = m / WarpsDown, warp_n = n / WarpsAcross, across = WarpsAcross;
  static constexpr int down_fragments = warp_m / 16, across_fragments = warp_n / 8;
  static_assert(across_fragments % 2 == 0);
  struct Shared {
    Element a[stages][m][pitch], b[stages][n][pitch];
  };
};

// Brings an operand's part of a tile to shared memory. `along_k`: neighbouring threads take neighbours along k.
template <class Tile, int extent, bool along_k, class Operand> class MmaLoader {
 public:
  __device__ MmaLoader(const Operand& operand, int64_t first_row) : operand_(operand) {
#pragma unroll
    for (int s = 0; s < (along_k ? slots : 1); ++s) rows_[s] = operand.row(first_row + row_of(s));
  }
  // What a thread brings is of one k, or of one row.
  __device__ void load(typename Tile::Element (*to)[Tile::pitch], int64_t first_k) const {
    if constexpr (along_k) {
      const auto k = operand_.k(first_k + k_of(0));
#pragma unroll
      for (int s = 0; s < slots; ++s) copy(&to[row_of(s)][k_of(0)], operand_.address(rows_[s], k));
    } else {
#pragma unroll
      for (int s = 0; s < slots; ++s)
        copy(&to[row_of(0)][k_of(s)], operand_.address(rows_[0], operand_.k(first_k + k_of(s))));
    }
  }

 private:
  using Element = typename Tile::Element;
  using Source = std::remove_const_t<std::remove_pointer_t<decltype(Operand::base)>>;
  static constexpr int vector = Operand::vector, vectors = Tile::k / vector, slots = extent * vectors / Tile::threads;
  static_assert(slots * Tile::threads == extent * vectors && Tile::threads % vectors == 0 &&
                Tile::threads % extent == 0 && (along_k || vector == 1));
  __device__ static int row_of(int s) {
    const int t = int(threadIdx.x);
    return along_k ? t / vectors + s * (Tile::threads / vectors) : t % extent;
  }
  __device__ static int k_of(int s) {
    const int t = int(threadIdx.x);
    return along_k ? t % vectors * vector : t / extent + s * (Tile::threads / extent);
  }
  __device__ void copy(Element* to, const Source* from) const {
    if constexpr (std::is_same_v<Source, Element> && vector * sizeof(Element) >= 4) {
      copy_async<vector* int(sizeof(Element))>(to, from ? from : operand_.base, from != nullptr);
    } else {
#pragma unroll
      for (int i = 0; i < vector; ++i) {
        if constexpr (std::is_same_v<Source, Element>) to[i] = from ? from[i] : Element(0);
        else to[i] = from ? Tile::Type::from(from[i]) : Element(0);
      }
    }
  }
  Operand operand_;
  typename Operand::Row rows_[along_k ? slots : 1];
};

// Calls store(row, column, sum) for each element of the tile of C from (row0, column0) on, of the products of k in [k0,
// k1), where k0 is a multiple of Tile::k.
template <class Tile, bool a_along_k, bool b_along_k, class A, class B, class Store>
__device__ void multiply_mma(const A& a, const B& b, int64_t row0, int64_t column0, int64_t k0, int64_t k1,
                             Store&& store) {
  auto& s = shared<typename Tile::Shared>();
  const MmaLoader<Tile, Tile::m, a_along_k, A> load_a(a, row0);
  const MmaLoader<Tile, Tile::n, b_along_k, B> load_b(b, column0);
  const int lane = int(threadIdx.x) % 32, warp = int(threadIdx.x) / 32;
  const int down = warp / Tile::across * Tile::warp_m, right = warp % Tile::across * Tile::warp_n;
  float sum[Tile::down_fragments][Tile::across_fragments][4] = {};
  const auto fetch = [&](int stage, int64_t first) {
    if (first < k1) load_a.load(s.a[stage], first), load_b.load(s.b[stage], first);
    commit_async();
  };
  for (int i = 0; i + 1 < Tile::stages; ++i) fetch(i, k0 + i * Tile::k);
  int now = 0;
  for (int64_t first = k0; first < k1; first += Tile::k) {
    wait_async<Tile::stages - 2>();
    __syncthreads();  // this tile is there, and the one before has been read
    fetch((now + Tile::stages - 1) % Tile::stages, first + (Tile::stages - 1) * Tile::k);
#pragma unroll
    for (int i = 0; i < Tile::k; i += Tile::Type::k) {
      constexpr int half = Tile::Type::k / 2;  // 16 bytes
      uint32_t from_a[Tile::down_fragments][4], from_b[Tile::across_fragments][2];
#pragma unroll
      for (int r = 0; r < Tile::down_fragments; ++r) {
        load_matrices(from_a[r], &s.a[now][down + r * 16 + lane % 16][i + lane / 16 * half]);
        for (uint32_t& x : from_a[r]) x = Tile::Type::loaded(x);
      }
#pragma unroll
      for (int c = 0; c < Tile::across_fragments; c += 2) {
        uint32_t two[4];
        load_matrices(two, &s.b[now][right + c * 8 + lane % 8 + lane / 16 * 8][i + lane / 8 % 2 * half]);
        for (int j = 0; j < 4; ++j) from_b[c + j / 2][j % 2] = Tile::Type::loaded(two[j]);
      }
#pragma unroll
      for (int r = 0; r < Tile::down_fragments; ++r)
#pragma unroll
        for (int c = 0; c < Tile::across_fragments; ++c) Tile::Type::multiply(sum[r][c], from_a[r], from_b[c]);
    }
    now = (now + 1) % Tile::stages;
  }
#pragma unroll
  for (int r = 0; r < Tile::down_fragments; ++r)
#pragma unroll
    for (int c = 0; c < Tile::across_fragments; ++c)
#pragma unroll
      for (int i = 0; i < 4; ++i)
        store(row0 + down + r * 16 + lane / 4 + i / 2 * 8, column0 + right + c * 8 + lane % 4 * 2 + i % 2,
              sum[r][c][i]);
}

// Into how many parts k is divided where tiles of C are too few to fill a device: fixed by the problem, and summed in
// order.
template <class Tile> int64_t splits_of(int64_t m, int64_t n, int64_t k, int64_t batches) {
  constexpr int64_t processors = 108, most = 16, least_steps = 8;
  const int64_t tiles = divide_up(m, Tile::m) * divide_up(n, Tile::n) * batches, steps = divide_up(k, Tile::k);
  if (tiles == 0) return 1;
  const int64_t wanted = processors / tiles, can = steps / least_steps;
  const int64_t splits = wanted < can ? wanted : can;
  return splits < 1 ? 1 : splits < most ? splits : most;
}
template <class Tile> __host__ __device__ int64_t split_length(int64_t k, int64_t splits) {
  return divide_up(divide_up(k, Tile::k), splits) * Tile::k;
}

// Cycles of a multiprocessor; see simt_cost. What the constants stand for has not been measured yet.
template <class Tile> double mma_cost(double m, double n, double k, double batches) {
  constexpr double processors = 108, small_tiles_efficiency = 0.6;
  const double per_cycle = Tile::Type::k * 64.0;  // 512 TF32, 1024 half
  const auto splits = double(splits_of<Tile>(int64_t(m), int64_t(n), int64_t(k), int64_t(batches)));
  const double tiles = std::ceil(m / Tile::m) * std::ceil(n / Tile::n) * batches * splits;
  return std::ceil(tiles / processors) * Tile::m * Tile::n * (k / splits) / per_cycle /
         (Tile::m >= 128 ? 1 : small_tiles_efficiency);
}
}  // namespace kernels::cuda
