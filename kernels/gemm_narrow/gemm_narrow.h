// C[M,N] = A[M,K] · Bᵀ in f32, row-major, where B [N,K] is constant and has few bits: bfloat16, or unsigned integers of 4 or 8 bits
// in blocks of a row, (b - zero) · scale. Few rows read B as it is stored, which a product with a vector waits for; for many, a panel
// of B becomes floats once, for the gemm family.
//
// A kernel is made for N, K and the block, and serves every M and thread count, with results that are the same to the bit for any
// thread count.
#pragma once
#include "kernels/gemm/gemm.h"
#include "kernels/split.h"
#include "kernels/table.h"
#include "kernels/threads.h"
#include "schema/dtypes.h"

namespace kernels::gemm_narrow {
struct Spec {
  int64_t n = 0, k = 0;
  schema::DType dtype = schema::DType::u4;  // u4, u8 or bf16
  int64_t block = 0;                        // of k, even; 0: no scales (bf16)
  int64_t blocks() const { return block ? divide_up(k, block) : 1; }
};

// C overlaps nothing else. Strides are in floats.
struct Args {
  const float* a;
  int64_t lda;
  const void* b;  // what pack wrote
  float* c;
  int64_t ldc;
  int64_t m = 0;
  void* scratch = nullptr;  // scratch_bytes, aligned to 64 bytes
};

// As many columns lie together: [block of k][pair of k, or k][column], then the block's scales, and its zero points as bytes.
constexpr int64_t panel = 32;
constexpr int64_t few = 4;  // rows

// Bytes of one panel's block of k.
struct Layout {
  int64_t weights, scales, zeros;
  explicit Layout(const Spec&, int64_t k);  // a block of k of them
  int64_t bytes() const { return weights + scales + zeros; }
};

struct Functions {
  // c[r][0 … panel) = Σ a[r][k] · b[k], over all blocks; sums[r][block] are those of a. `rows` <= few.
  void (*products)(const Spec&, const float* a, int64_t lda, const float* sums, const std::byte* b, float* c, int64_t rows);
  void (*floats)(const Spec&, const std::byte* b, float* to);  // to[k][panel]
};

class Kernel {
 public:
  Kernel() = default;
  Kernel(const Spec&, const Functions&, isa::Mask isa);
  explicit operator bool() const { return gemm_ != nullptr; }
  size_t packed_bytes() const;
  // b: rows of k elements as stored, two to a byte where they have 4 bits, the first in the low half, from row to row `ldb`
  // elements; scale and zero [n][blocks], zero like b's elements, one a byte; null: 0.
  void pack(const void* b, int64_t ldb, const float* scale, const uint8_t* zero, void* to) const;
  size_t scratch_bytes(int64_t m) const;
  void run(const Args&, ThreadPool&, int max_threads = 0) const;

 private:
  int64_t panel_bytes() const;
  int64_t panels() const { return divide_up(spec_.n, panel); }
  int64_t slot_floats() const;
  Spec spec_;
  Functions functions_ = {};
  gemm::Kernel gemm_;
  Slots slots_;
};

using Row = kernels::Row<Spec, Kernel>;
using Choice = kernels::Choice<Kernel>;

// Why no row takes the spec, or empty.
std::string invalid(const Spec&);

#define KERNEL(name, isa, tile, where) \
  namespace where { \
  Support supports(const Spec&); \
  Kernel make(const Spec&); \
  }
#include "kernels/gemm_narrow/kernels.inc"
std::span<const Row> rows();
Choice select(const Spec&, isa::Mask have = isa::detected());
}  // namespace kernels::gemm_narrow
