// Loads and stores of the first n lanes that touch no others, for the target being compiled: include once per target.
#if defined(INLAY_SIMD_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef INLAY_SIMD_INL
#undef INLAY_SIMD_INL
#else
#define INLAY_SIMD_INL
#endif
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using Float = hn::ScalableTag<float>;
using Vec = hn::Vec<Float>;
constexpr Float vector;
constexpr int lanes = static_cast<int>(HWY_MAX_BYTES / sizeof(float));
#if HWY_TARGET == HWY_AVX2 || HWY_ARCH_ARM_V7
constexpr int registers = 16;
#else
constexpr int registers = 32;
#endif

// Where a masked access would touch memory outside its mask, through a copy.
constexpr bool masks_protect = HWY_TARGET != HWY_NEON;

HWY_INLINE Vec load_first(const float* from, int n) {
  if constexpr (masks_protect) return hn::MaskedLoad(hn::FirstN(vector, n), vector, from);
  HWY_ALIGN float copy[lanes] = {};
  for (int i = 0; i < n; ++i) copy[i] = from[i];
  return hn::Load(vector, copy);
}

HWY_INLINE void store_first(Vec v, float* to, int n) {
  if constexpr (masks_protect) {
    hn::BlendedStore(v, hn::FirstN(vector, n), vector, to);
  } else {
    HWY_ALIGN float copy[lanes];
    hn::Store(v, vector, copy);
    for (int i = 0; i < n; ++i) to[i] = copy[i];
  }
}
}  // namespace kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
