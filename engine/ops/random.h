// Random numbers that follow from a key and a counter alone: the generator Philox4x32-10 of J. K. Salmon, M. A. Moraes,
// R. O. Dror and D. E. Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3", SC'11.
#pragma once
#include <array>
#include <cstdint>

namespace engine {
constexpr std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xD2511F53} * counter[0], b = uint64_t{0xCD9E8D57} * counter[2];
    counter = {uint32_t(b >> 32) ^ counter[1] ^ key[0], uint32_t(b), uint32_t(a >> 32) ^ counter[3] ^ key[1],
               uint32_t(a)};
    key[0] += 0x9E3779B9, key[1] += 0xBB67AE85;
  }
  return counter;
}

// The numbers that one step draws in one run.
class RandomStream {
 public:
  // With `seeded`, those of the seed; else of a key of this process and a number that no run before had.
  RandomStream(bool seeded, int64_t seed);

  // f(i, bits, more) for each even i below n, in order: 64 random bits for number i, and 64 for i + 1.
  template <class F> void pairs(int64_t n, F&& f) const {
    for (int64_t i = 0; i < n; i += 2) {
      const uint64_t block = uint64_t(i) / 2;
      const auto w = philox({uint32_t(block), uint32_t(block >> 32), uint32_t(run_), uint32_t(run_ >> 32)},
                            {uint32_t(key_), uint32_t(key_ >> 32)});
      f(i, uint64_t{w[1]} << 32 | w[0], uint64_t{w[3]} << 32 | w[2]);
    }
  }
  // f(i, bits) for each i below n, in order.
  template <class F> void each(int64_t n, F&& f) const {
    pairs(n, [&](int64_t i, uint64_t bits, uint64_t more) {
      f(i, bits);
      if (i + 1 < n) f(i + 1, more);
    });
  }

 private:
  uint64_t key_, run_;
};

// Uniform over [0, 1): a multiple of 2^-digits, with at most 53 digits.
inline double unit(uint64_t bits, int digits = 53) {
  return double(bits >> (64 - digits)) / double(uint64_t{1} << digits);
}
}  // namespace engine
