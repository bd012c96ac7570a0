#include "kernels/threads.h"
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <sched.h>
#include <sys/resource.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include "kernels/float_mode.h"
#include "kernels/os.h"
#include "kernels/split.h"
#include "tests/kernels/util.h"

namespace {
using kernels::ThreadPool;

TEST(ThreadPool, RunsEachTaskOnce) {
  for (const int size : {1, 2, 3, 8}) {
    ThreadPool pool(size);
    for (const int64_t tasks : {0, 1, 2, 7, 1000}) {
      std::vector<std::atomic<int>> count(static_cast<size_t>(tasks));
      pool.run(tasks, [&](int64_t i) { ++count[static_cast<size_t>(i)]; });
      for (const auto& c : count) ASSERT_EQ(c, 1) << size << " threads, " << tasks << " tasks";
    }
  }
}

TEST(ThreadPool, WritesAreSeenAfterwards) {
  ThreadPool pool(3);
  std::vector<int> value(64);
  for (int round = 1; round < 3000; ++round) {
    pool.run(64, [&](int64_t i) { value[static_cast<size_t>(i)] += 1; });
    for (const int v : value) ASSERT_EQ(v, round);
  }
}

TEST(ThreadPool, WhoIsDoneHelpsTheOthers) {
  // The first task ends when all others are done, also those that the thread which runs it would have taken next.
  ThreadPool pool(2);
  std::atomic<int> done{0};
  pool.run(16, [&](int64_t i) {
    while (i == 0 && done.load() < 15) std::this_thread::yield();
    ++done;
  });
  EXPECT_EQ(done.load(), 16);
}

TEST(ThreadPool, ParkedWorkersWake) {
  ThreadPool pool(2);
  for (int round = 0; round < 5; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    std::atomic<int> arrived = 0;
    // Both tasks wait for each other: two threads have to take part.
    pool.run(2, [&](int64_t) {
      ++arrived;
      while (arrived < 2) std::this_thread::yield();
    });
    EXPECT_EQ(arrived, 2);
  }
}

#if defined(__linux__)
TEST(ThreadPool, WorkersWakeOnOtherCpus) {
  cpu_set_t before, one;
  ASSERT_EQ(sched_getaffinity(0, sizeof before, &before), 0);
  if (CPU_COUNT(&before) < 2) GTEST_SKIP() << "one CPU";
  ThreadPool pool(2);
  int rounds = 0;
  for (int cpu = 0; cpu < CPU_SETSIZE && rounds < 4; ++cpu) {
    if (!CPU_ISSET(cpu, &before)) continue;
    ++rounds;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
    std::this_thread::sleep_for(std::chrono::milliseconds(100));  // the worker parks, on a busy machine, too
    const auto caller = std::this_thread::get_id();
    std::atomic<int> arrived = 0, worker = -1;
    pool.run(2, [&](int64_t) {
      if (std::this_thread::get_id() != caller) worker = sched_getcpu();
      ++arrived;
      while (arrived < 2) std::this_thread::yield();
    });
    EXPECT_NE(worker, cpu);
    EXPECT_GE(worker, 0);
  }
  EXPECT_EQ(sched_setaffinity(0, sizeof before, &before), 0);
}
#endif

// Where a test is a process of its own, as ctest runs it on x86, the worker is the first one to ask for slots.
TEST(ThreadPool, WorkersKnowAllCores) {
  const int cores = kernels::os::available_cores();
  ThreadPool pool(2);
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  const auto caller = std::this_thread::get_id();
  std::atomic<int> arrived = 0;
  std::atomic<int64_t> slots = 0;
  pool.run(2, [&](int64_t) {
    if (std::this_thread::get_id() != caller) slots = kernels::Slots().count();
    ++arrived;
    while (arrived < 2) std::this_thread::yield();
  });
  EXPECT_EQ(slots, std::clamp(cores, 1, 16));
}

#if defined(__linux__) && defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
// With room for some of the threads only. An emulator and sanitizers want address space of their own.
TEST(ThreadPool, ThreadsThatDoNotStart) {
  const auto start = [] {
    size_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    const rlim_t room = pages * size_t(sysconf(_SC_PAGESIZE)) + (100 << 20);
    const rlimit limit{room, room};
    if (setrlimit(RLIMIT_AS, &limit) != 0) std::exit(3);
    try {
      ThreadPool pool(1000);
    } catch (const std::system_error&) {
      ThreadPool few(2);
      std::atomic<int> done = 0;
      few.run(8, [&](int64_t) { ++done; });
      std::exit(done == 8 ? 0 : 2);
    }
    std::exit(1);
  };
  EXPECT_EXIT(start(), testing::ExitedWithCode(0), "");
}
#endif

TEST(ThreadPool, WorkersTakeTheCallersFloatMode) {
  ThreadPool pool(2);
  const kernels::FloatMode own = kernels::FloatMode::current();
  for (const kernels::FloatMode mode : {own.flushing(), own}) {
    const kernels::FloatModeScope scope(mode);
    std::atomic<int> arrived = 0, right = 0;
    pool.run(2, [&](int64_t) {
      right += kernels::FloatMode::current() == mode;
      ++arrived;
      while (arrived < 2) std::this_thread::yield();
    });
    EXPECT_EQ(right, 2);
  }
  EXPECT_EQ(kernels::FloatMode::current(), own);
}

TEST(ThreadPool, CapsThreads) {
  ThreadPool pool(4);
  for (int round = 0; round < 200; ++round) {
    std::atomic<int> inside = 0, most = 0;
    pool.run(
        40,
        [&](int64_t) {
          const int now = ++inside;
          for (int seen = most; now > seen && !most.compare_exchange_weak(seen, now);) {}
          std::this_thread::yield();
          --inside;
        },
        2);
    ASSERT_LE(most, 2);
  }
}

TEST(ThreadPool, NestedCallsRunAlone) {
  ThreadPool pool(3);
  std::atomic<int> sum = 0;
  pool.run(10, [&](int64_t) { pool.run(10, [&](int64_t i) { sum += static_cast<int>(i); }); });
  EXPECT_EQ(sum, 450);
}

TEST(ThreadPool, ConcurrentSessions) {
  ThreadPool pool(3);
  std::vector<std::thread> sessions;
  std::atomic<int64_t> total = 0;
  for (int s = 0; s < 4; ++s)
    sessions.emplace_back([&] {
      for (int round = 0; round < 500; ++round) {
        int64_t value[16] = {};
        pool.run(16, [&](int64_t i) { value[i] = i; });
        for (const int64_t v : value) total += v;
      }
    });
  for (std::thread& t : sessions) t.join();
  EXPECT_EQ(total, 4 * 500 * 120);
}

TEST(ThreadPool, OneForTheProcess) {
  EXPECT_GE(ThreadPool::process().size(), 1);
  ThreadPool::set_process(3);
  EXPECT_EQ(ThreadPool::process().size(), 3);
  ThreadPool::set_process(0);
  EXPECT_EQ(ThreadPool::process().size(), kernels::os::available_cores());
}
}  // namespace
