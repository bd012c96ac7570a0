// The functions of the driver: of CUDA in driver.cu, of an emulated device in emulated/driver.cpp.
#pragma once
#include "kernels/cuda/backend.h"

namespace kernels::cuda {
Driver driver();
}  // namespace kernels::cuda
