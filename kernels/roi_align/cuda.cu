// Pools over regions of interest by linear interpolation (Mask R-CNN, He et al. 2017, section 3), a thread for each bin
// of each channel.
#include "kernels/cuda/families.h"
#include "kernels/cuda/numbers.h"

namespace kernels::cuda {
namespace {
constexpr int threads = 256;

// The samples of a bin along one dim. Products are rounded before they are added: how many samples there are may hang
// on the last bit.
struct Samples {
  float base, bin;
  double count;      // those outside of x too
  int64_t from, to;  // those that may lie in it
  int64_t extent;

  __device__ Samples(const RoiAlignProblem& p, float start, float end, int64_t bins, int64_t b, int64_t extent)
      : extent(extent) {
    const float shift = p.half_pixel ? 0.5f : 0;
    start = rounded_product(start, p.scale) - shift, end = rounded_product(end, p.scale) - shift;
    const float size = !p.half_pixel && end - start < 1 ? 1 : end - start;
    bin = size / float(bins), base = start + rounded_product(float(b), bin);
    count = p.samples ? double(p.samples) : std::ceil(double(bin));
    const double step = double(bin) / count;
    double low = (-1 - double(base)) / step, high = (double(extent) - double(base)) / step;
    if (low > high) {
      const double other = low;
      low = high, high = other;
    }
    const bool few = count >= 1 && count <= 0x1p31;  // more leave nothing of any single one
    if (!(count > 0)) count = 0;
    from = few && low > 2 ? int64_t(low - 2 < count ? low - 2 : count) : 0;
    to = !few ? 0 : high + 2 < count ? int64_t(high + 2 > 0 ? high + 2 : 0) : int64_t(count);
  }
  // The elements around sample i, and how far it is from the first to the second. False: it lies outside.
  __device__ bool around(int64_t i, int64_t (&index)[2], float& t) const {
    float at = base + rounded_product(float(i) + 0.5f, bin) / float(count);
    if (!(at >= -1 && at <= float(extent))) return false;
    if (at < 0) at = 0;
    index[0] = int64_t(at) < extent - 1 ? int64_t(at) : extent - 1;
    index[1] = index[0] + 1 < extent - 1 ? index[0] + 1 : extent - 1;
    t = index[0] == index[1] ? 0 : at - float(index[0]);
    return true;
  }
};

__global__ void __launch_bounds__(threads)
    roi_align(const RoiAlignProblem p, const RoiAlignArgs args, int64_t count, Watch watch) {
  for (int64_t i = linear_thread(); i < count; i += linear_threads()) {
    const int64_t column = i % p.out_width, row = i / p.out_width % p.out_height,
                  channel = i / p.out_width / p.out_height % p.channels,
                  region = i / p.out_width / p.out_height / p.channels;
    int64_t image = args.images[region];
    if (image < 0 || image >= p.batch) report(watch, Refused::index, region), image = 0;
    const float *roi = args.rois + region * 4, *x = args.x + (image * p.channels + channel) * p.height * p.width;
    const Samples rows(p, roi[1], roi[3], p.out_height, row, p.height),
        columns(p, roi[0], roi[2], p.out_width, column, p.width);
    const double samples = rows.count * columns.count;
    float sum = 0, largest = -INFINITY;
    double inside = 0;
    for (int64_t r = rows.from; r < rows.to; ++r) {
      int64_t y_at[2], x_at[2];
      float ty, tx;
      if (!rows.around(r, y_at, ty)) continue;
      for (int64_t c = columns.from; c < columns.to; ++c) {
        if (!columns.around(c, x_at, tx)) continue;
        inside += 1;
        for (int k = 0; k < 4; ++k) {
          const float weight = (k / 2 ? ty : 1 - ty) * (k % 2 ? tx : 1 - tx);
          const float part = weight * x[y_at[k / 2] * p.width + x_at[k % 2]];
          sum += part;
          if (part > largest) largest = part;
        }
      }
    }
    const bool outside = inside < samples || inside == 0;
    if (outside && !(largest > 0)) largest = 0;
    args.y[i] = p.largest ? largest : float(double(sum) / (samples > 1 ? samples : 1));
  }
}

const char* refusal(const RoiAlignProblem& p) {
  return p.height <= 0 || p.width <= 0 || p.batch <= 0 ? "nothing to pool in" : nullptr;
}
double cost(const RoiAlignProblem&) { return 1; }
Failure run(const RoiAlignProblem& p, const RoiAlignArgs& args, Stream* stream) {
  Watch w;
  if (Failure f = watch(stream, &w)) return f;
  const int64_t count = p.regions * p.channels * p.out_height * p.out_width;
  if (count == 0) return nullptr;
  return launch<void>(roi_align, blocks_for(count, threads), threads, stream, p, args, count, w);
}
}  // namespace

Family<RoiAlignProblem, RoiAlignArgs> roi_align_family() {
  static constexpr Row<RoiAlignProblem, RoiAlignArgs> rows[] = {{"roi_align_cuda", 80, threads, refusal, cost, run}};
  return {rows, std::size(rows)};
}
}  // namespace kernels::cuda
