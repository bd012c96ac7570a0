#include <algorithm>
#include "engine/device_lowering.h"
#include "engine/ops/floats.h"
#include "engine/ops/spatial.h"

namespace engine {
namespace {
using schema::CausalConvWithState;

Types infer(const CausalConvWithState&, const InferContext& in) {
  in.expect_inputs(2, 4);
  in.expect_dtype(0, {DType::f32, DType::f16, DType::bf16});
  for (size_t k = 1; k < 4; ++k)
    if (in.has(k)) in.expect_same_dtype(0, k);
  check(in.outputs() <= 2, "has 2 outputs");
  Dims x = in.expect_rank(0, 3);
  const Dims w = in.expect_rank(1, 3);
  check(may_equal(w[1], 1), "the weights ", in.in(1), " are not of one channel each");
  check_kernel(w[2]);
  meet(x[1], w[0], "the number of channels");
  if (in.has(2)) meet(x[1], in.expect_rank(2, 1)[0], "the number of channels");
  Dim past = w[2] - 1;
  if (in.has(3)) {
    const Dims state = in.expect_rank(3, 3);
    meet(x[0], state[0], "batch"), meet(x[1], state[1], "the number of channels"),
        meet(past, state[2], "the past's length");
  }
  Types types{Type::tensor(in.in(0).dtype, x), Type::tensor(in.in(0).dtype, {x[0], x[1], past})};
  types.resize(in.outputs());
  return types;
}

void reference(const CausalConvWithState&, RunContext& c) {
  const int64_t batch = c.in(0).shape[0], channels = c.in(0).shape[1], length = c.in(0).shape[2],
                taps = c.in(1).shape[2], past = taps - 1;
  check_kernel(taps);
  c.expect_shape(1, {channels, 1, taps});
  if (c.has(2)) c.expect_shape(2, {channels});
  if (c.has(3)) c.expect_shape(3, {batch, channels, past});
  if (batch * channels == 0) return;
  const Floats x(c.in(0)), w(c.in(1));
  std::optional<Floats> bias, before;
  if (c.has(2)) bias.emplace(c.in(2));
  if (c.has(3)) before.emplace(c.in(3));
  std::optional<FloatsOut> y, present;
  if (c.wants(0)) y.emplace(c.out(0));
  if (c.wants(1)) present.emplace(c.out(1));
  float* const row = c.workspace<float>(size_t(past + length)).data();
  for (int64_t r = 0; r < batch * channels; ++r) {
    if (before) std::copy_n(before->data() + r * past, past, row);
    else std::fill_n(row, past, 0.0f);
    std::copy_n(x.data() + r * length, length, row + past);
    if (present) std::copy_n(row + length, past, present->data() + r * past);
    if (!y) continue;
    const int64_t channel = r % channels;
    float* __restrict const to = y->data() + r * length;
    std::fill_n(to, length, bias ? bias->data()[channel] : 0.0f);
    for (int64_t tap = 0; tap < taps; ++tap) {
      const float weight = w.data()[channel * taps + tap];
      const float* __restrict const from = row + tap;
      for (int64_t i = 0; i < length; ++i) to[i] += weight * from[i];
    }
  }
  if (y) y->store();
  if (present) present->store();
}

std::optional<Lowered> lower(const CausalConvWithState&, const LowerContext& c) {
  if (!c.target || c.in(0).dtype != DType::f32) return std::nullopt;
  const Shape x = c.in(0).shape();
  const kernels::cuda::CausalConvProblem problem{x[0], x[1], x[2], c.in(1).shape()[2]};
  return lower_on_device(c, &kernels::cuda::Backend::causal_conv, problem,
                         [x = device_input(c, 0), w = device_input(c, 1), bias = device_input(c, 2),
                          past = device_input(c, 3)](RunContext& r) {
                           return kernels::cuda::CausalConvArgs{x.at(r),    w.at(r),   bias.at(r),
                                                                past.at(r), out_at(r), out_at(r, 1)};
                         });
}

double flops(const CausalConvWithState&, std::span<const Type> in, std::span<const Type>) {
  return in[0].determined() && in[1].determined()
             ? 2.0 * double(elements(in[0].shape())) * double(in[1].dims[2].value())
             : 0;
}
}  // namespace

const OpDef<CausalConvWithState>& def(const CausalConvWithState&) {
  static constexpr OpDef<CausalConvWithState> def{
      .infer = infer, .reference = reference, .lower = lower, .on_device = true, .flops = flops};
  return def;
}
}  // namespace engine
