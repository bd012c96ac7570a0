// The spatial dims of convolutions and poolings.
#pragma once
#include <algorithm>
#include "engine/op.h"

namespace engine {
// One spatial dim: output o reads x at o * stride + r * dilation - begin, for r up to the kernel's extent.
struct Window {
  int64_t stride = 1, dilation = 1, begin = 0, end = 0;
  schema::AutoPad auto_pad = schema::AutoPad::none;
  bool ceil = false;

  bool same() const { return auto_pad == schema::AutoPad::same_upper || auto_pad == schema::AutoPad::same_lower; }
  Dim reach(const Dim& kernel) const { return (kernel - 1) * dilation + 1; }

  // The output's extent. With `ceil` it is rounded up, but no window starts behind x.
  Dim out(const Dim& in, const Dim& kernel) const {
    if (same()) return (in + (stride - 1)) / stride;
    const Dim covered = reach(kernel), room = in + (begin + end) - covered;
    check(!room.known() || room.value() >= 0, "a kernel that reaches over ", covered, " does not fit into ", in,
          " padded by ", begin, " and ", end);
    if (!ceil) return room / stride + 1;
    const Dim steps = (room + (stride - 1)) / stride;
    if (covered.known() && end + stride <= covered.value()) return steps + 1;
    if (!steps.known() || !in.known()) return Dim::unknown();
    return steps.value() * stride >= in.value() + begin ? steps : steps + 1;
  }

  // The padding in front of x, with auto_pad resolved; `total` is that on both sides together.
  int64_t before(int64_t total) const {
    if (!same()) return begin;
    return auto_pad == schema::AutoPad::same_upper ? total / 2 : total - total / 2;
  }
  int64_t before(int64_t in, int64_t kernel) const {
    const int64_t last = (in + stride - 1) / stride - 1;
    return before(std::max<int64_t>(0, last * stride + (kernel - 1) * dilation + 1 - in));
  }
};

// Operations of a convolution by weights [M,...]: each output is a sum over all weights of a channel.
inline double conv_flops(std::span<const Type> in, std::span<const Type> out) {
  if (!in[1].determined() || !out[0].determined() || in[1].dims[0] == Dim(0)) return 0;
  return 2.0 * double(largest_elements(out[0])) * double(largest_elements(in[1])) / double(in[1].dims[0].value());
}

// One per spatial dim, from the lists of an op. Every number in them fits 31 bits, so that sums of products cannot overflow.
template <class Op> std::vector<Window> windows(const Op& op, size_t dims) {
  const auto at = [&](const schema::Ints& list, size_t full, size_t i, int64_t least, const char* what) {
    check(list.empty() || list.size() == full, what, " has ", list.size(), " entries where ", full, " are needed");
    const int64_t value = list.empty() ? least : list[i];
    check(value >= least && value <= INT32_MAX, what, ' ', value, " is out of range");
    return value;
  };
  std::vector<Window> all(dims);
  for (size_t d = 0; d < dims; ++d) {
    Window& w = all[d];
    w.stride = at(op.stride, dims, d, 1, "stride"), w.dilation = at(op.dilation, dims, d, 1, "dilation");
    if constexpr (requires { op.auto_pad; }) w.auto_pad = op.auto_pad;
    if constexpr (requires { op.ceil_mode; }) w.ceil = op.ceil_mode;
    const int64_t begin = at(op.pad, 2 * dims, d, 0, "pad"), end = at(op.pad, 2 * dims, d + dims, 0, "pad");
    if (w.auto_pad == schema::AutoPad::none) w.begin = begin, w.end = end;
  }
  return all;
}
// Cost::border of an op whose windows reach over `kernel` rows of x; channels last, or planes of rows.
inline double border_of(const Type& x, bool planes, const Window& rows, int64_t kernel) {
  const Shape shape = x.determined() ? x.shape() : Shape();
  if (shape.empty() || shape[0] != 1) return 0;  // images are shared, not rows
  const int64_t height = shape[planes ? 2 : 1], shared = std::clamp<int64_t>((kernel - 1) * rows.dilation + 1 - rows.stride, 0, height);
  return height ? double(bytes_of(x.dtype, shape)) * double(shared) / double(height) : 0;
}
inline void check_kernel(const Dim& extent) {
  check(!extent.known() || (extent.value() >= 1 && extent.value() <= INT32_MAX), "kernel extent ", extent,
        " is out of range");
}

// A row of outputs that one tap of the kernel takes part in: flat offsets into the spatial dims of the output and of x.
struct Run {
  int64_t out, in;
};

// Calls f(tap, runs, count, step) for each tap of the kernel that meets x: output runs[i].out + j uses x at
// runs[i].in + j * step, for j < count. `before` is the padding in front.
template <class F> void for_each_tap(const std::vector<Window>& windows, std::span<const int64_t> before, std::span<const int64_t> in,
                                     std::span<const int64_t> kernel, std::span<const int64_t> out, F&& f) {
  const size_t dims = in.size();
  bool plain = true;  // each output uses the element at its own place
  for (size_t d = 0; d < dims; ++d) plain &= kernel[d] == 1 && windows[d].stride == 1 && before[d] == 0 && in[d] == out[d];
  std::vector<Run> runs{{0, 0}}, wider;
  if (plain) return f(0, runs, elements(in), 1);
  Shape first(dims), past(dims);  // the taps that can meet x
  for (size_t d = 0; d < dims; ++d) {
    const int64_t dilation = windows[d].dilation, gap = before[d] - std::max<int64_t>(0, out[d] - 1) * windows[d].stride;
    first[d] = gap <= 0 ? 0 : (gap + dilation - 1) / dilation;
    past[d] = in[d] ? std::min(kernel[d], (in[d] - 1 + before[d]) / dilation + 1) : 0;
    if (first[d] >= past[d]) return;
  }
  for (Shape tap = first; tap[0] < past[0];) {
    int64_t t = 0;
    for (size_t d = 0; d < dims; ++d) t = t * kernel[d] + tap[d];
    runs.assign(1, {0, 0});
    int64_t count = 0;
    for (size_t d = 0; d < dims && !runs.empty(); ++d) {
      const int64_t stride = windows[d].stride, shift = tap[d] * windows[d].dilation - before[d];
      const int64_t low = shift >= 0 ? 0 : (-shift + stride - 1) / stride;
      const int64_t high = shift < in[d] ? std::min(out[d], (in[d] - 1 - shift) / stride + 1) : 0;
      count = high - low;
      wider.clear();
      for (const Run& run : runs)
        for (int64_t o = low; o < (d + 1 == dims ? std::min(low + 1, high) : high); ++o)
          wider.push_back({run.out * out[d] + o, run.in * in[d] + o * stride + shift});
      runs.swap(wider);
    }
    if (!runs.empty()) f(t, runs, count, windows[dims - 1].stride);
    for (size_t d = dims; d-- > 0 && ++tap[d] == past[d] && d > 0;) tap[d] = first[d];
  }
}
}  // namespace engine
