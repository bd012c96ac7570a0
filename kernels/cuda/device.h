// The words that kernels are written in. The same source is compiled by nvcc for a device and by the host's compiler
// for an emulation that runs every thread of a grid in turn (emulated/emulator.h): index arithmetic, barriers and the
// contents of shared memory are checked without a device.
//
//   shared<T>()        the block's shared memory, one T per kernel, which has no constructor
//   launch<T>(…)       starts a kernel whose shared memory is a T; void: it has none
//   copy_async, commit_async, wait_async<N>   from device to shared memory, beside the computation; complete for this
//   thread
//                      when at most N commits are left, for others behind a barrier
//   INLAY_CALLED       a function of one copy, which kernels call: what is large, and inlined everywhere would be many
//   times as large
//   __grid_constant__  of a parameter that is passed on by reference, and not copied
//   linear_thread()    the thread's number in the grid's x dimension; linear_threads() how many there are
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include "kernels/cuda/backend.h"

#if defined(__CUDACC__)
#include <cuda_runtime.h>

#define INLAY_CALLED __noinline__

namespace kernels::cuda {
struct Stream {
  int device;
  cudaStream_t handle;
};
Failure failure_of(cudaError_t, const char* doing);

template <class T> __device__ T& shared() {
  extern __shared__ __align__(128) unsigned char inlay_shared_memory[];
  return *reinterpret_cast<T*>(inlay_shared_memory);
}

template <class T> constexpr size_t shared_bytes_of() {
  if constexpr (std::is_void_v<T>) return 0;
  else return sizeof(T);
}
template <class SharedMemory, class... P, class... A>
Failure launch(void (*kernel)(P...), dim3 grid, dim3 block, Stream* stream, const A&... arguments) {
  constexpr size_t bytes = shared_bytes_of<SharedMemory>(), without_asking = 48 << 10;
  if (Failure f = failure_of(cudaSetDevice(stream->device), "choosing the device")) return f;
  if constexpr (bytes > without_asking)
    if (Failure f = failure_of(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                                                    cudaFuncAttributeMaxDynamicSharedMemorySize, int(bytes)),
                               "asking for shared memory"))
      return f;
  kernel<<<grid, block, bytes, stream->handle>>>(P(arguments)...);
  return failure_of(cudaGetLastError(), "launching a kernel");
}

// 4, 8 or 16 bytes, both addresses aligned to as many; zeros where not `valid`, and nothing is read then.
template <int bytes> __device__ void copy_async(void* to, const void* from, bool valid = true) {
  const unsigned address = unsigned(__cvta_generic_to_shared(to));
  const int from_bytes = valid ? bytes : 0;
  if constexpr (bytes == 16)
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(from), "r"(from_bytes) : "memory");
  else
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(address), "l"(from), "n"(bytes), "r"(from_bytes)
                 : "memory");
}
__device__ inline void commit_async() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int left> __device__ void wait_async() { asm volatile("cp.async.wait_group %0;" ::"n"(left) : "memory"); }
}  // namespace kernels::cuda
#else
#include "kernels/cuda/emulated/emulator.h"
#endif

namespace kernels::cuda {
__device__ inline int64_t linear_thread() { return int64_t(blockIdx.x) * blockDim.x + threadIdx.x; }
__device__ inline int64_t linear_threads() { return int64_t(gridDim.x) * blockDim.x; }

__host__ __device__ constexpr int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }
// Blocks for `count` elements in a grid-stride loop: enough to fill any device, and few enough that each has some work.
inline unsigned blocks_for(int64_t count, int per_block) {
  constexpr int64_t most = 1 << 16;
  const int64_t blocks = divide_up(count, per_block);
  return unsigned(blocks < most ? blocks : most);
}
}  // namespace kernels::cuda
