#include "kernels/jit.h"
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <unistd.h>

namespace kernels::jit {
namespace {
bool flag(const char* name) {
  const char* value = std::getenv(name);
  return value && *value && std::string_view(value) != "0";
}

std::atomic<bool>& forbidden() {
  static std::atomic<bool> value = flag("INLAY_NO_JIT");
  return value;
}

// perf reads this file for the names of addresses that belong to no mapped library.
void register_with_perf(const void* address, size_t size, const std::string& name) {
  static std::mutex mutex;
  static std::FILE* map = [] {
    return flag("INLAY_PERF_MAP") ? std::fopen(("/tmp/perf-" + std::to_string(getpid()) + ".map").c_str(), "a")
                                  : nullptr;
  }();
  if (!map) return;
  std::scoped_lock lock(mutex);
  std::fprintf(map, "%zx %zx %s\n", reinterpret_cast<size_t>(address), size, name.c_str());
  std::fflush(map);
}

void dump(const void* address, size_t size, const std::string& name) {
  static const char* folder = std::getenv("INLAY_JIT_DUMP");
  if (!folder || !*folder) return;
  char suffix[32];
  std::snprintf(suffix, sizeof suffix, ".%zx.bin", reinterpret_cast<size_t>(address));
  // A dump that fails is an aid that is missing, not an error of the program.
  const os::Status ignored = os::write_file(std::string(folder) + "/" + name + suffix,
                                            std::span(static_cast<const std::byte*>(address), size));
  static_cast<void>(ignored);
}
}  // namespace

bool allowed() {
  static const bool possible = [] {
    constexpr std::byte probe[16] = {};
    return os::make_executable(probe) != nullptr;
  }();
  return possible && !forbidden();
}

bool forbid(bool value) { return forbidden().exchange(value); }

std::shared_ptr<const Code> seal(const void* code, size_t size, const std::string& name) {
  os::Executable memory = os::make_executable(std::span(static_cast<const std::byte*>(code), size));
  if (!memory) return nullptr;
  register_with_perf(memory.get(), size, name);
  dump(memory.get(), size, name);
  return std::make_shared<const Code>(std::move(memory), size);
}

#if defined(__x86_64__)
namespace {
using Xbyak::Operand;
constexpr Operand::Code saved[] = {Operand::RBX, Operand::RBP, Operand::R12, Operand::R13, Operand::R14, Operand::R15};
}  // namespace

Generator::Generator() : CodeGenerator(capacity, bytes.get()) {}

void Generator::save() {
  for (const Operand::Code r : saved) push(Xbyak::Reg64(r));
}

void Generator::epilogue() {
  vzeroupper();
  for (size_t i = std::size(saved); i-- > 0;) pop(Xbyak::Reg64(saved[i]));
  ret();
}
#endif
}  // namespace kernels::jit
