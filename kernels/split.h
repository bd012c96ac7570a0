// How kernels divide independent work among threads.
#pragma once
#include <algorithm>
#include "kernels/threads.h"

namespace kernels {
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
}  // namespace kernels
