#include "engine/op.h"
#include <algorithm>
#include "engine/saturate.h"

namespace engine {
const Type& InferContext::in(size_t k) const {
  check(has(k), "input ", k, " is missing");
  return graph_[node_.inputs[k]].type;
}

std::optional<Dims> InferContext::ints(size_t k) const {
  if (!has(k)) return std::nullopt;
  const Value& value = graph_[node_.inputs[k]];
  if (!value.constant) return value.ints;
  if (!schema::is_integer(value.type.dtype) || value.constant->view().elements() > limits::known_ints) return std::nullopt;
  const std::vector<int64_t> values = to_ints(value.constant->view());
  return Dims(values.begin(), values.end());
}

std::optional<std::vector<int64_t>> InferContext::known_ints(size_t k) const {
  const auto dims = ints(k);
  if (!dims || !std::ranges::all_of(*dims, &Dim::known)) return std::nullopt;
  std::vector<int64_t> values;
  for (const Dim& d : *dims) values.push_back(d.value());
  return values;
}

std::optional<Dim> InferContext::known_scalar(size_t k) const {
  const auto values = ints(k);
  return values && values->size() == 1 ? std::optional((*values)[0]) : std::nullopt;
}

ConstantPtr InferContext::constant(size_t k) const { return has(k) ? graph_[node_.inputs[k]].constant : nullptr; }

void InferContext::expect_inputs(size_t least, size_t most) const {
  check(inputs() >= least && inputs() <= most, "expects ", least, least == most ? "" : cat(" to ", most), " inputs, not ", inputs());
  for (size_t k = 0; k < least; ++k) check(has(k), "input ", k, " is missing");
}
void InferContext::expect_tensor(size_t k) const { check(in(k).is_tensor(), "input ", k, " must be a tensor"); }
Dims InferContext::expect_rank(size_t k, int64_t rank) const {
  expect_tensor(k);
  check(!in(k).ranked || in(k).rank() == rank, "input ", k, " is ", in(k), " where rank ", rank, " is needed");
  return in(k).ranked ? in(k).dims : Dims(size_t(rank), Dim::unknown());
}
void InferContext::expect_same_dtype(size_t a, size_t b) const {
  expect_tensor(a), expect_tensor(b);
  check(in(a).dtype == in(b).dtype, "inputs ", a, " and ", b, " must have one dtype");
}
void InferContext::expect_dtype(size_t k, std::initializer_list<DType> dtypes) const {
  expect_tensor(k);
  check(std::ranges::find(dtypes, in(k).dtype) != dtypes.end(), "is not defined for input ", k, " of dtype ", name(in(k).dtype));
}
void InferContext::expect_class(size_t k, schema::DTypeClass wanted) const {
  expect_tensor(k);
  check(class_of(in(k).dtype) == wanted, "input ", k, " must be ", name(wanted), ", not ", name(in(k).dtype));
}
void InferContext::expect_number(size_t k) const {
  expect_tensor(k);
  check(schema::is_real(in(k).dtype) || schema::is_integer(in(k).dtype), "input ", k, " must be a number, not ", name(in(k).dtype));
}
void InferContext::expect_scalar(size_t k, const char* what) const {
  expect_tensor(k);
  const Type& x = in(k);
  check(!x.ranked || x.rank() == 0 || (x.rank() == 1 && may_equal(x.dims[0], 1)), what, " must be a scalar, not ", x);
}

void meet(Dim& extent, const Dim& other, const char* what) {
  check(may_equal(extent, other), what, ' ', extent, " meets ", other);
  if (!extent.known() && (other.known() || extent.text() == "?")) extent = other;
}

Type broadcast(DType dtype, std::span<const Type> types) {
  Type result = Type::tensor(dtype, Dims{});
  for (const Type& type : types) {
    if (!type.ranked) return Type::unranked(dtype);
    if (type.dims.size() > result.dims.size()) result.dims.insert(result.dims.begin(), type.dims.size() - result.dims.size(), Dim(1));
    for (size_t i = 0; i < type.dims.size(); ++i) {
      const Dim& from = type.dims[type.dims.size() - 1 - i];
      Dim& to = result.dims[result.dims.size() - 1 - i];
      if (from == Dim(1) || from == to) continue;
      if (to == Dim(1)) to = from;
      else if (from.known() && to.known()) fail(Code::invalid_model, "extents ", to.text(), " and ", from.text(), " do not broadcast");
      else if (from.known()) to = from;  // an unknown extent is either 1 or the same
      else if (!to.known()) to = Dim::unknown();
    }
  }
  return result;
}

void RunContext::expect_shape(size_t k, std::initializer_list<int64_t> shape) const {
  const std::span<const int64_t> wanted(shape.begin(), shape.size());
  check(std::ranges::equal(in(k).shape, wanted), "input ", k, " is ", in(k).shape, " where ", wanted, " is needed");
}

View RunContext::set_out(size_t k, DType dtype, std::span<const int64_t> shape) {
  Output& out = out_[k];
  if (out.found_at_run || out.view.object) {
    const View view = out.view.object->set_tensor(dtype, shape);
    if (dtype == DType::string) {
      const int64_t characters = saturated_product(view.elements(), longest_text_);
      require(characters <= limits::bytes, Code::limit, "output ", k, " would take too many characters");
      out.view.object->charge_text(characters);
    }
    return out.found_at_run ? view : out.view = view;
  }
  check(out.view.dtype == dtype && std::ranges::equal(out.view.shape, shape), "output ", k, " is ", name(dtype), shape,
        " where ", name(out.view.dtype), out.view.shape, " was planned");
  return out.view;
}

void RunContext::set_out(size_t k, const ConstView& from) {
  if (from.object && from.object->kind != ValueKind::tensor) return out_[k].view.object->assign(from);
  copy_tensor(set_out(k, from.dtype, from.shape), from);
}

Types infer(const Graph& graph, const Node& node) {
  if (const auto& budget = Budget::current()) budget->check_time();
  const InferContext context(graph, node);
  return with_context([&] { return visit([&](const auto& p) { return def(p).infer(p, context); }, node.op); },
                      name(node.op.id()), '(', [&] { return to_text(types_of(graph, node.inputs)); }, ')');
}
namespace {
// No string that an op makes is longer than the longest of each of its inputs together: what the outputs take is drawn
// from the budget before they are made.
void charge_strings(RunContext& context) {
  int64_t longest = 0;
  for (const RunContext::Input& in : context.in_) {
    if (!in.present || in.view.dtype != DType::string || (in.view.object && in.view.object->kind != ValueKind::tensor)) continue;
    size_t most = 0;
    for (const std::string& s : in.view.as<std::string>()) most = std::max(most, s.size());
    longest = saturated_sum(longest, int64_t(most));
  }
  context.longest_text_ = std::min(longest, limits::extent);
  for (const RunContext::Output& out : context.out_) {
    if (!out.present || out.found_at_run || out.view.dtype != DType::string || !out.view.object) continue;
    const int64_t characters = saturated_product(longest, out.view.elements());
    require(characters <= limits::bytes, Code::limit, "strings would take ", characters, " bytes");
    out.view.object->charge_text(characters);
  }
}
}  // namespace

void reference(const Op& op, RunContext& context) {
  charge_strings(context);
  visit([&](const auto& p) { def(p).reference(p, context); }, op);
}
std::optional<Lowered> lower(const LowerContext& context) {
  return visit([&](const auto& p) -> std::optional<Lowered> {
    return def(p).lower ? def(p).lower(p, context) : std::nullopt;
  }, context.node.op);
}
bool lowers_bounded(const Op& op) {
  return visit([](const auto& p) { return def(p).bounded; }, op);
}
bool lowers_to_device(const Op& op) {
  return visit([](const auto& p) { return def(p).on_device; }, op);
}
bool lowers_kept(const Op& op, bool on_device) {
  return visit([&](const auto& p) { return on_device ? def(p).keeps_half : def(p).cpu_keeps_half; }, op);
}
Cost cost(const Op& op, std::span<const Type> in, std::span<const Type> out) {
  Cost result;
  const auto bytes = [](const Type& t) { return t.is_tensor() && t.determined() ? double(largest_bytes(t)) : 0; };
  for (const Type& t : in) result.bytes += bytes(t);
  for (const Type& t : out) result.bytes += bytes(t);
  visit([&](const auto& p) {
    if (def(p).alias) result.bytes = 0;
    else if (def(p).flops) result.flops = def(p).flops(p, in, out);
    else if (!out.empty() && out[0].is_tensor() && out[0].determined()) result.flops = double(largest_elements(out[0]));
    if (def(p).border) result.border = def(p).border(p, in);
  }, op);
  return result;
}
int inplace_input(const Node& node) {
  return visit([&](const auto& p) { return def(p).inplace_input ? def(p).inplace_input(p, node) : -1; }, node.op);
}
int continued_input(const Op& op, size_t output) {
  return visit([&](const auto& p) { return def(p).continued_input ? def(p).continued_input(p, output) : -1; }, op);
}
bool sizes_outputs(const Op& op, size_t input) {
  return input < 32 && visit([](const auto& p) { return def(p).sized_by; }, op) >> input & 1;
}
bool is_alias(const Op& op) {
  return visit([](const auto& p) { return def(p).alias; }, op);
}
bool is_random(const Op& op) {
  return visit([](const auto& p) { return def(p).random; }, op);
}
std::vector<Part> parts(const Graph& graph, const Node& node) {
  return visit([&](const auto& p) { return def(p).parts ? def(p).parts(p, graph, node) : std::vector<Part>(); }, node.op);
}
bool takes_pitch(const Graph& graph, const Node& node, int port) {
  return visit([&](const auto& p) { return def(p).takes_pitch && def(p).takes_pitch(p, graph, node, port); }, node.op);
}
bool takes_room(const Op& op, int64_t rank, int port) {
  return visit([&](const auto& p) { return def(p).takes_room && def(p).takes_room(p, rank, port); }, op);
}
void simplify(NodeId n, Rewriter& rewriter) {
  const Op op = rewriter.graph[n].op;  // keeps the parameters alive: simplify may add nodes
  visit([&](const auto& p) { if (def(p).simplify) def(p).simplify(p, n, rewriter); }, op);
}
}  // namespace engine
