// Fourier transforms and what goes with them.
#include "converter/onnx_node.h"
#include "converter/onnx_tensor.h"

namespace converter {
namespace {
// Before opset 20 the axis was an attribute, 1 by default.
void dft(OnnxNode& n) {
  const bool attribute = n.opset() < 20;
  n.expect_inputs(1, attribute ? 2 : 3);
  const ValueId axis = attribute ? n.constant(make_scalar(DType::i64, n.integer("axis", 1))) : n.in(2);
  n.finish(schema::Dft{n.flag("inverse", false), n.flag("onesided", false)}, {n.in(0), n.in(1), axis});
}
void stft(OnnxNode& n) { n.finish(schema::Stft{n.flag("onesided", true)}, n.all()); }
void mel_weight_matrix(OnnxNode& n) {
  n.finish(schema::MelWeightMatrix{dtype_of(int32_t(n.integer("output_datatype", 1)))}, n.all());
}

constexpr Row signal_rows[] = {{"DFT", dft}, {"STFT", stft}, {"MelWeightMatrix", mel_weight_matrix}};
}  // namespace

Group signal_group() { return {onnx_domain, signal_rows}; }
}  // namespace converter
