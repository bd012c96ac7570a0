#include "engine/device_lowering.h"
#include <cstring>

namespace engine {
DeviceInput packed_device_input(const LowerContext& c, size_t k, const std::string& packing, size_t bytes, const std::function<void(std::byte*)>& pack) {
  if (c.target->probe) return DeviceInput(k);
  return DeviceInput(device_weight(c.target->device, *c.constant(k), packing, bytes, pack));
}

DeviceInput device_input(const LowerContext& c, size_t k) {
  if (!c.has(k)) return {};
  const Constant* constant = c.constant(k);
  if (!constant) return DeviceInput(k);
  const auto bytes = size_t(constant->bytes());
  return packed_device_input(c, k, "as it is", bytes, [&](std::byte* to) { std::memcpy(to, constant->data, bytes); });
}

DeviceInput device_table(const LowerContext& c, std::span<const std::byte> numbers) {
  if (c.target->probe) return {};
  auto memory = std::make_shared<DeviceMemory>(c.target->device, std::max<size_t>(numbers.size(), 1));
  c.target->device->upload(memory->data(), numbers.data(), numbers.size());
  return DeviceInput(std::shared_ptr<const std::byte>(memory, memory->data()));
}
}  // namespace engine
