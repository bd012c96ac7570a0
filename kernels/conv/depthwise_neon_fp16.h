// The functions of depthwise_neon_fp16.cpp, for the row in depthwise_neon.cpp.
#pragma once
#include "kernels/conv/depthwise.h"

namespace kernels::conv {
struct HalfDepthwise {
  static constexpr int lanes = 8;
  DepthwiseFunction (*function_of)(const Spec&);  // for kernels that depthwise_neon has one for
  void (*pair)(const PixelRow&, const PixelRow& below, int64_t first_channel, int64_t last_channel);
};
extern const HalfDepthwise half_depthwise;
}  // namespace kernels::conv
