// Values as ONNX's test data store them, in .pb files.
#pragma once
#include "engine/tensor.h"

namespace test {
// A TensorProto, SequenceProto or OptionalProto, as the type says.
engine::Object read_pb(const std::string& path, const engine::Type&);
void write_pb(const std::string& path, const engine::ConstView&);
}  // namespace test
