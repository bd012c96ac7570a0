// What a thread's work may take of the machine beyond what limits.h allows anyone: memory, operations and time. Loading,
// converting, planning and running all draw on the budget whose scope is open on their thread, and fail with code limit
// where it ends. Without one, only limits.h counts.
#pragma once
#include <atomic>
#include <chrono>
#include <limits>
#include <memory>
#include <utility>
#include <vector>
#include "engine/limits.h"

namespace engine {
class Budget {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr double no_limit = std::numeric_limits<double>::infinity();

  explicit Budget(int64_t max_bytes = limits::bytes) : max_bytes_(max_bytes) {}
  // From now on; memory goes on from what is held.
  void start(double max_work, Clock::time_point deadline) { work_left_ = max_work, deadline_ = deadline; }

  // Memory: what is held at once, by whatever thread.
  void take(int64_t bytes);  // throws
  void give_back(int64_t bytes) { held_.fetch_sub(bytes, std::memory_order_relaxed); }
  int64_t held() const { return held_.load(std::memory_order_relaxed); }
  int64_t most_held() const { return most_.load(std::memory_order_relaxed); }

  // Operations, and a look at the clock. Of the thread that has the scope.
  void spend(double work);  // throws
  void check_time() const;  // throws

  static const std::shared_ptr<Budget>& current();  // of this thread; null: none

 private:
  friend class BudgetScope;
  const int64_t max_bytes_;
  std::atomic<int64_t> held_{0}, most_{0};
  double work_left_ = no_limit;
  Clock::time_point deadline_ = Clock::time_point::max();
};

// Until the end of its scope, the thread draws on this budget.
class BudgetScope {
 public:
  explicit BudgetScope(std::shared_ptr<Budget>);
  BudgetScope(const BudgetScope&) = delete;
  BudgetScope& operator=(const BudgetScope&) = delete;
  ~BudgetScope();

 private:
  const std::shared_ptr<Budget> budget_;
  const std::shared_ptr<Budget>* const around_;
};

// Bytes taken from the budget that was open when they were taken, and given back to it at the end. A copy takes its own.
class Charge {
 public:
  Charge() = default;
  explicit Charge(int64_t bytes) { set(bytes); }
  Charge(const Charge& other) { set(other.bytes_); }
  Charge(Charge&& other) noexcept : budget_(std::move(other.budget_)), bytes_(std::exchange(other.bytes_, 0)) {}
  Charge& operator=(const Charge& other) { return this == &other ? *this : (set(other.bytes_), *this); }
  Charge& operator=(Charge&& other) noexcept {
    std::swap(budget_, other.budget_), std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Charge() { set_nothing(); }
  void set(int64_t bytes);  // instead of what it was; throws, and holds nothing then

 private:
  void set_nothing() {
    if (budget_) budget_->give_back(bytes_);
    budget_ = nullptr, bytes_ = 0;
  }
  std::shared_ptr<Budget> budget_;
  int64_t bytes_ = 0;
};

// The memory of a reference's scratch, drawn on the budget.
template <class T> struct ChargedAllocator {
  using value_type = T;
  ChargedAllocator() = default;
  template <class U> ChargedAllocator(const ChargedAllocator<U>&) {}
  T* allocate(size_t n) {
    if (const auto& budget = Budget::current()) budget->take(int64_t(n * sizeof(T)));
    return std::allocator<T>().allocate(n);
  }
  void deallocate(T* p, size_t n) {
    if (const auto& budget = Budget::current()) budget->give_back(int64_t(n * sizeof(T)));
    std::allocator<T>().deallocate(p, n);
  }
  friend bool operator==(ChargedAllocator, ChargedAllocator) { return true; }
};
// Freed within the scope that it was made in.
template <class T> using Scratch = std::vector<T, ChargedAllocator<T>>;
}  // namespace engine
