#include <algorithm>
#include <array>
#include <cmath>
#include "engine/device_lowering.h"
#include "engine/ops/roi.h"
#include "engine/ops/strides.h"
#include "engine/ops/taps.h"

namespace engine {
namespace {
using schema::PoolKind, schema::RoiAlign;

Types infer(const RoiAlign& op, const InferContext& in) {
  in.expect_inputs(3, 3);
  in.expect_dtype(2, {DType::i64});
  check(op.kind != PoolKind::lp, "the kind of pool is ", name(op.kind));
  check(op.samples >= 0 && op.samples <= 1 << 16, "the number of samples is ", op.samples);
  return {infer_roi_pool(op, in, 4, in.expect_rank(2, 1)[0])};
}

// One dim of a region: the samples of each bin that lie in x, each between two elements.
struct Samples {
  Scratch<Taps> taps;
  Scratch<size_t> first;  // of each bin, and the end of the last one
  double per_bin;         // those outside of x too
};

// In T, as networks are trained: the number of samples is rounded up, and may hang on the last bit.
template <class T> void sample(const RoiAlign& op, T start, T end, int64_t bins, int64_t extent, Samples& samples) {
  const T shift = op.half_pixel ? T(0.5) : T(0);
  start = start * T(op.scale) - shift, end = end * T(op.scale) - shift;
  const T size = op.half_pixel ? end - start : std::max(end - start, T(1)), bin = size / T(bins);
  const double count = op.samples ? double(op.samples) : std::ceil(double(bin)), step = double(bin) / count;
  samples.taps.clear(), samples.first.assign(1, 0);
  samples.per_bin = count > 0 ? count : 0;
  for (int64_t b = 0; b < bins; ++b) {
    const T base = start + T(b) * bin;
    // Those far outside are not looked at. More than 2^31 of them in one bin leave nothing of any single one.
    double low = (-1 - double(base)) / step, high = (double(extent) - double(base)) / step;
    if (low > high) std::swap(low, high);
    const bool few = count >= 1 && count <= 0x1p31;
    const int64_t from = few && low > 2 ? int64_t(std::min(low - 2, count)) : 0,
                  to = !few               ? 0
                       : high + 2 < count ? int64_t(std::max(high + 2, 0.0))
                                          : int64_t(count);
    for (int64_t i = from; i < to; ++i) {
      T at = base + (T(i) + T(0.5)) * bin / T(count);
      if (!(at >= -1 && at <= T(extent))) continue;
      at = std::max(at, T(0));
      const int64_t before = std::min(int64_t(at), extent - 1), after = std::min(before + 1, extent - 1);
      const double t = before == after ? 0 : double(at) - double(before);
      samples.taps.push_back({2, {before, after}, {1 - t, t}});
    }
    samples.first.push_back(samples.taps.size());
  }
}

void reference(const RoiAlign& op, RunContext& c) {
  const ConstView &x = c.in(0), &rois = c.in(1);
  const View y = roi_output(op, c, 4);
  c.expect_shape(2, {rois.shape[0]});
  if (y.elements() == 0) return;
  const int64_t channels = x.shape[1], height = x.shape[2], width = x.shape[3];
  Samples rows, columns;
  Scratch<Weighted> parts;
  const auto sample_both = [&]<class T>(T, int64_t r) {
    const auto at = [&](int64_t k) { return T(load<double>(rois, r * 4 + k)); };
    sample(op, at(1), at(3), op.height, height, rows);
    sample(op, at(0), at(2), op.width, width, columns);
  };
  with_reader<double>(x, [&](auto read) {
    for (int64_t r = 0; r < rois.shape[0]; ++r) {
      const int64_t image = image_of_region(r, load<Int>(c.in(2), r).v, x.shape[0]);
      if (x.dtype == DType::f64) sample_both(double{}, r);
      else sample_both(float{}, r);
      const double samples = rows.per_bin * columns.per_bin;
      if (const auto& budget = Budget::current())
        budget->spend(8 * double(rows.taps.size()) * double(columns.taps.size()) * double(channels));
      for (int64_t i = 0; i < op.height; ++i)
        for (int64_t j = 0; j < op.width; ++j) {
          parts.clear();
          for (size_t a = rows.first[size_t(i)]; a < rows.first[size_t(i) + 1]; ++a)
            for (size_t b = columns.first[size_t(j)]; b < columns.first[size_t(j) + 1]; ++b) {
              std::array<Weighted, 6> around{{{0, 1}}};
              const size_t count = join(around, join(around, 1, rows.taps[a], height), columns.taps[b], width);
              parts.insert(parts.end(), around.begin(), around.begin() + int64_t(count));
            }
          const bool outside = double(parts.size()) < 4 * samples;
          for (int64_t ch = 0; ch < channels; ++ch) {
            const int64_t first = (image * channels + ch) * height * width;
            double result = op.kind == PoolKind::average || outside || parts.empty() ? 0 : -INFINITY;
            for (const Weighted& part : parts) {
              const double product = part.weight * read(first + part.at);
              result = op.kind == PoolKind::average ? result + product : result > product ? result : product;
            }
            if (op.kind == PoolKind::average) result /= std::max(samples, 1.0);
            store(y, ((r * channels + ch) * op.height + i) * op.width + j, result);
          }
        }
    }
  });
}

std::optional<Lowered> lower(const RoiAlign& op, const LowerContext& c) {
  if (!c.target || c.in(0).dtype != DType::f32) return std::nullopt;
  const Shape x = c.in(0).shape();
  const kernels::cuda::RoiAlignProblem problem{x[0],
                                               x[1],
                                               x[2],
                                               x[3],
                                               c.in(1).shape()[0],
                                               op.height,
                                               op.width,
                                               op.samples,
                                               float(op.scale),
                                               op.half_pixel,
                                               op.kind == PoolKind::max};
  return lower_on_device(
      c, &kernels::cuda::Backend::roi_align, problem,
      [x = device_input(c, 0), rois = device_input(c, 1), images = device_input(c, 2)](RunContext& r) {
        return kernels::cuda::RoiAlignArgs{x.at(r), rois.at(r), images.at<int64_t>(r), out_at(r)};
      });
}

// Adaptive ones draw on the budget when their number is known.
double flops(const RoiAlign& op, std::span<const Type>, std::span<const Type> out) {
  return out[0].determined() ? 8 * double(elements(out[0].shape())) * double(op.samples ? op.samples * op.samples : 4)
                             : 0;
}
}  // namespace

const OpDef<RoiAlign>& def(const RoiAlign&) {
  static constexpr OpDef<RoiAlign> def{
      .infer = infer, .reference = reference, .lower = lower, .on_device = true, .flops = flops};
  return def;
}
}  // namespace engine
