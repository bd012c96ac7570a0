// Generated kernels over the CUDA driver, whose library is there where a device is.
#include <cuda.h>
#include <dlfcn.h>
#include <cstdio>
#include <map>
#include <mutex>
#include "kernels/cuda/generated.h"
#include "kernels/cuda/nvrtc.h"

namespace kernels::cuda {
struct Generated {
  std::mutex mutex;
  std::map<int, std::vector<char>> cubins;                      // by capability
  std::map<int, CUmodule> modules;                              // by device
  std::map<std::pair<int, std::string>, CUfunction> functions;  // by device and name
};

namespace {
struct Api {
  decltype(&cuModuleLoadData) load = nullptr;
  decltype(&cuModuleGetFunction) find = nullptr;
  decltype(&cuLaunchKernel) launch = nullptr;
  decltype(&cuGetErrorString) describe = nullptr;
  Api() {
    void* library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!library) return;
    const auto symbol = [&](auto& to, const char* name) {
      to = reinterpret_cast<std::remove_reference_t<decltype(to)>>(dlsym(library, name));
    };
    symbol(load, "cuModuleLoadData"), symbol(find, "cuModuleGetFunction"), symbol(launch, "cuLaunchKernel"),
        symbol(describe, "cuGetErrorString");
  }
  bool complete() const { return load && find && launch && describe; }
};
const Api& api() {
  static const Api one;
  return one;
}
Failure failure_of_driver(CUresult result, const char* doing) {
  if (result == CUDA_SUCCESS) return nullptr;
  thread_local char message[256];
  const char* text = nullptr;
  api().describe(result, &text);
  std::snprintf(message, sizeof message, "%s: %s", doing, text ? text : "unknown error");
  return message;
}

Failure function_of(Generated& g, int device, const char* name, CUfunction* function) {
  const std::scoped_lock lock(g.mutex);
  CUfunction& known = g.functions[{device, name}];
  if (!known) {
    CUmodule& module = g.modules[device];
    if (!module) {
      int major = 0, minor = 0;
      cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device);
      cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device);
      const auto cubin = g.cubins.find(major * 10 + minor);
      if (cubin == g.cubins.end()) return "a kernel that was not compiled for this device";
      if (Failure f = failure_of_driver(api().load(&module, cubin->second.data()), "loading a generated kernel"))
        return f;
    }
    if (Failure f = failure_of_driver(api().find(&known, module, name), "finding a generated kernel")) return f;
  }
  *function = known;
  return nullptr;
}
}  // namespace

Failure generate(const std::string& source, int sm, Generated** to) {
  if (!api().complete()) return "the NVIDIA driver's library (libcuda.so.1) is not complete";
  std::vector<char> cubin;
  if (*to) {
    const std::scoped_lock lock((*to)->mutex);
    if ((*to)->cubins.contains(sm)) return nullptr;
  }
  if (Failure f = compile_source(source, sm, cubin)) return f;
  if (!*to) *to = new Generated;
  const std::scoped_lock lock((*to)->mutex);
  (*to)->cubins[sm] = std::move(cubin);
  return nullptr;
}

Failure launch_generated(Generated* g, const char* name, unsigned blocks, unsigned threads, Stream* stream,
                         const void* parameter, size_t) {
  const Current current(stream->device);
  if (Failure f = failure_of(current.error, "choosing the device")) return f;
  CUfunction function = nullptr;
  if (Failure f = function_of(*g, stream->device, name, &function)) return f;
  void* parameters[] = {const_cast<void*>(parameter)};
  return failure_of_driver(api().launch(function, blocks, 1, 1, threads, 1, 1, 0, stream->handle, parameters, nullptr),
                           "launching a generated kernel");
}
}  // namespace kernels::cuda
