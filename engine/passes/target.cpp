#include "engine/passes/target.h"
#include "engine/passes/passes.h"

namespace engine {
void run_target_passes(Graph& graph, const CompileOptions& options) {
  static constexpr Pass passes[] = {
      {"expand_quantized", expand_quantized, 0},
      {"fold_pads", fold_pads, 0},  // also those that inference has decided now
      {"widen_half", widen_half, 0},
      {"channels_last", channels_last, 1},
      {"canonicalise", canonicalise, 2},
      {"eliminate_common", eliminate_common, 2},
      {"fuse_epilogues", fuse_epilogues, 3},
      {"fuse_strips", fuse_strips, 4},
  };
  PassOptions pass_options;
  pass_options.disable = options.disabled_passes;
  run_passes(graph, passes, pass_options);
}
}  // namespace engine
