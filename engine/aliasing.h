// Values that lie inside others: the parts of a concat in its result, what is cut off in what it is cut from. Their steps
// vanish, or have less to copy.
#pragma once
#include "engine/graph.h"

namespace engine {
struct Inside {
  ValueId whole = ValueId::none;  // none: it lies on its own. It may lie inside another one itself
  int64_t offset = 0;             // bytes from the start of the whole
  int64_t pitch = 0;              // elements from row to row of the last dim; 0: as many as it has
};

// By value. All types that matter are determined. A value with a pitch is made and read only by nodes that say so
// (OpDef::takes_pitch), and is no output of the graph.
std::vector<Inside> alias_parts(const Graph&);
// Whether nothing is left to do for a node: output 0 lies in its input, or all inputs lie in output 0.
bool lies_in_place(const Node&, std::span<const Inside>);
}  // namespace engine
