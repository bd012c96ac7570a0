// Counts every allocation of the process that includes this, in one of its source files.
#pragma once
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>

namespace {
std::atomic<int64_t> allocations{0};
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool counts = false;  // the sanitiser's allocator is in the way
#else
constexpr bool counts = true;
// glibc's own entry points, behind the ones that are counted.
extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);
void* malloc(size_t n) { return ++allocations, __libc_malloc(n); }
void* calloc(size_t n, size_t size) { return ++allocations, __libc_calloc(n, size); }
void* realloc(void* p, size_t n) { return ++allocations, __libc_realloc(p, n); }
void* memalign(size_t alignment, size_t n) { return ++allocations, __libc_memalign(alignment, n); }
void* aligned_alloc(size_t alignment, size_t n) { return ++allocations, __libc_memalign(alignment, n); }
int posix_memalign(void** p, size_t alignment, size_t n) {
  *p = (++allocations, __libc_memalign(alignment, n));
  return *p ? 0 : ENOMEM;
}
}
#endif
