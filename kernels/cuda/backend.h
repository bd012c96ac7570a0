// What the CUDA backend gives to the engine. It is a library of its own, libinlay_cuda.so, that the runtime opens when it is
// asked for the device: an app without one needs no CUDA. Between the two go PODs and functions alone, and both must have been
// built from the same version of this file.
#pragma once
#include <algorithm>
#include <span>
#include <utility>
#include <vector>
#include "kernels/cuda/problems.h"
#include "kernels/table.h"

namespace kernels::cuda {
inline constexpr uint32_t backend_version = 5;  // a change to this file, problems.h or a struct in them: another number

// Why something failed, valid until the thread's next call; null: it went well.
using Failure = const char*;

struct Stream;  // work in order, beside what the host does
struct Graph;   // work that a stream has recorded, to be launched as one
struct Event;

// What a kernel refuses about the data that it has been given.
enum class Refused : uint8_t { index, divisor, length, threshold };
struct Fault {
  bool any = false;
  int step = 0;  // as `watch` named it
  Refused what = Refused::index;
  int64_t position = 0;  // the first element that is refused, of the indices or lengths, or of the result
};

struct DeviceInfo {
  char name[256];
  int sm;  // the compute capability: 80, 90
  int64_t memory_bytes;
};

// Memory, streams, events and graphs of devices. Addresses on a device are no addresses of the host. Copies and launches are
// done in the stream's order, at the latest when it is synchronised; host memory that a copy reads or writes stays as it is until
// then, and is pinned.
struct Driver {
  Failure (*devices)(int* count);  // fails where there are none, and says what is missing
  Failure (*describe)(int device, DeviceInfo*);
  Failure (*allocate)(int device, size_t bytes, void** memory);  // aligned to 256 bytes
  void (*release)(int device, void* memory);
  Failure (*allocate_pinned)(int device, size_t bytes, void** memory);
  void (*release_pinned)(void* memory);

  Failure (*make_stream)(int device, Stream**);
  Failure (*share_stream)(int device, void* handle, Stream**);  // over the application's own: a cudaStream_t, which outlives it
  void (*end_stream)(Stream*);
  Failure (*upload)(Stream*, void* device, const void* host, size_t bytes);
  Failure (*download)(Stream*, void* host, const void* device, size_t bytes);
  Failure (*copy)(Stream*, void* to, const void* from, size_t bytes);  // both on the device
  Failure (*synchronise)(Stream*);

  // From begin to end, what is asked of the stream is recorded instead of done.
  Failure (*begin_capture)(Stream*);
  Failure (*end_capture)(Stream*, Graph**);
  Failure (*launch)(Graph*, Stream*);
  void (*end_graph)(Graph*);

  // Kernels that are asked for from now on report what they refuse in the name of this step, which is less than 2^20. Results of
  // a kernel that refuses are not to be used; memory stays whole.
  void (*watch)(Stream*, int step);
  // In the stream's order: brings to the host what kernels since the last time have refused. False: none of them can.
  Failure (*fetch_fault)(Stream*, bool* some_can);
  Fault (*fault)(Stream*);  // the first one, by steps and then by positions, of what was fetched, when the stream is synchronised

  Failure (*make_event)(int device, Event**);
  void (*end_event)(Event*);
  Failure (*record)(Event*, Stream*);
  Failure (*elapsed)(Event* first, Event* last, double* seconds);  // both have been passed
};

// A kernel of a family. `refusal`: why it does not serve, a string that lasts, or null. `cost`: as in kernels/table.h.
template <class Problem, class Args> struct Row {
  const char* name;
  int sm;    // the least compute capability
  int tile;  // elements along the dim that is divided among blocks: tests use sizes around it
  const char* (*refusal)(const Problem&);
  double (*cost)(const Problem&);
  Failure (*run)(const Problem&, const Args&, Stream*);
  int64_t (*scratch)(const Problem&) = nullptr;  // bytes of Args::scratch; null: none
  // Before the first run on a device of this capability: what a row does once for all problems like this one. Where it fails, another
  // row serves. Null: nothing.
  Failure (*prepare)(const Problem&, int sm) = nullptr;
};
template <class Problem, class Args> struct Family {
  const Row<Problem, Args>* rows;
  size_t count;
  std::span<const Row<Problem, Args>> all() const { return {rows, count}; }
};

struct Backend {
  uint32_t version;
  Driver driver;
#define FAMILY(name, Problem, Args) Family<Problem, Args> name;
#include "kernels/cuda/families.inc"
};

// The one function that the library exports. Null: it is of another version.
using Open = const Backend* (*)(uint32_t version);
inline constexpr const char* open_name = "inlay_cuda_backend";

// The cheapest row that runs on a device of this capability, or null; not one of `without`. Reasons go to the thread's RefusalLog.
template <class Problem, class Args>
const Row<Problem, Args>* select(const Family<Problem, Args>& family, const Problem& problem, int sm,
                                 std::span<const Row<Problem, Args>* const> without = {}) {
  const Row<Problem, Args>* best = nullptr;
  std::vector<Refusal>* const log = RefusalLog::current;
  const auto refuse = [&](const Row<Problem, Args>& row, std::string reason) {
    if (log) log->push_back({row.name, std::move(reason)});
  };
  for (const auto& row : family.all()) {
    if (std::ranges::find(without, &row) != without.end()) continue;
    if (row.sm > sm) {
      refuse(row, "needs compute capability " + std::to_string(row.sm));
    } else if (const char* reason = row.refusal(problem)) {
      refuse(row, reason);
    } else if (!best) {
      best = &row;
    } else if (row.cost(problem) < best->cost(problem)) {
      refuse(*std::exchange(best, &row), std::string("costs more than ") + row.name);
    } else {
      refuse(row, std::string("costs more than ") + best->name);
    }
  }
  return best;
}
}  // namespace kernels::cuda
