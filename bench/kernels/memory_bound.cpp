#include "bench/kernels/memory_bound.h"
#include <chrono>
#include <cmath>
#include <cstring>
#include <vector>
#include "bench/kernels/problems.h"
#include "kernels/os.h"
#include "kernels/norm/norm.h"
#include "kernels/pad/pad.h"
#include "kernels/pool/pool.h"
#include "kernels/reduce/reduce.h"
#include "kernels/resize/resize.h"
#include "kernels/softmax/softmax.h"
#include "kernels/transpose/transpose.h"

namespace bench {
namespace {
using namespace kernels;

// Aligned as an arena is: a vector load across two cache lines costs double. Values of ordinary size, none denormal.
class Numbers {
 public:
  explicit Numbers(int64_t n) : memory_(os::Memory::allocate(static_cast<size_t>(n) * sizeof(float))) {
    for (int64_t i = 0; i < n; ++i) data()[i] = std::sin(static_cast<float>(i % 1013)) * 0.5f;
  }
  float* data() const { return reinterpret_cast<float*>(memory_.data()); }

 private:
  os::Memory memory_;
};

// Bytes per second, read and written, that memcpy of half as many reaches.
double copy_bandwidth(size_t bytes) {
  std::vector<std::byte> from(bytes / 2, std::byte{1}), to(bytes / 2);
  double best = 0;
  for (int i = 0; i < 20; ++i) {
    const auto start = std::chrono::steady_clock::now();
    std::memcpy(to.data(), from.data(), to.size());
    asm volatile("" ::"r"(to.data()) : "memory");
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    best = std::max(best, static_cast<double>(bytes) / took.count());
  }
  return best;
}

// Measures run(x, y, pool) on inputs and outputs of so many floats.
template <class Run>
void add(std::string_view row, const std::string& problem, int threads, int64_t in, int64_t out, Run run) {
  benchmark::RegisterBenchmark(name(row, problem, threads).c_str(),
                               [=](benchmark::State& state) {
                                 const Numbers x(in), y(out);
                                 ThreadPool pool(threads);
                                 for (auto _ : state) run(x.data(), y.data(), pool);
                                 const double bytes = static_cast<double>((in + out) * 4),
                                              done = bytes * static_cast<double>(state.iterations());
                                 state.counters["GB/s"] = benchmark::Counter(done * 1e-9, benchmark::Counter::kIsRate);
                                 state.counters["%copy"] =
                                     benchmark::Counter(100 * done / copy_bandwidth(static_cast<size_t>(bytes)),
                                                        benchmark::Counter::kIsRate);
                               })
      ->UseRealTime()
      ->Unit(benchmark::kMicrosecond);
}

void add_pool(const pool::Row& row, int threads) {
  using schema::PoolKind;
  const struct {
    PoolKind kind;
    int64_t channels, size;
    int kernel, stride, pad;
  } problems[] = {{PoolKind::max, 64, 112, 3, 2, 1},     {PoolKind::max, 64, 224, 2, 2, 0},
                  {PoolKind::max, 480, 28, 3, 1, 1},     {PoolKind::max, 128, 20, 5, 1, 2},
                  {PoolKind::average, 256, 56, 2, 2, 0}, {PoolKind::average, 2048, 7, 7, 1, 0}};
  for (const auto& p : problems) {
    const int64_t out = (p.size + 2 * p.pad - p.kernel) / p.stride + 1;
    const pool::Spec spec{.kind = p.kind,
                          .channels = p.channels,
                          .height = p.size,
                          .width = p.size,
                          .out_height = out,
                          .out_width = out,
                          .kernel_h = p.kernel,
                          .kernel_w = p.kernel,
                          .stride_h = p.stride,
                          .stride_w = p.stride,
                          .pad_top = p.pad,
                          .pad_left = p.pad,
                          .pad_bottom = p.pad,
                          .pad_right = p.pad};
    const std::string problem = std::string(schema::name(p.kind)) + "_" + std::to_string(p.channels) + "@" +
                                std::to_string(p.size) + "_" + std::to_string(p.kernel) + "x" +
                                std::to_string(p.kernel) + "_s" + std::to_string(p.stride);
    add(row.name, problem, threads, p.size * p.size * p.channels, out * out * p.channels,
        [kernel = row.make(spec)](const float* x, float* y, ThreadPool& pool) { kernel.run(x, y, 1, pool); });
  }
}
std::string extents(std::initializer_list<int64_t> all) {
  std::string text;
  for (const int64_t n : all) text += (text.empty() ? "" : "x") + std::to_string(n);
  return text;
}

void add_reduce(const reduce::Row& row, int threads) {
  using schema::ReduceKind;
  const reduce::Spec problems[] = {{ReduceKind::mean, 1, 112 * 112, 64}, {ReduceKind::mean, 1, 49, 1280},
                                   {ReduceKind::mean, 1, 512 * 512, 4},  {ReduceKind::sum_square, 1, 512 * 512, 3},
                                   {ReduceKind::mean, 1, 28 * 28, 120},  {ReduceKind::max, 1, 28 * 28, 480},
                                   {ReduceKind::sum, 512, 768, 1},       {ReduceKind::sum, 1, 1 << 20, 1},
                                   {ReduceKind::sum, 4096, 9, 1}};
  for (const auto& s : problems) {
    const reduce::Kernel kernel = row.make(s);
    const auto scratch = std::make_shared<Numbers>(static_cast<int64_t>(kernel.scratch_bytes() / 4));
    add(row.name, std::string(schema::name(s.kind)) + "_" + extents({s.outer, s.n, s.inner}), threads,
        s.outer * s.n * s.inner, s.outer * s.inner,
        [=](const float* x, float* y, ThreadPool& pool) { kernel.run(x, y, scratch->data(), pool); });
  }
}

void add_softmax(const softmax::Row& row, int threads) {
  const softmax::Spec problems[] = {{schema::SoftmaxKind::softmax, 1, 1000, 1},
                                    {schema::SoftmaxKind::softmax, 12 * 128, 128, 1},
                                    {schema::SoftmaxKind::softmax, 1, 21, 128 * 128},
                                    {schema::SoftmaxKind::softmax, 128 * 128, 21, 1},
                                    {schema::SoftmaxKind::softmax, 128 * 128, 4, 1},
                                    {schema::SoftmaxKind::softmax, 128 * 128, 7, 1},
                                    {schema::SoftmaxKind::log_softmax, 64, 1000, 1}};
  for (const auto& s : problems)
    add(row.name, std::string(schema::name(s.kind)) + "_" + extents({s.outer, s.n, s.inner}), threads,
        s.outer * s.n * s.inner, s.outer * s.n * s.inner,
        [kernel = row.make(s)](const float* x, float* y, ThreadPool& pool) { kernel.run(x, y, pool); });
}

void add_norm(const norm::Row& row, int threads) {
  for (const auto& [rows, n] : {std::pair<int64_t, int64_t>{1, 768}, {128, 768}, {128, 384}, {512, 1024}}) {
    const auto scale = std::make_shared<Numbers>(n);
    add(row.name, extents({rows, n}), threads, rows * n, rows * n,
        [=, rows = rows, kernel = row.make({n, false, 1e-5f})](const float* x, float* y, ThreadPool& pool) {
          kernel.run(x, scale->data(), scale->data(), y, rows, pool);
        });
  }
}

void add_transpose(const transpose::Row& row, int threads) {
  const struct {
    const char* name;
    transpose::Spec spec;
  } problems[] = {
      {"to_last_64@112", {4, {64, 112 * 112}, {1, 0}}},     {"to_last_3@224", {4, {3, 224 * 224}, {1, 0}}},
      {"to_first_64@112", {4, {112 * 112, 64}, {1, 0}}},    {"to_first_3@224", {4, {224 * 224, 3}, {1, 0}}},
      {"to_first_512@14", {4, {14 * 14, 512}, {1, 0}}},     {"1024x1024", {4, {1024, 1024}, {1, 0}}},
      {"heads_128x12x64", {4, {128, 12, 64}, {1, 0, 2}}},   {"keys_128x12x64", {4, {128, 12, 64}, {1, 2, 0}}},
      {"shuffle_2x58@28", {4, {2, 58, 28 * 28}, {1, 0, 2}}}};
  for (const auto& p : problems) {
    int64_t n = 1;
    for (const int64_t extent : p.spec.extents) n *= extent;
    add(row.name, p.name, threads, n, n,
        [kernel = row.make(p.spec)](const float* x, float* y, ThreadPool& pool) { kernel.run(x, y, pool); });
  }
}

void add_pad(const pad::Row& row, int threads) {
  using schema::PadMode;
  const struct {
    const char* name;
    pad::Spec spec;
  } problems[] = {{"zeros_64@112", {4, PadMode::constant, {{112, 1, 1}, {112, 1, 1}, {64, 0, 0}}}},
                  {"reflect_4@512", {4, PadMode::reflect, {{512, 4, 4}, {512, 4, 4}, {4, 0, 0}}}},
                  {"reflect_first_3@512", {4, PadMode::reflect, {{3, 0, 0}, {512, 4, 4}, {512, 4, 4}}}},
                  {"channels_32+16@56", {4, PadMode::constant, {{56 * 56, 0, 0}, {32, 0, 16}}}}};
  for (const auto& p : problems) {
    int64_t in = 1, out = 1;
    for (const auto& d : p.spec.dims) in *= d.extent, out *= d.out();
    add(row.name, p.name, threads, in, out,
        [kernel = row.make(p.spec)](const float* x, float* y, ThreadPool& pool) { kernel.run(x, nullptr, y, pool); });
  }
}

// Each output between two inputs, or on one.
resize::Axis twice(int64_t in, bool linear) {
  resize::Axis axis{{0}, {}, {}};
  for (int64_t o = 0; o < 2 * in; ++o) {
    axis.index.push_back(o / 2), axis.weight.push_back(linear ? 0.75f : 1.0f);
    if (linear)
      axis.index.push_back(std::clamp(o / 2 + (o % 2 ? 1 : -1), int64_t{0}, in - 1)), axis.weight.push_back(0.25f);
    axis.first.push_back(static_cast<int64_t>(axis.index.size()));
  }
  return axis;
}

void add_resize(const resize::Row& row, int threads) {
  for (const bool linear : {false, true})
    for (const auto& [inner, size] : {std::pair<int64_t, int64_t>{128, 20}, {64, 56}, {16, 112}, {4, 256}, {1, 256}}) {
      const resize::Spec spec{4, 1, size, size, inner, twice(size, linear), twice(size, linear)};
      add(row.name,
          std::string(linear ? "linear" : "nearest") + "_" + std::to_string(inner) + "@" + std::to_string(size),
          threads, size * size * inner, 4 * size * size * inner,
          [kernel = row.make(spec)](const float* x, float* y, ThreadPool& pool) { kernel.run(x, y, pool); });
    }
}
}  // namespace

void add_memory_bound(isa::Mask have, int threads) {
  for (const auto& row : pool::rows())
    if (isa::runs(row.isa, have)) add_pool(row, threads);
  for (const auto& row : reduce::rows())
    if (isa::runs(row.isa, have)) add_reduce(row, threads);
  for (const auto& row : softmax::rows())
    if (isa::runs(row.isa, have)) add_softmax(row, threads);
  for (const auto& row : norm::rows())
    if (isa::runs(row.isa, have)) add_norm(row, threads);
  for (const auto& row : transpose::rows())
    if (isa::runs(row.isa, have)) add_transpose(row, threads);
  for (const auto& row : pad::rows())
    if (isa::runs(row.isa, have)) add_pad(row, threads);
  for (const auto& row : resize::rows())
    if (isa::runs(row.isa, have)) add_resize(row, threads);
}
}  // namespace bench
