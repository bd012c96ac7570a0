#include "kernels/half/half.h"
#include <array>
#include "kernels/split.h"

namespace kernels::half {
void Kernel::run(const void* x, void* y, int64_t n, const Spec& spec, ThreadPool& pool, int max_threads) const {
  constexpr int64_t block = 4096;  // elements that threads do not share
  const int64_t from = spec.back ? 2 : 4, to = 6 - from;
  run_split(pool, max_threads, divide_up(n, block), 1, n, [&](int64_t first, int64_t last, int64_t, int64_t) {
    const int64_t at = first * block;
    function_(static_cast<const std::byte*>(x) + at * from, static_cast<std::byte*>(y) + at * to, std::min(n, last * block) - at);
  });
}

std::span<const Row> rows() {
  static constexpr auto table = std::to_array<Row>({
#define KERNEL(name, isa, tile, where) {#name, isa, tile, where::supports, where::make},
#include "kernels/half/kernels.inc"
  });
  return table;
}

Choice select(const Spec& spec, isa::Mask have) { return choose(rows(), spec, have); }
}  // namespace kernels::half
