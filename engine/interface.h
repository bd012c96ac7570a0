// What a user may say of a graph's inputs and outputs before it is saved or run.
#pragma once
#include "engine/graph.h"

namespace engine {
// By ONNX name. Throws invalid_argument, listing the names there are.
size_t find_input(const Graph&, std::string_view name);
size_t find_output(const Graph&, std::string_view name);

// From now on the input is fed from the output of the run before. Throws invalid_argument if their types do not fit, or
// the input is a state already.
void add_state(Graph&, std::string_view input, std::string_view output);

// Gives a symbol of the inputs' extents an upper bound: plans keep it open, and have memory for so much. Types of all
// values follow with infer_types. Throws invalid_argument if no input has the symbol, listing those there are.
void bound_symbol(Graph&, std::string_view symbol, int64_t upper);
}  // namespace engine
