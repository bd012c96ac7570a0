// The driver over the CUDA runtime.
#include <cuda.h>
#include <dlfcn.h>
#include <cstdio>
#include "kernels/cuda/device.h"
#include "kernels/cuda/driver.h"

namespace kernels::cuda {
struct Graph {
  int device;
  cudaGraphExec_t exec;
};
struct Event {
  int device;
  cudaEvent_t handle;
};

Failure failure_of(cudaError_t error, const char* doing) {
  if (error == cudaSuccess) return nullptr;
  thread_local char message[256];
  cudaGetLastError();  // the next call does not report it again
  std::snprintf(message, sizeof message, "%s: %s (%s)", doing, cudaGetErrorString(error), cudaGetErrorName(error));
  return message;
}

namespace {
// Of the CUDA driver, whose library is there where a device is.
struct Contexts {
  decltype(&cuCtxGetCurrent) get = nullptr;
  decltype(&cuCtxSetCurrent) set = nullptr;
  Contexts() {
    void* library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!library) return;
    get = reinterpret_cast<decltype(get)>(dlsym(library, "cuCtxGetCurrent"));
    set = reinterpret_cast<decltype(set)>(dlsym(library, "cuCtxSetCurrent"));
  }
};
const Contexts& contexts() {
  static const Contexts one;
  return one;
}
}  // namespace

Current::Current(int device) {
  CUcontext before = nullptr;
  if (contexts().get) contexts().get(&before);
  before_ = before;
  error = cudaSetDevice(device);
}
Current::~Current() {
  CUcontext now = nullptr;
  if (!contexts().get || !contexts().set || !before_) return;
  if (contexts().get(&now) == CUDA_SUCCESS && now != before_) contexts().set(static_cast<CUcontext>(before_));
}

Failure watch(Stream* s, Watch* watch) {
  FaultWord& w = s->watched;
  *watch = {w.on_device, w.step};
  if (std::exchange(w.cleared, true)) return nullptr;
  const Current current(s->device);
  return failure_of(cudaMemsetAsync(w.on_device, 0xff, sizeof no_fault, s->handle), "clearing a word on the device");
}

namespace {
// Calls after each other until one fails.
template <class... Calls> Failure in_order(int device, const char* doing, Calls&&... calls) {
  const Current current(device);
  cudaError_t error = current.error;
  ((error = error == cudaSuccess ? calls() : error), ...);
  return failure_of(error, doing);
}

Failure devices(int* count) {
  *count = 0;
  const cudaError_t error = cudaGetDeviceCount(count);
  if (error == cudaErrorInsufficientDriver) {
    int version = 0;
    cudaGetLastError();
    cudaDriverGetVersion(&version);
    return version ? "the NVIDIA driver is older than this backend's CUDA needs"
                   : "no NVIDIA driver (libcuda.so.1) is installed";
  }
  if (error == cudaErrorNoDevice || (error == cudaSuccess && *count == 0))
    return cudaGetLastError(), "no NVIDIA GPU is visible";
  return failure_of(error, "counting devices");
}
Failure describe(int device, DeviceInfo* info) {
  cudaDeviceProp properties;
  if (Failure f = failure_of(cudaGetDeviceProperties(&properties, device), "asking for a device's properties"))
    return f;
  std::snprintf(info->name, sizeof info->name, "%s", properties.name);
  info->sm = properties.major * 10 + properties.minor;
  info->memory_bytes = int64_t(properties.totalGlobalMem);
  return nullptr;
}
Failure allocate(int device, size_t bytes, void** memory) {
  return in_order(device, "allocating device memory", [&] { return cudaMalloc(memory, bytes); });
}
void release(int device, void* memory) {
  const Current current(device);
  if (current.error == cudaSuccess) cudaFree(memory);
}
Failure allocate_pinned(int device, size_t bytes, void** memory) {
  return in_order(device, "allocating pinned memory", [&] { return cudaMallocHost(memory, bytes); });
}
void release_pinned(void* memory) { cudaFreeHost(memory); }

Failure share_stream(int device, void* handle, Stream** stream) {
  FaultWord word;
  if (Failure f = in_order(
          device, "making a stream",
          [&] { return cudaMalloc(reinterpret_cast<void**>(&word.on_device), sizeof no_fault); },
          [&] { return cudaMallocHost(reinterpret_cast<void**>(&word.fetched), sizeof no_fault); })) {
    cudaFree(word.on_device);
    return f;
  }
  *stream = new Stream{device, static_cast<cudaStream_t>(handle), word, false};
  return nullptr;
}
Failure make_stream(int device, Stream** stream) {
  cudaStream_t handle;
  if (Failure f = in_order(device, "making a stream",
                           [&] { return cudaStreamCreateWithFlags(&handle, cudaStreamNonBlocking); }))
    return f;
  if (Failure f = share_stream(device, handle, stream)) return cudaStreamDestroy(handle), f;
  (*stream)->own = true;
  return nullptr;
}
void end_stream(Stream* stream) {
  const Current current(stream->device);
  cudaFreeHost(stream->watched.fetched), cudaFree(stream->watched.on_device);
  if (stream->own) cudaStreamDestroy(stream->handle);
  delete stream;
}
Failure upload(Stream* s, void* device, const void* host, size_t bytes) {
  return in_order(s->device, "copying to the device",
                  [&] { return cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, s->handle); });
}
Failure download(Stream* s, void* host, const void* device, size_t bytes) {
  return in_order(s->device, "copying from the device",
                  [&] { return cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, s->handle); });
}
Failure copy(Stream* s, void* to, const void* from, size_t bytes) {
  return in_order(s->device, "copying on the device",
                  [&] { return cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, s->handle); });
}
Failure synchronise(Stream* s) {
  return in_order(s->device, "running on the device", [&] { return cudaStreamSynchronize(s->handle); });
}

Failure begin_capture(Stream* s) {
  return in_order(s->device, "recording a graph",
                  [&] { return cudaStreamBeginCapture(s->handle, cudaStreamCaptureModeThreadLocal); });
}
Failure end_capture(Stream* s, Graph** graph) {
  cudaGraph_t recorded = nullptr;
  cudaGraphExec_t exec = nullptr;
  const Failure f = in_order(
      s->device, "recording a graph", [&] { return cudaStreamEndCapture(s->handle, &recorded); },
      [&] { return cudaGraphInstantiate(&exec, recorded, 0); });
  if (recorded) cudaGraphDestroy(recorded);
  if (!f) *graph = new Graph{s->device, exec};
  return f;
}
Failure launch_graph(Graph* graph, Stream* s) {
  return in_order(s->device, "launching a graph", [&] { return cudaGraphLaunch(graph->exec, s->handle); });
}
void end_graph(Graph* graph) {
  cudaGraphExecDestroy(graph->exec);
  delete graph;
}

void name_step(Stream* s, int step) { s->watched.step = step; }
Failure fetch_fault(Stream* s, bool* some_can) {
  FaultWord& w = s->watched;
  *some_can = std::exchange(w.cleared, false);
  return *some_can ? download(s, w.fetched, w.on_device, sizeof no_fault) : nullptr;
}
Fault fault(Stream* s) { return fault_of(*s->watched.fetched); }

Failure make_event(int device, Event** event) {
  cudaEvent_t handle;
  if (Failure f = in_order(device, "making an event", [&] { return cudaEventCreate(&handle); })) return f;
  *event = new Event{device, handle};
  return nullptr;
}
void end_event(Event* event) {
  cudaEventDestroy(event->handle);
  delete event;
}
Failure record(Event* event, Stream* s) {
  return in_order(s->device, "recording an event", [&] { return cudaEventRecord(event->handle, s->handle); });
}
Failure elapsed(Event* first, Event* last, double* seconds) {
  float milliseconds = 0;
  const Failure f = in_order(first->device, "timing",
                             [&] { return cudaEventElapsedTime(&milliseconds, first->handle, last->handle); });
  *seconds = double(milliseconds) * 1e-3;
  return f;
}
}  // namespace

Driver driver() {
  return {devices,    describe,  allocate,    release, allocate_pinned, release_pinned, make_stream, share_stream,
          end_stream, upload,    download,    copy,    synchronise,     begin_capture,  end_capture, launch_graph,
          end_graph,  name_step, fetch_fault, fault,   make_event,      end_event,      record,      elapsed};
}
}  // namespace kernels::cuda
