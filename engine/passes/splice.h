// Copies one graph into another.
#pragma once
#include "engine/graph.h"

namespace engine {
// Adds the nodes of `from`, whose inputs are these values, and returns what its outputs are. Constants are shared.
ValueIds splice(Rewriter&, const Graph& from, const ValueIds& inputs);
}  // namespace engine
