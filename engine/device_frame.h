// What a frame has on a device: an arena, a stream, pinned memory that copies go through, and a graph for each run of steps there.
#pragma once
#include <span>
#include <vector>
#include "engine/device.h"

namespace kernels::cuda {
struct Graph;
struct Event;
}  // namespace kernels::cuda

namespace engine {
struct Plan;
class RunContext;

class DeviceFrame {
 public:
  explicit DeviceFrame(std::shared_ptr<Device>);
  ~DeviceFrame();
  DeviceFrame(const DeviceFrame&) = delete;
  DeviceFrame& operator=(const DeviceFrame&) = delete;

  void reserve(const Plan&);
  std::byte* arena() const { return arena_.data(); }
  // Completes the contexts of steps on the device, whose views are set. What was recorded before is forgotten.
  void bind(const Plan&, std::span<RunContext>);

  // Runs the steps on the device from `first` up to the next one of the host, and waits for them. From the second time on they are
  // one launch. Returns the step behind them.
  size_t run(const Plan&, size_t first, std::span<RunContext>);
  // Runs one step, and gives the seconds that the device took.
  double timed(const Plan&, size_t step, RunContext&);

 private:
  struct Segment {
    size_t first, last;
    kernels::cuda::Graph* graph = nullptr;
  };
  void forget();
  void enqueue(const Plan&, const Segment&, std::span<RunContext>);
  const kernels::cuda::Driver& driver() const { return device_->driver(); }

  std::shared_ptr<Device> device_;
  kernels::cuda::Stream* stream_ = nullptr;
  kernels::cuda::Event *begin_ = nullptr, *end_ = nullptr;
  DeviceMemory arena_, staging_;
  std::vector<Segment> segments_;
};
}  // namespace engine
