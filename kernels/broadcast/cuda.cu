// Elementwise functions of inputs that are broadcast, one thread per element.
#include "kernels/cuda/elements.h"
#include "kernels/cuda/families.h"
#include "kernels/cuda/formulas.h"

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

template <class Numbers, bool truth, class V>
__device__ void store(const BroadcastProblem& p, void* y, int64_t i, V v) {
  if constexpr (truth) static_cast<uint8_t*>(y)[i] = v;
  else Numbers::store(p.out, y, i, v);
}

template <class Numbers, bool truth>
__global__ void __launch_bounds__(threads)
    broadcast_unary(const __grid_constant__ BroadcastProblem p, const void* x, void* y, int64_t count) {
  for (int64_t i = linear_thread(); i < count; i += linear_threads()) {
    const auto v = Numbers::load(p.type, x, positions(p, i).at[0]);
    store<Numbers, truth>(p, y, i, formulas::unary<truth>(p.function, v, p.a, p.b));
  }
}
template <class Numbers, bool truth>
__global__ void __launch_bounds__(threads) broadcast_binary(const __grid_constant__ BroadcastProblem p, const void* a,
                                                            const void* b, void* y, int64_t count, Watch watch) {
  using schema::BinaryKind;
  for (int64_t i = linear_thread(); i < count; i += linear_threads()) {
    const Positions from = positions(p, i);
    const auto v = Numbers::load(p.type, a, from.at[0]), w = Numbers::load(p.type, b, from.at[1]);
    if constexpr (!truth && std::is_same_v<Numbers, Integers>) {
      const bool divides = p.op == BinaryKind::div || p.op == BinaryKind::mod || p.op == BinaryKind::fmod;
      if ((divides && w == Word(0)) || (p.op == BinaryKind::pow && v == Word(0) && w < Word(0))) {
        report(watch, Refused::divisor, i);
        continue;
      }
    }
    store<Numbers, truth>(p, y, i, formulas::binary<truth>(p.op, v, w));
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

// Whether the function has a boolean as its result, or one of the inputs' type.
template <class T> bool gives(const BroadcastProblem& p, bool truth) {
  return p.kind == BroadcastProblem::unary ? formulas::known<T>(p.function, truth) : formulas::known<T>(p.op, truth);
}
bool gives_truth(const BroadcastProblem& p) { return is_float(p.type) ? gives<float>(p, true) : gives<Word>(p, true); }
const char* refusal(const BroadcastProblem& p) {
  if (p.dims < 0 || p.dims > BroadcastProblem::most_dims) return "too many dims";
  if (p.kind == BroadcastProblem::where) return is_word(p.element_bytes) ? nullptr : "elements of another size";
  if (!is_known(p.type)) return "a type that kernels of the device do not have";
  if (gives_truth(p)) return nullptr;
  return (is_float(p.type) ? gives<float>(p, false) : gives<Word>(p, false)) ? nullptr
                                                                             : "a function that is not of this type";
}
double cost(const BroadcastProblem&) { return 1; }

template <class Numbers, bool truth>
Failure run_on(const BroadcastProblem& p, const BroadcastArgs& args, int64_t count, Stream* stream) {
  const unsigned blocks = blocks_for(count, threads);
  if (p.kind == BroadcastProblem::unary)
    return launch<void>(broadcast_unary<Numbers, truth>, blocks, threads, stream, p, args.in[0], args.y, count);
  Watch w{};
  if (std::is_same_v<Numbers, Integers> && !truth)
    if (Failure f = watch(stream, &w)) return f;
  return launch<void>(broadcast_binary<Numbers, truth>, blocks, threads, stream, p, args.in[0], args.in[1], args.y,
                      count, w);
}
Failure run(const BroadcastProblem& p, const BroadcastArgs& args, Stream* stream) {
  int64_t count = 1;
  for (int d = 0; d < p.dims; ++d) count *= p.extents[d];
  if (count == 0) return nullptr;
  if (p.kind != BroadcastProblem::where) {
    const bool truth = gives_truth(p);
    if (is_float(p.type))
      return truth ? run_on<Reals, true>(p, args, count, stream) : run_on<Reals, false>(p, args, count, stream);
    return truth ? run_on<Integers, true>(p, args, count, stream) : run_on<Integers, false>(p, args, count, stream);
  }
  return with_word(p.element_bytes, [&](auto element) {
    using T = decltype(element);
    return launch<void>(broadcast_where<T>, blocks_for(count, threads), threads, stream, p,
                        static_cast<const uint8_t*>(args.in[0]), static_cast<const T*>(args.in[1]),
                        static_cast<const T*>(args.in[2]), static_cast<T*>(args.y), count);
  });
}
}  // namespace

Family<BroadcastProblem, BroadcastArgs> broadcast_family() {
  static constexpr Row<BroadcastProblem, BroadcastArgs> rows[] = {{"broadcast_cuda", 80, threads, refusal, cost, run}};
  return {rows, std::size(rows)};
}
}  // namespace kernels::cuda
