// Conversions in vectors of as many halves as there are floats.
#include "kernels/simd.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/half/simd.cpp"
#include <hwy/foreach_target.h>
#include "kernels/simd-inl.h"
#include "kernels/half/half.h"

#if INLAY_SIMD_TARGET
HWY_BEFORE_NAMESPACE();
namespace kernels::half::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;
using kernels::HWY_NAMESPACE::lanes;
using kernels::HWY_NAMESPACE::load_first;
using kernels::HWY_NAMESPACE::store_first;
using kernels::HWY_NAMESPACE::vector;
constexpr hn::Rebind<hwy::float16_t, kernels::HWY_NAMESPACE::Float> halves;

void to_half(const void* from, void* to, int64_t n) {
  const float* x = static_cast<const float*>(from);
  auto* y = static_cast<hwy::float16_t*>(to);
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) hn::StoreU(hn::DemoteTo(halves, hn::LoadU(vector, x + i)), halves, y + i);
  if (i == n) return;
  HWY_ALIGN hwy::float16_t copy[lanes];
  hn::Store(hn::DemoteTo(halves, load_first(x + i, static_cast<int>(n - i))), halves, copy);
  __builtin_memcpy(static_cast<void*>(y + i), copy, static_cast<size_t>(n - i) * sizeof *y);
}
void to_float(const void* from, void* to, int64_t n) {
  const auto* x = static_cast<const hwy::float16_t*>(from);
  float* y = static_cast<float*>(to);
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) hn::StoreU(hn::PromoteTo(vector, hn::LoadU(halves, x + i)), vector, y + i);
  if (i == n) return;
  HWY_ALIGN hwy::float16_t copy[lanes] = {};
  __builtin_memcpy(static_cast<void*>(copy), x + i, static_cast<size_t>(n - i) * sizeof *x);
  store_first(hn::PromoteTo(vector, hn::Load(halves, copy)), y + i, static_cast<int>(n - i));
}
}  // namespace
constexpr Kernel::Function functions[] = {to_half, to_float};
}  // namespace kernels::half::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

// Compiled for the baseline: what it instantiates may be shared with other files.
namespace kernels::half::HWY_NAMESPACE {
Support supports(const Spec&) { return {1.0 / kernels::HWY_NAMESPACE::lanes, {}}; }
Kernel make(const Spec& spec) { return Kernel(functions[spec.back]); }
}  // namespace kernels::half::HWY_NAMESPACE
#endif
