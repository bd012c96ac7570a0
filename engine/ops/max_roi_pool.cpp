#include <algorithm>
#include <cmath>
#include "engine/ops/roi.h"
#include "engine/ops/strides.h"

namespace engine {
namespace {
using schema::MaxRoiPool;

Types infer(const MaxRoiPool& op, const InferContext& in) {
  in.expect_inputs(2, 2);
  return {infer_roi_pool(op, in, 5, Dim::unknown())};
}

// The elements of x that a bin covers, in f32, as networks are trained: where a bin ends may hang on the last bit.
struct Bin {
  int64_t from, to;
};
Bin bin_of(int64_t bin, int64_t bins, double start, double end, int64_t extent) {
  const auto whole = [](double v) { return v > -0x1p40 ? int64_t(std::min(v, 0x1p40)) : -(int64_t{1} << 40); };
  const int64_t first = whole(std::round(start)), last = whole(std::round(end));
  const float size = float(std::max<int64_t>(last - first + 1, 1)) / float(bins);
  const auto edge = [&](double v) { return std::clamp<int64_t>(whole(v) + first, 0, extent); };
  return {edge(std::floor(float(bin) * size)), edge(std::ceil(float(bin + 1) * size))};
}

void reference(const MaxRoiPool& op, RunContext& c) {
  const ConstView &x = c.in(0), &rois = c.in(1);
  const View y = roi_output(op, c, 5);
  if (y.elements() == 0) return;
  const int64_t channels = x.shape[1], height = x.shape[2], width = x.shape[3];
  with_reader<double>(x, [&](auto read) {
    for (int64_t r = 0; r < rois.shape[0]; ++r) {
      const auto number = [&](int64_t k) { return load<double>(rois, r * 5 + k); };
      const auto edge = [&](int64_t k) { return double(float(number(k)) * float(op.scale)); };
      check(std::fabs(number(0)) <= 0x1p40, "region ", r, " is in image ", number(0), " of ", x.shape[0]);
      const int64_t image = image_of_region(r, int64_t(number(0)), x.shape[0]);
      for (int64_t i = 0; i < op.height; ++i) {
        const Bin rows = bin_of(i, op.height, edge(2), edge(4), height);
        for (int64_t j = 0; j < op.width; ++j) {
          const Bin columns = bin_of(j, op.width, edge(1), edge(3), width);
          const bool empty = rows.from >= rows.to || columns.from >= columns.to;
          if (const auto& budget = Budget::current(); budget && !empty)
            budget->spend(double(rows.to - rows.from) * double(columns.to - columns.from) * double(channels));
          for (int64_t ch = 0; ch < channels; ++ch) {
            double most = empty ? 0 : -INFINITY;
            for (int64_t h = rows.from; h < rows.to; ++h)
              for (int64_t w = columns.from; w < columns.to; ++w)
                most = std::max(most, read(((image * channels + ch) * height + h) * width + w));
            store(y, ((r * channels + ch) * op.height + i) * op.width + j, most);
          }
        }
      }
    }
  });
}
}  // namespace

const OpDef<MaxRoiPool>& def(const MaxRoiPool&) {
  static constexpr OpDef<MaxRoiPool> def{.infer = infer, .reference = reference};
  return def;
}
}  // namespace engine
