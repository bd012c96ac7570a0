// C[M,N] = epilogue(A[M,K] · B[K,N] + bias[N]) in f32, row-major.
//
// A kernel is made for N, K and the epilogue (Spec::rows: and is quick to make for one M), and serves every M, batch and thread count, with results that are the
// same to the bit for any thread count. Constant B is packed once; the packing depends on B, N, K and the row only.
// A row may round A and B as Spec::precision allows; C, the bias and the epilogue are in f32, but where C is kept as half.
#pragma once
#include "kernels/pointwise/pointwise.h"
#include "kernels/threads.h"
#include "kernels/tile/tile.h"

namespace kernels::gemm {
enum class B : uint8_t {
  packed,   // constant: pack_b once, give the result to every run
  dynamic,  // given to run as it is, with scratch_bytes of scratch
};

struct Spec {
  int64_t n = 0, k = 0;
  B b = B::packed;
  bool transposed_b = false;  // B is given as [N,K]
  bool bias = false;
  pointwise::Chain epilogue = {};  // rows and columns are those of C
  int64_t rows = 0;  // of A, where all runs have as many: only tiles of the heights that these are cut into are made. 0: any
  int64_t multiple = 0;  // where `rows` is 0, and runs have a multiple of so many rows, and one thread: the same. 0: any number
  bool shorter = false;  // a run may have fewer columns and a shorter reduction than these: see Args
  bool in_place = false;  // a constant B may stay as it is, for a kernel whose packed_bytes are 0: nobody else packs it
                          // for more rows
  Precision precision = Precision::f32;
  pointwise::KeptTypes kept = {};  // of A as x, of C as y, and of operands; a row refuses what it does not read or write
  bool operator==(const Spec&) const = default;
};

// Rows of A that are not in memory as such: made where they are packed, for a backend that packs them.
class Rows {
 public:
  static constexpr int64_t most_k = 320;  // at once
  virtual ~Rows() = default;
  // `count` rows from `first` on, k of each from k0 on, as the backend's groups: [group][k][row]. What stands for rows past the
  // last one, in its group, does not matter.
  virtual void pack(void* to, int64_t first, int64_t count, int64_t k0, int64_t k) const = 0;
};

// C overlaps nothing else. Strides are in elements. Pointers need the alignment of a float only.
struct Args {
  const float* a = nullptr;
  int64_t lda = 0;
  const void* b;    // what pack_b wrote, or the matrix itself
  int64_t ldb = 0;  // of a dynamic B, or one that stays where it is
  float* c;
  int64_t ldc;
  const float* bias = nullptr;  // N values
  const pointwise::Operand* operands = nullptr;
  int64_t m = 0;
  // Where Spec::shorter: how much of N and K there is, B being packed so. C's columns up to whole panels are written. -1: all.
  int64_t n = -1, k = -1;
  void* scratch = nullptr;  // scratch_bytes(m), any alignment
  const Rows* rows = nullptr;  // instead of a and lda
  const void* next = nullptr;  // the packed B of the next product, to be brought closer
};

class Gemm {
 public:
  virtual ~Gemm() = default;
  virtual size_t packed_bytes() const = 0;  // 0 when B is dynamic, or is read where it lies
  virtual size_t scratch_bytes(int64_t m) const = 0;
  // `to` needs the alignment of a float only. n, k: see Args.
  virtual void pack_b(const float* b, int64_t ldb, void* to, int64_t n = -1, int64_t k = -1) const = 0;
  virtual void run(const Args&, ThreadPool&, int max_threads = 0) const = 0;
  // Where a packed B has the first element of a column, in elements, and how many it is from k to k there. Up to the
  // next multiple of 4, columns lie side by side; those past N are zeros. Not of a B that is read where it lies.
  struct Panel {
    int64_t first, step;
  };
  virtual Panel panel(int64_t column) const = 0;
};

using Kernel = std::shared_ptr<const Gemm>;
using Row = kernels::Row<Spec, Kernel>;
using Choice = kernels::Choice<Kernel>;

// What a row makes, for other families that are matrix products at heart. `lda` is a hint: the stride A will have.
Kernel make(const tile::Backend&, const Spec&, int64_t lda);

std::span<const Row> rows();
Choice select(const Spec&, isa::Mask have = isa::detected());
}  // namespace kernels::gemm
