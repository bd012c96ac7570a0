#define XXH_INLINE_ALL
#include "engine/packing.h"
#include <algorithm>
#include <array>
#include <cstring>
#include <xxhash.h>
#include "engine/device.h"
#include "engine/op.h"
#include "kernels/os.h"
#include "kernels/table.h"

namespace engine {
namespace {
using Bits = ContentHash::Bits;
Bits hash_of(const void* data, size_t bytes) {
  const XXH128_hash_t h = XXH3_128bits(data, bytes);
  return {h.low64, h.high64};
}
void fetch(const Constant& weight) {
  if (weight.mapping) weight.mapping->fetch_pages(size_t(weight.data - weight.mapping->data()), size_t(weight.bytes()));
}
// 128 bits: equal hashes mean equal contents.
Bits content_of(const Constant& weight) {
  return weight.hash.get([&] {
    fetch(weight);
    return hash_of(weight.data, size_t(weight.bytes()));
  });
}
// Of a few lines, from the first to the last: different hashes mean different contents.
Bits samples_of(const Constant& weight) {
  return weight.samples.get([&] {
    fetch(weight);
    constexpr size_t line = 64, lines = 8;
    const auto bytes = size_t(weight.bytes());
    if (bytes <= line * lines) return hash_of(weight.data, bytes);
    std::array<std::byte, line * lines> taken;
    for (size_t i = 0; i < lines; ++i)
      std::memcpy(&taken[line * i], weight.data + (bytes - line) * i / (lines - 1), line);
    return hash_of(taken.data(), taken.size());
  });
}
template <class Of> Bits combined(std::span<const Constant* const> weights, Of of) {
  if (weights.size() == 1) return of(*weights[0]);
  std::vector<Bits> parts;
  for (const Constant* w : weights) parts.push_back(of(*w));
  return hash_of(parts.data(), parts.size() * sizeof parts[0]);
}
Bits content_of(std::span<const Constant* const> weights) {
  return combined(weights, [](const Constant& w) { return content_of(w); });
}

struct PackedKey {
  Bits weights;
  std::string packing;
  size_t bytes;
  bool operator==(const PackedKey& o) const = default;
};
struct PackedKeyHash {
  size_t operator()(const PackedKey& k) const { return k.weights.low ^ std::hash<std::string>()(k.packing); }
};

kernels::os::Memory packed_memory(size_t bytes) {
  auto memory = kernels::os::Memory::allocate(std::max<size_t>(bytes, 1));
  require(bool(memory), Code::out_of_memory, "cannot allocate ", bytes, " bytes for packed weights");
  memory.prefer_large_pages();
  return memory;
}

void release_sources(std::span<const Constant* const> weights) {
  for (const Constant* w : weights)
    if (w->mapping) w->mapping->release_pages(size_t(w->data - w->mapping->data()), size_t(w->bytes()));
}

bool same_sources(std::span<const Constant* const> a, std::span<const Constant* const> b) {
  if (std::ranges::equal(a, b)) return true;
  const bool same = content_of(a) == content_of(b);
  release_sources(a), release_sources(b);
  return same;
}

// What something was packed from. Reading all of a file's weights for a hash costs as much as packing them, so it waits
// until another weight has the same samples; what is not in a file may be gone by then.
class Sources {
 public:
  explicit Sources(std::span<const Constant* const> weights) {
    if (std::ranges::any_of(weights, [](const Constant* w) { return !w->mapping; })) content_ = content_of(weights);
    for (const Constant* w : weights) of_.push_back({w->owner, *w});
    for (Source& s : of_) s.weight.owner = nullptr;
  }
  bool are(std::span<const Constant* const> weights) {
    std::vector<std::shared_ptr<const void>> owners;
    for (const Source& s : of_) owners.push_back(s.owner.lock());
    const bool alive = std::ranges::none_of(owners, [](const auto& o) { return o == nullptr; });
    if (alive && std::ranges::equal(
                     of_, weights, {}, [](const Source& s) { return s.weight.data; }, &Constant::data))
      return true;
    if (!content_ && alive) {
      std::vector<const Constant*> own;
      for (const Source& s : of_) own.push_back(&s.weight);
      content_ = content_of(own);
      release_sources(own);
    }
    return content_ && *content_ == content_of(weights);
  }

 private:
  struct Source {
    std::weak_ptr<const void> owner;
    Constant weight;  // without its owner
  };
  std::vector<Source> of_;
  std::optional<Bits> content_;
};

// A part of what was allocated for several; its pages go with it, where others stay.
struct Packed {
  Packed(std::shared_ptr<const kernels::os::Memory> m, size_t at, size_t size, std::span<const Constant* const> weights)
      : charge(int64_t(size)), memory(std::move(m)), offset(at), bytes(size), sources(weights) {}
  Packed(const Packed&) = delete;
  Packed& operator=(const Packed&) = delete;
  ~Packed() {
    if (memory.use_count() > 1) memory->release_pages(offset, bytes);
  }
  Charge charge;  // of whoever packed it
  std::shared_ptr<const kernels::os::Memory> memory;
  size_t offset, bytes;
  mutable Sources sources;  // for one plan at a time, as Packing::make goes
};
kernels::WeakCache<PackedKey, Packed, PackedKeyHash>& process_cache() {
  static kernels::WeakCache<PackedKey, Packed, PackedKeyHash> cache;
  return cache;
}
}  // namespace

PackedWeight Packing::add(std::vector<const Constant*> weights, std::string packing, size_t bytes, std::function<void(std::byte*)> pack, Storable storable) {
  PackedWeight packed;
  const auto place = std::make_shared<PackedWeight::Place>();
  packed.place_ = place;
  PackedFor of{{}, std::move(packing), bytes, {}, storable};
  for (const Constant* w : weights) of.weights.push_back(w->data);
  wanted_.push_back({std::move(of), std::move(weights), std::move(pack), place});
  return packed;
}

std::vector<PackedFor> Packing::finish(Workers workers) {
  std::vector<Wanted*> missing;
  std::erase_if(wanted_, [](const Wanted& w) { return w.place.use_count() == 1; });  // a step that was not made after all
  for (Wanted& w : wanted_) {
    if (w.of.storable == Storable::yes) take_stored(w);
    if (!w.of.from_file) missing.push_back(&w);
  }
  // The largest first, so that threads end at the same time.
  std::ranges::stable_sort(missing, std::greater(), [](const Wanted* w) { return w->of.bytes; });
  make(missing, workers);
  std::vector<PackedFor> all;
  for (Wanted& w : wanted_) {
    w.of.packed.place_ = std::move(w.place);
    all.push_back(std::move(w.of));
  }
  return all;
}

void Packing::take_stored(Wanted& w) {
  const Constant& first = *w.weights[0];
  const std::byte* const data = first.stored ? first.stored->find(w.weights, w.of.packing, w.of.bytes) : nullptr;
  if (!data) return;
  w.place->data = {std::static_pointer_cast<const std::byte>(std::shared_ptr<const void>(first.owner, data))};
  w.of.from_file = true;
}

// A thread reads a weight's samples and packs it at once, while its pages are at hand. Memory is laid out for all, and
// committed where it is written.
void Packing::make(std::span<Wanted* const> wanted, Workers workers) {
  static std::mutex one_at_a_time;  // so that two plans do not pack the same
  if (wanted.empty()) return;
  struct Job {
    size_t offset = 0;
    PackedKey key;
    const Job* same = nullptr;  // which packs it for both
    std::shared_ptr<const Packed> packed;
    bool made = false;
  };
  const std::scoped_lock lock(one_at_a_time);
  std::vector<Job> jobs(wanted.size());
  size_t bytes = 0;
  for (size_t i = 0; i < jobs.size(); ++i) jobs[i].offset = std::exchange(bytes, round_up(bytes + wanted[i]->of.bytes, 64));
  const auto memory = std::make_shared<const kernels::os::Memory>(packed_memory(bytes));
  std::mutex mutex;
  std::unordered_map<PackedKey, size_t, PackedKeyHash> first;
  run_all(workers, int64_t(jobs.size()), [&](int64_t i) {
    const Wanted& w = *wanted[size_t(i)];
    Job& job = jobs[size_t(i)];
    for (const bool whole : {false, true}) {  // by all its contents where its samples are those of another
      job.key = {whole ? content_of(w.weights) : combined(w.weights, samples_of), w.of.packing, w.of.bytes};
      const size_t other = [&] {
        const std::scoped_lock own(mutex);
        return first.try_emplace(job.key, size_t(i)).first->second;
      }();
      if (other != size_t(i)) {
        if (!same_sources(wanted[other]->weights, w.weights)) continue;
        job.same = &jobs[other];
        return;
      }
      job.packed = process_cache().find(job.key);
      if (!job.packed || job.packed->sources.are(w.weights)) break;
      job.packed = nullptr;
    }
    if (!job.packed) {
      job.packed = std::make_shared<const Packed>(memory, job.offset, w.of.bytes, w.weights);
      w.pack(memory->data() + job.offset);
      job.made = true;
    }
    release_sources(w.weights);
  });
  for (Job& job : jobs)
    if (job.made) job.packed = process_cache().put(job.key, job.packed);
  for (size_t i = 0; i < jobs.size(); ++i) {
    const auto& packed = jobs[i].same ? jobs[i].same->packed : jobs[i].packed;
    wanted[i]->place->data = {packed, packed->memory->data() + packed->offset};
  }
}

PackedWeight packed_weight(const LowerContext& c, std::vector<const Constant*> weights, std::string packing, size_t bytes,
                           std::function<void(std::byte*)> pack, Storable storable) {
  if (c.packing) return c.packing->add(std::move(weights), std::move(packing), bytes, std::move(pack), storable);
  Packing alone;
  PackedWeight packed = alone.add(std::move(weights), std::move(packing), bytes, std::move(pack), storable);
  alone.finish({});
  return packed;
}

std::shared_ptr<const std::byte> device_weight(const std::shared_ptr<Device>& device, const Constant& weight, const std::string& packing, size_t bytes,
                                               const std::function<void(std::byte*)>& pack) {
  struct Uploaded {
    Charge charge;  // of whoever uploaded it
    DeviceMemory memory;
  };
  static kernels::WeakCache<PackedKey, Uploaded, PackedKeyHash> cache;
  const Constant* one[] = {&weight};
  const auto uploaded = cache.get({content_of(weight), cat(reinterpret_cast<uintptr_t>(device.get()), ' ', packing), bytes}, [&](const PackedKey&) {
    Charge charge{int64_t(bytes)};
    const kernels::os::Memory packed = packed_memory(bytes);
    pack(packed.data());
    release_sources(one);
    auto all = std::make_shared<Uploaded>(Uploaded{std::move(charge), DeviceMemory(device, std::max<size_t>(bytes, 1))});
    device->upload(all->memory.data(), packed.data(), bytes);
    return all;
  });
  return {uploaded, uploaded->memory.data()};
}

const std::byte* StoredPackings::find(std::span<const Constant* const> weights, const std::string& packing, size_t bytes) const {
  Key key{{}, packing};
  for (const Constant* w : weights) {
    if (w->stored != this) return nullptr;
    key.offsets.push_back(uint64_t(w->data - weights_));
  }
  const auto found = of_.find(key);
  return found != of_.end() && found->second.size() == bytes ? found->second.data() : nullptr;
}
}  // namespace engine
