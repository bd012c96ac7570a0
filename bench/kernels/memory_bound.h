// Kernels that memory bounds, rather than arithmetic: GB/s read and written, and the percentage of what memcpy reaches
// on one thread over as many bytes.
#pragma once
#include "kernels/isa.h"

namespace bench {
void add_memory_bound(kernels::isa::Mask have, int threads);
}  // namespace bench
