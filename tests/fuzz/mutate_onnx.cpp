// For libFuzzer: models that stay models.
#include "onnx.pb.h"
#include "tests/fuzz/mutate_message.h"

namespace {
size_t write(const onnx::ModelProto& model, uint8_t* data, size_t max_size) {
  const google::protobuf::LogSilencer silence;
  const std::string bytes = model.SerializePartialAsString();
  if (bytes.size() > max_size) return 0;
  std::copy(bytes.begin(), bytes.end(), data);
  return bytes.size();
}
bool read(onnx::ModelProto& model, const uint8_t* data, size_t size) {
  const google::protobuf::LogSilencer silence;
  return model.ParsePartialFromArray(data, int(size));
}
}  // namespace

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned seed) {
  onnx::ModelProto model;
  if (seed % 16 == 0 || !read(model, data, size)) return LLVMFuzzerMutate(data, size, max_size);
  fuzz::mutate(model, nullptr, seed);
  const size_t written = write(model, data, max_size);
  return written ? written : size;
}

extern "C" size_t LLVMFuzzerCustomCrossOver(const uint8_t* a, size_t a_size, const uint8_t* b, size_t b_size, uint8_t* out, size_t max_size, unsigned seed) {
  onnx::ModelProto model, other;
  if (!read(model, a, a_size) || !read(other, b, b_size)) return 0;
  fuzz::mutate(model, &other, seed | 1);
  return write(model, out, max_size);
}
