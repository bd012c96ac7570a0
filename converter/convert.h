// From an ONNX model to the Graph that is saved: import, then the portable passes.
#pragma once
#include "converter/onnx.h"
#include "engine/passes/passes.h"

namespace converter {
struct ConvertOptions {
  ImportOptions import;
  engine::PassOptions passes;
  std::function<void(std::string_view stage, int64_t done, int64_t total)> progress;  // "import", "passes"
};

bool fold_batch_norm(
    engine::Graph&);  // into the weights of a convolution or product before it; else a scale and an offset
bool fuse_quantized(engine::Graph&);  // DequantizeLinear, Conv or MatMul, QuantizeLinear: a product of integers
bool fuse_activations(engine::Graph&);  // SiLU, hard swish, mish, GELU: from several nodes to one
bool fuse_one_hot(engine::Graph&);      // a product of one-hot rows: a Gather
bool fuse_cells(engine::Graph&);        // steps of an LSTM, one by one or in a Loop: the op
bool fuse_norms(engine::Graph&);        // layer normalisation, with and without a mean: from several nodes to one

// What narrow_weights did: how many products it changed, the elements of their weights, and the root mean square of the error
// relative to that of the weights, over all and at the worst.
struct NarrowWeights {
  int64_t products = 0, elements = 0;
  double error = 0, worst = 0;
  std::string worst_at;
};
// Constant weights of products in u4 or u8, in blocks of 32 with a scale and a zero point each, or in bf16. Arithmetic stays f32.
NarrowWeights narrow_weights(engine::Graph&, engine::DType);

// The general passes, and those that undo an exporter's habits.
std::span<const engine::Pass> pipeline();

// `report`: what the passes did.
engine::Graph convert(const std::string& path, const ConvertOptions& = {},
                      std::vector<engine::PassRun>* report = nullptr);
}  // namespace converter
