#include "engine/memory_plan.h"
#include <gtest/gtest.h>
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>

namespace engine {
namespace {
using Buffers = std::vector<Buffer>;

MemoryPlan checked_plan(const Buffers& buffers, size_t alignment = 64) {
  const MemoryPlan plan = plan_memory(buffers, alignment);
  EXPECT_TRUE(valid(plan, buffers, alignment));
  EXPECT_GE(plan.arena_size, lower_bound(buffers, alignment));
  return plan;
}

Buffers random_problem(std::mt19937& random, size_t count, int steps, int longest) {
  Buffers buffers;
  for (size_t i = 0; i < count; ++i) {
    const int first = int(random() % unsigned(steps)), last = std::min(steps - 1, first + int(random() % unsigned(longest)));
    buffers.push_back({random() % 7 == 0 ? 0 : size_t(1) << random() % 20, first, last});
    if (random() % 2) buffers.back().size = random() % 100'000;
  }
  return buffers;
}

TEST(MemoryPlan, Empty) {
  EXPECT_EQ(plan_memory({}, 64).arena_size, 0u);
  EXPECT_TRUE(valid({}, {}, 64));
  EXPECT_EQ(lower_bound({}, 64), 0u);
}

TEST(MemoryPlan, SharesWhereLifetimesAllow) {
  EXPECT_EQ(checked_plan({{100, 0, 1}}).arena_size, 128u);
  EXPECT_EQ(checked_plan({{64, 0, 1}, {64, 1, 2}}).arena_size, 128u);  // step 1 touches both
  EXPECT_EQ(checked_plan({{64, 0, 1}, {64, 2, 3}}).arena_size, 64u);
  EXPECT_EQ(checked_plan({{64, 0, 1}, {0, 0, 5}, {64, 2, 3}, {128, 4, 5}}).arena_size, 128u);
}

TEST(MemoryPlan, StepsAtTheEndsOfTheRange) {
  EXPECT_EQ(checked_plan({{64, INT32_MIN, INT32_MAX}, {64, INT32_MAX, INT32_MAX}, {64, INT32_MIN, INT32_MIN}}).arena_size, 128u);
}

// In the order of sizes alone this needs 7 units, placed by lifetime first it needs 6.
TEST(MemoryPlan, TriesMoreThanOneOrder) {
  const Buffers buffers{{4 * 64, 0, 1}, {4 * 64, 4, 5}, {2 * 64, 1, 4}, {3 * 64, 2, 3}};
  EXPECT_EQ(checked_plan(buffers).arena_size, lower_bound(buffers, 64));
}

TEST(MemoryPlan, Random) {
  const unsigned seed = 20240607;
  std::mt19937 random(seed);
  for (int round = 0; round < 300; ++round) {
    SCOPED_TRACE(testing::Message() << "seed " << seed << " round " << round);
    const Buffers buffers = random_problem(random, random() % 60, 1 + int(random() % 40), 1 + int(random() % 20));
    const size_t alignment = size_t(1) << random() % 9;
    const MemoryPlan plan = checked_plan(buffers, alignment), again = plan_memory(buffers, alignment);
    EXPECT_EQ(plan.offset, again.offset);
  }
}

TEST(MemoryPlan, ValidFindsFaults) {
  const Buffers buffers{{100, 0, 2}, {100, 1, 3}};
  EXPECT_TRUE(valid({{0, 128}, 256}, buffers, 64));
  EXPECT_FALSE(valid({{0, 64}, 256}, buffers, 64));   // overlap
  EXPECT_FALSE(valid({{0, 100}, 256}, buffers, 64));  // not aligned
  EXPECT_FALSE(valid({{0, 128}, 200}, buffers, 64));  // behind the end
  EXPECT_FALSE(valid({{0}, 256}, buffers, 64));
  EXPECT_FALSE(valid({{0, SIZE_MAX - 63}, SIZE_MAX}, buffers, 64));
}

TEST(MemoryPlan, ThousandsOfBuffers) {
  std::mt19937 random(7);
  for (int longest : {10, 100, 5000}) {
    const Buffers buffers = random_problem(random, 5000, 5000, longest);
    const auto start = std::chrono::steady_clock::now();
    const MemoryPlan plan = plan_memory(buffers, 64);
    const double ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
    EXPECT_TRUE(valid(plan, buffers, 64));
    std::printf("  lifetimes up to %d: %.1f ms, %.3f of the lower bound\n", longest, ms, double(plan.arena_size) / double(lower_bound(buffers, 64)));
  }
}

// Problems with a known answer: each fits into the bytes that its name ends with. Times are half-open.
TEST(MemoryPlan, PublishedProblems) {
  const char* shared = std::getenv("INLAY_SHARED");
  const std::filesystem::path folder = (shared ? std::filesystem::path(shared) : std::filesystem::path(INLAY_SOURCE_DIR) / "../shared") / "memory-planning";
  if (!std::filesystem::is_directory(folder)) GTEST_SKIP() << "no " << folder;
  std::vector<std::filesystem::path> files(std::filesystem::directory_iterator(folder), {});
  std::ranges::sort(files);
  for (const auto& file : files) {
    if (file.extension() != ".csv") continue;
    std::ifstream in(file);
    std::string line;
    std::getline(in, line);
    Buffers buffers;
    while (std::getline(in, line)) {
      long long id = 0, lower = 0, upper = 0, size = 0;
      ASSERT_EQ(std::sscanf(line.c_str(), "%lld,%lld,%lld,%lld", &id, &lower, &upper, &size), 4) << line;
      buffers.push_back({size_t(size), int(lower), int(upper) - 1});
    }
    const double capacity = std::stod(file.stem().extension().string().substr(1));
    const auto start = std::chrono::steady_clock::now();
    const MemoryPlan plan = checked_plan(buffers, 1);
    const double ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
    std::printf("  %s: %.4f of the capacity, %.4f of the lower bound, %.1f ms\n", file.stem().c_str(), double(plan.arena_size) / capacity,
                double(plan.arena_size) / double(lower_bound(buffers, 1)), ms);
  }
}
}  // namespace
}  // namespace engine
