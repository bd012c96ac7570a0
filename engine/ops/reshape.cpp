#include <algorithm>
#include "engine/op.h"

namespace engine {
namespace {
using schema::Reshape;

Types infer(const Reshape& op, const InferContext& in) {
  in.expect_inputs(2, 2);
  in.expect_tensor(0);
  in.expect_dtype(1, {DType::i64});
  const Type& x = in.in(0);
  check(!in.in(1).ranked || in.in(1).rank() == 1, "the shape must have rank 1, not ", in.in(1).rank());
  const auto wanted = in.ints(1);
  if (!wanted) {
    const Type& shape = in.in(1);
    if (!shape.ranked || !shape.dims[0].known()) return {Type::unranked(x.dtype)};
    check(shape.dims[0].value() <= limits::rank, "rank ", shape.dims[0].value(), " is too high");
    return {Type::tensor(x.dtype, Dims(shape.dims[0].value(), Dim::unknown()))};
  }
  Dims dims;
  int64_t inferred = -1;
  Dim rest = 1;
  for (size_t i = 0; i < wanted->size(); ++i) {
    Dim d = (*wanted)[i];
    if (d == Dim(0) && !op.allow_zero) {
      check(!x.ranked || int64_t(i) < x.rank(), "extent 0 at ", i, " copies a dim that the input does not have");
      d = x.ranked ? x.dims[i] : Dim::unknown();
    } else if (d == Dim(-1)) {
      check(inferred < 0, "only one extent may be -1");
      inferred = int64_t(i);
      d = 1;
    }
    check(!d.known() || d.value() >= 0, "extent ", d.text(), " is negative");
    rest = rest * d;
    dims.push_back(d);
  }
  Dim count = 1;
  for (const Dim& d : x.dims) count = count * d;
  if (!x.ranked) count = Dim::unknown();
  if (inferred >= 0) {
    const bool known = count.known() && rest.known();
    check(!known || (rest.value() > 0 && count.value() % rest.value() == 0), x, " does not divide into the shape ",
          to_text(Type::tensor(DType::i64, dims)));
    dims[inferred] = rest == Dim(0) ? Dim::unknown() : count / rest;
  } else {
    check(may_equal(count, rest), "the shape ", to_text(Type::tensor(x.dtype, dims)), " has another number of elements");
  }
  return {Type::tensor(x.dtype, dims)};
}

// The shape that the second input asks for, where only the run tells what it is.
Shape shape_of(const Reshape& op, const RunContext& c) {
  Shape shape = to_ints(c.in(1));
  const int64_t count = c.in(0).elements();
  int64_t rest = 1, inferred = -1;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] == 0 && !op.allow_zero) {
      check(int64_t(i) < c.in(0).rank(), "extent 0 at ", i, " copies a dim that the input does not have");
      shape[i] = c.in(0).shape[i];
    }
    check(shape[i] >= -1 && (shape[i] != -1 || inferred < 0), "the shape ", shape, " has more than one open extent");
    if (shape[i] == -1) inferred = int64_t(i);
    else rest = elements(std::initializer_list<int64_t>{rest, shape[i]});
  }
  if (inferred >= 0) shape[size_t(inferred)] = rest ? count / rest : 0;
  check(elements(shape) == count, c.in(0).shape, " does not fit the shape ", to_ints(c.in(1)));
  return shape;
}

void reference(const Reshape& op, RunContext& c) {
  if (c.sized(0)) return copy_tensor(c.out(0), c.in(0));
  copy_tensor(c.set_out(0, c.in(0).dtype, shape_of(op, c)), c.in(0));
}

// A reshape of a reshape reads the first one's input, unless it copies an extent from it.
void simplify(const Reshape& op, NodeId n, Rewriter& rewriter) {
  const Graph& graph = rewriter.graph;
  const Node node = graph[n];
  const Type &x = graph[node.inputs[0]].type, &y = graph[node.outputs[0]].type;
  if (x.determined() && x == y) return rewriter.replace(node.outputs[0], node.inputs[0]);
  const Constant* shape = graph[node.inputs[1]].constant.get();
  const NodeId producer = graph[node.inputs[0]].producer;
  if (!shape || producer == NodeId::none || !graph[producer].op.get_if<Reshape>()) return;
  const auto extents = to_ints(shape->view());
  if (!op.allow_zero && std::ranges::count(extents, 0)) return;
  const ValueId source = graph[producer].inputs[0];
  Origins origins = graph[producer].origins;
  origins.insert(origins.end(), node.origins.begin(), node.origins.end());
  rewriter.replace(node.outputs[0], rewriter.add(op, {source, node.inputs[1]}, origins)[0]);
}
}  // namespace

const OpDef<Reshape>& def(const Reshape&) {
  static constexpr OpDef<Reshape> def{
      .infer = infer, .reference = reference, .simplify = simplify, .sized_by = 1u << 1, .alias = true};
  return def;
}
}  // namespace engine
