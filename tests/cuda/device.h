// The emulated device as kernel tests use it, and the sizes around a tile.
#pragma once
#include "kernels/cuda/backend.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/driver.h"
#include "kernels/cuda/families.h"
#include "kernels/cuda/numbers.h"
#include "kernels/threads.h"
#include "tests/kernels/util.h"

namespace test {
namespace cuda = kernels::cuda;
using kernels::Precision;

inline void expect_ok(cuda::Failure failure) { EXPECT_EQ(failure, nullptr) << failure; }

// Memory on the device: `n` elements, which end where nothing may be touched. Outputs start as NaN.
template <class T> class OnDevice {
 public:
  explicit OnDevice(size_t n) : n_(n), bytes_((n * sizeof(T) + page - 1) / page * page) {
    expect_ok(driver_.allocate(0, std::max(bytes_, page), &memory_));
    std::vector<std::byte> filled(bytes_, std::byte{0xff});
    write(filled.data(), bytes_, static_cast<std::byte*>(memory_));
  }
  OnDevice(const T* values, size_t n) : OnDevice(n) { write(values, n * sizeof(T), data()); }
  explicit OnDevice(const std::vector<T>& values) : OnDevice(values.data(), values.size()) {}
  explicit OnDevice(const Buffer& values) requires std::is_same_v<T, float> : OnDevice(values.data(), values.size()) {}
  OnDevice(OnDevice&& other) : n_(other.n_), bytes_(other.bytes_), memory_(std::exchange(other.memory_, nullptr)) {}
  ~OnDevice() { driver_.release(0, memory_); }

  T* data() const { return reinterpret_cast<T*>(static_cast<std::byte*>(memory_) + bytes_ - n_ * sizeof(T)); }
  std::vector<T> read() const {
    std::vector<T> values(n_);
    copy(values.data(), data(), n_ * sizeof(T), driver_.download);
    return values;
  }
  // Nothing in front of the elements has changed; what lies behind them faults.
  bool intact() const {
    std::vector<std::byte> front(bytes_ - n_ * sizeof(T));
    copy(front.data(), memory_, front.size(), driver_.download);
    return std::all_of(front.begin(), front.end(), [](std::byte b) { return b == std::byte{0xff}; });
  }

 private:
  static constexpr size_t page = 64 << 10;
  void write(const void* from, size_t bytes, void* to) const { copy(to, from, bytes, driver_.upload); }
  static void copy(void* to, const void* from, size_t bytes,
                   cuda::Failure (*how)(cuda::Stream*, void*, const void*, size_t)) {
    if (!bytes) return;
    cuda::Stream* stream = nullptr;
    expect_ok(driver_.make_stream(0, &stream));
    expect_ok(how(stream, to, from, bytes));
    expect_ok(driver_.synchronise(stream));
    driver_.end_stream(stream);
  }
  static inline const cuda::Driver driver_ = cuda::driver();
  size_t n_, bytes_;
  void* memory_ = nullptr;
};

// Runs a row, with threads in either order: `output` is n fresh elements, and the result is their contents, the same both
// times.
template <class T, class Row, class Problem, class Args, class Member>
std::vector<T> run_as(const Row& row, const Problem& problem, Args args, Member output, size_t n) {
  const cuda::Driver driver = cuda::driver();
  cuda::Stream* stream = nullptr;
  expect_ok(driver.make_stream(0, &stream));
  std::vector<std::vector<T>> results;
  for (const bool reversed : {false, true}) {
    cuda::emulator::reversed = reversed;
    const OnDevice<T> y(n);
    args.*output = y.data();
    expect_ok(row.run(problem, args, stream));
    expect_ok(driver.synchronise(stream));
    results.push_back(y.read());
    EXPECT_TRUE(y.intact());
  }
  cuda::emulator::reversed = false;
  driver.end_stream(stream);
  EXPECT_TRUE(results[0].empty() || std::memcmp(results[0].data(), results[1].data(), n * sizeof(T)) == 0)
      << "the order of threads changes the result";
  return results[0];
}

template <class Row, class Problem, class Args, class T>
std::vector<T> run(const Row& row, const Problem& problem, Args args, T* Args::*output, size_t n) {
  return run_as<T>(row, problem, args, output, n);
}

template <class Row, class Problem, class Args>
std::vector<float> run(const Row& row, const Problem& problem, Args args, void* Args::*output, size_t n) {
  return run_as<float>(row, problem, args, output, n);
}

// What a row reports of a run that begins a stream.
template <class Row, class Problem, class Args> cuda::Fault fault_of(const Row& row, const Problem& p, const Args& args, int step = 0) {
  const cuda::Driver driver = cuda::driver();
  cuda::Stream* stream = nullptr;
  expect_ok(driver.make_stream(0, &stream));
  driver.watch(stream, step);
  expect_ok(row.run(p, args, stream));
  bool some_can = false;
  expect_ok(driver.fetch_fault(stream, &some_can));
  EXPECT_TRUE(some_can);
  expect_ok(driver.synchronise(stream));
  const cuda::Fault fault = driver.fault(stream);
  expect_ok(driver.fetch_fault(stream, &some_can));
  EXPECT_FALSE(some_can) << "nothing has been asked for since";
  driver.end_stream(stream);
  return fault;
}

// The device that tests run on. Its functions, and whether it joins a product and a sum, are its own: what is the same to the bit in the
// emulation is the same to this tolerance there.
inline cuda::DeviceInfo device_info() {
  cuda::DeviceInfo info{};
  expect_ok(cuda::driver().describe(0, &info));
  return info;
}
inline double own_arithmetic(double tolerance) {
  static const bool emulated = std::string_view(device_info().name) == "emulated";
  return emulated ? 0 : tolerance;
}
inline void expect_same(const std::vector<float>& got, const std::vector<float>& want, double tolerance_of_a_device) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); ++i)
    ASSERT_TRUE(near(got[i], want[i], own_arithmetic(tolerance_of_a_device))) << i << ": " << got[i] << " not " << want[i];
}

// A number as a row of the precision multiplies it.
inline float rounded(float x, Precision p) {
  if (p == Precision::tf32) return cuda::float_of_bits(cuda::round_tf32(cuda::bits_of_float(x)));
  if (p == Precision::f16) return cuda::from_half(cuda::to_half(x));
  return p == Precision::bf16 ? cuda::float_of_bits(uint32_t(cuda::to_bfloat(x)) << 16) : x;
}
// Operands that are in memory as the precision has them, which is half or bfloat16.
inline std::vector<uint16_t> halves(const float* x, size_t n, Precision p) {
  std::vector<uint16_t> to(n);
  for (size_t i = 0; i < n; ++i) to[i] = p == Precision::f16 ? cuda::to_half(x[i]) : cuda::to_bfloat(x[i]);
  return to;
}

inline std::vector<uint16_t> halves(const std::vector<float>& x, schema::DType type) {
  return halves(x.data(), x.size(), type == schema::DType::f16 ? Precision::f16 : Precision::bf16);
}
inline std::vector<float> floats(const std::vector<uint16_t>& x, schema::DType type) {
  std::vector<float> to;
  for (size_t i = 0; i < x.size(); ++i) to.push_back(cuda::load_real(type, x.data(), int64_t(i)));
  return to;
}

inline std::vector<int64_t> around(int64_t tile) { return {0, 1, tile - 1, tile, tile + 1}; }
}  // namespace test
