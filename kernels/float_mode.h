// How the calling thread's floating-point unit rounds, and what it does with subnormal numbers (below 1.2e-38 in f32).
#pragma once
#include <cstdint>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace kernels {
// The control bits, without the flags of past exceptions.
class FloatMode {
 public:
  static FloatMode current() {
#if defined(__x86_64__)
    return FloatMode(_mm_getcsr() & ~exceptions);
#elif defined(__aarch64__)
    uint64_t bits;
    asm volatile("mrs %0, fpcr" : "=r"(bits));
    return FloatMode(bits);
#elif defined(__arm__)
    uint32_t bits;
    asm volatile("vmrs %0, fpscr" : "=r"(bits));
    return FloatMode(bits & ~exceptions);
#else
    return FloatMode(0);
#endif
  }
  void set() const {
#if defined(__x86_64__)
    _mm_setcsr(static_cast<uint32_t>(bits_) | (_mm_getcsr() & exceptions));
#elif defined(__aarch64__)
    asm volatile("msr fpcr, %0" : : "r"(bits_));
#elif defined(__arm__)
    asm volatile("vmsr fpscr, %0" : : "r"(static_cast<uint32_t>(bits_)));
#endif
  }
  // The same, but that a subnormal number is read as zero and zero is written in its place: x86 takes some 150 cycles
  // for an instruction that meets one.
  FloatMode flushing() const { return FloatMode(bits_ | flush); }
  bool operator==(const FloatMode&) const = default;

 private:
#if defined(__x86_64__)
  static constexpr uint64_t exceptions = 0x3f, flush = 0x8040;  // flush to zero; denormals are zeros
#elif defined(__aarch64__) || defined(__arm__)
  [[maybe_unused]] static constexpr uint64_t exceptions = 0xf000009f;  // and the flags of comparisons
  static constexpr uint64_t flush = uint64_t{1} << 24;
#else
  static constexpr uint64_t flush = 0;
#endif
  explicit FloatMode(uint64_t bits) : bits_(bits) {}
  uint64_t bits_;
};

// The calling thread's mode until the end of the scope, and that of all threads of a pool that work for it meanwhile.
class FloatModeScope {
 public:
  explicit FloatModeScope(FloatMode mode) : before_(FloatMode::current()) { mode.set(); }
  ~FloatModeScope() { before_.set(); }
  FloatModeScope(const FloatModeScope&) = delete;
  FloatModeScope& operator=(const FloatModeScope&) = delete;

 private:
  FloatMode before_;
};
}  // namespace kernels
