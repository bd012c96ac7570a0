// Convolution as an implicit product: rows are pixels of y, k runs over (kernel row, kernel column, channel). And one
// thread per element of y, for groups of few channels.
#include "kernels/cuda/epilogue.h"
#include "kernels/cuda/families.h"
#include "kernels/cuda/simt_tile.h"
#include "kernels/cuda/splits.h"

namespace kernels::cuda {
namespace {
// What kernels need of a ConvProblem.
struct Geometry {
  int64_t batch, height, width, channels, out_height, out_width, out_channels;
  int64_t in, out;                              // channels of a group
  int64_t pixel, channel, row, image, y_pitch;  // elements from one to the next in x, from pixel to pixel in y
  DType x_type, y_type;
  int kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;

  explicit Geometry(const ConvProblem& p) {
    const conv::Spec& s = p.spec;
    batch = p.batch, height = p.height, width = s.width, channels = s.channels;
    out_height = s.out_height(p.height), out_width = s.out_width(), out_channels = s.out_channels;
    in = channels / s.groups, out = out_channels / s.groups;
    pixel = s.nchw_input ? 1 : s.in_pitch(), channel = s.nchw_input ? height * width : 1;
    row = width * pixel, image = s.nchw_input ? channels * height * width : height * row, y_pitch = s.out_pitch();
    kernel_h = s.kernel_h, kernel_w = s.kernel_w, stride_h = s.stride_h, stride_w = s.stride_w;
    x_type = p.kept.x, y_type = p.kept.y;
    dilation_h = s.dilation_h, dilation_w = s.dilation_w, pad_top = s.pad_top, pad_left = s.pad_left;
  }
  __host__ __device__ int64_t pixels() const { return batch * out_height * out_width; }
};

// With a vector: that many channels at a time.
template <class T = float, int vector_ = 1> struct Pixels {
  static constexpr int vector = vector_;
  const T* base;  // of the group
  Geometry g;
  struct Row {
    int64_t offset, top, left;  // tap 0 of the pixel; offset -1: there is none
  };
  struct K {
    int64_t offset, down, right;
  };
  __device__ Row row(int64_t r) const {
    if (r >= g.pixels()) return {-1, 0, 0};
    const int64_t image = r / (g.out_height * g.out_width), at = r % (g.out_height * g.out_width);
    return {image * g.image, at / g.out_width * g.stride_h - g.pad_top, at % g.out_width * g.stride_w - g.pad_left};
  }
  __device__ K k(int64_t i) const {
    const int64_t tap = i / g.in;
    if (tap >= int64_t(g.kernel_h) * g.kernel_w) return {-1, 0, 0};
    return {i % g.in * g.channel, tap / g.kernel_w * g.dilation_h, tap % g.kernel_w * g.dilation_w};
  }
  __device__ const T* address(const Row& r, const K& k) const {
    const int64_t y = r.top + k.down, x = r.left + k.right;
    if (r.offset < 0 || k.offset < 0 || y < 0 || y >= g.height || x < 0 || x >= g.width) return nullptr;
    return base + r.offset + y * g.row + x * g.pixel + k.offset;
  }
};
// A channel of a pixel of y.
__device__ void keep(const Geometry& g, void* y, float sum, int64_t row, int64_t column, const float* bias,
                     const Epilogue& chain) {
  keep(chain, g.y_type, y, row * g.y_pitch + column, bias ? sum + bias[column] : sum, row, column);
}

struct Weights {
  const float* base;  // of the group
  int64_t columns, k_step, ks;
  using Row = int64_t;
  using K = int64_t;
  __device__ Row row(int64_t c) const { return c < columns ? c : -1; }
  __device__ K k(int64_t i) const { return i < ks ? i * k_step : -1; }
  __device__ const float* address(Row c, K i) const { return c < 0 || i < 0 ? nullptr : base + c + i; }
};

template <class Tile, bool along_channels>
__global__ void __launch_bounds__(Tile::threads)
    conv_f32(const __grid_constant__ Geometry g, const float* x, const float* w, const float* bias, void* y,
             const __grid_constant__ Epilogue chain) {
  const int64_t group = blockIdx.y, first = group * g.out, tiles_across = divide_up(g.out, Tile::n);
  const Pixels<> pixels{x + group * g.in * g.channel, g};
  const int64_t ks = g.in * g.kernel_h * g.kernel_w;
  const Weights weights{w + first, g.out, g.out_channels, ks};
  multiply_tile<Tile, along_channels, false>(pixels, weights, blockIdx.x / tiles_across * Tile::m,
                                             blockIdx.x % tiles_across * Tile::n, ks,
                                             [&](int64_t row, int64_t column, float sum) {
                                               if (row < g.pixels() && column < g.out)
                                                 keep(g, y, sum, row, first + column, bias, chain);
                                             });
}

// w as [out channel][k]. blockIdx.z: the part of k, whose sums go to `parts` if there are several.
template <class T, int vector_> struct WeightRows {
  static constexpr int vector = vector_;
  const T* base;  // of the group
  int64_t columns, ks;
  using Row = int64_t;
  using K = int64_t;
  __device__ Row row(int64_t c) const { return c < columns ? c * ks : -1; }
  __device__ K k(int64_t i) const { return i < ks ? i : -1; }
  __device__ const T* address(Row c, K i) const { return c < 0 || i < 0 ? nullptr : base + c + i; }
};
template <class Tile, bool along_channels, class X, int vector_x, int vector_w>
__global__ void __launch_bounds__(Tile::threads)
    conv_mma(const __grid_constant__ Geometry g, const X* x, const typename Tile::Element* w, const float* bias,
             void* y, float* parts, const __grid_constant__ Epilogue chain) {
  const int64_t group = blockIdx.y, first = group * g.out, tiles_across = divide_up(g.out, Tile::n);
  const int64_t ks = g.in * g.kernel_h * g.kernel_w, length = split_length<Tile>(ks, gridDim.z),
                k0 = blockIdx.z * length;
  float* part = parts + blockIdx.z * g.pixels() * g.out_channels;
  multiply_mma<Tile, along_channels, true>(Pixels<X, vector_x>{x + group * g.in * g.channel, g},
                                           WeightRows<typename Tile::Element, vector_w>{w + first * ks, g.out, ks},
                                           blockIdx.x / tiles_across * Tile::m, blockIdx.x % tiles_across * Tile::n, k0,
                                           k0 + length < ks ? k0 + length : ks,
                                           [&](int64_t row, int64_t column, float sum) {
                                             if (row >= g.pixels() || column >= g.out) return;
                                             if (gridDim.z > 1) part[row * g.out_channels + first + column] = sum;
                                             else keep(g, y, sum, row, first + column, bias, chain);
                                           });
}

constexpr int threads = 256;
template <class Numbers>
__global__ void __launch_bounds__(threads) grouped(const __grid_constant__ Geometry g, const void* x, const float* w,
                                                   const float* bias, void* y, const __grid_constant__ Epilogue chain) {
  const Pixels<> pixels{nullptr, g};
  for (int64_t i = linear_thread(); i < g.pixels() * g.out_channels; i += linear_threads()) {
    const int64_t pixel = i / g.out_channels, column = i % g.out_channels, first = column / g.out * g.in;
    const Pixels<>::Row row = pixels.row(pixel);
    float sum = 0;
    for (int kh = 0; kh < g.kernel_h; ++kh) {
      const int64_t from_y = row.top + int64_t(kh) * g.dilation_h;
      if (from_y < 0 || from_y >= g.height) continue;
      for (int kw = 0; kw < g.kernel_w; ++kw) {
        const int64_t from_x = row.left + int64_t(kw) * g.dilation_w;
        if (from_x < 0 || from_x >= g.width) continue;
        const int64_t from = row.offset + from_y * g.row + from_x * g.pixel + first * g.channel;
        const float* by = w + (int64_t(kh) * g.kernel_w + kw) * g.in * g.out_channels + column;
        for (int64_t c = 0; c < g.in; ++c)
          sum += Numbers::load(g.x_type, x, from + c * g.channel) * by[c * g.out_channels];
      }
    }
    keep(g, y, sum, pixel, column, bias, chain);
  }
}

const char* refuse_spec(const ConvProblem& p) {
  return p.spec.by_rows          ? "only whole images"
         : p.spec.groups > 65535 ? "more groups than a grid has"
                                 : refusal_of(p.spec.epilogue, p.kept);
}
const char* refuse_kept_x(const ConvProblem& p) {
  return p.weights != Precision::f32 ? "weights that lie as another precision has them" : refuse_spec(p);
}
const char* refusal(const ConvProblem& p) {
  return p.kept.x != DType::f32 ? "an x that is not in f32" : refuse_kept_x(p);
}
double multiply_adds(const Geometry& g) {
  return double(g.pixels()) * double(g.out_channels) * double(g.in) * g.kernel_h * g.kernel_w;
}

template <class Tile> double cost_of_gemm(const ConvProblem& p) {
  const Geometry g(p);
  return simt_cost<Tile>(double(g.pixels()), double(g.out), double(g.in) * g.kernel_h * g.kernel_w,
                         double(p.spec.groups));
}
template <class Tile> Failure run_gemm(const ConvProblem& p, const ConvArgs& args, Stream* stream) {
  const Geometry g(p);
  const int64_t blocks = divide_up(g.pixels(), Tile::m) * divide_up(g.out, Tile::n);
  if (blocks == 0) return nullptr;
  if (blocks > INT32_MAX) return "a convolution of more tiles than a grid has";
  const auto go = [&](auto kernel) {
    return launch<typename Tile::Shared>(kernel, dim3(unsigned(blocks), unsigned(p.spec.groups)), Tile::threads, stream,
                                         g, static_cast<const float*>(args.x), static_cast<const float*>(args.w),
                                         p.spec.bias ? args.bias : nullptr, args.y,
                                         Epilogue(p.spec.epilogue, args.operands.data(), p.kept));
  };
  return p.spec.nchw_input ? go(conv_f32<Tile, false>) : go(conv_f32<Tile, true>);
}

// A thread has one sum, and waits for memory: a multiply-add takes some eight times as long as in a tile.
double cost_of_grouped(const ConvProblem& p) { return multiply_adds(Geometry(p)) * 8 / 64 / 108; }
Failure run_grouped(const ConvProblem& p, const ConvArgs& args, Stream* stream) {
  const Geometry g(p);
  const int64_t count = g.pixels() * g.out_channels;
  if (count == 0) return nullptr;
  return launch<void>(p.kept.x == DType::f32 ? grouped<Singles> : grouped<Kept>, blocks_for(count, threads), threads,
                      stream, g, args.x, static_cast<const float*>(args.w), p.spec.bias ? args.bias : nullptr, args.y,
                      Epilogue(p.spec.epilogue, args.operands.data(), p.kept));
}

int64_t ks_of(const Geometry& g) { return g.in * g.kernel_h * g.kernel_w; }
template <class Tile> int64_t splits_of(const ConvProblem& p) {
  const Geometry g(p);
  return cuda::splits_of<Tile>(g.pixels(), g.out, ks_of(g), p.spec.groups);
}
template <class Tile> const char* refuse_mma(const ConvProblem& p) {
  if (const char* reason = refuse_precision(p.precision, Tile::Type::precision)) return reason;
  if (const char* reason = refuse_kept(p.kept, Tile::Type::precision)) return reason;
  return p.weights != p.precision ? "weights that lie as another precision has them" : refuse_spec(p);
}
template <class Tile> double cost_of_mma(const ConvProblem& p) {
  const Geometry g(p);
  return mma_cost<Tile>(double(g.pixels()), double(g.out), double(ks_of(g)), double(p.spec.groups));
}
template <class Tile> int64_t scratch_of_mma(const ConvProblem& p) {
  const Geometry g(p);
  const int64_t splits = splits_of<Tile>(p);
  return splits > 1 ? splits * g.pixels() * g.out_channels * int64_t(sizeof(float)) : 0;
}
template <class Tile> Failure run_mma(const ConvProblem& p, const ConvArgs& args, Stream* stream) {
  using Element = typename Tile::Element;
  constexpr int vector_w = 16 / sizeof(Element);
  const Geometry g(p);
  const int64_t blocks = divide_up(g.pixels(), Tile::m) * divide_up(g.out, Tile::n), splits = splits_of<Tile>(p);
  if (blocks == 0) return nullptr;
  if (blocks > INT32_MAX) return "a convolution of more tiles than a grid has";
  const float* bias = p.spec.bias ? args.bias : nullptr;
  auto* parts = static_cast<float*>(args.scratch);
  const Epilogue chain(p.spec.epilogue, args.operands.data(), p.kept);
  const auto go = [&](auto of_x) {  // of the type that x has in memory
    using X = decltype(of_x);
    constexpr int vector_x = 16 / sizeof(X);
    const bool vectors = !p.spec.nchw_input && g.in % vector_x == 0 && g.pixel % vector_x == 0 &&
                         ks_of(g) % vector_w == 0 && is_aligned(args.x) && is_aligned(args.w);
    return launch<typename Tile::Shared>(
        vectors ? conv_mma<Tile, true, X, vector_x, vector_w> : conv_mma<Tile, false, X, 1, 1>,
        dim3(unsigned(blocks), unsigned(p.spec.groups), unsigned(splits)), Tile::threads, stream, g,
        static_cast<const X*>(args.x), static_cast<const Element*>(args.w), bias, args.y, parts, chain);
  };
  const Failure failure = p.kept.x == DType::f32 ? go(float{}) : go(Element{});
  if (failure || splits == 1) return failure;
  return launch<void>(sum_splits, blocks_for(g.pixels() * g.out_channels, threads), threads, stream, chain, parts,
                      splits, g.pixels(), g.out_channels, bias, p.kept.y, args.y, g.y_pitch);
}
template <class Tile> constexpr Row<ConvProblem, ConvArgs> mma_row(const char* name) {
  return {name, 80, Tile::m, refuse_mma<Tile>, cost_of_mma<Tile>, run_mma<Tile>, scratch_of_mma<Tile>};
}
}  // namespace

Family<ConvProblem, ConvArgs> conv_family() {
  static constexpr Row<ConvProblem, ConvArgs> rows[] = {
      {"conv_f32_cuda_128x128", 80, LargeTile::m, refusal, cost_of_gemm<LargeTile>, run_gemm<LargeTile>},
      {"conv_f32_cuda_64x64", 80, SmallTile::m, refusal, cost_of_gemm<SmallTile>, run_gemm<SmallTile>},
      {"grouped_f32_cuda", 80, threads, refuse_kept_x, cost_of_grouped, run_grouped},
      mma_row<MmaTile<Tf32, 128, 128, 2, 4>>("conv_tf32_cuda_128x128"),
      mma_row<MmaTile<Tf32, 64, 64, 2, 2>>("conv_tf32_cuda_64x64"),
      mma_row<MmaTile<Half, 128, 128, 2, 4>>("conv_f16_cuda_128x128"),
      mma_row<MmaTile<Half, 64, 64, 2, 2>>("conv_f16_cuda_64x64"),
      mma_row<MmaTile<Bfloat, 128, 128, 2, 4>>("conv_bf16_cuda_128x128"),
      mma_row<MmaTile<Bfloat, 64, 64, 2, 2>>("conv_bf16_cuda_64x64"),
  };
  return {rows, std::size(rows)};
}
}  // namespace kernels::cuda
