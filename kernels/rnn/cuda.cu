// The recurrence of an RNN, GRU or LSTM: a launch for each step, in which a warp makes one hidden unit of one sequence.
// Its lanes share the row of the recurrent weights of each gate, and the new state follows from the sums at once.
#include "kernels/cuda/families.h"
#include "kernels/cuda/reduction.h"

namespace kernels::cuda {
namespace {
using schema::RnnKind;
constexpr int threads = 128, warps = threads / warp_size;

struct Step {
  int64_t number;
  const float* h;
  float *next, *reset;  // reset: what a gru's hidden gate reads, behind the first half of a step
};
enum Part {
  whole,
  gates,
  rest
};  // a gru that applies the reset gate to h first needs all of that before the hidden gate

__device__ int64_t gates_of(RnnKind kind) { return kind == RnnKind::lstm ? 4 : kind == RnnKind::gru ? 3 : 1; }
__device__ float sigmoid(float x) { return 1 / (1 + std::exp(-x)); }
// The sum of the products of a row with h, the same in every lane.
__device__ float dot(const float* row, const float* h, int64_t n) {
  float sum = 0;
  for (int64_t k = threadIdx.x % warp_size; k < n; k += warp_size) sum += row[k] * h[k];
  for (int mask = warp_size / 2; mask; mask /= 2) sum += __shfl_xor_sync(~0u, sum, mask);
  return sum;
}

// Every lane of a warp takes the same branches.
template <Part part>
__global__ void __launch_bounds__(threads)
    rnn_step(const __grid_constant__ RnnProblem p, const __grid_constant__ RnnArgs a, Step s, Watch watch) {
  const int64_t hidden = p.spec.hidden, unit = blockIdx.x * int64_t{warps} + threadIdx.x / warp_size;
  if (unit >= p.batch * hidden) return;
  const int64_t b = unit / hidden, j = unit % hidden;
  const bool writes = threadIdx.x % warp_size == 0;
  const int64_t length = a.lengths ? a.lengths[b] : p.time;
  if (a.lengths && writes && (length < 0 || length > p.time)) report(watch, Refused::length, b);
  if (s.number >= length || length > p.time) {
    if (writes && part != gates) {
      s.next[unit] = s.h[unit];
      if (a.y) a.y[s.number * p.y_step + unit] = 0;
    }
    return;
  }
  const int64_t t = p.reverse ? length - 1 - s.number : s.number, rows = gates_of(p.spec.kind) * hidden;
  const float* x = a.gates_x + (t * p.batch + b) * rows + j;
  const float* h = s.h + b * hidden;
  const auto recurrent = [&](int gate, const float* from) {
    return dot(a.r + (gate * hidden + j) * hidden, from, hidden);
  };
  float state = 0;
  if (p.spec.kind == RnnKind::lstm) {  // input, output, forget, cell
    const float in = sigmoid(x[0] + recurrent(0, h)), out = sigmoid(x[hidden] + recurrent(1, h));
    const float forget = sigmoid(x[2 * hidden] + recurrent(2, h)), cell = std::tanh(x[3 * hidden] + recurrent(3, h));
    const float c = forget * a.c[unit] + in * cell;
    __syncwarp();  // every lane has read c
    if (writes) a.c[unit] = c;
    state = out * std::tanh(c);
  } else if (p.spec.kind == RnnKind::gru) {  // update, reset, hidden
    if (part == gates) {
      const float reset = sigmoid(x[hidden] + recurrent(1, h));
      if (writes) s.reset[unit] = reset * h[j];
      return;
    }
    const float update = sigmoid(x[0] + recurrent(0, h)), bias = a.bias ? a.bias[j] : 0;
    const float reset = part == whole ? sigmoid(x[hidden] + recurrent(1, h)) : 1;
    const float other = recurrent(2, part == whole ? h : s.reset + b * hidden) + bias;
    state = (1 - update) * std::tanh(x[2 * hidden] + reset * other) + update * h[j];
  } else {
    state = std::tanh(x[0] + recurrent(0, h));
  }
  if (!writes) return;
  s.next[unit] = state;
  if (a.y) a.y[t * p.y_step + unit] = state;
}

__global__ void __launch_bounds__(threads) begin_rnn(const float* from, float* to, int64_t count) {
  for (int64_t i = linear_thread(); i < count; i += linear_threads()) to[i] = from ? from[i] : 0;
}

const char* refusal(const RnnProblem&) { return nullptr; }
double cost(const RnnProblem&) { return 1; }
int64_t scratch(const RnnProblem& p) { return 3 * p.batch * p.spec.hidden * int64_t(sizeof(float)); }
Failure run(const RnnProblem& p, const RnnArgs& args, Stream* stream) {
  const int64_t states = p.batch * p.spec.hidden;
  if (states == 0) return nullptr;
  auto* memory = static_cast<float*>(args.scratch);
  float* const two[] = {memory, memory + states};
  const auto begin = [&](const float* from, float* to) {
    return launch<void>(begin_rnn, blocks_for(states, threads), threads, stream, from, to, states);
  };
  if (Failure f = begin(args.h0, p.time ? two[1] : args.h)) return f;
  if (p.spec.kind == RnnKind::lstm)
    if (Failure f = begin(args.c0, args.c)) return f;
  Watch w{};
  if (args.lengths)
    if (Failure f = watch(stream, &w)) return f;
  const auto blocks = unsigned(divide_up(states, warps));
  const bool halves = p.spec.kind == RnnKind::gru && !p.spec.linear_before_reset;
  for (int64_t t = 0; t < p.time; ++t) {
    const Step s{t, two[(t + 1) % 2], t + 1 == p.time ? args.h : two[t % 2], memory + 2 * states};
    if (halves)
      if (Failure f = launch<void>(rnn_step<gates>, blocks, threads, stream, p, args, s, w)) return f;
    if (Failure f = launch<void>(halves ? rnn_step<rest> : rnn_step<whole>, blocks, threads, stream, p, args, s, w))
      return f;
  }
  return nullptr;
}
}  // namespace

Family<RnnProblem, RnnArgs> rnn_family() {
  static constexpr Row<RnnProblem, RnnArgs> rows[] = {{"rnn_f32_cuda", 80, warps, refusal, cost, run, scratch}};
  return {rows, std::size(rows)};
}
}  // namespace kernels::cuda
