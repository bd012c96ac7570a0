// What the rows share that multiply one row of A by the rows of a transposed B, where B lies.
#pragma once
#include "kernels/gemm/gemm.h"

namespace kernels::gemm {
// c[i] = Σ a[k] · b[i * ldb + k], for i < n. The order of a sum depends on its k alone.
struct Dots {
  const float *a, *b;
  int64_t ldb, k;
  float* c;
  int64_t n;
};
using DotsFunction = void (*)(const Dots&);

Support supports_gemv(const Spec&);
Kernel make_gemv(const Spec&, DotsFunction, isa::Mask);

// Per instruction set (simd.cpp).
#if defined(__x86_64__)
namespace N_AVX3 {
void dots(const Dots&);
}
namespace N_AVX2 {
void dots(const Dots&);
}
#elif defined(__ARM_NEON)
namespace N_NEON {
void dots(const Dots&);
}
#endif
}  // namespace kernels::gemm
