// Values for the inputs of a model: from files, or made up.
#pragma once
#include "tools/common.h"

namespace tools {
using Values = std::vector<std::optional<Object>>;  // by input; none: not given

// Each argument is NAME=FILE, or FILE alone where the model has one input: a .npy file, or a picture, which becomes the
// tensor as the input's image spec says, or is it, pixel by pixel, where there is none and it fits. The files of one
// name are the items of an input that is a sequence. An optional that is not given is empty. Throws where the model
// does not take a value.
Values read_inputs(const Graph&, const std::vector<std::string>& arguments);

// How pictures become inputs, from now on: each text is NAME=SPEC, or SPEC alone where the model has one input.
void set_images(Graph&, const std::vector<std::string>& texts);

// Deterministic values for every input: reals in [0, 1), ones, empty strings. An extent that the model leaves open is
// that of `shapes`, or else 1, with a note on stderr. `arguments`, as for read_inputs, give values in their place.
Values synthetic_inputs(const Graph&, Shapes shapes, const std::vector<std::string>& arguments);

// Throws an error that lists every input without a value, with its type. `session` keeps views of the values.
void set_inputs(Session& session, const Values&);
void set_inputs(Session&, Values&&) = delete;

// Options of a session that runs many times on the same inputs: it owns its states, unless they grow from run to run.
SessionOptions to_repeat(const Graph&, kernels::ThreadPool&);
}  // namespace tools
