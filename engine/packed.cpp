#define XXH_INLINE_ALL
#include <xxhash.h>
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
}  // namespace

std::shared_ptr<const std::byte> packed_weight(std::span<const Constant* const> weights, const std::string& packing, size_t bytes,
                                               const std::function<void(std::byte*)>& pack) {
  struct Packed {
    Charge charge;  // of whoever packed it
    kernels::os::Memory memory;
  };
  static kernels::WeakCache<Key, Packed, KeyHash> cache;
  XXH3_state_t state;
  XXH3_128bits_reset(&state);
  for (const Constant* w : weights) XXH3_128bits_update(&state, w->data, size_t(w->bytes()));
  const XXH128_hash_t content = XXH3_128bits_digest(&state);
  const Key key{content.low64, content.high64, packing, bytes};
  const auto packed = cache.get(key, [&](const Key&) {
    auto made = std::make_shared<Packed>(Packed{Charge(int64_t(bytes)), kernels::os::Memory::allocate(std::max<size_t>(bytes, 1))});
    require(bool(made->memory), Code::out_of_memory, "cannot allocate ", bytes, " bytes for packed weights");
    pack(made->memory.data());
    for (const Constant* w : weights)
      if (w->mapping) w->mapping->release_pages(w->data - w->mapping->data(), w->bytes());
    return made;
  });
  return {packed, packed->memory.data()};
}
std::shared_ptr<const std::byte> packed_weight(const Constant& weight, const std::string& packing, size_t bytes,
                                               const std::function<void(std::byte*)>& pack) {
  const Constant* one[] = {&weight};
  return packed_weight(one, packing, bytes, pack);
}
}  // namespace engine
