#include <algorithm>
#include "engine/ops/lowering.h"
#include "engine/plan.h"
#include "kernels/rnn/rnn.h"
#include "kernels/split.h"

namespace engine {
namespace {
using schema::Rnn, schema::RnnDirection, schema::RnnKind;
namespace rnn = kernels::rnn;

// The activations that a kind has where none are given.
bool default_activations(const Rnn& op) {
  if (op.activations.empty()) return true;
  const std::vector<std::string_view> own = op.kind == RnnKind::lstm ? std::vector<std::string_view>{"Sigmoid", "Tanh", "Tanh"}
                                            : op.kind == RnnKind::gru ? std::vector<std::string_view>{"Sigmoid", "Tanh"}
                                                                      : std::vector<std::string_view>{"Tanh"};
  for (size_t i = 0; i < op.activations.size(); ++i)
    if (op.activations[i] != own[i % own.size()]) return false;
  return true;
}

// Both directions packed one behind the other, with the weights, biases and everything in one block.
PackedWeight pack(const rnn::Kernel& kernel, std::string_view name, const LowerContext& c, int64_t directions, int64_t rows, const rnn::Spec& spec) {
  std::vector<const Constant*> all{c.constant(1), c.constant(2)};
  if (c.constant(3)) all.push_back(c.constant(3));
  const auto data = [](const Constant* t) { return t ? reinterpret_cast<const float*>(t->data) : nullptr; };
  return packed_weight(c, all, cat(name, " rnn ", int(spec.kind), " i", spec.input, " h", spec.hidden, " l", spec.linear_before_reset, " b", all.size() > 2, " d", directions),
                       kernel->packed_bytes() * directions, [=, w = data(all[0]), r = data(all[1]), b = data(c.constant(3))](std::byte* packed) {
    for (int64_t d = 0; d < directions; ++d) {
      const float* bias = b ? b + d * 2 * rows : nullptr;
      kernel->pack(w + d * rows * spec.input, r + d * rows * spec.hidden, bias, bias ? bias + rows : nullptr, packed + d * kernel->packed_bytes());
    }
  });
}
}  // namespace

std::optional<Lowered> lower_rnn(const Rnn& op, const LowerContext& c) {
  for (size_t k = 0; k < c.node.inputs.size(); ++k)
    if (k != 4 && c.has(k) && c.in(k).dtype != DType::f32) return std::nullopt;
  if (!c.constant(1) || !c.constant(2) || (c.has(3) && !c.constant(3)) || c.has(7)) return std::nullopt;
  if (op.clip != 0 || op.input_forget || !default_activations(op)) return std::nullopt;
  const Shape x = c.in(0).shape(), r = c.in(2).shape();
  const rnn::Spec spec{op.kind, x[2], r[2], op.linear_before_reset};
  if (c.target) return lower_rnn_on_device(op, spec, c);
  auto choice = rnn::select(spec, c.isa);
  if (!choice) return std::nullopt;
  const int64_t time = x[0], batch = x[1], directions = r[0], hidden = r[2], state = batch * hidden;
  const int64_t own = kernels::round_up(int64_t(choice.kernel->scratch_bytes(time, batch)), int64_t{64}), spare = kernels::round_up(2 * state * int64_t(sizeof(float)), int64_t{64});
  auto packed = pack(choice.kernel, choice.name, c, directions, r[1], spec);
  return Lowered{choice.name, [=, kernel = choice.kernel, reverse = op.direction == RnnDirection::reverse](RunContext& run) {
    const auto in = [&](size_t k, int64_t d) { return run.has(k) ? reinterpret_cast<const float*>(run.in(k).data) + d * state : nullptr; };
    const auto scratch = [&](int64_t d) { return run.scratch() + d * (own + spare); };
    const auto out = [&](size_t k, int64_t d, int64_t otherwise) {
      return run.wants(k) ? reinterpret_cast<float*>(run.out(k).data) + d * state : reinterpret_cast<float*>(scratch(d) + own) + otherwise * state;
    };
    int64_t* const lengths = run.has(4) ? reinterpret_cast<int64_t*>(scratch(directions)) : nullptr;
    int64_t steps = lengths ? 0 : time;  // of the longest sequence
    for (int64_t b = 0; lengths && b < batch; ++b) {
      lengths[b] = load<int64_t>(run.in(4), b);
      check(lengths[b] >= 0 && lengths[b] <= time, "sequence length ", lengths[b], " is out of range for ", time, " steps");
      steps = std::max(steps, lengths[b]);
      if (!run.wants(0)) continue;
      float* const y = reinterpret_cast<float*>(run.out(0).data) + b * hidden;
      for (int64_t row = lengths[b] * directions; row < time * directions; ++row) std::fill_n(y + row * state, hidden, 0.0f);
    }
    // A thread for each direction waits for no other one at every step.
    const bool side_by_side = directions > 1 && kernels::threads_of(run.pool(), run.threads()) <= 2;
    run.pool().run(directions, [&](int64_t d) {
      kernel->run({.x = reinterpret_cast<const float*>(run.in(0).data), .time = steps, .batch = batch, .reverse = reverse || d == 1, .lengths = lengths,
                   .h0 = in(5, d), .c0 = in(6, d), .y = run.wants(0) ? out(0, d, 0) : nullptr, .y_step = directions * state, .h = out(1, d, 0), .c = out(2, d, 1),
                   .packed = packed.get() + d * kernel->packed_bytes(), .scratch = scratch(d)}, run.pool(), side_by_side ? 1 : run.threads());
    }, side_by_side ? run.threads() : 1);
  }, directions * (own + spare) + (c.has(4) ? batch * int64_t(sizeof(int64_t)) : 0)};
}
}  // namespace engine
