// The section of packed weights in a .inlay file (schema/FORMAT.md).
#pragma once
#include "engine/packing.h"

namespace engine {
// What the section begins with: an index, and where after it each weight's bytes come.
struct PackedSection {
  std::string index;  // whole cache lines
  std::vector<std::pair<uint64_t, const PackedFor*>> parts;  // their offsets from the section's start, in order
  uint64_t size = 0;
};
// `offset_of` says where in the weights section contents are; none: not there, and what is packed of them is left out.
PackedSection describe_packed(std::span<const PackedFor>, const std::function<std::optional<uint64_t>(const std::byte*)>& offset_of, uint64_t weights_checksum);

// Fills `to`, or says in it why nothing of the section is used: it is of another version or other weights, or damaged.
void read_packed(std::span<const std::byte> section, uint64_t weights_checksum, StoredPackings& to);
}  // namespace engine
