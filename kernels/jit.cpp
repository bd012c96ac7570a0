#include "kernels/jit.h"
#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <cstring>
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
    os::CodePages probe = os::CodePages::allocate(1);
    return probe && probe.seal();
  }();
  return possible && !forbidden();
}

bool forbid(bool value) { return forbidden().exchange(value); }

void Pages::seal() {
  state.store(memory.seal() ? sealed : denied, std::memory_order_release);
  state.notify_all();
}

bool Pages::wait() const {
  state.wait(open, std::memory_order_acquire);
  return state.load(std::memory_order_acquire) == sealed;
}

std::shared_ptr<const Code> Batch::add(const void* code, size_t size, const std::string& name) {
  constexpr size_t line = 64;
  const std::scoped_lock lock(mutex_);
  if (pages_.empty() || pages_.back()->memory.size() - pages_.back()->used < size) {
    os::CodePages memory = os::CodePages::allocate(std::max(chunk_, size));
    if (!memory) return nullptr;
    pages_.push_back(std::make_shared<Pages>(std::move(memory)));
  }
  Pages& pages = *pages_.back();
  std::byte* const at = pages.memory.data() + pages.used;
  pages.used = std::min(pages.memory.size(), (pages.used + size + line - 1) / line * line);
  std::memcpy(at, code, size);
  register_with_perf(at, size, name);
  dump(at, size, name);
  return std::make_shared<const Code>(pages_.back(), at, size);
}

void Batch::await(const Code& code) {
  const std::scoped_lock lock(mutex_);
  others_.push_back(code.pages());
}

std::unique_ptr<uint8_t[]> Batch::take_buffer(size_t size) {
  {
    const std::scoped_lock lock(mutex_);
    if (!buffers_.empty()) {
      std::unique_ptr<uint8_t[]> buffer = std::move(buffers_.back());
      buffers_.pop_back();
      return buffer;
    }
  }
  return std::make_unique_for_overwrite<uint8_t[]>(size);
}

void Batch::give_buffer(std::unique_ptr<uint8_t[]> buffer) noexcept {
  const std::scoped_lock lock(mutex_);
  try {
    buffers_.push_back(std::move(buffer));
  } catch (const std::bad_alloc&) {  // the next generator makes one
  }
}

// Its own first: so no two batches wait for each other.
bool Batch::seal() {
  bool all = true;
  buffers_.clear();
  for (const auto& pages : std::exchange(pages_, {})) pages->seal(), all &= pages->wait();
  for (const auto& pages : std::exchange(others_, {})) all &= pages->wait();
  return all;
}

std::shared_ptr<const Code> finish(const void* code, size_t size, const std::string& name) {
  if (Batch* const batch = Batch::Scope::current) return batch->add(code, size, name);
  Batch alone(1);
  const auto finished = alone.add(code, size, name);
  return alone.seal() ? finished : nullptr;
}

#if defined(__x86_64__)
namespace {
using Xbyak::Operand;
constexpr Operand::Code saved[] = {Operand::RBX, Operand::RBP, Operand::R12, Operand::R13, Operand::R14, Operand::R15};
}  // namespace

Generator::Generator() : CodeGenerator(capacity, bytes.get()) {}

// Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, sections 2.3 (VEX) and 2.7 (EVEX).
bool Generator::encode(Encoding e, const Xmm& r, const Xmm* v, const Operand& rm) {
  constexpr size_t longest = 15;
  const auto plain = [&](const Operand& x) {
    return x.getBit() == r.getBit() && x.isYMM() | x.isZMM() && !x.getOpmaskIdx() && !x.getRounding();
  };
  if (!plain(r) || (v && !plain(*v)) || getSize() + longest > capacity) return false;
  const bool memory = rm.isMEM();
  const Xbyak::Address* const address = memory ? static_cast<const Xbyak::Address*>(&rm) : nullptr;
  const Xbyak::RegExp at = memory ? address->getRegExp(false) : Xbyak::RegExp();
  const bool indexed = memory && at.getIndex().getBit();
  if (memory ? address->getMode() != Xbyak::Address::M_ModRM || address->isBroadcast() || address->getOpmaskIdx() ||
                   !at.getBase().isREG(64) || (indexed && !at.getIndex().isREG(64))
             : !plain(rm))
    return false;
  const int reg = r.getIdx(), vvvv = v ? v->getIdx() : 0, base = memory ? at.getBase().getIdx() : rm.getIdx(),
            index = indexed ? at.getIndex().getIdx() : 0;
  const bool evex = r.isZMM() || (reg | vvvv | base) > 15;
  const unsigned not_r = ~reg >> 3 & 1, not_b = ~base >> 3 & 1,
                 not_x = memory ? ~index >> 3 & 1
                         : evex ? ~base >> 4 & 1
                                : 1;
  uint8_t* const start = top_ + size_;
  uint8_t* to = start;
  const auto put = [&](unsigned byte) { *to++ = static_cast<uint8_t>(byte); };
  if (evex) {
    put(0x62), put(not_r << 7 | not_x << 6 | not_b << 5 | (~reg >> 4 & 1) << 4 | e.map);
    put((~vvvv & 15) << 3 | 4 | e.prefix), put((r.isZMM() ? 0x40 : 0x20) | (~vvvv >> 4 & 1) << 3);
  } else if (e.map == 1 && not_x && not_b) {
    put(0xc5), put(not_r << 7 | (~vvvv & 15) << 3 | 4 | e.prefix);
  } else {
    put(0xc4), put(not_r << 7 | not_x << 6 | not_b << 5 | e.map), put((~vvvv & 15) << 3 | 4 | e.prefix);
  }
  put(e.opcode);
  const unsigned field = (reg & 7) << 3;
  if (!memory) {
    put(0xc0 | field | (base & 7));
  } else {
    const auto offset = static_cast<int32_t>(at.getDisp());
    const int unit = !evex ? 1 : e.element ? e.element : static_cast<int>(r.getBit()) / 8;
    const bool none = !offset && (base & 7) != 5,
               near = offset % unit == 0 && offset / unit >= -128 && offset / unit < 128;
    const unsigned mode = none ? 0 : near ? 0x40 : 0x80;
    if (indexed || (base & 7) == 4)
      put(mode | field | 4),
          put((indexed ? std::countr_zero(static_cast<unsigned>(at.getScale())) << 6 | (index & 7) << 3 : 4 << 3) |
              (base & 7));
    else put(mode | field | (base & 7));
    if (!none && near) put(static_cast<unsigned>(offset / unit));
    else if (!none) std::memcpy(to, &offset, 4), to += 4;
  }
  size_ += static_cast<size_t>(to - start);
  return true;
}

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
