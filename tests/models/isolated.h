// Jobs that may crash, hang or take all memory, each with a result in the end.
#pragma once
#include <cstdint>
#include <functional>
#include <string>

namespace test {
struct Isolation {
  double seconds = 180;              // of one job
  int64_t bytes = int64_t{8} << 30;  // that the process of the jobs may map; not enforced by builds with a sanitiser
};

// Runs job(0) … job(count - 1) in a forked process, and calls `report` here with what each one gives, in order. A job
// that ends its process or takes too long is reported in words that say so, and the rest goes on in a new process; so
// is an exception. The caller has no other threads.
void run_isolated(size_t count, const std::function<std::string(size_t)>& job,
                  const std::function<void(size_t, const std::string&)>& report, const Isolation& = {});
}  // namespace test
