#define XXH_INLINE_ALL
#include "engine/packing.h"
#include <algorithm>
#include <xxhash.h>
#include "engine/device.h"
#include "engine/op.h"
#include "kernels/os.h"
#include "kernels/table.h"

namespace engine {
namespace {
struct PackedKey {
  ContentHash::Bits content;  // 128 bits of hash: equal keys mean equal contents
  std::string packing;
  size_t bytes;
  bool operator==(const PackedKey& o) const = default;
};
struct PackedKeyHash {
  size_t operator()(const PackedKey& k) const { return k.content.low ^ std::hash<std::string>()(k.packing); }
};

ContentHash::Bits hash_bits(XXH128_hash_t h) { return {h.low64, h.high64}; }
ContentHash::Bits content_of(const Constant& weight) {
  return weight.hash.get([&] {
    if (weight.mapping) weight.mapping->fetch_pages(size_t(weight.data - weight.mapping->data()), size_t(weight.bytes()));
    return hash_bits(XXH3_128bits(weight.data, size_t(weight.bytes())));
  });
}
ContentHash::Bits content_of(std::span<const Constant* const> weights) {
  if (weights.size() == 1) return content_of(*weights[0]);
  std::vector<ContentHash::Bits> parts;
  for (const Constant* w : weights) parts.push_back(content_of(*w));
  return hash_bits(XXH3_128bits(parts.data(), parts.size() * sizeof parts[0]));
}

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

// A part of what was allocated for several; its pages go with it, where others stay.
struct Packed {
  Packed(std::shared_ptr<const kernels::os::Memory> m, size_t at, size_t size) : charge(int64_t(size)), memory(std::move(m)), offset(at), bytes(size) {}
  Packed(const Packed&) = delete;
  Packed& operator=(const Packed&) = delete;
  ~Packed() {
    if (memory.use_count() > 1) memory->release_pages(offset, bytes);
  }
  Charge charge;  // of whoever packed it
  std::shared_ptr<const kernels::os::Memory> memory;
  size_t offset, bytes;
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

// A thread hashes a weight and packs it at once, while it is in its cache. Memory is laid out for all, and committed where it is written.
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
  std::unordered_map<PackedKey, const Job*, PackedKeyHash> first;
  run_all(workers, int64_t(jobs.size()), [&](int64_t i) {
    const Wanted& w = *wanted[size_t(i)];
    Job& job = jobs[size_t(i)];
    job.key = {content_of(w.weights), w.of.packing, w.of.bytes};
    {
      const std::scoped_lock own(mutex);
      if (const auto [it, fresh] = first.try_emplace(job.key, &job); !fresh) {
        job.same = it->second;
        return;
      }
    }
    job.packed = process_cache().find(job.key);
    if (!job.packed) {
      job.packed = std::make_shared<const Packed>(memory, job.offset, w.of.bytes);
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
