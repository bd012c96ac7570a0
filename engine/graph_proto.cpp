#include "engine/graph_proto.h"
#include <algorithm>
// protozero asserts that a field has the wire type it is read as. That is data of the file here: it is checked in every
// build, and throws. No other file includes protozero.
#define protozero_assert(ok) ((ok) ? void() : throw protozero::unknown_pbf_wire_type_exception())
#include <protozero/exception.hpp>
#include <protozero/pbf_builder.hpp>
#include <protozero/pbf_message.hpp>
#include "engine/image_spec.h"
#include "engine/op.h"
#include "engine/shape.h"

namespace engine {
namespace {
// Field numbers of inlay.proto.
namespace tag {
enum class Dim : protozero::pbf_tag_type { value = 1, symbol, lower, upper };
enum class Type : protozero::pbf_tag_type { kind = 1, dtype, ranked, dims, element, key };
enum class Input : protozero::pbf_tag_type { name = 1, type, image };
enum class Constant : protozero::pbf_tag_type { name = 1, dtype, shape, offset, inlined, strings };
enum class Field : protozero::pbf_tag_type { name = 1, integer, real, text, integers, reals, texts, fields };
enum class Node : protozero::pbf_tag_type { op = 1, version, fields, inputs, outputs, origins, bodies, names };
enum class Output : protozero::pbf_tag_type { name = 1, value };
enum class State : protozero::pbf_tag_type { input = 1, output };
enum class Graph : protozero::pbf_tag_type { inputs = 1, constants, nodes, outputs, states, precision };
}  // namespace tag
template <class Tag> using Builder = protozero::pbf_builder<Tag>;
template <class Tag> using Reader = protozero::pbf_message<Tag>;

// --- Writing ---------------------------------------------------------------------------------------------------------

void write_dim(Builder<tag::Type>& to, const Dim& d) {
  std::string text;
  Builder<tag::Dim> out(text);
  if (d.known()) {
    out.add_int64(tag::Dim::value, d.value());
  } else {
    out.add_string(tag::Dim::symbol, d.name());
    if (d.lower()) out.add_int64(tag::Dim::lower, d.lower());
    if (d.bounded()) out.add_int64(tag::Dim::upper, d.upper());
  }
  to.add_message(tag::Type::dims, text);
}

std::string write_type(const Type& type) {
  std::string text;
  Builder<tag::Type> out(text);
  if (!type.is_tensor()) out.add_string(tag::Type::kind, name(type.kind).data());
  out.add_string(tag::Type::dtype, name(type.dtype).data());
  if (type.ranked) out.add_bool(tag::Type::ranked, true);
  for (const Dim& d : type.dims) write_dim(out, d);
  if (type.element) out.add_message(tag::Type::element, write_type(*type.element));
  if (type.kind == ValueKind::map) out.add_string(tag::Type::key, name(type.key).data());
  return text;
}

template <class T> void write_value(Builder<tag::Field>& out, const T& value) {
  if constexpr (std::is_enum_v<T>) out.add_bytes(tag::Field::text, std::string(name(value)));
  else if constexpr (std::is_integral_v<T>) out.add_sint64(tag::Field::integer, value);
  else if constexpr (std::is_floating_point_v<T>) out.add_double(tag::Field::real, value);
  else if constexpr (std::is_same_v<T, std::string>) out.add_bytes(tag::Field::text, value);
  else if constexpr (std::is_same_v<T, schema::Ints>) out.add_packed_sint64(tag::Field::integers, value.begin(), value.end());
  else if constexpr (std::is_same_v<T, std::vector<double>>) out.add_packed_double(tag::Field::reals, value.begin(), value.end());
  else if constexpr (std::is_same_v<T, schema::DTypes>)
    for (DType d : value) out.add_bytes(tag::Field::texts, std::string(name(d)));
  else if constexpr (std::is_same_v<T, schema::Attributes>)
    for (const schema::Attribute& a : value) {
      Builder<tag::Field> field(out, tag::Field::fields);
      field.add_string(tag::Field::name, a.name);
      std::visit([&](const auto& v) { write_value(field, v); }, a.value);
    }
  else for (const std::string& s : value) out.add_bytes(tag::Field::texts, s);
}

// Out of line, as `assign` below: once for each type of field, not for each field of each op.
template <class T> [[gnu::noinline]] void write_field(Builder<tag::Node>& out, std::string_view name, const T& value, const T& standard) {
  if (value == standard) return;
  Builder<tag::Field> field(out, tag::Node::fields);
  field.add_string(tag::Field::name, name.data(), name.size());
  write_value(field, value);
}

class Writer {
 public:
  explicit Writer(const WeightSink& sink) : sink_(sink) {}

  std::string graph(const Graph& graph) const {
    std::string text;
    Builder<tag::Graph> out(text);
    std::vector<uint32_t> number(graph.values.size(), 0);  // plus one
    uint32_t next = 0;
    for (ValueId v : graph.inputs) {
      number[size_t(v)] = ++next;
      Builder<tag::Input> input(out, tag::Graph::inputs);
      input.add_string(tag::Input::name, graph[v].name);
      input.add_message(tag::Input::type, write_type(graph[v].type));
      if (graph[v].image) input.add_string(tag::Input::image, to_text(*graph[v].image));
    }
    const auto constant = [&](ValueId v) {
      if (v == ValueId::none || number[size_t(v)] || !graph[v].constant) return;
      number[size_t(v)] = ++next;
      write_constant(out, graph[v]);
    };
    for (const Node& node : graph.nodes) std::ranges::for_each(node.inputs, constant);
    for (const GraphOutput& o : graph.outputs) constant(o.value);
    for (const Node& node : graph.nodes) {
      write_node(out, graph, node, number);
      for (ValueId v : node.outputs) {
        ++next;
        if (v != ValueId::none) number[size_t(v)] = next;
      }
    }
    for (const GraphOutput& o : graph.outputs) {
      Builder<tag::Output> output(out, tag::Graph::outputs);
      output.add_string(tag::Output::name, o.name);
      output.add_uint32(tag::Output::value, number[size_t(o.value)] - 1);
    }
    for (const State& s : graph.states) {
      Builder<tag::State> state(out, tag::Graph::states);
      state.add_uint32(tag::State::input, uint32_t(s.input));
      state.add_uint32(tag::State::output, uint32_t(s.output));
    }
    if (graph.precision != kernels::Precision::f32) out.add_string(tag::Graph::precision, std::string(kernels::name(graph.precision)));
    return text;
  }

 private:
  void write_constant(Builder<tag::Graph>& to, const Value& value) const {
    const Constant& c = *value.constant;
    Builder<tag::Constant> out(to, tag::Graph::constants);
    out.add_string(tag::Constant::name, value.name);
    out.add_string(tag::Constant::dtype, name(c.dtype).data());
    out.add_packed_int64(tag::Constant::shape, c.shape.begin(), c.shape.end());
    if (c.dtype == DType::string)
      for (const std::string& s : c.view().as<std::string>()) out.add_bytes(tag::Constant::strings, s);
    else if (c.bytes() <= inlined_bytes) out.add_bytes(tag::Constant::inlined, reinterpret_cast<const char*>(c.data), c.bytes());
    else out.add_uint64(tag::Constant::offset, sink_(c));
  }

  void write_node(Builder<tag::Graph>& to, const Graph& graph, const Node& node, const std::vector<uint32_t>& number) const {
    Builder<tag::Node> out(to, tag::Graph::nodes);
    visit([&]<class T>(const T& op) {
      require(schema::portable<T>, Code::unsupported, to_text(node.origins), ": ", name(node.op.id()), " is made for one machine and cannot be saved");
      if constexpr (std::is_same_v<T, schema::Custom>)
        require(!op.binding, Code::invalid_argument, to_text(node.origins), ": a graph that is bound to implementations cannot be saved");
      out.add_string(tag::Node::op, name(node.op.id()).data());
      out.add_uint32(tag::Node::version, T::version);
      const T standard;
      T::visit_fields([&](std::string_view field, auto member) { write_field(out, field, op.*member, standard.*member); });
    }, node.op);
    std::vector<uint32_t> inputs;
    for (ValueId v : node.inputs) inputs.push_back(v == ValueId::none ? 0 : number[size_t(v)]);
    out.add_packed_uint32(tag::Node::inputs, inputs.begin(), inputs.end());
    out.add_uint32(tag::Node::outputs, uint32_t(node.outputs.size()));
    for (const std::string& origin : node.origins) out.add_string(tag::Node::origins, origin);
    for (const auto& body : node.bodies) out.add_message(tag::Node::bodies, this->graph(*body));
    for (ValueId v : node.outputs) out.add_string(tag::Node::names, v == ValueId::none ? std::string() : graph[v].name);
  }

  const WeightSink& sink_;
};

// --- Reading ---------------------------------------------------------------------------------------------------------

template <class... Parts> [[noreturn]] void malformed(const Parts&... what) { fail(Code::invalid_model, what...); }

std::string text_of(protozero::data_view view) {
  require(int64_t(view.size()) <= limits::name, Code::limit, "a name has ", view.size(), " characters");
  return view.to_string();
}

template <class E> E enumerator(protozero::data_view view, const char* what) {
  const auto at = std::ranges::find(schema::names<E>, std::string_view(view.data(), view.size()));
  if (at == schema::names<E>.end()) fail(Code::unsupported, "unknown ", what, " '", std::string(view.data(), std::min<size_t>(view.size(), 40)), "'");
  return E(at - schema::names<E>.begin());
}

Dim read_dim(Reader<tag::Dim> in) {
  std::optional<int64_t> value;
  std::string symbol;
  int64_t lower = 0, upper = 0;
  while (in.next()) switch (in.tag()) {
    case tag::Dim::value: value = in.get_int64(); break;
    case tag::Dim::symbol: symbol = text_of(in.get_view()); break;
    case tag::Dim::lower: lower = in.get_int64(); break;
    case tag::Dim::upper: upper = in.get_int64(); break;
    default: malformed("unknown field in a dim");
  }
  require(!value || (*value >= 0 && *value <= limits::extent), Code::limit, "extent ", value.value_or(0), " is out of range");
  if (value) return *value;
  require(lower >= 0 && upper >= 0 && (upper == 0 || lower <= upper) && upper <= limits::extent, Code::invalid_model, "symbol '", symbol, "' has no valid bounds");
  return symbol.empty() ? Dim::unknown() : Dim::symbol(symbol, lower, upper ? upper : limits::extent);
}

Type read_type(Reader<tag::Type> in, int nesting) {
  require(nesting < limits::nesting, Code::limit, "types nest too deeply");
  Type type;
  while (in.next()) switch (in.tag()) {
    case tag::Type::kind: type.kind = enumerator<ValueKind>(in.get_view(), "kind of value"); break;
    case tag::Type::dtype: type.dtype = enumerator<DType>(in.get_view(), "dtype"); break;
    case tag::Type::ranked: type.ranked = in.get_bool(); break;
    case tag::Type::dims:
      type.dims.push_back(read_dim(Reader<tag::Dim>(in.get_message())));
      require(type.rank() <= limits::rank, Code::limit, "a tensor has more than ", limits::rank, " dims");
      break;
    case tag::Type::element: type.element = std::make_shared<Type>(read_type(Reader<tag::Type>(in.get_message()), nesting + 1)); break;
    case tag::Type::key: type.key = enumerator<DType>(in.get_view(), "dtype"); break;
    default: malformed("unknown field in a type");
  }
  const bool holds = type.kind == ValueKind::sequence || type.kind == ValueKind::optional;
  require(holds == bool(type.element), Code::invalid_model, "a type of kind ", name(type.kind), holds ? " lacks its element" : " has an element");
  require(type.ranked || type.dims.empty(), Code::invalid_model, "a type without rank has dims");
  return type;
}

struct Field {
  std::string name;
  enum { none, integer, real, text, list } kind = none;
  int64_t i = 0;
  double r = 0;
  std::string t;
  schema::Ints integers;
  std::vector<double> reals;
  schema::Strings texts;
  std::vector<Field> fields;
};

Field read_field(Reader<tag::Field> in, bool nested = false) {
  Field f;
  while (in.next()) switch (in.tag()) {
    case tag::Field::name: f.name = text_of(in.get_view()); break;
    case tag::Field::integer: f.i = in.get_sint64(), f.kind = Field::integer; break;
    case tag::Field::real: f.r = in.get_double(), f.kind = Field::real; break;
    case tag::Field::text: f.t = text_of(in.get_view()), f.kind = Field::text; break;
    case tag::Field::integers:
      for (int64_t v : in.get_packed_sint64()) f.integers.push_back(v);
      f.kind = Field::list;
      break;
    case tag::Field::reals:
      for (double v : in.get_packed_double()) f.reals.push_back(v);
      f.kind = Field::list;
      break;
    case tag::Field::texts: f.texts.push_back(text_of(in.get_view())), f.kind = Field::list; break;
    case tag::Field::fields:
      require(!nested, Code::invalid_model, "fields nest too deeply");
      f.fields.push_back(read_field(Reader<tag::Field>(in.get_message()), true)), f.kind = Field::list;
      break;
    default: malformed("unknown field in a field");
  }
  return f;
}

schema::Attribute attribute_of(const Field& f) {
  switch (f.kind) {
    case Field::integer: return {f.name, f.i};
    case Field::real: return {f.name, f.r};
    case Field::text: return {f.name, f.t};
    default: break;
  }
  if (!f.reals.empty()) return {f.name, f.reals};
  if (!f.texts.empty()) return {f.name, f.texts};
  return {f.name, f.integers};
}

template <class T> [[gnu::noinline]] void assign(T& to, const Field& f) {
  const auto expect = [&](bool ok) { require(ok, Code::invalid_model, "field '", f.name, "' has another type"); };
  if constexpr (std::is_enum_v<T>) expect(f.kind == Field::text), to = enumerator<T>({f.t.data(), f.t.size()}, f.name.c_str());
  else if constexpr (std::is_integral_v<T>) expect(f.kind == Field::integer), to = static_cast<T>(f.i);
  else if constexpr (std::is_floating_point_v<T>) expect(f.kind == Field::real), to = f.r;
  else if constexpr (std::is_same_v<T, std::string>) expect(f.kind == Field::text), to = f.t;
  else if constexpr (std::is_same_v<T, schema::Ints>) expect(f.kind == Field::list), to = f.integers;
  else if constexpr (std::is_same_v<T, std::vector<double>>) expect(f.kind == Field::list), to = f.reals;
  else if constexpr (std::is_same_v<T, schema::DTypes>) {
    expect(f.kind == Field::list);
    for (const std::string& s : f.texts) to.push_back(enumerator<DType>({s.data(), s.size()}, "dtype"));
  } else if constexpr (std::is_same_v<T, schema::Attributes>) {
    expect(f.kind == Field::list);
    for (const Field& field : f.fields) to.push_back(attribute_of(field));
  } else {
    expect(f.kind == Field::list), to = f.texts;
  }
}

[[noreturn]] void unknown_field(schema::OpId op, uint32_t version, int known, const std::string& field) {
  fail(Code::unsupported, name(op), " version ", version, ": unknown field '", field, "'; this build reads version ", known);
}

template <class T> Op make_op(uint32_t version, const std::vector<Field>& fields) {
  T op;
  for (const Field& f : fields) {
    bool known = false;
    T::visit_fields([&](std::string_view field, auto member) {
      if (field == f.name) known = true, assign(op.*member, f);
    });
    if (!known) unknown_field(schema::IdOf<T>::value, version, T::version, f.name);
  }
  if constexpr (std::is_same_v<T, schema::Custom>)
    require(!op.binding, Code::invalid_model, "field 'binding' has no meaning in a file");
  return op;
}

Op make_op(const std::string& op, uint32_t version, const std::vector<Field>& fields) {
#define OP(T) if (op == #T) return make_op<schema::T>(version, fields);
#include "schema/ops.inc"
  fail(Code::unsupported, "unknown op '", op, "', version ", version, ": a newer Inlay made this file");
}

class GraphReader {
 public:
  GraphReader(const Weights& weights, size_t section_bytes)
      : weights_(weights), most_values_(std::min<int64_t>(limits::values, int64_t(section_bytes))) {}

  Graph read(Reader<tag::Graph> in, int nesting) {
    require(nesting < limits::nesting, Code::limit, "bodies nest more than ", limits::nesting, " deep");
    Graph graph;
    int part = 0;  // inputs, constants, nodes, then the rest
    const auto order = [&](int p) { require(p >= part, Code::invalid_model, "the graph's parts are out of order"), part = p; };
    while (in.next()) switch (in.tag()) {
      case tag::Graph::inputs: order(0), read_input(graph, Reader<tag::Input>(in.get_message())); break;
      case tag::Graph::constants: order(1), read_constant(graph, Reader<tag::Constant>(in.get_message())); break;
      case tag::Graph::nodes: order(2), read_node(graph, Reader<tag::Node>(in.get_message()), nesting); break;
      case tag::Graph::outputs: order(3), read_output(graph, Reader<tag::Output>(in.get_message())); break;
      case tag::Graph::states: order(4), read_state(graph, Reader<tag::State>(in.get_message())); break;
      case tag::Graph::precision: order(5), read_precision(graph, text_of(in.get_view())); break;
      default: malformed("unknown field in the graph: a newer Inlay made this file");
    }
    return graph;
  }

 private:
  // Every value takes a byte of the file or more.
  void count() { require(++values_ <= most_values_, Code::limit, "the model has more than ", most_values_, " values"); }

  void read_input(Graph& graph, Reader<tag::Input> in) {
    std::string name, image;
    Type type;
    while (in.next()) switch (in.tag()) {
      case tag::Input::name: name = text_of(in.get_view()); break;
      case tag::Input::type: type = read_type(Reader<tag::Type>(in.get_message()), 0); break;
      case tag::Input::image: image = text_of(in.get_view()); break;
      default: malformed("unknown field in an input: a newer Inlay made this file");
    }
    count();
    const ValueId v = graph.add_input(std::move(name), std::move(type));
    if (image.empty()) return;
    try {
      set_image(graph[v], parse_image_spec(image));
    } catch (const Error& e) {
      malformed("input '", graph[v].name, "': ", e.what());
    }
  }

  void read_constant(Graph& graph, Reader<tag::Constant> in) {
    std::string name;
    Constant c;
    std::optional<uint64_t> offset;
    std::optional<protozero::data_view> inlined;
    std::vector<std::string> strings;
    while (in.next()) switch (in.tag()) {
      case tag::Constant::name: name = text_of(in.get_view()); break;
      case tag::Constant::dtype: c.dtype = enumerator<DType>(in.get_view(), "dtype"); break;
      case tag::Constant::shape:
        for (int64_t d : in.get_packed_int64()) {
          c.shape.push_back(d);
          require(int64_t(c.shape.size()) <= limits::rank, Code::limit, "a constant has more than ", limits::rank, " dims");
        }
        break;
      case tag::Constant::offset: offset = in.get_uint64(); break;
      case tag::Constant::inlined: inlined = in.get_view(); break;
      case tag::Constant::strings: strings.push_back(in.get_string()); break;
      default: malformed("unknown field in a constant");
    }
    count();
    const uint64_t bytes = uint64_t(bytes_of(c.dtype, c.shape));
    if (c.dtype == DType::string) {
      require(int64_t(strings.size()) == elements(c.shape), Code::invalid_model, "constant '", name, "' has ",
              strings.size(), " strings for the shape ", c.shape);
      graph.add_constant(make_strings(c.shape, std::move(strings)), name);
    } else if (inlined) {
      require(inlined->size() == bytes, Code::invalid_model, "constant '", name, "' has ", inlined->size(), " bytes instead of ", bytes);
      graph.add_constant(make_constant({c.dtype, c.shape, reinterpret_cast<const std::byte*>(inlined->data()), nullptr}), name);
    } else {
      require(offset && *offset % 64 == 0 && *offset <= weights_.bytes.size() && bytes <= weights_.bytes.size() - *offset, Code::invalid_model,
              "constant '", name, "' (", bytes, " bytes) lies outside the weights");
      c.data = weights_.bytes.data() + *offset, c.owner = weights_.owner, c.mapping = weights_.mapping, c.stored = weights_.stored;
      graph.add_constant(std::make_shared<Constant>(std::move(c)), name);
    }
  }

  void read_node(Graph& graph, Reader<tag::Node> in, int nesting) {
    require(++nodes_ <= limits::nodes, Code::limit, "the model has more than ", limits::nodes, " nodes");
    std::string op;
    uint32_t version = 0, outputs = 0;
    std::vector<Field> fields;
    fields.reserve(8);
    Strings names;
    Node node{schema::Identity{}, {}, {}, {}, {}};
    while (in.next()) switch (in.tag()) {
      case tag::Node::op: op = text_of(in.get_view()); break;
      case tag::Node::version: version = in.get_uint32(); break;
      case tag::Node::fields: fields.push_back(read_field(Reader<tag::Field>(in.get_message()))); break;
      case tag::Node::inputs:
        for (uint32_t v : in.get_packed_uint32()) {
          require(v <= graph.values.size(), Code::invalid_model, "node ", graph.nodes.size(), " (", op, ") uses a value that is not defined before it");
          node.inputs.push_back(v ? ValueId(v - 1) : ValueId::none);
        }
        break;
      case tag::Node::outputs: outputs = in.get_uint32(); break;
      case tag::Node::origins: node.origins.push_back(text_of(in.get_view())); break;
      case tag::Node::bodies: node.bodies.push_back(std::make_shared<const Graph>(read(Reader<tag::Graph>(in.get_message()), nesting + 1))); break;
      case tag::Node::names: names.push_back(text_of(in.get_view())); break;
      default: malformed("unknown field in node '", op, "': a newer Inlay made this file");
    }
    require(!node.origins.empty(), Code::invalid_model, "node ", graph.nodes.size(), " (", op, ") has no origins");
    require(int64_t(node.inputs.size()) <= limits::ports && outputs <= limits::ports, Code::limit, "node ", graph.nodes.size(), " (", op, ") has too many inputs or outputs");
    with_context(
        [&] {
          node.op = make_op(op, version, fields);
          for (uint32_t k = 0; k < outputs; ++k) {
            count();
            node.outputs.push_back(ValueId(graph.values.size()));
            graph.values.push_back({{}, NodeId(graph.nodes.size()), k < names.size() ? names[k] : "", nullptr, {}});
          }
          const Types types = infer(graph, node);
          check(types.size() == outputs, name(node.op.id()), " has ", types.size(), " outputs, not ", outputs);
          for (size_t k = 0; k < types.size(); ++k) graph[node.outputs[k]].type = types[k];
          infer_ints(graph, node);
        },
        [&] { return to_text(node.origins); });
    graph.nodes.push_back(std::move(node));
  }

  void read_output(Graph& graph, Reader<tag::Output> in) {
    GraphOutput output;
    uint32_t value = 0;  // a writer of proto3 leaves zeros out
    while (in.next()) switch (in.tag()) {
      case tag::Output::name: output.name = text_of(in.get_view()); break;
      case tag::Output::value: value = in.get_uint32(); break;
      default: malformed("unknown field in an output");
    }
    require(value < graph.values.size(), Code::invalid_model, "output '", output.name, "' is a value that does not exist");
    output.value = ValueId(value);
    graph.outputs.push_back(std::move(output));
  }

  void read_state(Graph& graph, Reader<tag::State> in) {
    State state{0, 0};
    while (in.next()) switch (in.tag()) {
      case tag::State::input: state.input = in.get_uint32(); break;
      case tag::State::output: state.output = in.get_uint32(); break;
      default: malformed("unknown field in a state");
    }
    require(state.input < graph.inputs.size() && state.output < graph.outputs.size(), Code::invalid_model, "a state is out of range");
    graph.states.push_back(state);
  }

  void read_precision(Graph& graph, const std::string& text) {
    const auto known = std::ranges::find(kernels::precision_names, text);
    require(known != kernels::precision_names.end(), Code::unsupported, "unknown precision '", text, "': a newer Inlay made this file");
    graph.precision = kernels::Precision(known - kernels::precision_names.begin());
  }

  using Strings = schema::Strings;
  const Weights& weights_;
  const int64_t most_values_;
  int64_t nodes_ = 0, values_ = 0;
};
}  // namespace

std::string write_graph(const Graph& graph, const WeightSink& sink) { return Writer(sink).graph(graph); }

Graph read_graph(std::span<const std::byte> section, const Weights& weights) {
  try {
    return GraphReader(weights, section.size()).read(Reader<tag::Graph>(reinterpret_cast<const char*>(section.data()), section.size()), 0);
  } catch (const protozero::exception& e) {
    fail(Code::invalid_model, "the graph section is malformed: ", e.what());
  }
}
}  // namespace engine
