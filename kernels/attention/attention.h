// y = softmax(scale · q · kᵀ + mask) · v in f32, for each of a batch and each head (Vaswani et al., "Attention Is All You
// Need", 2017, section 3.2.1). Scores exist for a block of queries and all keys at a time, in the second-level cache, never as
// a whole; a row is divided by its sum after the product with v. Results are the same to the bit for any thread count.
#pragma once
#include "kernels/gemm/gemm.h"
#include "kernels/split.h"
#include "kernels/table.h"
#include "kernels/threads.h"

namespace kernels::attention {
struct Spec {
  int64_t keys = 0, size = 0, value_size = 0;  // rows of k and v; columns of q and k, of v and y
  float scale = 1;
  bool zero_if_masked = false;  // where the mask leaves a query no key at all, y is 0 instead of NaN
};

// Floats from one to the next; columns are contiguous.
struct Strides {
  int64_t batch = 0, head = 0, row = 0;
};
// y overlaps nothing else.
struct Args {
  const float *q, *k, *v;
  const float* mask = nullptr;  // one number per query and key, whose strides may be 0; or none
  float* y;
  Strides q_strides, k_strides, v_strides, mask_strides, y_strides;
  int64_t batch = 1, heads = 1, queries = 1;
  int64_t shared = 1;       // heads of q that one head of k and v serves
  void* scratch = nullptr;  // scratch_bytes, aligned to 64 bytes
};

struct Functions {
  // Rows of scores s, scaled and masked, become exponentials; inverse[r] is 1 over their sum. `masks`: from row to row.
  void (*softmax)(const Spec&, float* s, int64_t stride, int64_t rows, const float* mask, int64_t masks, float* inverse);
  void (*scale)(float* y, int64_t stride, int64_t rows, int64_t n, const float* by);  // each row by its number
  // s[j] = q · k[j];  y = Σ p[j] · v[j]
  void (*dots)(const Spec&, const float* q, const float* k, int64_t stride, float* s);
  void (*mix)(const Spec&, const float* p, const float* v, int64_t stride, float* y);
};

class Kernel {
 public:
  Kernel() = default;
  // Products by the fastest gemm for `isa`.
  Kernel(const Spec&, const Functions&, isa::Mask isa);
  explicit operator bool() const { return scores_ && values_; }
  size_t scratch_bytes() const;
  void run(const Args&, ThreadPool&, int max_threads = 0) const;

 private:
  void one(const Args&, int64_t batch, int64_t head, int64_t row0, int64_t row1, float* slot, ThreadPool&) const;
  int64_t slot_floats() const;

  Spec spec_;
  Functions functions_ = {};
  gemm::Kernel scores_, values_;
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
#include "kernels/attention/kernels.inc"
std::span<const Row> rows();
Choice select(const Spec&, isa::Mask have = isa::detected());
}  // namespace kernels::attention
