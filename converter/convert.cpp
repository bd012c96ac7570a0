#include "converter/convert.h"

namespace converter {
using namespace engine;

std::span<const Pass> pipeline() {
  static const auto passes = [] {
    const auto general = general_passes();
    std::vector<Pass> all{{"fuse_quantized", fuse_quantized, 0}};  // before constants are folded: a bias is one of integers still
    all.insert(all.end(), general.begin(), general.end());
    all.push_back({"fold_batch_norm", fold_batch_norm, 1});
    all.push_back({"fuse_activations", fuse_activations, 1});
    all.push_back({"fuse_norms", fuse_norms, 1});
    all.push_back({"fuse_one_hot", fuse_one_hot, 1});
    all.push_back({"fuse_cells", fuse_cells, 1});
    for (Pass pass : general) {
      pass.stage = 1;
      all.push_back(pass);
    }
    return all;
  }();
  return passes;
}

Graph convert(const std::string& path, const ConvertOptions& options, std::vector<PassRun>* report) {
  ImportOptions import = options.import;
  if (options.progress)
    import.progress = [&](int64_t done, int64_t total) {
      if (options.import.progress) options.import.progress(done, total);
      options.progress("import", done, total);
    };
  Graph graph = import_onnx(path, import);
  if (options.progress) options.progress("passes", 0, 1);
  auto runs = run_passes(graph, pipeline(), options.passes);
  if (report) *report = std::move(runs);
  if (options.progress) options.progress("passes", 1, 1);
  verify(graph);
  return graph;
}
}  // namespace converter
