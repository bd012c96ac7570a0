// What the emulation sees of kernels that are compiled with -fsanitize=thread: the compiler then calls a function for
// each access to memory, which are these here instead of a library's. A kernel ends with an error where
//   two threads touch a byte of shared or device memory, one of them writing it, and nothing orders them: no block
//   barrier for threads of one block, no __syncwarp for lanes of one warp, and nothing does for threads of two blocks;
//   a thread reads shared memory that its block has not written, or touches that of no block;
//   an access is not aligned to its size.
// Atomic functions are not seen. Of the reads of a byte the last ones by one warp, or that several warps read it, are
// remembered.
#include <dlfcn.h>
#include <algorithm>
#include <cstdlib>
#include <unordered_map>
#include "kernels/cuda/device.h"

namespace kernels::cuda::emulator {
namespace {
constexpr int warp_size = 32, of_several = -1;

struct Access {  // in as few bytes as it takes: there are two for each byte of memory
  uint32_t launch = 0, block = 0, block_barriers = 0, warp_barriers = 0;
  int16_t warp = 0, lane = 0;  // or of_several
  const void* code = nullptr;

  Access() = default;
  Access(const Place& p, const void* from)
      : launch(p.launch),
        block(p.block),
        block_barriers(p.block_barriers),
        warp_barriers(p.warp_barriers),
        warp(int16_t(p.thread / warp_size)),
        lane(int16_t(p.thread % warp_size)),
        code(from) {}
  // The access `now` comes behind it.
  bool before(const Access& now) const {
    if (launch != now.launch) return true;
    if (block != now.block) return false;
    return block_barriers < now.block_barriers ||
           (warp == now.warp && (lane == now.lane || warp_barriers < now.warp_barriers));
  }
};
struct Byte {
  Access written, read;
};

class Shadow {
 public:
  ~Shadow() { forget(); }
  // Null: neither shared nor device memory.
  Byte* find(const Place& p, const std::byte* at, bool shared) {
    if (launch_ != p.launch) forget(), launch_ = p.launch;
    const auto page = reinterpret_cast<uintptr_t>(at) / page_bytes;
    Recent& recent = recent_[page % std::size(recent_)];
    if (page != recent.page) {
      const auto [it, is_new] = pages_.try_emplace(page, nullptr);
      if (is_new && (shared || is_device_memory(at)))
        it->second = static_cast<Byte*>(std::calloc(page_bytes, sizeof(Byte)));
      recent = {page, it->second};
    }
    return recent.bytes ? recent.bytes + reinterpret_cast<uintptr_t>(at) % page_bytes : nullptr;
  }

 private:
  static constexpr uintptr_t page_bytes = 4096;
  void forget() {
    for (const auto& [page, bytes] : pages_) std::free(bytes);
    pages_.clear();
    std::ranges::fill(recent_, Recent{});
  }
  struct Recent {
    uintptr_t page = 0;
    Byte* bytes = nullptr;
  };
  std::unordered_map<uintptr_t, Byte*> pages_;
  Recent recent_[64];
  uint32_t launch_ = 0;
};
Shadow shadow;

std::string name_of(const void* code) {
  Dl_info info{};
  char text[32];
  const bool known = dladdr(code, &info);
  std::snprintf(text, sizeof text, "+0x%zx",
                size_t(static_cast<const char*>(code) - static_cast<const char*>(known ? info.dli_fbase : nullptr)));
  return (known ? info.dli_fname : "") + std::string(text);
}
std::string text_of(const Access& a) {
  return (a.warp == of_several   ? std::string("several warps")
          : a.lane == of_several ? "several lanes of warp " + std::to_string(a.warp)
                                 : "thread " + std::to_string(a.warp * warp_size + a.lane)) +
         " of block " + std::to_string(a.block) + " at " + name_of(a.code);
}
void refuse(const char* what, const Access& before, const Access& now, bool shared) {
  fail(std::string(what) + (shared ? " in shared memory: " : " on the device: ") + text_of(before) + ", then " +
       text_of(now) + " (addr2line -e)");
}

void see(const void* address, size_t bytes, bool writes, bool aligned, const void* code) {
  if (!place) return;
  const Place& p = *place;
  const auto* const at = static_cast<const std::byte*>(address);
  const bool shared = at >= p.memory && at < p.shared_end;
  const Access now(p, code);
  if (!shadow.find(p, at, shared)) return;
  if (aligned && reinterpret_cast<uintptr_t>(at) % bytes)
    fail("an access of " + std::to_string(bytes) + " bytes that is not aligned: " + text_of(now));
  if (shared && at < p.shared) fail("an access in front of shared memory: " + text_of(now));
  const size_t word = bytes >= 4 && reinterpret_cast<uintptr_t>(at) % 4 == 0 ? 4 : 1;  // its first byte stands for it
  for (size_t i = 0; i < bytes; i += word) {
    Byte* const b = shadow.find(p, at + i, shared);
    if (!b) return;
    if (shared && b->written.block != now.block) *b = {};  // another block's
    if (!b->written.before(now))
      refuse(writes ? "two writes that race" : "a read that races with a write", b->written, now, shared);
    if (writes) {
      if (!b->read.before(now)) refuse("a write that races with a read", b->read, now, shared);
      b->written = now;
      continue;
    }
    if (shared && b->written.launch != now.launch)
      fail("a read of shared memory that nobody has written: " + text_of(now));
    Access& r = b->read;
    const bool alone = r.before(now), one_warp = r.block == now.block && r.warp == now.warp;
    r = now;
    if (!alone) r.lane = of_several, r.warp = one_warp ? r.warp : of_several;
  }
}
void see_known(const void* at, size_t bytes, bool writes, const void* code) { see(at, bytes, writes, false, code); }
[[maybe_unused]] const bool sees = (on_access = see_known, true);
}  // namespace
}  // namespace kernels::cuda::emulator

#define SEES(name, bytes, writes, aligned) \
  void name(void* at) { kernels::cuda::emulator::see(at, bytes, writes, aligned, __builtin_return_address(0)); }
#define SEES_ALL(bytes) \
  SEES(__tsan_read##bytes, bytes, false, true) \
  SEES(__tsan_write##bytes, bytes, true, true) \
  SEES(__tsan_unaligned_read##bytes, bytes, false, false) \
  SEES(__tsan_unaligned_write##bytes, bytes, true, false)
extern "C" {
SEES_ALL(1)
SEES_ALL(2)
SEES_ALL(4)
SEES_ALL(8)
SEES_ALL(16)
void __tsan_read_range(void* at, size_t bytes) {
  kernels::cuda::emulator::see(at, bytes, false, false, __builtin_return_address(0));
}
void __tsan_write_range(void* at, size_t bytes) {
  kernels::cuda::emulator::see(at, bytes, true, false, __builtin_return_address(0));
}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_init() {}
// Whether a static variable is made: a byte on x86, a word on ARM.
uint8_t __tsan_atomic8_load(const volatile uint8_t* at, int) { return __atomic_load_n(at, __ATOMIC_ACQUIRE); }
uint64_t __tsan_atomic64_load(const volatile uint64_t* at, int) { return __atomic_load_n(at, __ATOMIC_ACQUIRE); }
void __tsan_vptr_update(void*, void*) {}
}
