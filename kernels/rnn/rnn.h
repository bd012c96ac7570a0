// One direction of a recurrent net in f32, with the activations that each kind has by default.
//
// x [T,B,I]; w [G*H,I], r [G*H,H], biases wb, rb [G*H]: G gates, in ONNX's order (lstm: input, output, forget, cell; gru:
// update, reset, hidden). The products with x of all steps are one gemm ahead of the recurrence.
#pragma once
#include "kernels/table.h"
#include "kernels/threads.h"
#include "schema/dtypes.h"

namespace kernels::rnn {
struct Spec {
  schema::RnnKind kind = schema::RnnKind::lstm;
  int64_t input = 0, hidden = 0;
  bool linear_before_reset = false;  // gru
  int64_t gates() const { return kind == schema::RnnKind::lstm ? 4 : kind == schema::RnnKind::gru ? 3 : 1; }
};

// Nothing overlaps but h and h0, c and c0, which may be the same.
struct Args {
  const float* x;
  int64_t time, batch;
  bool reverse = false;  // from the last step to the first
  const int64_t* lengths = nullptr;  // [B], at most `time` each: steps of a sequence, whose h and c are those after its last one. y is not written past it
  const float *h0 = nullptr, *c0 = nullptr;  // [B,H]; null: zeros
  float* y = nullptr;                        // [T,·,B,H] with `y_step` floats from step to step; null: not wanted
  int64_t y_step = 0;
  float *h, *c = nullptr;                    // [B,H], after the last step; c for lstm only
  const void* packed;                        // what pack wrote
  void* scratch;                             // scratch_bytes
};

class Rnn {
 public:
  virtual ~Rnn() = default;
  virtual size_t packed_bytes() const = 0;
  // wb and rb may be null: zeros.
  virtual void pack(const float* w, const float* r, const float* wb, const float* rb, void* to) const = 0;
  virtual size_t scratch_bytes(int64_t time, int64_t batch) const = 0;
  virtual void run(const Args&, ThreadPool&, int max_threads = 0) const = 0;
};

using Kernel = std::shared_ptr<const Rnn>;
using Row = kernels::Row<Spec, Kernel>;
using Choice = kernels::Choice<Kernel>;

#define KERNEL(name, isa, tile, where)  \
  namespace where {                     \
  Support supports(const Spec&);        \
  Kernel make(const Spec&);             \
  }
#include "kernels/rnn/kernels.inc"
std::span<const Row> rows();
Choice select(const Spec&, isa::Mask have = isa::detected());
}  // namespace kernels::rnn
