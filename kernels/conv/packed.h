// Convolution as one matrix product of packed rows, for backends that pack them: a row is what a pixel of y is made of, found
// in x while it is packed. Padding and strides cost the product nothing.
#pragma once
#include "kernels/conv/conv.h"
#include "kernels/tile/tile.h"

namespace kernels::conv {
// Null where the backend does not pack, or the spec wants its sums otherwise.
Kernel make_packed(const tile::Backend&, const Spec&);
}  // namespace kernels::conv
