#include "kernels/rnn/cells.h"
#include <cmath>
#include <cstring>
#include <utility>
#include "kernels/gemm/gemm.h"
#include "kernels/split.h"

namespace kernels::rnn {
namespace {
using schema::RnnKind;
constexpr int64_t line = 16;                // floats in a cache line
constexpr int64_t serial_work = 1 << 17;    // multiply-adds of a step below which one thread is sooner done: some 2 µs
int64_t padded(int64_t floats) { return round_up(floats, line); }

class ByCells final : public Rnn {
 public:
  ByCells(const Spec& spec, const Cell& cell, isa::Mask isa)
      : spec_(spec), cell_(cell), gates_(spec.gates()), blocks_(divide_up(spec.hidden, int64_t{cell.lanes})),
        from_x_(gemm::select({.n = gates_ * spec.hidden, .k = spec.input, .transposed_b = true, .bias = true}, isa).kernel) {}
  bool complete() const { return from_x_ != nullptr; }

  // w, its bias, r, and the bias that stays with r.
  size_t packed_bytes() const override { return static_cast<size_t>(at_last_bias() + blocks_ * cell_.lanes) * sizeof(float); }
  void pack(const float* w, const float* r, const float* wb, const float* rb, void* to) const override {
    auto* floats = static_cast<float*>(to);
    from_x_->pack_b(w, spec_.input, floats);
    const int64_t n = spec_.hidden, lanes = cell_.lanes, hidden_gate = spec_.kind == RnnKind::gru ? 2 : gates_;
    for (int64_t i = 0; i < gates_ * n; ++i) floats[at_bias() + i] = (wb ? wb[i] : 0) + (rb && i / n != hidden_gate ? rb[i] : 0);
    float* packed = floats + at_r();
    for (int64_t block = 0; block < blocks_; ++block)
      for (int64_t k = 0; k < n; ++k)
        for (int64_t g = 0; g < gates_; ++g)
          for (int64_t i = 0; i < lanes; ++i) {
            const int64_t unit = block * lanes + i;
            *packed++ = unit < n ? r[(g * n + unit) * n + k] : 0;
          }
    for (int64_t unit = 0; unit < blocks_ * lanes; ++unit)
      floats[at_last_bias() + unit] = rb && hidden_gate < gates_ && unit < n ? rb[hidden_gate * n + unit] : 0;
  }

  // The gates from x of all steps, and two states.
  size_t scratch_bytes(int64_t time, int64_t batch) const override {
    return static_cast<size_t>(padded(time * batch * gates_ * spec_.hidden) + 2 * padded(batch * spec_.hidden) + line) * sizeof(float);
  }

  void run(const Args& a, ThreadPool& pool, int threads) const override {
    const int64_t n = spec_.hidden, state = a.batch * n, rows = gates_ * n;
    auto* gates_x = reinterpret_cast<float*>(round_up(reinterpret_cast<int64_t>(a.scratch), line * int64_t{sizeof(float)}));
    float *now = gates_x + padded(a.time * a.batch * rows), *next = now + padded(state);
    const auto* packed = static_cast<const float*>(a.packed);
    from_x_->run({.a = a.x, .lda = spec_.input, .b = packed, .c = gates_x, .ldc = rows, .bias = packed + at_bias(), .m = a.time * a.batch}, pool, threads);
    const auto start = [&](float* to, const float* from) {
      if (!to || to == from) return;
      from ? std::copy_n(from, state, to) : std::fill_n(to, state, 0.0f);
    };
    start(now, a.h0), start(a.c, a.c0);
    const int most = a.batch * rows * n < serial_work ? 1 : threads;
    for (int64_t s = 0; s < a.time; ++s) {
      const int64_t step = a.reverse ? a.time - 1 - s : s;
      const CellArgs args{packed + at_r(), packed + at_last_bias(), gates_x + step * a.batch * rows, now, next, a.c, a.batch, n, 0, blocks_};
      const int64_t parts = std::min(blocks_, threads_of(pool, most));
      pool.run(parts, [&](int64_t part) {
        CellArgs some = args;
        some.block0 = blocks_ * part / parts, some.block1 = blocks_ * (part + 1) / parts;
        cell_.step(spec_.kind, some);
      }, most);
      if (a.y) std::copy_n(next, state, a.y + step * a.y_step);
      std::swap(now, next);
    }
    std::copy_n(now, state, a.h);
  }

 private:
  int64_t at_bias() const { return padded(static_cast<int64_t>(from_x_->packed_bytes() / sizeof(float))); }
  int64_t at_r() const { return at_bias() + padded(gates_ * spec_.hidden); }
  int64_t at_last_bias() const { return at_r() + blocks_ * cell_.lanes * gates_ * spec_.hidden; }

  Spec spec_;
  Cell cell_;
  int64_t gates_, blocks_;
  gemm::Kernel from_x_;
};

float sigmoid(float x) { return 1 / (1 + std::exp(-x)); }

// One unit at a time.
void scalar_step(RnnKind kind, const CellArgs& a) {
  const int64_t gates = kind == RnnKind::lstm ? 4 : kind == RnnKind::gru ? 3 : 1;
  for (int64_t unit = a.block0; unit < a.block1; ++unit)
    for (int64_t b = 0; b < a.batch; ++b) {
      const float *x = a.gates_x + b * gates * a.hidden + unit, *h = a.h + b * a.hidden, *r = a.r + unit * a.hidden * gates;
      float sum[4] = {};
      for (int64_t k = 0; k < a.hidden; ++k)
        for (int64_t g = 0; g < gates; ++g) sum[g] += r[k * gates + g] * h[k];
      const auto gate = [&](int64_t g) { return x[g * a.hidden] + sum[g]; };
      float& y = a.next[b * a.hidden + unit];
      if (kind == RnnKind::rnn) y = std::tanh(gate(0));
      if (kind == RnnKind::gru) {
        const float z = sigmoid(gate(0)), hidden = std::tanh(x[2 * a.hidden] + sigmoid(gate(1)) * (sum[2] + a.bias[unit]));
        y = hidden + z * (h[unit] - hidden);
      }
      if (kind == RnnKind::lstm) {
        float& c = a.c[b * a.hidden + unit];
        c = sigmoid(gate(2)) * c + sigmoid(gate(0)) * std::tanh(gate(3));
        y = sigmoid(gate(1)) * std::tanh(c);
      }
    }
}
}  // namespace

Support cells_support(const Spec& spec, double cost) {
  if (spec.input < 1 || spec.hidden < 1) return {0, "empty"};
  if (spec.kind == RnnKind::gru && !spec.linear_before_reset) return {0, "the reset gate is applied before the product"};
  return {cost, {}};
}
Kernel make_cells(const Spec& spec, const Cell& cell, isa::Mask isa) {
  auto kernel = std::make_shared<ByCells>(spec, cell, isa);
  return kernel->complete() ? kernel : nullptr;
}

Support scalar::supports(const Spec& spec) { return cells_support(spec, 16); }
Kernel scalar::make(const Spec& spec) { return make_cells(spec, {1, scalar_step}, isa::scalar); }
}  // namespace kernels::rnn
