#include <algorithm>
#include <cmath>
#include "engine/device_lowering.h"
#include "engine/ops/doubles.h"
#include "engine/ops/strides.h"
#include "engine/ops/taps.h"

namespace engine {
namespace {
using schema::GridPadding, schema::GridSample, schema::ResizeMode;

int64_t taps_per_dim(ResizeMode mode) { return mode == ResizeMode::nearest ? 1 : mode == ResizeMode::linear ? 2 : 4; }

Types infer(const GridSample& op, const InferContext& in) {
  in.expect_inputs(2, 2);
  in.expect_tensor(0);
  in.expect_class(1, schema::DTypeClass::real);
  const Type &x = in.in(0), &grid = in.in(1);
  check(op.mode == ResizeMode::nearest || x.dtype != DType::string, name(op.mode), " is not defined for strings");
  for (const Type* t : {&x, &grid})
    check(!t->ranked || (t->rank() >= 3 && t->rank() - 2 <= most_dims), "needs 1 to ", most_dims, " spatial dims, not ",
          to_text(*t));
  if (!x.ranked || !grid.ranked) return {Type::unranked(x.dtype)};
  check(x.rank() == grid.rank(), "x ", x, " and grid ", grid, " differ in rank");
  check(may_equal(x.dims[0], grid.dims[0]), "x ", x, " and grid ", grid, " differ in batch");
  check(may_equal(grid.dims.back(), x.rank() - 2), "the grid's places have ", grid.dims.back().text(),
        " coordinates in ", x.rank() - 2, " dims");
  Dims out{x.dims[0], x.dims[1]};
  out.insert(out.end(), grid.dims.begin() + 1, grid.dims.end() - 1);
  return {Type::tensor(x.dtype, out)};
}

// Mirrors a place at both ends until it lies between them.
double reflect(double at, double low, double high) {
  const double range = high - low, beyond = at < low ? low - at : at - high;
  if (!(beyond > 0)) return at;
  if (range <= 0) return low;
  const double rest = std::fmod(beyond, range);
  const bool from_low = (at < low) == (std::fmod(std::floor(beyond / range), 2) == 0);
  return from_low ? low + rest : high - rest;
}

Taps taps(const GridSample& op, double place, int64_t extent) {
  const double n = double(extent), low = op.align_corners ? 0 : -0.5, high = op.align_corners ? n - 1 : n - 0.5;
  double at = op.align_corners ? (place + 1) / 2 * (n - 1) : ((place + 1) * n - 1) / 2;
  // A place that misses a tie by the error of f32 is one.
  if (op.mode == ResizeMode::nearest) at = std::nearbyint(double(float(at)));
  if (op.padding == GridPadding::reflection) at = reflect(at, low, high);
  if (op.padding == GridPadding::border && !(at >= low && at <= high)) at = std::clamp(at, 0.0, n - 1);
  at = at >= -4 ? std::min(at, n + 4) : -4;  // far outside is outside, and so is NaN
  const double base = std::floor(at), t = at - base;
  const auto inside = [&](int64_t i) {
    if (op.padding == GridPadding::reflection) i = int64_t(reflect(double(i), low, high));
    if (op.padding != GridPadding::zeros) return std::clamp<int64_t>(i, 0, extent - 1);
    return i >= 0 && i < extent ? i : -1;
  };
  if (op.mode == ResizeMode::nearest) return {1, {inside(int64_t(at))}, {1}};
  if (op.mode == ResizeMode::linear) return {2, {inside(int64_t(base)), inside(int64_t(base) + 1)}, {1 - t, t}};
  constexpr double a = -0.75;
  const auto near = [](double d) { return ((a + 2) * d - (a + 3)) * d * d + 1; };
  const auto far = [](double d) { return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a; };
  Taps taps{4, {}, {far(1 + t), near(t), near(1 - t), far(2 - t)}};
  for (int k = 0; k < 4; ++k) taps.index[k] = inside(int64_t(base) - 1 + k);
  return taps;
}

// What one place reads: the products of its taps along each dim, without padding. Returns their count.
size_t parts_at(const GridSample& op, const ConstView& grid, int64_t place, std::span<const int64_t> in,
                std::span<Weighted> parts) {
  size_t count = 1;
  parts[0] = {0, 1};
  const int64_t dims = int64_t(in.size());
  for (int64_t d = 0; d < dims; ++d)
    count = join(parts, count, taps(op, load<double>(grid, place * dims + dims - 1 - d), in[size_t(d)]), in[size_t(d)]);
  return count;
}

void reference(const GridSample& op, RunContext& c) {
  const ConstView &x = c.in(0), &grid = c.in(1);
  const auto in = x.shape.subspan(2), out = grid.shape.subspan(1, in.size());
  Extents shape{x.shape[0], x.shape[1]};
  for (int64_t d : out) shape.push_back(d);
  const View y = c.set_out(0, x.dtype, shape);
  if (y.elements() == 0) return;
  const int64_t channels = x.shape[1], size = product(in), places = product(out);
  check(size > 0, "there is nothing to sample in ", shape_of(x));
  size_t most = 1;
  for (size_t d = 0; d < in.size(); ++d) most *= size_t(taps_per_dim(op.mode));
  const auto parts = c.workspace<Weighted>(2 * most);
  const Object zero = zero_of(x.dtype);
  with_mover(x.dtype, [&](auto mover) {
    with_reader<double>(x, [&](auto read) {
      for (int64_t n = 0; n < x.shape[0]; ++n)
        for (int64_t p = 0; p < places; ++p) {
          const size_t count = parts_at(op, grid, n * places + p, in, parts);
          for (int64_t ch = n * channels; ch < (n + 1) * channels; ++ch) {
            const int64_t to = ch * places + p;
            if (op.mode == ResizeMode::nearest) {
              if (count) mover.move(y.data, to, x.data, ch * size + parts[0].at);
              else copy_elements(y, to, zero.view(), 0, 1);
              continue;
            }
            double sum = 0;
            for (size_t i = 0; i < count; ++i) sum += parts[i].weight * read(ch * size + parts[i].at);
            store_doubles(y, to, std::span(&sum, 1));
          }
        }
    });
  });
}

double flops(const GridSample& op, std::span<const Type>, std::span<const Type> out) {
  if (!out[0].determined() || op.mode == ResizeMode::nearest) return 0;
  return 2 * double(elements(out[0].shape())) * std::pow(taps_per_dim(op.mode), double(out[0].rank() - 2));
}

std::optional<Lowered> lower(const GridSample& op, const LowerContext& c) {
  const DType dtype = c.in(0).dtype;
  if (!c.target || c.in(0).rank() != 4 || c.in(1).dtype != DType::f32 || (op.mode != ResizeMode::nearest && dtype != DType::f32) || bits_of(dtype) % 8) return std::nullopt;
  const Shape x = c.in(0).shape(), grid = c.in(1).shape();
  const kernels::cuda::GridSampleProblem p{op.mode, op.padding, op.align_corners, bits_of(dtype) / 8, x[0], x[1], x[2], x[3], grid[1] * grid[2]};
  return lower_on_device(c, &kernels::cuda::Backend::grid_sample, p, [x = device_input(c, 0), grid = device_input(c, 1)](RunContext& r) {
    return kernels::cuda::GridSampleArgs{x.at<void>(r), grid.at(r), out_at<void>(r)};
  });
}
}  // namespace

const OpDef<GridSample>& def(const GridSample&) {
  static constexpr OpDef<GridSample> def{.infer = infer, .reference = reference, .lower = lower, .on_device = true, .flops = flops};
  return def;
}
}  // namespace engine
