// Attention with a state (gated delta rule: Yang et al., Gated Delta Networks, 2024): no column of a state needs
// another one, so a thread takes one through all tokens, and a block keeps its columns in shared memory.
#include "kernels/cuda/families.h"
#include "kernels/cuda/reduction.h"

namespace kernels::cuda {
namespace {
constexpr int columns = warp_size, most_keys = 256;

struct State {
  float s[most_keys][columns];
};

__global__ void __launch_bounds__(columns)
    linear_attention(const LinearAttentionProblem p, const LinearAttentionArgs a) {
  auto& state = shared<State>();
  const int64_t blocks = divide_up(p.values, columns), group = p.heads / p.kv_heads;
  const int lane = threadIdx.x;
  const bool one_decay = p.decays == p.kv_heads;
  for (int64_t task = blockIdx.x; task < p.batch * p.kv_heads * blocks; task += gridDim.x) {
    const int64_t list = task / blocks, batch = list / p.kv_heads, head = list % p.kv_heads,
                  column = task % blocks * columns + lane, first = list * p.keys * p.values + column;
    if (column >= p.values) continue;
    for (int64_t i = 0; i < p.keys; ++i) state.s[i][lane] = a.past ? a.past[first + i * p.values] : 0;
    for (int64_t t = batch * p.length; t < (batch + 1) * p.length; ++t) {
      const float* k = a.k + (t * p.kv_heads + head) * p.keys;
      float gain = a.v[(t * p.kv_heads + head) * p.values + column];
      if (a.decay) {
        const float* decay = a.decay + t * p.decays + (one_decay ? head : head * p.keys);
        for (int64_t i = 0; i < p.keys; ++i) state.s[i][lane] *= std::exp(decay[one_decay ? 0 : i]);
      }
      if (a.beta) {
        float held = 0;
        for (int64_t i = 0; i < p.keys; ++i) held += k[i] * state.s[i][lane];
        gain = a.beta[t * p.betas + (p.betas == 1 ? 0 : head)] * (gain - held);
      }
      for (int64_t i = 0; i < p.keys; ++i) state.s[i][lane] += k[i] * gain;
      for (int64_t g = head * group; a.y && g < (head + 1) * group; ++g) {
        const float* q = a.q + (t * p.heads + g) * p.keys;
        float sum = 0;
        for (int64_t i = 0; i < p.keys; ++i) sum += q[i] * state.s[i][lane];
        a.y[(t * p.heads + g) * p.values + column] = p.scale * sum;
      }
    }
    for (int64_t i = 0; a.present && i < p.keys; ++i) a.present[first + i * p.values] = state.s[i][lane];
  }
}

const char* refusal(const LinearAttentionProblem& p) {
  if (p.kv_heads <= 0 || p.heads % p.kv_heads) return "heads that do not share a state";
  return p.keys > most_keys ? "heads of more than 256 elements" : nullptr;
}
double cost(const LinearAttentionProblem&) { return 1; }
Failure run(const LinearAttentionProblem& p, const LinearAttentionArgs& args, Stream* stream) {
  const int64_t tasks = p.batch * p.kv_heads * divide_up(p.values, columns);
  if (tasks == 0) return nullptr;
  return launch<State>(linear_attention, blocks_for(tasks, 1), columns, stream, p, args);
}
}  // namespace

Family<LinearAttentionProblem, LinearAttentionArgs> linear_attention_family() {
  static constexpr Row<LinearAttentionProblem, LinearAttentionArgs> rows[] = {
      {"linear_attention_f32_cuda", 80, columns, refusal, cost, run}};
  return {rows, std::size(rows)};
}
}  // namespace kernels::cuda
