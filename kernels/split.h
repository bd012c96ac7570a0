// How kernels divide independent work among threads.
#pragma once
#include <algorithm>
#include <atomic>
#include <bit>
#include "kernels/os.h"
#include "kernels/threads.h"

namespace kernels {
// For by > 0.
constexpr int64_t divide_up(int64_t n, int64_t by) { return n > 0 ? (n + by - 1) / by : -(-n / by); }
constexpr int64_t round_up(int64_t n, int64_t to) { return divide_up(n, to) * to; }

// f(row0, row1, block0, block1) over all of rows × blocks: threads share rows, and blocks too where rows are few.
// `work` counts loads of an element in all; below some thousands, one thread is sooner done than two have met.
template <class F>
void run_split(ThreadPool& pool, int max_threads, int64_t rows, int64_t blocks, int64_t work, const F& f) {
  constexpr int64_t serial_work = 1 << 15;
  if (rows <= 0 || blocks <= 0) return;
  const int64_t threads = max_threads > 0 ? std::min(max_threads, pool.size()) : pool.size();
  if (threads <= 1 || work < serial_work) return f(int64_t{0}, rows, int64_t{0}, blocks);
  const int64_t wanted = 4 * threads, chunks = std::min(rows, wanted);
  const int64_t parts = std::min(blocks, (wanted + chunks - 1) / chunks);
  pool.run(
      chunks * parts,
      [&](int64_t task) {
        const int64_t chunk = task / parts, part = task % parts;
        f(rows * chunk / chunks, rows * (chunk + 1) / chunks, blocks * part / parts, blocks * (part + 1) / parts);
      },
      max_threads);
}

// Scratch for the tasks of a run, as many pieces as threads may work at once.
class Slots {
 public:
  int64_t count() const { return count_; }
  // f(task, slot) for all 0 <= task < tasks; no two tasks have a slot at the same time.
  template <class F> void run(ThreadPool& pool, int max_threads, int64_t tasks, const F& f) const {
    const int64_t threads = std::min<int64_t>(max_threads > 0 ? max_threads : pool.size(), count_);
    std::atomic<uint32_t> free{(uint32_t{1} << count_) - 1};
    pool.run(
        tasks,
        [&](int64_t task) {
          uint32_t have = free.load(std::memory_order_relaxed);
          while (!free.compare_exchange_weak(have, have & (have - 1), std::memory_order_acquire)) {}
          const int slot = std::countr_zero(have);
          f(task, int64_t{slot});
          free.fetch_or(uint32_t{1} << slot, std::memory_order_release);
        },
        static_cast<int>(threads));
  }

 private:
  static constexpr int most = 16;
  int64_t count_ = std::clamp(os::available_cores(), 1, most);
};
}  // namespace kernels
