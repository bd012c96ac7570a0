// The register tile that gemm and conv are made of: rows × columns of C, reduced over k and over taps, for every instruction
// set behind one calling convention. gemm.cpp and conv.cpp hold the blocking; this holds the arithmetic.
//
//   C[r][n] = epilogue( (accumulate ? C[r][n] : bias[n] or 0)
//                       + Σ over outer, taps, k of  A[outer * outer_step + tap.offset + r * lda + k * k_step] * B[...][k][n] )
//
// summed in this order by fused multiply-adds where the instruction set has them, so that an element's value does not depend
// on the tile it lies in. B is walked once in order [outer][tap][k][columns rounded up to whole vectors], or, when `direct`,
// is a plain matrix with b_stride from k to k. A tap adds to the rows [first, last) only: the others would read padding.
#pragma once
#include <vector>
#include "kernels/pointwise/pointwise.h"

namespace kernels::tile {
struct Tap {
  int64_t offset = 0;  // bytes
  int first = 0, last = 0;
  bool operator==(const Tap&) const = default;
};

// What code is specialised for.
struct Shape {
  int rows = 1;
  int vectors = 1;
  int tail = 0;             // columns in the last vector; 0: all
  bool accumulate = false;  // start from C; else from bias
  bool bias = false;
  bool strided = false;     // k_step is read; else it is one float
  bool direct = false;
  std::vector<Tap> taps{{}};
  pointwise::Chain epilogue;
  bool operator==(const Shape&) const = default;
};

struct Args {
  const float* a;
  const float* b;
  float* c;
  const float* bias;
  int64_t lda, ldc, b_stride, k_step, outer_step;  // bytes
  int64_t k;      // per tap
  int64_t outer;  // vertical taps
  int64_t tiles;  // consecutive tiles of `rows` rows
  pointwise::Cursor* cursors;  // advanced as rows are finished
  const Shape* shape;
};

struct Tile {
  using Function = void (*)(Args*);
  Function function = nullptr;
  std::shared_ptr<const Shape> shape;
  std::shared_ptr<const void> code;
  explicit operator bool() const { return function != nullptr; }
};

// One instruction set's tiles. Columns of a panel are lanes * vectors.
struct Backend {
  std::string_view name;
  isa::Mask isa;
  int lanes;
  std::array<int, 5> max_rows;  // by vectors; 0: no such tile
  int vectors;                  // of a full panel, by default
  Tile (*make)(const Shape&);   // false where executable memory is denied
  std::string (*epilogue_refusal)(const pointwise::Chain&);  // why the chain cannot be part of a tile, or empty
};

// The longest reduction per tap that a tile with taps is given: ahead-of-time tiles read padding from a row of zeros.
inline constexpr int64_t max_tap_k = 1024;

#define KERNEL(name, isa, backend) extern const Backend backend;
#include "kernels/tile/backends.inc"
}  // namespace kernels::tile
