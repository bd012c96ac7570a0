#include "kernels/conv/conv.h"
#include "kernels/isa_x86.h"

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

namespace {
template <auto supports, int percent> Support dearer(const Spec& spec) {
  Support support = supports(spec);
  support.cost *= percent / 100.0;
  return support;
}
// What a row costs where vectors of 512 bits are computed in halves: twice as much in multiply-adds, so that columns
// past the last count, and a little less for fewer instructions; Winograd's transforms wait for caches instead.
template <auto supports> constexpr auto on_halves(std::string_view name, isa::Mask needs) -> Support (*)(const Spec&) {
  if (isa::runs(isa::avx512, needs) && name.starts_with("conv_")) return dearer<supports, 190>;
  if (isa::runs(isa::avx512, needs) && name.starts_with("winograd")) return dearer<supports, 180>;
  return supports;
}
std::span<const Row> rows_on_halves() {
  static constexpr Row table[] = {
#define KERNEL(name, isa, tile, where) {#name, isa, tile, on_halves<where::supports>(#name, isa), where::make},
#include "kernels/conv/kernels.inc"
  };
  return table;
}
}  // namespace

// Plans for an instruction set that is named are the same on every machine.
Choice select(const Spec& spec, isa::Mask have) {
  return choose(have == isa::detected() && isa::halves_512() ? rows_on_halves() : rows(), spec, have);
}
}  // namespace kernels::conv
