#include "engine/ops/lowering.h"
#include "engine/ops/doubles.h"
#include "engine/ops/spatial.h"

namespace engine {
namespace {
using schema::ConvLast;

Types infer(const ConvLast& op, const InferContext& in) {
  in.expect_inputs(2, 3);
  in.expect_class(0, schema::DTypeClass::real);
  in.expect_same_dtype(0, 1);
  if (in.has(2)) in.expect_same_dtype(0, 2);
  const Type &x = in.in(0), &w = in.in(1);
  check(op.groups >= 1, "groups is ", op.groups);
  check((!x.ranked || x.rank() == 4) && (!w.ranked || w.rank() == 4), "x and w must have rank 4");
  const Dims any(x.ranked && w.ranked ? 0 : 4, Dim::unknown()), &xs = x.ranked ? x.dims : any, &ws = w.ranked ? w.dims : any;
  const Dim& channels = xs[op.planar_input ? 1 : 3];
  check(may_equal(channels, ws[1] * op.groups), "x has ", channels, " channels, w takes ", ws[1], " in each of ",
        op.groups, " groups");
  check(!ws[0].known() || ws[0].value() % op.groups == 0, ws[0], " output channels do not divide into ", op.groups,
        " groups");
  if (in.has(2) && in.in(2).ranked)
    check(in.in(2).rank() == 1 && may_equal(in.in(2).dims[0], ws[0]), "the bias is ", in.in(2), " for ", ws[0],
          " channels");
  const auto spatial = windows(op, 2);
  Dims out{xs[0]};
  for (size_t d = 0; d < 2; ++d) {
    check_kernel(ws[d + 2]);
    out.push_back(spatial[d].out(xs[d + (op.planar_input ? 2 : 1)], ws[d + 2]));
  }
  out.push_back(ws[0]);
  return just(Type::tensor(x.dtype, std::move(out)));
}

void reference(const ConvLast& op, RunContext& c) {
  const View& y = c.out(0);
  const auto xs = c.in(0).shape, ws = c.in(1).shape, ys = std::span<const int64_t>(y.shape);
  const Scratch<double> x = to_doubles(c.in(0)), w = to_doubles(c.in(1)), bias = c.has(2) ? to_doubles(c.in(2)) : Scratch<double>();
  const int64_t height = xs[op.planar_input ? 2 : 1], width = xs[op.planar_input ? 3 : 2], all = xs[op.planar_input ? 1 : 3];
  const int64_t pixel = op.planar_input ? 1 : all, step = op.planar_input ? height * width : 1;  // from pixel to pixel, channel to channel
  const int64_t features = ws[0], channels = ws[1], taps = ws[2] * ws[3], per_group = features / op.groups;
  Scratch<double> packed(w.size());  // [tap, channel, feature], the channels of a feature's own group
  for (int64_t k = 0, i = 0; k < features; ++k)
    for (int64_t ch = 0; ch < channels; ++ch)
      for (int64_t t = 0; t < taps; ++t, ++i) packed[(t * channels + ch) * features + k] = w[i];
  const auto spatial = windows(op, 2);
  Scratch<double> sum(static_cast<size_t>(features));
  for (int64_t n = 0; n < ys[0]; ++n)
    for (int64_t i = 0; i < ys[1]; ++i)
      for (int64_t j = 0; j < ys[2]; ++j) {
        if (bias.empty()) std::ranges::fill(sum, 0);
        else std::ranges::copy(bias, sum.begin());
        for (int64_t t = 0; t < (channels ? taps : 0); ++t) {
          const int64_t row = i * spatial[0].stride + t / ws[3] * spatial[0].dilation - spatial[0].begin;
          const int64_t column = j * spatial[1].stride + t % ws[3] * spatial[1].dilation - spatial[1].begin;
          if (row < 0 || row >= height || column < 0 || column >= width) continue;
          const double* from = x.data() + n * height * width * all + (row * width + column) * pixel;
          const double* weight = packed.data() + t * channels * features;
          if (channels == 1 && per_group == 1) {
            for (int64_t k = 0; k < features; ++k) sum[k] += from[k * step] * weight[k];
            continue;
          }
          for (int64_t g = 0; g < op.groups; ++g)
            for (int64_t ch = 0; ch < channels; ++ch) {
              const double v = from[(g * channels + ch) * step];
              double* __restrict to = sum.data() + g * per_group;
              const double* __restrict by = weight + ch * features + g * per_group;
              for (int64_t k = 0; k < per_group; ++k) to[k] += v * by[k];
            }
        }
        store_doubles(y, ((n * ys[1] + i) * ys[2] + j) * features, sum);
      }
}

double flops(const ConvLast&, std::span<const Type> in, std::span<const Type> out) { return conv_flops(in, out); }
double border(const ConvLast& op, std::span<const Type> in) {
  return in[1].determined() ? border_of(in[0], op.planar_input, windows(op, 2)[0], in[1].dims[2].value()) : 0;
}
bool takes_pitch(const ConvLast& op, const Graph& graph, const Node& node, int port) {
  const auto f32 = [&](ValueId v) { return v == ValueId::none || graph[v].type.dtype == DType::f32; };
  return (port == -1 || (port == 0 && !op.planar_input)) && graph[node.inputs[1]].constant && std::ranges::all_of(node.inputs, f32);
}
}  // namespace

const OpDef<ConvLast>& def(const ConvLast&) {
  static constexpr OpDef<ConvLast> def{.infer = infer, .reference = reference, .lower = lower_conv_last, .on_device = true, .keeps_half = true, .cpu_keeps_half = true, .takes_pitch = takes_pitch, .flops = flops, .border = border};
  return def;
}
}  // namespace engine
