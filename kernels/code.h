// Generated code in memory, whoever generates it. It is copied to pages, named for perf, and dumped on request; pages
// are sealed before it is called: they can be executed and no longer written.
//   INLAY_NO_JIT=1        pretend that executable pages are denied      INLAY_PERF_MAP=1   /tmp/perf-PID.map for perf
//   INLAY_JIT_DUMP=DIR    each code as DIR/NAME.ADDRESS.bin
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>
#include "kernels/os.h"

namespace kernels::jit {
// What one or more codes lie in; released with the last of them.
struct Pages {
  enum State : int { open, sealed, denied };
  explicit Pages(os::CodePages m) : memory(std::move(m)) {}
  os::CodePages memory;
  size_t used = 0;
  std::atomic<int> state{open};
  void seal();
  bool wait() const;  // until they are sealed; false: denied
};

// Finished code. Position independent; what its functions point into, so keep it while they may run.
class Code {
 public:
  Code(std::shared_ptr<const Pages> pages, const std::byte* at, size_t size)
      : pages_(std::move(pages)), at_(at), size_(size) {}
  template <class Function> Function entry() const {
    return reinterpret_cast<Function>(reinterpret_cast<uintptr_t>(at_));
  }
  size_t size() const { return size_; }
  const std::shared_ptr<const Pages>& pages() const { return pages_; }

 private:
  std::shared_ptr<const Pages> pages_;
  const std::byte* at_;
  size_t size_;
};

// Codes that share pages and are sealed together: a page of its own and two calls to the system take longer than a
// small code takes to generate. None may be called before.
class Batch {
 public:
  explicit Batch(size_t chunk = 256 << 10) : chunk_(chunk) {}
  ~Batch() { seal(); }
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;
  // While it lives, what this thread generates belongs to the batch.
  class Scope {
   public:
    explicit Scope(Batch& batch) : before_(std::exchange(current, &batch)) {}
    ~Scope() { current = before_; }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;
    static inline thread_local Batch* current = nullptr;

   private:
    Batch* before_;
  };
  // Null where memory is denied.
  std::shared_ptr<const Code> add(const void* code, size_t size, const std::string& name);
  void await(const Code&);  // of another batch, that seal() then waits for
  // Memory to generate code in, of the same size each time, which the next generator of the batch gets again.
  std::unique_ptr<uint8_t[]> take_buffer(size_t);
  void give_buffer(std::unique_ptr<uint8_t[]>) noexcept;
  bool seal();              // false where that is denied

 private:
  const size_t chunk_;
  std::mutex mutex_;
  std::vector<std::shared_ptr<Pages>> pages_;  // new code goes to the last
  std::vector<std::shared_ptr<const Pages>> others_;
  std::vector<std::unique_ptr<uint8_t[]>> buffers_;
};

bool allowed();           // executable pages can be had
bool forbid(bool value);  // for tests: as if they were denied; gives the value before

// To the batch of this thread; where it has none, sealed at once. Null where executable memory is denied.
std::shared_ptr<const Code> finish(const void* code, size_t size, const std::string& name);

// The code of a key, made where nobody holds it: it can be called now, or when the batch of this thread is sealed.
template <class Cache, class Key, class Make>
std::shared_ptr<const Code> shared(Cache& cache, const Key& key, const Make& make) {
  auto code = cache.get(key, make);
  if (!code || code->pages()->state.load(std::memory_order_acquire) == Pages::sealed) return code;
  if (Batch* const batch = Batch::Scope::current) return batch->await(*code), code;
  return code->pages()->wait() ? code : nullptr;
}
}  // namespace kernels::jit
