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
bool fuse_activations(engine::Graph&);  // SiLU, hard swish, mish, GELU: from several nodes to one
bool fuse_norms(engine::Graph&);        // layer normalisation, with and without a mean: from several nodes to one

// The general passes, and those that undo an exporter's habits.
std::span<const engine::Pass> pipeline();

// `report`: what the passes did.
engine::Graph convert(const std::string& path, const ConvertOptions& = {},
                      std::vector<engine::PassRun>* report = nullptr);
}  // namespace converter
