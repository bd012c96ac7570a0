#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include "engine/passes/passes.h"

namespace engine {
namespace {
constexpr Pass general[] = {
    {"canonicalise", canonicalise, 0},
    {"fold_constants", fold_constants, 0},
    {"eliminate_common", eliminate_common, 0},
    {"fold_pads", fold_pads, 0},
    {"eliminate_dead", eliminate_dead, 0},
};

void check_names(std::span<const Pass> passes, const PassOptions& options) {
  const auto known = [&](const std::string& name) {
    std::string all;
    for (const Pass& pass : passes) all.append(all.empty() ? "" : ", ").append(pass.name);
    require(std::ranges::count(passes, name, &Pass::name) > 0, Code::invalid_argument, "no pass is called '", name,
            "'; there are ", all);
  };
  std::ranges::for_each(options.disable, known);
  if (!options.dump_after.empty() && options.dump_after != "all") known(options.dump_after);
}
}  // namespace

std::span<const Pass> general_passes() { return general; }

bool change_bodies(Graph& graph, bool (*f)(Graph&)) {
  bool changed = false;
  for (Node& node : graph.nodes)
    for (auto& body : node.bodies) {
      Graph copy = *body;
      if (f(copy)) body = std::make_shared<const Graph>(std::move(copy)), changed = true;
    }
  return changed;
}

std::vector<PassRun> run_passes(Graph& graph, std::span<const Pass> passes, const PassOptions& options) {
  using Clock = std::chrono::steady_clock;
  check_names(passes, options);
  std::vector<PassRun> runs;
  int64_t changes = 0;
  const auto run = [&](const Pass& pass, int round) {
    const auto start = Clock::now();
    const bool changed = with_context([&] { return pass.function(graph); }, "pass ", pass.name);
    runs.push_back({pass.name, pass.stage, round, changed, std::chrono::duration<double>(Clock::now() - start).count(),
                    graph.nodes.size()});
    if (changed && options.verify) with_context([&] { verify(graph); }, "after pass ", pass.name);
    if (options.dump && (options.dump_after == "all" || options.dump_after == pass.name))
      options.dump(pass.name, graph);
    changes += changed;
    return changed;
  };
  std::vector<int> stages;
  for (const Pass& pass : passes)
    if (std::ranges::find(stages, pass.stage) == stages.end()) stages.push_back(pass.stage);
  std::ranges::sort(stages);
  for (int stage : stages) {
    bool changed = true;
    for (int round = 0; changed && round < options.rounds; ++round) {
      changed = false;
      for (const Pass& pass : passes) {
        if (pass.stage != stage || std::ranges::count(options.disable, pass.name)) continue;
        if (changes >= options.stop_after) return runs;
        changed |= run(pass, round);
      }
    }
  }
  return runs;
}

std::string to_text(std::span<const PassRun> runs) {
  std::string text;
  std::map<std::string_view, double> total;
  char line[160];
  for (const PassRun& run : runs) {
    total[run.name] += run.seconds;
    if (!run.changed) continue;
    std::snprintf(line, sizeof line, "%-24.*s round %-2d %9.3f ms  %zu nodes\n", int(run.name.size()), run.name.data(),
                  run.round, run.seconds * 1e3, run.nodes);
    text += line;
  }
  for (const auto& [name, seconds] : total) {
    std::snprintf(line, sizeof line, "%-24.*s in all   %9.3f ms\n", int(name.size()), name.data(), seconds * 1e3);
    text += line;
  }
  return text;
}
}  // namespace engine
