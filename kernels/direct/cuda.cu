// Convolutions, their transposes and pooling as a model has them, for what tiles do not take: up to three spatial dims,
// channels in front of them, groups, and weights that only the run knows. One thread per element of y.
#include "kernels/cuda/families.h"
#include "kernels/cuda/numbers.h"

namespace kernels::cuda {
namespace {
constexpr int threads = 256;

// Where y's element i lies: its plane, and along each spatial dim.
struct Position {
  int64_t plane, at[WindowDims::count];
};
__device__ Position position(const WindowDims& w, int64_t i) {
  Position p;
  for (int d = WindowDims::count; d-- > 0; i /= w.out[d]) p.at[d] = i % w.out[d];
  p.plane = i;
  return p;
}
__host__ __device__ inline int64_t product(const int64_t (&n)[WindowDims::count]) { return n[0] * n[1] * n[2]; }

// The element of x along a dim that a tap reads for y's; -1: there is none.
__device__ int64_t source(const WindowDims& w, int d, int64_t at, int64_t tap) {
  const int64_t from = at * w.stride[d] + tap * w.dilation[d] - w.begin[d];
  return from >= 0 && from < w.in[d] ? from : -1;
}
// The same of a transposed convolution, in which x is what a convolution would make of y.
__device__ int64_t transposed_source(const WindowDims& w, int d, int64_t at, int64_t tap) {
  const int64_t from = at + w.begin[d] - tap * w.dilation[d];
  return from >= 0 && from % w.stride[d] == 0 && from / w.stride[d] < w.in[d] ? from / w.stride[d] : -1;
}
// Calls f(tap, offset in a plane of x) for each tap that meets x, in their order.
template <bool transposed, class F> __device__ void each_tap(const WindowDims& w, const Position& p, F&& f) {
  const auto from = [&](int d, int64_t tap) {
    return transposed ? transposed_source(w, d, p.at[d], tap) : source(w, d, p.at[d], tap);
  };
  for (int64_t i = 0; i < w.kernel[0]; ++i) {
    const int64_t z = from(0, i);
    if (z < 0) continue;
    for (int64_t j = 0; j < w.kernel[1]; ++j) {
      const int64_t y = from(1, j);
      if (y < 0) continue;
      for (int64_t k = 0; k < w.kernel[2]; ++k) {
        const int64_t x = from(2, k);
        if (x >= 0) f((i * w.kernel[1] + j) * w.kernel[2] + k, (z * w.in[1] + y) * w.in[2] + x);
      }
    }
  }
}

template <bool transposed>
__global__ void __launch_bounds__(threads)
    direct_conv(const __grid_constant__ DirectConvProblem p, const __grid_constant__ DirectConvArgs a, int64_t count) {
  const int64_t ins = p.channels / p.groups, outs = p.out_channels / p.groups, plane = product(p.dims.in),
                taps = product(p.dims.kernel);
  // From an input channel's weights to the next one's, which lie by output channels, or, transposed, by input channels.
  const int64_t step = transposed ? outs * taps : taps;
  for (int64_t i = linear_thread(); i < count; i += linear_threads()) {
    const Position at = position(p.dims, i);
    const int64_t channel = at.plane % p.out_channels, group = channel / outs,
                  first = transposed ? group * ins * step + channel % outs * taps : channel * ins * step;
    const float* x = a.x + (at.plane / p.out_channels * p.channels + group * ins) * plane;
    float sum = 0;
    each_tap<transposed>(p.dims, at, [&](int64_t tap, int64_t from) {
      for (int64_t c = 0; c < ins; ++c) sum += x[c * plane + from] * a.w[first + c * step + tap];
    });
    a.y[i] = a.bias ? sum + a.bias[channel] : sum;
  }
}

// How many taps of an average count along a dim.
__device__ int64_t counted(const DirectPoolProblem& p, int d, int64_t at) {
  const WindowDims& w = p.dims;
  const int64_t start = at * w.stride[d] - w.begin[d], limit = w.in[d] + (p.count_pad ? p.end[d] : 0);
  const int64_t first = p.count_pad || start >= 0 ? 0 : divide_up(-start, w.dilation[d]);
  const int64_t reach = limit <= start ? 0 : (limit - 1 - start) / w.dilation[d] + 1;
  const int64_t past = reach < w.kernel[d] ? reach : w.kernel[d];
  return past > first ? past - first : 0;
}
// The largest element of the window, where NaN is none, and where its first one lies in the plane.
__device__ void largest(const DirectPoolProblem& p, const DirectPoolArgs& a, const Position& at, int64_t i) {
  const int64_t plane = product(p.dims.in);
  const bool real = is_float(p.type);
  float best = real ? -INFINITY : p.type == DType::i8 ? -128 : 0;
  int64_t where = -1;
  each_tap<false>(p.dims, at, [&](int64_t, int64_t from) {
    const float v = real ? load_real(p.type, a.x, at.plane * plane + from)
                         : float(load_integer(p.type, a.x, at.plane * plane + from));
    if (v > best) best = v, where = from;
    else if (where < 0) where = from;
  });
  if (a.y) {
    if (real) store_real(p.type, a.y, i, best);
    else store_integer(p.type, a.y, i, int64_t(best));
  }
  if (!a.indices) return;
  if (where < 0) where = 0;
  if (p.column_major) {
    const int64_t x = where % p.dims.in[2], y = where / p.dims.in[2] % p.dims.in[1],
                  z = where / p.dims.in[2] / p.dims.in[1];
    where = z + p.dims.in[0] * (y + p.dims.in[1] * x);
  }
  a.indices[i] = at.plane * plane + where;
}
// A sum of elements, or of powers of their magnitudes.
__device__ float summed(const DirectPoolProblem& p, const DirectPoolArgs& a, const Position& at) {
  const int64_t plane = product(p.dims.in);
  const bool average = p.kind == schema::PoolKind::average;
  float sum = 0;
  each_tap<false>(p.dims, at, [&](int64_t, int64_t from) {
    const float v = load_real(p.type, a.x, at.plane * plane + from), size = std::fabs(v);
    sum += average ? v : p.p == 1 ? size : p.p == 2 ? v * v : std::pow(size, float(p.p));
  });
  if (average) {
    int64_t n = 1;
    for (int d = 0; d < WindowDims::count; ++d) n *= counted(p, d, at.at[d]);
    return sum / float(n > 1 ? n : 1);
  }
  return p.p == 1 ? sum : p.p == 2 ? std::sqrt(sum) : std::pow(sum, 1 / float(p.p));
}
__global__ void __launch_bounds__(threads)
    direct_pool(const __grid_constant__ DirectPoolProblem p, const __grid_constant__ DirectPoolArgs a, int64_t count) {
  for (int64_t i = linear_thread(); i < count; i += linear_threads()) {
    const Position at = position(p.dims, i);
    if (p.kind == schema::PoolKind::max) largest(p, a, at, i);
    else store_real(p.type, a.y, i, summed(p, a, at));
  }
}

double cost(const DirectConvProblem&) { return 1; }
const char* refusal(const DirectConvProblem& p) {
  return p.groups <= 0 || p.channels % p.groups || p.out_channels % p.groups ? "channels that do not divide into groups"
                                                                             : nullptr;
}
Failure run(const DirectConvProblem& p, const DirectConvArgs& args, Stream* stream) {
  const int64_t count = p.batch * p.out_channels * product(p.dims.out);
  if (count == 0) return nullptr;
  return launch<void>(p.transposed ? direct_conv<true> : direct_conv<false>, blocks_for(count, threads), threads,
                      stream, p, args, count);
}

double cost_of_pool(const DirectPoolProblem&) { return 1; }
const char* refuse_pool(const DirectPoolProblem& p) {
  const bool byte = p.kind == schema::PoolKind::max && (p.type == DType::i8 || p.type == DType::u8);
  return is_float(p.type) || byte ? nullptr : "types that are not real";
}
Failure run_pool(const DirectPoolProblem& p, const DirectPoolArgs& args, Stream* stream) {
  const int64_t count = p.planes * product(p.dims.out);
  if (count == 0) return nullptr;
  return launch<void>(direct_pool, blocks_for(count, threads), threads, stream, p, args, count);
}
}  // namespace

Family<DirectConvProblem, DirectConvArgs> direct_conv_family() {
  static constexpr Row<DirectConvProblem, DirectConvArgs> rows[] = {
      {"conv_direct_f32_cuda", 80, threads, refusal, cost, run}};
  return {rows, std::size(rows)};
}
Family<DirectPoolProblem, DirectPoolArgs> direct_pool_family() {
  static constexpr Row<DirectPoolProblem, DirectPoolArgs> rows[] = {
      {"pool_direct_cuda", 80, threads, refuse_pool, cost_of_pool, run_pool}};
  return {rows, std::size(rows)};
}
}  // namespace kernels::cuda
