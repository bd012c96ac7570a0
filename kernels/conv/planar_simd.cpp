// Blocks of planar convolution: vectors over columns, sums of some vectors of some output channels in registers.
#include "kernels/simd.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/conv/planar_simd.cpp"
#include <hwy/foreach_target.h>
#include "kernels/simd-inl.h"
#include "kernels/conv/planar.h"

#if INLAY_SIMD_TARGET
HWY_BEFORE_NAMESPACE();
namespace kernels::conv::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;
using kernels::HWY_NAMESPACE::lanes;
using kernels::HWY_NAMESPACE::registers;
using kernels::HWY_NAMESPACE::Vec;
using kernels::HWY_NAMESPACE::vector;

// Sums, vectors of x and a weight fit the registers.
constexpr int most_vectors(int outputs) {
  const int fit = (registers - 2) / (outputs + 1);
  return fit < most_planar_vectors ? fit : most_planar_vectors;
}

template <int outputs, int vectors> void block(const PlanarBlock& b) {
  Vec sum[outputs][vectors];
#pragma GCC unroll 8
  for (int o = 0; o < outputs; ++o)
#pragma GCC unroll 8
    for (int v = 0; v < vectors; ++v) sum[o][v] = hn::Set(vector, b.start[o]);
  const int64_t kernel_w = b.kernel_w;
  const int64_t* const taps = b.taps;
  for (int64_t c = 0; c < b.channels; ++c) {
    const float* w = b.w + c * b.w_plane;
    const float* row = b.x + c * b.x_plane;
    for (int64_t kh = 0; kh < b.rows; ++kh, row += b.x_row)
      for (int64_t kw = 0; kw < kernel_w; ++kw, w += outputs) {
        const float* from = row + taps[kw];
        Vec x[vectors];
#pragma GCC unroll 8
        for (int v = 0; v < vectors; ++v) x[v] = hn::LoadU(vector, from + v * lanes);
#pragma GCC unroll 8
        for (int o = 0; o < outputs; ++o) {
          const Vec weight = hn::Set(vector, w[o]);
#pragma GCC unroll 8
          for (int v = 0; v < vectors; ++v) sum[o][v] = hn::MulAdd(x[v], weight, sum[o][v]);
        }
      }
  }
#pragma GCC unroll 8
  for (int o = 0; o < outputs; ++o) {
    float* to = b.y + o * b.y_plane;
#pragma GCC unroll 8
    for (int v = 0; v < vectors; ++v)
      hn::StoreU(b.add ? hn::Add(hn::LoadU(vector, to + v * lanes), sum[o][v]) : sum[o][v], vector, to + v * lanes);
  }
}

template <int outputs, int vectors = 1> void fill(PlanarRow& row) {
  if constexpr (vectors <= most_vectors(outputs)) {
    row.blocks[outputs - 1][vectors - 1] = block<outputs, vectors>;
    fill<outputs, vectors + 1>(row);
  } else if constexpr (outputs < most_planar_outputs) {
    fill<outputs + 1>(row);
  }
}
}  // namespace

void fill_planar(PlanarRow& row) { fill<1>(row); }
}  // namespace kernels::conv::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

// Compiled for the baseline: what it instantiates may be shared with other files.
namespace kernels::conv::HWY_NAMESPACE::planar {
#if HWY_TARGET == HWY_AVX2
constexpr isa::Mask target = isa::avx2;
#elif HWY_TARGET == HWY_AVX3
constexpr isa::Mask target = isa::avx512;
#else
constexpr isa::Mask target = isa::neon;
#endif
Support supports(const Spec& spec) { return supports_planar(spec, kernels::HWY_NAMESPACE::lanes); }
Kernel make(const Spec& spec) {
  PlanarRow row{};
  fill_planar(row);
  row.transpose = transpose::HWY_NAMESPACE::function();
  row.lanes = kernels::HWY_NAMESPACE::lanes;
  return make_planar(spec, row, target);
}
}  // namespace kernels::conv::HWY_NAMESPACE::planar
#endif
