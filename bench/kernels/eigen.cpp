// Eigen's matrix product, compiled for this machine, beside the gemm kernels. It packs B every time.
#include <Eigen/Core>
#include "bench/kernels/problems.h"
#include "tools/problem.h"

namespace bench {
namespace {
using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

void run(benchmark::State& state, const tools::GemmProblem& p) {
  const tools::Numbers a(p.m * p.spec.k), b(p.spec.k * p.spec.n), bias(p.spec.n), c(p.m * p.spec.n);
  const Eigen::Map<const Matrix> A(a.data(), p.m, p.spec.k);
  const Eigen::Map<const Matrix> B(b.data(), p.spec.transposed_b ? p.spec.n : p.spec.k,
                                   p.spec.transposed_b ? p.spec.k : p.spec.n);
  const Eigen::Map<const Eigen::RowVectorXf> row(bias.data(), p.spec.n);
  Eigen::Map<Matrix> C(c.data(), p.m, p.spec.n);
  kernels::ThreadPool pool(1);
  measure(state, p.flops(), kernels::isa::detected(), pool, [&] {
    C.rowwise() = row;
    if (p.spec.transposed_b) C.noalias() += A * B.transpose();
    else C.noalias() += A * B;
    benchmark::ClobberMemory();
  });
}
}  // namespace

void add_eigen(Problems gemm, int threads) {
  if (threads > 1) return;  // its threads are OpenMP's, which it is built without
  for (const char* text : gemm)
    benchmark::RegisterBenchmark(name("gemm_f32_eigen", text, threads).c_str(),
                                 [p = tools::parse_gemm(text)](benchmark::State& state) { run(state, p); })
        ->Unit(benchmark::kMicrosecond)
        ->UseRealTime();
}
}  // namespace bench
