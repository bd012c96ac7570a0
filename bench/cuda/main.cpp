// bench_cuda [FILTER]: the rows of the CUDA backend on problems of their own, each the median of runs between events
// over operands that are rotated, so that no cache holds them; beside the measured peak or bandwidth of the device,
// cuBLAS and cuDNN. Rows that read half are measured on what steps keep as half. Without a device it says why, and ends
// well.
#include <algorithm>
#include <cstdio>
#include <functional>
#include <string>
#include "bench/cuda/peers.h"
#include "engine/device.h"
#include "kernels/cuda/backend.h"

namespace {
using namespace engine;
namespace cuda = kernels::cuda;
using kernels::Precision;

constexpr size_t rotated_bytes = size_t{256} << 20;
std::string filter;

// Memory in which operands of a run lie one behind the other, several times.
class Rotated {
 public:
  Rotated(const std::shared_ptr<Device>& device, std::initializer_list<size_t> sizes) {
    for (size_t s : sizes) offsets_.push_back(each_), each_ += (s + 255) / 256 * 256;
    copies_ = std::clamp<size_t>(rotated_bytes / std::max<size_t>(each_, 1), 1, 64);
    memory_ = DeviceMemory(device, each_ * copies_);
    const std::vector<std::byte> zeros(each_);
    for (size_t c = 0; c < copies_; ++c) device->upload(memory_.data() + c * each_, zeros.data(), each_);
  }
  template <class T = float> T* at(int run, size_t operand) const {
    return reinterpret_cast<T*>(memory_.data() + size_t(run) % copies_ * each_ + offsets_[operand]);
  }

 private:
  std::vector<size_t> offsets_;
  size_t each_ = 0, copies_ = 1;
  DeviceMemory memory_;
};

double median_seconds(Device& device, const std::function<const char*(int run, cuda::Stream*)>& launch) {
  constexpr int warmup = 3, runs = 21;
  const cuda::Driver& driver = device.driver();
  cuda::Stream* stream = nullptr;
  cuda::Event *begin = nullptr, *end = nullptr;
  require_done(driver.make_stream(device.index(), &stream));
  require_done(driver.make_event(device.index(), &begin)), require_done(driver.make_event(device.index(), &end));
  std::vector<double> times;
  for (int i = 0; i < warmup + runs; ++i) {
    double seconds = 0;
    require_done(driver.record(begin, stream));
    require_done(launch(i, stream));
    require_done(driver.record(end, stream)), require_done(driver.synchronise(stream));
    require_done(driver.elapsed(begin, end, &seconds));
    if (i >= warmup) times.push_back(seconds);
  }
  driver.end_event(begin), driver.end_event(end), driver.end_stream(stream);
  std::ranges::nth_element(times, times.begin() + runs / 2);
  return times[runs / 2];
}

void print(const std::string& row, const std::string& problem, double seconds, double amount, const char* unit,
           double most) {
  std::printf("%-32s %-36s %10.1f us %9.2f %s %5.1f %%\n", row.c_str(), problem.c_str(), seconds * 1e6,
              amount / seconds * 1e-12, unit, most > 0 ? 100 * amount / seconds / most : 0);
  std::fflush(stdout);
}
bool wanted(const char* row) { return std::string(row).find(filter) != std::string::npos; }
Precision precision_of(const std::string& row) {
  return row.find("_tf32_") != row.npos   ? Precision::tf32
         : row.find("_bf16_") != row.npos ? Precision::bf16
         : row.find("_f16_") != row.npos  ? Precision::f16
                                          : Precision::f32;
}
bool is_half(Precision p) { return p == Precision::f16 || p == Precision::bf16; }
schema::DType kept_as(Precision p) {
  return p == Precision::f16 ? schema::DType::f16 : p == Precision::bf16 ? schema::DType::bf16 : schema::DType::f32;
}

struct Peaks {
  double of[4] = {};
  double operator()(Precision p) {
    double& peak = of[int(p)];
    return peak > 0 ? peak : peak = bench::cuda::peak_flops(p);
  }
} peaks;

void gemms(const std::shared_ptr<Device>& device) {
  const int64_t sizes[][3] = {{8192, 8192, 8192}, {4096, 4096, 4096}, {128, 768, 768},
                              {128, 3072, 768},   {128, 768, 3072},   {1, 1000, 2048}};
  for (const auto& [m, n, k] : sizes) {
    const std::string text = std::to_string(m) + "x" + std::to_string(n) + "x" + std::to_string(k);
    const double flops = 2.0 * double(m) * double(n) * double(k);
    for (const auto& row : device->backend().gemm.all()) {
      const Precision p = precision_of(row.name);
      cuda::GemmProblem problem{
          .m = m, .n = n, .k = k, .lda = k, .ldb = k, .ldc = n, .trans_b = true, .precision = p, .half_b = is_half(p)};
      problem.kept.x = problem.kept.y = kept_as(p);
      if (!wanted(row.name) || row.sm > device->sm() || row.refusal(problem)) continue;
      const Rotated memory(device, {size_t(m * k * 4), size_t(n * k * 4), size_t(m * n * 4),
                                    size_t(row.scratch ? row.scratch(problem) : 0)});
      const double seconds = median_seconds(*device, [&](int i, cuda::Stream* stream) {
        return row.run(problem, {memory.at(i, 0), memory.at(i, 1), memory.at(i, 2), {}, memory.at(i, 3)}, stream);
      });
      print(row.name, text, seconds, flops, "TFLOP/s", peaks(p));
    }
    for (const auto& [p, name] : {std::pair(Precision::f32, "cublas_f32"),
                                  {Precision::tf32, "cublas_tf32"},
                                  {Precision::f16, "cublas_f16"},
                                  {Precision::bf16, "cublas_bf16"}})
      if (wanted(name))
        if (const double seconds = bench::cuda::cublas_seconds(p, m, n, k); seconds > 0)
          print(name, text, seconds, flops, "TFLOP/s", peaks(p));
  }
}

void convolutions(const std::shared_ptr<Device>& device) {
  struct Layer {
    int64_t channels, out, extent;
    int kernel, stride;
  };
  for (const Layer& l : {Layer{64, 64, 56, 3, 1},
                         {64, 256, 56, 1, 1},
                         {256, 128, 56, 1, 2},
                         {256, 256, 14, 3, 1},
                         {512, 2048, 7, 1, 1}}) {
    kernels::conv::Spec spec{.channels = l.channels,
                             .out_channels = l.out,
                             .width = l.extent,
                             .kernel_h = l.kernel,
                             .kernel_w = l.kernel,
                             .stride_h = l.stride,
                             .stride_w = l.stride};
    spec.pad_top = spec.pad_left = spec.pad_bottom = spec.pad_right = l.kernel / 2, spec.bias = true;
    const int64_t pixels = spec.out_height(l.extent) * spec.out_width(),
                  weights = l.channels * l.out * l.kernel * l.kernel;
    const std::string text = std::to_string(l.extent) + "x" + std::to_string(l.extent) + " " +
                             std::to_string(l.channels) + ">" + std::to_string(l.out) + " " + std::to_string(l.kernel) +
                             "x" + std::to_string(l.kernel) + " s" + std::to_string(l.stride);
    for (const auto& row : device->backend().conv.all()) {
      const Precision p = precision_of(row.name);
      cuda::ConvProblem problem{spec, 1, l.extent, p, p};
      problem.kept.x = problem.kept.y = kept_as(p);
      if (!wanted(row.name) || row.sm > device->sm() || row.refusal(problem)) continue;
      const Rotated memory(device,
                           {size_t(l.channels * l.extent * l.extent * 4), size_t(weights * 4), size_t(l.out * 4),
                            size_t(pixels * l.out * 4), size_t(row.scratch ? row.scratch(problem) : 0)});
      const double seconds = median_seconds(*device, [&](int i, cuda::Stream* stream) {
        return row.run(
            problem, {memory.at(i, 0), memory.at(i, 1), memory.at(i, 2), memory.at(i, 3), {}, memory.at(i, 4)}, stream);
      });
      print(row.name, text, seconds, 2.0 * double(pixels) * double(weights), "TFLOP/s", peaks(p));
    }
    for (const auto& [p, name] : {std::pair(Precision::f32, "cudnn_f32"),
                                  {Precision::tf32, "cudnn_tf32"},
                                  {Precision::f16, "cudnn_f16"},
                                  {Precision::bf16, "cudnn_bf16"}})
      if (wanted(name))
        if (const double seconds =
                bench::cuda::cudnn_seconds(p, {int(l.channels), int(l.out), int(l.extent), l.kernel, l.stride});
            seconds > 0)
          print(name, text, seconds, 2.0 * double(pixels) * double(weights), "TFLOP/s", peaks(p));
  }
}

// What reads one tensor and writes another: of f32, and of what is kept as half.
template <class Problem>
void maps(const std::shared_ptr<Device>& device, const cuda::Family<Problem, cuda::MapArgs>& family, Problem problem,
          const char* text, int64_t read, int64_t written, double bandwidth) {
  for (const auto& row : family.all()) {
    const bool half = std::string(row.name).find("_half_") != std::string::npos;
    problem.x = problem.y = half ? schema::DType::f16 : schema::DType::f32;
    if (!wanted(row.name) || row.refusal(problem)) continue;
    const Rotated memory(device, {size_t(read * 4), size_t(written * 4)});
    const double seconds = median_seconds(*device, [&](int i, cuda::Stream* stream) {
      return row.run(problem, {memory.at(i, 0), memory.at(i, 1)}, stream);
    });
    print(row.name, text, seconds, double(read + written) * (half ? 2 : 4), "TB/s   ", bandwidth);
  }
}
}  // namespace

int main(int argc, char** argv) try {
  if (argc > 1) filter = argv[1];
  std::shared_ptr<Device> device;
  try {
    device = Device::cuda();
  } catch (const Error& e) {
    if (e.code != Code::unsupported) throw;
    return std::printf("skipped: %s\n", e.what()), 0;
  }
  const double bandwidth = bench::cuda::copy_bandwidth();
  std::printf("%s, sm_%d: %.2f TB/s of a copy\n", device->name().c_str(), device->sm(), bandwidth * 1e-12);
  gemms(device);
  convolutions(device);
  constexpr int64_t rows = 16384, columns = 1024;
  maps(device, device->backend().softmax, cuda::SoftmaxProblem{{schema::SoftmaxKind::softmax, rows, columns, 1}},
       "16384x1024", rows * columns, rows * columns, bandwidth);
  maps(device, device->backend().reduce, cuda::ReduceProblem{{schema::ReduceKind::mean, rows, columns, 1}},
       "16384x1024", rows * columns, rows, bandwidth);
} catch (const std::exception& e) {
  std::fprintf(stderr, "bench_cuda: %s\n", e.what());
  return 1;
}
