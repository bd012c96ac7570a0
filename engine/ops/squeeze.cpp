// Identity, Flatten, Squeeze and Unsqueeze: the elements stay where they are.
#include <algorithm>
#include "engine/op.h"

namespace engine {
namespace {
using schema::Flatten, schema::Identity, schema::Squeeze, schema::Unsqueeze;
using Axes = std::optional<std::vector<int64_t>>;

Type type_of(const ConstView& x) { return Type::tensor(x.dtype, Shape(x.shape.begin(), x.shape.end())); }
void copy_as(const Type& type, RunContext& c) { copy_tensor(c.set_out(0, type.dtype, type.shape()), c.in(0)); }

Types infer(const Identity&, const InferContext& in) {
  in.expect_inputs(1, 1);
  return {in.in(0)};
}
void reference(const Identity&, RunContext& c) { c.set_out(0, c.in(0)); }
void simplify(const Identity&, NodeId n, Rewriter& rewriter) {
  const Node& node = rewriter.graph[n];
  rewriter.replace(node.outputs[0], node.inputs[0]);
}

Type flattened(const Flatten& op, const Type& x) {
  check(op.axis >= -x.rank() && op.axis <= x.rank(), "axis ", op.axis, " is out of range for ", x);
  const int64_t axis = op.axis < 0 ? op.axis + x.rank() : op.axis;
  Dim rows = 1, columns = 1;
  for (int64_t d = 0; d < x.rank(); ++d) (d < axis ? rows : columns) = (d < axis ? rows : columns) * x.dims[d];
  return Type::tensor(x.dtype, {rows, columns});
}
Types infer(const Flatten& op, const InferContext& in) {
  in.expect_inputs(1, 1);
  in.expect_tensor(0);
  const Type& x = in.in(0);
  return {x.ranked ? flattened(op, x) : Type::tensor(x.dtype, {Dim::unknown(), Dim::unknown()})};
}
void reference(const Flatten& op, RunContext& c) { copy_as(flattened(op, type_of(c.in(0))), c); }

// The axes as marks on `rank` dims.
std::vector<bool> marks(const std::vector<int64_t>& axes, int64_t rank) {
  std::vector<bool> marked(static_cast<size_t>(rank));
  for (int64_t axis : axes) {
    const auto d = size_t(normal_axis(axis, rank));
    check(!marked[d], "axis ", axis, " is given twice");
    marked[d] = true;
  }
  return marked;
}

Type squeezed(const Type& x, const Axes& axes) {
  Type y = Type::tensor(x.dtype, Dims{});
  const auto marked = axes ? marks(*axes, x.rank()) : std::vector<bool>{};
  for (size_t d = 0; d < x.dims.size(); ++d) {
    if (!axes && !x.dims[d].known()) return Type::unranked(x.dtype);
    if (axes ? !marked[d] : !(x.dims[d] == Dim(1))) y.dims.push_back(x.dims[d]);
    else check(may_equal(x.dims[d], 1), "dim ", d, " of ", x, " is not 1");
  }
  return y;
}

// The number of axes in input 1, if known.
std::optional<int64_t> expect_axes(const InferContext& in) {
  in.expect_tensor(0);
  if (!in.has(1)) return std::nullopt;
  in.expect_dtype(1, {DType::i64});
  const Type& axes = in.in(1);
  if (!axes.ranked) return std::nullopt;
  check(axes.rank() <= 1, "the axes must have rank 1, not ", axes.rank());
  return axes.rank() == 0 ? 1 : axes.dims[0].known() ? std::optional(axes.dims[0].value()) : std::nullopt;
}

Types infer(const Squeeze&, const InferContext& in) {
  in.expect_inputs(1, 2);
  const Type& x = in.in(0);
  const auto count = expect_axes(in);
  const Axes axes = in.known_ints(1);
  if (x.ranked && (axes || !in.has(1))) return {squeezed(x, axes)};
  if (!x.ranked || !count) return {Type::unranked(x.dtype)};
  check(*count <= x.rank(), *count, " axes are too many for ", x);
  return {Type::tensor(x.dtype, Dims(size_t(x.rank() - *count), Dim::unknown()))};
}
void reference(const Squeeze&, RunContext& c) { copy_as(squeezed(type_of(c.in(0)), c.has(1) ? Axes(to_ints(c.in(1))) : Axes()), c); }

Type unsqueezed(const Type& x, const std::vector<int64_t>& axes) {
  const int64_t rank = x.rank() + int64_t(axes.size());
  check(rank <= limits::rank, "rank ", rank, " is too high");
  Type y = Type::tensor(x.dtype, Dims{});
  size_t next = 0;
  for (bool fresh : marks(axes, rank)) y.dims.push_back(fresh ? Dim(1) : x.dims[next++]);
  return y;
}
Types infer(const Unsqueeze&, const InferContext& in) {
  in.expect_inputs(2, 2);
  const Type& x = in.in(0);
  const auto count = expect_axes(in);
  const auto axes = in.known_ints(1);
  if (x.ranked && axes) return {unsqueezed(x, *axes)};
  if (!x.ranked || !count) return {Type::unranked(x.dtype)};
  check(x.rank() + *count <= limits::rank, "rank ", x.rank() + *count, " is too high");
  return {Type::tensor(x.dtype, Dims(size_t(x.rank() + *count), Dim::unknown()))};
}
void reference(const Unsqueeze&, RunContext& c) { copy_as(unsqueezed(type_of(c.in(0)), to_ints(c.in(1))), c); }
}  // namespace

const OpDef<Identity>& def(const Identity&) {
  static constexpr OpDef<Identity> def{.infer = infer, .reference = reference, .simplify = simplify, .alias = true};
  return def;
}
const OpDef<Flatten>& def(const Flatten&) {
  static constexpr OpDef<Flatten> def{.infer = infer, .reference = reference, .alias = true};
  return def;
}
const OpDef<Squeeze>& def(const Squeeze&) {
  static constexpr OpDef<Squeeze> def{.infer = infer, .reference = reference, .sized_by = 1u << 1, .alias = true};
  return def;
}
const OpDef<Unsqueeze>& def(const Unsqueeze&) {
  static constexpr OpDef<Unsqueeze> def{.infer = infer, .reference = reference, .sized_by = 1u << 1, .alias = true};
  return def;
}
}  // namespace engine
