#include "kernels/isa.h"
#include "kernels/isa_x86.h"
#include <cstdlib>
#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if (defined(__aarch64__) || defined(__arm__)) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace kernels::isa {
namespace {
constexpr Level table[] = {
    {"scalar", scalar}, {"avx2", avx2}, {"avx512", avx512}, {"avx512_vnni", avx512_vnni}, {"avx512_bf16", avx512_bf16},
    {"neon", neon}, {"neon_fp16", neon_fp16}, {"neon_dot", neon_dot}, {"neon_i8mm", neon_i8mm}};

#if defined(__x86_64__)
// clang 14's __builtin_cpu_supports does not know the name. A virtual machine stops at each cpuid for microseconds, so that
// what the compiler's library has asked is not asked again.
bool has_f16c() {
  unsigned a, b, c, d;
  __cpuid(1, a, b, c, d);
  return c & bit_F16C;
}
#endif

Mask machine() {
#if defined(__x86_64__)
#define HAS(feature) __builtin_cpu_supports(feature)
  if (!(HAS("avx2") && HAS("fma") && has_f16c() && HAS("bmi2"))) return scalar;
  if (!(HAS("avx512f") && HAS("avx512bw") && HAS("avx512vl") && HAS("avx512dq"))) return avx2;
  return !HAS("avx512vnni") ? avx512 : HAS("avx512bf16") ? avx512_bf16 : avx512_vnni;
#undef HAS
#elif defined(__aarch64__) && defined(__linux__)
  const auto has = [](int vector, unsigned long bits) { return (getauxval(vector) & bits) == bits; };
  if (!has(AT_HWCAP, HWCAP_ASIMDHP)) return neon;
  if (!has(AT_HWCAP, HWCAP_ASIMDDP)) return neon_fp16;
  return has(AT_HWCAP2, HWCAP2_I8MM | HWCAP2_BF16) ? neon_i8mm : neon_dot;
#elif defined(__ARM_NEON) && defined(__arm__) && defined(__linux__)
  constexpr unsigned long bits = HWCAP_NEON | HWCAP_VFPv4;
  return (getauxval(AT_HWCAP) & bits) == bits ? neon : scalar;
#elif defined(__aarch64__)
  return neon;
#else
  return scalar;
#endif
}

struct Detected {
  const Mask all = machine();
  Mask mask = all;
  std::string error;
  Detected() {
    const char* cap = std::getenv("INLAY_MAX_ISA");
    if (!cap || !*cap) return;
    if (const auto level = find(cap)) {
      mask &= *level;
      return;
    }
    error = "INLAY_MAX_ISA=" + std::string(cap) + " names no instruction set; known are";
    for (const Level& level : table) error.append(1, ' ').append(level.name);
  }
};
const Detected& detection() {
  static const Detected once;
  return once;
}
}  // namespace

std::span<const Level> levels() { return table; }

std::optional<Mask> find(std::string_view name) {
  for (const Level& level : table)
    if (level.name == name) return level.mask;
  return std::nullopt;
}

std::string_view name(Mask mask) {
  std::string_view best = "scalar";
  for (const Level& level : table)
    if (runs(level.mask, mask)) best = level.name;
  return best;
}

Mask detected() { return detection().mask; }

// AMD, Processor Programming Reference for Family 19h: its models with AVX-512 are Zen 4.
bool halves_512() {
#if defined(__x86_64__)
  return __builtin_cpu_is("amdfam19h") && runs(avx512, detection().all);
#else
  return false;
#endif
}
const std::string& error() { return detection().error; }

std::string processor() {
#if defined(__x86_64__)
  constexpr unsigned first = 0x80000002, count = 3;
  unsigned words[4 * count + 1] = {};  // ends with a zero byte
  for (unsigned i = 0; i < count; ++i)
    if (unsigned* w = words + 4 * i; !__get_cpuid(first + i, w, w + 1, w + 2, w + 3)) return {};
  std::string text = reinterpret_cast<const char*>(words);
  text.erase(0, text.find_first_not_of(' '));
  return text;
#else
  return {};
#endif
}
}  // namespace kernels::isa
