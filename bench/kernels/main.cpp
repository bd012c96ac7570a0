// bench_kernels [FLAG…] [FAMILY PROBLEM…]: one benchmark per row of the kernel tables and problem, and per library beside it.
// Without a family, of all families on problems of their own.
#include <iostream>
#include <vector>
#include "bench/kernels/memory_bound.h"
#include "bench/kernels/problems.h"
#include "kernels/os.h"
#include "tools/problem.h"

namespace {
using namespace kernels;

void add(std::string_view family, bench::Problems texts, int threads) {
  for (const char* text : texts) {
    const tools::Problem problem = tools::parse_problem(family, text);
    for (const tools::KernelRow& row : tools::kernel_rows()) {
      if (row.family != family || !tools::unavailable(row).empty() || !problem.refusal(row.name).empty()) continue;
      const auto run = [=, isa = family == "rnn" ? isa::detected() : row.isa](benchmark::State& state) {
        const tools::Ready ready = problem.prepare(row.name);
        if (!ready.run) return state.SkipWithError(ready.refusal.c_str());
        ThreadPool pool(threads);
        bench::measure(state, ready.flops, isa, pool, [&] { ready.run(pool); });
      };
      benchmark::RegisterBenchmark(bench::name(row.name, text, threads).c_str(), run)
          ->Unit(benchmark::kMicrosecond)
          ->UseRealTime();
    }
  }
}
}  // namespace

int main(int argc, char** argv) try {
  benchmark::Initialize(&argc, argv);
  benchmark::AddCustomContext("isa", std::string(isa::name(isa::detected())));
  std::vector<int> threads{1};
  if (const int cores = os::available_cores(); cores > 1) threads.push_back(cores);
  for (const int t : threads) {
    ThreadPool pool(t);
    benchmark::AddCustomContext("peak GFLOP/s, threads: " + std::to_string(t),
                                std::to_string(peak_flops(isa::detected(), pool) * 1e-9));
  }
  if (argc == 2) throw tools::ProblemError(std::string(argv[1]) + ": which problems of this family?");
  for (int i = 2; i < argc; ++i) tools::parse_problem(argv[1], argv[i]);
  const auto of = [&](std::string_view family, bench::Problems own) {
    return argc < 2 ? own : family == argv[1] ? bench::Problems(argv + 2, static_cast<size_t>(argc - 2)) : bench::Problems();
  };
  add("pointwise", of("pointwise", bench::pointwise_problems), 1);
  for (const int t : threads) {
    const bench::Problems gemm = of("gemm", bench::gemm_problems), conv = of("conv", bench::conv_problems);
    add("gemm", gemm, t);
    add("gemm_s8", of("gemm_s8", bench::gemm_s8_problems), t);
    add("conv", conv, t);
    add("rnn", of("rnn", bench::rnn_problems), t);
    add("image", of("image", bench::image_problems), t);
    if (argc < 2) bench::add_memory_bound(isa::detected(), t);
#ifdef INLAY_BENCH_ONEDNN
    bench::add_onednn(gemm, conv, t);
#endif
#ifdef INLAY_BENCH_EIGEN
    bench::add_eigen(gemm, t);
#endif
  }
  benchmark::RunSpecifiedBenchmarks();
} catch (const tools::ProblemError& e) {
  std::cerr << "bench_kernels: " << e.what() << '\n';
  return 2;
}
