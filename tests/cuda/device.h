// The emulated device as kernel tests use it, and the sizes around a tile.
#pragma once
#include "kernels/cuda/backend.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/driver.h"
#include "kernels/cuda/families.h"
#include "kernels/threads.h"
#include "tests/kernels/util.h"

namespace test {
namespace cuda = kernels::cuda;

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

// Runs a row, with threads in either order: `y()` gives a fresh output, and the result is its contents, the same both
// times.
template <class Row, class Problem, class Args, class T>
std::vector<T> run(const Row& row, const Problem& problem, Args args, T* Args::*output, size_t n) {
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

inline std::vector<int64_t> around(int64_t tile) { return {0, 1, tile - 1, tile, tile + 1}; }
}  // namespace test
