// GroupQueryAttention by the attention family: keys and values are added to the cache, and read where they lie there.
#include <cmath>
#include <cstring>
#include "engine/device_lowering.h"
#include "engine/ops/group_query_attention.h"
#include "engine/ops/strides.h"
#include "kernels/attention/attention.h"
#include "kernels/split.h"

namespace engine {
namespace {
using namespace gqa;
using schema::GroupQueryAttention;

// y = a head of a new token as the scores read it: normalised, then turned by the angles of its position.
class Preparation {
 public:
  Preparation(const GroupQueryAttention& op, const RunContext& c, int64_t size) : op_(op), c_(c), size_(size), half_(op.rotary ? c.in(cos_table).shape[1] : 0) {}

  void check_position(int64_t position) const {
    if (op_.rotary) check(position >= 0 && position < c_.in(cos_table).shape[0], "position ", position, " is outside the ", c_.in(cos_table).shape[0], " of cos and sin");
  }
  void run(const float* x, float* y, int64_t position, bool key) const {
    float by = 1;
    const float* weight = c_.has(q_norm) ? f32(c_.in(key ? k_norm : q_norm)) : nullptr;
    if (weight) {
      double squares = 0;
      for (int64_t i = 0; i < size_; ++i) squares += double(x[i]) * x[i];
      by = float(1 / std::sqrt(squares / double(size_) + (key ? op_.k_epsilon : op_.q_epsilon)));
    }
    for (int64_t i = 0; i < size_; ++i) y[i] = weight ? x[i] * by * weight[i] : x[i];
    if (!op_.rotary) return;
    const float *cos = f32(c_.in(cos_table)) + position * half_, *sin = f32(c_.in(sin_table)) + position * half_;
    const int64_t step = op_.interleaved ? 2 : 1, other = op_.interleaved ? 1 : half_;
    for (int64_t i = 0; i < half_; ++i) {
      float &a = y[i * step], &b = y[i * step + other];
      const float turned = a * cos[i] - b * sin[i];
      b = b * cos[i] + a * sin[i];
      a = turned;
    }
  }

 private:
  const GroupQueryAttention& op_;
  const RunContext& c_;
  const int64_t size_, half_;
};

struct Lowering {
  GroupQueryAttention op;
  kernels::attention::Kernel kernel;
  int64_t query_bytes;  // of scratch in front of the kernel's

  void operator()(RunContext& c) const {
    check_extents(op, c);
    const int64_t batch = c.in(0).shape[0], length = c.in(0).shape[1], size = c.in(0).shape[2] / op.heads, all = total_of(c);
    const int64_t past = c.has(past_k) ? c.in(past_k).shape[2] : 0, rows = c.out(1).shape[2];
    check(rows == std::max(past, all), "a cache of ", rows, " rows for a past of ", past, " and ", all, " tokens");
    if (c.has(bias_of_scores)) check(c.in(bias_of_scores).shape[3] >= all, "the bias is for ", c.in(bias_of_scores).shape[3], " keys of ", all);
    for (int64_t b = 0; b < batch; ++b) {
      const Tokens t = tokens_of(c, b, all);
      check(t.before <= past, "sequence ", b, " has a past of ", t.before, ", the cache one of ", past);
      extend(c, b, t, length, size, past, rows, all);
      attend(c, b, t, length, size, rows, all);
    }
  }

  void extend(RunContext& c, int64_t b, const Tokens& t, int64_t length, int64_t size, int64_t past, int64_t rows, int64_t all) const {
    const Preparation prepare(op, c, size);
    for (int64_t s = 0; s < t.valid; ++s) prepare.check_position(position_of(c, b, s, t.before, all));
    kernels::run_divided(c.pool(), c.threads(), {.rows = op.kv_heads, .work = 16 * rows * op.kv_heads * size}, [&](int64_t h0, int64_t h1, int64_t, int64_t) {
      for (int64_t h = h0; h < h1; ++h)
        for (const bool key : {true, false}) {
          float* to = f32(c.out(key ? 1 : 2)) + (b * op.kv_heads + h) * rows * size;
          if (const float* from = past ? f32(c.in(key ? past_k : past_v)) + (b * op.kv_heads + h) * past * size : nullptr; from != to || past != rows) {
            if (from) std::memcpy(to, from, size_t(past * size) * sizeof(float));
            std::fill(to + past * size, to + rows * size, 0.0f);
          }
          const float* fresh = f32(c.in(key ? 1 : 2)) + b * length * op.kv_heads * size + h * size;
          for (int64_t s = 0; s < t.valid; ++s) {
            const float* x = fresh + s * op.kv_heads * size;
            float* y = to + (t.before + s) * size;
            if (key) prepare.run(x, y, position_of(c, b, s, t.before, all), true);
            else std::memcpy(y, x, size_t(size) * sizeof(float));
          }
        }
    });
  }

  void attend(RunContext& c, int64_t b, const Tokens& t, int64_t length, int64_t size, int64_t rows, int64_t all) const {
    const int64_t width = op.heads * size;
    float* y = f32(c.out(0)) + b * length * width;
    std::fill(y + t.valid * width, y + length * width, 0.0f);
    const float* q = f32(c.in(0)) + b * length * width;
    if (query_bytes) {
      const Preparation prepare(op, c, size);
      auto* turned = reinterpret_cast<float*>(c.scratch());
      kernels::run_divided(c.pool(), c.threads(), {.rows = t.valid, .work = 8 * t.valid * width}, [&](int64_t s0, int64_t s1, int64_t, int64_t) {
        for (int64_t i = s0 * op.heads; i < s1 * op.heads; ++i) prepare.run(q + i * size, turned + i * size, position_of(c, b, i / op.heads, t.before, all), false);
      });
      q = turned;
    }
    kernels::attention::Args a{};
    a.q = q, a.k = f32(c.out(1)) + b * op.kv_heads * rows * size, a.v = f32(c.out(2)) + b * op.kv_heads * rows * size, a.y = y;
    a.heads = op.heads, a.queries = t.valid, a.keys = t.after, a.shared = op.heads / op.kv_heads;
    a.sight = {op.causal, t.before, std::max<int64_t>(0, op.window)};
    a.q_strides = a.y_strides = {0, size, width}, a.k_strides = a.v_strides = {0, rows * size, size};
    if (c.has(bias_of_scores)) {
      const auto d = c.in(bias_of_scores).shape;
      a.mask = f32(c.in(bias_of_scores)) + (d[0] == 1 ? 0 : b) * d[1] * d[2] * d[3];
      a.mask_strides = {0, d[1] == 1 ? 0 : d[2] * d[3], d[3]};
    }
    a.scratch = c.scratch() + query_bytes;
    kernel.run(a, c.pool(), c.threads());
  }
};

// On a device: the cache grows, then attention reads it where it lies.
std::optional<Lowered> lower_on_device(const GroupQueryAttention& op, const LowerContext& c) {
  using kernels::cuda::AttentionProblem, kernels::cuda::CacheProblem;
  const Shape q = c.in(0).shape(), present = c.out(1).shape();
  const int64_t batch = q[0], length = q[1], size = q[2] / op.heads, rows = present[2];
  CacheProblem cache{batch, length, op.heads, op.kv_heads, size, c.has(past_k) ? c.in(past_k).shape()[2] : 0, rows};
  if (op.rotary) cache.positions = c.in(cos_table).shape()[0], cache.half = c.in(cos_table).shape()[1], cache.interleaved = op.interleaved;
  cache.normed = c.has(q_norm), cache.q_epsilon = float(op.q_epsilon), cache.k_epsilon = float(op.k_epsilon);
  AttentionProblem attention{};
  attention.batch = batch, attention.heads = op.heads, attention.shared = op.heads / op.kv_heads, attention.queries = length, attention.keys = rows;
  attention.size = attention.value_size = size, attention.scale = float(op.scale ? op.scale : 1 / std::sqrt(double(size)));
  attention.causal = op.causal, attention.window = std::max<int64_t>(0, op.window), attention.softcap = float(std::max(0.0, op.softcap)), attention.counted = true;
  attention.q = attention.y = {length * q[2], size, q[2]};
  attention.k = attention.v = {op.kv_heads * rows * size, rows * size, size};
  if (c.has(bias_of_scores)) {
    if (c.in(bias_of_scores).shape()[3] < rows) return std::nullopt;
    attention.masked = true;
    std::ranges::copy(broadcast_strides(c.in(bias_of_scores).shape(), 4), attention.mask_strides);
  }
  const auto *extend = row_for(c, &kernels::cuda::Backend::cache, cache);
  const auto* attend = row_for(c, &kernels::cuda::Backend::attention, attention);
  if (!extend || !attend) return std::nullopt;
  std::vector<DeviceInput> in;
  for (size_t k = 0; k <= valid_lengths; ++k) in.push_back(device_input(c, k));
  const int64_t queries = batch * length * q[2] * int64_t(sizeof(float)), counts = 2 * batch * int64_t(sizeof(int32_t));
  return Lowered{attend->name, [=, in = std::move(in)](RunContext& r) {
    const auto f32 = [&](size_t k) { return in[k].at(r); };
    const auto i32 = [&](size_t k) { return in[k].at<int32_t>(r); };
    auto* const turned = reinterpret_cast<float*>(r.scratch());
    auto* const counted = reinterpret_cast<int32_t*>(r.scratch() + queries);
    require_done(extend->run(cache, {f32(0), f32(1), f32(2), f32(past_k), f32(past_v), i32(lengths), i32(total), i32(valid_lengths), f32(cos_table), f32(sin_table), f32(q_norm), f32(k_norm),
                                     in[position_ids].at<int64_t>(r), out_at(r, 1), out_at(r, 2), turned, counted}, r.stream_));
    require_done(attend->run(attention, {turned, out_at(r, 1), out_at(r, 2), f32(bias_of_scores), out_at(r), counted}, r.stream_));
  }, queries + counts};
}
}  // namespace

std::optional<Lowered> lower_group_query_attention(const GroupQueryAttention& op, const LowerContext& c) {
  for (const size_t k : {size_t{0}, size_t{1}, size_t{2}, size_t{past_k}, size_t{past_v}, size_t{cos_table}, size_t{sin_table}, size_t{bias_of_scores}, size_t{q_norm}, size_t{k_norm}})
    if (c.has(k) && c.in(k).dtype != DType::f32) return std::nullopt;
  if (op.sliding || op.smooth || op.scores || c.has(sinks) || c.has(k_scale) || c.node.outputs.size() < 3) return std::nullopt;
  for (const ValueId v : c.node.outputs)
    if (v == ValueId::none) return std::nullopt;
  const Shape q = c.in(0).largest(), present = c.out(1).largest();
  if (q[2] == 0 || present[2] == 0 || !c.in(0).dims[2].known()) return std::nullopt;
  if (c.target) return lower_on_device(op, c);
  const int64_t size = q[2] / op.heads;
  const double scale = op.scale ? op.scale : 1 / std::sqrt(double(size));
  auto choice = kernels::attention::select({present[2], size, size, float(scale), float(std::max(0.0, op.softcap))}, c.isa);
  if (!choice) return std::nullopt;
  constexpr int64_t alignment = 64;
  const int64_t query_bytes = op.rotary || c.has(q_norm) ? kernels::round_up(q[1] * q[2] * int64_t(sizeof(float)), alignment) : 0;
  const int64_t scratch = query_bytes + int64_t(choice.kernel.scratch_bytes(q[1]));
  return Lowered{choice.name, Lowering{op, std::move(choice.kernel), query_bytes}, scratch};
}
}  // namespace engine
