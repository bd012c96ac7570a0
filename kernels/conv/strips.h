// Convolutions one after the other, by strips of rows: what lies between them stays in the cache. Each row of each is
// computed as if it ran alone, with results that are the same to the bit.
#pragma once
#include "kernels/conv/conv.h"
#include "kernels/split.h"

namespace kernels::conv {
// Its x is the y of the link before it, with the same pitch, kept as the same type.
struct Link {
  Spec spec;
  Kernel kernel;  // takes rows
};
// y overlaps nothing else; a `full` operand is as large as the link's own y.
struct StripArgs {
  struct Weights {
    const void* w;
    const float* bias;
    const pointwise::Operand* operands;
  };
  const float* x;  // of the first link
  const Weights* weights;  // by link
  float* y;                // of the last
  int64_t batch = 1, height = 0;  // of x
  void* scratch = nullptr;        // scratch_bytes(), aligned to 64 bytes
};

class Strips {
 public:
  static constexpr size_t most = 8;  // links
  // Why links cannot be run so, or empty.
  static std::string refusal(std::span<const Link>);
  explicit Strips(std::vector<Link>);
  size_t scratch_bytes() const;
  void run(const StripArgs&, ThreadPool&, int max_threads = 0) const;

 private:
  int64_t in_rows(size_t link, int64_t rows) const;  // that so many rows of y are made of, within the padding
  int64_t slot_bytes() const;
  int64_t kept_bytes(size_t link) const;
  void run_band(const StripArgs&, const int64_t* heights, std::byte* slot, int64_t image, int64_t row0, int64_t row1, ThreadPool&) const;

  std::vector<Link> links_;
  std::vector<int64_t> capacity_;  // by link but the last: rows of its y that are kept
  int64_t strip_ = 1;              // rows of the last y at a time
  Slots slots_;
};
}  // namespace kernels::conv
