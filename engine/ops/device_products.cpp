// Products and convolutions on a device.
#include "engine/ops/lowering.h"
#include "engine/ops/strides.h"

namespace engine {
using kernels::cuda::GemmProblem;

namespace {
bool all_f32(const LowerContext& c) {
  for (size_t k = 0; k < c.node.inputs.size(); ++k)
    if (c.has(k) && c.in(k).dtype != DType::f32) return false;
  return true;
}

// The leading dims of both operands as a batch; false: there are too many.
bool set_batch(GemmProblem& p, const Shape& a, const Shape& b, const Shape& y) {
  const size_t lead = y.size() - 2;
  const Extents from_a = broadcast_strides(std::span(a).first(a.size() - 2), lead), from_b = broadcast_strides(std::span(b).first(b.size() - 2), lead);
  const Extents batch(std::span<const int64_t>(y).first(lead));
  const auto nest = Nest<3>{batch, {dense_strides(batch), from_a, from_b}}.merged();
  if (nest.extents.size() > std::size(p.batch)) return false;
  const int64_t matrix_a = a[a.size() - 1] * a[a.size() - 2], matrix_b = b[b.size() - 1] * b[b.size() - 2];
  for (size_t d = 0; d < nest.extents.size(); ++d) p.batch[d] = nest.extents[d], p.a_steps[d] = nest.strides[1][d] * matrix_a, p.b_steps[d] = nest.strides[2][d] * matrix_b;
  return true;
}
}  // namespace

std::optional<Lowered> lower_mat_mul_on_device(const schema::MatMul& op, const LowerContext& c, const Chained& epilogue) {
  if (!all_f32(c)) return std::nullopt;
  const Shape a = c.in(0).shape(), b = c.in(1).shape(), y = c.out(0).shape();
  if (a.size() < 2 || b.size() < 2 || elements(y) == 0) return std::nullopt;
  GemmProblem p;
  p.trans_a = op.trans_a, p.trans_b = op.trans_b;
  p.lda = a.back(), p.ldb = b.back(), p.n = p.ldc = y.back();
  p.k = op.trans_a ? a[a.size() - 2] : a.back();
  p.chain = epilogue.chain;
  if (b.size() == 2 && !op.trans_a) {  // all leading dims of A are rows
    p.m = elements(y) / p.n;
  } else {
    p.m = y[y.size() - 2];
    if (!epilogue.chain.empty() || !set_batch(p, a, b, y)) return std::nullopt;
  }
  return lower_on_device(c, &kernels::cuda::Backend::gemm, p, [a = device_input(c, 0), b = device_input(c, 1), epilogue](RunContext& r) {
    return kernels::cuda::GemmArgs{a.at(r), b.at(r), out_at(r), epilogue.operands_on_device(r)};
  });
}

std::optional<Lowered> lower_conv_last_on_device(const schema::ConvLast& op, const LowerContext& c, const Chained& epilogue) {
  const auto spec = conv_spec(op, c, epilogue.chain);
  if (!spec) return std::nullopt;
  const Shape x = c.in(0).shape();
  const kernels::cuda::ConvProblem problem{*spec, x[0], x[op.planar_input ? 2 : 1]};
  const Constant* weights = c.constant(1);
  const auto packed = packed_device_input(c, 1, cat("conv ", to_text(weights->shape), " groups", op.groups), size_t(weights->bytes()), [&](std::byte* to) {
    kernels::cuda::pack_weights(*spec, reinterpret_cast<const float*>(weights->data), reinterpret_cast<float*>(to));
  });
  return lower_on_device(c, &kernels::cuda::Backend::conv, problem, [x = device_input(c, 0), packed, bias = device_input(c, 2), epilogue](RunContext& r) {
    return kernels::cuda::ConvArgs{x.at(r), packed.at(r), bias.at(r), out_at(r), epilogue.operands_on_device(r)};
  });
}
}  // namespace engine
