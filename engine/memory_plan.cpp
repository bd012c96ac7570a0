#include "engine/memory_plan.h"
#include <algorithm>
#include <cstdint>
#include <tuple>
#include "engine/number.h"

namespace engine {
namespace {
// The bytes alive from each step on at which they change, by step.
std::vector<std::pair<int64_t, size_t>> loads(std::span<const Buffer> buffers, size_t alignment) {
  std::vector<std::pair<int64_t, size_t>> changes;  // wrap below zero, and back in the sum
  for (const Buffer& b : buffers) {
    changes.emplace_back(b.first, round_up(b.size, alignment));
    changes.emplace_back(int64_t(b.last) + 1, -round_up(b.size, alignment));
  }
  std::ranges::sort(changes, {}, &std::pair<int64_t, size_t>::first);
  size_t alive = 0, kept = 0;
  for (size_t i = 0; i < changes.size(); ++i) {
    alive += changes[i].second;
    if (i + 1 == changes.size() || changes[i + 1].first != changes[i].first) changes[kept++] = {changes[i].first, alive};
  }
  changes.resize(kept);
  return changes;
}

// By buffer, the most bytes alive at a step of its life.
std::vector<double> pressures(std::span<const Buffer> buffers, size_t alignment) {
  const auto load = loads(buffers, alignment);
  std::vector<double> all;
  for (const Buffer& b : buffers) {
    size_t most = 0;
    for (auto it = std::ranges::lower_bound(load, b.first, {}, &std::pair<int64_t, size_t>::first); it != load.end() && it->first <= b.last; ++it)
      most = std::max(most, it->second);
    all.push_back(double(most));
  }
  return all;
}

class Planner {
 public:
  Planner(std::span<const Buffer> buffers, size_t alignment) : buffers_(buffers) {
    for (const Buffer& b : buffers) size_.push_back(round_up(b.size, alignment));
  }

  // How many pairs of buffers one attempt looks at.
  size_t work() const { return buffers_.size() * buffers_.size() / 2 + 1; }

  enum class Fit { first, best };
  MemoryPlan place(std::span<const uint32_t> order, Fit fit) {
    MemoryPlan plan{std::vector<size_t>(buffers_.size()), 0};
    placed_.clear();
    for (uint32_t id : order) {
      const Buffer& b = buffers_[id];
      const size_t size = size_[id];
      alive_.resize(placed_.size() + 1);
      size_t alive = 0;
      for (const Placed& other : placed_) {  // without a branch: half the time of this function
        alive_[alive] = {other.start, other.end};
        alive += (other.first <= b.last) & (other.last >= b.first);
      }
      size_t best = SIZE_MAX, best_gap = SIZE_MAX, end = 0;
      for (const auto& [other, past] : std::span(alive_).first(alive)) {
        if (other >= end + size && other - end < best_gap) {
          best = end, best_gap = other - end;
          if (fit == Fit::first || best_gap == size) break;
        }
        end = std::max(end, past);
      }
      const size_t start = best != SIZE_MAX ? best : end;
      plan.offset[id] = start;
      plan.arena_size = std::max(plan.arena_size, start + size);
      placed_.insert(std::ranges::upper_bound(placed_, start, {}, &Placed::start), {start, start + size, b.first, b.last});
    }
    return plan;
  }

  // The buffers that take bytes, those with the largest key first; of equals, the first in time.
  template <class Key> std::vector<uint32_t> order(Key key) const {
    std::vector<uint32_t> ids;
    for (uint32_t id = 0; id < buffers_.size(); ++id)
      if (size_[id]) ids.push_back(id);
    std::vector<std::tuple<double, double, int, uint32_t>> keys(buffers_.size());
    for (uint32_t id : ids) keys[id] = {-key(id), -double(size_[id]), buffers_[id].first, id};
    std::ranges::sort(ids, {}, [&](uint32_t id) { return keys[id]; });
    return ids;
  }

  double size(uint32_t id) const { return double(size_[id]); }
  double lifetime(uint32_t id) const { return double(buffers_[id].last) - double(buffers_[id].first) + 1; }
  size_t end(const MemoryPlan& plan, uint32_t id) const { return plan.offset[id] + size_[id]; }

 private:
  struct Placed {
    size_t start, end;
    int first, last;
  };
  std::span<const Buffer> buffers_;
  std::vector<size_t> size_;
  std::vector<Placed> placed_;  // by start
  std::vector<std::pair<size_t, size_t>> alive_;  // start and end of those alive with the one to place
};
}  // namespace

MemoryPlan plan_memory(std::span<const Buffer> buffers, size_t alignment, size_t work) {
  Planner planner(buffers, alignment);
  const size_t bound = lower_bound(buffers, alignment);
  MemoryPlan best;
  std::vector<uint32_t> best_order;
  Planner::Fit best_fit = Planner::Fit::best;
  size_t done = 0;
  const auto enough = [&] { return !best.offset.empty() && (best.arena_size <= bound || done + planner.work() > work); };
  std::vector<std::vector<uint32_t>> orders;
  const auto attempt = [&](const std::vector<uint32_t>& order, Planner::Fit fit) {
    if (enough()) return;
    done += planner.work();
    MemoryPlan plan = planner.place(order, fit);
    if (best.offset.empty() || plan.arena_size < best.arena_size) best = std::move(plan), best_order = order, best_fit = fit;
  };
  const auto attempt_by = [&](auto key) {
    if (enough()) return;
    orders.push_back(planner.order(key));
    attempt(orders.back(), Planner::Fit::best);
  };
  if (buffers.empty()) return best;
  attempt_by([&](uint32_t id) { return planner.size(id); });
  attempt_by([&](uint32_t id) { return planner.size(id) * planner.lifetime(id); });
  if (!enough()) attempt_by([pressure = pressures(buffers, alignment)](uint32_t id) { return pressure[id]; });
  attempt_by([&](uint32_t id) { return planner.lifetime(id); });
  attempt_by([&](uint32_t id) { return -double(buffers[id].first); });
  for (const auto& order : orders) attempt(order, Planner::Fit::first);

  // What ends at the top of the arena moves halfway to the front, and stays there unless the plan gets larger.
  std::vector<uint32_t> order = best_order;
  MemoryPlan last = best;
  while (!enough()) {
    const auto top = std::ranges::max_element(order, {}, [&](uint32_t id) { return planner.end(last, id); });
    if (top == order.begin()) break;
    std::rotate(order.begin() + (top - order.begin()) / 2, top, top + 1);
    done += planner.work();
    last = planner.place(order, best_fit);
    if (last.arena_size < best.arena_size) best = last;
  }
  return best;
}

bool valid(const MemoryPlan& plan, std::span<const Buffer> buffers, size_t alignment) {
  if (plan.offset.size() != buffers.size()) return false;
  for (size_t i = 0; i < buffers.size(); ++i) {
    const size_t start = plan.offset[i], end = start + buffers[i].size;
    if (start % alignment || end < start || end > plan.arena_size) return false;
    for (size_t j = 0; j < i; ++j) {
      const bool together = buffers[i].first <= buffers[j].last && buffers[j].first <= buffers[i].last;
      if (together && start < plan.offset[j] + buffers[j].size && plan.offset[j] < end) return false;
    }
  }
  return true;
}

size_t lower_bound(std::span<const Buffer> buffers, size_t alignment) {
  size_t most = 0;
  for (const auto& [step, bytes] : loads(buffers, alignment)) most = std::max(most, bytes);
  return most;
}
}  // namespace engine
