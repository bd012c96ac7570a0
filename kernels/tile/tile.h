// The register tile that gemm and conv are made of: rows × columns of C, reduced over k and over taps, for every
// instruction set behind one calling convention. gemm.cpp and conv.cpp hold the blocking; this holds the arithmetic.
//
//   C[r][n] = epilogue( (bias[n] or 0) + Σ over outer, taps, k of  A(outer, tap, r, k) * B[outer][tap][k][n]
//                       + (accumulate ? C[r][n] : 0) )
//   A(outer, tap, r, k) is at  a + outer * outer_step + tap.offset + r * lda + k * k_step
//
// summed in this order by fused multiply-adds where the instruction set has them, so that an element's value does not
// depend on the tile it lies in. C comes last: the error of a long reduction grows with the terms of a block, not with
// all of them. B is walked once in order [outer][tap][k][columns rounded up to whole vectors], or,
// when `direct`, is a plain matrix with b_stride from k to k. Packed rows of A lie in groups, [group][k][row of the group], with
// lda from group to group, and have one tap. A tap adds to the rows [first, last) only: the others
// would read padding.
#pragma once
#include <vector>
#include "kernels/pointwise/pointwise.h"
#include "kernels/precision.h"

namespace kernels::tile {
struct Tap {
  int64_t offset = 0;             // bytes
  int first = 0, last = 1 << 20;  // or the tile's last row
  int count = 1;  // of as many taps, each of k, that lie behind each other in A and in B: of max_tap_k in all, if not of all rows
  bool operator==(const Tap&) const = default;
};

// What code is specialised for.
struct Shape {
  int rows = 1;
  int vectors = 1;
  int tail = 0;             // columns in the last vector; 0: all
  bool accumulate = false;  // add C at the end
  bool bias = false;        // start from it; else from zero
  bool strided = false;  // k_step is read; else it is one float
  bool direct = false;
  bool packed = false;  // rows of A are: Backend::group
  int panels = 1;       // of B, side by side in C; `vectors` are those of all. More than one: see Backend::panels; B is packed
  std::vector<Tap> taps{{}};
  pointwise::Chain epilogue = {};
  schema::DType kept = schema::DType::f32;  // C and operands, for backends that take halves
  bool operator==(const Shape&) const = default;
};

struct Args {
  const float* a;  // of the backend's `precision`, and so is b, where they are packed
  const float* b;
  float* c;
  const float* bias;
  int64_t lda, ldc, b_stride, k_step, outer_step;  // bytes; b_stride: from k to k of a direct B, from panel to panel of several
  int64_t k;                                       // per tap
  int64_t outer;                                   // vertical taps
  int64_t tiles;  // consecutive tiles: the next rows, or the same rows of the next panels where these lie side by side
  pointwise::Cursor* cursors;  // advanced as tiles are finished, and so are b and bias from panels to panels
  const Shape* shape;
  // What will be read next, brought into the second-level cache along the way: [prefetch, prefetch_end). Advanced.
  const float *prefetch, *prefetch_end;
  // A generated tile's own, for what its registers do not hold.
  int64_t outer_left, operand_stride;
  const float* c_end;
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
  std::array<int, 5> max_rows;                               // by vectors; 0: no such tile
  int vectors;                                               // of a full panel, by default
  double cost;                                               // estimated cycles per multiply-add
  Tile (*make)(const Shape&);                                // false where executable memory is denied
  std::string (*epilogue_refusal)(const pointwise::Chain&);  // why the chain cannot be part of a tile, or empty
  // Where it pays to pack rows of A first: how many are a group, and what makes [line][k][row] of a group's rows,
  // whose lines of k floats are `step` apart.
  using Pack = void (*)(void* to, const void* const* rows, int64_t k, int64_t lines, int64_t step);
  int group = 0;
  Pack pack = nullptr;
  // The same of one line, where each row of the group begins `shift` floats, 1 or 2, behind the one before, as neighbouring pixels
  // of a plane do.
  void (*pack_shifted)(void* to, const float* row, int64_t k, int shift) = nullptr;
  // What A and B are packed as. Where that is not f32: tiles of packed rows only, whose sums are of that `precision`; and what
  // rounds numbers to it.
  Precision precision = Precision::f32;
  void (*narrow)(void* to, const float* from, int64_t n) = nullptr;
  std::array<int, 5> panels = {};  // what Shape::panels may be, by rows, where more than one pay
  Pack pack_halves = nullptr;  // of rows that are kept so; such a backend's tiles take C and operands that are kept so, too

  int64_t element() const { return narrow ? 2 : 4; }  // bytes of a packed number
  int64_t float_lanes() const { return lanes * element() / 4; }
};

// Why the backend does not serve who asks for operands of this precision, or empty.
inline std::string refusal(const Backend& backend, Precision asked) {
  return backend.precision == Precision::f32 || backend.precision == asked ? "" : "operands may not be rounded";
}

// Estimated cycles per multiply-add for so many columns: those past the last are computed for nothing, and a tile of one
// vector waits for its loads.
double cost(const Backend&, int64_t columns);

// The longest reduction per tap that a tile with taps is given: ahead-of-time tiles read padding from a row of zeros.
inline constexpr int64_t max_tap_k = 1024;

#define KERNEL(name, isa, backend) extern const Backend backend;
#include "kernels/tile/backends.inc"

// While it lives, tiles that this thread makes have so many vectors of columns where the backend can: for who has measured them. 0: as
// the backend has it.
class PanelPreference {
 public:
  explicit PanelPreference(int vectors) : before_(std::exchange(current, vectors)) {}
  ~PanelPreference() { current = before_; }
  PanelPreference(const PanelPreference&) = delete;
  PanelPreference& operator=(const PanelPreference&) = delete;
  static inline thread_local int current = 0;

 private:
  int before_;
};

// Columns cut into panels of `vectors` whole vectors; the last panel may have fewer, and a last vector of `tail`
// columns.
struct Panels {
  int lanes = 1, vectors = 1, count = 0, last_vectors = 0, tail = 0;
  // `stride` is that of A's rows in bytes: rows that share a set of the first-level cache want a tile of few rows. A has
  // `rows` next to each other.
  Panels(const Backend&, int64_t columns, int64_t stride, int64_t rows);
  int vectors_of(int panel) const { return panel == count - 1 ? last_vectors : vectors; }
  int width(int panel) const { return vectors_of(panel) * lanes; }
  int64_t column(int panel) const { return static_cast<int64_t>(panel) * vectors * lanes; }
  int64_t padded() const { return count ? column(count - 1) + width(count - 1) : 0; }
};

// Rows cut evenly: `larger` tiles of `rows` rows, then `smaller` of one row less.
struct RowSplit {
  int rows = 0;
  int64_t larger = 0, smaller = 0;
  RowSplit(int64_t total, int max_rows);
  int64_t tiles() const { return larger + smaller; }
  int64_t total() const { return tiles() * rows - smaller; }
  // Those of the first so many tiles, and tiles [from, to).
  int64_t before(int64_t tile) const { return tile * rows - std::max<int64_t>(0, tile - larger); }
  RowSplit part(int64_t from, int64_t to) const {
    RowSplit part = *this;
    part.larger = std::clamp<int64_t>(larger - from, 0, to - from), part.smaller = to - from - part.larger;
    return part;
  }
};

// The reduction cut into blocks of k: which tiles add to C, and which finish it.
struct KBlocks {
  int64_t k, block;
  int count() const { return k > 0 ? static_cast<int>((k + block - 1) / block) : 1; }
  int64_t begin(int i) const { return i * block; }
  int64_t size(int i) const { return std::min(block, k - begin(i)); }
  // `limit` divided evenly, in multiples of 16.
  static KBlocks even(int64_t k, int64_t limit);
};

// An epilogue, in the tile where the backend can, else a pass over finished rows.
struct Epilogue {
  pointwise::Chain in_tile;
  pointwise::Kernel pass;
  Epilogue(const Backend&, const pointwise::Chain&, const pointwise::KeptTypes& = {});
};

// The tiles of one panel width, by place in the reduction: the first block starts from bias, the last finishes.
enum class Place { only, first, middle, last };
inline Place place(int i, int count) {
  return count == 1 ? Place::only : i == 0 ? Place::first : i == count - 1 ? Place::last : Place::middle;
}
void set_place(Shape&, Place, bool bias, const pointwise::Chain& epilogue);
}  // namespace kernels::tile
