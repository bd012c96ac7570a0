#include "kernels/table.h"
#include <gtest/gtest.h>
#include <stdexcept>
#include <thread>

namespace kernels {
namespace {
using Cache = WeakCache<int, int>;
std::shared_ptr<const int> twice(int key) { return std::make_shared<int>(2 * key); }

TEST(WeakCache, SharesWhatIsHeld) {
  Cache cache;
  const auto a = cache.get(3, twice), b = cache.get(3, [](int) -> std::shared_ptr<const int> { throw std::logic_error("made twice"); });
  EXPECT_EQ(*a, 6);
  EXPECT_EQ(a, b);
  EXPECT_NE(a, cache.get(4, twice));
}

TEST(WeakCache, KeepsNothingOfWhatNobodyHolds) {
  Cache cache;
  for (int i = 0; i < 100; ++i) cache.get(i, twice);
  EXPECT_EQ(cache.size(), 0u);
  const auto held = cache.get(1, twice);
  EXPECT_EQ(cache.size(), 1u);
}

TEST(WeakCache, KeepsNothingThatCannotBeMade) {
  Cache cache;
  EXPECT_THROW(cache.get(1, [](int) -> std::shared_ptr<const int> { throw std::bad_alloc(); }), std::bad_alloc);
  EXPECT_EQ(cache.get(1, [](int) { return std::shared_ptr<const int>(); }), nullptr);
  EXPECT_EQ(cache.size(), 0u);
}

TEST(WeakCache, ValuesMayOutliveIt) {
  std::shared_ptr<const int> held;
  {
    Cache cache;
    held = cache.get(5, twice);
  }
  EXPECT_EQ(*held, 10);
}

TEST(WeakCache, ThreadsThatMakeAndDropTheSame) {
  Cache cache;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 20000; ++i) EXPECT_EQ(*cache.get(i % 3, twice), 2 * (i % 3));
    });
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(cache.size(), 0u);
}
}  // namespace
}  // namespace kernels
