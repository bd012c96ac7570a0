// Depthwise convolution in NEON intrinsics: of f32 here, of halves in depthwise_neon_fp16.cpp.
#if defined(__aarch64__)
#include "kernels/neon.h"
#include "kernels/conv/depthwise.h"
#include "kernels/conv/depthwise_neon_fp16.h"
#include "kernels/tile/tile.h"

namespace kernels::conv {
namespace N_NEON {
DepthwiseFunction function();  // for any kernel: takes the channels of a last, partial vector
}
namespace {
void partial_vector(const PixelRow& r, int64_t c0, int64_t c1) { N_NEON::function()(r, c0, c1); }
}  // namespace
}  // namespace kernels::conv
#include "kernels/conv/depthwise_neon-inl.h"

namespace kernels::conv {
namespace {
// What both rows take, of vectors of so many lanes.
Support supports_neon(const Spec& spec, int lanes, bool takes_halves) {
  Support support = supports_depthwise(spec, lanes, takes_halves);
  if (!support.refusal.empty()) return support;
  if (spec.dilation_w != 1) return {0, "dilated: taps of neighbouring pixels do not meet"};
  if (!function_of(spec)) return {0, "not 3, 5 or 7 columns wide with stride 1, or 3 or 5 with stride 2"};
  return {support.cost / 2, {}};
}
bool applies(const Spec& spec, int lanes) {
  const bool unary = !std::ranges::any_of(spec.epilogue, &pointwise::Stage::binary);
  return unary && spec.channels % lanes == 0 && pointwise::neon_refusal(spec.epilogue).empty();
}
bool in_pairs(const Spec& s) { return s.kernel_h == 3 && s.kernel_w == 3 && s.stride_h == 1 && s.stride_w == 1 && s.dilation_h == 1; }
}  // namespace

namespace depthwise_neon {
Support supports(const Spec& spec) { return supports_neon(spec, lanes, false); }
Kernel make(const Spec& spec) { return make_depthwise(spec, {function_of(spec), in_pairs(spec) ? run_pair : nullptr}, lanes, isa::neon, applies(spec, lanes)); }
}  // namespace depthwise_neon
namespace depthwise_neon_fp16 {
Support supports(const Spec& spec) {
  if (spec.kept.x != schema::DType::f16 || spec.kept.y != schema::DType::f16) return {0, "x and y are not kept as half"};
  return supports_neon(spec, half_depthwise.lanes, true);
}
Kernel make(const Spec& spec) {
  return make_depthwise(spec, {half_depthwise.function_of(spec), in_pairs(spec) ? half_depthwise.pair : nullptr, tile::neon_fp16.narrow}, half_depthwise.lanes, isa::neon,
                        applies(spec, half_depthwise.lanes));
}
}  // namespace depthwise_neon_fp16
}  // namespace kernels::conv
#endif
