// The .inlay file, as schema/FORMAT.md defines it.
#pragma once
#include <string>
#include "engine/graph.h"
#include "engine/packing.h"

namespace engine {
// Replaces the file in one step. Throws unsupported for a graph with an op that is not portable. `packed`: weights of this very graph, for
// kernels to map as they are.
void save_model(const Graph&, const std::string& path, std::span<const PackedFor> packed = {});

enum class LoadMode {
  map,   // weights stay in the mapped file
  copy,  // the file is read into memory, and may change or vanish afterwards
};
// Verifies the header and the graph, infers every type. Weights are not read.
Graph load_model(const std::string& path, LoadMode = LoadMode::map);
// The same from memory, which must be aligned to 64 bytes and outlive the graph, or be owned by `owner`.
Graph load_model(std::span<const std::byte> file, std::shared_ptr<const void> owner);

// Reads the whole file and compares every checksum. Throws invalid_model naming the first section that differs.
void verify_file(const std::string& path);

bool is_model_file(std::span<const std::byte> first_bytes);  // by the magic number
}  // namespace engine
