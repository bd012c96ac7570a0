#include "tests/models/isolated.h"
#include <csignal>
#include <cstdlib>
#include <gmock/gmock.h>
#include <stdexcept>
#include <unistd.h>
#include <vector>

namespace test {
namespace {
using testing::ElementsAre, testing::HasSubstr, testing::IsEmpty;

TEST(Isolated, EveryJobHasAResult) {
  std::vector<std::string> results;
  std::vector<size_t> order;
  const auto job = [](size_t i) -> std::string {
    switch (i) {
      case 1: std::abort();
      case 2: ::raise(SIGSEGV); break;
      case 3: throw std::runtime_error("thrown");
      case 4:
        for (volatile int busy = 1; busy;) {}
        break;
      case 5: ::_exit(7);
      case 6: return std::string(1 << 20, 'x');
      default: break;
    }
    return "";
  };
  run_isolated(8, job, [&](size_t i, const std::string& text) { order.push_back(i), results.push_back(text); },
               {.seconds = 1});
  EXPECT_THAT(order, ElementsAre(0, 1, 2, 3, 4, 5, 6, 7));
  EXPECT_THAT(results,
              ElementsAre(IsEmpty(), HasSubstr("signal 6"), testing::AnyOf(HasSubstr("signal 11"), HasSubstr("status")),
                          "thrown", "takes more than 1 s", "ended the process with status 7", std::string(1 << 20, 'x'),
                          IsEmpty()));
}

TEST(Isolated, MemoryEnds) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "sanitisers need more addresses than a limit would leave";
#endif
  std::vector<std::string> results;
  const auto job = [](size_t i) -> std::string {
    std::vector<std::vector<char>> all;
    while (i == 0) all.emplace_back(64 << 20, 'x');
    return "";
  };
  run_isolated(2, job, [&](size_t, const std::string& text) { results.push_back(text); }, {.bytes = int64_t{1} << 30});
  EXPECT_THAT(results, ElementsAre("out of memory", IsEmpty()));
}

TEST(Isolated, NoJobs) {
  run_isolated(
      0, [](size_t) { return ""; }, [](size_t, const std::string&) { FAIL(); });
}
}  // namespace
}  // namespace test
