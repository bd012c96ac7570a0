#include "engine/budget.h"
#include "engine/error.h"

namespace engine {
namespace {
const std::shared_ptr<Budget> no_budget;
// Not an owner: a thread's objects with destructors need memory of their own, and glibc ends the process without it.
constinit thread_local const std::shared_ptr<Budget>* open_budget = &no_budget;
}  // namespace

const std::shared_ptr<Budget>& Budget::current() { return *open_budget; }

BudgetScope::BudgetScope(std::shared_ptr<Budget> budget) : budget_(std::move(budget)), around_(std::exchange(open_budget, &budget_)) {}
BudgetScope::~BudgetScope() { open_budget = around_; }

void Budget::take(int64_t bytes) {
  const int64_t held = held_.fetch_add(bytes, std::memory_order_relaxed) + bytes;
  if (held > max_bytes_) {
    give_back(bytes);
    fail(Code::limit, "needs ", bytes, " bytes more than the ", held - bytes, " it has, of ", max_bytes_, " that it may have");
  }
  for (int64_t most = most_held(); most < held && !most_.compare_exchange_weak(most, held, std::memory_order_relaxed);) {}
}

void Budget::spend(double work) {
  work_left_ -= work;
  require(!(work_left_ < 0), Code::limit, "takes more operations than it may");
  check_time();
}

void Budget::check_time() const {
  if (deadline_ != Clock::time_point::max()) require(Clock::now() < deadline_, Code::timeout, "the deadline has passed");
}

void Charge::set(int64_t bytes) {
  set_nothing();
  if (bytes == 0) return;
  const auto& budget = Budget::current();
  if (!budget) return;
  budget->take(bytes);
  budget_ = budget, bytes_ = bytes;
}
}  // namespace engine
