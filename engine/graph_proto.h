// The graph section of a .inlay file (schema/inlay.proto), read and written with protozero.
#pragma once
#include <functional>
#include "engine/graph.h"

namespace engine {
// Takes the contents of a constant that is too large for the graph section, and returns its offset among the weights.
using WeightSink = std::function<uint64_t(const Constant&)>;
std::string write_graph(const Graph&, const WeightSink&);

struct Weights {
  std::span<const std::byte> bytes;
  std::shared_ptr<const void> owner;
  const kernels::os::Memory* mapping = nullptr;
  const StoredPackings* stored = nullptr;
};
// Checks everything that it reads against limits.h, and infers the types.
Graph read_graph(std::span<const std::byte> section, const Weights&);

inline constexpr int64_t inlined_bytes = 64;  // constants up to here are in the graph section
}  // namespace engine
