#include "engine/ops/lowering.h"
#include <algorithm>
#include "engine/plan.h"
#include "kernels/conv/conv.h"
#include "kernels/gemm/gemm.h"

namespace engine {
namespace {
namespace gemm = kernels::gemm;
namespace conv = kernels::conv;

// Element offsets of each matrix of a batch in one operand, whose leading dims are broadcast to `batch`.
std::vector<int64_t> batch_offsets(const Shape& operand, const Shape& batch, int64_t matrix) {
  std::vector<int64_t> offsets{0};
  const size_t lead = operand.size() - 2;
  int64_t stride = matrix;
  std::vector<int64_t> strides(batch.size(), 0);
  for (size_t i = 0; i < lead; ++i) {
    const size_t from = lead - 1 - i, to = batch.size() - 1 - i;
    strides[to] = operand[from] == 1 ? 0 : stride;
    stride *= operand[from];
  }
  for (size_t i = 0; i < batch.size(); ++i) {
    std::vector<int64_t> next;
    for (int64_t offset : offsets)
      for (int64_t j = 0; j < batch[i]; ++j) next.push_back(offset + j * strides[i]);
    offsets = std::move(next);
  }
  return offsets;
}
}  // namespace

bool inputs_are_f32(const LowerContext& c) {
  for (size_t k = 0; k < c.node.inputs.size(); ++k)
    if (c.has(k) && c.in(k).dtype != DType::f32) return false;
  return true;
}

std::optional<Lowered> lower_mat_mul(const schema::MatMul& op, const LowerContext& c, const Chained& epilogue) {
  if (!inputs_are_f32(c)) return std::nullopt;
  if (c.target) return lower_mat_mul_on_device(op, c, epilogue);
  if (op.trans_a) return std::nullopt;
  const Shape a = c.in(0).shape(), b = c.in(1).shape(), y = c.out(0).shape();
  if (a.size() < 2 || b.size() < 2) return std::nullopt;
  const int64_t k = a.back(), n = y.back(), b_stride = b.back();
  const Constant* weight = c.constant(1);
  const bool packed = weight && b.size() == 2;
  if (!packed && !epilogue.chain.empty()) return std::nullopt;
  const int64_t rows = packed ? elements(y) / std::max<int64_t>(n, 1) : a[a.size() - 2];  // also where k is 0
  // A large matrix that one row meets is read as fast where it lies, and packing it would take as long as several runs.
  // Plans for more rows do pack it, and one copy is enough.
  constexpr int64_t large = 4 << 20;
  gemm::Spec spec{n, k, packed ? gemm::B::packed : gemm::B::dynamic, op.trans_b, false, epilogue.chain, rows};
  if (!op.exact) spec.precision = c.precision;
  spec.kept = epilogue.kept_between(c.kept_in(0), c.kept_out());
  spec.in_place = packed && c.alone && rows == 1 && largest_bytes(c.in(1)) >= large;
  auto choice = c.kept_in(1) == DType::f32 ? gemm::select(spec, c.isa) : gemm::Choice();
  if (!choice) return std::nullopt;
  const int64_t lda = c.in_pitch(0) ? c.in_pitch(0) : k, ldc = c.out_pitch() ? c.out_pitch() : n;
  if (spec.in_place && choice.kernel->packed_bytes() == 0)
    return Lowered{choice.name, [kernel = choice.kernel, w = c.graph[c.node.inputs[1]].constant, b_stride, lda, ldc,
                                 epilogue](RunContext& r) {
                     const auto operands = epilogue.operands(r);
                     kernel->run({.a = f32(r.in(0)),
                                  .lda = lda,
                                  .b = w->data,
                                  .ldb = b_stride,
                                  .c = f32(r.out(0)),
                                  .ldc = ldc,
                                  .operands = operands.data(),
                                  .m = 1},
                                 r.pool(), r.threads());
                   }};
  if (packed) {  // all leading dims of A are rows
    auto w = packed_weight(
        c, {weight},
        cat(choice.name, " n", n, " k", k, " t", op.trans_b, " v", kernels::tile::PanelPreference::current),
        choice.kernel->packed_bytes(), [kernel = choice.kernel, from = weight->data, b_stride](std::byte* to) {
          kernel->pack_b(reinterpret_cast<const float*>(from), b_stride, to);
        });
    return Lowered{choice.name, [kernel = choice.kernel, w, m = rows, lda, ldc, epilogue](RunContext& r) {
      const auto operands = epilogue.operands(r);
      kernel->run({.a = f32(r.in(0)), .lda = lda, .b = w.get(), .c = f32(r.out(0)), .ldc = ldc, .operands = operands.data(), .m = m, .scratch = r.scratch()},
                  r.pool(), r.threads());
    }, int64_t(choice.kernel->scratch_bytes(rows))};
  }
  const int64_t m = rows;
  const Shape batch(y.begin(), y.end() - 2);
  if (elements(y) == 0) return std::nullopt;
  Charge offsets(elements(batch) * int64_t(2 * sizeof(int64_t)));
  const auto from_a = batch_offsets(a, batch, m * k), from_b = batch_offsets(b, batch, k * n);
  return Lowered{choice.name, [kernel = choice.kernel, from_a, from_b, m, k, n, b_stride, offsets = std::move(offsets)](RunContext& r) {
    for (size_t i = 0; i < from_a.size(); ++i)
      kernel->run({.a = f32(r.in(0)) + from_a[i], .lda = k, .b = f32(r.in(1)) + from_b[i], .ldb = b_stride,
                   .c = f32(r.out(0)) + int64_t(i) * m * n, .ldc = n, .m = m, .scratch = r.scratch()}, r.pool(), r.threads());
  }, int64_t(choice.kernel->scratch_bytes(m))};
}

std::optional<kernels::conv::Spec> conv_spec(const schema::ConvLast& op, const LowerContext& c, const kernels::pointwise::Chain& epilogue) {
  const Constant* w = c.constant(1);
  if (!w || !inputs_are_f32(c)) return std::nullopt;
  const Shape x = c.in(0).shape();
  // Kernels add positions up in ints: a stride, a padding or a reach near their limit is left to the reference.
  constexpr int64_t most = 1 << 20;
  const auto far = [](int64_t v) { return v > most; };
  if (std::ranges::any_of(op.stride, far) || std::ranges::any_of(op.pad, far)) return std::nullopt;
  for (size_t d = 0; d < 2; ++d)
    if (op.dilation[d] > most || w->shape[d + 2] > most || (w->shape[d + 2] - 1) * op.dilation[d] > most) return std::nullopt;
  conv::Spec spec;
  spec.channels = x[op.planar_input ? 1 : 3], spec.width = x[op.planar_input ? 3 : 2];
  spec.out_channels = w->shape[0], spec.groups = op.groups;
  spec.kernel_h = int(w->shape[2]), spec.kernel_w = int(w->shape[3]);
  spec.stride_h = int(op.stride[0]), spec.stride_w = int(op.stride[1]);
  spec.dilation_h = int(op.dilation[0]), spec.dilation_w = int(op.dilation[1]);
  spec.pad_top = int(op.pad[0]), spec.pad_left = int(op.pad[1]), spec.pad_bottom = int(op.pad[2]), spec.pad_right = int(op.pad[3]);
  spec.nchw_input = op.planar_input;
  spec.bias = c.has(2);
  spec.strict = c.strict || op.exact;
  if (!op.exact) spec.precision = c.precision;
  spec.epilogue = epilogue;
  spec.x_pitch = c.in_pitch(0), spec.y_pitch = c.out_pitch();
  return spec;
}

std::optional<PreparedConv> prepare_conv(const schema::ConvLast& op, const LowerContext& c, const Chained& epilogue, bool by_rows) {
  auto given = conv_spec(op, c, epilogue.chain);
  if (!given) return std::nullopt;
  conv::Spec& spec = *given;
  spec.kept = epilogue.kept_between(c.kept_in(0), c.kept_out());
  spec.by_rows = by_rows;
  const Constant* w = c.constant(1);
  const Shape x = c.in(0).shape();
  int64_t height = x[op.planar_input ? 2 : 1];
  if (spec.width == 1 && spec.kernel_w == 1 && spec.pad_left == 0 && spec.pad_right == 0 && !by_rows) {
    // One column is one row of as many pixels, which tiles take side by side.
    spec.width = std::exchange(height, 1), spec.kernel_w = std::exchange(spec.kernel_h, 1), spec.stride_w = std::exchange(spec.stride_h, 1);
    spec.dilation_w = std::exchange(spec.dilation_h, 1), spec.pad_left = std::exchange(spec.pad_top, 0), spec.pad_right = std::exchange(spec.pad_bottom, 0);
  }
  if (!by_rows) spec.rows = x[0] * spec.out_height(height);
  auto choice = conv::select(spec, c.isa);
  if (!choice) return std::nullopt;
  const std::string packing = cat(choice.name, ' ', to_text(w->shape), " groups", op.groups, " planar", op.planar_input, " width", spec.width, " pitch", spec.in_pitch(),
                                  " stride", to_text(op.stride), " dilation", to_text(op.dilation), " pad", to_text(op.pad), " rows", by_rows, " v", kernels::tile::PanelPreference::current);
  auto packed = packed_weight(c, {w}, packing, choice.kernel->packed_bytes(),
                              [kernel = choice.kernel, from = w->data](std::byte* to) { kernel->pack(reinterpret_cast<const float*>(from), to); });
  return PreparedConv{spec, choice.name, choice.kernel, packed, x[0], height};
}

std::optional<Lowered> lower_conv_last(const schema::ConvLast& op, const LowerContext& c, const Chained& epilogue) {
  if (c.target) return lower_conv_last_on_device(op, c, epilogue);
  const auto conv = prepare_conv(op, c, epilogue);
  if (!conv) return std::nullopt;
  return Lowered{conv->name, [kernel = conv->kernel, packed = conv->packed, batch = conv->batch, height = conv->height, bias = conv->spec.bias, epilogue](RunContext& r) {
    const auto operands = epilogue.operands(r);
    kernel->run({.x = f32(r.in(0)), .w = packed.get(), .bias = bias ? f32(r.in(2)) : nullptr, .y = f32(r.out(0)), .operands = operands.data(),
                 .batch = batch, .height = height,
                 .scratch = r.scratch()},
                r.pool(), r.threads());
  }, int64_t(conv->kernel->scratch_bytes(conv->batch, conv->height))};
}

std::optional<Lowered> lower_mat_mul(const schema::MatMul& op, const LowerContext& c) { return lower_mat_mul(op, c, {}); }
std::optional<Lowered> lower_conv_last(const schema::ConvLast& op, const LowerContext& c) { return lower_conv_last(op, c, {}); }
}  // namespace engine
