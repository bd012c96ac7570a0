// Counts every allocation of the process that includes this, in one of its source files; can make some of them fail.
#pragma once
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <limits>

namespace {
std::atomic<int64_t> allocations{0};    // asked for, mappings of memory included
std::atomic<int64_t> live{0};           // that nothing has freed
std::atomic<int64_t> live_mappings{0};  // bytes
// Those whose number (counted from 0 by `allocations`) is in here fail.
std::atomic<int64_t> first_failing{std::numeric_limits<int64_t>::max()}, end_of_failing{0};
}  // namespace

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define INLAY_SANITISED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(INLAY_SANITISED)
constexpr bool counts = false;  // the sanitiser's allocator is in the way
#else
constexpr bool counts = true;
// glibc's own entry points, behind the ones that are counted.
extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);
void __libc_free(void*);

static bool fails() {
  const int64_t number = allocations++;
  if (number < first_failing || number >= end_of_failing) return false;
  errno = ENOMEM;
  return true;
}
static void* counted(void* p) {
  live += p != nullptr;
  return p;
}
void* malloc(size_t n) { return fails() ? nullptr : counted(__libc_malloc(n)); }
void* calloc(size_t n, size_t size) { return fails() ? nullptr : counted(__libc_calloc(n, size)); }
void* realloc(void* p, size_t n) {
  if (fails()) return nullptr;
  void* to = __libc_realloc(p, n);
  live += (to && !p) - (p && !to && !n);
  return to;
}
void* memalign(size_t alignment, size_t n) { return fails() ? nullptr : counted(__libc_memalign(alignment, n)); }
void* aligned_alloc(size_t alignment, size_t n) { return memalign(alignment, n); }
int posix_memalign(void** p, size_t alignment, size_t n) noexcept {
  void* made = memalign(alignment, n);
  if (made) *p = made;
  return made ? 0 : ENOMEM;
}
void free(void* p) {
  live -= p != nullptr;
  __libc_free(p);
}
void* mmap(void* at, size_t bytes, int protection, int flags, int file, off_t offset) noexcept {
  if (fails()) return MAP_FAILED;
#ifdef SYS_mmap
  const long made_at = syscall(SYS_mmap, at, bytes, protection, flags, file, offset);
#else  // of 32 bits: the offset is in units of 4 KiB
  const long made_at = syscall(SYS_mmap2, at, bytes, protection, flags, file, offset >> 12);
#endif
  void* made = reinterpret_cast<void*>(made_at);
  if (made != MAP_FAILED) live_mappings += int64_t(bytes);
  return made;
}
int munmap(void* at, size_t bytes) noexcept {
  live_mappings -= int64_t(bytes);
  return int(syscall(SYS_munmap, at, bytes));
}
}
#endif
