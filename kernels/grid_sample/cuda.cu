// Sampling of images at places that another tensor names: a thread takes one place of a few channels, so that places
// are worked out once for them. Places are in double, as ties and edges of large images want it.
#include "kernels/cuda/elements.h"
#include "kernels/cuda/families.h"

namespace kernels::cuda {
namespace {
using schema::GridPadding, schema::ResizeMode;
constexpr int threads = 256, most_taps = 4, channels = 8;

// What a place reads along a dim; an index of -1 reads 0.
struct Taps {
  int count;
  int64_t index[most_taps];
  float weight[most_taps];
};

// Mirrors a place at both ends until it lies between them.
__device__ double reflect(double at, double low, double high) {
  const double range = high - low, beyond = at < low ? low - at : at - high;
  if (!(beyond > 0)) return at;
  if (range <= 0) return low;
  const double rest = std::fmod(beyond, range);
  const bool from_low = (at < low) == (std::fmod(std::floor(beyond / range), 2.0) == 0);
  return from_low ? low + rest : high - rest;
}
__device__ int64_t inside(const GridSampleProblem& p, int64_t i, int64_t extent, double low, double high) {
  if (p.padding == GridPadding::reflection) i = int64_t(reflect(double(i), low, high));
  if (p.padding != GridPadding::zeros) return i < 0 ? 0 : i < extent ? i : extent - 1;
  return i >= 0 && i < extent ? i : -1;
}
__device__ Taps taps(const GridSampleProblem& p, double place, int64_t extent) {
  const auto n = double(extent);
  const double low = p.align_corners ? 0 : -0.5, high = p.align_corners ? n - 1 : n - 0.5;
  double at = p.align_corners ? (place + 1) / 2 * (n - 1) : ((place + 1) * n - 1) / 2;
  if (p.mode == ResizeMode::nearest) at = std::nearbyint(double(float(at)));  // a tie but for the error of f32 is one
  if (p.padding == GridPadding::reflection) at = reflect(at, low, high);
  if (p.padding == GridPadding::border && !(at >= low && at <= high)) at = at < 0 ? 0 : at > n - 1 ? n - 1 : at;
  at = at >= -4 ? (at < n + 4 ? at : n + 4) : -4;  // far outside is outside, and so is NaN
  const double base = std::floor(at), t = at - base;
  const auto from = [&](int64_t i) { return inside(p, i, extent, low, high); };
  const auto first = int64_t(base);
  if (p.mode == ResizeMode::nearest) return {1, {from(int64_t(at))}, {1}};
  if (p.mode == ResizeMode::linear) return {2, {from(first), from(first + 1)}, {float(1 - t), float(t)}};
  constexpr double a = -0.75;
  const auto near = [](double d) { return float(((a + 2) * d - (a + 3)) * d * d + 1); };
  const auto far = [](double d) { return float(((a * d - 5 * a) * d + 8 * a) * d - 4 * a); };
  return {4,
          {from(first - 1), from(first), from(first + 1), from(first + 2)},
          {far(1 + t), near(t), near(1 - t), far(2 - t)}};
}

template <class T>
__global__ void __launch_bounds__(threads)
    grid_sample(GridSampleProblem p, const T* x, const float* grid, T* y, int64_t parts) {
  for (int64_t i = linear_thread(); i < p.batch * parts * p.places; i += linear_threads()) {
    const int64_t place = i % p.places, image = i / p.places / parts, first = i / p.places % parts * channels,
                  past = first + channels < p.channels ? first + channels : p.channels;
    const float* at = grid + (image * p.places + place) * 2;
    const Taps columns = taps(p, double(at[0]), p.width), rows = taps(p, double(at[1]), p.height);
    for (int64_t c = first; c < past; ++c) {
      const T* from = x + (image * p.channels + c) * p.height * p.width;
      T& to = y[(image * p.channels + c) * p.places + place];
      if (p.mode == ResizeMode::nearest) {
        to = rows.index[0] < 0 || columns.index[0] < 0 ? T(0) : from[rows.index[0] * p.width + columns.index[0]];
        continue;
      }
      if constexpr (std::is_same_v<T, float>) {
        float sum = 0;
        for (int r = 0; r < rows.count; ++r)
          for (int k = 0; k < columns.count; ++k)
            if (rows.index[r] >= 0 && columns.index[k] >= 0)
              sum += rows.weight[r] * columns.weight[k] * from[rows.index[r] * p.width + columns.index[k]];
        to = sum;
      }
    }
  }
}

const char* refusal(const GridSampleProblem& p) {
  if (p.mode != ResizeMode::nearest && p.element_bytes != 4) return "sums of anything but f32";
  if (p.height <= 0 || p.width <= 0) return "nothing to sample in";
  return is_word(p.element_bytes) ? nullptr : "elements of another size";
}
double cost(const GridSampleProblem&) { return 1; }
Failure run(const GridSampleProblem& p, const GridSampleArgs& args, Stream* stream) {
  const int64_t parts = divide_up(p.channels, channels), count = p.batch * parts * p.places;
  if (count == 0) return nullptr;
  const auto go = [&](auto element) {
    using T = decltype(element);
    return launch<void>(grid_sample<T>, blocks_for(count, threads), threads, stream, p, static_cast<const T*>(args.x),
                        args.grid, static_cast<T*>(args.y), parts);
  };
  return p.mode == ResizeMode::nearest ? with_word(p.element_bytes, go) : go(float{});
}
}  // namespace

Family<GridSampleProblem, GridSampleArgs> grid_sample_family() {
  static constexpr Row<GridSampleProblem, GridSampleArgs> rows[] = {
      {"grid_sample_cuda", 80, threads, refusal, cost, run}};
  return {rows, std::size(rows)};
}
}  // namespace kernels::cuda
