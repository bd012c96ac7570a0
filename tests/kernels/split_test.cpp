#include "kernels/split.h"
#include <mutex>
#include "tests/kernels/util.h"

namespace {
using kernels::Divisible;
using kernels::Division;
using kernels::ThreadPool;

constexpr int64_t much = 1 << 26;  // multiply-adds

TEST(Division, CoversEachRowOfEachBlockOnce) {
  for (const int size : {1, 2, 3, 8}) {
    ThreadPool pool(size);
    for (const int64_t rows : {0, 1, 2, 7, 49, 100})
      for (const int64_t blocks : {0, 1, 3, 17})
        for (const int64_t for_blocks : {0, 1 << 10, 1 << 24})
          for (const int64_t least : {1, 3}) {
            std::vector<int> count(static_cast<size_t>(rows * blocks));
            std::mutex mutex;
            run_divided(pool, 0, {.rows = rows, .blocks = blocks, .work = much, .least = least, .most = 4, .for_rows = 1 << 16, .for_blocks = for_blocks},
                        [&](int64_t row0, int64_t row1, int64_t block0, int64_t block1) {
                          std::scoped_lock lock(mutex);
                          for (int64_t r = row0; r < row1; ++r)
                            for (int64_t b = block0; b < block1; ++b) ++count[static_cast<size_t>(r * blocks + b)];
                        });
            for (const int c : count) ASSERT_EQ(c, 1) << size << " threads, " << rows << " x " << blocks;
          }
  }
}

TEST(Division, SmallWorkIsOneTask) {
  const Division parts = Division::of({.rows = 100, .blocks = 100, .work = 1000}, 2);
  EXPECT_EQ(parts.rows * parts.blocks, 1);
  // The cache's wish is kept.
  EXPECT_EQ(Division::of({.rows = 100, .work = 1000, .least = 5}, 2).rows, 5);
}

// Steps of different kinds give a thread the same part of the image.
TEST(Division, ThreadsShareRows) {
  const int64_t threads = 2;
  for (const Divisible& step : {Divisible{.rows = 784, .blocks = 4, .work = much, .most = 56, .for_rows = 1 << 20, .for_blocks = 1 << 14},
                                Divisible{.rows = 784, .blocks = 4, .work = much, .most = 56, .for_rows = 1 << 20, .for_blocks = 1 << 20},
                                Divisible{.rows = 28, .blocks = 8, .work = much},
                                Divisible{.rows = 784, .work = 1 << 19},
                                Divisible{.rows = 784, .work = much, .least = 3}}) {
    const Division parts = Division::of(step, threads);
    EXPECT_FALSE(parts.by_blocks);
    EXPECT_EQ(parts.rows % threads, 0);
    const int64_t tasks = parts.rows * parts.blocks;
    for (int64_t i = 0; i < tasks; ++i) EXPECT_EQ(parts.task(i).row < parts.rows / threads, i < tasks / threads);
  }
}

// The last layers of a network: each thread reads half of the weights.
TEST(Division, ThreadsShareLargeWeights) {
  const Division parts = Division::of({.rows = 49, .blocks = 16, .work = much, .least = 2, .most = 4, .for_rows = 100 << 10, .for_blocks = 4 << 20}, 2);
  EXPECT_TRUE(parts.by_blocks);
  EXPECT_EQ(parts.blocks, 4);
  EXPECT_EQ(parts.rows, 2);
  for (int64_t i = 0; i < 8; ++i) EXPECT_EQ(parts.task(i).block, i / 2);
}

TEST(Division, SingleRowsAreDividedByColumns) {
  const Division parts = Division::of({.rows = 1, .blocks = 30, .work = much, .for_rows = 1 << 10, .for_blocks = 1 << 20}, 4);
  EXPECT_EQ(parts.rows, 1);
  EXPECT_EQ(parts.blocks, 16);
}
}  // namespace
