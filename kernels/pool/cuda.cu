#include "kernels/cuda/families.h"
#include "kernels/cuda/numbers.h"

namespace kernels::cuda {
namespace {
constexpr int threads = 256;

// The taps of one window along a dim: those inside x, and how many count in an average.
struct Window {
  int first, past, counted;
};
__device__ Window window(int64_t start, int kernel, int dilation, int64_t extent, int pad_after, bool count_pad) {
  Window w{kernel, 0, 0};
  for (int k = 0; k < kernel; ++k) {
    const int64_t at = start + int64_t(k) * dilation;
    const bool inside = at >= 0 && at < extent;
    if (inside) w.first = w.first < k ? w.first : k, w.past = k + 1;
    w.counted += inside || (count_pad && at < extent + pad_after);
  }
  return w;
}

template <class Numbers>
__global__ void __launch_bounds__(threads) pool_taps(PoolProblem p, const void* x, void* y, int64_t count) {
  const pool::Spec& s = p.spec;
  const int64_t x_pitch = s.x_pitch ? s.x_pitch : s.channels, y_pitch = s.y_pitch ? s.y_pitch : s.channels;
  for (int64_t i = linear_thread(); i < count; i += linear_threads()) {
    const int64_t pixel = i / s.channels, channel = i % s.channels;
    const int64_t image = pixel / (s.out_height * s.out_width),
                  top = pixel / s.out_width % s.out_height * s.stride_h - s.pad_top;
    const int64_t left = pixel % s.out_width * s.stride_w - s.pad_left;
    const Window rows = window(top, s.kernel_h, s.dilation_h, s.height, s.pad_bottom, s.count_pad);
    const Window columns = window(left, s.kernel_w, s.dilation_w, s.width, s.pad_right, s.count_pad);
    const bool max = s.kind == schema::PoolKind::max;
    float sum = max ? -INFINITY : 0;
    for (int h = rows.first; h < rows.past; ++h)
      for (int w = columns.first; w < columns.past; ++w) {
        const int64_t row = image * s.height + top + int64_t(h) * s.dilation_h;
        const float v = Numbers::load(p.x, x, (row * s.width + left + int64_t(w) * s.dilation_w) * x_pitch + channel);
        if (max) sum = v > sum ? v : sum;
        else sum += v;
      }
    const int counted = rows.counted * columns.counted;
    Numbers::store(p.y, y, pixel * y_pitch + channel, max ? sum : sum / float(counted > 1 ? counted : 1));
  }
}

const char* refuse_kept(const PoolProblem& p) {
  if (!is_float(p.x) || !is_float(p.y)) return "types that are not real";
  return p.spec.kind != schema::PoolKind::max && p.spec.kind != schema::PoolKind::average
             ? "only the maximum and the average"
             : nullptr;
}
const char* refuse_singles(const PoolProblem& p) {
  return p.x != DType::f32 || p.y != DType::f32 ? "types other than f32" : refuse_kept(p);
}
double cost(const PoolProblem&) { return 1; }
double cost_of_kept(const PoolProblem&) { return 2; }
template <class Numbers> Failure run(const PoolProblem& p, const MapArgs& args, Stream* stream) {
  const int64_t count = p.batch * p.spec.out_height * p.spec.out_width * p.spec.channels;
  if (count == 0) return nullptr;
  return launch<void>(pool_taps<Numbers>, blocks_for(count, threads), threads, stream, p, args.x, args.y, count);
}
}  // namespace

Family<PoolProblem, MapArgs> pool_family() {
  static constexpr Row<PoolProblem, MapArgs> rows[] = {
      {"pool_f32_cuda", 80, threads, refuse_singles, cost, run<Singles>},
      {"pool_half_cuda", 80, threads, refuse_kept, cost_of_kept, run<Kept>}};
  return {rows, std::size(rows)};
}
}  // namespace kernels::cuda
