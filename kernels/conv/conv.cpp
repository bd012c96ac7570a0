#include "kernels/conv/conv.h"

namespace kernels::conv {
std::string invalid(const Spec& s, bool takes_halves) {
  if (s.channels <= 0 || s.out_channels <= 0 || s.width <= 0) return "an extent is not positive";
  if (s.groups <= 0 || s.channels % s.groups || s.out_channels % s.groups) return "groups do not divide the channels";
  if (s.kernel_h <= 0 || s.kernel_w <= 0 || s.stride_h <= 0 || s.stride_w <= 0 || s.dilation_h <= 0 ||
      s.dilation_w <= 0)
    return "kernel, stride or dilation is not positive";
  if (s.pad_top < 0 || s.pad_left < 0 || s.pad_bottom < 0 || s.pad_right < 0) return "negative padding";
  if (s.in_pitch() < s.channels || s.out_pitch() < s.out_channels) return "a pixel pitch below the channels";
  if (std::string_view reason = refusal(s.kept, takes_halves); !reason.empty()) return std::string(reason);
  if (s.epilogue.empty()) return {};
  const std::string reason = pointwise::unsupported(s.epilogue);
  return reason.empty() ? reason : "epilogue: " + reason;
}

std::span<const Row> rows() {
  static constexpr Row table[] = {
#define KERNEL(name, isa, tile, where) {#name, isa, tile, where::supports, where::make},
#include "kernels/conv/kernels.inc"
  };
  return table;
}

Choice select(const Spec& spec, isa::Mask have) { return choose(rows(), spec, have); }
}  // namespace kernels::conv
