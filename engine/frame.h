// One execution of a graph: the memory that a plan needs, and its steps bound to addresses. Frames nest: the bodies of
// control flow, and the rest of a graph behind a size found at run, have frames of their own inside the outer one.
#pragma once
#include <atomic>
#include "engine/device_frame.h"
#include "engine/plan.h"
#include "kernels/os.h"

namespace engine {
struct RunOptions {
  kernels::ThreadPool* pool = nullptr;
  int threads = 1;  // at most so many of the pool's
  const Stop* stop = nullptr;
  void* stream = nullptr;  // of the application's, that steps on a device run in; null: the frame's own
  // Called after each step, with its index in the plan and its time in seconds.
  std::function<void(const Plan&, size_t step, double seconds, const RunContext&)> observer;
};

// The memory that tensors of a plan lie in. The bodies of a graph's steps share one, since a step copies what a body
// leaves before another body runs.
struct Arena {
  Charge charge;
  kernels::os::Memory memory;
  uint64_t moves = 0;  // how often the memory changed its address
  void reserve(int64_t bytes);
};

class Frame final : public BodyRunner {
 public:
  // `options` and `shared` outlive the frame. Null: an arena of its own.
  Frame(std::shared_ptr<PlanCache>, const RunOptions& options, Arena* shared = nullptr);

  // Runs the graph. Inputs of the types that were seen last time make no allocation and take no lock but the pool's. The
  // outputs are valid until the next run, or until an input that one of them is changes.
  std::span<const ConstView> run(std::span<const ConstView> inputs) override;
  Types output_types() const override { return engine::output_types(cache_->graph()); }

  // Plans for these inputs and allocates, without running.
  const Plan& prepare(std::span<const ConstView> inputs);

  // Memory that output k is written to instead of the frame's own, of the host or of the device; null: no more. Where the plan
  // cannot (the output is an input or a constant, or is found at run), nothing changes, and its view lies elsewhere. `pitch`: of an
  // output that grows (Plan::growing); its view has it then, and an input's may have it.
  void redirect(size_t k, std::byte* data, int64_t bytes, bool on_device = false, int64_t pitch = 0);
  // Where input k lies on the device, which a run's view of it does not say then; null: no more. Steps there read it in place.
  void place_input(size_t k, const std::byte* on_device);
  // Runs go to another stream from now on: RunOptions has changed.
  void change_stream();

  const Plan* plan() const { return plan_.get(); }
  const Frame* tail() const { return tail_.get(); }
  int64_t arena_bytes() const;        // of all arenas, of this frame and those inside
  int64_t arena_lower_bound() const;  // of what any plan could do with as much, the largest body's on top of the rest
  std::vector<const Plan*> plans() const;  // of this frame and those inside, as far as they have run

 private:
  struct Redirect {
    std::byte* data = nullptr;
    int64_t bytes = 0;
    bool on_device = false;
    int64_t pitch = 0;
    bool operator==(const Redirect&) const = default;
  };
  // An input that lies on the device.
  struct Placed {
    const std::byte* on_device = nullptr;
    Bytes on_host;  // a copy, where the host reads it
    bool host_reads = false;
  };
  void adopt(std::shared_ptr<const Plan>);
  std::byte* arena() const { return arena_->memory.data(); }
  void bind_extents(std::span<const ConstView> inputs);
  void bind_addresses();
  void bind_device();
  void fetch_inputs(std::span<const ConstView> inputs);
  ConstView view(uint32_t value, std::span<const ConstView> inputs) const;
  void run_steps();

  std::shared_ptr<PlanCache> cache_;
  const RunOptions& options_;
  std::shared_ptr<const Plan> plan_;
  Arena own_, shared_by_bodies_;
  Arena* const arena_;
  uint64_t bound_moves_ = 0;  // arena_->moves that addresses_ are of
  std::vector<Object> objects_;
  std::vector<Shape> shapes_;              // by value of the plan
  // Of a bounded plan: its symbols and what they are now, the extents that hold one, and the input shapes it is bound to.
  struct Symbol {
    const std::string* name;
    int64_t extent;
  };
  struct OpenExtent {
    size_t value, dim;
  };
  std::vector<Symbol> symbols_;
  std::vector<OpenExtent> open_extents_;
  std::vector<Shape> bound_;
  bool is_bound_ = false;
  std::vector<std::byte*> addresses_, moved_;  // by value of the plan; null: an input, or an object; moved by redirect()
  std::vector<int64_t> pitches_;           // by value of the plan: View::pitch
  std::vector<RunContext> contexts_;       // by step
  std::vector<std::unique_ptr<Frame>> bodies_;
  std::unique_ptr<Frame> tail_;
  std::vector<std::vector<ConstView*>> input_views_;  // by input: the views of steps to point at it
  std::vector<Redirect> redirects_;        // by output
  std::vector<Placed> placed_;             // by input
  std::vector<ConstView> fetched_;         // the inputs, where some are placed
  std::unique_ptr<DeviceFrame> device_;  // of a plan with steps on the device
  bool addresses_stale_ = false;
  std::vector<ConstView> outputs_, crossing_;
};
}  // namespace engine
