#include "kernels/rnn/cells.h"
#include <cmath>
#include <cstring>
#include <utility>
#include <vector>
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
        from_x_(gemm::select({.n = gates_ * spec.hidden, .k = spec.input, .transposed_b = true, .bias = true}, isa).kernel) {
    if (resets_first()) passes_ = {Pass::gru_gates, Pass::gru_hidden};
    else passes_ = {spec.kind == RnnKind::lstm ? Pass::lstm : spec.kind == RnnKind::gru ? Pass::gru : Pass::rnn};
  }
  bool complete() const { return from_x_ != nullptr; }

  // w, its bias, r of each pass, and the bias that stays with r.
  size_t packed_bytes() const override { return static_cast<size_t>(at_last_bias() + blocks_ * cell_.lanes) * sizeof(float); }
  void pack(const float* w, const float* r, const float* wb, const float* rb, void* to) const override {
    auto* floats = static_cast<float*>(to);
    from_x_->pack_b(w, spec_.input, floats);
    const int64_t n = spec_.hidden, lanes = cell_.lanes, hidden_gate = spec_.kind == RnnKind::gru && !resets_first() ? 2 : gates_;
    for (int64_t i = 0; i < gates_ * n; ++i) floats[at_bias() + i] = (wb ? wb[i] : 0) + (rb && i / n != hidden_gate ? rb[i] : 0);
    float* packed = floats + at_r();
    int64_t first_gate = 0;
    for (const Pass pass : passes_) {
      for (int64_t block = 0; block < blocks_; ++block)
        for (int64_t k = 0; k < n; ++k)
          for (int64_t g = first_gate; g < first_gate + gates_of(pass); ++g)
            for (int64_t i = 0; i < lanes; ++i) {
              const int64_t unit = block * lanes + i;
              *packed++ = unit < n ? r[(g * n + unit) * n + k] : 0;
            }
      first_gate += gates_of(pass);
    }
    for (int64_t unit = 0; unit < blocks_ * lanes; ++unit)
      floats[at_last_bias() + unit] = rb && hidden_gate < gates_ && unit < n ? rb[hidden_gate * n + unit] : 0;
  }

  // The gates from x of all steps, two states, and what one pass leaves to the next.
  size_t scratch_bytes(int64_t time, int64_t batch) const override {
    return static_cast<size_t>(padded(time * batch * gates_ * spec_.hidden) + (resets_first() ? 4 : 2) * padded(batch * spec_.hidden) + line) * sizeof(float);
  }

  void run(const Args& a, ThreadPool& pool, int threads) const override {
    const int64_t n = spec_.hidden, state = a.batch * n, rows = gates_ * n;
    auto* gates_x = reinterpret_cast<float*>(round_up(reinterpret_cast<int64_t>(a.scratch), line * int64_t{sizeof(float)}));
    float *now = gates_x + padded(a.time * a.batch * rows), *next = now + padded(state), *update = next + padded(state), *reset = update + padded(state);
    const auto* packed = static_cast<const float*>(a.packed);
    from_x_->run({.a = a.x, .lda = spec_.input, .b = packed, .c = gates_x, .ldc = rows, .bias = packed + at_bias(), .m = a.time * a.batch}, pool, threads);
    const auto start = [&](float* to, const float* from) {
      if (!to || to == from) return;
      from ? std::copy_n(from, state, to) : std::fill_n(to, state, 0.0f);
    };
    start(now, a.h0), start(a.c, a.c0);
    const int most = a.batch * rows * n < serial_work ? 1 : threads;
    const auto length = [&](int64_t b) { return a.lengths ? a.lengths[b] : a.time; };
    for (int64_t s = 0; s < a.time; ++s) {
      // Neighbouring sequences that have a step of the same number go together.
      for (int64_t b = 0, end; b < a.batch; b = end) {
        const int64_t steps = length(b), step = a.reverse ? steps - 1 - s : s, at = b * n;
        const auto same = [&](int64_t other) { return s < steps ? s < length(other) && (!a.reverse || length(other) == steps) : s >= length(other); };
        for (end = b + 1; end < a.batch && same(end);) ++end;
        if (s >= steps) {
          std::copy_n(now + at, (end - b) * n, next + at);
          continue;
        }
        CellArgs args{packed + at_r(), packed + at_last_bias(), gates_x + (step * a.batch + b) * rows, now + at, next + at, a.c ? a.c + at : nullptr};
        args.update = update + at, args.reset = reset + at, args.batch = end - b, args.hidden = n;
        args.last_first = s % 2;  // what a step read last is in a cache still, where that holds a little less than all weights
        const int64_t parts = std::min(blocks_, threads_of(pool, most));
        for (const Pass pass : passes_) {
          pool.run(parts, [&](int64_t part) {
            CellArgs some = args;
            some.block0 = blocks_ * part / parts, some.block1 = blocks_ * (part + 1) / parts;
            cell_.run(pass, some);
          }, most);
          args.r += blocks_ * cell_.lanes * n * gates_of(pass);
        }
        if (a.y) std::copy_n(next + at, (end - b) * n, a.y + step * a.y_step + at);
      }
      std::swap(now, next);
    }
    std::copy_n(now, state, a.h);
  }

 private:
  bool resets_first() const { return spec_.kind == RnnKind::gru && !spec_.linear_before_reset; }
  int64_t at_bias() const { return padded(static_cast<int64_t>(from_x_->packed_bytes() / sizeof(float))); }
  int64_t at_r() const { return at_bias() + padded(gates_ * spec_.hidden); }
  int64_t at_last_bias() const { return at_r() + blocks_ * cell_.lanes * gates_ * spec_.hidden; }

  Spec spec_;
  Cell cell_;
  int64_t gates_, blocks_;
  std::vector<Pass> passes_;
  gemm::Kernel from_x_;
};

float sigmoid(float x) { return 1 / (1 + std::exp(-x)); }

// One unit at a time.
void scalar_pass(Pass pass, const CellArgs& a) {
  const int64_t gates = gates_of(pass), all = all_gates_of(pass);
  for (int64_t unit = a.block0; unit < a.block1; ++unit)
    for (int64_t b = 0; b < a.batch; ++b) {
      const int64_t at = b * a.hidden + unit;
      const float *x = a.gates_x + b * all * a.hidden + unit, *h = (pass == Pass::gru_hidden ? a.reset : a.h) + b * a.hidden, *r = a.r + unit * a.hidden * gates;
      float sum[4] = {};
      for (int64_t k = 0; k < a.hidden; ++k)
        for (int64_t g = 0; g < gates; ++g) sum[g] += r[k * gates + g] * h[k];
      const auto gate = [&](int64_t g) { return x[g * a.hidden] + sum[g]; };
      const auto mixed = [&](float update, float hidden) { return hidden + update * (a.h[at] - hidden); };
      switch (pass) {
        case Pass::rnn: a.next[at] = std::tanh(gate(0)); break;
        case Pass::gru: a.next[at] = mixed(sigmoid(gate(0)), std::tanh(x[2 * a.hidden] + sigmoid(gate(1)) * (sum[2] + a.bias[unit]))); break;
        case Pass::gru_gates: a.update[at] = sigmoid(gate(0)), a.reset[at] = sigmoid(gate(1)) * a.h[at]; break;
        case Pass::gru_hidden: a.next[at] = mixed(a.update[at], std::tanh(x[2 * a.hidden] + sum[0])); break;
        case Pass::lstm:
          a.c[at] = sigmoid(gate(2)) * a.c[at] + sigmoid(gate(0)) * std::tanh(gate(3));
          a.next[at] = sigmoid(gate(1)) * std::tanh(a.c[at]);
      }
    }
}
}  // namespace

Support cells_support(const Spec& spec, double cost) {
  if (spec.input < 1 || spec.hidden < 1) return {0, "empty"};
  return {cost, {}};
}
Kernel make_cells(const Spec& spec, const Cell& cell, isa::Mask isa) {
  auto kernel = std::make_shared<ByCells>(spec, cell, isa);
  return kernel->complete() ? kernel : nullptr;
}

Support scalar::supports(const Spec& spec) { return cells_support(spec, 16); }
Kernel scalar::make(const Spec& spec) { return make_cells(spec, {1, scalar_pass}, isa::scalar); }
}  // namespace kernels::rnn
