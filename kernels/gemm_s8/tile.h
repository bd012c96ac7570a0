// The register tile of gemm_s8, for every instruction set: up to 8 rows of A by 8 columns of B, both packed in steps of 16 k, with
// zeros where K, M or N end inside a step.
//   A: [step][group of a_group k][row][k of the group]       B: [step][group of b_group k][column][k of the group]
#pragma once
#include <cstdint>

namespace kernels::gemm_s8 {
inline constexpr int most_rows = 8, columns = 8, step = 16;

struct TileArgs {
  const void *a, *b;
  int32_t* c;
  int64_t ldc;  // elements
  int64_t steps;
  int rows, columns;  // that are stored
  bool accumulate;    // add to C
};

struct Tile {
  int element;  // bytes of a packed number
  int a_group, b_group;
  int rows_together;  // A is packed in multiples of so many rows
  double cost;        // estimated cycles per multiply-add
  void (*by_rows[most_rows])(const TileArgs&);  // of packed rows, less 1; null where they are no multiple
};

#define KERNEL(name, isa, tile) extern const Tile tile;
#include "kernels/gemm_s8/kernels.inc"
}  // namespace kernels::gemm_s8
