#include "engine/graph_text.h"
#include <algorithm>
#include <charconv>
#include <map>
#include <set>
#include "engine/image_spec.h"

namespace engine {
namespace {
constexpr int64_t most_elements = 64;  // of a constant that is printed in full

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '\n') out += "\\n";
    else out += c;
  }
  return out + '"';
}
template <class T> std::string number(T value) {
  char text[40];
  return std::string(text, std::to_chars(text, text + sizeof text, value).ptr);
}
std::string print_attribute(const schema::Attribute&);

template <class T> std::string print(const T& value) {
  if constexpr (std::is_enum_v<T>) return std::string(name(value));
  else if constexpr (std::is_same_v<T, std::string>) return quoted(value);
  else if constexpr (std::is_same_v<T, bool>) return value ? "1" : "0";
  else if constexpr (std::is_arithmetic_v<T>) return number(value);
  else if constexpr (std::is_same_v<T, schema::Attribute>) return print_attribute(value);
  else {
    std::string text;
    for (size_t i = 0; i < value.size(); ++i) text.append(i ? "," : "").append(print(value[i]));
    return text;
  }
}

// "alpha":1.5f, "axes":[0,1], "word":"yes": a float ends with an f.
std::string print_attribute(const schema::Attribute& a) {
  const auto item = []<class T>(const T& v) { return std::is_same_v<T, double> ? print(v) + 'f' : print(v); };
  return quoted(a.name) + ':' + std::visit([&]<class T>(const T& value) -> std::string {
    if constexpr (std::is_arithmetic_v<T> || std::is_same_v<T, std::string>) return item(value);
    else {
      std::string text;
      for (const auto& v : value) text.append(text.empty() ? "" : ",").append(item(v));
      return cat('[', text, ']');
    }
  }, a.value);
}

std::string print_type(const Type& type) {
  if (type.element) return cat(name(type.kind) == "sequence" ? "seq(" : "optional(", print_type(*type.element), ')');
  std::string text = to_text(type);
  if (!type.is_tensor() || !std::ranges::any_of(type.dims, [](const Dim& d) { return !d.known() && d.bounded(); }))
    return text;
  text = cat(name(type.dtype), '[');
  for (size_t i = 0; i < type.dims.size(); ++i) {
    const Dim& d = type.dims[i];
    text.append(i ? "," : "").append(d.text());
    if (!d.known() && d.bounded()) text += cat(':', d.lower(), "..", d.upper());
  }
  return text + ']';
}

std::string print_elements(const Constant& c) {
  const ConstView view = c.view();
  if (view.elements() > most_elements) return "{…}";
  std::string text = "{";
  for (int64_t i = 0; i < view.elements(); ++i) {
    if (i) text += ',';
    if (c.dtype == DType::string) text += quoted(view.as<std::string>()[size_t(i)]);
    else if (c.dtype == DType::f32) text += number(view.as<float>()[size_t(i)]);
    else if (schema::is_real(c.dtype)) text += number(load<double>(view, i));
    else if (c.dtype == DType::u64) text += number(load<UInt>(view, i).v);
    else text += number(load<Int>(view, i).v);
  }
  return text + '}';
}

bool plain(std::string_view name) {
  return !name.empty() && name != "_" && std::ranges::all_of(name, [](unsigned char c) {
    return std::isalnum(c) || c >= 0x80 || std::string_view("_./:-").find(char(c)) != std::string_view::npos;
  });
}

// Out of line: once for each type of field, not for each field of each op.
template <class T> [[gnu::noinline]] void print_field(std::string& text, std::string_view name, const T& value, const T& standard) {
  if (value != standard) text.append(" ").append(name).append("=").append(print(value));
}

class Printer {
 public:
  std::string print_graph(const Graph& graph, const std::string& indent) {
    std::string text;
    names_.clear();
    used_.clear();
    for (ValueId v : graph.inputs)
      text += cat(indent, "input ", name_of(graph, v), ' ', print_type(graph[v].type),
                  graph[v].image ? cat(" image ", quoted(to_text(*graph[v].image))) : "", '\n');
    std::set<ValueId> shown;
    const auto constant = [&](ValueId v) {
      if (v == ValueId::none || !graph[v].constant || !shown.insert(v).second) return;
      const Constant& c = *graph[v].constant;
      text +=
          cat(indent, "const ", name_of(graph, v), ' ', name(c.dtype), to_text(c.shape), ' ', print_elements(c), '\n');
    };
    for (const Node& node : graph.nodes) {
      std::ranges::for_each(node.inputs, constant);
      std::string results, operands, types;
      for (ValueId v : node.outputs) {
        results.append(results.empty() ? "" : ", ").append(v == ValueId::none ? "_" : name_of(graph, v));
        types.append(types.empty() ? "" : ", ").append(v == ValueId::none ? "_" : print_type(graph[v].type));
      }
      for (ValueId v : node.inputs)
        operands.append(operands.empty() ? "" : ", ").append(v == ValueId::none ? "_" : name_of(graph, v));
      text += cat(indent, results, " = ", op_text(node.op), " (", operands, ')', node.bodies.empty() ? "" : " {");
      std::string origins;
      for (const std::string& o : node.origins) origins.append(origins.empty() ? "" : "; ").append(o);
      text += cat("  # ", types, " from ", origins, '\n');
      for (const auto& body : node.bodies)
        text += cat(indent, "  body\n", Printer().print_graph(*body, indent + "    "));
      if (!node.bodies.empty()) text += indent + "}\n";
    }
    for (const GraphOutput& out : graph.outputs) constant(out.value);
    for (const GraphOutput& out : graph.outputs) {
      const std::string value = name_of(graph, out.value);
      text += cat(indent, "output ", out.name == value ? "" : cat(plain(out.name) ? out.name : quoted(out.name), " = "),
                  value, '\n');
    }
    for (const State& s : graph.states) text += cat(indent, "state ", s.input, ' ', s.output, '\n');
    if (graph.precision != kernels::Precision::f32) text += cat(indent, "precision ", kernels::name(graph.precision), '\n');
    return text;
  }
  static std::string op_text(const Op& op) {
    return visit([&]<class T>(const T& p) {
      std::string text(name(op.id()));
      const T standard;
      T::visit_fields([&](std::string_view field, auto member) { print_field(text, field, p.*member, standard.*member); });
      return text;
    }, op);
  }

 private:
  const std::string& name_of(const Graph& graph, ValueId v) {
    std::string& name = names_[v];
    if (name.empty()) {
      name = plain(graph[v].name) ? graph[v].name : cat("v", size_t(v));
      while (!used_.insert(name).second) name += cat('.', size_t(v));
    }
    return name;
  }
  std::map<ValueId, std::string> names_;
  std::set<std::string> used_;
};
}  // namespace

std::string to_text(const Op& op) { return Printer::op_text(op); }
std::string to_text(const Graph& graph) { return Printer().print_graph(graph, ""); }
}  // namespace engine
