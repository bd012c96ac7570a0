#define XXH_INLINE_ALL
#include "engine/packed_section.h"
#include <cstring>
#include <set>
#include <xxhash.h>
#include "engine/error.h"
#include "engine/number.h"

namespace engine {
namespace {
constexpr uint64_t line = 64, most_weights = 64, most_text = 4096;

struct IndexHeader {
  uint32_t version, entries;
  uint64_t weights_checksum, index_size, checksum;  // of the index behind this header
};
struct IndexEntry {  // and its offsets, and its text padded to 8 bytes
  uint64_t offset, size;
  uint32_t weights, text;
};
static_assert(sizeof(IndexHeader) == 32 && sizeof(IndexEntry) == 24);

template <class T> void append_bytes(std::string& to, const T& value) { to.append(reinterpret_cast<const char*>(&value), sizeof value); }

// Runs off its end: false from then on.
struct IndexReader {
  std::span<const std::byte> rest;
  bool bytes(void* to, uint64_t n) {
    if (n > rest.size()) return false;
    std::memcpy(to, rest.data(), n);
    rest = rest.subspan(n);
    return true;
  }
};
}  // namespace

PackedSection describe_packed(std::span<const PackedFor> packed, const std::function<std::optional<uint64_t>(const std::byte*)>& offset_of, uint64_t weights_checksum) {
  // In the order given: what one instruction set reads lies together, and pages of another's are not brought with it.
  std::vector<std::pair<StoredPackings::Key, const PackedFor*>> chosen;
  std::set<StoredPackings::Key> seen;
  for (const PackedFor& p : packed) {
    StoredPackings::Key key{{}, p.packing};
    for (const std::byte* w : p.weights)
      if (const auto offset = offset_of(w)) key.offsets.push_back(*offset);
    if (p.storable == Storable::yes && key.offsets.size() == p.weights.size() && key.offsets.size() <= most_weights && key.packing.size() <= most_text)
      if (seen.insert(key).second) chosen.emplace_back(std::move(key), &p);
  }
  PackedSection section;
  uint64_t index_size = sizeof(IndexHeader);
  for (const auto& [key, p] : chosen) index_size += sizeof(IndexEntry) + key.offsets.size() * sizeof(uint64_t) + round_up(key.packing.size(), 8);
  section.size = index_size = round_up(index_size, line);
  std::string entries;
  for (const auto& [key, p] : chosen) {
    append_bytes(entries, IndexEntry{section.size, p->bytes, uint32_t(key.offsets.size()), uint32_t(key.packing.size())});
    for (uint64_t offset : key.offsets) append_bytes(entries, offset);
    entries += key.packing;
    entries.resize(round_up(entries.size(), 8));
    section.parts.emplace_back(section.size, p);
    section.size = round_up(section.size + p->bytes, line);
  }
  entries.resize(index_size - sizeof(IndexHeader));
  append_bytes(section.index, IndexHeader{packing_version, uint32_t(chosen.size()), weights_checksum, index_size, XXH3_64bits(entries.data(), entries.size())});
  section.index += entries;
  return section;
}

void read_packed(std::span<const std::byte> section, uint64_t weights_checksum, StoredPackings& to) {
  IndexHeader header;
  IndexReader in{section};
  const std::string damaged = "its index is damaged";
  if (!in.bytes(&header, sizeof header)) return to.refuse(damaged);
  if (header.version != packing_version) return to.refuse(cat("it is of packing version ", header.version, ", and this build reads ", packing_version));
  if (header.weights_checksum != weights_checksum) return to.refuse("it was made of other weights");
  if (header.index_size < sizeof header || header.index_size > section.size()) return to.refuse(damaged);
  in.rest = section.subspan(sizeof header, header.index_size - sizeof header);
  if (XXH3_64bits(in.rest.data(), in.rest.size()) != header.checksum) return to.refuse(damaged);
  for (uint32_t i = 0; i < header.entries; ++i) {
    IndexEntry entry;
    StoredPackings::Key key;
    if (!in.bytes(&entry, sizeof entry) || entry.weights == 0 || entry.weights > most_weights || entry.text > most_text) return to.refuse(damaged);
    if (entry.offset % line || entry.offset < header.index_size || entry.offset > section.size() || entry.size > section.size() - entry.offset) return to.refuse(damaged);
    key.offsets.resize(entry.weights);
    key.packing.resize(round_up(entry.text, 8));
    if (!in.bytes(key.offsets.data(), entry.weights * sizeof(uint64_t)) || !in.bytes(key.packing.data(), key.packing.size())) return to.refuse(damaged);
    key.packing.resize(entry.text);
    to.add(std::move(key), section.subspan(entry.offset, entry.size));
  }
}
}  // namespace engine
