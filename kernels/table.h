// What the tables of all kernel families share: a row of kernels.inc, and the choice among rows.
#pragma once
#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>
#include "kernels/isa.h"

namespace kernels {
struct Support {
  double cost = 0;      // estimated cycles per unit of work; comparable between the rows of one family
  std::string refusal;  // why not, or empty
};

// One line of kernels.inc. `supports` and `make` may use the row's instructions: call them only where `isa` runs.
// `make` gives a Kernel that tests false where it cannot be made (executable pages are denied, its code is too long).
template <class Spec, class Kernel> struct Row {
  std::string_view name;  // the one name in plans, profiles, test and benchmark filters
  isa::Mask isa;
  int tile;  // elements, rows or pixels per step of the main loop: tests use sizes around it
  Support (*supports)(const Spec&);
  Kernel (*make)(const Spec&);
};

struct Refusal {
  std::string_view name;
  std::string reason;
};

// While it lives, keeps the refusals of the choices that this thread makes, for who explains a choice and does not make
// it. A choice made within another (the gemm inside a recurrent net) is not kept.
class RefusalLog {
 public:
  explicit RefusalLog(std::vector<Refusal>& to) : before_(std::exchange(current, &to)) {}
  ~RefusalLog() { current = before_; }
  RefusalLog(const RefusalLog&) = delete;
  RefusalLog& operator=(const RefusalLog&) = delete;
  static inline thread_local std::vector<Refusal>* current = nullptr;

 private:
  std::vector<Refusal>* before_;
};

// While it lives, a choice that this thread makes falls on the row of this name where that serves, whatever the others cost:
// for who has measured them. A choice made within another is not told.
class RowPreference {
 public:
  explicit RowPreference(std::string_view name) : before_(std::exchange(current, name)) {}
  ~RowPreference() { current = before_; }
  RowPreference(const RowPreference&) = delete;
  RowPreference& operator=(const RowPreference&) = delete;
  static inline thread_local std::string_view current;  // outlives the preference; empty: none

 private:
  std::string_view before_;
};

template <class Kernel> struct Choice {
  std::string_view name;  // of the row that serves; empty when every row refuses
  Kernel kernel;
  explicit operator bool() const { return !name.empty(); }
};

inline constexpr std::string_view costs_more = "costs more than ";  // how the reason of a row begins that would serve

// The cheapest row that runs on `have`; table order breaks ties. Why the others do not serve is told to the thread's RefusalLog, in table order.
template <class Spec, class Kernel>
Choice<Kernel> choose(std::span<const Row<Spec, Kernel>> rows, const Spec& spec, isa::Mask have) {
  struct Candidate {
    const Row<Spec, Kernel>* row;
    double cost;
  };
  Choice<Kernel> choice;
  std::vector<Candidate> candidates;
  std::vector<Refusal>* const log = std::exchange(RefusalLog::current, nullptr);
  const std::string_view preferred = std::exchange(RowPreference::current, {});
  const auto refuse = [&](const Row<Spec, Kernel>& row, std::string_view before, std::string_view reason) {
    if (log) log->push_back({row.name, std::string(before).append(reason)});
  };
  for (const auto& row : rows) {
    if (!isa::runs(row.isa, have)) {
      refuse(row, "needs ", isa::name(row.isa));
    } else if (Support support = row.supports(spec); support.refusal.empty()) {
      candidates.push_back({&row, support.cost});
    } else {
      refuse(row, "", support.refusal);
    }
  }
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const Candidate& a, const Candidate& b) { return a.cost < b.cost; });
  if (!preferred.empty()) std::stable_partition(candidates.begin(), candidates.end(), [&](const Candidate& c) { return c.row->name == preferred; });
  for (const auto& [row, cost] : candidates) {
    if (choice) {
      refuse(*row, costs_more, choice.name);
    } else if (Kernel kernel = row->make(spec)) {
      choice.name = row->name;
      choice.kernel = std::move(kernel);
    } else {
      refuse(*row, "", "its code cannot be made: executable memory is denied, or it is too long");
    }
  }
  RefusalLog::current = log;
  RowPreference::current = preferred;
  return choice;
}

inline void hash_combine(size_t& seed, size_t value) { seed ^= value + 0x9e3779b97f4a7c15 + (seed << 6) + (seed >> 2); }

// Values shared by key for as long as someone holds them; with the last holder goes all that is kept of one. `make` runs
// under a lock that only some other keys share; a null result is not kept.
template <class Key, class Value, class Hash = std::hash<Key>> class WeakCache {
 public:
  template <class Make> std::shared_ptr<const Value> get(const Key& key, Make&& make) {
    Part& part = entries_->part(key);
    std::scoped_lock lock(part.mutex);
    if (auto value = held(part, key)) return value;
    std::shared_ptr<const Value> value = make(key);
    return value ? keep(part, key, std::move(value)) : nullptr;
  }
  // For who makes several at once: null where nobody holds one; and what is shared under the key from now on.
  std::shared_ptr<const Value> find(const Key& key) const {
    Part& part = entries_->part(key);
    std::scoped_lock lock(part.mutex);
    return held(part, key);
  }
  std::shared_ptr<const Value> put(const Key& key, std::shared_ptr<const Value> value) {
    Part& part = entries_->part(key);
    std::scoped_lock lock(part.mutex);
    return keep(part, key, std::move(value));
  }
  size_t size() const {
    size_t sum = 0;
    for (Part& part : entries_->parts) {
      std::scoped_lock lock(part.mutex);
      sum += part.of.size();
    }
    return sum;
  }

 private:
  struct Kept;
  struct Part {
    std::mutex mutex;
    std::unordered_map<Key, std::weak_ptr<Kept>, Hash> of;
  };
  struct Entries {
    std::array<Part, 16> parts;
    Part& part(const Key& key) { return parts[Hash()(key) * 0x9e3779b97f4a7c15 >> 60]; }
  };
  struct Kept {
    Kept(const Key& k, std::shared_ptr<const Value> v) : key(k), value(std::move(v)) {}
    ~Kept() {
      if (!entries) return;  // not in the cache
      Part& part = entries->part(key);
      std::scoped_lock lock(part.mutex);
      const auto found = part.of.find(key);
      if (found != part.of.end() && found->second.expired()) part.of.erase(found);  // else: made anew meanwhile
    }
    Key key;
    std::shared_ptr<const Value> value;
    std::shared_ptr<Entries> entries;  // outlives the cache, which is static, where a plan does
  };
  static std::shared_ptr<const Value> held(const Part& part, const Key& key) {
    const auto found = part.of.find(key);
    if (found == part.of.end()) return nullptr;
    auto kept = found->second.lock();
    return kept ? std::shared_ptr<const Value>(kept, kept->value.get()) : nullptr;
  }
  std::shared_ptr<const Value> keep(Part& part, const Key& key, std::shared_ptr<const Value> value) {
    const auto kept = std::make_shared<Kept>(key, std::move(value));
    part.of.insert_or_assign(key, kept);
    kept->entries = entries_;
    return {kept, kept->value.get()};
  }
  std::shared_ptr<Entries> entries_ = std::make_shared<Entries>();
};
}  // namespace kernels
