// Every call to the operating system: what a port to another one replaces. Failures are return values; nothing throws
// but std::bad_alloc for the library's own small allocations, nothing prints.
#pragma once
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace kernels::os {
struct [[nodiscard]] Status {
  std::string message;  // empty when it went well; else "opening PATH: reason"
  bool ok() const { return message.empty(); }
};

size_t page_size();
size_t peak_rss();      // bytes; 0 where unknown
int available_cores();  // fast physical cores that this process' affinity and cgroup quota allow, at least 1
// How many of cores with these capacities, as Linux states them, are fast: a slow core among fast ones (big.LITTLE) holds up
// each step for longer than it helps.
int fast_cores(std::span<const double> capacities);
int current_cpu();  // the logical CPU that the calling thread runs on; -1 where unknown
bool stderr_is_terminal();

// Which CPUs a thread may run on. Linux tends to wake a thread on the CPU of the one that wakes it; where the two work together, the
// woken one then waits for the end of the other's time slice (3 to 4 ms, measured in a virtual machine) beside an idle CPU.
class Placement {
 public:
  // Of a thread that outlives this or is joined after it; pinned to `cpus` (logical numbers) where given and allowed.
  explicit Placement(std::thread& thread, std::span<const int> cpus = {});
  ~Placement();
  // From now on anywhere but there, unless it has no other. What others have allowed the thread since is kept.
  void keep_off(int cpu);

 private:
  struct State;
  std::unique_ptr<State> state_;  // null where the system does not say
};

// Bytes that the process owns: a mapped file, or anonymous memory. Moves, and releases on destruction.
class Memory {
 public:
  Memory() = default;
  Memory(Memory&& other) noexcept { swap(other); }
  Memory& operator=(Memory&& other) noexcept {
    Memory(std::move(other)).swap(*this);
    return *this;
  }
  ~Memory();
  std::byte* data() const { return data_; }
  size_t size() const { return size_; }
  explicit operator bool() const { return data_ != nullptr; }

  // Zeroed, aligned to a page; its pages are committed when first touched. Null on failure.
  static Memory allocate(size_t bytes);
  // The file's bytes, read-only. An empty file gives size 0 and a non-null address. Truncating it while mapped is
  // undefined.
  static Status map_file(const std::string& path, Memory& out);
  static Status read_file(const std::string& path, Memory& out);

  // A hint for memory that is read again and again: fewer, larger pages where it spans some. Wasted is less than half of one.
  void prefer_large_pages() const;

  // A hint that [offset, offset + bytes) of a mapped file is read next: its pages are mapped at once instead of one by one.
  void fetch_pages(size_t offset, size_t bytes) const;

  // Gives the physical pages wholly inside [offset, offset + bytes) back. A mapped file reads the same afterwards;
  // allocated memory reads as zeros.
  void release_pages(size_t offset, size_t bytes) const;

 private:
  void swap(Memory& other) noexcept;
  std::byte* data_ = nullptr;
  size_t size_ = 0;
  size_t mapped_ = 0;
};

// Replaces `path` by these bytes in one step: a temporary file beside it, synced, renamed. On failure nothing is left
// behind.
Status write_file(const std::string& path, std::span<const std::span<const std::byte>> parts);
inline Status write_file(const std::string& path, std::span<const std::byte> bytes) {
  return write_file(path, std::span(&bytes, 1));
}

// Whether write_file could write there, as far as can be told without doing so.
Status check_writable(const std::string& path);

bool is_file(const std::string& path);  // that can be read
std::string own_folder();  // of the library or program that this code is part of; empty where unknown
// A function of a shared library, which stays loaded from then on. Null, and the reason, where there is none.
void* library_function(const std::string& path, const char* name, std::string& reason);

// Pages for generated code: written first; once sealed, executed and no longer written.
class CodePages {
 public:
  static CodePages allocate(size_t bytes);  // false where memory is denied
  CodePages() = default;
  CodePages(CodePages&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  CodePages& operator=(CodePages&&) = delete;
  ~CodePages();
  explicit operator bool() const { return data_ != nullptr; }
  std::byte* data() const { return data_; }
  size_t size() const { return size_; }
  bool seal();  // false where that is denied

 private:
  std::byte* data_ = nullptr;
  size_t size_ = 0;  // whole pages
};
}  // namespace kernels::os
