#include <algorithm>
#include "engine/device_lowering.h"
#include "engine/ops/strides.h"
#include "engine/plan.h"
#include "kernels/gemm_narrow/gemm_narrow.h"

namespace engine {
namespace {
using schema::NarrowMatMul;
enum : size_t { scale = 2, zero };

Types infer(const NarrowMatMul& op, const InferContext& in) {
  in.expect_inputs(2, 4);
  in.expect_dtype(0, {DType::f32});
  in.expect_dtype(1, {DType::u4, DType::u8, DType::bf16});
  const bool scaled = in.in(1).dtype != DType::bf16;
  check(scaled ? op.block_size >= 2 && op.block_size % 2 == 0 && op.block_size < limits::extent : op.block_size == 0, "blocks of ", op.block_size, " elements of ",
        name(in.in(1).dtype));
  check(in.has(scale) == scaled && (scaled || !in.has(zero)), "integers have a scale, and bfloat16 has none");
  const Dims w = in.expect_rank(1, 2);
  Dim k = Dim::unknown();
  if (in.in(0).ranked) {
    check(in.in(0).rank() >= 1, "a is a scalar");
    k = in.in(0).dims.back();
  }
  const auto fits = [&](size_t i, DType dtype, const Dim& blocks) {
    in.expect_dtype(i, {dtype});
    const Dims d = in.expect_rank(i, 2);
    check(may_equal(d[0], w[0]) && may_equal(d[1], blocks), "input ", i, " is ", in.in(i), " for w ", in.in(1),
          " in blocks of ", op.block_size);
  };
  if (k.known() && w[1].known()) {
    const int64_t blocks = scaled ? (k.value() + op.block_size - 1) / op.block_size : 0;
    check(w[1] == k || (scaled && w[1].value() == blocks * op.block_size), "a is ", in.in(0), " and w ", in.in(1));
    if (in.has(scale)) fits(scale, DType::f32, blocks);
    if (in.has(zero)) fits(zero, in.in(1).dtype, blocks);
  } else {
    if (in.has(scale)) fits(scale, DType::f32, Dim::unknown());
    if (in.has(zero)) fits(zero, in.in(1).dtype, Dim::unknown());
  }
  if (!in.in(0).ranked) return {Type::unranked(DType::f32)};
  Dims y = in.in(0).dims;
  y.back() = w[0];
  return {Type::tensor(DType::f32, y)};
}

void reference(const NarrowMatMul& op, RunContext& c) {
  const ConstView &a = c.in(0), &w = c.in(1);
  const int64_t k = a.shape.back(), n = w.shape[0], m = k ? a.elements() / k : 0, blocks = op.block_size ? c.in(scale).shape[1] : 0;
  for (int64_t j = 0; j < n; ++j)
    for (int64_t i = 0; i < m; ++i) {
      double sum = 0;
      for (int64_t x = 0; x < k; ++x) {
        const int64_t at = j * w.shape[1] + x;
        double v;
        if (!op.block_size) {
          v = load<double>(w, at);
        } else {
          const int64_t block = j * blocks + x / op.block_size;
          v = double(load<Int>(w, at).v - (c.has(zero) ? load<Int>(c.in(zero), block).v : 0)) * load<double>(c.in(scale), block);
        }
        sum += load<double>(a, i * k + x) * v;
      }
      store(c.out(0), i * n + j, sum);
    }
}

std::optional<Lowered> lower_on_device(const NarrowMatMul& op, const LowerContext& c) {
  const Shape a = c.in(0).shape(), w = c.in(1).shape();
  if (a.back() == 0) return std::nullopt;
  kernels::cuda::GemmNarrowProblem p{elements(a) / a.back(), w[0], a.back(), w[1], c.in(1).dtype, op.block_size};
  constexpr int64_t floats = 16 << 20;  // in scratch: enough columns to fill a device
  p.columns = std::max<int64_t>(floats / p.k / 128, 1) * 128, p.precision = c.target->precision;
  p.kept.x = c.kept_in(0), p.kept.y = c.kept_out();
  if (c.kept_in(scale) != DType::f32) return std::nullopt;
  return engine::lower_on_device(c, &kernels::cuda::Backend::gemm_narrow, p,
                                 [a = device_input(c, 0), w = device_input(c, 1), scales = device_input(c, scale),
                                  zeros = device_input(c, zero)](RunContext& r) {
                                   return kernels::cuda::GemmNarrowArgs{a.at<void>(r),   w.at<void>(r),
                                                                        scales.at(r),    zeros.at<void>(r),
                                                                        out_at<void>(r), r.scratch()};
                                 });
}

std::optional<Lowered> lower(const NarrowMatMul& op, const LowerContext& c) {
  if (c.target) return lower_on_device(op, c);
  const Constant *w = c.constant(1), *scales = c.constant(scale), *zeros = c.constant(zero);
  const Shape a = c.in(0).shape();
  if (!w || (op.block_size && !scales) || (c.has(zero) && !zeros) || a.back() == 0) return std::nullopt;
  const kernels::gemm_narrow::Spec spec{w->shape[0], a.back(), w->dtype, op.block_size};
  auto choice = kernels::gemm_narrow::select(spec, c.isa);
  if (!choice) return std::nullopt;
  std::vector<const Constant*> parts{w};
  for (const Constant* part : {scales, zeros})
    if (part) parts.push_back(part);
  auto packed = packed_weight(c, parts, cat(choice.name, " n", spec.n, " k", spec.k, " b", spec.block, " z", zeros != nullptr), choice.kernel.packed_bytes(),
                              [kernel = choice.kernel, w, scales, zeros](std::byte* to) {
    Scratch<uint8_t> bytes;
    for (int64_t i = 0; zeros && i < zeros->view().elements(); ++i) bytes.push_back(uint8_t(load<Int>(zeros->view(), i).v));
    kernel.pack(w->data, w->shape[1], scales ? reinterpret_cast<const float*>(scales->data) : nullptr, zeros ? bytes.data() : nullptr, to);
  }, Storable::no);
  const int64_t m = elements(a) / spec.k, scratch = int64_t(choice.kernel.scratch_bytes(m));
  return Lowered{choice.name, [kernel = std::move(choice.kernel), packed, m, k = spec.k, n = spec.n](RunContext& r) {
    kernel.run({.a = reinterpret_cast<const float*>(r.in(0).data), .lda = k, .b = packed.get(), .c = reinterpret_cast<float*>(r.out(0).data), .ldc = n, .m = m,
                .scratch = r.scratch()}, r.pool(), r.threads());
  }, scratch};
}

double flops(const NarrowMatMul&, std::span<const Type> in, std::span<const Type>) {
  if (!in[0].determined() || !in[1].determined()) return 0;
  return 2.0 * double(elements(in[0].shape())) * double(in[1].dims[0].value());
}
}  // namespace

const OpDef<NarrowMatMul>& def(const NarrowMatMul&) {
  static constexpr OpDef<NarrowMatMul> def{
      .infer = infer, .reference = reference, .lower = lower, .on_device = true, .keeps_half = true, .flops = flops};
  return def;
}
}  // namespace engine
