#define XXH_INLINE_ALL
#include <xxhash.h>
#include "engine/device.h"
#include "engine/plan.h"
#include "kernels/os.h"
#include "kernels/table.h"

namespace engine {
namespace {
struct Key {
  uint64_t low, high;  // 128 bits of hash: equal keys mean equal contents
  std::string packing;
  size_t bytes;
  bool operator==(const Key& o) const = default;
};
struct KeyHash {
  size_t operator()(const Key& k) const { return k.low ^ std::hash<std::string>()(k.packing); }
};

Key key_of(std::span<const Constant* const> weights, std::string packing, size_t bytes) {
  XXH3_state_t state;
  XXH3_128bits_reset(&state);
  for (const Constant* w : weights) XXH3_128bits_update(&state, w->data, size_t(w->bytes()));
  const XXH128_hash_t content = XXH3_128bits_digest(&state);
  return {content.low64, content.high64, std::move(packing), bytes};
}

kernels::os::Memory pack_to_memory(std::span<const Constant* const> weights, size_t bytes, const std::function<void(std::byte*)>& pack) {
  auto memory = kernels::os::Memory::allocate(std::max<size_t>(bytes, 1));
  require(bool(memory), Code::out_of_memory, "cannot allocate ", bytes, " bytes for packed weights");
  pack(memory.data());
  for (const Constant* w : weights)
    if (w->mapping) w->mapping->release_pages(w->data - w->mapping->data(), w->bytes());
  return memory;
}
}  // namespace

std::shared_ptr<const std::byte> packed_weight(std::span<const Constant* const> weights, const std::string& packing, size_t bytes,
                                               const std::function<void(std::byte*)>& pack) {
  struct Packed {
    Charge charge;  // of whoever packed it
    kernels::os::Memory memory;
  };
  static kernels::WeakCache<Key, Packed, KeyHash> cache;
  const auto packed = cache.get(key_of(weights, packing, bytes), [&](const Key&) {
    Charge charge{int64_t(bytes)};
    return std::make_shared<Packed>(Packed{std::move(charge), pack_to_memory(weights, bytes, pack)});
  });
  return {packed, packed->memory.data()};
}
std::shared_ptr<const std::byte> packed_weight(const Constant& weight, const std::string& packing, size_t bytes,
                                               const std::function<void(std::byte*)>& pack) {
  const Constant* one[] = {&weight};
  return packed_weight(one, packing, bytes, pack);
}

std::shared_ptr<const std::byte> device_weight(const std::shared_ptr<Device>& device, const Constant& weight, const std::string& packing, size_t bytes,
                                               const std::function<void(std::byte*)>& pack) {
  struct Uploaded {
    Charge charge;  // of whoever uploaded it
    DeviceMemory memory;
  };
  static kernels::WeakCache<Key, Uploaded, KeyHash> cache;
  const Constant* one[] = {&weight};
  const auto uploaded = cache.get(key_of(one, cat(reinterpret_cast<uintptr_t>(device.get()), ' ', packing), bytes), [&](const Key&) {
    Charge charge{int64_t(bytes)};
    const kernels::os::Memory packed = pack_to_memory(one, bytes, pack);
    auto all = std::make_shared<Uploaded>(Uploaded{std::move(charge), DeviceMemory(device, std::max<size_t>(bytes, 1))});
    device->upload(all->memory.data(), packed.data(), bytes);
    return all;
  });
  return {uploaded, uploaded->memory.data()};
}
}  // namespace engine
