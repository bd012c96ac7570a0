#include <algorithm>
#include <cmath>
#include "engine/device_lowering.h"
#include "engine/ops/floats.h"
#include "kernels/split.h"

namespace engine {
namespace {
using schema::LinearAttention, schema::LinearAttentionRule;

bool gated(const LinearAttention& op) {
  return op.rule == LinearAttentionRule::gated || op.rule == LinearAttentionRule::gated_delta;
}
bool delta(const LinearAttention& op) {
  return op.rule == LinearAttentionRule::delta || op.rule == LinearAttentionRule::gated_delta;
}

// The width of one of `heads` heads that lie side by side.
Dim head_width(const Dim& width, int64_t heads, const char* what) {
  check(!width.known() || width.value() % heads == 0, "a width of ", width.text(), " does not divide among ", heads,
        " heads of ", what);
  return width / heads;
}

Types infer(const LinearAttention& op, const InferContext& in) {
  in.expect_inputs(3, 6);
  check(op.heads >= 1 && op.kv_heads >= 1 && op.heads % op.kv_heads == 0, op.heads, " query heads do not divide among ",
        op.kv_heads, " of the state");
  check(in.has(4) == gated(op), "the rule ", name(op.rule), gated(op) ? " needs" : " takes no", " decay");
  check(in.has(5) == delta(op), "the rule ", name(op.rule), delta(op) ? " needs" : " takes no", " beta");
  check(in.outputs() <= 2, "has 2 outputs");
  in.expect_dtype(0, {DType::f32, DType::f16, DType::bf16});
  for (size_t k : {1, 2, 4, 5})
    if (in.has(k)) in.expect_same_dtype(0, k);
  Dim batch = Dim::unknown(), length = Dim::unknown();
  const auto tokens = [&](size_t k) {
    const Dims dims = in.expect_rank(k, 3);
    meet(batch, dims[0], "batch"), meet(length, dims[1], "length");
    return dims[2];
  };
  Dim keys = head_width(tokens(0), op.heads, "q"), values;
  meet(keys, head_width(tokens(1), op.kv_heads, "k"), "head size");
  values = head_width(tokens(2), op.kv_heads, "v");
  DType state = in.in(0).dtype;
  if (in.has(3)) {
    in.expect_dtype(3, {DType::f32, DType::f16, DType::bf16});
    state = in.in(3).dtype;
    const Dims past = in.expect_rank(3, 4);
    Dim heads = op.kv_heads;
    meet(batch, past[0], "batch"), meet(heads, past[1], "heads of the state"), meet(keys, past[2], "head size"),
        meet(values, past[3], "head size of v");
  }
  check(keys != Dim(0), "heads have no elements");
  if (gated(op)) {
    const Dim decay = tokens(4);
    check(may_equal(decay, op.kv_heads) || may_equal(decay, keys * op.kv_heads), "the decay has ", decay.text(),
          " elements per token, not ", op.kv_heads, " or ", (keys * op.kv_heads).text());
  }
  if (delta(op)) {
    const Dim beta = tokens(5);
    check(may_equal(beta, op.kv_heads) || may_equal(beta, 1), "beta has ", beta.text(), " elements per token, not ",
          op.kv_heads, " or 1");
  }
  Types types{Type::tensor(in.in(0).dtype, {batch, length, values * op.heads}),
              Type::tensor(state, {batch, op.kv_heads, keys, values})};
  types.resize(in.outputs());
  return types;
}

constexpr int64_t block = 32;  // columns of a state at a time: those of 128 rows stay in the first-level cache

struct Problem {
  int64_t batch, length, heads, kv_heads, keys, values;  // the last two: of a head
  int64_t decays, betas;                                 // of a token
  // Null: absent, or not wanted.
  const float *q = nullptr, *k = nullptr, *v = nullptr, *past = nullptr, *decay = nullptr,
              *beta = nullptr;  // `decay`: the factors
  float *y = nullptr, *present = nullptr;
  float scale = 1;
};

// No column of a state needs another one: `block` of them from `first` on, of the state of head h of image b, through
// all tokens. `s` is scratch of keys * block.
void run_columns(const Problem& p, int64_t b, int64_t h, int64_t first, float* __restrict s) {
  const int64_t n = std::min(block, p.values - first), group = p.heads / p.kv_heads,
                state = ((b * p.kv_heads + h) * p.keys) * p.values + first;
  std::fill_n(s, p.keys * block, 0.0f);
  for (int64_t i = 0; p.past && i < p.keys; ++i) std::copy_n(p.past + state + i * p.values, n, s + i * block);
  const bool one_decay = p.decays == p.kv_heads;
  for (int64_t t = b * p.length; t < (b + 1) * p.length; ++t) {
    const float* const k = p.k + (t * p.kv_heads + h) * p.keys;
    float gain[block] = {}, out[block];
    std::copy_n(p.v + (t * p.kv_heads + h) * p.values + first, n, gain);
    if (p.decay) {
      const float* const decay = p.decay + t * p.decays + (one_decay ? h : h * p.keys);
      for (int64_t i = 0; i < p.keys; ++i) {
        const float factor = decay[one_decay ? 0 : i];
        for (int64_t j = 0; j < block; ++j) s[i * block + j] *= factor;
      }
    }
    if (p.beta) {
      float held[block] = {};
      for (int64_t i = 0; i < p.keys; ++i)
        for (int64_t j = 0; j < block; ++j) held[j] += k[i] * s[i * block + j];
      const float beta = p.beta[t * p.betas + (p.betas == 1 ? 0 : h)];
      for (int64_t j = 0; j < block; ++j) gain[j] = beta * (gain[j] - held[j]);
    }
    for (int64_t i = 0; i < p.keys; ++i)
      for (int64_t j = 0; j < block; ++j) s[i * block + j] += k[i] * gain[j];
    for (int64_t g = h * group; p.y && g < (h + 1) * group; ++g) {
      const float* const q = p.q + (t * p.heads + g) * p.keys;
      std::fill_n(out, block, 0.0f);
      for (int64_t i = 0; i < p.keys; ++i)
        for (int64_t j = 0; j < block; ++j) out[j] += q[i] * s[i * block + j];
      for (int64_t j = 0; j < n; ++j) p.y[(t * p.heads + g) * p.values + first + j] = p.scale * out[j];
    }
  }
  for (int64_t i = 0; p.present && i < p.keys; ++i) std::copy_n(s + i * block, n, p.present + state + i * p.values);
}

void reference(const LinearAttention& op, RunContext& c) {
  const auto qs = c.in(0).shape;
  Problem p{.batch = qs[0],
            .length = qs[1],
            .heads = op.heads,
            .kv_heads = op.kv_heads,
            .keys = qs[2] / op.heads,
            .values = c.in(2).shape[2] / op.kv_heads,
            .decays = gated(op) ? c.in(4).shape[2] : 0,
            .betas = delta(op) ? c.in(5).shape[2] : 0};
  c.expect_shape(0, {p.batch, p.length, p.heads * p.keys});
  c.expect_shape(1, {p.batch, p.length, p.kv_heads * p.keys});
  c.expect_shape(2, {p.batch, p.length, p.kv_heads * p.values});
  if (c.has(3)) c.expect_shape(3, {p.batch, p.kv_heads, p.keys, p.values});
  if (gated(op)) c.expect_shape(4, {p.batch, p.length, p.decays == p.kv_heads ? p.kv_heads : p.kv_heads * p.keys});
  if (delta(op)) c.expect_shape(5, {p.batch, p.length, p.betas == 1 ? 1 : p.kv_heads});
  check(p.keys > 0, "heads have no elements");
  const int64_t blocks = (p.values + block - 1) / block, tasks = p.batch * p.kv_heads * blocks;
  if (tasks == 0) return;

  const Floats q(c.in(0)), k(c.in(1)), v(c.in(2));
  std::optional<Floats> past, beta;
  if (c.has(3)) past.emplace(c.in(3));
  if (delta(op)) beta.emplace(c.in(5));
  std::optional<FloatsOut> y, present;
  if (c.wants(0)) y.emplace(c.out(0));
  if (c.wants(1)) present.emplace(c.out(1));
  const kernels::Slots slots;
  const int64_t room = p.keys * block, places = c.threads() > 1 ? slots.count() : 1;
  const auto scratch = c.workspace<float>(size_t(places * room + p.batch * p.length * p.decays));
  if (gated(op)) {
    float* const factors = scratch.data() + places * room;
    for (int64_t i = 0; i < p.batch * p.length * p.decays; ++i) factors[i] = std::exp(load<float>(c.in(4), i));
    p.decay = factors;
  }
  p.q = q.data(), p.k = k.data(), p.v = v.data();
  if (past) p.past = past->data();
  if (beta) p.beta = beta->data();
  p.scale = float(op.scale ? op.scale : 1 / std::sqrt(double(p.keys)));
  if (y) p.y = y->data();
  if (present) p.present = present->data();
  const auto run = [&](int64_t task, int64_t slot) {
    run_columns(p, task / blocks / p.kv_heads, task / blocks % p.kv_heads, task % blocks * block,
                scratch.data() + slot * room);
  };
  if (places == 1)
    for (int64_t task = 0; task < tasks; ++task) run(task, 0);
  else slots.run(c.pool(), c.threads(), tasks, run);
  if (y) y->store();
  if (present) present->store();
}

std::optional<Lowered> lower(const LinearAttention& op, const LowerContext& c) {
  for (size_t k = 0; k < 6; ++k)
    if (!c.target || (c.has(k) && c.in(k).dtype != DType::f32)) return std::nullopt;
  const Shape q = c.in(0).shape(), v = c.in(2).shape();
  const int64_t keys = q[2] / op.heads;
  const kernels::cuda::LinearAttentionProblem problem{q[0],
                                                      q[1],
                                                      op.heads,
                                                      op.kv_heads,
                                                      keys,
                                                      v[2] / op.kv_heads,
                                                      gated(op) ? c.in(4).shape()[2] : 0,
                                                      delta(op) ? c.in(5).shape()[2] : 0,
                                                      float(op.scale ? op.scale : 1 / std::sqrt(double(keys)))};
  std::array<DeviceInput, 6> in;
  for (size_t k = 0; k < in.size(); ++k) in[k] = device_input(c, k);
  return lower_on_device(c, &kernels::cuda::Backend::linear_attention, problem, [in](RunContext& r) {
    return kernels::cuda::LinearAttentionArgs{in[0].at(r), in[1].at(r), in[2].at(r), in[3].at(r),
                                              in[4].at(r), in[5].at(r), out_at(r),   out_at(r, 1)};
  });
}

// Per token and element of the state: its decay, what it holds of k, its gain, and one product per query.
double flops(const LinearAttention& op, std::span<const Type> in, std::span<const Type>) {
  if (!in[1].determined() || !in[2].determined()) return 0;
  const double values = double(in[2].dims[2].value()) / double(op.kv_heads);
  return double(elements(in[1].shape())) * values *
         ((gated(op) ? 1 : 0) + (delta(op) ? 2 : 0) + 2 + 2 * double(op.heads / op.kv_heads));
}
}  // namespace

const OpDef<LinearAttention>& def(const LinearAttention&) {
  static constexpr OpDef<LinearAttention> def{
      .infer = infer, .reference = reference, .lower = lower, .on_device = true, .flops = flops};
  return def;
}
}  // namespace engine
