// Memory of a device through the public interface, on the device that the host emulates; tensors as DLPack describes
// them.
#include <gtest/gtest.h>
#include <cstdlib>
#include "engine/device.h"
#include "engine/model_file.h"
#include <inlay/inlay.hpp>
#include "tests/api/models.h"

namespace {
// The layout of dlpack.h's DLTensor.
struct DLDevice {
  int device_type;  // an enumeration there
  int32_t device_id;
};
struct DLDataType {
  uint8_t code, bits;
  uint16_t lanes;
};
struct DLTensor {
  void* data;
  DLDevice device;
  int32_t ndim;
  DLDataType dtype;
  int64_t *shape, *strides;
  uint64_t byte_offset;
};
constexpr int cpu = 1, cuda = 2, float_code = 2;

std::shared_ptr<engine::Device> emulated() { return engine::Device::open(INLAY_CUDA_EMULATED, 0); }
inlay::Model negation_on_device(test::TempFile& file, inlay_precision precision = INLAY_PRECISION_F32) {
  setenv("INLAY_CUDA_LIBRARY", INLAY_CUDA_EMULATED, 1);
  engine::save_model(test::two_outputs(), file.path());
  return inlay::Model::load(file.path(), {.device = INLAY_CUDA, .precision = precision});
}

TEST(ApiDevice, DlpackTensorsAreReadAndWrittenInPlace) {
  test::TempFile file("dlpack.inlay");
  inlay::Session session(negation_on_device(file));
  const std::vector<float> x{0, 0, 1, -2, 3, 4, 5, -6};  // two elements lie in front
  std::vector<float> y(6), s(6);
  const engine::DeviceMemory in(emulated(), 32), out(emulated(), 24);
  emulated()->upload(in.data(), x.data(), 32);
  int64_t shape[] = {2, 3}, strides[] = {3, 1};
  const DLTensor dl_in{in.data(), {cuda, 0}, 2, {float_code, 32, 1}, shape, strides, 8},
      dl_out{out.data(), {cuda, 0}, 2, {float_code, 32, 1}, shape, nullptr, 0};
  const DLTensor dl_sum{s.data(), {cpu, 0}, 2, {float_code, 32, 1}, shape, nullptr, 0};
  session.set_dlpack_input("x", dl_in);
  session.set_dlpack_output("y", dl_out);
  session.set_dlpack_output("s", dl_sum);
  for (int turn = 0; turn < 2; ++turn) {
    std::fill(s.begin(), s.end(), 0.0f);
    auto outputs = session.run();
    EXPECT_EQ(outputs["y"].data(), out.data());
    emulated()->download(y.data(), out.data(), 24);
    for (size_t i = 0; i < 6; ++i) {
      EXPECT_EQ(y[i], -x[i + 2]);
      EXPECT_EQ(s[i], 2 * x[i + 2]);
    }
  }
}

TEST(ApiDevice, DlpackTensorsThatAreNotTaken) {
  float value = 0;
  int64_t shape[] = {2, 3}, strides[] = {1, 2};
  const DLTensor good{&value, {cpu, 0}, 2, {float_code, 32, 1}, shape, nullptr, 0};
  EXPECT_EQ(inlay::from_dlpack(good).dtype(), inlay::DType::f32);
  DLTensor t = good;
  t.strides = strides;
  EXPECT_THROW(inlay::from_dlpack(t), inlay::Error);
  t = good, t.dtype.lanes = 4;
  EXPECT_THROW(inlay::from_dlpack(t), inlay::Error);
  t = good, t.dtype = {5, 64, 1};  // complex
  EXPECT_THROW(inlay::from_dlpack(t), inlay::Error);
  t = good, t.device.device_type = 4;  // OpenCL
  EXPECT_THROW(inlay::is_on_cuda(t), inlay::Error);
  t = good, t.dtype = {4, 16, 1};
  EXPECT_EQ(inlay::from_dlpack(t).dtype(), inlay::DType::bf16);
  t = good, t.dtype = {1, 8, 1};
  EXPECT_EQ(inlay::from_dlpack(t).dtype(), inlay::DType::u8);
}

TEST(ApiDevice, ArgumentsAreChecked) {
  test::TempFile file("device.inlay");
  const inlay::Model model = negation_on_device(file, INLAY_PRECISION_TF32);
  inlay::Session session(model);
  const engine::DeviceMemory in(emulated(), 24);
  session.set_device_input("x", inlay::view(in.data(), {2, 3}, inlay::DType::f32));
  EXPECT_THROW(session.set_device_input(1, inlay::view(in.data(), {2, 3}, inlay::DType::f32)), inlay::Error);
  session.set_stream(nullptr);
  EXPECT_THROW(inlay::Model::load(file.path(), {.precision = INLAY_PRECISION_TF32}), inlay::Error)
      << "the CPU rounds to nothing but fp16";
  EXPECT_THROW(inlay::Model::load(file.path(), {.max_isa = "scalar", .precision = INLAY_PRECISION_F16}), inlay::Error)
      << "and not without its arithmetic";
  EXPECT_THROW(inlay::Model::load(file.path(), {.device = INLAY_CUDA, .precision = 9}), inlay::Error);
  inlay::Model::load(file.path(), {.precision = INLAY_PRECISION_ONLY_F32});  // which the CPU does anyway
  negation_on_device(file, INLAY_PRECISION_ONLY_F32);
  inlay::Session on_cpu(inlay::Model::load(file.path()));
  EXPECT_THROW(on_cpu.set_device_input("x", inlay::view(in.data(), {2, 3}, inlay::DType::f32)), inlay::Error);
  EXPECT_THROW(on_cpu.set_stream(nullptr), inlay::Error);
  EXPECT_EQ(inlay_session_set_device_input(nullptr, 0, nullptr), INLAY_INVALID_ARGUMENT);
  EXPECT_EQ(inlay_session_set_device_output(nullptr, 0, nullptr), INLAY_INVALID_ARGUMENT);
  EXPECT_EQ(inlay_session_set_stream(nullptr, nullptr), INLAY_INVALID_ARGUMENT);
}
}  // namespace
