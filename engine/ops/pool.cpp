#include "engine/ops/device_windows.h"
#include "engine/ops/doubles.h"
#include "engine/ops/spatial.h"

namespace engine {
namespace {
using schema::Pool, schema::PoolKind;

Types infer(const Pool& op, const InferContext& in) {
  in.expect_inputs(1, 1);
  in.expect_tensor(0);
  const Type& x = in.in(0);
  const bool byte = op.kind == PoolKind::max && (x.dtype == DType::i8 || x.dtype == DType::u8);
  check(byte || schema::is_real(x.dtype), name(op.kind), " is not defined for ", name(x.dtype));
  check(op.kind != PoolKind::lp || op.p >= 1, "p is ", op.p);
  check(in.outputs() <= (op.kind == PoolKind::max ? 2 : 1), name(op.kind), " has one output");
  const size_t dims = op.kernel.size();
  check(dims >= 1 && int64_t(dims) <= limits::rank - 2, "the kernel has ", dims, " dims");
  check(!x.ranked || x.dims.size() == dims + 2, "x is ", x, " for a kernel of ", dims, " dims");
  Dims out = x.ranked ? Dims(x.dims.begin(), x.dims.begin() + 2) : Dims(2, Dim::unknown());
  const auto spatial = windows(op, dims);
  for (size_t d = 0; d < dims; ++d) {
    check_kernel(op.kernel[d]);
    out.push_back(spatial[d].out(x.ranked ? x.dims[d + 2] : Dim::unknown(), op.kernel[d]));
  }
  Types types{Type::tensor(x.dtype, out), Type::tensor(DType::i64, out)};
  types.resize(in.outputs());
  return types;
}

// How many taps of the kernel an average counts, by position in each dim.
std::vector<Scratch<double>> counts(const Pool& op, const std::vector<Window>& spatial, const Shape& before,
                                        std::span<const int64_t> in, std::span<const int64_t> out) {
  std::vector<Scratch<double>> all(in.size());
  for (size_t d = 0; d < in.size(); ++d)
    for (int64_t o = 0; o < out[d]; ++o) {
      const int64_t stride = spatial[d].stride, dilation = spatial[d].dilation, start = o * stride - before[d];
      // The padding that auto_pad chose ends with the last window, that of the op where `end` says.
      const int64_t end = spatial[d].same() ? op.kernel[d] * dilation : spatial[d].end, limit = in[d] + (op.count_pad ? end : 0);
      const int64_t first = op.count_pad || start >= 0 ? 0 : (-start + dilation - 1) / dilation;
      const int64_t past = limit <= start ? 0 : std::min(op.kernel[d], (limit - 1 - start) / dilation + 1);
      all[d].push_back(double(std::max<int64_t>(0, past - first)));
    }
  return all;
}

// The same index, with the first spatial dim running fastest.
int64_t column_major(int64_t flat, std::span<const int64_t> in) {
  int64_t index = 0, rest = flat;
  for (size_t d = in.size(); d-- > 0; rest /= in[d]) index = index + rest % in[d] * elements(in.first(d));
  return index;
}

void reference(const Pool& op, RunContext& c) {
  const ConstView& view = c.in(0);
  const Shape y_shape(c.wants(0) ? shape_of(c.out(0)) : shape_of(c.out(1)));
  const auto in = view.shape.subspan(2), out = std::span<const int64_t>(y_shape).subspan(2);
  const Scratch<double> x = to_doubles(view);
  bytes_of(DType::f64, y_shape);
  const auto spatial = windows(op, in.size());
  Shape before;
  for (size_t d = 0; d < in.size(); ++d) before.push_back(spatial[d].before(in[d], op.kernel[d]));
  const bool max = op.kind == PoolKind::max, indices = c.wants(1);
  const int64_t planes = y_shape[0] * y_shape[1], in_size = elements(in), plane = elements(out);
  const double lowest = schema::is_real(view.dtype) ? -INFINITY : view.dtype == DType::i8 ? -128 : 0;
  Scratch<double> y(size_t(planes * plane), max ? lowest : 0);
  std::vector<int64_t> where(indices ? y.size() : 0, -1);
  for_each_tap(spatial, before, in, op.kernel, out, [&](int64_t, const std::vector<Run>& runs, int64_t count, int64_t step) {
    for (int64_t p = 0; p < planes; ++p)
      for (const Run& run : runs) {
        double* __restrict to = y.data() + p * plane + run.out;
        const double* __restrict from = x.data() + p * in_size + run.in;
        if (indices) {
          int64_t* at = where.data() + p * plane + run.out;
          for (int64_t i = 0; i < count; ++i)
            if (at[i] < 0 || from[i * step] > to[i]) to[i] = std::max(lowest, from[i * step]), at[i] = run.in + i * step;
        } else if (max) {
          for (int64_t i = 0; i < count; ++i) to[i] = from[i * step] > to[i] ? from[i * step] : to[i];
        } else if (op.kind == PoolKind::average) {
          for (int64_t i = 0; i < count; ++i) to[i] += from[i * step];
        } else {
          for (int64_t i = 0; i < count; ++i) to[i] += op.p == 1 ? std::fabs(from[i * step]) : std::pow(std::fabs(from[i * step]), double(op.p));
        }
      }
  });
  if (op.kind == PoolKind::lp && op.p != 1)
    for (double& v : y) v = op.p == 2 ? std::sqrt(v) : std::pow(v, 1.0 / double(op.p));
  if (op.kind == PoolKind::average) {
    Scratch<double> divisor{1};
    for (const auto& count : counts(op, spatial, before, in, out)) {
      Scratch<double> wider;
      for (double a : divisor)
        for (double b : count) wider.push_back(a * b);
      divisor.swap(wider);
    }
    for (int64_t p = 0; p < planes; ++p)
      for (int64_t i = 0; i < plane; ++i) y[p * plane + i] /= std::max(1.0, divisor[i]);
  }
  if (c.wants(0)) store_doubles(c.out(0), 0, y);
  if (!indices) return;
  const auto flat = c.out(1).as<int64_t>();
  for (int64_t p = 0; p < planes; ++p)
    for (int64_t i = 0; i < plane; ++i) {
      const int64_t at = std::max<int64_t>(0, where[p * plane + i]);
      flat[p * plane + i] = p * in_size + (op.column_major ? column_major(at, in) : at);
    }
}

double flops(const Pool& op, std::span<const Type>, std::span<const Type> out) {
  double taps = 1;
  for (int64_t k : op.kernel) taps *= double(k);
  return out[0].determined() ? taps * double(elements(out[0].shape())) : 0;
}
}  // namespace

const OpDef<Pool>& def(const Pool&) {
  static constexpr OpDef<Pool> def{.infer = infer, .reference = reference, .lower = lower_direct, .on_device = true, .flops = flops};
  return def;
}
}  // namespace engine
