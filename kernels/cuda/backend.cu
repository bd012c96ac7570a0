// The backend's table, and the function that gives it.
#include "kernels/cuda/driver.h"
#include "kernels/cuda/families.h"

extern "C" __attribute__((visibility("default"))) const kernels::cuda::Backend* inlay_cuda_backend(uint32_t version) {
  using namespace kernels::cuda;
  static const Backend backend{
      backend_version,
      driver(),
#define FAMILY(name, Problem, Args) name##_family(),
#include "kernels/cuda/families.inc"
  };
  return version == backend_version ? &backend : nullptr;
}
