#include "converter/onnx_node.h"
#include <algorithm>
#include <unordered_map>
#include "converter/importer.h"
#include "engine/fold.h"

namespace converter {
using onnx::AttributeProto;

OnnxNode::OnnxNode(Importer& importer, Scope& scope, const onnx::NodeProto& node, int opset, ValueIds inputs)
    : importer_(importer),
      scope_(scope),
      node_(node),
      opset_(opset),
      inputs_(std::move(inputs)),
      read_(node.attribute_size()) {}

const std::string& OnnxNode::op_type() const { return node_.op_type(); }
std::string OnnxNode::domain() const { return node_.domain() == "ai.onnx" ? "" : node_.domain(); }

// --- Attributes ------------------------------------------------------------------------------------------------------

namespace {
// The oldest models do not say the type.
int kind_of(const AttributeProto& a) {
  if (a.has_type() && a.type() != AttributeProto::UNDEFINED) return a.type();
  if (a.has_f()) return AttributeProto::FLOAT;
  if (a.has_i()) return AttributeProto::INT;
  if (a.has_s()) return AttributeProto::STRING;
  if (a.has_t()) return AttributeProto::TENSOR;
  if (a.has_g()) return AttributeProto::GRAPH;
  if (a.floats_size()) return AttributeProto::FLOATS;
  if (a.ints_size()) return AttributeProto::INTS;
  if (a.strings_size()) return AttributeProto::STRINGS;
  return a.has_tp() ? AttributeProto::TYPE_PROTO : AttributeProto::UNDEFINED;
}
const char* name_of(int type) {
  switch (type) {
    case AttributeProto::FLOAT: return "a float";
    case AttributeProto::INT: return "an integer";
    case AttributeProto::STRING: return "a string";
    case AttributeProto::TENSOR: return "a tensor";
    case AttributeProto::GRAPH: return "a graph";
    case AttributeProto::FLOATS: return "a list of floats";
    case AttributeProto::INTS: return "a list of integers";
    case AttributeProto::STRINGS: return "a list of strings";
    case AttributeProto::TYPE_PROTO: return "a type";
    default: return "of an unknown type";
  }
}
}  // namespace

const AttributeProto* OnnxNode::find(std::string_view name) {
  for (int i = 0; i < node_.attribute_size(); ++i) {
    const AttributeProto& a = node_.attribute(i);
    if (a.name() != name) continue;
    read_[i] = true;
    if (a.ref_attr_name().empty()) return &a;
    check(scope_.call, "attribute ", name, " refers to an attribute of a function, outside of one");
    const auto bound = scope_.call->find(a.ref_attr_name());
    return bound == scope_.call->end() ? nullptr : bound->second;
  }
  return nullptr;
}

const AttributeProto* OnnxNode::find(std::string_view name, int type, bool required) {
  const AttributeProto* a = find(name);
  check(a || !required, "attribute ", name, " is missing");
  if (!a) return nullptr;
  const int given = kind_of(*a);
  const bool empty_list = given == AttributeProto::UNDEFINED && type >= AttributeProto::FLOATS;
  check(given == type || empty_list, "attribute ", name, " is ", name_of(given), ", not ", name_of(type));
  return a;
}

bool OnnxNode::has_attribute(std::string_view name) { return find(name) != nullptr; }
int64_t OnnxNode::integer(std::string_view name, std::optional<int64_t> fallback) {
  const auto* a = find(name, AttributeProto::INT, !fallback);
  return a ? a->i() : *fallback;
}
double OnnxNode::real(std::string_view name, std::optional<double> fallback) {
  const auto* a = find(name, AttributeProto::FLOAT, !fallback);
  return a ? a->f() : *fallback;
}
std::string OnnxNode::text(std::string_view name, std::optional<std::string> fallback) {
  const auto* a = find(name, AttributeProto::STRING, !fallback);
  return a ? a->s() : *fallback;
}
schema::Ints OnnxNode::integers(std::string_view name) {
  const auto* a = find(name, AttributeProto::INTS, false);
  return a ? schema::Ints(a->ints().begin(), a->ints().end()) : schema::Ints();
}
std::vector<double> OnnxNode::reals(std::string_view name) {
  const auto* a = find(name, AttributeProto::FLOATS, false);
  return a ? std::vector<double>(a->floats().begin(), a->floats().end()) : std::vector<double>();
}
schema::Strings OnnxNode::texts(std::string_view name) {
  const auto* a = find(name, AttributeProto::STRINGS, false);
  return a ? schema::Strings(a->strings().begin(), a->strings().end()) : schema::Strings();
}
ConstantPtr OnnxNode::tensor(std::string_view name) {
  const auto* a = find(name, AttributeProto::TENSOR, false);
  return a ? with_context([&] { return importer_.tensors.read(a->t()); }, "attribute ", name) : nullptr;
}
std::optional<Type> OnnxNode::type_attribute(std::string_view name) {
  const auto* a = find(name, AttributeProto::TYPE_PROTO, false);
  return a ? std::optional(with_context([&] { return converter::type_of(a->tp(), ""); }, "attribute ", name))
           : std::nullopt;
}

schema::Attributes OnnxNode::attributes() {
  schema::Attributes all;
  for (const AttributeProto& own : node_.attribute()) {
    const AttributeProto* a = find(own.name());
    if (!a) continue;  // refers to one that the call of a function leaves out
    schema::Attribute& to = all.emplace_back(schema::Attribute{own.name(), {}});
    switch (const int kind = kind_of(*a)) {
      case AttributeProto::INT: to.value = int64_t(a->i()); break;
      case AttributeProto::FLOAT: to.value = double(a->f()); break;
      case AttributeProto::STRING: to.value = a->s(); break;
      case AttributeProto::INTS: to.value = schema::Ints(a->ints().begin(), a->ints().end()); break;
      case AttributeProto::FLOATS: to.value = std::vector<double>(a->floats().begin(), a->floats().end()); break;
      case AttributeProto::STRINGS: to.value = schema::Strings(a->strings().begin(), a->strings().end()); break;
      default: fail(Code::unsupported, "attribute ", own.name(), " is ", name_of(kind), ", which a custom op cannot have");
    }
    for (const std::string* text : {&own.name(), &a->s()})
      require(int64_t(text->size()) <= limits::name, Code::limit, "attribute ", own.name().substr(0, 40), " has ",
              text->size(), " characters");
    for (const std::string& text : a->strings())
      require(int64_t(text.size()) <= limits::name, Code::limit, "attribute ", own.name().substr(0, 40), " has ",
              text.size(), " characters");
  }
  return all;
}

void OnnxNode::ignore(std::initializer_list<std::string_view> names) {
  for (std::string_view name : names) find(name);
}
void OnnxNode::check_attributes() const {
  for (int i = 0; i < node_.attribute_size(); ++i)
    require(read_[i], Code::unsupported, "attribute ", node_.attribute(i).name(), " is not known in opset ", opset_);
}

// --- Inputs and outputs ----------------------------------------------------------------------------------------------

void OnnxNode::expect_inputs(size_t least, size_t most) const {
  check(inputs() >= least && inputs() <= most, "expects ", least, least == most ? "" : cat(" to ", most),
        " inputs, not ", inputs());
  for (size_t k = 0; k < least; ++k) need(k);
}
void OnnxNode::expect_dtype(size_t k, std::initializer_list<DType> dtypes) const {
  check(type(k).is_tensor() && std::ranges::find(dtypes, dtype(k)) != dtypes.end(), "is not defined for input ", k, " of type ",
        to_text(type(k)));
}
ValueId OnnxNode::need(size_t k) const {
  check(has(k), "input ", k, " is missing");
  return in(k);
}
const Type& OnnxNode::type(ValueId v) const { return scope_.builder.graph[v].type; }
int64_t OnnxNode::rank(ValueId v) const {
  const Type& t = type(v);
  check(t.is_tensor(), "a ", name(t.kind), " is given where a tensor is expected");
  const bool failed = scope_.builder.failed.contains(v);
  require(t.ranked, failed ? Code::invalid_model : Code::unsupported, "the rank of '", scope_.builder.graph[v].name,
          "' is not known");
  return t.rank();
}
int64_t OnnxNode::extent(ValueId v, int64_t axis) const {
  const Dim d = type(v).dims[normal_axis(axis, rank(v))];
  require(d.known(), Code::unsupported, "extent ", axis, " of '", scope_.builder.graph[v].name, "' is not known");
  return d.value();
}
ConstantPtr OnnxNode::constant(ValueId v) const {
  return v == ValueId::none ? nullptr : scope_.builder.graph[v].constant;
}
std::optional<std::vector<int64_t>> OnnxNode::known_ints(ValueId v) const {
  const Node reader{schema::Identity{}, {v}, {}, {}, {}};
  return v == ValueId::none ? std::nullopt : InferContext(scope_.builder.graph, reader).known_ints(0);
}
std::optional<Dims> OnnxNode::known_sizes(ValueId v) const {
  const Node reader{schema::Identity{}, {v}, {}, {}, {}};
  return v == ValueId::none ? std::nullopt : InferContext(scope_.builder.graph, reader).ints(0);
}
std::optional<double> OnnxNode::known_scalar(ValueId v) const {
  const ConstantPtr c = constant(v);
  if (!c || c->dtype == DType::string || c->view().elements() != 1) return std::nullopt;
  return load<double>(c->view(), 0);
}
bool OnnxNode::empty_constant(size_t k) const {
  return !has(k) ||
         (type(k).is_tensor() && type(k).ranked && std::ranges::find(type(k).dims, Dim(0)) != type(k).dims.end());
}

size_t OnnxNode::outputs() const {
  size_t n = size_t(node_.output_size());
  while (n > 0 && node_.output(int(n) - 1).empty()) --n;
  return n;
}
bool OnnxNode::wants(size_t k) const { return k < size_t(node_.output_size()) && !node_.output(int(k)).empty(); }
std::optional<Type> OnnxNode::declared_output(size_t k) {
  if (!wants(k)) return std::nullopt;
  const std::string& output = node_.output(int(k));
  const onnx::TypeProto* declared = declared_type(scope_, output);
  if (!declared) return std::nullopt;
  if (declared->has_tensor_type() && declared->tensor_type().elem_type() == 0) return std::nullopt;
  return converter::type_of(*declared, output);
}
void OnnxNode::set(size_t k, ValueId v) {
  if (!wants(k)) return;
  const auto [_, fresh] = scope_.names.emplace(node_.output(int(k)), v);
  check(fresh, "value '", node_.output(int(k)), "' is defined twice");
  Value& value = scope_.builder.graph[v];
  if (value.name.empty()) value.name = node_.output(int(k));
}

void OnnxNode::set_all(const ValueIds& values) {
  check(values.size() >= outputs(), "there are ", values.size(), " outputs, not ", outputs());
  for (size_t k = 0; k < outputs(); ++k) set(k, values[k]);
}

// --- Building --------------------------------------------------------------------------------------------------------

namespace {
constexpr int64_t eager_bytes = 1 << 16;  // of the inputs, and of the outputs, of a node that is evaluated at once

// Exporters compute axes, shapes and conditions from constants. Evaluated at once, they are known to the nodes after.
bool cheap(const Graph& graph, const Node& node) {
  if (node.op.id() == OpId::DequantizeLinear) return false;  // integers stay what they are until fuse_quantized has seen them
  int64_t bytes = 0;
  const auto count = [&](const ValueIds& ids) {
    for (ValueId v : ids) {
      if (v == ValueId::none) continue;
      const Type& type = graph[v].type;
      if (!type.determined() || !type.is_tensor()) return false;
      bytes += bytes_of(type.dtype, type.shape());
      if (bytes > eager_bytes) return false;
    }
    return true;
  };
  return count(node.outputs) && (graph[node.outputs[0]].ints || count(node.inputs));
}
}  // namespace

ValueIds OnnxNode::add_all(Op op, ValueIds inputs, size_t outputs, std::vector<std::shared_ptr<const Graph>> bodies) {
  Graph& graph = scope_.builder.graph;
  require(int64_t(inputs.size()) <= limits::ports && int64_t(outputs) <= limits::ports, Code::limit,
          "it has too many inputs or outputs");
  require(int64_t(graph.values.size()) <= limits::values, Code::limit, "the model has too many values");
  const bool has_body = !bodies.empty();
  ValueIds values =
      scope_.builder.rewriter.add(std::move(op), std::move(inputs), origins(), outputs, std::move(bodies));
  if (has_body || values.empty() || !cheap(graph, graph.nodes.back())) return values;
  std::vector<ConstantPtr> folded;
  try {
    for (size_t k = 0; k < values.size(); ++k) folded.push_back(fold(graph, graph.nodes.back(), k));
  } catch (const Error&) {
    return values;  // what fails here fails when the model runs, if it gets there
  }
  for (size_t k = 0; k < values.size(); ++k)
    if (folded[k]) values[k] = graph.add_constant(folded[k]);
  return values;
}

void OnnxNode::finish(Op op, ValueIds inputs, std::vector<std::shared_ptr<const Graph>> bodies) {
  set_all(add_all(std::move(op), std::move(inputs), std::max<size_t>(outputs(), 1), std::move(bodies)));
}

Origins OnnxNode::origins() const { return {origin_of(scope_, node_)}; }
ValueId OnnxNode::constant(ConstantPtr c) { return scope_.builder.graph.add_constant(std::move(c)); }
ValueId OnnxNode::ints(std::span<const int64_t> values) { return constant(make_ints(values)); }
ValueId OnnxNode::scalar(DType dtype, double value) {
  require(std::fabs(value) < 0x1p63 || schema::is_real(dtype), Code::invalid_model, "is not defined for ", name(dtype), ", which has no ", value);
  return constant(make_scalar(dtype, value));
}
ValueId OnnxNode::unary(schema::UnaryKind kind, ValueId x, double a, double b) {
  return add(schema::Unary{kind, a, b}, {x});
}
ValueId OnnxNode::binary(schema::BinaryKind kind, ValueId x, ValueId y) { return add(schema::Binary{kind}, {x, y}); }
ValueId OnnxNode::cast(ValueId x, DType to) { return type(x).dtype == to ? x : add(schema::Cast{to}, {x}); }
ValueId OnnxNode::transpose(ValueId x, schema::Ints perm) { return add(schema::Transpose{std::move(perm)}, {x}); }
ValueId OnnxNode::extent_at_run(ValueId v, int64_t axis) {
  return add(schema::Squeeze{}, {add(schema::Shape{axis, axis + 1}, {v})});
}
ValueId OnnxNode::positions(ValueId v, int64_t axis) {
  return add(schema::Range{}, {scalar(DType::i64, 0), extent_at_run(v, axis), scalar(DType::i64, 1)});
}
ValueId OnnxNode::reduce(schema::ReduceKind kind, ValueId x, std::span<const int64_t> axes, bool keepdims) {
  return add(schema::Reduce{kind, keepdims, true}, {x, ints(axes)});
}

// --- Bodies ----------------------------------------------------------------------------------------------------------

size_t OnnxNode::body_inputs(std::string_view attribute) {
  return find(attribute, AttributeProto::GRAPH, true)->g().input_size();
}
size_t OnnxNode::body_outputs(std::string_view attribute) {
  return find(attribute, AttributeProto::GRAPH, true)->g().output_size();
}
Types OnnxNode::body_types(std::string_view attribute) {
  Types types;
  for (const auto& input : find(attribute, AttributeProto::GRAPH, true)->g().input())
    types.push_back(input.has_type() ? converter::type_of(input.type(), input.name()) : Type::unranked(DType::f32));
  return types;
}
Body OnnxNode::body(std::string_view attribute, const Types& inputs) {
  const auto& graph = find(attribute, AttributeProto::GRAPH, true)->g();
  return with_context([&] { return importer_.import_body(scope_, graph, inputs); }, "attribute ", attribute);
}
ValueIds OnnxNode::inline_body(std::string_view attribute, const ValueIds& inputs) {
  const auto& graph = find(attribute, AttributeProto::GRAPH, true)->g();
  return with_context([&] { return importer_.inline_body(scope_, graph, inputs); }, "attribute ", attribute);
}

// --- The table -------------------------------------------------------------------------------------------------------

const std::vector<Group>& groups() {
  static const std::vector<Group> all{elementwise_group(), quantise_group(), matmul_group(),   conv_group(),
                                      reduce_group(),      norm_group(),     shape_group(),    index_group(),
                                      resize_group(),      recurrent_group(), control_group(), sequence_group(),
                                      attention_group(),   loss_group(),     random_group(),   signal_group(),
                                      legacy_group(),      ml_features_group(), ml_models_group(), ml_trees_group(),
                                      preview_group(),     training_group(), contrib_group(),  contrib_attention_group(), generation_group(), quantise_contrib_group(),
                                      contrib_default_group()};
  return all;
}

const Row* find_row(const std::string& domain, const std::string& op_type) {
  static const auto table = [] {
    std::unordered_map<std::string, const Row*> rows;
    for (const Group& group : groups())
      for (const Row& row : group.rows) rows.emplace(cat(group.domain, ':', row.op_type), &row);
    return rows;
  }();
  const auto at = table.find(cat(domain, ':', op_type));
  return at == table.end() ? nullptr : at->second;
}
}  // namespace converter
