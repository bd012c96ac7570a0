#include <algorithm>
#include <array>
#include <cmath>
#include "engine/device_lowering.h"
#include "engine/ops/doubles.h"
#include "engine/ops/spatial.h"
#include "engine/ops/strides.h"
#include "engine/ops/taps.h"

namespace engine {
namespace {
using schema::DeformConv;
constexpr int64_t block = 64;  // outputs at a time: what they read is laid out as the columns of a matrix

Types infer(const DeformConv& op, const InferContext& in) {
  in.expect_inputs(3, 5);
  in.expect_class(0, schema::DTypeClass::real);
  for (size_t k = 1; k < 5; ++k)
    if (in.has(k)) in.expect_same_dtype(0, k);
  check(op.groups >= 1 && op.groups <= INT32_MAX, "groups is ", op.groups);
  check(op.offset_groups >= 1 && op.offset_groups <= INT32_MAX, "the number of offset groups is ", op.offset_groups);
  int64_t rank = -1;
  for (size_t k : {0, 1, 2, 4})
    if (rank < 0 && in.has(k) && in.in(k).ranked) rank = in.in(k).rank();
  if (rank < 0) return {Type::unranked(in.in(0).dtype)};
  check(rank >= 3 && rank - 2 <= most_dims, "needs 1 to ", most_dims, " spatial dims, not rank ", rank);
  const Dims x = in.expect_rank(0, rank), w = in.expect_rank(1, rank), offset = in.expect_rank(2, rank);
  Dims y{x[0], w[0]};
  check(may_equal(x[1], w[1] * op.groups), "x has ", x[1].text(), " channels, w takes ", w[1].text(), " in each of ",
        op.groups, " groups");
  check(!w[0].known() || w[0].value() % op.groups == 0, w[0].text(), " output channels do not divide into ", op.groups,
        " groups");
  check(!x[1].known() || x[1].value() % op.offset_groups == 0, x[1].text(), " channels do not divide into ",
        op.offset_groups, " offset groups");
  const auto spatial = windows(op, size_t(rank) - 2);
  Dim taps = op.offset_groups;
  for (size_t d = 2; d < size_t(rank); ++d) {
    check_kernel(w[d]);
    y.push_back(spatial[d - 2].out(x[d], w[d]));
    taps = taps * w[d];
    meet(y[d], offset[d], "an output extent");
  }
  meet(y[0], offset[0], "batch");
  check(may_equal(offset[1], taps * (rank - 2)), "there are ", offset[1].text(), " offsets per output, not ",
        (taps * (rank - 2)).text());
  if (in.has(3)) meet(y[1], in.expect_rank(3, 1)[0], "the number of output channels");
  if (in.has(4)) {
    const Dims mask = in.expect_rank(4, rank);
    check(may_equal(mask[1], taps), "the mask has ", mask[1].text(), " elements per output, not ", taps.text());
    meet(y[0], mask[0], "batch");
    for (size_t d = 2; d < size_t(rank); ++d) meet(y[d], mask[d], "an output extent");
  }
  return {Type::tensor(in.in(0).dtype, y)};
}

// The two elements around a place, outside of which x is 0.
Taps taps_at(double at, int64_t extent) {
  if (!(at > -1 && at < double(extent))) return {0, {}, {}};
  const double base = std::floor(at);
  const int64_t low = int64_t(base);
  return {2, {low, low + 1 < extent ? low + 1 : -1}, {1 - (at - base), at - base}};
}

// Inputs as the reference sees them: inference may have known their extents as symbols only.
void check_shapes(const DeformConv& op, const RunContext& c, std::span<const int64_t> y) {
  const auto x = c.in(0).shape, w = c.in(1).shape;
  const auto expect = [&](size_t k, int64_t features) {
    Extents shape(y);
    shape[0] = x[0], shape[1] = features;
    check(std::ranges::equal(c.in(k).shape, shape), "input ", k, " is ", c.in(k).shape, " where ", to_text(shape),
          " is needed");
  };
  const int64_t dims = int64_t(x.size()) - 2,
                taps = elements(std::initializer_list<int64_t>{elements(w.subspan(2)), op.offset_groups});
  check(x[1] % op.groups == 0 && x[1] / op.groups == w[1] && w[0] % op.groups == 0 && x[1] % op.offset_groups == 0,
        "the channels of ", x, " and ", w, " do not divide into groups");
  expect(2, taps * dims);
  if (c.has(3)) c.expect_shape(3, {w[0]});
  if (c.has(4)) expect(4, taps);
}

void reference(const DeformConv& op, RunContext& c) {
  const ConstView &x = c.in(0), &offset = c.in(2);
  const auto in = x.shape.subspan(2), kernel = c.in(1).shape.subspan(2);
  const auto spatial = windows(op, in.size());
  Extents shape{x.shape[0], c.in(1).shape[0]};
  for (size_t d = 0; d < in.size(); ++d)
    check_kernel(kernel[d]), shape.push_back(spatial[d].out(in[d], kernel[d]).value());
  check_shapes(op, c, shape);
  const View y = c.set_out(0, x.dtype, shape);
  if (y.elements() == 0) return;
  const std::span<const int64_t> out = std::span(y.shape).subspan(2);
  const int64_t dims = int64_t(in.size()), channels = x.shape[1], features = y.shape[1], taps = product(kernel),
                places = product(out), size = product(in);
  const int64_t group_rows = channels / op.groups * taps, group_features = features / op.groups,
                group_channels = channels / op.offset_groups;
  const Scratch<double> w = to_doubles(c.in(1)), bias = c.has(3) ? to_doubles(c.in(3)) : Scratch<double>();
  Scratch<double> columns(size_t(channels * taps * block)), sums(static_cast<size_t>(block));
  std::array<Weighted, 2 << most_dims> parts;
  // What tap t of offset group g reads for output p of image n.
  const auto parts_at = [&](int64_t n, int64_t g, int64_t t, int64_t p) {
    const int64_t first = (n * op.offset_groups + g) * taps + t;
    parts[0] = {0, c.has(4) ? load<double>(c.in(4), first * places + p) : 1};
    size_t count = 1;
    int64_t steps_before = places, taps_before = taps, rest = p, tap = t;
    for (int64_t d = 0; d < dims; ++d) {
      const Window& window = spatial[size_t(d)];
      steps_before /= out[size_t(d)], taps_before /= kernel[size_t(d)];
      const int64_t at = rest / steps_before * window.stride + tap / taps_before * window.dilation - window.begin;
      rest %= steps_before, tap %= taps_before;
      count =
          join(parts, count, taps_at(double(at) + load<double>(offset, (first * dims + d) * places + p), in[size_t(d)]),
               in[size_t(d)]);
    }
    return count;
  };
  with_reader<double>(x, [&](auto read) {
    for (int64_t n = 0; n < x.shape[0]; ++n)
      for (int64_t p0 = 0; p0 < places; p0 += block) {
        const int64_t width = std::min(block, places - p0);
        for (int64_t g = 0; g < op.offset_groups; ++g)
          for (int64_t t = 0; t < taps; ++t)
            for (int64_t p = 0; p < width; ++p) {
              const size_t count = parts_at(n, g, t, p0 + p);
              for (int64_t ch = g * group_channels; ch < (g + 1) * group_channels; ++ch) {
                double sum = 0;
                for (size_t i = 0; i < count; ++i)
                  sum += parts[i].weight * read((n * channels + ch) * size + parts[i].at);
                columns[size_t((ch * taps + t) * block + p)] = sum;
              }
            }
        for (int64_t k = 0; k < features; ++k) {
          std::ranges::fill(sums, bias.empty() ? 0.0 : bias[size_t(k)]);
          const double* __restrict const weights = w.data() + k * group_rows;
          const double* __restrict const rows = columns.data() + k / group_features * group_rows * block;
          double* __restrict const to = sums.data();
          for (int64_t r = 0; r < group_rows; ++r)
            for (int64_t p = 0; p < block; ++p) to[p] += weights[r] * rows[r * block + p];
          store_doubles(y, (n * features + k) * places + p0, std::span(sums).first(size_t(width)));
        }
      }
  });
}

std::optional<Lowered> lower(const DeformConv& op, const LowerContext& c) {
  const Shape x = c.in(0).shape(), w = c.in(1).shape(), y = c.out(0).shape();
  if (!c.target || c.in(0).dtype != DType::f32 || x.size() != 4) return std::nullopt;
  const auto spatial = windows(op, 2);
  for (const Window& window : spatial)
    if (window.stride > INT32_MAX || window.dilation > INT32_MAX || std::abs(window.begin) > INT32_MAX)
      return std::nullopt;
  const kernels::cuda::DeformConvProblem problem{x[0],
                                                 x[2],
                                                 x[3],
                                                 x[1],
                                                 y[2],
                                                 y[3],
                                                 y[1],
                                                 op.groups,
                                                 op.offset_groups,
                                                 int(w[2]),
                                                 int(w[3]),
                                                 int(spatial[0].stride),
                                                 int(spatial[1].stride),
                                                 int(spatial[0].dilation),
                                                 int(spatial[1].dilation),
                                                 int(spatial[0].begin),
                                                 int(spatial[1].begin),
                                                 c.has(3),
                                                 c.target->precision};
  return lower_on_device(c, &kernels::cuda::Backend::deform_conv, problem,
                         [x = device_input(c, 0), w = device_input(c, 1), offset = device_input(c, 2),
                          bias = device_input(c, 3), mask = device_input(c, 4)](RunContext& r) {
                           return kernels::cuda::DeformConvArgs{x.at(r),    w.at(r),   offset.at(r), bias.at(r),
                                                                mask.at(r), out_at(r), r.scratch()};
                         });
}

// What Conv takes, and an interpolation of each element that a tap reads.
double flops(const DeformConv&, std::span<const Type> in, std::span<const Type> out) {
  if (!in[0].determined() || !in[1].determined() || !out[0].determined() || in[1].dims[0] == Dim(0) ||
      out[0].dims[1] == Dim(0))
    return 0;
  const double taps = double(elements(in[1].shape())) / double(in[1].dims[0].value()),
               places = double(elements(out[0].shape())) / double(out[0].dims[1].value());
  return 2 * taps * double(elements(out[0].shape())) + std::exp2(double(in[0].rank() - 1)) * places * taps *
                                                           double(in[0].dims[1].value()) /
                                                           std::max(1.0, double(in[1].dims[1].value()));
}
}  // namespace

const OpDef<DeformConv>& def(const DeformConv&) {
  static constexpr OpDef<DeformConv> def{
      .infer = infer, .reference = reference, .lower = lower, .on_device = true, .flops = flops};
  return def;
}
}  // namespace engine
