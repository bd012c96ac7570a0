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
  int64_t keys = 0, size = 0, value_size = 0;  // rows of k and v, at most; columns of q and k, of v and y
  float scale = 1;
  float softcap = 0;            // c > 0: scaled scores become c · tanh(score / c)
  bool zero_if_masked = false;  // where the mask leaves a query no key at all, y is 0 instead of NaN
};

// Floats from one to the next; columns are contiguous.
struct Strides {
  int64_t batch = 0, head = 0, row = 0;
};
// The keys that query r sees: those up to its own place, position + r, if causal; the last `window` of the ones up to there, if that is
// not 0. Products leave out what no query of a block sees.
struct Sight {
  bool causal = false;
  int64_t position = 0, window = 0;
  int64_t end(int64_t r, int64_t keys) const { return causal ? std::clamp<int64_t>(position + r + 1, 0, keys) : keys; }
  int64_t begin(int64_t r) const { return window > 0 ? std::max<int64_t>(0, position + r + 1 - window) : 0; }
};

// y overlaps nothing else.
struct Args {
  const float *q, *k, *v;
  const float* mask = nullptr;  // one number per query and key, whose strides may be 0; or none
  float* y;
  Strides q_strides, k_strides, v_strides, mask_strides, y_strides;
  int64_t batch = 1, heads = 1, queries = 1;
  int64_t keys = -1;  // -1: all of the spec's
  Sight sight;
  int64_t shared = 1;       // heads of q that one head of k and v serves
  void* scratch = nullptr;  // scratch_bytes, aligned to 64 bytes
};

struct Functions {
  // Rows of n scores s, scaled, capped and masked, become exponentials, and 0 where row r, as query row0 + r, sees none;
  // inverse[r] is 1 over their sum. `masks`: from row to row.
  void (*softmax)(const Spec&, const Sight&, float* s, int64_t stride, int64_t row0, int64_t rows, int64_t n, const float* mask, int64_t masks, float* inverse);
  void (*scale)(float* y, int64_t stride, int64_t rows, int64_t n, const float* by);  // each row by its number
  // s[j] = q · k[j];  y = Σ p[j] · v[j], over n keys
  void (*dots)(const Spec&, const float* q, const float* k, int64_t stride, int64_t n, float* s);
  void (*mix)(const Spec&, const float* p, const float* v, int64_t stride, int64_t n, float* y);
};

class Kernel {
 public:
  Kernel() = default;
  // Products by the fastest gemm for `isa`.
  Kernel(const Spec&, const Functions&, isa::Mask isa);
  explicit operator bool() const { return scores_ && values_; }
  size_t scratch_bytes(int64_t queries) const;
  void run(const Args&, ThreadPool&, int max_threads = 0) const;

 private:
  void one(const Args&, int64_t batch, int64_t head, int64_t row0, int64_t row1, float* slot, ThreadPool&) const;
  int64_t packed_floats(int64_t queries) const;
  int64_t slot_floats(int64_t queries) const;

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
