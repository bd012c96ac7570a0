#include "kernels/rnn/rnn.h"
#include <cstring>
#include <utility>
#include "kernels/gemm/gemm.h"

namespace kernels::rnn {
namespace {
using pointwise::Stage, schema::RnnKind, schema::UnaryKind;

constexpr size_t align = 64;
size_t padded(size_t floats) { return (floats * sizeof(float) + align - 1) / align * align; }

class ByGemm final : public Rnn {
 public:
  explicit ByGemm(const Spec& spec)
      : spec_(spec), rows_(spec.gates() * spec.hidden), from_x_(gemm_of(spec.input)), from_h_(gemm_of(spec.hidden)),
        sigmoid_(pointwise::select({Stage::of(UnaryKind::sigmoid)}, spec.isa).kernel), tanh_(pointwise::select({Stage::of(UnaryKind::tanh)}, spec.isa).kernel) {}
  bool complete() const { return from_x_ && from_h_ && sigmoid_ && tanh_; }

  // w, r, then both biases.
  size_t packed_bytes() const override { return at_bias() + 2 * padded(rows_); }
  void pack(const float* w, const float* r, const float* wb, const float* rb, void* to) const override {
    auto* bytes = static_cast<std::byte*>(to);
    from_x_->pack_b(w, spec_.input, bytes);
    from_h_->pack_b(r, spec_.hidden, bytes + padded_bytes(from_x_->packed_bytes()));
    const auto bias = [&](const float* b, size_t at) { b ? std::memcpy(bytes + at, b, rows_ * sizeof(float)) : std::memset(bytes + at, 0, rows_ * sizeof(float)); };
    bias(wb, at_bias()), bias(rb, at_bias() + padded(rows_));
  }

  // The gates from x of all steps, those from h of one, two temporaries of [B,H], and what the gemms want.
  size_t scratch_bytes(int64_t time, int64_t batch) const override {
    return padded(time * batch * rows_) + padded(batch * rows_) + 2 * padded(batch * spec_.hidden) +
           std::max(from_x_->scratch_bytes(time * batch), from_h_->scratch_bytes(batch)) + align;
  }

  void run(const Args& a, ThreadPool& pool, int threads) const override {
    const int64_t n = spec_.hidden, state = a.batch * n;
    auto* next = reinterpret_cast<std::byte*>((reinterpret_cast<uintptr_t>(a.scratch) + align - 1) / align * align);
    const auto take = [&](int64_t floats) { return reinterpret_cast<float*>(std::exchange(next, next + padded(floats))); };
    float *gates_x = take(a.time * a.batch * rows_), *gates_h = take(a.batch * rows_), *t = take(state), *u = take(state);
    const auto* packed = static_cast<const std::byte*>(a.packed);
    const auto* bias = reinterpret_cast<const float*>(packed + at_bias());
    from_x_->run({.a = a.x, .lda = spec_.input, .b = packed, .c = gates_x, .ldc = rows_, .bias = bias, .m = a.time * a.batch, .scratch = next}, pool, threads);
    const auto start = [&](float* to, const float* from) {
      if (!to || to == from || !state) return;
      from ? std::memcpy(to, from, state * sizeof(float)) : std::memset(to, 0, state * sizeof(float));
    };
    start(a.h, a.h0), start(a.c, a.c0);
    const void* r = packed + padded_bytes(from_x_->packed_bytes());
    const float* rb = bias + padded(rows_) / sizeof(float);
    for (int64_t s = 0; s < a.time; ++s) {
      const int64_t step = a.reverse ? a.time - 1 - s : s;
      from_h_->run({.a = a.h, .lda = n, .b = r, .c = gates_h, .ldc = rows_, .bias = rb, .m = a.batch, .scratch = next}, pool, threads);
      float* gx = gates_x + step * a.batch * rows_;
      for (int64_t b = 0; b < a.batch; ++b) cell(gx + b * rows_, gates_h + b * rows_, a.h + b * n, a.c ? a.c + b * n : nullptr, t, u);
      if (a.y && state) std::memcpy(a.y + step * a.y_step, a.h, state * sizeof(float));
    }
  }

 private:
  static gemm::Spec gemm_spec(int64_t n, int64_t k) { return {.n = n, .k = k, .b = gemm::B::packed, .transposed_b = true, .bias = true, .epilogue = {}}; }
  gemm::Kernel gemm_of(int64_t k) const { return gemm::select(gemm_spec(spec_.gates() * spec_.hidden, k), spec_.isa).kernel; }
  static size_t padded_bytes(size_t bytes) { return (bytes + align - 1) / align * align; }
  size_t at_bias() const { return padded_bytes(from_x_->packed_bytes()) + padded_bytes(from_h_->packed_bytes()); }

  // The next h, and c, of one sequence, from the gates' sums; both sums are overwritten.
  void cell(float* gx, float* gh, float* h, float* c, float* t, float* u) const {
    const int64_t n = spec_.hidden;
    const auto apply = [](const pointwise::Kernel& f, const float* x, float* y, int64_t count) { f.run(x, nullptr, y, 1, count); };
    const auto add = [&](int64_t from, int64_t to) {
      for (int64_t i = from; i < to; ++i) gx[i] += gh[i];
    };
    switch (spec_.kind) {
      case RnnKind::rnn:
        add(0, n);
        return apply(tanh_, gx, h, n);
      case RnnKind::gru:
        add(0, 2 * n);
        apply(sigmoid_, gx, gx, 2 * n);
        for (int64_t i = 0; i < n; ++i) t[i] = gx[2 * n + i] + gx[n + i] * gh[2 * n + i];
        apply(tanh_, t, u, n);
        for (int64_t i = 0; i < n; ++i) h[i] = (1 - gx[i]) * u[i] + gx[i] * h[i];
        return;
      case RnnKind::lstm:
        add(0, 4 * n);
        apply(sigmoid_, gx, gx, 3 * n);
        apply(tanh_, gx + 3 * n, u, n);
        for (int64_t i = 0; i < n; ++i) c[i] = gx[2 * n + i] * c[i] + gx[i] * u[i];
        apply(tanh_, c, t, n);
        for (int64_t i = 0; i < n; ++i) h[i] = gx[n + i] * t[i];
        return;
    }
  }

  Spec spec_;
  int64_t rows_;
  gemm::Kernel from_x_, from_h_;
  pointwise::Kernel sigmoid_, tanh_;
};
}  // namespace

std::span<const Row> rows() {
  static constexpr Row table[] = {
#define KERNEL(name, isa, tile, where) {#name, isa, tile, where::supports, where::make},
#include "kernels/rnn/kernels.inc"
  };
  return table;
}
Choice select(const Spec& spec) { return choose<Spec, Kernel>(rows(), spec, spec.isa); }

Support by_gemm::supports(const Spec& spec) {
  if (spec.input < 1 || spec.hidden < 1) return {0, "empty"};
  if (spec.kind == RnnKind::gru && !spec.linear_before_reset) return {0, "the reset gate is applied before the product"};
  return {1, {}};
}
Kernel by_gemm::make(const Spec& spec) {
  auto kernel = std::make_shared<ByGemm>(spec);
  return kernel->complete() ? kernel : nullptr;
}
}  // namespace kernels::rnn
