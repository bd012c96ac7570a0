#include <algorithm>
#include <charconv>
#include <map>
#include "engine/graph_text.h"
#include "engine/image_spec.h"
#include "engine/op.h"

namespace engine {
namespace {
// Where the comment of a line starts: at the first "# " that no string holds.
size_t comment_start(std::string_view line) {
  bool string = false;
  for (size_t i = 0; i < line.size(); ++i) {
    if (string && line[i] == '\\') ++i;
    else if (line[i] == '"') string = !string;
    else if (!string && line.substr(i).starts_with("# ")) return i;
  }
  return std::string_view::npos;
}

// A line, read from its front.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : text_(text) {}
  bool done() { return skip(), text_.empty(); }
  bool accept(std::string_view token) {
    skip();
    if (!text_.starts_with(token)) return false;
    text_.remove_prefix(token.size());
    return true;
  }
  void expect(std::string_view token) { check(accept(token), "expected '", token, "' before '", text_, "'"); }
  std::string_view peek() { return skip(), text_; }
  // Up to the first of these characters.
  std::string_view until(std::string_view ends) {
    skip();
    const std::string_view token = text_.substr(0, text_.find_first_of(ends));
    text_.remove_prefix(token.size());
    return token;
  }
  std::string name() {
    if (accept("\"")) return string_rest();
    const std::string_view token = until(" ,()={}");
    check(!token.empty(), "expected a name before '", text_, "'");
    return std::string(token);
  }
  std::string string_rest() {
    std::string value;
    while (true) {
      check(!text_.empty(), "a string does not end");
      char c = text_.front();
      text_.remove_prefix(1);
      if (c == '"') return value;
      if (c == '\\' && !text_.empty()) {
        c = text_.front() == 'n' ? '\n' : text_.front();
        text_.remove_prefix(1);
      }
      value += c;
    }
  }
  template <class T> T parse_number() {
    skip();
    T value{};
    const auto [end, error] = std::from_chars(text_.data(), text_.data() + text_.size(), value);
    check(error == std::errc(), "expected a number before '", text_, "'");
    text_.remove_prefix(size_t(end - text_.data()));
    return value;
  }

 private:
  void skip() { text_.remove_prefix(std::min(text_.find_first_not_of(" \t\r"), text_.size())); }
  std::string_view text_;
};

template <class E> E parse_enum(Cursor& in) {
  const std::string_view token = in.until(" ,()[]{}=");
  const auto at = std::ranges::find(schema::names<E>, token);
  check(at != schema::names<E>.end(), "unknown name '", token, "'");
  return E(at - schema::names<E>.begin());
}

// As print_attribute in graph_text.cpp writes it.
void parse_attribute(Cursor& in, schema::Attribute& a) {
  in.expect("\""), a.name = in.string_rest(), in.expect(":");
  const bool list = in.accept("[");
  schema::Ints ints;
  std::vector<double> reals;
  schema::Strings texts;
  while (!list || !in.accept("]")) {
    if (ints.size() + reals.size() + texts.size()) in.expect(",");
    if (in.accept("\"")) {
      texts.push_back(in.string_rest());
    } else {
      const std::string_view token = in.until(",] ()");
      Cursor number(token);
      if (token.ends_with('f')) reals.push_back(number.parse_number<double>()), number.expect("f");
      else ints.push_back(number.parse_number<int64_t>());
      check(number.done(), "expected a number, not '", token, "'");
    }
    if (list) continue;
    if (!texts.empty()) a.value = texts[0];
    else if (!reals.empty()) a.value = reals[0];
    else a.value = ints[0];
    return;
  }
  if (!texts.empty()) a.value = std::move(texts);
  else if (!reals.empty()) a.value = std::move(reals);
  else a.value = std::move(ints);
}

template <class T> [[gnu::noinline]] void parse_value(Cursor& in, T& value) {
  if constexpr (std::is_enum_v<T>) value = parse_enum<T>(in);
  else if constexpr (std::is_same_v<T, bool>) value = in.parse_number<int>() != 0;
  else if constexpr (std::is_same_v<T, std::string>) in.expect("\""), value = in.string_rest();
  else if constexpr (std::is_arithmetic_v<T>) value = in.parse_number<T>();
  else if constexpr (std::is_same_v<T, schema::Attribute>) parse_attribute(in, value);
  else {
    value.clear();
    const std::string_view rest = in.peek();
    if (rest.empty() || rest.front() == '(') return;
    do parse_value(in, value.emplace_back());
    while (in.accept(","));
  }
}

template <class T> Op parse_fields(Cursor& in) {
  T op;
  while (!in.done() && !in.peek().starts_with("(")) {
    const std::string field = in.name();
    in.expect("=");
    bool known = false;
    T::visit_fields([&](std::string_view candidate, auto member) {
      if (candidate == field) known = true, parse_value(in, op.*member);
    });
    check(known, "unknown field '", field, "'");
  }
  return op;
}
Op read_op(Cursor& in) {
  const std::string id = in.name();
#define OP(T) if (id == #T) return parse_fields<schema::T>(in);
#include "schema/ops.inc"
  fail(Code::invalid_model, "unknown op '", id, "'");
}

Type read_type(Cursor& in) {
  if (in.accept("seq(") || in.accept("sequence(")) {
    Type element = read_type(in);
    in.expect(")");
    return Type::sequence(std::move(element));
  }
  if (in.accept("optional(")) {
    Type element = read_type(in);
    in.expect(")");
    return Type::optional(std::move(element));
  }
  if (in.accept("map(")) {
    Type type;
    type.kind = ValueKind::map;
    type.key = parse_enum<DType>(in);
    in.expect(",");
    type.dtype = parse_enum<DType>(in);
    in.expect(")");
    return type;
  }
  const DType dtype = parse_enum<DType>(in);
  in.expect("[");
  if (in.accept("...]")) return Type::unranked(dtype);
  Dims dims;
  while (!in.accept("]")) {
    if (!dims.empty()) in.expect(",");
    const char first = in.peek().empty() ? ' ' : in.peek().front();
    if (std::isdigit(static_cast<unsigned char>(first))) {
      dims.push_back(in.parse_number<int64_t>());
    } else if (in.accept("?")) {
      dims.push_back(Dim::unknown());
    } else {
      const std::string symbol(in.until(",:]"));
      check(!symbol.empty(), "expected an extent");
      if (!in.accept(":")) dims.push_back(Dim::symbol(symbol));
      else {
        const int64_t lower = in.parse_number<int64_t>();
        in.expect("..");
        dims.push_back(Dim::symbol(symbol, lower, in.parse_number<int64_t>()));
      }
    }
  }
  return Type::tensor(dtype, std::move(dims));
}

ConstantPtr parse_constant(Cursor& in) {
  const Type type = read_type(in);
  check(type.determined() && type.is_tensor(), "a constant's extents must be numbers");
  const Shape shape = type.shape();
  in.expect("{");
  check(!in.accept("…"), "the constant is abbreviated");
  const int64_t count = elements(shape);
  check(count <= limits::known_ints, "the constant is too large for text");
  Object object;
  const View view = object.set_tensor(type.dtype, shape);
  for (int64_t i = 0; i < count; ++i) {
    if (i) in.expect(",");
    if (type.dtype == DType::string) in.expect("\""), view.as<std::string>()[size_t(i)] = in.string_rest();
    else if (schema::is_real(type.dtype)) store(view, i, in.parse_number<double>());
    else if (type.dtype == DType::u64) store(view, i, UInt(in.parse_number<uint64_t>()));
    else store(view, i, Int(in.parse_number<int64_t>()));
  }
  in.expect("}");
  return make_constant(std::as_const(object).view());
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}
  Graph parse() {
    Graph graph = read_graph(0, false);
    check(text_.empty(), "line ", line_, ": nothing may follow");
    return graph;
  }

 private:
  // The next line that says something, without its comment.
  std::optional<std::string_view> next(std::string_view& comment) {
    while (!text_.empty()) {
      const size_t end = std::min(text_.find('\n'), text_.size());
      std::string_view line = text_.substr(0, end);
      const size_t hash = comment_start(line);
      comment = hash == std::string_view::npos ? std::string_view() : line.substr(hash + 2);
      line = line.substr(0, hash);
      rest_ = text_.substr(std::min(end + 1, text_.size()));
      if (!Cursor(line).done()) return line;
      text_ = rest_, ++line_;
    }
    return std::nullopt;
  }

  Graph read_graph(int nesting, bool body) {
    check(nesting < limits::nesting, "line ", line_, ": bodies nest too deeply");
    Graph graph;
    std::map<std::string, ValueId> names;
    std::string_view comment;
    while (const auto line = next(comment)) {
      Cursor in(*line);
      if (body && (in.peek().starts_with("}") || in.peek() == "body" || in.peek().starts_with("body "))) break;
      text_ = rest_, ++line_;
      with_context([&] { parse_line(graph, names, in, comment, nesting); }, "line ", line_);
    }
    return graph;
  }

  void parse_line(Graph& graph, std::map<std::string, ValueId>& names, Cursor& in, std::string_view comment,
                  int nesting) {
    const auto define = [&](const std::string& name, ValueId v) {
      check(names.emplace(name, v).second, "'", name, "' is defined twice");
    };
    const auto find = [&](const std::string& name) {
      const auto at = names.find(name);
      check(at != names.end(), "'", name, "' is not defined");
      return at->second;
    };
    if (in.accept("input ")) {
      const std::string name = in.name();
      const ValueId v = graph.add_input(name, read_type(in));
      define(name, v);
      if (in.accept("image ")) in.expect("\""), set_image(graph[v], parse_image_spec(in.string_rest()));
    } else if (in.accept("const ")) {
      const std::string name = in.name();
      define(name, graph.add_constant(parse_constant(in), name));
    } else if (in.accept("output ")) {
      const std::string name = in.name();
      graph.outputs.push_back({name, find(in.accept("=") ? in.name() : name)});
    } else if (in.accept("precision ")) {
      const std::string text = in.name();
      const auto known = std::ranges::find(kernels::precision_names, text);
      check(known != kernels::precision_names.end(), "unknown precision '", text, "'");
      graph.precision = kernels::Precision(known - kernels::precision_names.begin());
    } else if (in.accept("state ")) {
      const size_t input = in.parse_number<size_t>();
      graph.states.push_back({input, in.parse_number<size_t>()});
    } else {
      std::vector<std::string> results{in.name()};
      while (in.accept(",")) results.push_back(in.name());
      in.expect("=");
      const Op op = read_op(in);
      ValueIds inputs;
      in.expect("(");
      while (!in.accept(")")) {
        if (!inputs.empty()) in.expect(",");
        const std::string name = in.name();
        inputs.push_back(name == "_" ? ValueId::none : find(name));
      }
      std::vector<std::shared_ptr<const Graph>> bodies;
      if (in.accept("{")) bodies = parse_bodies(nesting);
      Rewriter rewriter(graph);
      const ValueIds values = rewriter.add(op, inputs, origins(comment, results[0], op), results.size(), bodies);
      for (size_t k = 0; k < values.size(); ++k) {
        if (results[k] == "_") continue;
        define(results[k], values[k]);
        graph[values[k]].name = results[k];
      }
    }
    check(in.done(), "nothing is expected before '", in.peek(), "'");
  }

  std::vector<std::shared_ptr<const Graph>> parse_bodies(int nesting) {
    std::vector<std::shared_ptr<const Graph>> bodies;
    std::string_view comment;
    while (const auto line = next(comment)) {
      Cursor in(*line);
      text_ = rest_, ++line_;
      if (in.accept("}")) return bodies;
      in.expect("body");
      bodies.push_back(std::make_shared<const Graph>(read_graph(nesting + 1, true)));
    }
    fail(Code::invalid_model, "'}' is missing");
  }

  static Origins origins(std::string_view comment, const std::string& result, const Op& op) {
    const size_t from = comment.find("from ");
    if (from == std::string_view::npos) return {cat(result, " (", name(op.id()), ')')};
    Origins list;
    for (std::string_view rest = comment.substr(from + 5); !rest.empty();) {
      const size_t end = std::min(rest.find("; "), rest.size());
      list.emplace_back(rest.substr(0, end));
      rest.remove_prefix(std::min(end + 2, rest.size()));
    }
    return list;
  }

  std::string_view text_, rest_;
  int line_ = 0;
};
}  // namespace

Graph parse_graph(std::string_view text) { return Parser(text).parse(); }
Op parse_op(std::string_view text) {
  Cursor in(text);
  return read_op(in);
}
Type parse_type(std::string_view text) {
  Cursor in(text);
  return read_type(in);
}
}  // namespace engine
