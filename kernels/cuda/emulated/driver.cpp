// A device of host memory, for tests: the driver over the emulator's streams.
#include <sys/mman.h>
#include <chrono>
#include <cstdio>
#include <map>
#include <mutex>
#include "kernels/cuda/device.h"
#include "kernels/cuda/driver.h"
#include "kernels/cuda/generated.h"

namespace kernels::cuda {
struct Graph {
  std::vector<std::function<std::string()>> work;
};
struct Event {
  std::chrono::steady_clock::time_point at;
};

namespace {
thread_local std::string last_failure;
Failure fail(std::string message) {
  last_failure = std::move(message);
  return last_failure.c_str();
}

// Device memory can be touched only while a stream works.
class Memory {
 public:
  void* allocate(size_t bytes) {
    const std::scoped_lock lock(mutex_);
    constexpr size_t page = 64 << 10;
    bytes = (bytes + page - 1) / page * page + page;  // the last page stays closed
    void* memory = mmap(nullptr, bytes, open_ ? PROT_READ | PROT_WRITE : PROT_NONE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return nullptr;
    blocks_[memory] = bytes;
    if (open_) mprotect(static_cast<std::byte*>(memory) + bytes - page, page, PROT_NONE);
    return memory;
  }
  void release(void* memory) {
    const std::scoped_lock lock(mutex_);
    const auto it = blocks_.find(memory);
    if (it == blocks_.end()) return;
    munmap(memory, it->second);
    blocks_.erase(it);
  }
  bool holds(const void* at) {
    const std::scoped_lock lock(mutex_);
    const auto behind = blocks_.upper_bound(const_cast<void*>(at));
    if (behind == blocks_.begin()) return false;
    const auto& [memory, bytes] = *std::prev(behind);
    return static_cast<const std::byte*>(at) < static_cast<std::byte*>(memory) + bytes;
  }
  void open(bool opens) {
    const std::scoped_lock lock(mutex_);
    open_ += opens ? 1 : -1;
    if (open_ != (opens ? 1 : 0)) return;
    for (const auto& [memory, bytes] : blocks_)
      mprotect(memory, bytes - (64 << 10), opens ? PROT_READ | PROT_WRITE : PROT_NONE);
  }

 private:
  std::mutex mutex_;
  std::map<void*, size_t> blocks_;
  int open_ = 0;
} memory;

Failure devices(int* count) {
  *count = 1;
  return nullptr;
}
Failure describe(int, DeviceInfo* info) {
  std::snprintf(info->name, sizeof info->name, "emulated");
  info->sm = 80, info->memory_bytes = int64_t{1} << 34;
  return nullptr;
}
Failure allocate(int, size_t bytes, void** to) {
  return (*to = memory.allocate(bytes)) ? nullptr : fail("out of memory");
}
void release(int, void* address) { memory.release(address); }
Failure allocate_pinned(int, size_t bytes, void** to) {
  return (*to = std::malloc(bytes)) ? nullptr : fail("out of memory");
}
void release_pinned(void* address) { std::free(address); }

Failure make_stream(int device, Stream** to) {
  void* word = memory.allocate(sizeof no_fault);
  if (!word) return fail("out of memory");
  *to = new Stream{device, false, {}, {}, {static_cast<unsigned long long*>(word), new unsigned long long, 0, false}};
  return nullptr;
}
void end_stream(Stream* stream) {
  memory.release(stream->watched.on_device);
  delete stream->watched.fetched;
  delete stream;
}
Failure share_stream(int device, void*, Stream** to) { return make_stream(device, to); }
Failure copy(Stream* stream, void* to, const void* from, size_t bytes) {
  stream->enqueue([=] { return std::memcpy(to, from, bytes), std::string(); });
  return nullptr;
}
Failure synchronise(Stream* stream) {
  if (stream->capturing) return fail("a stream that records cannot be synchronised");
  const auto work = std::move(stream->work);
  stream->work.clear();
  memory.open(true);
  std::string error;
  for (const auto& f : work)
    if (error.empty()) error = f();
  memory.open(false);
  return error.empty() ? nullptr : fail(std::move(error));
}

Failure begin_capture(Stream* stream) { return stream->capturing = true, nullptr; }
Failure end_capture(Stream* stream, Graph** graph) {
  *graph = new Graph{std::move(stream->captured)};
  stream->captured.clear(), stream->capturing = false;
  return nullptr;
}
Failure launch_graph(Graph* graph, Stream* stream) {
  for (const auto& f : graph->work) stream->enqueue(f);
  return nullptr;
}
void end_graph(Graph* graph) { delete graph; }

void name_step(Stream* s, int step) { s->watched.step = step; }
Failure fetch_fault(Stream* s, bool* some_can) {
  *some_can = std::exchange(s->watched.cleared, false);
  return *some_can ? copy(s, s->watched.fetched, s->watched.on_device, sizeof no_fault) : nullptr;
}
Fault fault(Stream* s) { return fault_of(*s->watched.fetched); }

Failure make_event(int, Event** event) { return *event = new Event, nullptr; }
void end_event(Event* event) { delete event; }
Failure record(Event* event, Stream* stream) {
  stream->enqueue([=] { return event->at = std::chrono::steady_clock::now(), std::string(); });
  return nullptr;
}
Failure elapsed(Event* first, Event* last, double* seconds) {
  *seconds = std::chrono::duration<double>(last->at - first->at).count();
  return nullptr;
}
}  // namespace

bool emulator::is_device_memory(const void* at) { return memory.holds(at); }

Failure watch(Stream* s, Watch* watch) {
  FaultWord& w = s->watched;
  *watch = {w.on_device, w.step};
  if (!std::exchange(w.cleared, true)) s->enqueue([word = w.on_device] { return *word = no_fault, std::string(); });
  return nullptr;
}

struct Generated {
  std::function<emulator::Entry(const char*)> find;
};
Failure generate(const std::string& source, int, Generated** to) {
  if (*to) return nullptr;
  if (!emulator::compiler) return "the emulation compiles nothing";
  auto g = std::make_unique<Generated>();
  if (Failure f = emulator::compiler(source, &g->find)) return f;
  *to = g.release();
  return nullptr;
}
Failure launch_generated(Generated* g, const char* name, unsigned blocks, unsigned threads, Stream* stream,
                         const void* parameter, size_t bytes) {
  const emulator::Entry entry = g->find(name);
  if (!entry) return fail(std::string("there is no kernel ") + name);
  const auto* from = static_cast<const std::byte*>(parameter);
  stream->enqueue([=, copy = std::vector<std::byte>(from, from + bytes)] {
    return emulator::run(blocks, threads, 0, [&] {
      entry(copy.data(), {gridDim.x, blockDim.x, blockIdx.x, threadIdx.x});
    });
  });
  return nullptr;
}

Driver driver() {
  return {devices,    describe,  allocate,    release, allocate_pinned, release_pinned, make_stream, share_stream,
          end_stream, copy,      copy,        copy,    synchronise,     begin_capture,  end_capture, launch_graph,
          end_graph,  name_step, fetch_fault, fault,   make_event,      end_event,      record,      elapsed};
}
}  // namespace kernels::cuda

// For tests that see no more of the emulation than its library.
extern "C" __attribute__((visibility("default"))) int64_t inlay_emulated_launches() {
  return kernels::cuda::emulator::launches;
}
// The launch fails that is asked for behind so many others.
extern "C" __attribute__((visibility("default"))) void inlay_emulated_refuse(int64_t behind) {
  kernels::cuda::emulator::refused = kernels::cuda::emulator::asked + behind;
}
