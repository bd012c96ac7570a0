// How kernels divide independent work among threads.
#pragma once
#include <algorithm>
#include <atomic>
#include <bit>
#include "kernels/threads.h"

namespace kernels {
// For by > 0.
constexpr int64_t divide_up(int64_t n, int64_t by) { return n > 0 ? (n + by - 1) / by : -(-n / by); }
constexpr int64_t round_up(int64_t n, int64_t to) { return divide_up(n, to) * to; }

// What a step divides among threads: rows (of pixels, of a matrix) and blocks of columns.
struct Divisible {
  int64_t rows = 1, blocks = 1;
  int64_t work = 0;        // multiply-adds; a byte that is read or written counts as four
  int64_t least = 1, most = INT64_MAX;  // parts that rows are cut into: for the cache's sake, and before they are too short
  int64_t for_rows = 0;    // bytes of the rows themselves, read and written
  int64_t for_blocks = 0;  // bytes that all rows read, such as weights: each block its own
};

// Its tasks. A thread gets the same share of every step (threads.h), so that it finds in its own cache the rows which it wrote
// in the step before: a line that another core wrote takes some 20 ns, and half of a small layer is many lines. So rows come
// first, unless what belongs to the columns is more than they are: then each thread reads its own part of that.
struct Division {
  int64_t rows = 1, blocks = 1;  // parts
  bool by_blocks = false;        // neighbouring tasks share their columns, not their rows

  static Division of(const Divisible& d, int64_t threads) {
    constexpr int64_t serial_work = 1 << 18, task_work = 1 << 19;  // some 3 and 6 µs
    constexpr int64_t in_cache = 256 << 10;                        // bytes that are read again for every part of the rows
    Division parts{std::min(d.rows, d.least)};
    if (threads <= 1 || d.work < serial_work) return parts;
    const int64_t wanted = std::clamp(d.work / task_work, threads, 4 * threads);  // more than threads: to even out what else the cores do
    const int64_t most_rows = std::min(d.rows, std::max(d.most, parts.rows));
    parts.by_blocks = d.for_blocks > 2 * d.for_rows;
    if (parts.by_blocks) {
      parts.blocks = std::min(d.blocks, divide_up(wanted, parts.rows));
    } else {
      parts.rows = std::min(most_rows, round_up(std::max(parts.rows, d.for_blocks > in_cache ? threads : wanted), threads));
      parts.blocks = std::min(d.blocks, divide_up(wanted, parts.rows));
    }
    if (parts.rows * parts.blocks < wanted) parts.rows = std::min(most_rows, std::max(parts.rows, divide_up(wanted, parts.blocks)));
    return parts;
  }

  struct Task {
    int64_t row, block;  // which of the parts
  };
  Task task(int64_t i) const { return by_blocks ? Task{i % rows, i / rows} : Task{i / blocks, i % blocks}; }
};

inline int64_t threads_of(const ThreadPool& pool, int max_threads) {
  return max_threads > 0 ? std::min(max_threads, pool.size()) : pool.size();
}

// f(row0, row1, block0, block1) for each part of all rows and blocks.
template <class F> void run_divided(ThreadPool& pool, int max_threads, const Divisible& d, const F& f) {
  if (d.rows <= 0 || d.blocks <= 0) return;
  const Division parts = Division::of(d, threads_of(pool, max_threads));
  pool.run(
      parts.rows * parts.blocks,
      [&](int64_t i) {
        const auto [row, block] = parts.task(i);
        f(d.rows * row / parts.rows, d.rows * (row + 1) / parts.rows, d.blocks * block / parts.blocks, d.blocks * (block + 1) / parts.blocks);
      },
      max_threads);
}

// The same for what only loads elements: `loads` of them in all.
template <class F>
void run_split(ThreadPool& pool, int max_threads, int64_t rows, int64_t blocks, int64_t loads, const F& f) {
  run_divided(pool, max_threads, {.rows = rows, .blocks = blocks, .work = 16 * loads}, f);
}

// Scratch for the tasks of a run, as many pieces as threads may work at once.
class Slots {
 public:
  int64_t count() const { return count_; }
  // f(task, slot) for all 0 <= task < tasks; no two tasks have a slot at the same time.
  template <class F> void run(ThreadPool& pool, int max_threads, int64_t tasks, const F& f) const {
    const int64_t threads = std::min(threads_of(pool, max_threads), count_);
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
  int64_t count_ = std::clamp(ThreadPool::cores(), 1, most);
};
}  // namespace kernels
