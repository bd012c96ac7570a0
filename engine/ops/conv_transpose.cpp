#include "engine/ops/conv_transpose.h"
#include <cstring>
#include "engine/ops/device_windows.h"
#include "engine/ops/doubles.h"

namespace engine {
namespace {
using schema::ConvTranspose;

Types infer(const ConvTranspose& op, const InferContext& in) {
  in.expect_inputs(2, 3);
  in.expect_class(0, schema::DTypeClass::real);
  in.expect_same_dtype(0, 1);
  if (in.has(2)) in.expect_same_dtype(0, 2);
  const Type &x = in.in(0), &w = in.in(1);
  check(op.groups >= 1 && op.groups <= INT32_MAX, "groups is ", op.groups);
  const auto ranked = [](const Type& t) { return !t.ranked || (t.rank() >= 3 && t.rank() <= limits::rank); };
  check(ranked(x) && ranked(w), "x and w must have rank 3 or more");
  check(!x.ranked || !w.ranked || x.rank() == w.rank(), "x has rank ", x.rank(), " and w rank ", w.rank());
  if (!x.ranked && !w.ranked) return {Type::unranked(x.dtype)};
  const size_t rank = x.ranked ? x.dims.size() : w.dims.size();
  const Dims xs = x.ranked ? x.dims : Dims(rank, Dim::unknown()), ws = w.ranked ? w.dims : Dims(rank, Dim::unknown());
  check(may_equal(xs[1], ws[0]), "x has ", xs[1].text(), " channels, w takes ", ws[0].text());
  check(!ws[0].known() || ws[0].value() % op.groups == 0, ws[0].text(), " channels do not divide into ", op.groups, " groups");
  const Dim features = ws[1] * op.groups;
  if (in.has(2) && in.in(2).ranked)
    check(in.in(2).rank() == 1 && may_equal(in.in(2).dims[0], features), "the bias is ", in.in(2), " for ",
          features.text(), " channels");
  Dims out{xs[0], features};
  const auto spatial = all_windows(op, rank - 2);
  for (size_t d = 2; d < rank; ++d) {
    check_kernel(ws[d]);
    out.emplace_back();
    resolve(op, d - 2, spatial[d - 2], xs[d], ws[d], &out.back());
  }
  return {Type::tensor(x.dtype, out)};
}

// Each tap adds x to what lies at its place in y: the rows of Conv, with x and y in each other's place.
void reference(const ConvTranspose& op, RunContext& c) {
  const View& y = c.out(0);
  const Scratch<double> x = to_doubles(c.in(0)), w = to_doubles(c.in(1)), bias = c.has(2) ? to_doubles(c.in(2)) : Scratch<double>();
  const auto in = c.in(0).shape.subspan(2), kernel = c.in(1).shape.subspan(2), out = std::span(y.shape).subspan(2);
  auto spatial = all_windows(op, in.size());
  Shape before;
  for (size_t d = 0; d < in.size(); ++d) {
    Dim extent;
    spatial[d] = resolve(op, d, spatial[d], in[d], kernel[d], &extent);
    before.push_back(spatial[d].begin);
  }
  const int64_t channels = c.in(1).shape[0] / op.groups, features = c.in(1).shape[1], taps = elements(kernel);
  const int64_t in_size = elements(in), plane = elements(out);
  Scratch<double> sum(size_t(features * plane));
  for (int64_t n = 0; n < y.shape[0]; ++n)
    for (int64_t g = 0; g < op.groups; ++g) {
      for (int64_t k = 0; k < features; ++k) std::fill_n(sum.begin() + k * plane, plane, bias.empty() ? 0 : bias[g * features + k]);
      for_each_tap(spatial, before, out, kernel, in, [&](int64_t tap, const std::vector<Run>& runs, int64_t count, int64_t step) {
        for (int64_t ch = 0; ch < channels; ++ch)
          for (int64_t k = 0; k < features; ++k) {
            const double weight = w[((g * channels + ch) * features + k) * taps + tap];
            const double* plane_in = x.data() + ((n * op.groups + g) * channels + ch) * in_size;
            for (const Run& run : runs) {
              const double* __restrict from = plane_in + run.out;
              double* __restrict to = sum.data() + k * plane + run.in;
              for (int64_t i = 0; i < count; ++i) to[i * step] += weight * from[i];
            }
          }
      });
      store_doubles(y, (n * op.groups + g) * features * plane, sum);
    }
}

double flops(const ConvTranspose&, std::span<const Type> in, std::span<const Type>) {
  if (!in[0].determined() || !in[1].determined() || in[1].dims[0] == Dim(0)) return 0;
  return 2.0 * double(elements(in[0].shape())) * double(elements(in[1].shape())) / double(in[1].dims[0].value());
}

// Without strides, it is a convolution.
void simplify(const ConvTranspose& op, NodeId n, Rewriter& rewriter) {
  const Node node = rewriter.graph[n];
  const Type& x = rewriter.graph[node.inputs[0]].type;
  const ConstantPtr w = rewriter.graph[node.inputs[1]].constant;
  if (!w || !x.ranked || int64_t(w->shape.size()) != x.rank() || elements(w->shape) == 0) return;
  const auto dims = size_t(x.rank()) - 2;
  const auto given = all_windows(op, dims);
  schema::Conv conv{{}, op.dilation, schema::Ints(2 * dims, 0), op.groups, schema::AutoPad::none};
  for (size_t d = 0; d < dims; ++d) {
    Dim out;
    const bool depends = !op.output_shape.empty() || given[d].same();  // on x's extent
    if (given[d].stride != 1 || (depends && !x.dims[d + 2].known())) return;
    const Window window = resolve(op, d, given[d], x.dims[d + 2], w->shape[d + 2], &out);
    const int64_t reach = window.reach(w->shape[d + 2]).value() - 1, extra = op.output_padding.empty() ? 0 : op.output_padding[d];
    conv.pad[d] = reach - window.begin, conv.pad[dims + d] = reach - window.end + extra;
    if (depends) conv.pad[dims + d] = (out - x.dims[d + 2]).value() + reach - conv.pad[d];
    if (conv.pad[d] < 0 || conv.pad[dims + d] < 0) return;
  }
  ValueIds inputs = node.inputs;
  inputs[1] = rewriter.graph.add_constant(flipped(w->view(), op.groups));
  rewriter.replace(node.outputs[0], rewriter.add(conv, inputs, node.origins)[0]);
}
}  // namespace

ConstantPtr flipped(const ConstView& w, int64_t groups) {
  Shape shape(w.shape.begin(), w.shape.end());
  const int64_t channels = shape[0] / groups, features = shape[1], taps = elements(w.shape.subspan(2)),
                size = bits_of(w.dtype) / 8;
  shape[0] = features * groups, shape[1] = channels;
  Object object;
  std::byte* to = object.set_tensor(w.dtype, shape).data;
  for (int64_t g = 0; g < groups; ++g)
    for (int64_t k = 0; k < features; ++k)
      for (int64_t c = 0; c < channels; ++c)
        for (int64_t tap = taps; tap-- > 0; to += size)
          std::memcpy(to, w.data + (((g * channels + c) * features + k) * taps + tap) * size, size_t(size));
  return make_constant(std::as_const(object).view());
}

const OpDef<ConvTranspose>& def(const ConvTranspose&) {
  static constexpr OpDef<ConvTranspose> def{.infer = infer, .reference = reference, .lower = lower_direct, .on_device = true, .simplify = simplify, .flops = flops};
  return def;
}
}  // namespace engine
