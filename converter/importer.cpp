#include "converter/importer.h"
#include <algorithm>

namespace converter {
namespace {
constexpr size_t most_errors = 200;  // that a message lists

std::string plain_domain(const std::string& domain) { return domain == "ai.onnx" ? "" : domain; }

Opsets read_opsets(const google::protobuf::RepeatedPtrField<onnx::OperatorSetIdProto>& imports) {
  Opsets opsets;
  for (const auto& import : imports)
    opsets[plain_domain(import.domain())] = int(std::clamp<int64_t>(import.version(), 0, 1 << 20));
  return opsets;
}

// Gives a variable its value back at the end of a scope.
template <class T> struct Restore {
  T& variable;
  T value;
  ~Restore() { variable = std::move(value); }
};
template <class T> Restore(T&, T) -> Restore<T>;

std::string function_key(const std::string& domain, const std::string& name, const std::string& overload) {
  return cat(plain_domain(domain), ':', name, ':', overload);
}
}  // namespace

Importer::Importer(std::shared_ptr<const onnx::ModelProto> model, const ImportOptions& options,
                   const std::string& folder)
    : tensors(model, folder), model_(std::move(model)), options_(options) {}

Graph Importer::run() {
  const onnx::GraphProto& proto = model_->graph();
  Opsets opsets = read_opsets(model_->opset_import());
  require(model_->opset_import_size() > 0 || model_->ir_version() < 3, Code::invalid_model,
          "the model imports no opset");
  if (model_->opset_import_size() == 0) opsets[""] = 1;  // before opsets were recorded
  require(opsets[""] <= newest_opset, Code::unsupported, "the model uses opset ", opsets[""],
          "; this build knows those up to ", newest_opset);
  read_functions();
  Builder builder;
  Scope scope{builder, nullptr, opsets};
  scope.declared = {&proto.value_info(), &proto.output()};
  add_initializers(scope, proto);
  add_inputs(scope, proto);
  import_nodes(scope, proto.node(), true);
  const ValueIds outputs = errors_.empty() ? graph_outputs(scope, proto) : ValueIds();
  if (!errors_.empty()) {
    std::string list = cat(errors_.size(), errors_.size() == 1 ? " node" : " nodes", " cannot be converted:");
    for (size_t i = 0; i < std::min(errors_.size(), most_errors); ++i) list += "\n  " + errors_[i];
    if (errors_.size() > most_errors) list += cat("\n  and ", errors_.size() - most_errors, " more");
    fail(code_.value_or(Code::unsupported), list);
  }
  require(!outputs.empty(), Code::invalid_model, "the model has no outputs");
  for (size_t k = 0; k < outputs.size(); ++k)
    builder.graph.outputs.push_back({proto.output(int(k)).name(), outputs[k]});
  builder.rewriter.commit();
  return std::move(builder.graph);
}

void Importer::read_functions() {
  for (const auto& function : model_->functions()) {
    const auto key = function_key(function.domain(), function.name(), function.overload());
    const auto [_, fresh] = functions_.emplace(key, Function{&function, read_opsets(function.opset_import())});
    require(fresh, Code::invalid_model, "function '", function.name(), "' of domain '", function.domain(),
            "' is defined twice");
  }
}

void Importer::define(Scope& scope, const std::string& name, ValueId v) {
  require(int64_t(name.size()) <= limits::name, Code::limit, "a name has ", name.size(), " characters");
  const auto [_, fresh] = scope.names.emplace(name, v);
  require(fresh, Code::invalid_model, "value '", name, "' is defined twice");
}

void Importer::add_initializers(Scope& scope, const onnx::GraphProto& graph) {
  require(graph.sparse_initializer_size() == 0, Code::unsupported, "sparse tensors are not supported");
  for (const auto& tensor : graph.initializer())
    define(scope, tensor.name(), scope.builder.graph.add_constant(tensors.read(tensor), tensor.name()));
}

void Importer::add_inputs(Scope& scope, const onnx::GraphProto& proto) {
  auto unused = options_.fix;
  for (const auto& input : proto.input()) {
    if (const auto known = scope.names.find(input.name());
        known != scope.names.end() && scope.builder.graph[known->second].constant)
      continue;  // an initializer that old models list as an input too
    with_context([&] {
      Type type = type_of(input.type(), input.name());
      if (const auto fixed = unused.find(input.name()); fixed != unused.end()) {
        const Shape& shape = fixed->second;
        require(type.is_tensor() && (!type.ranked || type.dims.size() == shape.size()), Code::invalid_argument,
                "cannot be ", shape, ": the model says ", type);
        bytes_of(type.dtype, shape);
        for (size_t i = 0; i < shape.size() && type.ranked; ++i)
          require(!type.dims[i].known() || type.dims[i] == Dim(shape[i]), Code::invalid_argument, "cannot be ",
                  to_text(shape), ": the model says ", type);
        type = Type::tensor(type.dtype, shape);
        unused.erase(fixed);
      }
      define(scope, input.name(), scope.builder.graph.add_input(input.name(), std::move(type)));
    }, "input '", input.name(), "'");
  }
  require(unused.empty(), Code::invalid_argument, "the model has no input '",
          unused.empty() ? "" : unused.begin()->first, "'");
}

ValueIds Importer::graph_outputs(Scope& scope, const onnx::GraphProto& graph) {
  ValueIds values;
  for (const auto& output : graph.output()) {
    const auto v = find(scope, output.name());
    require(v && *v != ValueId::none, Code::invalid_model, "output '", output.name(), "' is defined nowhere");
    values.push_back(*v);
  }
  return values;
}

// --- Bodies ----------------------------------------------------------------------------------------------------------

// A value of the graph around becomes an input of the body; a constant is copied.
std::optional<ValueId> Importer::find(Scope& scope, const std::string& name) {
  if (const auto known = scope.names.find(name); known != scope.names.end()) return known->second;
  if (!scope.outer) return std::nullopt;
  const auto v = find(*scope.outer, name);
  Builder &around = scope.outer->builder, &here = scope.builder;
  if (!v || *v == ValueId::none || &around == &here) return v;
  const Value value = around.graph[*v];
  ValueId inner;
  if (value.constant) {
    inner = here.graph.add_constant(value.constant, value.name);
  } else {
    inner = here.graph.add_input(name, value.type);
    here.graph[inner].ints = value.ints;
    here.captures.emplace_back(*v, inner);
    if (around.failed.contains(*v)) here.failed.insert(inner);
  }
  scope.names.emplace(name, inner);
  return inner;
}

Body Importer::import_body(Scope& outer, const onnx::GraphProto& proto, const Types& inputs) {
  require(outer.nesting < limits::nesting, Code::limit, "bodies nest more than ", limits::nesting, " deep");
  require(int(inputs.size()) == proto.input_size(), Code::invalid_model, "the body has ", proto.input_size(),
          " inputs, not ", inputs.size());
  Builder builder;
  Scope scope{builder, &outer, outer.opsets, outer.call, outer.prefix, outer.nesting + 1};
  scope.declared = {&proto.value_info(), &proto.output()};
  Graph& graph = builder.graph;
  for (int i = 0; i < proto.input_size(); ++i) {
    const ValueId v = graph.add_input(proto.input(i).name(), inputs[size_t(i)]);
    if (inputs_failed_) builder.failed.insert(v);
    define(scope, proto.input(i).name(), v);
  }
  add_initializers(scope, proto);
  import_nodes(scope, proto.node());
  const ValueIds outputs = graph_outputs(scope, proto);
  for (size_t k = 0; k < outputs.size(); ++k) graph.outputs.push_back({proto.output(int(k)).name(), outputs[k]});
  builder.rewriter.commit();

  std::set<ValueId> used(outputs.begin(), outputs.end());
  for (const Node& node : graph.nodes) used.insert(node.inputs.begin(), node.inputs.end());
  Body body;
  graph.inputs.resize(inputs.size());
  for (const auto& [around, here] : builder.captures)
    if (used.contains(here)) graph.inputs.push_back(here), body.captures.push_back(around);
  body.graph = std::move(graph);
  return body;
}

ValueIds Importer::inline_body(Scope& outer, const onnx::GraphProto& proto, const ValueIds& inputs) {
  require(outer.nesting < limits::nesting, Code::limit, "bodies nest more than ", limits::nesting, " deep");
  require(int(inputs.size()) == proto.input_size(), Code::invalid_model, "the body has ", proto.input_size(),
          " inputs, not ", inputs.size());
  Scope scope{outer.builder, &outer, outer.opsets, outer.call, outer.prefix, outer.nesting + 1};
  scope.declared = {&proto.value_info(), &proto.output()};
  for (int i = 0; i < proto.input_size(); ++i) define(scope, proto.input(i).name(), inputs[size_t(i)]);
  add_initializers(scope, proto);
  import_nodes(scope, proto.node());
  return graph_outputs(scope, proto);
}

// --- Nodes -----------------------------------------------------------------------------------------------------------

const onnx::TypeProto* declared_type(Scope& scope, const std::string& name) {
  if (!scope.declared_types) {
    scope.declared_types.emplace();
    for (const ValueInfos* infos : scope.declared)
      for (const auto& info : *infos)
        if (info.type().value_case() != onnx::TypeProto::VALUE_NOT_SET) (*scope.declared_types)[info.name()] = &info.type();
  }
  const auto at = scope.declared_types->find(name);
  return at == scope.declared_types->end() ? nullptr : at->second;
}

std::string origin_of(const Scope& scope, const onnx::NodeProto& node) {
  std::string name = node.name();
  for (int i = 0; name.empty() && i < node.output_size(); ++i) name = node.output(i);
  return cat(scope.prefix, name, " (", node.op_type(), ')');
}

void Importer::import_nodes(Scope& scope, const Nodes& nodes, bool report_progress) {
  const bool report = report_progress && options_.progress;
  int64_t done = 0;
  for (int i : execution_order(nodes)) {
    if (report && done % 64 == 0) options_.progress(done, nodes.size());
    import_node(scope, nodes[i]);
    ++done;
  }
  if (report) options_.progress(done, nodes.size());
}

void Importer::import_node(Scope& scope, const onnx::NodeProto& node) {
  require(++nodes_ <= limits::nodes, Code::limit, "the model has more than ", limits::nodes, " nodes");
  const size_t errors_before = errors_.size();
  ValueIds inputs;
  bool inputs_failed = false;
  try {
    for (const std::string& name : node.input()) {
      const auto v = name.empty() ? ValueId::none : find(scope, name);
      check(v.has_value(), "input '", name, "' is not defined");
      inputs.push_back(*v);
      inputs_failed |= scope.builder.failed.contains(*v);
    }
    const Restore around{inputs_failed_, std::exchange(inputs_failed_, inputs_failed)};
    convert_node(scope, node, inputs);
  } catch (const Error& e) {
    if (e.code == Code::limit || e.code == Code::io || e.code == Code::cancelled) throw;
    // What follows from a failure is no failure of its own.
    if (errors_.size() == errors_before && (!inputs_failed || e.code == Code::unsupported))
      record(scope, node, e.code, e.what());
    fail_outputs(scope, node, inputs);
    return;
  }
  if (!inputs_failed && errors_.size() == errors_before) return;
  for (const std::string& name : node.output())
    if (const auto v = scope.names.find(name); v != scope.names.end()) scope.builder.failed.insert(v->second);
}

void Importer::convert_node(Scope& scope, const onnx::NodeProto& node, ValueIds inputs) {
  const std::string domain = plain_domain(node.domain());
  if (const Row* row = find_row(domain, node.op_type())) {
    const auto opset = scope.opsets.find(domain);
    check(opset != scope.opsets.end() || !domain.empty(), "its opset is not imported");
    OnnxNode view(*this, scope, node, opset == scope.opsets.end() ? 1 : opset->second, std::move(inputs));
    row->import(view);
    view.check_attributes();
    for (const std::string& name : node.output())
      require(name.empty() || scope.names.contains(name), Code::unsupported, "output '", name, "' is not supported");
    return;
  }
  for (const std::string& overload : {node.overload(), std::string()})
    if (const auto at = functions_.find(function_key(domain, node.op_type(), overload)); at != functions_.end())
      return call_function(scope, node, *at->second.proto, inputs);
  require(options_.allow_custom, Code::unsupported,
          "this op is not supported; inlay convert --allow-custom keeps it for the application to implement");
  const auto opset = scope.opsets.find(domain);
  OnnxNode view(*this, scope, node, opset == scope.opsets.end() ? 1 : opset->second, std::move(inputs));
  import_custom(view);
}

void Importer::call_function(Scope& scope, const onnx::NodeProto& node, const onnx::FunctionProto& function,
                             const ValueIds& inputs) {
  check(std::ranges::find(calls_, &function) == calls_.end(), "the function calls itself");
  require(int64_t(calls_.size()) < limits::nesting, Code::limit, "functions call each other more than ",
          limits::nesting, " deep");
  check(int(inputs.size()) <= function.input_size(), "the function takes ", function.input_size(), " inputs, not ",
        inputs.size());
  check(node.output_size() <= function.output_size(), "the function has ", function.output_size(), " outputs, not ",
        node.output_size());
  Attributes attributes;
  for (const auto& a : function.attribute_proto()) attributes[a.name()] = &a;
  for (const auto& a : node.attribute()) {
    if (a.ref_attr_name().empty()) attributes[a.name()] = &a;
    else if (scope.call)
      if (const auto bound = scope.call->find(a.ref_attr_name()); bound != scope.call->end())
        attributes[a.name()] = bound->second;
  }
  const Opsets& opsets = functions_.at(function_key(function.domain(), function.name(), function.overload())).opsets;
  std::string prefix = origin_of(scope, node);
  prefix.resize(prefix.rfind(" ("));
  Scope inner{scope.builder, nullptr, opsets, &attributes, prefix + '/', scope.nesting};
  inner.declared = {&function.value_info()};
  for (int i = 0; i < function.input_size(); ++i)
    define(inner, function.input(i), i < int(inputs.size()) ? inputs[size_t(i)] : ValueId::none);
  calls_.push_back(&function);
  const Restore around{calls_, std::vector(calls_.begin(), calls_.end() - 1)};
  import_nodes(inner, function.node());
  for (int i = 0; i < node.output_size(); ++i) {
    if (node.output(i).empty()) continue;
    const auto v = find(inner, function.output(i));
    check(v && *v != ValueId::none, "output '", function.output(i), "' of the function is defined nowhere");
    define(scope, node.output(i), *v);
  }
}

// --- Errors ----------------------------------------------------------------------------------------------------------

void Importer::record(const Scope& scope, const onnx::NodeProto& node, Code code, std::string reason) {
  const std::string origin = origin_of(scope, node);
  if (reason.starts_with(origin + ": ")) reason.erase(0, origin.size() + 2);
  const std::string domain = plain_domain(node.domain());
  const size_t end = origin.rfind(" (");
  std::string line = cat('\'', origin.substr(0, end), "' (", node.op_type(), domain.empty() ? "" : ", domain " + domain,
                         "): ", reason);
  if (!known_errors_.insert(line).second) return;
  errors_.push_back(std::move(line));
  if (code != Code::unsupported && !code_) code_ = code;
}

void Importer::fail_outputs(Scope& scope, const onnx::NodeProto& node, const ValueIds& inputs) {
  DType dtype = DType::f32;
  for (ValueId v : inputs)
    if (v != ValueId::none) {
      dtype = scope.builder.graph[v].type.dtype;
      break;
    }
  for (const std::string& name : node.output()) {
    if (name.empty()) continue;
    Graph& graph = scope.builder.graph;
    const auto v = ValueId(graph.values.size());
    graph.values.push_back({Type::unranked(dtype), NodeId::none, name, nullptr, {}});
    scope.builder.failed.insert(v);
    scope.names[name] = v;
  }
}
}  // namespace converter
