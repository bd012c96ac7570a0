// The rows of each family, which its cuda.cu defines.
#pragma once
#include "kernels/cuda/backend.h"

namespace kernels::cuda {
#define FAMILY(name, Problem, Args) Family<Problem, Args> name##_family();
#include "kernels/cuda/families.inc"
}  // namespace kernels::cuda
