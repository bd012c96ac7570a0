#include "tests/limits/bytes.h"
#include <malloc.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>

namespace {
std::atomic<int64_t> now{0}, most{0};

[[maybe_unused]] void hold(int64_t bytes) {
  const int64_t held = now.fetch_add(bytes, std::memory_order_relaxed) + bytes;
  for (int64_t known = most; known < held && !most.compare_exchange_weak(known, held);) {}
}
}  // namespace

int64_t bytes_held() { return now; }
int64_t most_bytes_held() { return most; }
void forget_most_bytes() { most = now.load(); }

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(__clang__)
const bool counts_bytes = false;  // the sanitiser's allocator is in the way
#else
const bool counts_bytes = true;
// glibc's own entry points, behind the ones that are counted.
extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);
void __libc_free(void*);

static void* counted(void* p) { return p ? hold(int64_t(malloc_usable_size(p))), p : p; }
void* malloc(size_t n) { return counted(__libc_malloc(n)); }
void* calloc(size_t n, size_t size) { return counted(__libc_calloc(n, size)); }
void* memalign(size_t alignment, size_t n) { return counted(__libc_memalign(alignment, n)); }
void* aligned_alloc(size_t alignment, size_t n) { return counted(__libc_memalign(alignment, n)); }
int posix_memalign(void** p, size_t alignment, size_t n) { return (*p = counted(__libc_memalign(alignment, n))) ? 0 : ENOMEM; }
void free(void* p) {
  if (p) hold(-int64_t(malloc_usable_size(p)));
  __libc_free(p);
}
void* realloc(void* p, size_t n) {
  const int64_t old = p ? int64_t(malloc_usable_size(p)) : 0;
  void* const moved = __libc_realloc(p, n);
  if (moved || n == 0) hold(-old);
  return counted(moved);
}
void* mmap(void* at, size_t n, int protection, int flags, int file, off_t offset) noexcept {
  void* const p = reinterpret_cast<void*>(syscall(SYS_mmap, at, n, protection, flags, file, offset));
  if (p != MAP_FAILED && file < 0 && !(protection & PROT_EXEC)) hold(int64_t(n));
  return p;
}
int munmap(void* p, size_t n) noexcept {
  hold(-int64_t(n));  // also where a file was mapped: no test counts across that
  return int(syscall(SYS_munmap, p, n));
}
}
#endif
