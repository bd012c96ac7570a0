// One benchmark per row of the kernel tables and problem.
#include <vector>
#include "bench/kernels/memory_bound.h"
#include "bench/kernels/problems.h"
#include "kernels/os.h"
#include "tools/problem.h"

namespace {
using namespace kernels;

void add(std::string_view family, std::span<const char* const> texts, int threads) {
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

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  benchmark::AddCustomContext("isa", std::string(isa::name(isa::detected())));
  std::vector<int> threads{1};
  if (const int cores = os::available_cores(); cores > 1) threads.push_back(cores);
  for (const int t : threads) {
    ThreadPool pool(t);
    benchmark::AddCustomContext("peak GFLOP/s, threads: " + std::to_string(t),
                                std::to_string(peak_flops(isa::detected(), pool) * 1e-9));
  }
  add("pointwise", bench::pointwise_problems, 1);
  for (const int t : threads) {
    add("gemm", bench::gemm_problems, t);
    add("conv", bench::conv_problems, t);
    add("rnn", bench::rnn_problems, t);
    add("image", bench::image_problems, t);
    bench::add_memory_bound(isa::detected(), t);
#ifdef INLAY_BENCH_ONEDNN
    bench::add_onednn(t);
#endif
#ifdef INLAY_BENCH_EIGEN
    bench::add_eigen(t);
#endif
  }
  benchmark::RunSpecifiedBenchmarks();
}
