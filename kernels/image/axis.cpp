// Which inputs an output is made of: the filters.
#include <cmath>
#include "kernels/image/axis.h"

namespace kernels::image {
namespace {
double triangle(double x) { return std::max(0.0, 1 - std::abs(x)); }
double cubic(double x) {
  x = std::abs(x);
  constexpr double a = -0.5;
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}
}  // namespace

void make_axis(Axis& axis, Filter filter, int64_t size, double scale, int64_t first, int64_t count) {
  const bool widened = filter == Filter::bilinear || filter == Filter::bicubic;
  const double width = widened ? std::max(scale, 1.0) : 1;
  const double support = width * (filter == Filter::nearest ? 0.5 : filter == Filter::bicubic ? 2 : 1);
  axis.stride = (std::min(size, static_cast<int64_t>(2 * support) + 2) + 3) / 4 * 4;
  axis.first.resize(static_cast<size_t>(count));
  axis.count.resize(static_cast<size_t>(count));
  axis.weights.assign(static_cast<size_t>(count * axis.stride), 0);
  for (int64_t i = 0; i < count; ++i) {
    const double centre = (static_cast<double>(first + i) + 0.5) * scale;
    int64_t from, to;
    if (filter == Filter::nearest) {
      from = std::clamp<int64_t>(static_cast<int64_t>(centre), 0, size - 1), to = from + 1;
    } else {
      from = std::max<int64_t>(0, static_cast<int64_t>(std::floor(centre - support + 0.5)));
      to = std::min(size, static_cast<int64_t>(std::floor(centre + support + 0.5)));
    }
    const auto weight = [&](int64_t at) {
      if (filter == Filter::nearest) return 1.0;
      const double x = (static_cast<double>(at) + 0.5 - centre) / width;
      return filter == Filter::bicubic ? cubic(x) : triangle(x);
    };
    while (to - from > 1 && weight(from) == 0) ++from;
    while (to - from > 1 && weight(to - 1) == 0) --to;
    double sum = 0;
    for (int64_t at = from; at < to; ++at) sum += weight(at);
    float* weights = axis.weights.data() + i * axis.stride;
    for (int64_t at = from; at < to; ++at) weights[at - from] = static_cast<float>(weight(at) / sum);
    axis.first[static_cast<size_t>(i)] = static_cast<int32_t>(from);
    axis.count[static_cast<size_t>(i)] = static_cast<int32_t>(to - from);
  }
}
}  // namespace kernels::image
