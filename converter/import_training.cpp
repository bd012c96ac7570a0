// Ops that train a model. They have rows so that what says no to them says why.
#include "converter/onnx_node.h"

namespace converter {
namespace {
void refuse(OnnxNode&) {
  fail(Code::unsupported, "this op trains a model, and Inlay is for inference: export the model without its training");
}

constexpr Row training_rows[] = {{"Adagrad", refuse}, {"Adam", refuse}, {"Gradient", refuse}, {"Momentum", refuse}};
}  // namespace

Group training_group() { return {training_domain, training_rows}; }
}  // namespace converter
