// Elementwise functions of inputs that are broadcast, one thread per element.
#include "kernels/cuda/elements.h"
#include "kernels/cuda/epilogue.h"
#include "kernels/cuda/families.h"

namespace kernels::cuda {
namespace {
constexpr int threads = 256, most_inputs = 3;

struct Positions {
  int64_t at[most_inputs];
};
__device__ Positions positions(const BroadcastProblem& p, int64_t i) {
  Positions from{};
  for (int d = p.dims; d-- > 0; i /= p.extents[d])
    for (int k = 0; k < most_inputs; ++k) from.at[k] += i % p.extents[d] * p.strides[k][d];
  return from;
}

#define EMIT_number_truth(...) __VA_ARGS__
#define EMIT_any_truth(...) __VA_ARGS__
#define EMIT_number_same(...)
#define EMIT_real_same(...)
#define EMIT_integer_same(...)
#define EMIT_boolean_truth(...)
__device__ bool truth(schema::BinaryKind kind, float x, float y) {
  switch (kind) {
#define BINARY(name, types, result, formula, ...) \
  EMIT_##types##_##result(case schema::BinaryKind::name : return formula;)
#include "schema/binary.def"
    default: return false;
  }
}
bool is_truth(schema::BinaryKind kind) {
  switch (kind) {
#define BINARY(name, types, result, ...) EMIT_##types##_##result(case schema::BinaryKind::name : return true;)
#include "schema/binary.def"
    default: return false;
  }
}

__global__ void __launch_bounds__(threads)
    broadcast_f32(BroadcastProblem p, const float* a, const float* b, float* y, int64_t count) {
  for (int64_t i = linear_thread(); i < count; i += linear_threads()) {
    const Positions from = positions(p, i);
    y[i] = formulas::binary(uint8_t(p.op), a[from.at[0]], b[from.at[1]]);
  }
}
__global__ void __launch_bounds__(threads)
    broadcast_truth(BroadcastProblem p, const float* a, const float* b, uint8_t* y, int64_t count) {
  for (int64_t i = linear_thread(); i < count; i += linear_threads()) {
    const Positions from = positions(p, i);
    y[i] = truth(p.op, a[from.at[0]], b[from.at[1]]);
  }
}
template <class T>
__global__ void __launch_bounds__(threads)
    broadcast_where(BroadcastProblem p, const uint8_t* condition, const T* a, const T* b, T* y, int64_t count) {
  for (int64_t i = linear_thread(); i < count; i += linear_threads()) {
    const Positions from = positions(p, i);
    y[i] = condition[from.at[0]] ? a[from.at[1]] : b[from.at[2]];
  }
}

const char* refusal(const BroadcastProblem& p) {
  if (p.dims < 0 || p.dims > BroadcastProblem::most_dims) return "too many dims";
  const bool known = p.kind == BroadcastProblem::where ? is_word(p.element_bytes)
                     : p.kind == BroadcastProblem::truth
                         ? is_truth(p.op)
                         : formulas::known(pointwise::Stage::of(p.op, 0, pointwise::Mode::full));
  return known ? nullptr : "a function that is not of f32";
}
double cost(const BroadcastProblem&) { return 1; }
Failure run(const BroadcastProblem& p, const BroadcastArgs& args, Stream* stream) {
  int64_t count = 1;
  for (int d = 0; d < p.dims; ++d) count *= p.extents[d];
  if (count == 0) return nullptr;
  const unsigned blocks = blocks_for(count, threads);
  const auto* a = static_cast<const float*>(args.in[0]);
  const auto* b = static_cast<const float*>(args.in[1]);
  if (p.kind == BroadcastProblem::binary)
    return launch<void>(broadcast_f32, blocks, threads, stream, p, a, b, static_cast<float*>(args.y), count);
  if (p.kind == BroadcastProblem::truth)
    return launch<void>(broadcast_truth, blocks, threads, stream, p, a, b, static_cast<uint8_t*>(args.y), count);
  return with_word(p.element_bytes, [&](auto element) {
    using T = decltype(element);
    return launch<void>(broadcast_where<T>, blocks, threads, stream, p, static_cast<const uint8_t*>(args.in[0]),
                        static_cast<const T*>(args.in[1]), static_cast<const T*>(args.in[2]), static_cast<T*>(args.y),
                        count);
  });
}
}  // namespace

Family<BroadcastProblem, BroadcastArgs> broadcast_family() {
  static constexpr Row<BroadcastProblem, BroadcastArgs> rows[] = {{"broadcast_cuda", 80, threads, refusal, cost, run}};
  return {rows, std::size(rows)};
}
}  // namespace kernels::cuda
