// Zeros that a Pad puts around a convolution's input become the convolution's own padding, which costs nothing.
#include <algorithm>
#include "engine/op.h"
#include "engine/passes/passes.h"

namespace engine {
namespace {
using schema::AutoPad, schema::Conv, schema::Ints;

// The pads of the spatial dims, all begins, then all ends. None: it pads other dims too, crops, or not with zeros.
std::optional<Ints> spatial_zeros(const Graph& graph, const Node& node) {
  const auto* op = node.op.get_if<schema::Pad>();
  if (!op || op->mode != schema::PadMode::constant || !graph[node.inputs[0]].type.ranked) return std::nullopt;
  const auto given = [&](size_t k) { return k < node.inputs.size() && node.inputs[k] != ValueId::none; };
  const auto constant = [&](size_t k) { return graph[node.inputs[k]].constant.get(); };
  const int64_t rank = graph[node.inputs[0]].type.rank();
  if (rank < 3 || !constant(1) || (given(3) && !constant(3))) return std::nullopt;
  if (given(2) && (!constant(2) || !schema::is_real(constant(2)->dtype) || load<double>(constant(2)->view(), 0) != 0)) return std::nullopt;
  const Ints pads = to_ints(constant(1)->view()), axes = given(3) ? to_ints(constant(3)->view()) : Ints{};
  const size_t n = given(3) ? axes.size() : size_t(rank), spatial = size_t(rank - 2);
  if (pads.size() != 2 * n || std::ranges::any_of(pads, [](int64_t p) { return p < 0 || p > INT32_MAX / 2; })) return std::nullopt;
  Ints zeros(2 * spatial, 0);
  for (size_t i = 0; i < n; ++i) {
    const int64_t axis = given(3) ? normal_axis(axes[i], rank) : int64_t(i);
    if (axis >= 2) zeros[size_t(axis - 2)] = pads[i], zeros[size_t(axis - 2) + spatial] = pads[i + n];
    else if (pads[i] || pads[i + n]) return std::nullopt;
  }
  return zeros;
}

// What is around x is then all zeros, and the windows stay where they are.
std::optional<Conv> padded(const Conv& op, const Ints& zeros) {
  if (op.auto_pad != AutoPad::none && op.auto_pad != AutoPad::valid) return std::nullopt;
  Conv out = op;
  if (op.auto_pad == AutoPad::valid || op.pad.empty()) out.pad = Ints(zeros.size(), 0);
  if (out.pad.size() != zeros.size()) return std::nullopt;
  out.auto_pad = AutoPad::none;
  for (size_t i = 0; i < zeros.size(); ++i)
    if ((out.pad[i] += zeros[i]) > INT32_MAX / 2) return std::nullopt;
  return out;
}
}  // namespace

bool fold_pads(Graph& graph) {
  const bool inner = change_bodies(graph, fold_pads);
  const auto folded = [&](const Node& node) -> std::optional<Conv> {
    const auto* op = node.op.get_if<Conv>();
    const NodeId producer = op ? graph[node.inputs[0]].producer : NodeId::none;
    const auto zeros = producer == NodeId::none ? std::nullopt : spatial_zeros(graph, graph[producer]);
    return zeros ? padded(*op, *zeros) : std::nullopt;
  };
  // A Pad that something else reads as well would remain, and its input would have to be kept beside its result.
  std::vector<int> others(graph.values.size());
  for (const Node& node : graph.nodes)
    for (ValueId v : node.inputs)
      if (v != ValueId::none) ++others[size_t(v)];
  for (const GraphOutput& out : graph.outputs) ++others[size_t(out.value)];
  const size_t count = graph.nodes.size();
  for (size_t n = 0; n < count; ++n)
    if (folded(graph.nodes[n])) --others[size_t(graph.nodes[n].inputs[0])];
  Rewriter rewriter(graph);
  for (size_t n = 0; n < count; ++n) {
    const auto op = folded(graph.nodes[n]);
    if (!op) continue;
    const Node node = graph.nodes[n];
    if (size_t(node.inputs[0]) >= others.size() || others[size_t(node.inputs[0])] != 0) continue;
    const Node pad = graph[graph[node.inputs[0]].producer];
    ValueIds in = node.inputs;
    in[0] = pad.inputs[0];
    Origins origins = pad.origins;
    origins.insert(origins.end(), node.origins.begin(), node.origins.end());
    const ValueId y = rewriter.add(*op, in, origins)[0];
    graph[y].name = graph[node.outputs[0]].name;
    rewriter.replace(node.outputs[0], y);
  }
  return rewriter.commit() || inner;
}
}  // namespace engine
