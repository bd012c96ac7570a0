// How an op's lower() asks a device's kernel families: with LowerContext::target, the step that it returns runs there.
#pragma once
#include "engine/device.h"
#include "engine/op.h"
#include "engine/plan.h"
#include "kernels/cuda/backend.h"

namespace engine {
// Where the step of a node is placed.
struct DeviceTarget {
  std::shared_ptr<Device> device;
  bool probe;  // only whether a kernel takes the node is asked: nothing is uploaded
  kernels::Precision precision = kernels::Precision::f32;
};

// Where a kernel finds an input on the device: what the run gives it, or a constant that was uploaded.
class DeviceInput {
 public:
  DeviceInput() = default;  // absent: null
  explicit DeviceInput(size_t input) : input_(int64_t(input)) {}
  explicit DeviceInput(std::shared_ptr<const std::byte> constant) : constant_(std::move(constant)) {}
  template <class T = float> const T* at(const RunContext& r) const {
    return reinterpret_cast<const T*>(input_ >= 0 ? r.in(size_t(input_)).data : constant_.get());
  }

 private:
  int64_t input_ = -1;
  std::shared_ptr<const std::byte> constant_;
};

// Input k as it is; one that is absent gives an absent source.
DeviceInput device_input(const LowerContext&, size_t k);
// A constant input in the form that a kernel reads; see packed_weight.
DeviceInput packed_device_input(const LowerContext&, size_t k, const std::string& packing, size_t bytes, const std::function<void(std::byte*)>& pack);
// Numbers that a kernel reads beside its inputs.
DeviceInput device_table(const LowerContext&, std::span<const std::byte> numbers);

// Where output k is; null: nobody wants it.
template <class T = float> T* out_at(const RunContext& r, size_t k = 0) { return r.wants(k) ? reinterpret_cast<T*>(r.out(k).data) : nullptr; }

// The cheapest row that takes the problem, ready to run; or null.
template <class Problem, class Args>
const kernels::cuda::Row<Problem, Args>* row_for(const LowerContext& c, kernels::cuda::Family<Problem, Args> kernels::cuda::Backend::*family, const Problem& problem) {
  const Device& device = *c.target->device;
  std::vector<const kernels::cuda::Row<Problem, Args>*> failed;
  for (;;) {
    const auto* row = kernels::cuda::select(device.backend().*family, problem, device.sm(), std::span<const kernels::cuda::Row<Problem, Args>* const>(failed));
    if (!row || c.target->probe || !row->prepare) return row;
    const char* failure = row->prepare(problem, device.sm());
    if (!failure) return row;
    if (auto* log = kernels::RefusalLog::current) log->push_back({row->name, failure});
    failed.push_back(row);
  }
}

// The step of the cheapest row that takes the problem. `arguments(run)` gives the row's arguments.
template <class Problem, class Args, class F>
std::optional<Lowered> lower_on_device(const LowerContext& c, kernels::cuda::Family<Problem, Args> kernels::cuda::Backend::*family,
                                       const Problem& problem, F arguments) {
  const auto* row = row_for(c, family, problem);
  if (!row) return std::nullopt;
  return Lowered{row->name, [row, problem, arguments = std::move(arguments)](RunContext& r) { require_done(row->run(problem, arguments(r), r.stream_)); },
                 row->scratch ? row->scratch(problem) : 0};
}

// Of input 0 alone.
template <class Problem> std::optional<Lowered> lower_map_on_device(const LowerContext& c, kernels::cuda::Family<Problem, kernels::cuda::MapArgs> kernels::cuda::Backend::*family, const Problem& problem) {
  return lower_on_device(c, family, problem, [x = device_input(c, 0)](RunContext& r) { return kernels::cuda::MapArgs{x.at<void>(r), out_at<void>(r)}; });
}
}  // namespace engine
