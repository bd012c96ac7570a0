#include "engine/passes/target.h"
#include "engine/passes/passes.h"

namespace engine {
void run_target_passes(Graph& graph, const CompileOptions& options) {
  static constexpr Pass passes[] = {
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
  if (options.device) pass_options.disable.push_back("fuse_strips");  // whose strips are made for a CPU's caches
  run_passes(graph, passes, pass_options);
  if (options.device) place_on_device(graph, options);
}
}  // namespace engine
