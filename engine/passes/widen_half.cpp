// Half and bfloat16 compute in f32 on a CPU: nodes that calculate, or move data between those that do, get casts around
// them, and a cast down that is cast up again vanishes.
#include <algorithm>
#include <set>
#include "engine/fold.h"
#include "engine/op.h"
#include "engine/passes/target.h"

namespace engine {
namespace {
bool narrow(DType d) { return d == DType::f16 || d == DType::bf16; }

// Casts and quantisation are where the model asks for a rounding; bodies have types of their own.
bool widens(const Node& node) {
  switch (node.op.id()) {
    case OpId::Unary: case OpId::Binary: case OpId::Where: case OpId::MatMul: case OpId::Conv: case OpId::ConvTranspose:
    case OpId::Pool: case OpId::Resize: case OpId::GridSample: case OpId::Reduce: case OpId::Softmax: case OpId::LayerNorm: case OpId::BatchNorm:
    case OpId::GroupNorm: case OpId::CumSum: case OpId::CumProd: case OpId::Reshape: case OpId::Flatten: case OpId::Squeeze: case OpId::Unsqueeze:
    case OpId::Transpose: case OpId::Expand: case OpId::Concat: case OpId::Split: case OpId::Slice: case OpId::Pad:
    case OpId::Tile: case OpId::Gather: case OpId::Rnn: case OpId::LinearAttention: case OpId::CausalConvWithState:
    case OpId::DeformConv: case OpId::MaxUnpool: case OpId::Col2Im: case OpId::AffineGrid: case OpId::RoiAlign: case OpId::MaxRoiPool: return true;
    default: return false;
  }
}
}  // namespace

bool widen_half(Graph& graph) {
  Rewriter rewriter(graph);
  std::set<ValueId> narrowed;  // what the casts of this pass give: only they vanish
  const auto cast = [&](ValueId v, DType to, const Origins& origins) {
    if (narrowed.contains(v)) return graph[graph[v].producer].inputs[0];
    const ValueId y = rewriter.add(schema::Cast{to}, {v}, origins)[0];
    if (narrow(to)) narrowed.insert(y);
    const ConstantPtr folded = fold(graph, graph.nodes.back(), 0);
    return folded ? graph.add_constant(folded) : y;
  };
  for (size_t n = 0, count = graph.nodes.size(); n < count; ++n) {
    const auto is_narrow = [&](ValueId v) { return v != ValueId::none && narrow(graph[v].type.dtype); };
    if (std::ranges::none_of(graph.nodes[n].inputs, is_narrow)) continue;
    const Node node = graph.nodes[n];
    // An output whose size only the run tells is read by another plan: a cast would read it too early.
    const auto unsized = [&](ValueId v) { return v != ValueId::none && !graph[v].type.placeable(); };
    if (!widens(node) || std::ranges::any_of(node.outputs, unsized)) continue;
    ValueIds in = node.inputs;
    for (ValueId& v : in)
      if (is_narrow(v)) v = cast(v, DType::f32, node.origins);
    const ValueIds out = rewriter.add(node.op, in, node.origins, node.outputs.size());
    for (size_t k = 0; k < out.size(); ++k) {
      if (node.outputs[k] == ValueId::none) continue;
      const DType wanted = graph[node.outputs[k]].type.dtype;
      rewriter.replace(node.outputs[k], graph[out[k]].type.dtype == wanted ? out[k] : cast(out[k], wanted, node.origins));
    }
  }
  return rewriter.commit();
}
}  // namespace engine
