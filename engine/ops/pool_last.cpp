#include "engine/ops/doubles.h"
#include "engine/ops/spatial.h"
#include "engine/device_lowering.h"
#include "kernels/pool/pool.h"

namespace engine {
namespace {
using schema::PoolLast, schema::PoolKind;

Types infer(const PoolLast& op, const InferContext& in) {
  in.expect_inputs(1, 1);
  in.expect_tensor(0);
  const Type& x = in.in(0);
  check(op.kind != PoolKind::lp, "lp pooling has no channels-last form");
  const bool byte = op.kind == PoolKind::max && (x.dtype == DType::i8 || x.dtype == DType::u8);
  check(byte || schema::is_real(x.dtype), name(op.kind), " is not defined for ", name(x.dtype));
  check(op.kernel.size() == 2, "the kernel has ", op.kernel.size(), " dims");
  check(!x.ranked || x.rank() == 4, "x is ", x, " where rank 4 is needed");
  const Dims xs = x.ranked ? x.dims : Dims(4, Dim::unknown());
  const auto spatial = windows(op, 2);
  Dims out{xs[0]};
  for (size_t d = 0; d < 2; ++d) {
    check_kernel(op.kernel[d]);
    out.push_back(spatial[d].out(xs[d + 1], op.kernel[d]));
  }
  out.push_back(xs[3]);
  return {Type::tensor(x.dtype, out)};
}

// The taps r in [first, past) of a window that starts at `start` and lie in front of `limit`; from `least` on.
struct Taps {
  int64_t first, past;
  Taps(int64_t start, int64_t dilation, int64_t kernel, int64_t least, int64_t limit)
      : first(start >= least ? 0 : (least - start + dilation - 1) / dilation),
        past(limit <= start ? 0 : std::min(kernel, (limit - 1 - start) / dilation + 1)) {}
  int64_t count() const { return std::max<int64_t>(0, past - first); }
};

void reference(const PoolLast& op, RunContext& c) {
  const View& y = c.out(0);
  const auto xs = c.in(0).shape, ys = std::span<const int64_t>(y.shape);
  const Scratch<double> x = to_doubles(c.in(0));
  const int64_t channels = xs[3];
  const auto spatial = windows(op, 2);
  const bool max = op.kind == PoolKind::max;
  const double lowest = schema::is_real(y.dtype) ? -INFINITY : y.dtype == DType::i8 ? -128 : 0;
  Scratch<double> sum(static_cast<size_t>(channels));
  for (int64_t n = 0; n < ys[0]; ++n)
    for (int64_t i = 0; i < ys[1]; ++i)
      for (int64_t j = 0; j < ys[2]; ++j) {
        std::ranges::fill(sum, max ? lowest : 0);
        const int64_t top = i * spatial[0].stride - spatial[0].begin, left = j * spatial[1].stride - spatial[1].begin;
        const auto taps = [&](size_t d, int64_t start, bool padding) {
          const Window& w = spatial[d];
          return Taps(start, w.dilation, op.kernel[d], padding ? -w.begin : 0, xs[d + 1] + (padding ? w.end : 0));
        };
        const Taps rows = taps(0, top, false), columns = taps(1, left, false);
        for (int64_t r = rows.first; r < rows.past; ++r)
          for (int64_t s = columns.first; s < columns.past; ++s) {
            const int64_t row = top + r * spatial[0].dilation, column = left + s * spatial[1].dilation;
            const double* __restrict from = x.data() + ((n * xs[1] + row) * xs[2] + column) * channels;
            double* __restrict to = sum.data();
            if (max)
              for (int64_t k = 0; k < channels; ++k) to[k] = from[k] > to[k] ? from[k] : to[k];
            else
              for (int64_t k = 0; k < channels; ++k) to[k] += from[k];
          }
        if (!max) {
          const int64_t count = taps(0, top, op.count_pad).count() * taps(1, left, op.count_pad).count();
          for (double& v : sum) v /= double(std::max<int64_t>(1, count));
        }
        store_doubles(y, ((n * ys[1] + i) * ys[2] + j) * channels, sum);
      }
}

std::optional<Lowered> lower(const PoolLast& op, const LowerContext& c) {
  if (c.in(0).dtype != DType::f32) return std::nullopt;
  const Shape x = c.in(0).shape(), y = c.out(0).shape();
  const auto spatial = windows(op, 2);
  // Kernels add positions up in ints: numbers near their limit are left to the reference.
  constexpr int64_t most = 1 << 20;
  for (size_t d = 0; d < 2; ++d)
    for (int64_t v : {spatial[d].stride, spatial[d].dilation, spatial[d].begin, spatial[d].end, op.kernel[d], op.kernel[d] * spatial[d].dilation})
      if (v > most) return std::nullopt;
  kernels::pool::Spec spec;
  spec.kind = op.kind, spec.count_pad = op.count_pad;
  spec.channels = x[3], spec.height = x[1], spec.width = x[2], spec.out_height = y[1], spec.out_width = y[2];
  spec.kernel_h = int(op.kernel[0]), spec.kernel_w = int(op.kernel[1]);
  spec.stride_h = int(spatial[0].stride), spec.stride_w = int(spatial[1].stride);
  spec.dilation_h = int(spatial[0].dilation), spec.dilation_w = int(spatial[1].dilation);
  spec.pad_top = int(spatial[0].begin), spec.pad_left = int(spatial[1].begin);
  spec.pad_bottom = int(spatial[0].end), spec.pad_right = int(spatial[1].end);
  spec.x_pitch = c.in_pitch(0), spec.y_pitch = c.out_pitch();
  if (c.target) return lower_map_on_device(c, &kernels::cuda::Backend::pool, kernels::cuda::PoolProblem{spec, x[0], c.kept_in(0), c.kept_out()});
  spec.kept_x = c.kept_in(0), spec.kept_y = c.kept_out();
  auto choice = kernels::pool::select(spec, c.isa);
  if (!choice) return std::nullopt;
  return Lowered{choice.name, [kernel = std::move(choice.kernel), batch = x[0]](RunContext& r) {
    kernel.run(reinterpret_cast<const float*>(r.in(0).data), reinterpret_cast<float*>(r.out(0).data), batch, r.pool(), r.threads());
  }};
}

double flops(const PoolLast& op, std::span<const Type>, std::span<const Type> out) {
  return out[0].determined() ? double(op.kernel[0]) * double(op.kernel[1]) * double(elements(out[0].shape())) : 0;
}
double border(const PoolLast& op, std::span<const Type> in) { return border_of(in[0], false, windows(op, 2)[0], op.kernel[0]); }

bool takes_pitch(const PoolLast&, const Graph& graph, const Node& node, int) { return graph[node.outputs[0]].type.dtype == DType::f32; }
}  // namespace

const OpDef<PoolLast>& def(const PoolLast&) {
  static constexpr OpDef<PoolLast> def{.infer = infer, .reference = reference, .lower = lower, .on_device = true, .keeps_half = true, .cpu_keeps_half = true, .takes_pitch = takes_pitch, .flops = flops, .border = border};
  return def;
}
}  // namespace engine
