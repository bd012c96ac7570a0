// The emulation itself: what it runs, and the mistakes that it makes visible.
#include "tests/cuda/device.h"

namespace kernels::cuda {
namespace {
struct Sums {
  float at[256];
};
__global__ void block_sums(const float* x, float* y) {
  auto& s = shared<Sums>();
  const int t = int(threadIdx.x);
  s.at[t] = x[linear_thread()];
  __syncthreads();
  for (int half = int(blockDim.x) / 2; half; half /= 2) {
    if (t < half) s.at[t] += s.at[t + half];
    __syncthreads();
  }
  if (t == 0) y[blockIdx.x] = s.at[0];
}
__global__ void without_barrier(const float* x, float* y) {
  auto& s = shared<Sums>();
  s.at[threadIdx.x] = x[threadIdx.x];
  y[threadIdx.x] = s.at[blockDim.x - 1 - threadIdx.x];
}
__global__ void warp_sums(const float* x, float* y) {
  float sum = x[threadIdx.x];
  for (int mask = 16; mask; mask /= 2) sum += __shfl_xor_sync(~0u, sum, mask);
  y[threadIdx.x] =
      sum + 1000 * __shfl_sync(~0u, x[threadIdx.x], 3) + 100000 * __shfl_down_sync(~0u, x[threadIdx.x], 1, 8);
}
__global__ void barrier_for_some(float* y) {
  if (threadIdx.x % 2) __syncthreads();
  y[threadIdx.x] = 1;
}
__global__ void shape(float* y) {
  const int at = int(threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z));
  const int block = int(blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z));
  y[block * 24 + at] = float(block * 24 + at);
}
template <int waits> __global__ void asynchronous(const float* x, float* y) {
  auto& s = shared<Sums>();
  const int t = int(threadIdx.x);
  copy_async<4>(&s.at[t], &x[t]);
  commit_async();
  copy_async<4>(&s.at[t + 32], &x[t + 32], t < 16);
  commit_async();
  wait_async<waits>();
  __syncthreads();
  y[t] = s.at[31 - t], y[t + 32] = s.at[63 - t];
}

class Emulator : public testing::Test {
 protected:
  void SetUp() override { test::expect_ok(driver_.make_stream(0, &stream_)); }
  void TearDown() override {
    driver_.end_stream(stream_);
    emulator::reversed = false;
  }
  const Driver driver_ = driver();
  Stream* stream_ = nullptr;
};

TEST_F(Emulator, BarriersAndSharedMemory) {
  const test::Buffer x(1024, 1);
  const test::OnDevice<float> in(x);
  for (const bool reversed : {false, true}) {
    emulator::reversed = reversed;
    const test::OnDevice<float> out(4);
    test::expect_ok(launch<Sums>(block_sums, 4, 256, stream_, in.data(), out.data()));
    test::expect_ok(driver_.synchronise(stream_));
    const auto y = out.read();
    for (size_t b = 0; b < 4; ++b) {
      double want = 0;
      for (size_t i = 0; i < 256; ++i) want += x[b * 256 + i];
      EXPECT_NEAR(y[b], want, 1e-4);
    }
  }
}

TEST_F(Emulator, ARaceGivesAnotherResultInAnotherOrder) {
  const test::OnDevice<float> in(test::Buffer(64, 1));
  std::vector<std::vector<float>> results;
  for (const bool reversed : {false, true}) {
    emulator::reversed = reversed;
    const test::OnDevice<float> out(64);
    test::expect_ok(launch<Sums>(without_barrier, 1, 64, stream_, in.data(), out.data()));
    test::expect_ok(driver_.synchronise(stream_));
    results.push_back(out.read());
  }
  EXPECT_NE(std::memcmp(results[0].data(), results[1].data(), 64 * sizeof(float)), 0);
  EXPECT_TRUE(std::isnan(results[0][0])) << "shared memory starts as NaN";
}

TEST_F(Emulator, Shuffles) {
  std::vector<float> x(64);
  for (size_t i = 0; i < 64; ++i) x[i] = float(i);
  const test::OnDevice<float> in(x), out(64);
  test::expect_ok(launch<void>(warp_sums, 1, 64, stream_, in.data(), out.data()));
  test::expect_ok(driver_.synchronise(stream_));
  const auto y = out.read();
  for (size_t i = 0; i < 64; ++i) {
    const size_t warp = i / 32 * 32, down = i % 8 < 7 ? i + 1 : i;
    EXPECT_EQ(y[i], float(warp * 32 + 496) + 1000 * x[warp + 3] + 100000 * x[down]) << i;
  }
}

TEST_F(Emulator, ThreadsThatWaitForOthersThatHaveEndedAreAnError) {
  const test::OnDevice<float> out(64);
  test::expect_ok(launch<void>(barrier_for_some, 1, 64, stream_, out.data()));
  const char* failure = driver_.synchronise(stream_);
  ASSERT_NE(failure, nullptr);
  EXPECT_NE(std::string(failure).find("barrier"), std::string::npos) << failure;
  // The next kernel starts anew.
  const test::OnDevice<float> again(8 * 24);
  test::expect_ok(launch<void>(shape, dim3(2, 2, 2), dim3(4, 3, 2), stream_, again.data()));
  test::expect_ok(driver_.synchronise(stream_));
  const auto y = again.read();
  for (size_t i = 0; i < y.size(); ++i) EXPECT_EQ(y[i], float(i));
}

TEST_F(Emulator, CopiesArriveAtTheWait) {
  std::vector<float> x(64);
  for (size_t i = 0; i < 64; ++i) x[i] = float(i);
  const test::OnDevice<float> in(x), all(64), one(64);
  test::expect_ok(launch<Sums>(asynchronous<0>, 1, 32, stream_, in.data(), all.data()));
  test::expect_ok(launch<Sums>(asynchronous<1>, 1, 32, stream_, in.data(), one.data()));
  test::expect_ok(driver_.synchronise(stream_));
  const auto a = all.read(), b = one.read();
  for (size_t t = 0; t < 32; ++t) {
    EXPECT_EQ(a[t], x[31 - t]);
    EXPECT_EQ(b[t], x[31 - t]);
    EXPECT_EQ(a[t + 32], 31 - t < 16 ? x[63 - t] : 0);
    EXPECT_TRUE(std::isnan(b[t + 32])) << "one commit may still be on its way";
  }
}

TEST_F(Emulator, AStreamWorksWhenItIsSynchronised) {
  float from = 1, to = 0;
  const test::OnDevice<float> device(1);
  test::expect_ok(driver_.upload(stream_, device.data(), &from, sizeof from));
  from = 2;  // too early: the copy has not been made
  test::expect_ok(driver_.download(stream_, &to, device.data(), sizeof to));
  EXPECT_EQ(to, 0);
  test::expect_ok(driver_.synchronise(stream_));
  EXPECT_EQ(to, 2);
}

TEST_F(Emulator, GraphsAreReplayed) {
  float from = 1, to = 0;
  const test::OnDevice<float> device(1);
  Graph* graph = nullptr;
  test::expect_ok(driver_.begin_capture(stream_));
  test::expect_ok(driver_.upload(stream_, device.data(), &from, sizeof from));
  test::expect_ok(driver_.download(stream_, &to, device.data(), sizeof to));
  test::expect_ok(driver_.end_capture(stream_, &graph));
  test::expect_ok(driver_.synchronise(stream_));
  EXPECT_EQ(to, 0) << "what is recorded is not done";
  for (const float value : {3.0f, 4.0f}) {
    from = value;
    test::expect_ok(driver_.launch(graph, stream_));
    test::expect_ok(driver_.synchronise(stream_));
    EXPECT_EQ(to, value);
  }
  driver_.end_graph(graph);
}

TEST_F(Emulator, DeviceMemoryIsNotTheHosts) {
  const test::OnDevice<float> device(1);
  EXPECT_DEATH(*static_cast<volatile float*>(device.data()) = 1, "");
}

TEST_F(Emulator, LaunchesThatNoDeviceTakes) {
  EXPECT_NE(launch<void>(shape, dim3(0), dim3(32), stream_, nullptr), nullptr);
  EXPECT_NE(launch<void>(shape, dim3(1), dim3(1025), stream_, nullptr), nullptr);
  EXPECT_NE(launch<void>(shape, dim3(1, 65536), dim3(32), stream_, nullptr), nullptr);
}
}  // namespace
}  // namespace kernels::cuda
