// Kernels whose source is written while a program runs.
#pragma once
#include <string>
#include "kernels/cuda/device.h"

namespace kernels::cuda {
struct Generated;
// Compiles a source for a capability, see nvrtc.h; where *to has it for another, it is added. What it gives stays for
// as long as the process.
Failure generate(const std::string& source, int sm, Generated**);
// Starts a kernel of the source by its name, with one parameter of so many bytes.
Failure launch_generated(Generated*, const char* name, unsigned blocks, unsigned threads, Stream*,
                         const void* parameter, size_t bytes);
}  // namespace kernels::cuda
