// Tensors and types as ONNX stores them.
#pragma once
#include <map>
#include "engine/tensor.h"

namespace onnx {
class ModelProto;
class TensorProto;
class TypeProto;
}  // namespace onnx

namespace converter {
engine::DType dtype_of(int32_t onnx_data_type);          // throws for what the engine does not have
int32_t onnx_dtype(engine::DType);                        // the number that ONNX gives it
engine::DType dtype_named(const std::string& onnx_name);  // "FLOAT16": how the oldest Cast spells it
// Unnamed extents become symbols "<name>_dim_<i>"; those inside sequences and optionals are unknown.
engine::Type type_of(const onnx::TypeProto&, const std::string& name);

void write_tensor(onnx::TensorProto&, const engine::ConstView&);

// Makes constants of tensors. Large ones refer to the model or to a mapped file of external data.
class TensorReader {
 public:
  TensorReader(std::shared_ptr<const onnx::ModelProto> model, std::string folder)
      : model_(std::move(model)), folder_(std::move(folder)) {}
  engine::ConstantPtr read(const onnx::TensorProto&);

 private:
  struct File;
  engine::ConstantPtr read_external(const onnx::TensorProto&, engine::DType, engine::Shape, int64_t bytes);
  std::shared_ptr<const File> open(const std::string& location);

  std::shared_ptr<const onnx::ModelProto> model_;  // owns what constants point to
  std::string folder_;
  std::map<std::string, std::shared_ptr<const File>> files_;  // by location
};
}  // namespace converter
