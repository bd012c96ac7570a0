// Quantisation in vectors: as many bytes as a vector has floats.
#include "kernels/simd.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/quantize/simd.cpp"
#include <hwy/foreach_target.h>
#include "kernels/divide-inl.h"
#include "kernels/quantize/quantize.h"

#if INLAY_SIMD_TARGET
HWY_BEFORE_NAMESPACE();
namespace kernels::quantize::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;
using kernels::HWY_NAMESPACE::divide;
using kernels::HWY_NAMESPACE::lanes;
using kernels::HWY_NAMESPACE::load_first;
using kernels::HWY_NAMESPACE::Vec;
using kernels::HWY_NAMESPACE::vector;
constexpr hn::RebindToSigned<kernels::HWY_NAMESPACE::Float> ints;
template <class T> constexpr hn::Rebind<T, kernels::HWY_NAMESPACE::Float> bytes{};

template <class T> void to_integers(const void* from, void* to, int64_t n, float scale, int zero) {
  const float* x = static_cast<const float*>(from);
  T* y = static_cast<T*>(to);
  constexpr int low = T(-1) < T(0) ? -128 : 0, high = low + 255;
  const Vec by = hn::Set(vector, scale), least = hn::Set(vector, static_cast<float>(low - zero)), most = hn::Set(vector, static_cast<float>(high - zero)),
            nothing = hn::Set(vector, static_cast<float>(-zero));
  const auto offset = hn::Set(ints, zero);
  const auto convert = [&](Vec v) HWY_ATTR {
    const Vec ratio = divide(v, by), bounded = hn::Min(hn::Max(ratio, least), most);
    return hn::DemoteTo(bytes<T>, hn::Add(hn::NearestInt(hn::IfThenElse(hn::IsNaN(ratio), nothing, bounded)), offset));
  };
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) hn::StoreU(convert(hn::LoadU(vector, x + i)), bytes<T>, y + i);
  if (i == n) return;
  HWY_ALIGN T copy[lanes];
  hn::Store(convert(load_first(x + i, static_cast<int>(n - i))), bytes<T>, copy);
  for (int64_t k = 0; i + k < n; ++k) y[i + k] = copy[k];
}

template <class T> void to_reals(const void* from, void* to, int64_t n, float scale, int zero) {
  const T* x = static_cast<const T*>(from);
  float* y = static_cast<float*>(to);
  const Vec by = hn::Set(vector, scale);
  const auto offset = hn::Set(ints, zero);
  const auto convert = [&](auto v) HWY_ATTR { return hn::Mul(hn::ConvertTo(vector, hn::Sub(hn::PromoteTo(ints, v), offset)), by); };
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) hn::StoreU(convert(hn::LoadU(bytes<T>, x + i)), vector, y + i);
  if (i == n) return;
  HWY_ALIGN T copy[lanes] = {};
  for (int64_t k = 0; i + k < n; ++k) copy[k] = x[i + k];
  kernels::HWY_NAMESPACE::store_first(convert(hn::Load(bytes<T>, copy)), y + i, static_cast<int>(n - i));
}
}  // namespace
constexpr Function functions[] = {to_integers<uint8_t>, to_reals<uint8_t>, to_integers<int8_t>, to_reals<int8_t>};
}  // namespace kernels::quantize::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

// Compiled for the baseline: what it instantiates may be shared with other files.
namespace kernels::quantize::HWY_NAMESPACE {
Support supports(const Spec& spec) { return {4.0 / kernels::HWY_NAMESPACE::lanes, invalid(spec)}; }
Kernel make(const Spec& spec) { return Kernel(functions[2 * (spec.integers == schema::DType::i8) + spec.back]); }
}  // namespace kernels::quantize::HWY_NAMESPACE
#endif
