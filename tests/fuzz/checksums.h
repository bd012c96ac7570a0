// The checksums of an .inlay file (FORMAT.md), computed anew.
#pragma once
#define XXH_INLINE_ALL
#include <xxhash.h>
#include <cstring>
#include <span>

namespace fuzz {
inline void correct_checksums(std::span<std::byte> file) {
  constexpr size_t header = 32, row = 40;
  if (file.size() < header) return;
  uint32_t sections;
  std::memcpy(&sections, file.data() + 12, 4);
  if (sections > (file.size() - header) / row) return;
  const auto put = [&](size_t at, size_t from, size_t bytes) {
    const uint64_t sum = XXH3_64bits(file.data() + from, bytes);
    std::memcpy(file.data() + at, &sum, 8);
  };
  for (size_t s = 0; s < sections; ++s) {
    uint64_t place[2];
    std::memcpy(place, file.data() + header + s * row + 8, sizeof place);
    if (place[0] <= file.size() && place[1] <= file.size() - place[0]) put(header + s * row + 24, place[0], place[1]);
  }
  put(24, header, sections * row);
}
}  // namespace fuzz
