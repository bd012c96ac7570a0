// The words that kernels are written in. The same source is compiled by nvcc for a device and by the host's compiler
// for an emulation that runs every thread of a grid in turn (emulated/emulator.h): index arithmetic, barriers and the
// contents of shared memory are checked without a device.
//
//   shared<T>()        the block's shared memory, one T per kernel, which has no constructor
//   launch<T>(…)       starts a kernel whose shared memory is a T; void: it has none
//   copy_async, commit_async, wait_async<N>   from device to shared memory, beside the computation; complete for this
//   thread
//                      when at most N commits are left, for others behind a barrier
//   watch(stream), report(watch, what, position)   how a kernel says that it refuses its data, see Driver::watch
//   load_matrices, mma_tf32, mma_f16, mma_bf16, round_tf32   what tensor cores are fed by
//   rounded_product(a, b)   a product that is not joined with a sum
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

namespace kernels::cuda {
// Of a stream: a word on the device that is the least of what kernels report, and where it is fetched to.
struct FaultWord {
  unsigned long long *on_device = nullptr, *fetched = nullptr;
  int step = 0;
  bool cleared = false;  // since it was fetched
};
// What a kernel reports with.
struct Watch {
  unsigned long long* word;
  int step;
};
}  // namespace kernels::cuda

#if defined(__CUDACC__)
#include <cuda_runtime.h>

#define INLAY_CALLED __noinline__

namespace kernels::cuda {
struct Stream {
  int device;
  cudaStream_t handle;
  FaultWord watched;
  bool own = false;  // else the application's
};
Failure failure_of(cudaError_t, const char* doing);

// Makes a device the thread's current one, and the context of the application so again at the end, where the thread had one: of another
// device, or one that it made itself.
class Current {
 public:
  explicit Current(int device);
  ~Current();
  Current(const Current&) = delete;
  Current& operator=(const Current&) = delete;
  cudaError_t error;

 private:
  void* before_ = nullptr;
};

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
  static_assert((sizeof(P) + ... + 0) <= 4000, "CUDA 12.0 passes 4096 bytes of parameters");
  const Current current(stream->device);
  if (Failure f = failure_of(current.error, "choosing the device")) return f;
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
// Four matrices of 8 rows of 16 bytes: lane l gives the address of row l % 8 of matrix l / 8, and gets 4 bytes of row l / 4 of each,
// from l % 4 * 4 on.
__device__ inline void load_matrices(uint32_t (&to)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(unsigned(__cvta_generic_to_shared(row)))
               : "memory");
}
// d += a · b, a warp's fragments of 16 × 8 results (PTX ISA, mma.m16n8k8 and m16n8k16).
#define INLAY_MMA(name, shape, type)                                                                              \
  __device__ inline void name(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {                    \
    asm volatile("mma.sync.aligned." shape ".row.col.f32." type "." type ".f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, " \
                 "{%8, %9}, {%0, %1, %2, %3};"                                                                    \
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])                                                 \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));                             \
  }
INLAY_MMA(mma_tf32, "m16n8k8", "tf32")
INLAY_MMA(mma_f16, "m16n8k16", "f16")
INLAY_MMA(mma_bf16, "m16n8k16", "bf16")
#undef INLAY_MMA
// The bits of a float as those of the nearest TF32, halves away from zero.
__device__ inline uint32_t round_tf32(uint32_t bits) {
  uint32_t result;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(result) : "f"(__uint_as_float(bits)));
  return result;
}
__device__ inline float rounded_product(float a, float b) { return __fmul_rn(a, b); }
__device__ inline void commit_async() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int left> __device__ void wait_async() { asm volatile("cp.async.wait_group %0;" ::"n"(left) : "memory"); }
}  // namespace kernels::cuda
#else
#include "kernels/cuda/emulated/emulator.h"
#endif

namespace kernels::cuda {
__device__ inline int64_t linear_thread() { return int64_t(blockIdx.x) * blockDim.x + threadIdx.x; }
__device__ inline int64_t linear_threads() { return int64_t(gridDim.x) * blockDim.x; }

inline constexpr int fault_position_bits = 40, fault_step_shift = 44;
inline constexpr unsigned long long no_fault = ~0ull;
__device__ inline void report(const Watch& w, Refused what, int64_t position) {
  constexpr int64_t most = (int64_t{1} << fault_position_bits) - 1;
  const unsigned long long at = static_cast<unsigned long long>(position < most ? position : most);
  atomicMin(w.word, static_cast<unsigned long long>(w.step) << fault_step_shift |
                        static_cast<unsigned long long>(what) << fault_position_bits | at);
}
inline Fault fault_of(unsigned long long word) {
  if (word == no_fault) return {};
  return {true, int(word >> fault_step_shift), Refused(word >> fault_position_bits & 15),
          int64_t(word & ((1ull << fault_position_bits) - 1))};
}
// Before a kernel that reports: its word says nothing yet.
Failure watch(Stream*, Watch*);

__host__ __device__ constexpr int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }
// Blocks for `count` elements in a grid-stride loop: enough to fill any device, and few enough that each has some work.
inline unsigned blocks_for(int64_t count, int per_block) {
  constexpr int64_t most = 1 << 16;
  const int64_t blocks = divide_up(count, per_block);
  return unsigned(blocks < most ? blocks : most);
}
}  // namespace kernels::cuda
