// Reductions over the threads of a block, in an order that the number of threads fixes.
#pragma once
#include "kernels/cuda/device.h"

namespace kernels::cuda {
inline constexpr int warp_size = 32;

template <int threads, class T = float> struct ReductionMemory { T of_warp[threads / warp_size]; };

// Every thread gets f over the values of all. Begins and ends with a barrier where more than one warp takes part.
template <int threads, class T, class F>
__device__ T reduce_block(ReductionMemory<threads, T>& memory, T value, F&& f) {
  for (int mask = warp_size / 2; mask; mask /= 2) value = f(value, __shfl_xor_sync(~0u, value, mask));
  if constexpr (threads > warp_size) {
    __syncthreads();  // what was reduced before has been read
    if (threadIdx.x % warp_size == 0) memory.of_warp[threadIdx.x / warp_size] = value;
    __syncthreads();
    value = memory.of_warp[0];
    for (int w = 1; w < threads / warp_size; ++w) value = f(value, memory.of_warp[w]);
  }
  return value;
}
struct Add {
  __device__ float operator()(float a, float b) const { return a + b; }
};
struct Max {  // a NaN wins
  __device__ float operator()(float a, float b) const { return a != a || a > b ? a : b; }
};
struct Min {
  __device__ float operator()(float a, float b) const { return a != a || a < b ? a : b; }
};
struct Multiply {
  __device__ float operator()(float a, float b) const { return a * b; }
};
}  // namespace kernels::cuda
