// Nodes to try: op_samples.def as models of one node, with inputs for them.
#pragma once
#include <map>
#include "engine/tensor.h"
#include "onnx.pb.h"

namespace converter {
using DTypeNames = std::map<std::string, engine::DType>;  // what T, T1, Tind, … stand for

struct OpSample {
  std::string_view domain;  // "": ONNX's own
  int since;                // the version of the domain that brought the op
  std::string_view text;
  std::string_view op() const { return text.substr(0, text.find('(')); }
  bool has_node() const { return text.find('(') != text.npos; }
};
std::span<const OpSample> op_samples();

inline constexpr const char* sample_name = "sample";  // of the node

struct SampleModel {
  std::shared_ptr<onnx::ModelProto> model;
  std::vector<engine::Object> inputs;  // of the graph, in its order
  DTypeNames names;                    // all that the sample uses
};
// The sample as a model of this version of ONNX's own domain. `names`: those that do not have the dtype that the sample
// gives them. Throws code internal for a sample that is not as op_samples.def says.
SampleModel make_model(const OpSample&, int opset, const DTypeNames& names = {});
}  // namespace converter
