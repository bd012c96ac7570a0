#include "engine/device_lowering.h"
#include "engine/ops/doubles.h"
#include "engine/ops/spatial.h"
#include "engine/plan.h"
#include "kernels/conv_transpose/conv_transpose.h"

namespace engine {
namespace {
using schema::ConvTransposeLast;

Types infer(const ConvTransposeLast& op, const InferContext& in) {
  in.expect_inputs(2, 3);
  in.expect_class(0, schema::DTypeClass::real);
  in.expect_same_dtype(0, 1);
  if (in.has(2)) in.expect_same_dtype(0, 2);
  const Type &x = in.in(0), &w = in.in(1);
  check(op.groups >= 1 && op.groups <= INT32_MAX, "groups is ", op.groups);
  const auto rank4 = [](const Type& t) { return !t.ranked || t.rank() == 4; };
  check(rank4(x) && rank4(w), "x and w must have rank 4");
  check(op.output_shape.size() == 2, "the output has ", op.output_shape.size(), " spatial dims where 2 are needed");
  for (int64_t extent : op.output_shape) check(extent >= 0 && extent <= INT32_MAX, "extent ", extent, " is out of range");
  const Dims xs = x.ranked ? x.dims : Dims(4, Dim::unknown()), ws = w.ranked ? w.dims : Dims(4, Dim::unknown());
  check(may_equal(xs[3], ws[0]), "x has ", xs[3].text(), " channels, w takes ", ws[0].text());
  check(!ws[0].known() || ws[0].value() % op.groups == 0, ws[0].text(), " channels do not divide into ", op.groups, " groups");
  const Dim features = ws[1] * op.groups;
  if (in.has(2) && in.in(2).ranked)
    check(in.in(2).rank() == 1 && may_equal(in.in(2).dims[0], features), "the bias is ", in.in(2), " for ",
          features.text(), " channels");
  windows(op, 2);
  for (size_t d = 2; d < 4; ++d) check_kernel(ws[d]);
  return {Type::tensor(x.dtype, Dims{xs[0], op.output_shape[0], op.output_shape[1], features})};
}

// The places (input, tap) that fall on output o.
template <class F> void for_places(const Window& w, int64_t o, int64_t in, int64_t kernel, F&& f) {
  for (int64_t k = 0; k < kernel; ++k) {
    const int64_t at = o + w.begin - k * w.dilation;
    if (at >= 0 && at % w.stride == 0 && at / w.stride < in) f(at / w.stride, k);
  }
}

void reference(const ConvTransposeLast& op, RunContext& c) {
  const View& y = c.out(0);
  const auto xs = c.in(0).shape, ws = c.in(1).shape, ys = std::span<const int64_t>(y.shape);
  const Scratch<double> x = to_doubles(c.in(0)), w = to_doubles(c.in(1)), bias = c.has(2) ? to_doubles(c.in(2)) : Scratch<double>();
  const auto spatial = windows(op, 2);
  const int64_t channels = xs[3] / op.groups, features = ws[1], taps = ws[2] * ws[3];
  Scratch<double> sum(static_cast<size_t>(ys[3]));
  for (int64_t n = 0; n < ys[0]; ++n)
    for (int64_t i = 0; i < ys[1]; ++i)
      for (int64_t j = 0; j < ys[2]; ++j) {
        if (bias.empty()) std::ranges::fill(sum, 0);
        else std::ranges::copy(bias, sum.begin());
        for_places(spatial[0], i, xs[1], ws[2], [&](int64_t h, int64_t r) {
          for_places(spatial[1], j, xs[2], ws[3], [&](int64_t col, int64_t s) {
            const double* from = x.data() + ((n * xs[1] + h) * xs[2] + col) * xs[3];
            for (int64_t ch = 0; ch < xs[3]; ++ch)
              for (int64_t k = 0; k < features; ++k) sum[ch / channels * features + k] += from[ch] * w[(ch * features + k) * taps + r * ws[3] + s];
          });
        });
        store_doubles(y, ((n * ys[1] + i) * ys[2] + j) * ys[3], sum);
      }
}

std::optional<Lowered> lower_on_device(const kernels::conv_transpose::Spec& s, int64_t batch, const LowerContext& c) {
  const kernels::cuda::ConvTransposeProblem problem{batch, s.height, s.width, s.channels, s.out_height, s.out_width, s.out_channels, s.kernel_h, s.kernel_w,
                                                    s.stride_h, s.stride_w, s.dilation_h, s.dilation_w, s.pad_top, s.pad_left};
  const Constant& w = *c.constant(1);
  const auto packed = packed_device_input(c, 1, cat("conv_transpose ", to_text(w.shape)), size_t(w.bytes()), [&](std::byte* to) {
    const auto* from = reinterpret_cast<const float*>(w.data);
    const int64_t taps = int64_t(s.kernel_h) * s.kernel_w, columns = s.channels * s.out_channels;
    for (int64_t i = 0; i < columns * taps; ++i) reinterpret_cast<float*>(to)[i % taps * columns + i / taps] = from[i];
  });
  return engine::lower_on_device(c, &kernels::cuda::Backend::conv_transpose, problem, [x = device_input(c, 0), packed, bias = device_input(c, 2)](RunContext& r) {
    return kernels::cuda::ConvTransposeArgs{x.at(r), packed.at(r), bias.at(r), out_at(r)};
  });
}

std::optional<Lowered> lower(const ConvTransposeLast& op, const LowerContext& c) {
  const Constant* w = c.constant(1);
  if (!w || c.in(0).dtype != DType::f32 || op.groups != 1) return std::nullopt;
  const Shape x = c.in(0).shape(), y = c.out(0).shape();
  const auto spatial = windows(op, 2);
  constexpr int64_t most = 1 << 20;  // kernels count in ints
  for (size_t d = 0; d < 2; ++d)
    for (int64_t v : {spatial[d].stride, spatial[d].dilation, spatial[d].begin, w->shape[d + 2]})
      if (v > most) return std::nullopt;
  kernels::conv_transpose::Spec spec;
  spec.channels = x[3], spec.out_channels = y[3], spec.isa = c.isa;
  spec.height = x[1], spec.width = x[2], spec.out_height = y[1], spec.out_width = y[2];
  spec.kernel_h = int(w->shape[2]), spec.kernel_w = int(w->shape[3]);
  spec.stride_h = int(spatial[0].stride), spec.stride_w = int(spatial[1].stride);
  spec.dilation_h = int(spatial[0].dilation), spec.dilation_w = int(spatial[1].dilation);
  spec.pad_top = int(spatial[0].begin), spec.pad_left = int(spatial[1].begin);
  if (c.target) return lower_on_device(spec, x[0], c);
  auto choice = kernels::conv_transpose::select(spec);
  if (!choice) return std::nullopt;
  const std::string packing = cat(choice.name, ' ', to_text(w->shape), " isa", spec.isa, " x", to_text(x), " y", to_text(y), " stride",
                                  spec.stride_h, ' ', spec.stride_w, " dilation", spec.dilation_h, ' ', spec.dilation_w, " pad", spec.pad_top, ' ', spec.pad_left);
  auto packed = packed_weight(c, {w}, packing, choice.kernel->packed_bytes(),
                              [kernel = choice.kernel, from = w->data](std::byte* to) { kernel->pack(reinterpret_cast<const float*>(from), to); });
  return Lowered{choice.name, [kernel = choice.kernel, packed, batch = x[0]](RunContext& r) {
    const auto f32 = [](const ConstView& v) { return reinterpret_cast<const float*>(v.data); };
    kernel->run({f32(r.in(0)), packed.get(), r.has(2) ? f32(r.in(2)) : nullptr, reinterpret_cast<float*>(r.out(0).data), batch, r.scratch()}, r.pool(), r.threads());
  }, int64_t(choice.kernel->scratch_bytes())};
}

double flops(const ConvTransposeLast&, std::span<const Type> in, std::span<const Type>) {
  if (!in[0].determined() || !in[1].determined() || in[1].dims[0] == Dim(0)) return 0;
  return 2.0 * double(elements(in[0].shape())) * double(elements(in[1].shape())) / double(in[1].dims[0].value());
}
}  // namespace

const OpDef<ConvTransposeLast>& def(const ConvTransposeLast&) {
  static constexpr OpDef<ConvTransposeLast> def{.infer = infer, .reference = reference, .lower = lower, .on_device = true, .flops = flops};
  return def;
}
}  // namespace engine
