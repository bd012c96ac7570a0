#include "kernels/simd.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/peak.cpp"
#include <hwy/foreach_target.h>
#include "kernels/simd-inl.h"
#include "kernels/peak.h"

#if INLAY_SIMD_TARGET
HWY_BEFORE_NAMESPACE();
namespace kernels::HWY_NAMESPACE {
namespace {
constexpr int sums = 12;  // independent chains: more than latency times throughput, and they fit 16 registers

// `state` is [sums][lanes].
void multiply_add(float* state, float factor, float addend, int64_t rounds) {
  const Vec x = hn::Set(vector, factor), y = hn::Set(vector, addend);
  Vec sum[sums];
#pragma GCC unroll 12
  for (int i = 0; i < sums; ++i) sum[i] = hn::LoadU(vector, state + i * lanes);
  for (int64_t r = 0; r < rounds; ++r) {
#pragma GCC unroll 12
    for (int i = 0; i < sums; ++i) sum[i] = hn::MulAdd(x, y, sum[i]);  // NEON would copy an addend that stays
  }
#pragma GCC unroll 12
  for (int i = 0; i < sums; ++i) hn::StoreU(sum[i], vector, state + i * lanes);
}

// n: a multiple of 8 vectors.
float read(const float* from, int64_t n) {
  Vec sum[8];
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) sum[i] = hn::Zero(vector);
  for (const float* end = from + n; from != end; from += 8 * lanes) {
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) sum[i] = hn::Add(sum[i], hn::LoadU(vector, from + i * lanes));
  }
#pragma GCC unroll 8
  for (int i = 1; i < 8; ++i) sum[0] = hn::Add(sum[0], sum[i]);
  return hn::GetLane(sum[0]);
}
}  // namespace
struct PeakLoops {
  static void run(float* state, float x, float y, int64_t rounds) { multiply_add(state, x, y, rounds); }
  static float sum(const float* from, int64_t n) { return read(from, n); }
  static constexpr int floats = sums * lanes;
};
}  // namespace kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif

#if HWY_ONCE
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include "kernels/os.h"
#include "kernels/peak_neon_fp16.h"

namespace kernels {
namespace {
struct ScalarLoops {
  static constexpr int floats = 16;
  static void run(float* state, float x, float y, int64_t rounds) {
    float sum[floats];
    std::copy_n(state, floats, sum);
    for (int64_t r = 0; r < rounds; ++r)
      for (float& s : sum) s = s * x + y;
    std::copy_n(sum, floats, state);
  }
  static float sum(const float* from, int64_t n) {
    float sum[floats] = {};
    for (int64_t i = 0; i < n; i += floats)
      for (int j = 0; j < floats; ++j) sum[j] += from[i + j];
    return *std::max_element(sum, sum + floats);
  }
};

struct Loops {
  void (*multiply_add)(float* state, float x, float y, int64_t rounds);
  float (*sum)(const float* from, int64_t n);
  int floats;
};
template <class L> constexpr Loops loops_of() { return {L::run, L::sum, L::floats}; }

Loops best_of([[maybe_unused]] isa::Mask mask) {
#if defined(__x86_64__)
  if (isa::runs(isa::avx512, mask)) return loops_of<N_AVX3::PeakLoops>();
  if (isa::runs(isa::avx2, mask)) return loops_of<N_AVX2::PeakLoops>();
#elif defined(__aarch64__)
  if (isa::runs(isa::neon, mask)) return loops_of<N_NEON::PeakLoops>();
#endif
  return loops_of<ScalarLoops>();
}

// The most work per second of any round.
template <class Round> double fastest(double seconds, double work, Round&& round) {
  using Clock = std::chrono::steady_clock;
  const auto begin = Clock::now();
  round();  // wakes the threads, and warms what it reads
  double best = 0;
  for (auto start = Clock::now(); best == 0 || start - begin < std::chrono::duration<double>(seconds);) {
    round();
    const auto end = Clock::now();
    best = std::max(best, work / std::chrono::duration<double>(end - start).count());
    start = end;
  }
  return best;
}

constexpr size_t chunk = 256 << 10;          // bytes of a task, which a second-level cache holds
constexpr size_t large = size_t{128} << 20;  // bytes that no cache holds
std::atomic<float> sink;                     // keeps what is read only to be read

double bandwidth(isa::Mask mask, ThreadPool& pool, double seconds, size_t bytes, int64_t tasks, int repeats) {
  const os::Memory memory = os::Memory::allocate(bytes);
  if (!memory) return 0;
  const auto at = [&](int64_t task) { return memory.data() + static_cast<size_t>(task) * chunk % bytes; };
  pool.run(static_cast<int64_t>(bytes / chunk), [&](int64_t i) { std::memset(at(i), 0, chunk); });  // own pages
  const Loops loops = best_of(mask);
  return fastest(seconds, static_cast<double>(tasks) * repeats * chunk, [&] {
    pool.run(tasks, [&](int64_t i) {
      float sum = 0;
      for (int r = 0; r < repeats; ++r) sum += loops.sum(reinterpret_cast<const float*>(at(i)), chunk / sizeof(float));
      sink.store(sum, std::memory_order_relaxed);
    });
  });
}
}  // namespace

double peak_flops(isa::Mask mask, ThreadPool& pool, double seconds, [[maybe_unused]] Precision precision) {
  Loops loops = best_of(mask);
#if defined(__aarch64__)
  if (precision == Precision::f16 && isa::runs(isa::neon_fp16, mask))  // any bytes are halves
    loops.multiply_add = [](float* state, float x, float y, int64_t rounds) { multiply_add_halves(state, x, y, rounds); }, loops.floats = half_peak_sums;
#endif
  constexpr int64_t rounds = 20000;
  const int64_t tasks = int64_t{32} * pool.size();
  return fastest(seconds, 2.0 * static_cast<double>(loops.floats * rounds * tasks), [&] {
    pool.run(tasks, [&](int64_t i) {
      float state[12 * 16];
      for (size_t k = 0; k < std::size(state); ++k) state[k] = static_cast<float>(i) + static_cast<float>(k);
      loops.multiply_add(state, 0.5f, 1, rounds);
      sink.store(state[0], std::memory_order_relaxed);
    });
  });
}

double memory_bandwidth(isa::Mask mask, ThreadPool& pool, double seconds) {
  return bandwidth(mask, pool, seconds, large, large / chunk, 1);
}

double cache_bandwidth(isa::Mask mask, ThreadPool& pool, double seconds) {
  return bandwidth(mask, pool, seconds, chunk, int64_t{16} * pool.size(), 8);
}
}  // namespace kernels
#endif
