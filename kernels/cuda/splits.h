// Products whose k was divided: their parts are added up in order, and the chain is applied to the sums.
#pragma once
#include "kernels/cuda/epilogue.h"
#include "kernels/cuda/mma_tile.h"

namespace kernels::cuda {
namespace {
// `parts` has `splits` dense matrices [rows,columns]; bias may be null.
__global__ void sum_splits(const __grid_constant__ Epilogue chain, const float* parts, int64_t splits, int64_t rows,
                           int64_t columns, const float* bias, DType type, void* y, int64_t y_step) {
  for (int64_t i = linear_thread(); i < rows * columns; i += linear_threads()) {
    float sum = parts[i];
    for (int64_t s = 1; s < splits; ++s) sum += parts[s * rows * columns + i];
    const int64_t row = i / columns, column = i % columns;
    if (bias) sum += bias[column];
    Kept::store(type, y, row * y_step + column, apply(chain, sum, row, column));
  }
}
}  // namespace
inline bool is_aligned(const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; }
inline const char* refuse_precision(Precision wanted, Precision own) {
  return wanted == own ? nullptr : "operands are not to be rounded like that";
}
// Of a product that multiplies as `own`: x is in f32, or as that.
inline const char* refuse_kept(const KeptTypes& kept, Precision own) {
  const DType type = own == Precision::f16 ? DType::f16 : own == Precision::bf16 ? DType::bf16 : DType::f32;
  return kept.x == DType::f32 || kept.x == type ? nullptr : "an x that is kept as another type";
}
}  // namespace kernels::cuda
