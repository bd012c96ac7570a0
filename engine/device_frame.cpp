#include "engine/device_frame.h"
#include <algorithm>
#include <cstring>
#include "engine/plan.h"
#include "kernels/cuda/backend.h"

namespace engine {
namespace {
// Of a copy between the host and the device: what the host reads or writes is pinned memory, in between.
const schema::DeviceCopy* copy_of(const Step& step) { return step.op.get_if<schema::DeviceCopy>(); }

[[noreturn]] void fail_for(const kernels::cuda::Fault& fault) {
  using kernels::cuda::Refused;
  switch (fault.what) {
    case Refused::divisor: fail(Code::invalid_model, "integer division by zero at element ", fault.position, " of the result");
    case Refused::threshold: fail(Code::invalid_model, "the IoU threshold is outside 0 to 1");
    case Refused::length: fail(Code::invalid_model, "sequence length ", fault.position, " is out of range");
    default: fail(Code::invalid_model, "element ", fault.position, " of the indices is out of range");
  }
}
}  // namespace

DeviceFrame::DeviceFrame(std::shared_ptr<Device> device, void* stream) : device_(std::move(device)) {
  require_done(stream ? driver().share_stream(device_->index(), stream, &stream_) : driver().make_stream(device_->index(), &stream_));
}

DeviceFrame::~DeviceFrame() {
  driver().synchronise(stream_);  // a run that failed may have left work that touches what is given back now
  forget();
  for (kernels::cuda::Event* event : {begin_, end_})
    if (event) driver().end_event(event);
  driver().end_stream(stream_);
}

void DeviceFrame::forget() {
  for (const Segment& s : segments_)
    if (s.graph) driver().end_graph(s.graph);
  segments_.clear();
}

void DeviceFrame::reserve(const Plan& plan) {
  const size_t bytes = plan.device_memory.arena_size;
  if (arena_.size() >= bytes) return;
  forget();
  arena_ = {};
  arena_charge_.set(int64_t(bytes));
  arena_ = DeviceMemory(device_, bytes);
}

void DeviceFrame::bind(const Plan& plan, std::span<RunContext> contexts) {
  forget();
  constexpr size_t alignment = 256;
  size_t bytes = 0;
  std::vector<size_t> slots(plan.steps.size());
  for (size_t s = 0; s < plan.steps.size(); ++s) {
    if (!copy_of(plan.steps[s])) continue;
    slots[s] = bytes;
    bytes += (size_t(contexts[s].out(0).bytes()) + alignment - 1) / alignment * alignment;
  }
  if (staging_.size() < bytes) {
    staging_ = {};
    staging_charge_.set(int64_t(bytes));
    staging_ = DeviceMemory(device_, bytes, DeviceMemory::pinned);
  }
  for (size_t s = 0; s < plan.steps.size(); ++s) {
    if (!plan.steps[s].on_device) continue;
    contexts[s].stream_ = stream_;
    contexts[s].scratch_ = copy_of(plan.steps[s]) ? staging_.data() + slots[s] : arena_.data() + plan.steps[s].scratch_offset;
    if (s == 0 || !plan.steps[s - 1].on_device) segments_.push_back({s, s});
    segments_.back().last = s + 1;
  }
}

void DeviceFrame::fill_staging(const Plan& plan, size_t s, RunContext& c) {
  const auto* copy = copy_of(plan.steps[s]);
  if (copy && copy->to_device && !is_placed(s) && c.in(0).bytes()) std::memcpy(c.scratch_, c.in(0).data, size_t(c.in(0).bytes()));
}
void DeviceFrame::empty_staging(const Plan& plan, size_t s, RunContext& c) {
  const auto* copy = copy_of(plan.steps[s]);
  if (copy && !copy->to_device && !is_placed(s) && c.out(0).bytes()) std::memcpy(c.out(0).data, c.scratch_, size_t(c.out(0).bytes()));
}
void DeviceFrame::enqueue_copy(const Plan& plan, size_t s, RunContext& c) {
  const bool to_device = copy_of(plan.steps[s])->to_device;
  const std::byte* from = to_device ? places_[s] : c.in(0).data;
  std::byte* to = to_device ? c.out(0).data : const_cast<std::byte*>(places_[s]);
  if (from != to && c.out(0).bytes()) require_done(driver().copy(stream_, to, from, size_t(c.out(0).bytes())));
}

void DeviceFrame::enqueue(const Plan& plan, Segment& segment, std::span<RunContext> contexts) {
  for (size_t s = segment.first; s < segment.last; ++s) {
    driver().watch(stream_, int(s));
    if (is_placed(s)) enqueue_copy(plan, s, contexts[s]);
    else plan.steps[s].run(contexts[s]);
  }
  require_done(driver().fetch_fault(stream_, &segment.can_refuse));
}

void DeviceFrame::record(const Plan& plan, Segment& segment, std::span<RunContext> contexts) {
  require_done(driver().begin_capture(stream_));
  try {
    enqueue(plan, segment, contexts);
  } catch (...) {
    kernels::cuda::Graph* partial = nullptr;
    if (!driver().end_capture(stream_, &partial)) driver().end_graph(partial);
    throw;
  }
  require_done(driver().end_capture(stream_, &segment.graph));
}

// What was asked for before reads the memory that the next run fills, and what it refuses is not the next run's.
void DeviceFrame::abandon() {
  bool can_refuse = false;
  driver().fetch_fault(stream_, &can_refuse);
  driver().synchronise(stream_);
}

size_t DeviceFrame::run(const Plan& plan, size_t& step, std::span<RunContext> contexts) {
  Segment& segment = *std::ranges::find(segments_, step, &Segment::first);
  for (size_t s = segment.first; s < segment.last; ++s) fill_staging(plan, s, contexts[s]);
  try {
    if (segment.has_run && !segment.graph) record(plan, segment, contexts);
    if (segment.graph) require_done(driver().launch(segment.graph, stream_));
    else enqueue(plan, segment, contexts);
  } catch (...) {
    abandon();
    throw;
  }
  require_done(driver().synchronise(stream_));
  if (segment.can_refuse) {
    const kernels::cuda::Fault fault = driver().fault(stream_);
    if (fault.any) step = size_t(fault.step), fail_for(fault);
  }
  for (size_t s = segment.first; s < segment.last; ++s) empty_staging(plan, s, contexts[s]);
  segment.has_run = true;
  return segment.last;
}

double DeviceFrame::timed(const Plan& plan, size_t s, RunContext& c) {
  for (kernels::cuda::Event** event : {&begin_, &end_})
    if (!*event) require_done(driver().make_event(device_->index(), event));
  fill_staging(plan, s, c);
  bool can_refuse = false;
  try {
    require_done(driver().record(begin_, stream_));
    driver().watch(stream_, int(s));
    if (is_placed(s)) enqueue_copy(plan, s, c);
    else plan.steps[s].run(c);
    require_done(driver().record(end_, stream_));
    require_done(driver().fetch_fault(stream_, &can_refuse));
  } catch (...) {
    abandon();
    throw;
  }
  require_done(driver().synchronise(stream_));
  if (can_refuse)
    if (const kernels::cuda::Fault fault = driver().fault(stream_); fault.any) fail_for(fault);
  empty_staging(plan, s, c);
  double seconds = 0;
  require_done(driver().elapsed(begin_, end_, &seconds));
  return seconds;
}
}  // namespace engine
