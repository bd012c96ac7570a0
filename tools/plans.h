// The plans behind a session, in words.
#pragma once
#include "engine/session.h"

namespace tools {
using namespace engine;
// Throws, naming the plan, unless every one passes the independent check of its memory.
void check_plans(std::span<const Plan* const>);

// The plans behind a session: the graph's, and those of bodies and of what follows sizes found at run, which take a
// run. Where the values at hand do not carry it, a note says so, and the plans are those that it came to.
std::vector<const Plan*> make_plans(Session&);

struct Memory {
  int64_t arena = 0, lower_bound = 0, without_reuse = 0;
  double ratio() const { return lower_bound ? double(arena) / double(lower_bound) : 1; }
};
Memory memory_of(const Plan&);
Memory memory_of(const Frame&);  // with the frames inside, whose bodies share an arena

std::string origins_of(const Origins&, size_t most = 60);  // shortened
inline std::string origins_of(const Step& step) { return origins_of(step.origins); }
std::string outputs_of(const Plan&, const Step&);       // their types
// What each of Plan::buffers holds: the step that makes it, or whose scratch it is.
std::vector<std::string> buffer_names(const Plan&);
std::string svg(const Plan&);
}  // namespace tools
