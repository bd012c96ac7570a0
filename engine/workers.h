// Threads that may help where a plan is made: each task is on its own, and what comes of it does not depend on who did it.
#pragma once
#include <exception>
#include <mutex>
#include <optional>
#include "engine/budget.h"
#include "kernels/threads.h"

namespace engine {
struct Workers {
  kernels::ThreadPool* pool = nullptr;  // null: the caller alone
  int threads = 0;                      // at most so many of the pool's
};

// f(i) for all 0 <= i < count, on the caller's budget of memory; then throws the first exception, if there was one.
template <class F> void run_all(Workers workers, int64_t count, const F& f) {
  std::mutex mutex;
  std::exception_ptr failure;
  const std::shared_ptr<Budget> budget = Budget::current();
  const auto guarded = [&](int64_t i) {
    try {
      std::optional<BudgetScope> scope;
      if (Budget::current() != budget) scope.emplace(budget);
      f(i);
    } catch (...) {
      const std::scoped_lock lock(mutex);
      if (!failure) failure = std::current_exception();
    }
  };
  if (workers.pool) workers.pool->run(count, guarded, workers.threads);
  else
    for (int64_t i = 0; i < count; ++i) guarded(i);
  if (failure) std::rethrow_exception(failure);
}
}  // namespace engine
