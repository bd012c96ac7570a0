// Passes that fit a graph to one machine. They run when a plan is compiled, after its extents are known, and their result
// is never saved.
#pragma once
#include "engine/plan.h"

namespace engine {
bool expand_quantized(Graph&);
bool expand_quantized_but_products(Graph&);  // those that a kernel for bytes takes
bool widen_half(Graph&);
bool channels_last(Graph&);
bool fuse_attention(Graph&);
bool fuse_epilogues(Graph&);
bool fuse_strips(Graph&);

void run_target_passes(Graph&, const CompileOptions&);
}  // namespace engine
