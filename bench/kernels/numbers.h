// What all micro-benchmarks share: buffers and names.
#pragma once
#include <cmath>
#include <string>
#include <string_view>
#include "kernels/os.h"

namespace bench {
// Aligned as an arena is: a vector load across two cache lines costs double. Values of ordinary size, none denormal.
class Numbers {
 public:
  explicit Numbers(int64_t n) : memory_(kernels::os::Memory::allocate(static_cast<size_t>(n) * sizeof(float))) {
    for (int64_t i = 0; i < n; ++i) data()[i] = std::sin(static_cast<float>(i % 1013)) * 0.5f;
  }
  float* data() const { return reinterpret_cast<float*>(memory_.data()); }

 private:
  kernels::os::Memory memory_;
};

inline std::string name(std::string_view row, const std::string& problem, int threads) {
  return std::string(row) + "/" + problem + (threads > 1 ? "/threads:" + std::to_string(threads) : "");
}
}  // namespace bench
