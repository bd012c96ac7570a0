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

TEST(WeakCache, SharesWhatIsPut) {
  Cache cache;
  EXPECT_EQ(cache.find(3), nullptr);
  const auto put = cache.put(3, twice(3));
  EXPECT_EQ(cache.find(3), put);
  EXPECT_EQ(cache.get(3, [](int) -> std::shared_ptr<const int> { throw std::logic_error("made twice"); }), put);
  EXPECT_EQ(cache.find(4), nullptr);
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
struct Made {
  int row = 0;
  explicit operator bool() const { return row != 0; }
};
using TestRow = Row<int, Made>;
template <int row> Made make(int) { return {row}; }
constexpr TestRow rows[] = {{"cheap", isa::scalar, 1, [](const int&) { return Support{1, {}}; }, [](const int& s) { return make<1>(s); }},
                            {"dear", isa::scalar, 1, [](const int&) { return Support{2, {}}; }, [](const int& s) { return make<2>(s); }},
                            {"never", isa::scalar, 1, [](const int&) { return Support{0, "it refuses"}; }, [](const int& s) { return make<3>(s); }}};
std::string_view chosen() { return choose<int, Made>(rows, 0, isa::scalar).name; }

TEST(RowPreference, GoesBeforeCostAndNotBeforeARefusal) {
  EXPECT_EQ(chosen(), "cheap");
  {
    const RowPreference dear("dear");
    EXPECT_EQ(chosen(), "dear");
    EXPECT_EQ((choose<int, Made>(rows, 0, isa::scalar).kernel.row), 2);
    const RowPreference never("never");
    EXPECT_EQ(chosen(), "cheap");
    const RowPreference unknown("unknown");
    EXPECT_EQ(chosen(), "cheap");
  }
  EXPECT_EQ(chosen(), "cheap");
}

// What is preferred for a step is not for what its kernel is made of.
TEST(RowPreference, DoesNotReachChoicesWithin) {
  static std::string_view inside;
  constexpr TestRow outer[] = {{"dear", isa::scalar, 1, [](const int&) { return Support{1, {}}; }, [](const int&) { return inside = chosen(), Made{1}; }}};
  const RowPreference dear("dear");
  EXPECT_EQ((choose<int, Made>(outer, 0, isa::scalar).name), "dear");
  EXPECT_EQ(inside, "cheap");
  EXPECT_EQ(RowPreference::current, "dear");
}
}  // namespace
}  // namespace kernels
