// A pool of threads that divides independent tasks. Results must not depend on which thread runs a task.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <type_traits>
#include <vector>

namespace kernels {
class ThreadPool {
 public:
  // `size` counts the caller: a pool of 1 has no thread of its own. Workers are pinned to `cpus` where given.
  explicit ThreadPool(int size, std::span<const int> cpus = {});
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const { return size_; }

  // f(i) for all 0 <= i < tasks, on at most `max_threads` threads (0: all) and the calling one among them; returns when
  // all are done. Allocates nothing. Where the pool is busy with another call, or this is a call from inside a task, it
  // runs alone on the calling thread instead of waiting. All threads work in the caller's FloatMode. f must not throw.
  template <class F> void run(int64_t tasks, F&& f, int max_threads = 0) {
    using Function = std::remove_reference_t<F>;
    run_erased(
        tasks, [](const void* context, int64_t i) { (*static_cast<const Function*>(context))(i); }, &f, max_threads);
  }

  // Cores that this process may use (os::available_cores), as the maker of the first pool found them: a worker may not
  // know, since it is kept off some.
  static int cores();

  // The caller alone: a pool of 1, which starts no thread and asks the system for nothing.
  static ThreadPool& caller();
  // The one pool of the process, made on first use with the size last set; the physical cores it may use by default.
  static ThreadPool& process();
  // Replaces it. No run may be active. 0: the default size.
  static void set_process(int size, std::span<const int> cpus = {});

 private:
  using Task = void (*)(const void*, int64_t);
  void run_erased(int64_t tasks, Task, const void* context, int max_threads);
  struct State;
  int size_;
  std::unique_ptr<State> state_;
};
}  // namespace kernels
