#include "engine/op.h"
#include "engine/ops/pointwise.h"

namespace engine {
namespace {
using schema::Unary, schema::UnaryKind;

// What the columns of unary.def mean.
template <class T> constexpr bool real = std::is_floating_point_v<T>;
template <class T> constexpr bool integer = !real<T>;
template <class T> constexpr bool boolean = !real<T>;
template <class T> constexpr bool number = true;
constexpr bool same = false, truth = true;

struct Row {
  std::string_view types;
  bool truth;
};
const Row& row(UnaryKind kind) {
#define UNARY(name, types, result, ...) {#types, result},
  static constexpr Row rows[] = {
#include "schema/unary.def"
  };
  return rows[size_t(kind)];
}

Types infer(const Unary& op, const InferContext& in) {
  in.expect_inputs(1, 1);
  in.expect_tensor(0);
  Type type = in.in(0);
  const auto cls = class_of(type.dtype);
  const std::string_view types = row(op.kind).types;
  check(types == schema::name(cls) || (types == "number" && (schema::is_real(type.dtype) || schema::is_integer(type.dtype))),
        schema::name(op.kind), " is defined on ", types, " types only");
  if (row(op.kind).truth) type.dtype = DType::boolean;
  return just(std::move(type));
}

template <class T> T evaluate(UnaryKind kind, T x, [[maybe_unused]] double a, [[maybe_unused]] double b) {
  switch (kind) {
#define UNARY(name, types, result, formula, ...)                                \
  case UnaryKind::name:                                                         \
    if constexpr (types<T>) return static_cast<T>(formula);                     \
    break;
#include "schema/unary.def"
  }
  return x;
}

void reference(const Unary& op, RunContext& c) {
  const ConstView& x = c.in(0);
  const View y = c.out(0);
  with_carrier(x.dtype, [&]<class T>(T) {
    for (int64_t i = 0, n = x.elements(); i < n; ++i) store(y, i, evaluate(op.kind, load<T>(x, i), op.a, op.b));
  });
}

std::optional<Lowered> lower(const Unary& op, const LowerContext& c) {
  return lower_unary(kernels::pointwise::Stage::of(op.kind, float(op.a), float(op.b)), c);
}

bool takes_pitch(const Unary&, const Graph& graph, const Node& node, int port) { return pointwise_takes_pitch(graph, node, port); }

// f(f(x)) is x, or f(x).
void simplify(const Unary& op, NodeId n, Rewriter& rewriter) {
  const Graph& graph = rewriter.graph;
  const ValueId x = graph[n].inputs[0], y = graph[n].outputs[0];
  if (graph[x].producer == NodeId::none) return;
  const Node& inner = graph[graph[x].producer];
  const auto* same_op = inner.op.get_if<Unary>();
  if (!same_op || same_op->kind != op.kind || same_op->a != op.a || same_op->b != op.b) return;
  switch (op.kind) {
    case UnaryKind::neg: case UnaryKind::logical_not: case UnaryKind::bit_not: return rewriter.replace(y, inner.inputs[0]);
    case UnaryKind::relu: case UnaryKind::abs: case UnaryKind::clip: case UnaryKind::floor: case UnaryKind::ceil:
    case UnaryKind::round: case UnaryKind::sign: return rewriter.replace(y, x);
    default: return;
  }
}
}  // namespace

const OpDef<Unary>& def(const Unary&) {
  static constexpr OpDef<Unary> def{.infer = infer, .reference = reference, .lower = lower, .on_device = true, .keeps_half = true, .cpu_keeps_half = true, .simplify = simplify, .inplace_input = input_at<Unary, 0>, .takes_pitch = takes_pitch};
  return def;
}
}  // namespace engine
