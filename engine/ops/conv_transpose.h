// The spatial dims of transposed convolutions.
#pragma once
#include "engine/ops/spatial.h"

namespace engine {
// What the lists of the op leave to the extents of x and w. Seen from the output, x is what a convolution would make of it.
inline Window resolve(const schema::ConvTranspose& op, size_t d, Window window, const Dim& in, const Dim& kernel, Dim* out) {
  const int64_t extra = op.output_padding.empty() ? 0 : op.output_padding[d];
  const Dim whole = (in - 1) * window.stride + extra + window.reach(kernel);  // without padding
  if (!op.output_shape.empty() || window.same()) {
    *out = op.output_shape.empty() ? in * window.stride : Dim(op.output_shape[d]);
    const Dim total = whole - *out;
    if (total.known()) {
      const int64_t pad = std::max<int64_t>(0, total.value());
      window.begin = op.auto_pad == schema::AutoPad::same_upper ? pad / 2 : pad - pad / 2;
      window.end = pad - window.begin;
    }
  } else {
    *out = whole - (window.begin + window.end);
  }
  check(!out->known() || out->value() >= 0, "the padding leaves nothing of ", whole.text());
  window.auto_pad = schema::AutoPad::none;
  return window;
}

inline std::vector<Window> all_windows(const schema::ConvTranspose& op, size_t dims) {
  for (const auto* list : {&op.output_padding, &op.output_shape}) {
    check(list->empty() || list->size() == dims, "a list has ", list->size(), " entries where ", dims, " are needed");
    for (int64_t v : *list) check(v >= 0 && v <= INT32_MAX, "extent ", v, " is out of range");
  }
  return windows(op, dims);
}

// [C, K/groups, taps] as the weights [K, C/groups, taps] of the convolution that takes y's place under x: the taps of
// each kernel the other way round.
ConstantPtr flipped(const ConstView& w, int64_t groups);
}  // namespace engine
