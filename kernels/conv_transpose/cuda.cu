// The transpose of a convolution as implicit products: pixels of y whose positions leave the same rest when divided by
// the strides see the same taps, so that each rest (a phase, blockIdx.y) is a product without holes.
#include "kernels/cuda/families.h"
#include "kernels/cuda/simt_tile.h"

namespace kernels::cuda {
namespace {
// The pixels and taps of a phase along one dim: y's at first + stride * i, which see tap k + period * j.
struct Phase {
  int64_t first, pixels;
  int tap, taps, period;
};
__host__ __device__ inline Phase phase_of(int rest, int64_t out, int kernel, int stride, int dilation, int pad) {
  Phase p{((rest - pad) % stride + stride) % stride, 0, 0, 0, 1};
  p.pixels = p.first < out ? (out - p.first + stride - 1) / stride : 0;
  while (int64_t(p.period) * dilation % stride) ++p.period;
  while (p.tap < p.period && int64_t(p.tap) * dilation % stride != rest) ++p.tap;
  if (p.tap < p.period && p.tap < kernel) p.taps = (kernel - p.tap + p.period - 1) / p.period;
  return p;
}

struct Phases {
  Phase rows, columns;
  __host__ __device__ Phases(const ConvTransposeProblem& p, int rest)
      : rows(phase_of(rest / p.stride_w, p.out_height, p.kernel_h, p.stride_h, p.dilation_h, p.pad_top)),
        columns(phase_of(rest % p.stride_w, p.out_width, p.kernel_w, p.stride_w, p.dilation_w, p.pad_left)) {}
  __host__ __device__ int64_t pixels(int64_t batch) const { return batch * rows.pixels * columns.pixels; }
  __host__ __device__ int taps() const { return rows.taps * columns.taps; }
  // The tap's number among all of the kernel.
  __device__ int64_t tap(int64_t i, int kernel_w) const {
    return (rows.tap + i / columns.taps * rows.period) * kernel_w + columns.tap + i % columns.taps * columns.period;
  }
};

struct Pixels {
  const float* base;
  const ConvTransposeProblem& p;
  Phases phases;
  struct Row {
    int64_t image, top, left;  // image -1: there is none
  };
  struct K {
    int64_t channel, up, back;
  };
  __device__ Row row(int64_t r) const {
    if (r >= phases.pixels(p.batch)) return {-1, 0, 0};
    const int64_t down = r / phases.columns.pixels;
    return {down / phases.rows.pixels, phases.rows.first + down % phases.rows.pixels * p.stride_h + p.pad_top,
            phases.columns.first + r % phases.columns.pixels * p.stride_w + p.pad_left};
  }
  __device__ K k(int64_t i) const {
    if (i >= phases.taps() * p.channels) return {-1, 0, 0};
    const int64_t tap = phases.tap(i / p.channels, p.kernel_w);
    return {i % p.channels, tap / p.kernel_w * p.dilation_h, tap % p.kernel_w * p.dilation_w};
  }
  __device__ const float* address(const Row& r, const K& k) const {
    const int64_t y = (r.top - k.up) / p.stride_h, x = (r.left - k.back) / p.stride_w;
    const bool inside =
        r.image >= 0 && k.channel >= 0 && r.top >= k.up && r.left >= k.back && y < p.height && x < p.width;
    return inside ? base + ((r.image * p.height + y) * p.width + x) * p.channels + k.channel : nullptr;
  }
};
struct Weights {
  const float* base;
  const ConvTransposeProblem& p;
  Phases phases;
  using Row = int64_t;
  using K = int64_t;
  __device__ Row row(int64_t c) const { return c < p.out_channels ? c : -1; }
  __device__ K k(int64_t i) const {
    if (i >= phases.taps() * p.channels) return -1;
    return (phases.tap(i / p.channels, p.kernel_w) * p.channels + i % p.channels) * p.out_channels;
  }
  __device__ const float* address(Row c, K i) const { return c < 0 || i < 0 ? nullptr : base + c + i; }
};

template <class Tile>
__global__ void __launch_bounds__(Tile::threads)
    conv_transpose_f32(const __grid_constant__ ConvTransposeProblem p, const float* x, const float* w,
                       const float* bias, float* y) {
  const Phases phases(p, int(blockIdx.y));
  const int64_t tiles_across = divide_up(p.out_channels, Tile::n), pixels = phases.pixels(p.batch),
                row0 = blockIdx.x / tiles_across * Tile::m;
  if (row0 >= pixels) return;
  multiply_tile<Tile, true, false>(
      Pixels{x, p, phases}, Weights{w, p, phases}, row0, blockIdx.x % tiles_across * Tile::n,
      phases.taps() * p.channels, [&](int64_t row, int64_t column, float sum) {
        if (row >= pixels || column >= p.out_channels) return;
        const int64_t down = row / phases.columns.pixels, image = down / phases.rows.pixels;
        const int64_t to_y = phases.rows.first + down % phases.rows.pixels * p.stride_h,
                      to_x = phases.columns.first + row % phases.columns.pixels * p.stride_w;
        y[((image * p.out_height + to_y) * p.out_width + to_x) * p.out_channels + column] =
            bias ? sum + bias[column] : sum;
      });
}

int64_t most_pixels(const ConvTransposeProblem& p) {  // of a phase
  return p.batch * divide_up(p.out_height, p.stride_h) * divide_up(p.out_width, p.stride_w);
}
const char* refusal(const ConvTransposeProblem& p) {
  return int64_t(p.stride_h) * p.stride_w > 65535 ? "more phases than a grid has" : nullptr;
}
template <class Tile> double cost(const ConvTransposeProblem& p) {
  const double phases = double(p.stride_h) * p.stride_w;
  return simt_cost<Tile>(double(most_pixels(p)), double(p.out_channels),
                         double(p.channels) * p.kernel_h * p.kernel_w / phases, phases);
}
template <class Tile> Failure run(const ConvTransposeProblem& p, const ConvTransposeArgs& args, Stream* stream) {
  const int64_t blocks = divide_up(most_pixels(p), Tile::m) * divide_up(p.out_channels, Tile::n);
  if (blocks == 0) return nullptr;
  if (blocks > INT32_MAX) return "a convolution of more tiles than a grid has";
  return launch<typename Tile::Shared>(conv_transpose_f32<Tile>,
                                       dim3(unsigned(blocks), unsigned(p.stride_h * p.stride_w)), Tile::threads, stream,
                                       p, args.x, args.w, args.bias, args.y);
}
}  // namespace

Family<ConvTransposeProblem, ConvTransposeArgs> conv_transpose_family() {
  static constexpr Row<ConvTransposeProblem, ConvTransposeArgs> rows[] = {
      {"conv_transpose_f32_cuda_128x128", 80, LargeTile::m, refusal, cost<LargeTile>, run<LargeTile>},
      {"conv_transpose_f32_cuda_64x64", 80, SmallTile::m, refusal, cost<SmallTile>, run<SmallTile>},
  };
  return {rows, std::size(rows)};
}
}  // namespace kernels::cuda
