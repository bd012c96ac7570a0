// Evaluates a node at once, with its reference.
#pragma once
#include "engine/op.h"

namespace engine {
// Output k of a node, where it follows from constants, or from integer values that inference knows. Null: it does not,
// it is not a tensor, or it is larger than limits.h lets folding create.
ConstantPtr fold(const Graph&, const Node&, size_t k);
}  // namespace engine
