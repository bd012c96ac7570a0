// Weights in the form that one kernel reads. Lowering asks for them; they are packed when all of a plan's are known, by all
// threads, into memory that the whole process shares for as long as a plan holds it. A file may have them packed already.
#pragma once
#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>
#include "engine/tensor.h"
#include "engine/workers.h"

namespace engine {
class Device;
struct LowerContext;

// What a step holds. There is nothing to get before the plan is complete.
class PackedWeight {
 public:
  const std::byte* get() const { return place_ ? place_->data.get() : nullptr; }

 private:
  friend class Packing;
  struct Place {
    std::shared_ptr<const std::byte> data;
  };
  std::shared_ptr<const Place> place_;
};

// Whether a file may hold it. Not where a kernel follows references inside, which a file's bytes may not have, nor where no test
// (packing_version_test) guards the order.
enum class Storable : bool { no, yes };

// One weight of a plan, or several packed as one. `packing` says everything that the packed bytes depend on, beside the
// weights' contents: where each of several ends, too.
struct PackedFor {
  std::vector<const std::byte*> weights;  // where their contents are
  std::string packing;
  size_t bytes;
  PackedWeight packed;
  Storable storable;
  bool from_file = false;
};

// What one plan wants packed.
class Packing {
 public:
  // `weights` stay as they are, and `pack` can be called, until finish().
  PackedWeight add(std::vector<const Constant*> weights, std::string packing, size_t bytes, std::function<void(std::byte*)> pack, Storable);
  void append(Packing&& other) { std::ranges::move(other.wanted_, std::back_inserter(wanted_)); }
  // Finds or makes all that somebody still holds. Throws as allocation does.
  std::vector<PackedFor> finish(Workers);

 private:
  struct Wanted {
    PackedFor of;
    std::vector<const Constant*> weights;
    std::function<void(std::byte*)> pack;
    std::shared_ptr<PackedWeight::Place> place;
  };
  static void take_stored(Wanted&);
  static void make(std::span<Wanted* const>, Workers);
  std::vector<Wanted> wanted_;
};

// For a step's lowering: through its context's Packing, or at once where there is none.
PackedWeight packed_weight(const LowerContext&, std::vector<const Constant*> weights, std::string packing, size_t bytes,
                           std::function<void(std::byte*)> pack, Storable = Storable::yes);
// One in the memory of the device.
std::shared_ptr<const std::byte> device_weight(const std::shared_ptr<Device>&, const Constant&, const std::string& packing, size_t bytes,
                                               const std::function<void(std::byte*)>& pack);

// Raised with every change of what some kernel's pack writes (tests/kernels/packing_test.cpp notices).
inline constexpr uint32_t packing_version = 2;

// The packed weights of a file, by where their weights are in it and how they are packed.
class StoredPackings {
 public:
  struct Key {
    std::vector<uint64_t> offsets;  // in the weights section
    std::string packing;
    auto operator<=>(const Key&) const = default;
  };
  explicit StoredPackings(const std::byte* weights) : weights_(weights) {}
  void add(Key key, std::span<const std::byte> packed) { of_.insert_or_assign(std::move(key), packed); }
  void refuse(std::string reason) { of_.clear(), refusal_ = std::move(reason); }
  // Null: the file has none of so many bytes.
  const std::byte* find(std::span<const Constant* const>, const std::string& packing, size_t bytes) const;
  const std::map<Key, std::span<const std::byte>>& all() const { return of_; }
  const std::string& refusal() const { return refusal_; }  // why the file's are not used; empty: they are

 private:
  const std::byte* const weights_;  // where the weights section begins
  std::map<Key, std::span<const std::byte>> of_;
  std::string refusal_;
};
}  // namespace engine
