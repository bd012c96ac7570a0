// Passes that fit a graph to one machine. They run when a plan is compiled, after its extents are known, and their result
// is never saved.
#pragma once
#include "engine/plan.h"

namespace engine {
struct DeviceTarget;
bool expand_quantized(Graph&);
bool expand_quantized_but_products(Graph&);  // those that a kernel for bytes takes
bool widen_half(Graph&);
bool lines_as_images(Graph&);
bool channels_last(Graph&);
bool channels_last_on_device(Graph&);  // which transposes convolutions in groups itself
bool fuse_attention(Graph&);
bool fuse_epilogues(Graph&);
bool fuse_strips(Graph&);
// Part of place_on_device, which CompileOptions::disabled_passes can name: little work between steps of the host stays there.
inline constexpr const char* weigh_copies = "weigh_copies";
// For a device: NonMaxSuppression in the extents that it can have, and a Slice that takes what it found.
bool bound_selections(Graph&);
// Which nodes run on options.device: copies go where a value changes sides. A graph input, and what nothing says otherwise of, is on the host.
void place_on_device(Graph&, const CompileOptions&);
// Why a node is not on the device, to the thread's RefusalLog.
void explain_placement(const Graph&, const Node&, const DeviceTarget& probe);
// Of each node of a graph with such copies, whether it runs on the device.
std::vector<bool> nodes_on_device(const Graph&);

void run_target_passes(Graph&, const CompileOptions&);
}  // namespace engine
