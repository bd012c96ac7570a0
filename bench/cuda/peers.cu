#include "bench/cuda/peers.h"
#include <cuda_runtime.h>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <vector>
#ifdef INLAY_BENCH_CUBLAS
#include <cublas_v2.h>
#endif
#ifdef INLAY_BENCH_CUDNN
#include <cudnn.h>
#endif

namespace bench::cuda {
namespace {
void require(cudaError_t error) {
  if (error == cudaSuccess) return;
  std::fprintf(stderr, "bench_cuda: %s\n", cudaGetErrorString(error));
  std::exit(1);
}

double median_seconds(const std::function<void(int)>& run) {
  constexpr int warmup = 3, runs = 21;
  cudaEvent_t begin, end;
  require(cudaEventCreate(&begin)), require(cudaEventCreate(&end));
  std::vector<float> times;
  for (int i = 0; i < warmup + runs; ++i) {
    require(cudaEventRecord(begin));
    run(i);
    require(cudaEventRecord(end)), require(cudaEventSynchronize(end));
    float milliseconds = 0;
    require(cudaEventElapsedTime(&milliseconds, begin, end));
    if (i >= warmup) times.push_back(milliseconds);
  }
  cudaEventDestroy(begin), cudaEventDestroy(end);
  std::ranges::nth_element(times, times.begin() + runs / 2);
  return double(times[runs / 2]) * 1e-3;
}

constexpr int turns = 4096, chains = 8;  // independent sums of a warp

template <Precision precision> __global__ void multiply(float* to) {
  float d[chains][4] = {};
  const uint32_t a[4] = {threadIdx.x, 1, 2, 3}, b[2] = {4, threadIdx.x};
  for (int i = 0; i < turns; ++i)
#pragma unroll
    for (int c = 0; c < chains; ++c) {
#define MMA(shape, type) \
  asm volatile("mma.sync.aligned." shape ".row.col.f32." type "." type \
               ".f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, " \
               "{%0,%1,%2,%3};" \
               : "+f"(d[c][0]), "+f"(d[c][1]), "+f"(d[c][2]), "+f"(d[c][3]) \
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]))
      if constexpr (precision == Precision::tf32) MMA("m16n8k8", "tf32");
      else if constexpr (precision == Precision::f16) MMA("m16n8k16", "f16");
      else if constexpr (precision == Precision::bf16) MMA("m16n8k16", "bf16");
      else
        for (float& x : d[c]) x = x * 1.0001f + float(threadIdx.x);
    }
  float sum = 0;
  for (auto& chain : d)
    for (const float x : chain) sum += x;
  if (sum == 1234.5f) to[blockIdx.x] = sum;  // never, but the compiler does not know
}
template <Precision precision> double measured_peak() {
  int device = 0, processors = 0;
  require(cudaGetDevice(&device)), require(cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device));
  float* to = nullptr;
  const int blocks = processors * 4, threads = 256;
  require(cudaMalloc(&to, size_t(blocks) * sizeof(float)));
  const double seconds = median_seconds([&](int) { multiply<precision><<<blocks, threads>>>(to); });
  cudaFree(to);
  const double of_warp =
      precision == Precision::f32 ? 32 * 4 * 2 : 16 * 8 * (precision == Precision::tf32 ? 8 : 16) * 2;
  return of_warp * chains * turns * (double(blocks) * threads / 32) / seconds;
}
}  // namespace

double peak_flops(Precision precision) {
  switch (precision) {
    case Precision::tf32: return measured_peak<Precision::tf32>();
    case Precision::f16: return measured_peak<Precision::f16>();
    case Precision::bf16: return measured_peak<Precision::bf16>();
    default: return measured_peak<Precision::f32>();
  }
}

double copy_bandwidth() {
  constexpr size_t bytes = size_t{512} << 20;
  void *from = nullptr, *to = nullptr;
  require(cudaMalloc(&from, bytes)), require(cudaMalloc(&to, bytes));
  const double seconds =
      median_seconds([&](int) { require(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice)); });
  cudaFree(from), cudaFree(to);
  return 2.0 * bytes / seconds;
}

#ifdef INLAY_BENCH_CUBLAS
double cublas_seconds(Precision precision, int64_t m, int64_t n, int64_t k) {
  const bool half = precision == Precision::f16 || precision == Precision::bf16;
  const cudaDataType type = precision == Precision::f16    ? CUDA_R_16F
                            : precision == Precision::bf16 ? CUDA_R_16BF
                                                           : CUDA_R_32F;
  const cublasComputeType_t compute = precision == Precision::tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
  const size_t element = half ? 2 : 4, bytes_a = size_t(m * k) * element, bytes_b = size_t(k * n) * element,
               bytes_c = size_t(m * n) * element;
  const size_t copies = std::clamp<size_t>((size_t{256} << 20) / (bytes_a + bytes_b + bytes_c), 1, 64);
  cublasHandle_t handle;
  if (cublasCreate(&handle) != CUBLAS_STATUS_SUCCESS) return 0;
  char *a = nullptr, *b = nullptr, *c = nullptr;
  require(cudaMalloc(&a, bytes_a * copies)), require(cudaMalloc(&b, bytes_b * copies)),
      require(cudaMalloc(&c, bytes_c * copies));
  require(cudaMemset(a, 0, bytes_a * copies)), require(cudaMemset(b, 0, bytes_b * copies));
  const float one = 1, zero = 0;
  const double seconds = median_seconds([&](int i) {
    const size_t at = size_t(i) % copies;  // row-major: the transposed product of transposed operands
    cublasGemmEx(handle, CUBLAS_OP_N, CUBLAS_OP_N, int(n), int(m), int(k), &one, b + at * bytes_b, type, int(n),
                 a + at * bytes_a, type, int(k), &zero, c + at * bytes_c, type, int(n), compute, CUBLAS_GEMM_DEFAULT);
  });
  cudaFree(a), cudaFree(b), cudaFree(c), cublasDestroy(handle);
  return seconds;
}
#else
double cublas_seconds(Precision, int64_t, int64_t, int64_t) { return 0; }
#endif

#ifdef INLAY_BENCH_CUDNN
namespace {
// Memory that lasts as long as a measurement.
class Memory {
 public:
  explicit Memory(size_t bytes) {
    require(cudaMalloc(&data_, bytes ? bytes : 1));
    require(cudaMemset(data_, 0, bytes ? bytes : 1));
  }
  ~Memory() { cudaFree(data_); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  char* data() const { return static_cast<char*>(data_); }

 private:
  void* data_ = nullptr;
};
}  // namespace

double cudnn_seconds(Precision precision, const SquareConv& c) {
  const bool half = precision == Precision::f16 || precision == Precision::bf16;
  const cudnnDataType_t type = precision == Precision::f16    ? CUDNN_DATA_HALF
                               : precision == Precision::bf16 ? CUDNN_DATA_BFLOAT16
                                                              : CUDNN_DATA_FLOAT;
  const cudnnMathType_t math = half                           ? CUDNN_TENSOR_OP_MATH
                               : precision == Precision::tf32 ? CUDNN_DEFAULT_MATH
                                                              : CUDNN_FMA_MATH;
  bool right = true;
  const auto done = [&](cudnnStatus_t status) { right = right && status == CUDNN_STATUS_SUCCESS; };
  cudnnHandle_t handle = nullptr;
  cudnnTensorDescriptor_t x = nullptr, y = nullptr;
  cudnnFilterDescriptor_t w = nullptr;
  cudnnConvolutionDescriptor_t conv = nullptr;
  done(cudnnCreate(&handle));
  if (!right) return 0;
  done(cudnnCreateTensorDescriptor(&x)), done(cudnnCreateTensorDescriptor(&y));
  done(cudnnCreateFilterDescriptor(&w)), done(cudnnCreateConvolutionDescriptor(&conv));
  const int pad = c.kernel / 2, out = c.out_extent();
  done(cudnnSetTensor4dDescriptor(x, CUDNN_TENSOR_NHWC, type, 1, c.channels, c.extent, c.extent));
  done(cudnnSetTensor4dDescriptor(y, CUDNN_TENSOR_NHWC, type, 1, c.out, out, out));
  done(cudnnSetFilter4dDescriptor(w, type, CUDNN_TENSOR_NHWC, c.out, c.channels, c.kernel, c.kernel));
  done(cudnnSetConvolution2dDescriptor(conv, pad, pad, c.stride, c.stride, 1, 1, CUDNN_CROSS_CORRELATION,
                                       CUDNN_DATA_FLOAT));
  done(cudnnSetConvolutionMathType(conv, math));
  cudnnConvolutionFwdAlgoPerf_t best{};
  int found = 0;
  if (right) done(cudnnFindConvolutionForwardAlgorithm(handle, x, w, conv, y, 1, &found, &best));
  double seconds = 0;
  if (right && found && best.status == CUDNN_STATUS_SUCCESS) {
    done(cudnnSetConvolutionMathType(conv, best.mathType));
    const auto product = [](int a, int b, int d) { return size_t(a) * size_t(b) * size_t(d); };
    const size_t element = half ? 2 : 4, bytes_x = product(c.channels, c.extent, c.extent) * element,
                 bytes_w = product(c.out, c.channels, c.kernel * c.kernel) * element,
                 bytes_y = product(c.out, out, out) * element;
    const size_t copies = std::clamp<size_t>((size_t{256} << 20) / (bytes_x + bytes_w + bytes_y), 1, 64);
    const Memory all_x(bytes_x * copies), all_w(bytes_w * copies), all_y(bytes_y * copies), workspace(best.memory);
    const float one = 1, zero = 0;
    seconds = median_seconds([&](int i) {
      const size_t at = size_t(i) % copies;
      done(cudnnConvolutionForward(handle, &one, x, all_x.data() + at * bytes_x, w, all_w.data() + at * bytes_w, conv,
                                   best.algo, workspace.data(), best.memory, &zero, y, all_y.data() + at * bytes_y));
    });
  }
  cudnnDestroyConvolutionDescriptor(conv), cudnnDestroyFilterDescriptor(w);
  cudnnDestroyTensorDescriptor(y), cudnnDestroyTensorDescriptor(x), cudnnDestroy(handle);
  return right ? seconds : 0;
}
#else
double cudnn_seconds(Precision, const SquareConv&) { return 0; }
#endif
}  // namespace bench::cuda
