// What a frame has on a device: an arena, a stream, pinned memory that copies go through, and a graph for each run of steps there.
#pragma once
#include <span>
#include <vector>
#include "engine/budget.h"
#include "engine/device.h"

namespace kernels::cuda {
struct Graph;
struct Event;
struct Fault;
}  // namespace kernels::cuda

namespace engine {
struct Plan;
class RunContext;

class DeviceFrame {
 public:
  // `stream`: the application's own, which outlives the frame; null: one of its own.
  explicit DeviceFrame(std::shared_ptr<Device>, void* stream = nullptr);
  ~DeviceFrame();
  DeviceFrame(const DeviceFrame&) = delete;
  DeviceFrame& operator=(const DeviceFrame&) = delete;

  void reserve(const Plan&);
  std::byte* arena() const { return arena_.data(); }
  // By step: what a copy between host and device has on the device instead of its host's side; null: the host's. Where that is
  // the same address as the other side's, nothing is copied. To be said before bind.
  void place_copies(std::vector<const std::byte*> places) { places_ = std::move(places); }
  // Completes the contexts of steps on the device, whose views are set. What was recorded before is forgotten.
  void bind(const Plan&, std::span<RunContext>);

  // Runs the steps on the device from `step` up to the next one of the host, and waits for them. The second time they are recorded, when
  // their kernels are loaded; from then on they are one launch. Returns the step behind them. Where one refuses its data, `step` is it, and the error says why.
  size_t run(const Plan&, size_t& step, std::span<RunContext>);
  // Runs one step, and gives the seconds that the device took.
  double timed(const Plan&, size_t step, RunContext&);

 private:
  struct Segment {
    size_t first, last;
    kernels::cuda::Graph* graph = nullptr;
    bool can_refuse = false, has_run = false;
  };
  void forget();
  bool is_placed(size_t step) const { return step < places_.size() && places_[step]; }
  void enqueue_copy(const Plan&, size_t step, RunContext&);
  void fill_staging(const Plan&, size_t step, RunContext&);
  void empty_staging(const Plan&, size_t step, RunContext&);
  void enqueue(const Plan&, Segment&, std::span<RunContext>);
  void abandon();
  void record(const Plan&, Segment&, std::span<RunContext>);
  const kernels::cuda::Driver& driver() const { return device_->driver(); }

  std::shared_ptr<Device> device_;
  kernels::cuda::Stream* stream_ = nullptr;
  kernels::cuda::Event *begin_ = nullptr, *end_ = nullptr;
  Charge arena_charge_, staging_charge_;
  DeviceMemory arena_, staging_;
  std::vector<Segment> segments_;
  std::vector<const std::byte*> places_;
};
}  // namespace engine
