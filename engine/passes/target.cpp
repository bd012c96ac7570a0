#include "engine/passes/target.h"
#include "engine/passes/passes.h"
#include "kernels/gemm_s8/gemm_s8.h"

namespace engine {
void run_target_passes(Graph& graph, const CompileOptions& options) {
  const bool multiplies_bytes = kernels::gemm_s8::pays(options.isa) && !options.device;  // a device multiplies floats
  const Pass passes[] = {
      {"expand_quantized", multiplies_bytes ? expand_quantized_but_products : expand_quantized, 0},
      {"fold_pads", fold_pads, 0},  // also those that inference has decided now
      {"widen_half", widen_half, 0},
      {"lines_as_images", lines_as_images, 0},
      {"channels_last", options.device ? channels_last_on_device : channels_last, 1},
      {"canonicalise", canonicalise, 2},
      {"eliminate_common", eliminate_common, 2},
      {"fuse_attention", fuse_attention, 3},
      {"fuse_epilogues", fuse_epilogues, 4},
      {"fuse_strips", fuse_strips, 5},
      {"bound_selections", bound_selections, 5},
  };
  PassOptions pass_options;
  pass_options.disable = options.disabled_passes;
  std::erase(pass_options.disable, weigh_copies);  // of place_on_device, which is no row here
  pass_options.disable.push_back(
      options.device ? "fuse_strips" : "bound_selections");  // the one is for a CPU's caches, the other for a device
  run_passes(graph, passes, pass_options);
  if (options.device) place_on_device(graph, options);
}
}  // namespace engine
