// Narrow weights in vectors along columns: bytes or halves are widened, and integers converted, in registers.
#include "kernels/simd.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/gemm_narrow/simd.cpp"
#include <hwy/foreach_target.h>
#include "kernels/simd-inl.h"
#include "kernels/gemm_narrow/gemm_narrow.h"

#if INLAY_SIMD_TARGET
HWY_BEFORE_NAMESPACE();
namespace kernels::gemm_narrow::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;
using kernels::HWY_NAMESPACE::Float;
using kernels::HWY_NAMESPACE::lanes;
using kernels::HWY_NAMESPACE::Vec;
using kernels::HWY_NAMESPACE::vector;
using schema::DType;
constexpr hn::RebindToSigned<Float> ints;
constexpr hn::RebindToUnsigned<Float> bits;
constexpr hn::Rebind<uint8_t, Float> bytes;
constexpr hn::Rebind<uint16_t, Float> halves;
constexpr int vectors = static_cast<int>(panel) / lanes;

HWY_INLINE Vec widened(const std::byte* b) { return hn::ConvertTo(vector, hn::PromoteTo(ints, hn::LoadU(bytes, reinterpret_cast<const uint8_t*>(b)))); }
HWY_INLINE Vec widened_half(const std::byte* b) {
  return hn::BitCast(vector, hn::ShiftLeft<16>(hn::PromoteTo(bits, hn::LoadU(halves, reinterpret_cast<const uint16_t*>(b)))));
}

// f(k, its column vectors, whether k is odd) for k of 0 … count, of which 4-bit pairs share their bytes.
template <DType dtype, class F> HWY_INLINE void each_k(const std::byte* b, int64_t count, const F& f) {
  constexpr std::false_type even;
  constexpr std::true_type odd;
  Vec w[vectors], next[vectors];
  for (int64_t k = 0; k < count; k += 2) {
    const bool both = k + 1 < count;
#pragma GCC unroll 8
    for (int v = 0; v < vectors; ++v) {
      const std::byte* at = b + v * lanes * (dtype == DType::bf16 ? 2 : 1);
      if constexpr (dtype == DType::u4) {
        const auto pair = hn::PromoteTo(ints, hn::LoadU(bytes, reinterpret_cast<const uint8_t*>(at)));
        w[v] = hn::ConvertTo(vector, hn::And(pair, hn::Set(ints, 15)));
        next[v] = hn::ConvertTo(vector, hn::ShiftRight<4>(pair));
      } else if constexpr (dtype == DType::u8) {
        w[v] = widened(at);
        if (both) next[v] = widened(at + panel);
      } else {
        w[v] = widened_half(at);
        if (both) next[v] = widened_half(at + 2 * panel);
      }
    }
    f(k, w, even);
    if (both) f(k + 1, next, odd);
    b += panel * (dtype == DType::u4 ? 1 : dtype == DType::u8 ? 2 : 4);
  }
}

// Two sums of each result, of even and of odd k, so that additions do not wait for each other.
template <DType dtype, int rows> void products_of(const Spec& s, const float* a, int64_t lda, const float* sums, const std::byte* b, float* c) {
  const int64_t block = s.block ? s.block : s.k, blocks = s.blocks();
  Vec total[rows][vectors];
#pragma GCC unroll 8
  for (int i = 0; i < rows * vectors; ++i) total[i / vectors][i % vectors] = hn::Zero(vector);
  for (int64_t i = 0; i < blocks; ++i) {
    const int64_t k0 = i * block, count = std::min(block, s.k - k0);
    const Layout layout(s, count);
    Vec even[rows][vectors], odd[rows][vectors];
#pragma GCC unroll 8
    for (int j = 0; j < rows * vectors; ++j) even[j / vectors][j % vectors] = odd[j / vectors][j % vectors] = hn::Zero(vector);
    each_k<dtype>(b, count, [&](int64_t k, const Vec* w, auto is_odd) HWY_ATTR {
      auto& sum = decltype(is_odd)::value ? odd : even;
#pragma GCC unroll 4
      for (int r = 0; r < rows; ++r) {
        const Vec x = hn::Set(vector, a[r * lda + k0 + k]);
#pragma GCC unroll 8
        for (int v = 0; v < vectors; ++v) sum[r][v] = hn::MulAdd(x, w[v], sum[r][v]);
      }
    });
#pragma GCC unroll 8
    for (int v = 0; v < vectors; ++v) {
      const bool scaled = dtype != DType::bf16;
      const Vec scale = scaled ? hn::LoadU(vector, reinterpret_cast<const float*>(b + layout.weights) + v * lanes) : hn::Set(vector, 1);
      const Vec zero = scaled ? widened(b + layout.weights + layout.scales + v * lanes) : hn::Zero(vector);
#pragma GCC unroll 4
      for (int r = 0; r < rows; ++r) {
        const Vec sum = hn::NegMulAdd(zero, hn::Set(vector, sums[r * blocks + i]), hn::Add(even[r][v], odd[r][v]));
        total[r][v] = hn::MulAdd(scale, sum, total[r][v]);
      }
    }
    b += layout.bytes();
  }
#pragma GCC unroll 8
  for (int i = 0; i < rows * vectors; ++i) hn::StoreU(total[i / vectors][i % vectors], vector, c + i / vectors * panel + i % vectors * lanes);
}
// As many rows at once as registers hold.
template <DType dtype> void products(const Spec& s, const float* a, int64_t lda, const float* sums, const std::byte* b, float* c, int64_t rows) {
  constexpr int most = 6 * vectors * 2 <= kernels::HWY_NAMESPACE::registers ? 2 : 1;
  while (rows > 0) {
    const int64_t n = std::min<int64_t>(rows, most);
    n == 2 ? products_of<dtype, most>(s, a, lda, sums, b, c) : products_of<dtype, 1>(s, a, lda, sums, b, c);
    a += n * lda, sums += n * s.blocks(), c += n * panel, rows -= n;
  }
}
template <DType dtype> void floats_of(const Spec& s, const std::byte* b, float* to) {
  const int64_t block = s.block ? s.block : s.k;
  for (int64_t k0 = 0; k0 < s.k; k0 += block) {
    const int64_t count = std::min(block, s.k - k0);
    const Layout layout(s, count);
    Vec scale[vectors], zero[vectors];
    if constexpr (dtype != DType::bf16)
#pragma GCC unroll 8
      for (int v = 0; v < vectors; ++v) {
        scale[v] = hn::LoadU(vector, reinterpret_cast<const float*>(b + layout.weights) + v * lanes);
        zero[v] = widened(b + layout.weights + layout.scales + v * lanes);
      }
    each_k<dtype>(b, count, [&](int64_t k, const Vec* w, auto) HWY_ATTR {
#pragma GCC unroll 8
      for (int v = 0; v < vectors; ++v) {
        if constexpr (dtype == DType::bf16) hn::StoreU(w[v], vector, to + (k0 + k) * panel + v * lanes);
        else hn::StoreU(hn::Mul(scale[v], hn::Sub(w[v], zero[v])), vector, to + (k0 + k) * panel + v * lanes);
      }
    });
    b += layout.bytes();
  }
}

void run_products(const Spec& s, const float* a, int64_t lda, const float* sums, const std::byte* b, float* c, int64_t rows) {
  const auto f = s.dtype == DType::u4 ? products<DType::u4> : s.dtype == DType::u8 ? products<DType::u8> : products<DType::bf16>;
  f(s, a, lda, sums, b, c, rows);
}
void run_floats(const Spec& s, const std::byte* b, float* to) {
  const auto f = s.dtype == DType::u4 ? floats_of<DType::u4> : s.dtype == DType::u8 ? floats_of<DType::u8> : floats_of<DType::bf16>;
  f(s, b, to);
}
}  // namespace
constexpr Functions functions{run_products, run_floats};
}  // namespace kernels::gemm_narrow::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

// Compiled for the baseline: what it instantiates may be shared with other files.
namespace kernels::gemm_narrow::HWY_NAMESPACE {
Support supports(const Spec& spec) { return {32.0 / kernels::HWY_NAMESPACE::lanes, invalid(spec)}; }
Kernel make(const Spec& spec) { return {spec, functions, HWY_TARGET == HWY_AVX3 ? isa::avx512 : HWY_TARGET == HWY_AVX2 ? isa::avx2 : isa::neon}; }
}  // namespace kernels::gemm_narrow::HWY_NAMESPACE
#endif
