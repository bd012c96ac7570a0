#include <algorithm>
#include <bitset>
#include "engine/ops/device_copies.h"

namespace engine {
namespace {
using schema::Slice;

// What is cut from one dim.
struct Cut {
  int64_t start, step, count;
};

Cut cut_of(int64_t start, int64_t end, int64_t step, int64_t extent) {
  check(step != 0, "a step is zero");
  step = std::clamp(step, -limits::extent, limits::extent);
  const auto bound = [&](int64_t i) { return std::clamp<int64_t>(i < 0 ? i + extent : i, step < 0 ? -1 : 0, step < 0 ? extent - 1 : extent); };
  const int64_t from = bound(start), to = bound(end);
  return {from, step, std::max<int64_t>(0, step > 0 ? (to - from + step - 1) / step : (from - to - step - 1) / -step)};
}

// A bound of a forward slice of a dim that is no number, if its clamped position can be told.
std::optional<Dim> position(const Dim& bound, const Dim& extent) {
  if (!bound.known()) return bound.lower() >= 0 && bound.upper() <= extent.lower() ? std::optional(bound) : std::nullopt;
  const int64_t v = bound.value();
  if (v >= extent.upper()) return extent;
  if (v >= 0) return v <= extent.lower() ? std::optional(Dim(v)) : std::nullopt;
  return extent.lower() >= -std::max(v, -limits::extent) ? std::optional(extent + v) : std::nullopt;
}

Dim length(const Dim& start, const Dim& end, const std::optional<Dim>& step, const Dim& extent) {
  if (!step || !step->known()) return Dim::unknown();
  check(step->value() != 0, "a step is zero");
  if (start.known() && end.known() && extent.known()) return cut_of(start.value(), end.value(), step->value(), extent.value()).count;
  const auto from = position(start, extent), to = position(end, extent);
  if (step->value() != 1 || !from || !to) return Dim::unknown();
  const Dim count = *to - *from;
  return count.lower() >= 0 ? count : Dim::unknown();
}

// The axes that starts, ends and steps are for, checked.
Extents full_axes(std::optional<Extents> axes, size_t starts, size_t ends, std::optional<size_t> steps, int64_t rank) {
  if (!axes) {
    axes.emplace();
    for (size_t i = 0; i < starts; ++i) axes->push_back(int64_t(i));
  }
  check(starts == ends && starts == axes->size() && steps.value_or(starts) == starts, "starts, ends, axes and steps differ in length");
  std::bitset<limits::rank> seen;
  for (int64_t& axis : *axes) {
    axis = normal_axis(axis, rank);
    check(!seen[size_t(axis)], "axis ", axis, " is given twice");
    seen[size_t(axis)] = true;
  }
  return *axes;
}

Types infer(const Slice&, const InferContext& in) {
  in.expect_inputs(3, 5);
  in.expect_tensor(0);
  for (size_t k = 1; k < in.inputs(); ++k)
    if (in.has(k)) {
      in.expect_dtype(k, {DType::i32, DType::i64});
      check(!in.in(k).ranked || in.in(k).rank() == 1, "input ", k, " must have rank 1, not ", in.in(k).rank());
    }
  const Type& x = in.in(0);
  if (!x.ranked) return {x};
  const auto starts = in.ints(1), ends = in.ints(2), steps = in.has(4) ? in.ints(4) : std::nullopt;
  const auto axes = in.known_ints(3);
  if (in.has(3) && !axes) return {Type::tensor(x.dtype, Dims(x.dims.size(), Dim::unknown()))};
  // How many dims are cut is told by any of the lists.
  const auto count_of = [&](size_t k) -> std::optional<size_t> {
    if (const auto v = in.ints(k)) return v->size();
    return in.has(k) && in.in(k).ranked && in.in(k).dims[0].known() ? std::optional(size_t(in.in(k).dims[0].value())) : std::nullopt;
  };
  const auto count = axes ? axes->size() : count_of(1) ? count_of(1) : count_of(2);
  if (!count) return {Type::tensor(x.dtype, Dims(x.dims.size(), Dim::unknown()))};
  check(int64_t(*count) <= x.rank(), "cuts ", *count, " dims of ", x);
  const auto where = full_axes(axes ? std::optional<Extents>(*axes) : std::nullopt, count_of(1).value_or(*count), count_of(2).value_or(*count), count_of(4), x.rank());
  Type y = x;
  for (size_t i = 0; i < where.size(); ++i) {
    const auto step = !in.has(4) ? std::optional(Dim(1)) : steps ? std::optional((*steps)[i]) : std::nullopt;
    Dim& d = y.dims[where[i]];
    d = starts && ends ? length((*starts)[i], (*ends)[i], step, d) : Dim::unknown();
  }
  return {y};
}

// The extents of the result, and where in x its elements lie. `list(k)` gives the numbers of input k, if there is one.
struct Reached {
  Extents shape, strides;
  int64_t first = 0;
};
template <class F> Reached reached(std::span<const int64_t> x, F&& list) {
  const Extents starts = *list(1), ends = *list(2), steps = list(4).value_or(Extents(starts.size(), 1));
  const Extents axes = full_axes(list(3), starts.size(), ends.size(), steps.size(), int64_t(x.size()));
  Reached r{Extents(x), dense_strides(x)};
  for (size_t i = 0; i < axes.size(); ++i) {
    const int64_t axis = axes[i];
    const Cut cut = cut_of(starts[i], ends[i], steps[i], r.shape[axis]);
    r.shape[axis] = cut.count;
    if (cut.count) r.first += cut.start * r.strides[axis], r.strides[axis] *= cut.step;
  }
  return r;
}

void reference(const Slice&, RunContext& c) {
  const ConstView& x = c.in(0);
  const Reached r = reached(x.shape, [&](size_t k) { return c.has(k) ? std::optional(small_ints(c.in(k))) : std::nullopt; });
  copy_strided(c.set_out(0, x.dtype, r.shape), x, r.strides, r.first);
}

std::optional<Lowered> lower(const Slice&, const LowerContext& c) {
  for (size_t k = 1; k < 5; ++k)
    if (c.has(k) && !c.constant(k)) return std::nullopt;
  const Reached r = reached(c.in(0).shape(), [&](size_t k) { return c.has(k) ? std::optional(small_ints(c.constant(k)->view())) : std::nullopt; });
  if (c.target) return lower_strided(c, r.strides, r.first);
  const Nest<2> nest = Nest<2>{r.shape, {dense_strides(r.shape), r.strides}}.merged();
  return Lowered{"copy", [nest, first = r.first](RunContext& run) { copy_nest(run.out(0), run.in(0), nest, {0, first}); }};
}

// A cut of one dim by step 1.
std::vector<Part> parts(const Slice&, const Graph& graph, const Node& node) {
  const auto ints = [&](size_t k) { return to_ints(graph[node.inputs[k]].constant->view()); };
  for (size_t k = 1; k < node.inputs.size(); ++k)
    if (node.inputs[k] != ValueId::none && !graph[node.inputs[k]].constant) return {};
  const Type &x = graph[node.inputs[0]].type, &y = graph[node.outputs[0]].type;
  if (!x.determined() || !y.determined()) return {};
  const auto starts = ints(1);
  std::optional<Part> cut;
  for (size_t i = 0; i < starts.size(); ++i) {
    const bool has_axes = node.inputs.size() > 3 && node.inputs[3] != ValueId::none, has_steps = node.inputs.size() > 4 && node.inputs[4] != ValueId::none;
    const int64_t axis = has_axes ? normal_axis(ints(3)[i], x.rank()) : int64_t(i), step = has_steps ? ints(4)[i] : 1;
    const int64_t extent = x.dims[size_t(axis)].value();
    if (step != 1) return {};
    if (y.dims[size_t(axis)] == x.dims[size_t(axis)]) continue;
    if (cut) return {};
    cut = Part{axis, std::clamp<int64_t>(starts[i] < 0 ? starts[i] + extent : starts[i], 0, extent)};
  }
  return cut ? std::vector<Part>{*cut} : std::vector<Part>{};
}

// Forward steps that keep every extent keep every element.
void simplify(const Slice&, NodeId n, Rewriter& rewriter) {
  const Graph& graph = rewriter.graph;
  const Node node = graph[n];
  const Type &x = graph[node.inputs[0]].type, &y = graph[node.outputs[0]].type;
  if (!x.ranked || x != y) return;
  if (node.inputs.size() > 4 && node.inputs[4] != ValueId::none) {
    const Constant* steps = graph[node.inputs[4]].constant.get();
    if (!steps) return;
    for (int64_t step : to_ints(steps->view()))
      if (step < 0) return;
  }
  rewriter.replace(node.outputs[0], node.inputs[0]);
}
}  // namespace

const OpDef<Slice>& def(const Slice&) {
  static constexpr OpDef<Slice> def{.infer = infer, .reference = reference, .lower = lower, .on_device = true, .keeps_half = true, .simplify = simplify, .parts = parts};
  return def;
}
}  // namespace engine
