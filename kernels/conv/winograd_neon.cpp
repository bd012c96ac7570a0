// Winograd convolution by transforms in NEON intrinsics: of f32 here, of halves in winograd_neon_fp16.cpp.
#if defined(__aarch64__)
#include "kernels/neon.h"
#include "kernels/conv/winograd_neon-inl.h"
#include "kernels/conv/winograd_neon_fp16.h"

namespace kernels::conv {
namespace N_NEON {
WinogradTransforms transforms();  // for fewer channels than a vector has
}
namespace {
WinogradTransforms transforms_of(const Spec& s) {
  WinogradTransforms t = N_NEON::transforms();
  if (s.channels >= lanes) t.input[0] = input<2>, t.input[1] = input<4>;
  if (s.out_channels >= lanes) t.output[0] = output<2>, t.output[1] = output<4>;
  t.applies = s.out_channels >= lanes && pointwise::neon_refusal(s.epilogue).empty();
  return t;
}
// Halves before the products where x is kept so, and behind them where y is.
WinogradTransforms half_transforms_of(const Spec& s) {
  WinogradTransforms t = transforms_of(s);
  if (s.kept.x != schema::DType::f32) std::copy_n(half_transforms.input, 2, t.input);
  if (s.kept.y != schema::DType::f32) std::copy_n(half_transforms.output, 2, t.output);
  t.applies = t.applies && pointwise::operands_are_as_y(s.epilogue, s.kept);
  return t;
}
Support supports_halves(const Spec& s, int m) {
  const auto few = [](schema::DType kept, int64_t channels) { return kept != schema::DType::f32 && channels < half_lanes; };
  if (few(s.kept.x, s.channels) || few(s.kept.y, s.out_channels)) return {0, "fewer channels than a vector has halves"};
  return supports_winograd(tile::neon_fp16, s, m);
}
}  // namespace

namespace winograd2_neon {
Support supports(const Spec& spec) { return supports_winograd(tile::neon, spec, 2); }
Kernel make(const Spec& spec) { return make_winograd(tile::neon, spec, 2, transforms_of(spec), isa::neon); }
}  // namespace winograd2_neon
namespace winograd4_neon {
Support supports(const Spec& spec) { return supports_winograd(tile::neon, spec, 4); }
Kernel make(const Spec& spec) { return make_winograd(tile::neon, spec, 4, transforms_of(spec), isa::neon); }
}  // namespace winograd4_neon
namespace winograd2_neon_fp16 {
Support supports(const Spec& spec) { return supports_halves(spec, 2); }
Kernel make(const Spec& spec) { return make_winograd(tile::neon_fp16, spec, 2, half_transforms_of(spec), isa::neon); }
}  // namespace winograd2_neon_fp16
namespace winograd4_neon_fp16 {
Support supports(const Spec& spec) { return supports_halves(spec, 4); }
Kernel make(const Spec& spec) { return make_winograd(tile::neon_fp16, spec, 4, half_transforms_of(spec), isa::neon); }
}  // namespace winograd4_neon_fp16
}  // namespace kernels::conv
#endif
