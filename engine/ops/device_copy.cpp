#include <algorithm>
#include "engine/device_lowering.h"

namespace engine {
namespace {
using schema::DeviceCopy;

Types infer(const DeviceCopy&, const InferContext& in) {
  in.expect_inputs(1, 1);
  in.expect_tensor(0);
  return {in.in(0)};
}

void reference(const DeviceCopy&, RunContext& c) { c.set_out(0, c.in(0)); }

// Between pinned memory, which is the step's scratch, and the device.
std::optional<Lowered> lower(const DeviceCopy& op, const LowerContext& c) {
  if (!c.target) return std::nullopt;
  const auto bytes = size_t(bytes_of(c.in(0).dtype, c.in(0).shape()));
  const kernels::cuda::Driver& driver = c.target->device->driver();
  if (op.to_device) return Lowered{"upload", [bytes, &driver](RunContext& r) { require_done(bytes ? driver.upload(r.stream_, r.out(0).data, r.scratch_, bytes) : nullptr); }};
  return Lowered{"download", [bytes, &driver](RunContext& r) { require_done(bytes ? driver.download(r.stream_, r.scratch_, r.in(0).data, bytes) : nullptr); }};
}
double flops(const DeviceCopy&, std::span<const Type>, std::span<const Type>) { return 0; }
}  // namespace

const OpDef<DeviceCopy>& def(const DeviceCopy&) {
  static constexpr OpDef<DeviceCopy> def{.infer = infer, .reference = reference, .lower = lower, .on_device = true, .flops = flops};
  return def;
}
}  // namespace engine
