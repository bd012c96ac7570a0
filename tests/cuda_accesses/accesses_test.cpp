// What the emulation says of kernels whose accesses it sees: planted mistakes are found, and what is right is not
// refused.
#include "tests/cuda/device.h"

namespace kernels::cuda {
namespace {
struct Words {
  float at[64];
};
// Thread t reads what the thread in front of it wrote.
enum class Between { nothing, block_barrier, warp_barrier, exchange };
template <Between between> __global__ void neighbours(float* y) {
  auto& s = shared<Words>();
  const int t = int(threadIdx.x);
  s.at[t] = float(t);
  if constexpr (between == Between::block_barrier) __syncthreads();
  if constexpr (between == Between::warp_barrier) __syncwarp();
  if constexpr (between == Between::exchange) __shfl_sync(~0u, t, 0);
  y[t] = s.at[t ? t - 1 : 0];
}
__global__ void overwrites_too_early(float* y) {
  auto& s = shared<Words>();
  const int t = int(threadIdx.x);
  s.at[t] = float(t);
  __syncthreads();
  y[t] = s.at[63 - t];
  s.at[t] = 0;
}
__global__ void copies_too_early(const float* x, float* y) {
  auto& s = shared<Words>();
  const int t = int(threadIdx.x);
  s.at[t] = float(t);
  __syncthreads();
  y[t] = s.at[63 - t];
  copy_async<4>(&s.at[t], &x[t]);
  commit_async();
  wait_async<0>();
}
__global__ void reads_what_nobody_wrote(float* y) { y[threadIdx.x] = shared<Words>().at[threadIdx.x]; }
__global__ void in_front(float* y) { y[0] = *(&shared<Words>().at[0] - 32); }
// By `step` elements apart: 0, and all blocks write the same.
__global__ void writes(float* y, int64_t step) { y[linear_thread() * step] = 1; }
__global__ void reads_of_others(float* y) {
  if (blockIdx.x == 0) y[threadIdx.x] = 1;
  else y[64 + threadIdx.x] = y[threadIdx.x];
}
struct alignas(8) Two {
  float at[2];
};
__attribute__((no_sanitize("undefined"))) __global__ void moves_two(const float* x, float* y, int64_t from) {
  *reinterpret_cast<Two*>(y) = *reinterpret_cast<const Two*>(x + from);
}
// Four floats into shared memory, from its element `to` on.
__global__ void copies_four(const float* x, float* y, int64_t to) {
  auto& s = shared<Words>();
  copy_async<16>(&s.at[to], x);
  commit_async();
  wait_async<0>();
  y[0] = s.at[to];
}
// A warp's matrices of 16 bytes a row, from element `from` of shared memory on.
__global__ void loads_matrices(float* y, int64_t from) {
  auto& s = shared<Words>();
  const int t = int(threadIdx.x);
  s.at[t] = s.at[t + 32] = float(t);
  __syncwarp();
  uint32_t rows[4];
  load_matrices(rows, &s.at[from + t % 8 * 4]);
  y[t] = float(rows[0]);
}
struct TooMuch {
  float at[(99 << 10) / 4 + 1];
};
__global__ void least(int* y) { atomicMax(y, int(linear_thread())); }

class Accesses : public testing::Test {
 protected:
  void SetUp() override { test::expect_ok(driver_.make_stream(0, &stream_)); }
  void TearDown() override { driver_.end_stream(stream_); }
  // Of a kernel that has been launched: what is wrong with it, or nothing.
  std::string mistake(Failure launched) {
    test::expect_ok(launched);
    const char* failure = driver_.synchronise(stream_);
    return failure ? failure : "";
  }
  const Driver driver_ = driver();
  Stream* stream_ = nullptr;
  const test::OnDevice<float> x_ = test::OnDevice<float>(test::Buffer(128, 1)), y_ = test::OnDevice<float>(128);
};
void expect_part(const std::string& text, const char* part) { EXPECT_NE(text.find(part), std::string::npos) << text; }

TEST_F(Accesses, SharedMemoryWithoutABarrier) {
  const auto neighbours_of = [&](auto kernel, unsigned threads) {
    return mistake(launch<Words>(kernel, 1, threads, stream_, y_.data()));
  };
  const std::string text = neighbours_of(neighbours<Between::nothing>, 64);
  expect_part(text, "a read that races with a write in shared memory: thread 0 of block 0 at ");
  expect_part(text, ", then thread 1 of block 0 at ");
  expect_part(neighbours_of(neighbours<Between::exchange>, 32), "a read that races with a write");
  EXPECT_EQ(neighbours_of(neighbours<Between::warp_barrier>, 32), "");
  expect_part(neighbours_of(neighbours<Between::warp_barrier>, 64), "thread 31 of block 0");
  EXPECT_EQ(neighbours_of(neighbours<Between::block_barrier>, 64), "");
  for (const bool reversed : {false, true}) {
    emulator::reversed = reversed;
    expect_part(mistake(launch<Words>(overwrites_too_early, 1, 64, stream_, y_.data())), " races with a ");
    expect_part(mistake(launch<Words>(copies_too_early, 1, 64, stream_, x_.data(), y_.data())), " races with a ");
  }
  emulator::reversed = false;
}
TEST_F(Accesses, SharedMemoryThatIsNotThere) {
  expect_part(mistake(launch<Words>(reads_what_nobody_wrote, 1, 64, stream_, y_.data())), "that nobody has written");
  expect_part(mistake(launch<Words>(in_front, 1, 1, stream_, y_.data())), "in front of shared memory");
}
TEST_F(Accesses, BlocksThatTouchTheSameElements) {
  expect_part(mistake(launch<void>(writes, 2, 64, stream_, y_.data(), 0)),
              "two writes that race on the device: thread 0 of block 0");
  EXPECT_EQ(mistake(launch<void>(writes, 2, 64, stream_, y_.data(), 1)), "");
  EXPECT_EQ(mistake(launch<void>(writes, 2, 64, stream_, y_.data(), 1)), "") << "a launch comes behind the one before";
  expect_part(mistake(launch<void>(reads_of_others, 2, 64, stream_, y_.data())),
              "a read that races with a write on the device");
  const test::OnDevice<int> most(std::vector<int>{0});
  EXPECT_EQ(mistake(launch<void>(least, 2, 64, stream_, most.data())), "");
  EXPECT_EQ(most.read()[0], 127);
}
TEST_F(Accesses, Alignment) {
  EXPECT_EQ(mistake(launch<void>(moves_two, 1, 1, stream_, x_.data(), y_.data(), 4)), "");
  expect_part(mistake(launch<void>(moves_two, 1, 1, stream_, x_.data(), y_.data(), 1)), "that is not aligned");
  EXPECT_EQ(mistake(launch<Words>(copies_four, 1, 1, stream_, x_.data(), y_.data(), 4)), "");
  expect_part(mistake(launch<Words>(copies_four, 1, 1, stream_, x_.data(), y_.data(), 2)),
              "an asynchronous copy of 16 bytes that is not aligned");
  EXPECT_EQ(mistake(launch<Words>(loads_matrices, 1, 32, stream_, y_.data(), 4)), "");
  expect_part(mistake(launch<Words>(loads_matrices, 1, 32, stream_, y_.data(), 2)),
              "a row of a matrix that is not aligned");
}
TEST_F(Accesses, MoreSharedMemoryThanEveryDeviceHas) {
  const char* failure = launch<TooMuch>(writes, 1, 1, stream_, y_.data(), 0);
  ASSERT_NE(failure, nullptr);
  expect_part(failure, "more shared memory");
}
}  // namespace
}  // namespace kernels::cuda
