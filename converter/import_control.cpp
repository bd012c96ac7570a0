// If, Loop and Scan. What a body reads of the graph around it becomes inputs: see their comments in schema/ops.h.
#include <algorithm>
#include "converter/onnx_node.h"

namespace converter {
namespace {
using Bodies = std::vector<std::shared_ptr<const Graph>>;

std::shared_ptr<const Graph> share(Graph graph) { return std::make_shared<const Graph>(std::move(graph)); }

void if_node(OnnxNode& n) {
  n.expect_inputs(1, 1);
  if (const auto condition = n.known_scalar(n.in(0))) {
    n.ignore({"then_branch", "else_branch"});
    const ValueIds results = n.inline_body(*condition ? "then_branch" : "else_branch", {});
    n.set_all(results);
    return;
  }
  Body branches[] = {n.body("then_branch", {}), n.body("else_branch", {})};
  // Both take what either reads, in one order.
  ValueIds captures = branches[0].captures;
  for (ValueId v : branches[1].captures)
    if (std::ranges::find(captures, v) == captures.end()) captures.push_back(v);
  Bodies bodies;
  for (Body& branch : branches) {
    const ValueIds own = std::exchange(branch.graph.inputs, {});
    for (ValueId v : captures) {
      const size_t at = size_t(std::ranges::find(branch.captures, v) - branch.captures.begin());
      if (at < own.size()) branch.graph.inputs.push_back(own[at]);
      else branch.graph.add_input("", n.type(v));
    }
    bodies.push_back(share(std::move(branch.graph)));
  }
  const size_t outputs = bodies[0]->outputs.size();
  check(outputs >= n.outputs() && bodies[1]->outputs.size() == outputs, "its branches have ", outputs, " and ",
        bodies[1]->outputs.size(), " outputs, and the node ", n.outputs());
  ValueIds inputs{n.in(0)};
  inputs.insert(inputs.end(), captures.begin(), captures.end());
  const ValueIds out = n.add_all(schema::If{}, inputs, outputs, bodies);
  n.set_all(out);
}

bool undecided(const Dim& d) { return d.text() == "?"; }

// The type of a carried value that is `from` before an iteration and `to` after it.
Type widen(const Type& from, const Type& to) {
  if (from.kind == ValueKind::optional && to.kind != ValueKind::optional)
    return Type::optional(widen(*from.element, to));
  if (to.kind == ValueKind::optional && from.kind != ValueKind::optional)
    return Type::optional(widen(from, *to.element));
  check(from.kind == to.kind && (from.dtype == to.dtype || !from.is_tensor()), "a carried value changes from ",
        to_text(from), " to ", to);
  if (from.kind == ValueKind::sequence) return Type::sequence(widen(*from.element, *to.element));
  if (from.kind == ValueKind::optional) return Type::optional(widen(*from.element, *to.element));
  if (!from.is_tensor() || !from.ranked) return from;
  if (!to.ranked || from.rank() != to.rank()) return Type::unranked(from.dtype);
  Type type = from;
  for (size_t i = 0; i < type.dims.size(); ++i)
    if (!undecided(type.dims[i]) && !(type.dims[i] == to.dims[i])) type.dims[i] = Dim::unknown();
  return type;
}

// Imports a body whose inputs from `first_input` on are fed back from its outputs from `first_output` on, with types
// that hold in every iteration.
Body settled_body(OnnxNode& n, Types inputs, size_t first_input, size_t first_output, size_t count) {
  while (true) {
    Body body = n.body("body", inputs);
    check(body.graph.outputs.size() >= first_output + count, "the body has ", body.graph.outputs.size(),
          " outputs, fewer than it carries");
    bool settled = true;
    for (size_t k = 0; k < count; ++k) {
      Type& type = inputs[first_input + k];
      Type wider = widen(type, body.graph[body.graph.outputs[first_output + k].value].type);
      if (!(wider == type)) type = std::move(wider), settled = false;
    }
    if (settled) return body;
  }
}

void loop(OnnxNode& n) {
  const size_t carried = n.inputs() > 2 ? n.inputs() - 2 : 0;
  Types types{Type::scalar(DType::i64), Type::scalar(DType::boolean)};
  for (size_t k = 0; k < carried; ++k) types.push_back(n.type(k + 2));
  Body body = settled_body(n, types, 2, 1, carried);
  const size_t outputs = body.graph.outputs.size() - 1;
  ValueIds inputs = n.all();
  inputs.resize(carried + 2, ValueId::none);
  // A value that is an optional in one iteration and not in another is one in all of them.
  std::vector<size_t> unwrapped;
  Rewriter rewriter(body.graph);
  for (size_t k = 0; k < carried; ++k) {
    if (body.graph[body.graph.inputs[k + 2]].type.kind != ValueKind::optional) continue;
    if (n.type(k + 2).kind != ValueKind::optional) inputs[k + 2] = n.add(schema::OptionalConstruct{}, {n.in(k + 2)});
    ValueId& result = body.graph.outputs[k + 1].value;
    if (body.graph[result].type.kind == ValueKind::optional) continue;
    result = rewriter.add(schema::OptionalConstruct{}, {result}, n.origins())[0];
    unwrapped.push_back(k);
  }
  rewriter.commit();
  inputs.insert(inputs.end(), body.captures.begin(), body.captures.end());
  ValueIds out = n.add_all(schema::Loop{int64_t(carried)}, inputs, outputs, {share(std::move(body.graph))});
  for (size_t k : unwrapped) out[k] = n.add(schema::OptionalGet{}, {out[k]});
  n.set_all(out);
}

Type without_axis(const Type& type, int64_t axis) {
  check(type.is_tensor(), "scans a ", name(type.kind), " instead of a tensor");
  if (!type.ranked) return type;
  Type slice = type;
  slice.dims.erase(slice.dims.begin() + normal_axis(axis, type.rank()));
  return slice;
}

// Before opset 9 every value had a batch dim in front: a Scan over the batch of a Scan.
void batched_scan(OnnxNode& n) {
  const int64_t scans = n.integer("num_scan_inputs"), states = int64_t(n.inputs()) - 1 - scans;
  check(scans >= 1 && states >= 0, "attribute num_scan_inputs is ", scans, " for ", n.inputs(), " inputs");
  require(!n.has(0), Code::unsupported, "sequence lengths are not supported");
  const ValueIds values = n.from(1);
  Types types;
  for (ValueId v : values) types.push_back(without_axis(n.type(v), 0));
  Types slices = types;
  for (size_t k = size_t(states); k < slices.size(); ++k) slices[k] = without_axis(slices[k], 0);
  Body body = settled_body(n, slices, 0, 0, size_t(states));

  Graph image;  // one of the batch
  ValueIds inputs = values, image_inputs;
  for (const Type& type : types) image_inputs.push_back(image.add_input("", type));
  for (ValueId v : body.captures) {
    image_inputs.push_back(image.add_input("", n.type(v)));
    inputs.push_back(v);
  }
  schema::Scan op;
  op.states = states, op.scans = scans;
  op.input_directions = n.integers("directions");
  const size_t outputs = body.graph.outputs.size();
  Rewriter rewriter(image);
  for (ValueId v : rewriter.add(op, image_inputs, n.origins(), outputs, {share(std::move(body.graph))}))
    image.outputs.push_back({"", v});
  rewriter.commit();
  schema::Scan over_batch;
  over_batch.scans = states + scans;
  const ValueIds out = n.add_all(over_batch, inputs, outputs, {share(std::move(image))});
  n.set_all(out);
}

void scan(OnnxNode& n) {
  if (n.opset() < 9) return batched_scan(n);
  schema::Scan op;
  op.scans = n.integer("num_scan_inputs");
  op.states = int64_t(n.inputs()) - op.scans;
  check(op.scans >= 1 && op.states >= 0, "attribute num_scan_inputs is ", op.scans, " for ", n.inputs(), " inputs");
  op.input_axes = n.integers("scan_input_axes");
  op.input_directions = n.integers("scan_input_directions");
  op.output_axes = n.integers("scan_output_axes");
  op.output_directions = n.integers("scan_output_directions");
  check(op.input_axes.empty() || int64_t(op.input_axes.size()) == op.scans, "attribute scan_input_axes has ",
        op.input_axes.size(), " entries");
  Types types;
  for (size_t k = 0; k < n.inputs(); ++k) {
    const bool state = int64_t(k) < op.states;
    const size_t i = state ? 0 : k - size_t(op.states);
    types.push_back(state ? n.type(k) : without_axis(n.type(k), op.input_axes.empty() ? 0 : op.input_axes[i]));
  }
  Body body = settled_body(n, types, 0, 0, size_t(op.states));
  const size_t outputs = body.graph.outputs.size();
  ValueIds inputs = n.all();
  inputs.insert(inputs.end(), body.captures.begin(), body.captures.end());
  const ValueIds out = n.add_all(op, inputs, outputs, {share(std::move(body.graph))});
  n.set_all(out);
}

constexpr Row control_rows[] = {{"If", if_node}, {"Loop", loop}, {"Scan", scan}};
}  // namespace

Group control_group() { return {onnx_domain, control_rows}; }
}  // namespace converter
