// The tests of tests/cuda on the backend that $INLAY_CUDA_LIBRARY names: what they call is that library's, and runs on
// its device. Without the library or a device they are skipped, with status 77.
#include <dlfcn.h>
#include <unistd.h>
#include <cstdio>
#include <cstdlib>
#include "kernels/cuda/driver.h"
#include "kernels/cuda/families.h"

namespace kernels::cuda {
namespace {
[[noreturn]] void skip(const char* reason) {
  std::printf("skipped: %s\n", reason);
  std::fflush(stdout);
  _exit(77);
}
const Backend& backend() {
  static const Backend& one = []() -> const Backend& {
    const char* name = std::getenv("INLAY_CUDA_LIBRARY");
    if (!name) skip("INLAY_CUDA_LIBRARY names no backend");
    void* library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (!library) skip(dlerror());
    const auto open = reinterpret_cast<Open>(dlsym(library, open_name));
    const Backend* opened = open ? open(backend_version) : nullptr;
    if (!opened) skip("the backend is of another version");
    int devices = 0;
    if (const Failure f = opened->driver.devices(&devices)) skip(f);
    return *opened;
  }();
  return one;
}
}  // namespace

Driver driver() { return backend().driver; }
#define FAMILY(name, Problem, Args) \
  Family<Problem, Args> name##_family() { return backend().name; }
#include "kernels/cuda/families.inc"
}  // namespace kernels::cuda
