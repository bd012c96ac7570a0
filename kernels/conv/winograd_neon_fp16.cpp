// Winograd's transforms of halves in half precision, for 64-bit ARM that computes in it. Nothing here may be shared with files that are
// compiled for less (tests/kernels/weak_symbols.sh): the rows are in winograd_neon.cpp.
#if defined(__aarch64__)
#include "kernels/neon_fp16.h"
#include "kernels/conv/winograd_neon-inl.h"
#include "kernels/conv/winograd_neon_fp16.h"

namespace kernels::conv {
static_assert(lanes == half_lanes);
const WinogradTransforms half_transforms{{input<2>, input<4>}, {output<2>, output<4>}, true};
}  // namespace kernels::conv
#endif
