#include "engine/ops/device_broadcast.h"
#include "engine/ops/strides.h"

namespace engine {
namespace {
using schema::Where;

Types infer(const Where&, const InferContext& in) {
  in.expect_inputs(3, 3);
  in.expect_class(0, schema::DTypeClass::boolean);
  in.expect_same_dtype(1, 2);
  const Type inputs[] = {in.in(0), in.in(1), in.in(2)};
  return {broadcast(in.in(1).dtype, inputs)};
}

// Positions in the condition, in both values and in y.
Nest<4> nest_of(std::span<const int64_t> y, std::span<const int64_t> condition, std::span<const int64_t> a, std::span<const int64_t> b) {
  const Extents extents(y);
  return Nest<4>{extents, {broadcast_strides(condition, y.size()), broadcast_strides(a, y.size()), broadcast_strides(b, y.size()), dense_strides(extents)}}.merged();
}

void reference(const Where&, RunContext& c) {
  const ConstView &condition = c.in(0), &a = c.in(1), &b = c.in(2);
  const View y = c.out(0);
  const auto nest = nest_of(y.shape, condition.shape, a.shape, b.shape);
  const auto* chosen = reinterpret_cast<const uint8_t*>(condition.data);
  with_mover(y.dtype, [&](auto mover) {
    nest.each({}, [&](const auto& at) {
      if (chosen[at[0]]) mover.move(y.data, at[3], a.data, at[1]);
      else mover.move(y.data, at[3], b.data, at[2]);
    });
  });
}

// One row: whether an operand moves along is known to the loop, so that it is vectors of loads and a mask.
template <class T, bool each_condition, bool each_a, bool each_b>
void select_row(const uint8_t* condition, const T* a, const T* b, T* y, int64_t n) {
#pragma GCC ivdep  // y may be a
  for (int64_t i = 0; i < n; ++i) {
    const T from_a = a[each_a ? i : 0], from_b = b[each_b ? i : 0], mask = condition[each_condition ? i : 0] ? T(-1) : T(0);
    y[i] = T((from_a & mask) | (from_b & ~mask));
  }
}

// Rows whose operands are one element or as many as y has: dims that no operand changes along with are merged.
template <class T> std::function<void(RunContext&)> selecting(Nest<4> nest) {
  constexpr decltype(&select_row<T, true, true, true>) kinds[] = {
      select_row<T, false, false, false>, select_row<T, false, false, true>, select_row<T, false, true, false>, select_row<T, false, true, true>,
      select_row<T, true, false, false>,  select_row<T, true, false, true>,  select_row<T, true, true, false>,  select_row<T, true, true, true>};
  const auto moves = [&](size_t k) { return nest.strides[k].back() != 0; };
  return [nest, row = kinds[moves(0) * 4 + moves(1) * 2 + moves(2)]](RunContext& c) {
    const auto* condition = reinterpret_cast<const uint8_t*>(c.in(0).data);
    const T *a = reinterpret_cast<const T*>(c.in(1).data), *b = reinterpret_cast<const T*>(c.in(2).data);
    T* y = reinterpret_cast<T*>(c.out(0).data);
    nest.rows({}, [&](const auto& at) { row(condition + at[0], a + at[1], b + at[2], y + at[3], nest.extents.back()); });
  };
}

std::optional<Lowered> lower(const Where&, const LowerContext& c) {
  const int bits = bits_of(c.out(0).dtype);
  if (c.out(0).dtype == DType::string || bits % 8) return std::nullopt;
  if (c.target) return lower_broadcast({.kind = kernels::cuda::BroadcastProblem::where, .element_bytes = bits / 8}, c);
  const Nest<4> nest = nest_of(c.out(0).shape(), c.in(0).shape(), c.in(1).shape(), c.in(2).shape());
  switch (bits) {
    case 8: return Lowered{"select", selecting<uint8_t>(nest)};
    case 16: return Lowered{"select", selecting<uint16_t>(nest)};
    case 32: return Lowered{"select", selecting<uint32_t>(nest)};
    case 64: return Lowered{"select", selecting<uint64_t>(nest)};
    default: return std::nullopt;
  }
}

// A condition that is one constant chooses now.
void simplify(const Where&, NodeId n, Rewriter& rewriter) {
  const Graph& graph = rewriter.graph;
  const Node node = graph[n];
  const Constant* condition = graph[node.inputs[0]].constant.get();
  if (!condition || condition->view().elements() != 1) return;
  const ValueId chosen = node.inputs[load<Int>(condition->view(), 0) != Int(0) ? 1 : 2];
  if (graph[chosen].type.ranked && graph[chosen].type == graph[node.outputs[0]].type) rewriter.replace(node.outputs[0], chosen);
}
}  // namespace

const OpDef<Where>& def(const Where&) {
  static constexpr OpDef<Where> def{.infer = infer, .reference = reference, .lower = lower, .on_device = true, .simplify = simplify, .inplace_input = input_at<Where, 1>};
  return def;
}
}  // namespace engine
