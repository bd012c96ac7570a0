// The words of device.h for the host's compiler: a grid's blocks run one after the other, the threads of a block as
// fibers that switch at barriers, shuffles and matrix instructions.
//
// What a device would punish, it makes visible. A stream does its work as late as it may, when it is synchronised.
// Asynchronous copies arrive at the wait. Shared memory starts as NaN in every block. Threads run in either order
// between two barriers (emulator::reversed): kernels with races give other results. Threads that wait at different
// barriers are an error, and so is a copy or a matrix that is not aligned. Device memory cannot be touched by the host
// between two runs. Where kernels are compiled with -fsanitize=thread, accesses.cpp sees each access, too.
//
// One kernel runs at a time in the process.
#pragma once
#include <array>
#include <cstring>
#include <functional>
#include <memory>
#include <tuple>
#include <utility>
#include <vector>

#define __global__ static
#define __device__
#define __host__
#define __forceinline__ inline
#define __grid_constant__
#define INLAY_CALLED [[gnu::noinline]]
#define __launch_bounds__(...)
#define __restrict__ __restrict

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};
inline dim3 gridDim, blockDim, blockIdx, threadIdx;

namespace kernels::cuda::emulator {
inline bool reversed = false;  // threads run from the last one on
inline int64_t launches = 0;   // so far
inline int64_t asked = 0;      // for launches, some of which may be refused, or only recorded
inline int64_t refused = -1;   // which of these fails, by its number: a test's

void* shared_memory();
void block_barrier();
void warp_barrier();  // orders accesses to memory, too
void exchange();      // of a warp: shuffles and matrix instructions wait for all lanes, and order nothing
int lane();
// A slot of every lane of this thread's warp, for what lanes tell each other between two warp barriers.
inline constexpr size_t slot_bytes = 64;
std::byte* slot(int lane);

// Runs a grid. An empty result: it went well.
std::string run(dim3 grid, dim3 block, size_t shared_bytes, const std::function<void()>& thread);

// Of a generated kernel: its parameter; grid, block, and the numbers of this thread's block and of the thread in it.
using Entry = void (*)(const void* parameter, const unsigned (&place)[4]);
// What compiles generated kernels: a test's. Entries are looked up by name. Null: nothing does, and the row is not
// used.
inline std::function<Failure(const std::string& source, std::function<Entry(const char* name)>* find)> compiler;

// Ends the kernel with an error when its block does.
void fail(std::string error);

// Where the thread that runs now stands: what it did before is seen by threads of its block that stand behind another
// block barrier, and by lanes of its warp behind another warp barrier.
struct Place {
  uint32_t launch, block, block_barriers, warp_barriers;
  int thread;
  const std::byte *memory, *shared, *shared_end;  // all that any block may have, and what this one has of it
};
inline const Place* place = nullptr;  // null: no kernel runs
bool is_device_memory(const void*);
// What is told of the accesses that the emulation makes for a thread; null: nothing.
inline void (*on_access)(const void* at, size_t bytes, bool writes, const void* code) = nullptr;

void copy_later(void* to, const void* from, size_t bytes);  // null `from`: zeros
void commit();
void wait(int left);
}  // namespace kernels::cuda::emulator

inline void __syncthreads() { kernels::cuda::emulator::block_barrier(); }
inline void __syncwarp(unsigned = ~0u) { kernels::cuda::emulator::warp_barrier(); }

namespace kernels::cuda::emulator {
template <class T> T from_lane(T value, int source) {
  static_assert(sizeof(T) <= slot_bytes);
  std::memcpy(slot(lane()), &value, sizeof(T));
  exchange();
  std::memcpy(&value, slot(source), sizeof(T));
  exchange();
  return value;
}
}  // namespace kernels::cuda::emulator
template <class T> T __shfl_sync(unsigned, T value, int source, int width = 32) {
  using namespace kernels::cuda::emulator;
  return from_lane(value, lane() / width * width + source % width);
}
template <class T> T __shfl_xor_sync(unsigned, T value, int mask, int width = 32) {
  using namespace kernels::cuda::emulator;
  const int source = lane() ^ mask;
  return from_lane(value, source / width == lane() / width ? source : lane());
}
template <class T> T __shfl_down_sync(unsigned, T value, unsigned by, int width = 32) {
  using namespace kernels::cuda::emulator;
  const int source = lane() + int(by);
  return from_lane(value, source / width == lane() / width ? source : lane());
}
#define INLAY_ATOMIC template <class T> __attribute__((no_sanitize("thread"))) T
INLAY_ATOMIC atomicMin(T* to, T value) {
  const T old = *to;
  return *to = value < old ? value : old, old;
}
INLAY_ATOMIC atomicExch(T* to, T value) {
  const T old = *to;
  return *to = value, old;
}
INLAY_ATOMIC atomicMax(T* to, T value) {
  const T old = *to;
  return *to = value > old ? value : old, old;
}
#undef INLAY_ATOMIC

namespace kernels::cuda {
// Work that is done when the stream is synchronised, or kept for a graph.
struct Stream {
  int device;
  bool capturing = false;
  std::vector<std::function<std::string()>> work, captured;
  FaultWord watched;
  void enqueue(std::function<std::string()> f) { (capturing ? captured : work).push_back(std::move(f)); }
};

template <class T> T& shared() { return *static_cast<T*>(emulator::shared_memory()); }

template <class T> constexpr size_t shared_bytes_of() {
  if constexpr (std::is_void_v<T>) return 0;
  else return sizeof(T);
}
template <class SharedMemory, class... P, class... A>
Failure launch(void (*kernel)(P...), dim3 grid, dim3 block, Stream* stream, const A&... arguments) {
  if (emulator::asked++ == emulator::refused) return "launching a kernel: as a test wants it";
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return "launching a kernel: an empty grid";
  if (grid.y > 65535 || grid.z > 65535 || block.x * block.y * block.z > 1024)
    return "launching a kernel: the grid is too large";
  if (shared_bytes_of<SharedMemory>() > (99 << 10))
    return "launching a kernel: more shared memory than a block has on every device from sm_80 on";
  stream->enqueue([=, given = std::tuple<P...>(P(arguments)...)] {
    return emulator::run(grid, block, shared_bytes_of<SharedMemory>(), [&] { std::apply(kernel, given); });
  });
  return nullptr;
}

template <int bytes> void copy_async(void* to, const void* from, bool valid = true) {
  static_assert(bytes == 4 || bytes == 8 || bytes == 16);
  emulator::copy_later(to, valid ? from : nullptr, bytes);
}
void load_matrices(uint32_t (&to)[4], const void* row);
void mma_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]);
void mma_f16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]);
void mma_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]);
inline uint32_t round_tf32(uint32_t bits) {
  return (bits & 0x7fffffff) > 0x7f800000 ? bits : (bits + 0x1000) & ~0x1fffu;
}
inline float rounded_product(float a, float b) { return a * b; }
inline void commit_async() { emulator::commit(); }
template <int left> void wait_async() { emulator::wait(left); }
}  // namespace kernels::cuda
