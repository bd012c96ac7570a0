#include <algorithm>
#include "engine/ops/device_copies.h"

namespace engine {
namespace {
using schema::Split;

// The extents of the parts along a dim.
std::vector<int64_t> parts_of(const Split& op, const std::optional<std::vector<int64_t>>& sizes, int64_t extent, size_t outputs) {
  if (sizes) {
    int64_t sum = 0;
    for (int64_t size : *sizes) {
      check(size >= 0 && size <= extent, "part size ", size, " does not fit extent ", extent);
      sum += size;
    }
    check(sum == extent, "parts ", *sizes, " do not add up to extent ", extent);
    check(sizes->size() >= outputs, "has ", outputs, " outputs but ", sizes->size(), " parts");
    return *sizes;
  }
  const int64_t count = op.parts ? op.parts : int64_t(outputs), each = (extent + count - 1) / count;
  std::vector<int64_t> parts;
  for (int64_t k = 0; k < count; ++k) parts.push_back(std::clamp<int64_t>(extent - k * each, 0, each));
  return parts;
}

Types infer(const Split& op, const InferContext& in) {
  in.expect_inputs(1, 2);
  in.expect_tensor(0);
  if (in.has(1)) {
    in.expect_dtype(1, {DType::i64});
    check(!in.in(1).ranked || in.in(1).rank() == 1, "the sizes must have rank 1, not ", in.in(1).rank());
  }
  check(in.outputs() >= 1, "has no outputs");
  check(op.parts >= 0 && op.parts <= limits::ports && (!op.parts || int64_t(in.outputs()) <= op.parts), "has ", in.outputs(), " outputs but ", op.parts, " parts");
  const Type& x = in.in(0);
  Types types(in.outputs(), x);
  if (!x.ranked) return types;
  const int64_t axis = normal_axis(op.axis, x.rank());
  const Dim& extent = x.dims[axis];
  const auto sizes = in.has(1) ? in.ints(1) : std::nullopt;
  check(!sizes || sizes->size() >= types.size(), "has ", types.size(), " outputs but fewer sizes");
  const auto known = in.known_ints(1);
  const bool certain = extent.known() && (known || !in.has(1));
  const auto parts = certain ? parts_of(op, known, extent.value(), types.size()) : std::vector<int64_t>{};
  const int64_t count = op.parts ? op.parts : int64_t(types.size());
  for (size_t k = 0; k < types.size(); ++k) {
    Dim& d = types[k].dims[axis];
    if (certain) d = parts[k];
    else if (sizes) d = (*sizes)[k];
    else d = !in.has(1) && extent % count == Dim(0) ? extent / count : Dim::unknown();
    check(!d.known() || d.value() >= 0, "part size ", d.text(), " is negative");
  }
  return types;
}

void reference(const Split& op, RunContext& c) {
  const ConstView& x = c.in(0);
  const int64_t axis = normal_axis(op.axis, x.rank());
  const AxisSplit whole(x.shape, axis);
  const auto parts = c.sized(0) ? std::vector<int64_t>{} : parts_of(op, c.has(1) ? std::optional(to_ints(c.in(1))) : std::nullopt, whole.extent, c.outputs());
  Extents shape(x.shape);
  for (size_t k = 0, first = 0; k < c.outputs(); ++k) {
    shape[axis] = c.sized(k) ? c.out(k).shape[axis] : parts[k];
    const View y = c.set_out(k, x.dtype, shape);
    const int64_t run = shape[axis] * whole.inner;
    for (int64_t o = 0; run && o < whole.outer; ++o) copy_elements(y, o * run, x, o * whole.extent * whole.inner + int64_t(first), run);
    first += size_t(run);
  }
}

std::optional<Lowered> lower(const Split& op, const LowerContext& c) {
  if (!c.target) return std::nullopt;
  const Shape x = c.in(0).shape();
  const int64_t axis = normal_axis(op.axis, int64_t(x.size()));
  const AxisSplit whole(x, axis);
  std::vector<StridedCopy> copies;
  int64_t first = 0;
  for (size_t k = 0; k < c.node.outputs.size(); ++k) {
    if (c.node.outputs[k] == ValueId::none) return std::nullopt;
    const int64_t run = c.out(k).shape()[size_t(axis)] * whole.inner;
    copies.push_back({0, k, {{whole.outer, run}, {Extents{run, 1}, Extents{whole.extent * whole.inner, 1}}}, {0, first}});
    first += run;
  }
  return lower_copies(c, copies);
}

std::vector<Part> parts(const Split& op, const Graph& graph, const Node& node) {
  const Type& x = graph[node.inputs[0]].type;
  std::vector<Part> all;
  int64_t first = 0;
  for (ValueId v : node.outputs) {
    if (v == ValueId::none || !x.determined() || !graph[v].type.determined()) return {};
    const int64_t axis = normal_axis(op.axis, x.rank());
    all.push_back({axis, first});
    first += graph[v].type.dims[size_t(axis)].value();
  }
  return all;
}

void simplify(const Split& op, NodeId n, Rewriter& rewriter) {
  const Graph& graph = rewriter.graph;
  const Node& node = graph[n];
  if (node.outputs.size() == 1 && op.parts <= 1 && graph[node.inputs[0]].type == graph[node.outputs[0]].type)
    rewriter.replace(node.outputs[0], node.inputs[0]);
}
}  // namespace

const OpDef<Split>& def(const Split&) {
  static constexpr OpDef<Split> def{.infer = infer,
                                    .reference = reference,
                                    .lower = lower,
                                    .on_device = true,
                                    .keeps_half = true,
                                    .simplify = simplify,
                                    .sized_by = 1u << 1,
                                    .parts = parts};
  return def;
}
}  // namespace engine
