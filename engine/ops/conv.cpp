#include "engine/ops/device_windows.h"
#include "engine/ops/doubles.h"
#include "engine/ops/spatial.h"

namespace engine {
namespace {
using schema::Conv;

Types infer(const Conv& op, const InferContext& in) {
  in.expect_inputs(2, 3);
  in.expect_class(0, schema::DTypeClass::real);
  in.expect_same_dtype(0, 1);
  if (in.has(2)) in.expect_same_dtype(0, 2);
  const Type &x = in.in(0), &w = in.in(1);
  check(op.groups >= 1, "groups is ", op.groups);
  const auto ranked = [](const Type& t) { return !t.ranked || (t.rank() >= 3 && t.rank() <= limits::rank); };
  check(ranked(x) && ranked(w), "x and w must have rank 3 or more");
  check(!x.ranked || !w.ranked || x.rank() == w.rank(), "x has rank ", x.rank(), " and w rank ", w.rank());
  if (!x.ranked && !w.ranked) return {Type::unranked(x.dtype)};
  const size_t rank = x.ranked ? x.dims.size() : w.dims.size();
  const Dims any(x.ranked && w.ranked ? 0 : rank, Dim::unknown()), &xs = x.ranked ? x.dims : any, &ws = w.ranked ? w.dims : any;
  check(may_equal(xs[1], ws[1] * op.groups), "x has ", xs[1], " channels, w takes ", ws[1], " in each of ", op.groups,
        " groups");
  check(!ws[0].known() || ws[0].value() % op.groups == 0, ws[0], " output channels do not divide into ", op.groups,
        " groups");
  if (in.has(2) && in.in(2).ranked)
    check(in.in(2).rank() == 1 && may_equal(in.in(2).dims[0], ws[0]), "the bias is ", in.in(2), " for ", ws[0],
          " channels");
  Dims out{xs[0], ws[0]};
  const auto spatial = windows(op, rank - 2);
  for (size_t d = 2; d < rank; ++d) {
    check_kernel(ws[d]);
    out.push_back(spatial[d - 2].out(xs[d], ws[d]));
  }
  return just(Type::tensor(x.dtype, std::move(out)));
}

// to[b][i] += weight[b] * from[i * step], for B rows of outputs that lie `plane` apart.
template <int B> void accumulate(double* __restrict to, int64_t plane, const double* weight, int64_t weight_step,
                                 const double* __restrict from, int64_t step, int64_t count) {
  for (int b = 0; b < B; ++b, to += plane) {
    const double w = weight[b * weight_step];
    if (step == 1)
      for (int64_t i = 0; i < count; ++i) to[i] += w * from[i];
    else
      for (int64_t i = 0; i < count; ++i) to[i] += w * from[i * step];
  }
}

void reference(const Conv& op, RunContext& c) {
  const View& y = c.out(0);
  const Scratch<double> x = to_doubles(c.in(0)), w = to_doubles(c.in(1)), bias = c.has(2) ? to_doubles(c.in(2)) : Scratch<double>();
  const auto in = c.in(0).shape.subspan(2), kernel = c.in(1).shape.subspan(2), out = std::span(y.shape).subspan(2);
  const auto spatial = windows(op, in.size());
  Shape before;
  for (size_t d = 0; d < in.size(); ++d) before.push_back(spatial[d].before(in[d], kernel[d]));
  const int64_t channels = c.in(1).shape[1], features = c.in(1).shape[0] / op.groups, taps = elements(kernel);
  const int64_t in_size = elements(in), plane = elements(out);
  Scratch<double> sum(size_t(features * plane));
  for (int64_t n = 0; n < y.shape[0]; ++n)
    for (int64_t g = 0; g < op.groups; ++g) {
      const int64_t first = g * features;
      for (int64_t k = 0; k < features; ++k)
        std::fill_n(sum.begin() + k * plane, plane, bias.empty() ? 0 : bias[first + k]);
      for_each_tap(spatial, before, in, kernel, out, [&](int64_t tap, const std::vector<Run>& runs, int64_t count, int64_t step) {
        const int64_t weight_step = channels * taps;
        for (int64_t k = 0; k < features; k += features - k >= 4 ? 4 : 1)
          for (int64_t ch = 0; ch < channels; ++ch) {
            const double* from = x.data() + ((n * op.groups + g) * channels + ch) * in_size;
            const double* weight = w.data() + (first + k) * weight_step + ch * taps + tap;
            const auto add = features - k >= 4 ? accumulate<4> : accumulate<1>;
            for (const Run& run : runs) add(sum.data() + k * plane + run.out, plane, weight, weight_step, from + run.in, step, count);
          }
      });
      store_doubles(y, (n * op.groups * features + first) * plane, sum);
    }
}

double flops(const Conv&, std::span<const Type> in, std::span<const Type> out) { return conv_flops(in, out); }
}  // namespace

const OpDef<Conv>& def(const Conv&) {
  static constexpr OpDef<Conv> def{.infer = infer, .reference = reference, .lower = lower_direct, .on_device = true, .flops = flops};
  return def;
}
}  // namespace engine
