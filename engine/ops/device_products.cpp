// Products and convolutions on a device.
#include "engine/ops/lowering.h"
#include "engine/ops/strides.h"

namespace engine {
using kernels::Precision, kernels::cuda::GemmProblem;

namespace {

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

// How operands that are rounded ahead lie in memory: TF32 as f32.
size_t bytes_as(Precision p) { return p == Precision::f16 || p == Precision::bf16 ? 2 : 4; }
void store_as(Precision p, std::byte* to, int64_t i, float x) {
  if (bytes_as(p) == 4) reinterpret_cast<float*>(to)[i] = x;
  else reinterpret_cast<uint16_t*>(to)[i] = uint16_t(encode(p == Precision::f16 ? f16_format : bf16_format, double(x), true));
}

// A constant B that is rounded, along k: which kernels for such operands want. Changes the problem to say so.
DeviceInput weights_of(GemmProblem& p, const LowerContext& c) {
  const Constant* b = c.constant(1);
  if (!b || p.precision == Precision::f32) return device_input(c, 1);
  constexpr int64_t vector = 8;
  const Precision as = p.k % vector == 0 && p.lda % vector == 0 && !p.trans_a ? p.precision : Precision::tf32;
  const bool transposed = p.trans_b;
  const int64_t n = p.n, k = p.k;
  p.trans_b = true, p.ldb = k, p.half_b = bytes_as(as) == 2;
  return packed_device_input(c, 1, cat("gemm ", transposed, ' ', n, " as ", int(as)), size_t(n * k) * bytes_as(as), [&](std::byte* to) {
    const auto* from = reinterpret_cast<const float*>(b->data);
    for (int64_t i = 0; i < n * k; ++i) store_as(as, to, i, transposed ? from[i] : from[i % k * n + i / k]);
  });
}
}  // namespace

std::optional<Lowered> lower_mat_mul_on_device(const schema::MatMul& op, const LowerContext& c, const Chained& epilogue) {
  if (!inputs_are_f32(c)) return std::nullopt;
  Shape a = c.in(0).shape(), b = c.in(1).shape(), y = c.out(0).shape();
  if (a.empty() || b.empty() || elements(y) == 0) return std::nullopt;
  const bool row = a.size() == 1, column = b.size() == 1;  // vectors are matrices of one row or column
  if ((row && op.trans_a) || (column && (op.trans_b || !epilogue.chain.empty()))) return std::nullopt;
  if (column) b.push_back(1), y.push_back(1);
  if (row) a.insert(a.begin(), 1), y.insert(y.end() - 1, 1);
  GemmProblem p;
  p.trans_a = op.trans_a, p.trans_b = op.trans_b;
  p.lda = a.back(), p.ldb = b.back(), p.n = p.ldc = y.back();
  p.k = op.trans_a ? a[a.size() - 2] : a.back();
  p.chain = epilogue.chain, p.precision = c.target->precision;
  p.kept = epilogue.kept_between(c.kept_in(0), c.kept_out());
  if (c.kept_in(1) != DType::f32) return std::nullopt;
  if (b.size() == 2 && !op.trans_a) {  // all leading dims of A are rows
    p.m = elements(y) / p.n;
  } else {
    p.m = y[y.size() - 2];
    if (!epilogue.chain.empty() || !set_batch(p, a, b, y)) return std::nullopt;
  }
  const DeviceInput weights = b.size() == 2 ? weights_of(p, c) : device_input(c, 1);
  return lower_on_device(c, &kernels::cuda::Backend::gemm, p, [a = device_input(c, 0), weights, epilogue](RunContext& r) {
    return kernels::cuda::GemmArgs{a.at<void>(r), weights.at<void>(r), out_at<void>(r), epilogue.operands_on_device(r), r.scratch()};
  });
}

std::optional<Lowered> lower_conv_last_on_device(const schema::ConvLast& op, const LowerContext& c, const Chained& epilogue) {
  const auto spec = conv_spec(op, c, epilogue.chain);
  if (!spec) return std::nullopt;
  const Shape x = c.in(0).shape();
  // Kernels that round operands read weights of another order; where another kernel is faster, nothing is rounded.
  kernels::cuda::ConvProblem problem{*spec, x[0], x[op.planar_input ? 2 : 1]};
  problem.kept = epilogue.kept_between(c.kept_in(0), c.kept_out());
  auto rounded = problem;
  const auto* row = row_for(c, &kernels::cuda::Backend::conv, problem);
  if (const Precision precision = c.target->precision; precision != Precision::f32) {
    rounded.precision = rounded.weights = precision;
    const auto* other = row_for(c, &kernels::cuda::Backend::conv, rounded);
    if (other && (!row || other->cost(rounded) < row->cost(problem))) problem = rounded;
  }
  const Constant* weights = c.constant(1);
  const size_t count = size_t(weights->bytes()) / sizeof(float);
  const auto packed = packed_device_input(c, 1, cat("conv ", to_text(weights->shape), " groups", op.groups, " as ", int(problem.weights)), count * bytes_as(problem.weights), [&](std::byte* to) {
    const auto* from = reinterpret_cast<const float*>(weights->data);
    if (problem.weights == Precision::f32) return kernels::cuda::pack_weights(*spec, from, reinterpret_cast<float*>(to));
    const int64_t taps = int64_t(spec->kernel_h) * spec->kernel_w, in = spec->channels / spec->groups;
    for (int64_t out = 0, i = 0; out < spec->out_channels; ++out)
      for (int64_t tap = 0; tap < taps; ++tap)
        for (int64_t channel = 0; channel < in; ++channel) store_as(problem.weights, to, i++, from[(out * in + channel) * taps + tap]);
  });
  return lower_on_device(c, &kernels::cuda::Backend::conv, problem, [x = device_input(c, 0), packed, bias = device_input(c, 2), epilogue](RunContext& r) {
    return kernels::cuda::ConvArgs{x.at<void>(r), packed.at<void>(r), bias.at(r), out_at<void>(r), epilogue.operands_on_device(r), r.scratch()};
  });
}
}  // namespace engine
