// Convolution whose taps are moved (Dai et al., Deformable Convolutional Networks, 2017): of one image at a time, what
// taps read becomes the columns of a matrix in scratch, for a row of the gemm family.
#include "kernels/cuda/families.h"
#include "kernels/cuda/numbers.h"

namespace kernels::cuda {
namespace {
constexpr int threads = 256;
constexpr int64_t channels_at_once = 8;  // which share a place and its weights

// columns [channels * taps, places]
__global__ void __launch_bounds__(threads) sample(const __grid_constant__ DeformConvProblem p, const float* x,
                                                  const float* offset, const float* mask, float* columns) {
  const int64_t taps = int64_t(p.kernel_h) * p.kernel_w, places = p.out_height * p.out_width,
                group = p.channels / p.offset_groups, parts = divide_up(group, channels_at_once);
  for (int64_t i = linear_thread(); i < p.offset_groups * parts * taps * places; i += linear_threads()) {
    const int64_t place = i % places, tap = i / places % taps, part = i / places / taps % parts,
                  g = i / places / taps / parts, features = (g * taps + tap) * places + place;
    const float* moved = offset + ((g * taps + tap) * 2) * places + place;
    const float by = mask ? mask[features] : 1;
    const double at[] = {
        double(place / p.out_width * p.stride_h + tap / p.kernel_w * p.dilation_h - p.pad_top) + double(moved[0]),
        double(place % p.out_width * p.stride_w + tap % p.kernel_w * p.dilation_w - p.pad_left) +
            double(moved[places])};
    const int64_t extents[] = {p.height, p.width};
    bool inside = true;
    int64_t low[2] = {};
    float t[2] = {};
    for (int d = 0; d < 2; ++d) {
      inside = inside && at[d] > -1 && at[d] < double(extents[d]);
      if (!inside) continue;
      low[d] = int64_t(std::floor(at[d]));
      t[d] = float(at[d] - double(low[d]));
    }
    for (int64_t c = part * channels_at_once; c < (part + 1) * channels_at_once && c < group; ++c) {
      const int64_t channel = g * group + c;
      float sum = 0;
      for (int k = 0; inside && k < 4; ++k) {
        const int64_t row = low[0] + k / 2, column = low[1] + k % 2;
        if (row < 0 || row >= p.height || column < 0 || column >= p.width) continue;
        const float weight = (k / 2 ? t[0] : 1 - t[0]) * (k % 2 ? t[1] : 1 - t[1]);
        sum += weight * x[(channel * p.height + row) * p.width + column];
      }
      columns[(channel * taps + tap) * places + place] = by * sum;
    }
  }
}

// Of one group and one image.
GemmProblem product(const DeformConvProblem& p) {
  const int64_t taps = int64_t(p.kernel_h) * p.kernel_w, places = p.out_height * p.out_width;
  GemmProblem g{.m = p.out_channels / p.groups, .n = places, .k = p.channels / p.groups * taps};
  g.lda = g.k, g.ldb = g.ldc = places, g.precision = p.precision;
  if (p.biased) g.chain.push(pointwise::Stage::of(schema::BinaryKind::add, 0, pointwise::Mode::per_row));
  return g;
}
const auto* row_of(const GemmProblem& g) {
  constexpr int least = 80;  // all rows of the backend run there
  return select(gemm_family(), g, least);
}
int64_t bytes_of_columns(const DeformConvProblem& p) {
  const int64_t floats = p.channels * p.kernel_h * p.kernel_w * p.out_height * p.out_width;
  return divide_up(floats * int64_t(sizeof(float)), 256) * 256;
}
const char* refusal(const DeformConvProblem& p) {
  if (p.groups <= 0 || p.offset_groups <= 0 || p.channels % p.groups || p.out_channels % p.groups ||
      p.channels % p.offset_groups)
    return "channels that do not divide into groups";
  return row_of(product(p)) ? nullptr : "no kernel for the product";
}
double cost(const DeformConvProblem&) { return 1; }
int64_t scratch(const DeformConvProblem& p) {
  const GemmProblem g = product(p);
  const auto* row = row_of(g);
  return bytes_of_columns(p) + (row && row->scratch ? row->scratch(g) : 0);
}
Failure run(const DeformConvProblem& p, const DeformConvArgs& args, Stream* stream) {
  const GemmProblem g = product(p);
  const auto* row = row_of(g);
  const int64_t taps = int64_t(p.kernel_h) * p.kernel_w, places = g.n, moves = p.offset_groups * taps * places;
  auto* const columns = static_cast<float*>(args.scratch);
  if (p.out_channels * places == 0) return nullptr;
  for (int64_t n = 0; n < p.batch; ++n) {
    const int64_t parts = divide_up(p.channels / p.offset_groups, channels_at_once);
    if (moves > 0 && parts > 0)
      if (Failure f = launch<void>(sample, blocks_for(moves * parts, threads), threads, stream, p,
                                   args.x + n * p.channels * p.height * p.width, args.offset + n * moves * 2,
                                   args.mask ? args.mask + n * moves : nullptr, columns))
        return f;
    for (int64_t group = 0; group < p.groups; ++group) {
      GemmArgs to{args.w + group * g.m * g.k,
                  columns + group * g.k * places,
                  args.y + (n * p.out_channels + group * g.m) * places,
                  {}};
      to.operands[0].data = args.bias ? args.bias + group * g.m : nullptr;
      to.scratch = static_cast<std::byte*>(args.scratch) + bytes_of_columns(p);
      if (Failure f = row->run(g, to, stream)) return f;
    }
  }
  return nullptr;
}
}  // namespace

Family<DeformConvProblem, DeformConvArgs> deform_conv_family() {
  static constexpr Row<DeformConvProblem, DeformConvArgs> rows[] = {
      {"deform_conv_cuda", 80, threads, refusal, cost, run, scratch}};
  return {rows, std::size(rows)};
}
}  // namespace kernels::cuda
