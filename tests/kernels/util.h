// Buffers and numbers for kernel tests. A seed is part of every failure's trace; INLAY_TEST_SEED repeats one.
#pragma once
#include <gtest/gtest.h>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>
#include "kernels/isa.h"
#include "kernels/jit.h"
#include "kernels/os.h"

namespace test {
inline unsigned seed() {
  static const unsigned value = [] {
    const char* given = std::getenv("INLAY_TEST_SEED");
    return given ? static_cast<unsigned>(std::atoi(given)) : 12345u;
  }();
  return value;
}

// n floats between guard bytes, filled with NaN. They begin 4 bytes past a multiple of 64, so that no vector is
// aligned.
class Buffer {
 public:
  explicit Buffer(size_t n) : n_(n), memory_(kernels::os::Memory::allocate(n * sizeof(float) + 2 * guard + 64)) {
    std::memset(memory_.data(), 0xa5, memory_.size());
    for (size_t i = 0; i < n; ++i) data()[i] = std::numeric_limits<float>::quiet_NaN();
  }
  Buffer(size_t n, unsigned salt, float low = -1, float high = 1) : Buffer(n) {
    std::mt19937 random(seed() + salt);
    std::uniform_real_distribution<float> value(low, high);
    for (size_t i = 0; i < n; ++i) data()[i] = value(random);
  }
  float* data() const { return reinterpret_cast<float*>(memory_.data() + guard + 4); }
  size_t size() const { return n_; }
  float& operator[](size_t i) const { return data()[i]; }
  bool guards_intact() const {
    const auto whole = [&](size_t from, size_t to) {
      for (size_t i = from; i < to; ++i)
        if (memory_.data()[i] != std::byte{0xa5}) return false;
      return true;
    };
    return whole(0, guard + 4) && whole(guard + 4 + n_ * sizeof(float), memory_.size());
  }

 private:
  static constexpr size_t guard = 256;
  size_t n_;
  kernels::os::Memory memory_;
};

// Within `tolerance` of the larger of 1 and the value; NaN and infinity alike.
inline bool near(double got, double want, double tolerance) {
  if (std::isnan(want) || std::isnan(got)) return std::isnan(want) && std::isnan(got);
  if (std::isinf(want) || std::isinf(got)) return got == want;
  return std::abs(got - want) <= tolerance * std::max(1.0, std::abs(want));
}

// Why a row cannot be tested here, or empty.
template <class Row> std::string unavailable(const Row& row) {
  if (!kernels::isa::runs(row.isa, kernels::isa::detected())) return "needs " + std::string(kernels::isa::name(row.isa));
  const bool generated = row.name.find("jit") != std::string_view::npos;
  return generated && !kernels::jit::allowed() ? "executable memory is denied" : "";
}

// The masks this machine runs, each of which is a cap to test.
inline std::vector<kernels::isa::Level> caps() {
  std::vector<kernels::isa::Level> all;
  for (const auto& level : kernels::isa::levels())
    if (kernels::isa::runs(level.mask, kernels::isa::detected())) all.push_back(level);
  return all;
}
}  // namespace test
