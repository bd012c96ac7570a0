// The tiles of neon_fp16.cpp, for the Backend in neon.cpp.
#pragma once
#include "kernels/tile/tile.h"

namespace kernels::tile {
struct HalfTiles {
  static constexpr int lanes = 8, most_rows = 8, group = 4;
  const Tile::Function* by_rows[4];  // by columns, of four each, less one; by rows, less one
  Backend::Pack pack, pack_halves;
  void (*pack_shifted)(void* to, const float* row, int64_t k, int shift);
  void (*narrow)(void* to, const float* from, int64_t n);
};
extern const HalfTiles half_tiles;
}  // namespace kernels::tile
