// One benchmark per row of the kernel tables and problem: FAMILY_ROW/PROBLEM, so that --benchmark_filter takes kernel
// names. Compute kernels report GFLOP/s and the percentage of what a loop of multiply-adds on registers reaches.
#include <benchmark/benchmark.h>
#include <string>
#include <vector>
#include "bench/kernels/memory_bound.h"
#include "bench/kernels/numbers.h"
#include "bench/kernels/peak.h"
#include "kernels/conv/conv.h"
#include "kernels/gemm/gemm.h"
#include "kernels/image/image.h"
#include "kernels/os.h"
#include "kernels/pointwise/pointwise.h"

namespace {
using namespace kernels;
using bench::name;
using bench::Numbers;
using pointwise::Chain;
using pointwise::Mode;
using pointwise::Stage;
using schema::BinaryKind;
using schema::UnaryKind;

void report(benchmark::State& state, double flops, isa::Mask mask, int threads) {
  const double done = flops * static_cast<double>(state.iterations());
  state.counters["GFLOP/s"] = benchmark::Counter(done * 1e-9, benchmark::Counter::kIsRate);
  if (const double peak = bench::peak_flops(mask) * threads; peak > 0)
    state.counters["%peak"] = benchmark::Counter(100 * done / peak, benchmark::Counter::kIsRate);
}

void run_gemm(benchmark::State& state, const gemm::Row& row, const gemm::Spec& spec, int64_t m, int threads) {
  const gemm::Kernel kernel = row.make(spec);
  if (!kernel) return state.SkipWithError("cannot be made here");
  ThreadPool pool(threads);
  const Numbers a(m * spec.k), b(spec.k * spec.n), bias(spec.n), c(m * spec.n);
  const os::Memory packed = os::Memory::allocate(kernel->packed_bytes()),
                   scratch = os::Memory::allocate(kernel->scratch_bytes(m));
  const bool constant = spec.b == gemm::B::packed;
  if (constant) kernel->pack_b(b.data(), spec.transposed_b ? spec.k : spec.n, packed.data());
  const void* matrix = constant ? static_cast<const void*>(packed.data()) : b.data();
  for (auto _ : state)
    kernel->run({.a = a.data(),
                 .lda = spec.k,
                 .b = matrix,
                 .ldb = spec.transposed_b ? spec.k : spec.n,
                 .c = c.data(),
                 .ldc = spec.n,
                 .bias = bias.data(),
                 .m = m,
                 .scratch = scratch.data()},
                pool);
  report(state, 2.0 * static_cast<double>(m * spec.n * spec.k), row.isa, threads);
}

void run_conv(benchmark::State& state, const conv::Row& row, const conv::Spec& spec, int64_t height, int threads) {
  const conv::Kernel kernel = row.make(spec);
  if (!kernel) return state.SkipWithError("cannot be made here");
  ThreadPool pool(threads);
  const int64_t oh = spec.out_height(height), ow = spec.out_width(), taps = int64_t{spec.kernel_h} * spec.kernel_w;
  const int64_t in_group = spec.channels / spec.groups;
  const Numbers x(height * spec.width * spec.in_pitch()), bias(spec.out_channels),
      w(spec.out_channels * in_group * taps), y(oh * ow * spec.out_pitch());
  const os::Memory packed = os::Memory::allocate(kernel->packed_bytes());
  kernel->pack(w.data(), packed.data());
  for (auto _ : state)
    kernel->run({.x = x.data(), .w = packed.data(), .bias = bias.data(), .y = y.data(), .height = height}, pool);
  report(state, 2.0 * static_cast<double>(oh * ow * spec.out_channels * in_group * taps), row.isa, threads);
}

void run_image(benchmark::State& state, const image::Row& row, image::PixelFormat format, const image::Preprocess& p,
               int threads) {
  ThreadPool pool(threads);
  const os::Memory pixels = os::Memory::allocate(1920 * 1080 * 4);
  for (size_t i = 0; i < pixels.size(); ++i) pixels.data()[i] = static_cast<std::byte>(i * 7 + i / 1920);
  const image::Picture picture{format, 1920, 1080, reinterpret_cast<const uint8_t*>(pixels.data())};
  const image::Extent extent = image::output_extent(p, picture.width, picture.height);
  const Numbers out(extent.width * extent.height * p.channels());
  image::Scratch scratch;
  const image::Kernel kernel = row.make(p);
  for (auto _ : state) kernel.run(picture, p, {out.data(), schema::DType::f32, false}, scratch, pool);
}

void run_pointwise(benchmark::State& state, const pointwise::Row& row, const Chain& chain, int64_t n) {
  const pointwise::Kernel kernel = row.make(chain);
  if (!kernel) return state.SkipWithError("cannot be made here");
  const Numbers x(n), other(n), y(n);
  const pointwise::Operand operand{other.data(), n};
  for (auto _ : state) kernel.run(x.data(), &operand, y.data(), 1, n);
  state.counters["elements/s"] =
      benchmark::Counter(static_cast<double>(n * state.iterations()), benchmark::Counter::kIsRate);
}

void add_gemm(const gemm::Row& row, int threads) {
  struct {
    int64_t m, n, k;
    gemm::B b;
  } const problems[] = {{512, 512, 512, gemm::B::packed},  {128, 768, 768, gemm::B::packed},
                        {128, 3072, 768, gemm::B::packed}, {128, 768, 3072, gemm::B::packed},
                        {1, 1000, 1280, gemm::B::packed},  {1, 512, 256, gemm::B::packed},
                        {128, 128, 64, gemm::B::dynamic},  {128, 64, 128, gemm::B::dynamic}};
  for (const auto& p : problems) {
    const gemm::Spec spec{
        .n = p.n, .k = p.k, .b = p.b, .transposed_b = p.b == gemm::B::dynamic && p.n > p.k, .bias = true};
    const std::string problem = std::to_string(p.m) + "x" + std::to_string(p.n) + "x" + std::to_string(p.k) +
                                (p.b == gemm::B::dynamic ? "_dynamic" : "");
    benchmark::RegisterBenchmark(name(row.name, problem, threads).c_str(), [&row, spec, p,
                                                                            threads](benchmark::State& state) {
      run_gemm(state, row, spec, p.m, threads);
    })->UseRealTime();
  }
}

void add_conv(const conv::Row& row, int threads) {
  struct {
    int64_t channels, out, size, groups;
    int kernel, stride, pad;
    bool nchw;
  } const problems[] = {
      {3, 64, 224, 1, 7, 2, 3, true},    {64, 64, 56, 1, 3, 1, 1, false},     {64, 256, 56, 1, 1, 1, 0, false},
      {256, 64, 56, 1, 1, 1, 0, false},  {128, 128, 28, 1, 3, 1, 1, false},   {256, 256, 14, 1, 3, 1, 1, false},
      {512, 512, 7, 1, 3, 1, 1, false},  {1024, 256, 14, 1, 1, 1, 0, false},  {128, 128, 56, 1, 3, 2, 1, false},
      {96, 24, 56, 1, 1, 1, 0, false},   {144, 144, 56, 144, 3, 1, 1, false}, {384, 384, 14, 384, 3, 1, 1, false},
      {96, 96, 112, 96, 3, 2, 1, false}, {240, 240, 28, 240, 5, 1, 2, false}, {64, 64, 56, 4, 3, 1, 1, false}};
  for (const auto& p : problems) {
    const conv::Spec spec{.channels = p.channels,
                          .out_channels = p.out,
                          .groups = p.groups,
                          .width = p.size,
                          .kernel_h = p.kernel,
                          .kernel_w = p.kernel,
                          .stride_h = p.stride,
                          .stride_w = p.stride,
                          .pad_top = p.pad,
                          .pad_left = p.pad,
                          .pad_bottom = p.pad,
                          .pad_right = p.pad,
                          .nchw_input = p.nchw,
                          .bias = true};
    if (!row.supports(spec).refusal.empty()) continue;
    const std::string problem = std::to_string(p.channels) + "-" + std::to_string(p.out) + "@" +
                                std::to_string(p.size) + "_" + std::to_string(p.kernel) + "x" +
                                std::to_string(p.kernel) + "_s" + std::to_string(p.stride) +
                                (p.groups > 1 ? "_g" + std::to_string(p.groups) : "");
    benchmark::RegisterBenchmark(name(row.name, problem, threads).c_str(), [&row, spec, p,
                                                                            threads](benchmark::State& state) {
      run_conv(state, row, spec, p.size, threads);
    })->UseRealTime();
  }
}

void add_image(const image::Row& row, int threads) {
  using image::PixelFormat;
  const image::Preprocess square{.resize = image::Resize::stretch, .width = 224, .height = 224},
      letterbox{.resize = image::Resize::letterbox, .width = 640, .height = 640}, whole;
  const struct {
    const char* problem;
    PixelFormat format;
    image::Preprocess preprocess;
  } problems[] = {{"1920x1080_rgb_224x224", PixelFormat::rgb, square},
                  {"1920x1080_rgba_224x224", PixelFormat::rgba, square},
                  {"1920x1080_nv12_224x224", PixelFormat::nv12, square},
                  {"1920x1080_rgb_letterbox_640x640", PixelFormat::rgb, letterbox},
                  {"1920x1080_rgb_whole", PixelFormat::rgb, whole}};
  for (const auto& p : problems)
    benchmark::RegisterBenchmark(name(row.name, p.problem, threads).c_str(), [&row, p,
                                                                              threads](benchmark::State& state) {
      run_image(state, row, p.format, p.preprocess, threads);
    })->Unit(benchmark::kMicrosecond)->UseRealTime();
}

void add_pointwise(const pointwise::Row& row) {
  const std::pair<const char*, Chain> chains[] = {
      {"relu", {Stage::of(UnaryKind::relu)}},
      {"sigmoid", {Stage::of(UnaryKind::sigmoid)}},
      {"silu", {Stage::of(UnaryKind::silu, 1)}},
      {"tanh", {Stage::of(UnaryKind::tanh)}},
      {"gelu", {Stage::of(UnaryKind::gelu)}},
      {"elu", {Stage::of(UnaryKind::elu, 1)}},
      {"add", {Stage::of(BinaryKind::add, 0, Mode::full)}},
      {"add_relu", {Stage::of(BinaryKind::add, 0, Mode::full), Stage::of(UnaryKind::relu)}}};
  for (const auto& [problem, chain] : chains) {
    if (!row.supports(chain).refusal.empty()) continue;
    benchmark::RegisterBenchmark(name(row.name, problem, 1).c_str(), [&row, chain = chain](benchmark::State& state) {
      run_pointwise(state, row, chain, 4096);
    });
  }
}
}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  const auto have = isa::detected();
  benchmark::AddCustomContext("isa", std::string(isa::name(have)));
  benchmark::AddCustomContext("peak GFLOP/s", std::to_string(bench::peak_flops(have) * 1e-9));
  std::vector<int> threads{1};
  if (const int cores = os::available_cores(); cores > 1) threads.push_back(cores);
  for (const auto& row : pointwise::rows())
    if (isa::runs(row.isa, have)) add_pointwise(row);
  for (const int t : threads) {
    for (const auto& row : gemm::rows())
      if (isa::runs(row.isa, have)) add_gemm(row, t);
    for (const auto& row : conv::rows())
      if (isa::runs(row.isa, have)) add_conv(row, t);
    for (const auto& row : image::rows())
      if (isa::runs(row.isa, have)) add_image(row, t);
    bench::add_memory_bound(have, t);
  }
  benchmark::RunSpecifiedBenchmarks();
}
