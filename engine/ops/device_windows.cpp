#include "engine/ops/device_windows.h"
#include "engine/device_lowering.h"
#include "engine/ops/conv_transpose.h"

namespace engine {
using kernels::cuda::WindowDims;

namespace {
// All but stride, dilation and what lies in front; false: there are too many dims, or more taps than a thread should
// take.
bool set_extents(WindowDims& w, std::span<const int64_t> in, std::span<const int64_t> out,
                 std::span<const int64_t> kernel) {
  constexpr int64_t most_taps = 1 << 20;
  if (in.size() > WindowDims::count) return false;
  int64_t taps = 1;
  for (size_t d = 0, to = WindowDims::count - in.size(); d < in.size(); ++d, ++to) {
    w.in[to] = in[d], w.out[to] = out[d], w.kernel[to] = kernel[d];
    if (kernel[d] > most_taps / taps) return false;
    taps *= kernel[d];
  }
  return true;
}
void set_window(WindowDims& w, size_t to, const Window& window, int64_t begin) {
  w.stride[to] = window.stride, w.dilation[to] = window.dilation, w.begin[to] = begin;
}

std::optional<Lowered> lower(const kernels::cuda::DirectConvProblem& problem, const LowerContext& c) {
  return lower_on_device(c, &kernels::cuda::Backend::direct_conv, problem,
                         [x = device_input(c, 0), w = device_input(c, 1), bias = device_input(c, 2)](RunContext& r) {
                           return kernels::cuda::DirectConvArgs{x.at(r), w.at(r), bias.at(r), out_at(r)};
                         });
}
}  // namespace

std::optional<Lowered> lower_direct(const schema::Conv& op, const LowerContext& c) {
  if (!c.target || c.in(0).dtype != DType::f32) return std::nullopt;
  const Shape x = c.in(0).shape(), w = c.in(1).shape(), y = c.out(0).shape();
  kernels::cuda::DirectConvProblem p{
      .dims = {}, .batch = x[0], .channels = x[1], .out_channels = y[1], .groups = op.groups};
  const auto in = std::span(x).subspan(2), kernel = std::span(w).subspan(2);
  if (!set_extents(p.dims, in, std::span(y).subspan(2), kernel)) return std::nullopt;
  const auto spatial = windows(op, in.size());
  for (size_t d = 0; d < in.size(); ++d)
    set_window(p.dims, WindowDims::count - in.size() + d, spatial[d], spatial[d].before(in[d], kernel[d]));
  return lower(p, c);
}

std::optional<Lowered> lower_direct(const schema::ConvTranspose& op, const LowerContext& c) {
  if (!c.target || c.in(0).dtype != DType::f32) return std::nullopt;
  const Shape x = c.in(0).shape(), w = c.in(1).shape(), y = c.out(0).shape();
  kernels::cuda::DirectConvProblem p{
      .dims = {}, .batch = x[0], .channels = x[1], .out_channels = y[1], .groups = op.groups, .transposed = true};
  const auto in = std::span(x).subspan(2), kernel = std::span(w).subspan(2);
  if (!set_extents(p.dims, in, std::span(y).subspan(2), kernel)) return std::nullopt;
  const auto spatial = all_windows(op, in.size());
  for (size_t d = 0; d < in.size(); ++d) {
    Dim extent;
    const Window window = resolve(op, d, spatial[d], in[d], kernel[d], &extent);
    set_window(p.dims, WindowDims::count - in.size() + d, window, window.begin);
  }
  return lower(p, c);
}

std::optional<Lowered> lower_direct(const schema::Pool& op, const LowerContext& c) {
  if (!c.target) return std::nullopt;
  const Shape x = c.in(0).shape(), y = (c.makes(0) ? c.out(0) : c.out(1)).shape();
  kernels::cuda::DirectPoolProblem p{.dims = {},
                                     .planes = x[0] * x[1],
                                     .kind = op.kind,
                                     .type = c.in(0).dtype,
                                     .p = op.p,
                                     .count_pad = op.count_pad,
                                     .column_major = op.column_major};
  const auto in = std::span(x).subspan(2);
  if (!set_extents(p.dims, in, std::span(y).subspan(2), op.kernel)) return std::nullopt;
  const auto spatial = windows(op, in.size());
  for (size_t d = 0; d < in.size(); ++d) {
    const size_t to = WindowDims::count - in.size() + d;
    set_window(p.dims, to, spatial[d], spatial[d].before(in[d], op.kernel[d]));
    // The padding that auto_pad chose ends with the last window.
    p.end[to] = spatial[d].same() ? op.kernel[d] * spatial[d].dilation : spatial[d].end;
  }
  return lower_on_device(c, &kernels::cuda::Backend::direct_pool, p, [x = device_input(c, 0)](RunContext& r) {
    return kernels::cuda::DirectPoolArgs{x.at<void>(r), out_at<void>(r), out_at<int64_t>(r, 1)};
  });
}
}  // namespace engine
