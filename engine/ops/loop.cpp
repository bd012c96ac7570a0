#include "engine/ops/bodies.h"

namespace engine {
namespace {
using schema::Loop;

bool is_true(const ConstantPtr& c) { return c && c->view().elements() == 1 && load<Int>(c->view(), 0).v; }

// True if the condition that the body gives is true whenever the one it takes is.
bool stays_true(const Graph& body) {
  ValueId v = body.outputs[0].value;
  while (body[v].producer != NodeId::none && body[body[v].producer].op.get_if<schema::Identity>()) v = body[body[v].producer].inputs.at(0);
  return v == body.inputs[1] || is_true(body[v].constant);
}

Types infer(const Loop& op, const InferContext& in) {
  check(op.carried >= 0 && op.carried <= limits::ports, "carries ", op.carried, " values");
  const size_t carried = size_t(op.carried), fixed = 2 + carried, count = std::max(in.inputs(), fixed);
  check(in.bodies() == 1, "has ", in.bodies(), " bodies instead of 1");
  const Graph& body = in.body(0);
  check(body.inputs.size() == count, "the body has ", body.inputs.size(), " inputs instead of ", count);
  check(body.outputs.size() >= 1 + carried && in.outputs() + 1 <= body.outputs.size(), "the body has ", body.outputs.size(), " outputs for ", in.outputs(), " of the loop");
  if (in.has(0)) in.expect_dtype(0, {DType::i64});
  if (in.has(1)) in.expect_dtype(1, {DType::boolean});
  Types inputs{Type::scalar(DType::i64), Type::scalar(DType::boolean)};
  std::vector<std::optional<Dims>> ints(fixed);
  for (size_t k = 2; k < count; ++k) {
    inputs.push_back(in.in(k));
    if (k >= fixed) ints.push_back(in.ints(k));
  }
  Types types = infer_loop(body, inputs, 2, 1, carried, ints);
  check(types[0].is_tensor() && types[0].dtype == DType::boolean, "the body's condition is ", types[0]);
  Dim trips = Dim::unknown();
  const auto limit = in.ints(0);
  if (limit && limit->size() == 1 && stays_true(body) && (!in.has(1) || is_true(in.constant(1)))) {
    if ((*limit)[0].known()) trips = std::max<int64_t>(0, (*limit)[0].value());
    else if ((*limit)[0].lower() >= 0) trips = (*limit)[0];
  }
  types.erase(types.begin());
  types.resize(in.outputs());
  for (size_t k = carried; k < types.size(); ++k) {
    check(types[k].is_tensor(), "scan output ", k - carried, " is ", types[k]);
    if (types[k].ranked) types[k].dims.insert(types[k].dims.begin(), trips);
  }
  return types;
}

void reference(const Loop& op, RunContext& c) {
  for (size_t k = 0; k < 2; ++k) check(!c.has(k) || c.in(k).elements() == 1, "input ", k, " must have one element");
  const int64_t trips = c.has(0) ? load<Int>(c.in(0), 0).v : INT64_MAX;
  bool go = !c.has(1) || load<Int>(c.in(1), 0).v;
  const size_t carried = size_t(op.carried), scans = c.outputs() - std::min(c.outputs(), carried);
  Object iteration, condition;
  std::vector<ConstView> in{iteration.set_tensor(DType::i64, {}), condition.set_tensor(DType::boolean, {})};
  for (size_t k = 2; k < c.inputs(); ++k) in.push_back(c.in(k));
  // A body's outputs live until it runs again, and may be its inputs: what one run leaves is copied beside what it took.
  std::vector<Object> states[2] = {std::vector<Object>(carried), std::vector<Object>(carried)};
  std::vector<Stack> stacks(scans);
  for (int64_t i = 0; i < trips && go; ++i) {
    c.check_stop();
    store(iteration.view(), 0, Int(i));
    store(condition.view(), 0, Int(1));
    const auto out = c.body(0).run(in);
    check(out[0].elements() == 1, "the body's condition must have one element");
    go = load<Int>(out[0], 0).v != 0;
    for (size_t k = 0; k < scans; ++k) stacks[k].append(out[1 + carried + k]);
    for (size_t k = 0; k < carried; ++k) {
      Object& to = states[i % 2][k];
      to.assign(out[1 + k]);
      in[2 + k] = std::as_const(to).view();
    }
  }
  for (size_t k = 0; k < std::min(carried, c.outputs()); ++k)
    if (c.wants(k)) c.set_out(k, in[2 + k]);
  if (scans == 0) return;
  const Types declared = c.body(0).output_types();
  for (size_t k = 0; k < scans; ++k)
    if (c.wants(carried + k)) stacks[k].finish(c, carried + k, declared.at(1 + carried + k));
}
}  // namespace

const OpDef<Loop>& def(const Loop&) {
  static constexpr OpDef<Loop> def{.infer = infer, .reference = reference};
  return def;
}
}  // namespace engine
