// Source to machine code while a program runs, by NVIDIA's library NVRTC, which is opened when it is first asked for.
// Results are kept in files, so that the next process finds them.
#pragma once
#include <string>
#include <vector>
#include "kernels/cuda/backend.h"

namespace kernels::cuda {
// A cubin for this compute capability. Fails where there is no NVRTC ($INLAY_NVRTC_LIBRARY, else where the system
// looks, else in /usr/local/cuda), it does not know the capability, or the source has errors.
//
// Files are in $INLAY_CUDA_CACHE, else in inlay/cuda under $XDG_CACHE_HOME or ~/.cache; an empty $INLAY_CUDA_CACHE:
// none. A file holds source, capability and version in full, and is not used where one differs.
Failure compile_source(const std::string& source, int sm, std::vector<char>& cubin);
}  // namespace kernels::cuda
