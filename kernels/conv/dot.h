// What the rows for few output channels share. Vectors over output channels would be all but empty: these go over input
// channels, and an output is a dot product of vectors, summed up at the end.
#pragma once
#include "kernels/conv/depthwise.h"

namespace kernels::conv {
constexpr int most_dot_outputs = 4;  // channels

using DotFunction = void (*)(const PixelRow&);

// Weights are packed as [kh][kw][output][channel], or, where a kernel's row meets floats next to each other, as [kh][output][kw][channel].
inline bool joins_columns(const PixelRow& r) { return r.x_tap == r.channels; }
Support supports_dot(const Spec&, int lanes);
Kernel make_dot(const Spec&, DotFunction, isa::Mask);
}  // namespace kernels::conv
