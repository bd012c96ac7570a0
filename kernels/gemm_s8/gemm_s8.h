// C[M,N] = A[M,K] · B[K,N] of signed bytes, in int32 that wraps, row-major. B is constant. Bytes of A may be unsigned: then each
// counts as 128 less. A row of A is one piece of K, or several, one for each tap of a convolution, that lie anywhere (Dukhan, "The
// Indirect Convolution Algorithm", 2019): then B has K rows for each of them in turn.
//
// A kernel is made for N and K, and serves every M and thread count. The packing of B depends on B, N, K and the row only.
#pragma once
#include "kernels/table.h"
#include "kernels/threads.h"

namespace kernels::gemm_s8 {
struct Spec {
  int64_t n = 0, k = 0;
  bool unsigned_a = false;
  int64_t taps = 1;
  static constexpr int64_t most_taps = 128;
};

// Rows of A in pieces: where tap t of row first + i begins, to[i * taps + t], for `count` rows.
class Rows {
 public:
  virtual ~Rows() = default;
  virtual void pieces(const std::byte** to, int64_t first, int64_t count) const = 0;
};

// C overlaps nothing else. Strides are in elements.
struct Args {
  const void* a = nullptr;
  int64_t lda = 0;
  const void* b;  // what pack_b wrote
  int32_t* c;
  int64_t ldc;
  int64_t m = 0;
  const Rows* rows = nullptr;  // instead of a and lda
};

class Gemm {
 public:
  virtual ~Gemm() = default;
  virtual size_t packed_bytes() const = 0;
  virtual void pack_b(const int8_t* b, int64_t ldb, void* to) const = 0;  // `to` is aligned to 16 bytes
  virtual void run(const Args&, ThreadPool&, int max_threads = 0) const = 0;
};

using Kernel = std::shared_ptr<const Gemm>;
using Row = kernels::Row<Spec, Kernel>;
using Choice = kernels::Choice<Kernel>;
std::span<const Row> rows();
Choice select(const Spec&, isa::Mask have = isa::detected());
// Whether an instruction makes more products of bytes than of floats: where it does not, what is exact in f32 is as fast there.
bool pays(isa::Mask have);
// Whether convolutions gain by that as well. On x86 nobody has measured it: their floats come sixteen to an instruction, at 95 % of peak.
#if defined(__aarch64__)
inline constexpr bool convolutions_pay = true;
#else
inline constexpr bool convolutions_pay = false;
#endif
}  // namespace kernels::gemm_s8
