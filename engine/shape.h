// Inference over whole graphs, with the values of small integer tensors followed as far as they are known.
#pragma once
#include "engine/graph.h"

namespace engine {
// True if `specific` may be what `general` describes: equal where both are known.
bool compatible(const Type& general, const Type& specific);

// Follows integer values through one node: sets `ints` of its outputs where the op computes sizes from sizes.
void infer_ints(Graph&, const Node&);

// Infers every type again from those of the inputs, in execution order. Errors name the node.
void infer_types(Graph&);

// The output types of a body, given its input types. `ints`: values of inputs where they are known.
Types infer_body(const Graph& body, std::span<const Type> inputs, std::span<const std::optional<Dims>> ints = {});

// What binding the inputs of a graph gives. `head` holds the nodes whose inputs can then be placed, with shape
// arithmetic folded and decided Ifs inlined. The rest is `tail`: its inputs are values of `head`, whose sizes are known
// when head has run.
struct Specialised {
  Graph head;
  Graph tail;
  struct Output {
    bool from_tail;
    size_t index;  // of an output of head, or of tail
  };
  std::vector<Output> outputs;         // one per output of the graph
  std::vector<size_t> crossing;        // the output of head that is tail's input k
  std::vector<bool> by_value;          // whether tail has to be specialised by the value of its input k
};
// `values`: of the inputs that are bound by value, null for others; empty: of none. A node that waits for numbers which
// say how large its outputs are (OpDef::sized_by) is tail's, where they are known.
Specialised specialise(const Graph&, std::span<const Type> inputs, std::span<const ConstantPtr> values = {});
}  // namespace engine
