#include "kernels/quantize/quantize.h"
#include <cmath>
#include <limits>
#include "kernels/split.h"

namespace kernels::quantize {
namespace {
using schema::DType;
constexpr int64_t block = 4096;  // elements that threads do not share

template <class T> void to_integers(const void* from, void* to, int64_t n, float scale, int zero) {
  const float* x = static_cast<const float*>(from);
  T* y = static_cast<T*>(to);
  const auto least = static_cast<float>(std::numeric_limits<T>::min() - zero), most = static_cast<float>(std::numeric_limits<T>::max() - zero);
  for (int64_t i = 0; i < n; ++i) {
    const float rounded = std::nearbyintf(x[i] / scale);
    y[i] = std::isnan(rounded) ? T{0} : static_cast<T>(static_cast<int>(std::clamp(rounded, least, most)) + zero);
  }
}
template <class T> void to_reals(const void* from, void* to, int64_t n, float scale, int zero) {
  const T* x = static_cast<const T*>(from);
  float* y = static_cast<float*>(to);
  for (int64_t i = 0; i < n; ++i) y[i] = static_cast<float>(x[i] - zero) * scale;
}
}  // namespace

void Kernel::run(const void* x, void* y, int64_t slices, int64_t n, const float* scale, const void* zeros, int64_t scales, const Spec& spec,
                 ThreadPool& pool, int max_threads) const {
  const int64_t from = spec.back ? 1 : 4, to = spec.back ? 4 : 1;
  run_split(pool, max_threads, slices, divide_up(n, block), slices * n, [&](int64_t slice, int64_t last, int64_t block0, int64_t block1) {
    const int64_t first = block0 * block, count = std::min(n, block1 * block) - first;
    for (; slice < last; ++slice) {
      const int64_t s = slice % scales, at = slice * n + first;
      const int zero = !zeros ? 0 : spec.integers == DType::i8 ? static_cast<const int8_t*>(zeros)[s] : static_cast<const uint8_t*>(zeros)[s];
      function_(static_cast<const std::byte*>(x) + at * from, static_cast<std::byte*>(y) + at * to, count, scale[s], zero);
    }
  });
}

std::string invalid(const Spec& s) { return s.integers == DType::i8 || s.integers == DType::u8 ? "" : "integers that have no 8 bits"; }

std::span<const Row> rows() {
  static constexpr Row table[] = {
#define KERNEL(name, isa, tile, where) {#name, isa, tile, where::supports, where::make},
#include "kernels/quantize/kernels.inc"
  };
  return table;
}

Choice select(const Spec& spec, isa::Mask have) { return choose(rows(), spec, have); }

Support scalar::supports(const Spec& spec) { return {4, invalid(spec)}; }
Kernel scalar::make(const Spec& spec) {
  if (spec.integers == DType::i8) return Kernel(spec.back ? to_reals<int8_t> : to_integers<int8_t>);
  return Kernel(spec.back ? to_reals<uint8_t> : to_integers<uint8_t>);
}
}  // namespace kernels::quantize
