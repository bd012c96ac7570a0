// A graph as text that people read and tests write:
//
//   input x f32[2,H]
//   input photo f32[1,3,H,W] image "rgb,letterbox:640x640"
//   const w f32[3] {1,2,3}
//   y = Binary kind=add (x, w)  # f32[2,3] from add1 (Add)
//   a, _ = Split parts=2 (y)
//   z = If (c, x) {
//     body
//       input x2 f32[2,H]
//       output x2
//   }
//   output z
//   output prob = y
//   state 0 1
//
// Fields that are at their default are left out. "_" is an output that
// nobody reads, or an input that is absent. Behind # stand the types, which parsing infers anew, and the origins.
#pragma once
#include <string>
#include <string_view>
#include "engine/graph.h"

namespace engine {
std::string to_text(const Graph&);
// Throws invalid_model with the line that is wrong. Elements of constants that the text abbreviates ("…") are lost to it.
Graph parse_graph(std::string_view);
Op parse_op(std::string_view);      // "Conv stride=2,2 groups=4"
Type parse_type(std::string_view);  // "f32[1,N,?]"
}  // namespace engine
