// Portable passes: they make a graph smaller or simpler and keep its meaning on every machine. Each is a free function
// that also goes into bodies, and returns whether it changed anything.
#pragma once
#include <functional>
#include "engine/graph.h"

namespace engine {
bool canonicalise(Graph&);      // every op's own simplifications: no Identity stays, and no If with a constant condition
bool fold_constants(Graph&);    // what follows from constants becomes one, unless that costs memory
bool eliminate_common(Graph&);  // equal nodes and equal constants become one
bool fold_pads(Graph&);         // zeros around a convolution's input become its own padding
bool eliminate_dead(Graph&);    // drops nodes and constants that no output needs; renumbers values

// Calls f with a copy of each body, and puts the copy in the body's place if f changed it.
bool change_bodies(Graph&, bool (*f)(Graph&));

struct Pass {
  std::string_view name;
  bool (*function)(Graph&);
  int stage;  // the passes of a stage run in turn until none changes anything; then comes the next stage
};
std::span<const Pass> general_passes();

#ifdef NDEBUG
inline constexpr bool verify_passes = false;
#else
inline constexpr bool verify_passes = true;
#endif
struct PassOptions {
  std::vector<std::string> disable;  // names of passes that do not run
  std::string dump_after;            // the name of a pass: dump is called after each of its runs; "all": after every run
  std::function<void(std::string_view pass, const Graph&)> dump;
  int64_t stop_after = INT64_MAX;    // so many runs that changed something, to find the one that breaks a model
  bool verify = verify_passes;       // the graph, after each run that changed it
  int rounds = 20;                   // at most, in each stage
};
struct PassRun {
  std::string_view name;
  int stage = 0, round = 0;
  bool changed = false;
  double seconds = 0;
  size_t nodes = 0;  // afterwards, without those of bodies
};
// Throws invalid_argument for the name of a pass that is not among these. Returns what ran.
std::vector<PassRun> run_passes(Graph&, std::span<const Pass>, const PassOptions& = {});
std::string to_text(std::span<const PassRun>);  // a table: those that changed something, and the time of each pass
}  // namespace engine
