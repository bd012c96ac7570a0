// What the device reaches at best, measured, and what cuBLAS and cuDNN do on the same problems where they were found.
#pragma once
#include <cstdint>
#include "kernels/precision.h"

namespace bench::cuda {
using kernels::Precision;
double peak_flops(Precision);  // per second: multiply-adds of registers, on tensor cores but for f32
double copy_bandwidth();       // bytes per second, read and written, of a large copy on the device
// Seconds of C [m,n] = A [m,k] · B [k,n], the median of several runs over operands that no cache holds; 0: cuBLAS was
// not found. f16 and bf16: A, B and C are of that type in memory.
double cublas_seconds(Precision, int64_t m, int64_t n, int64_t k);
// The same of one image's convolution, square and padded by half of its kernel, channels last; 0: cuDNN was not found,
// or has none. It chooses its algorithm by measurement. f32: no TF32.
struct SquareConv {
  int channels, out, extent, kernel, stride;
  int out_extent() const { return (extent + 2 * (kernel / 2) - kernel) / stride + 1; }
};
double cudnn_seconds(Precision, const SquareConv&);
}  // namespace bench::cuda
