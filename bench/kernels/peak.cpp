#include "bench/kernels/peak.h"
#include <algorithm>
#include <chrono>
#include <cstring>
#include <vector>
#include "kernels/jit.h"

namespace bench {
#if defined(__x86_64__)
namespace {
using namespace Xbyak::util;
using Loop = void (*)(int64_t);
constexpr int sums = 12, unroll = 4;

template <class Isa> class PeakGenerator : public kernels::jit::Generator {
 public:
  PeakGenerator() {
    Xbyak::Label loop;
    prologue<Isa>();
    using Vmm = typename Isa::Vmm;
    for (int i = 0; i < sums + 2; ++i) vxorps(Xbyak::Xmm(i), Xbyak::Xmm(i), Xbyak::Xmm(i));
    L(loop);
    for (int i = 0; i < sums * unroll; ++i) vfmadd231ps(Vmm(i % sums), Vmm(sums), Vmm(sums + 1));
    dec(rdi), jnz(loop, T_NEAR);
    epilogue();
  }
};

template <class Isa> double measure() {
  static const auto code = kernels::jit::generate<PeakGenerator<Isa>>("peak");
  if (!code) return 0;
  const auto loop = code->template entry<Loop>();
  constexpr int64_t rounds = 20000;
  double best = 0;
  for (int i = 0; i < 5; ++i) {
    const auto start = std::chrono::steady_clock::now();
    loop(rounds);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    best = std::max(best, 2.0 * Isa::lanes * sums * unroll * rounds / took.count());
  }
  return best;
}
}  // namespace

double peak_flops(kernels::isa::Mask mask) {
  if (kernels::isa::runs(kernels::isa::avx512, mask)) return measure<kernels::jit::Avx512>();
  return kernels::isa::runs(kernels::isa::avx2, mask) ? measure<kernels::jit::Avx2>() : 0;
}
#else
double peak_flops(kernels::isa::Mask) { return 0; }
#endif

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
}  // namespace bench
