#include "engine/passes/target.h"
#include <algorithm>
#include "engine/passes/passes.h"

namespace engine {
void run_target_passes(Graph& graph, const CompileOptions& options) {
  static constexpr Pass passes[] = {
      {"widen_half", widen_half, Stage::target},
      {"channels_last", channels_last, Stage::target},
      {"canonicalise", canonicalise, Stage::target},
      {"eliminate_common", eliminate_common, Stage::target},
  };
  run_passes(graph, passes, {.disable = options.disabled_passes});
}
}  // namespace engine
