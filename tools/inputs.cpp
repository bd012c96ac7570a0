#include "tools/inputs.h"
#include <algorithm>
#include <set>
#include "engine/shape.h"
#include "kernels/os.h"
#include "tools/npy.h"
#include "tools/picture.h"

namespace tools {
namespace {
std::optional<size_t> find(const Graph& graph, std::string_view name) {
  for (size_t k = 0; k < graph.inputs.size(); ++k)
    if (graph[graph.inputs[k]].name == name) return k;
  return std::nullopt;
}

std::string list(const Graph& graph) {
  std::string all;
  for (ValueId v : graph.inputs) all += cat(all.empty() ? "" : ", ", "'", graph[v].name, "' ", to_text(graph[v].type));
  return all.empty() ? "none" : all;
}

size_t need(const Graph& graph, std::string_view name) {
  const auto k = find(graph, name);
  require(k.has_value(), Code::invalid_argument, "there is no input '", name, "'; the model has: ", list(graph));
  return *k;
}

struct Argument {
  size_t input;
  std::string file;
};
// Both names and files may hold a '='.
Argument resolve(const Graph& graph, const std::string& text) {
  for (size_t at = text.find('='); at != std::string::npos; at = text.find('=', at + 1))
    if (const auto k = find(graph, text.substr(0, at))) return {*k, text.substr(at + 1)};
  if (const size_t at = text.find('='); at != std::string::npos) need(graph, text.substr(0, at));
  if (graph.inputs.size() != 1)
    throw UsageError(cat("-i ", text, ": say which input it is, -i NAME=", text, "; the model has: ", list(graph)));
  return {0, text};
}

// A tensor of a type that NumPy lacks comes as the one that write_npy writes it as.
Object narrow(Object object, DType dtype) {
  if (object.dtype == dtype || object.dtype != npy_dtype(dtype) || dtype == DType::string) return object;
  Object narrowed;
  const View to = narrowed.set_tensor(dtype, object.shape);
  for (int64_t i = 0; i < to.elements(); ++i) store(to, i, load<double>(object.view(), i));
  return narrowed;
}

Object read_tensor(const std::string& path, const std::string& name, const Type& wanted, const ImageSpec* image) {
  kernels::os::Memory memory;
  const auto status = kernels::os::Memory::map_file(path, memory);
  require(status.ok(), Code::io, "input '", name, "': ", status.message);
  const std::span<const std::byte> file(memory.data(), memory.size());
  return with_context([&] {
    const bool picture = is_picture(file), npy = is_npy(file);
    require(picture || npy, Code::invalid_argument,
            "it is neither a .npy file nor a picture that can be read (JPEG, PNG, BMP, GIF, PPM)");
    Object object = picture ? read_picture(file, wanted, image) : narrow(parse_npy(file), wanted.dtype);
    const Type type = Type::tensor(object.dtype, object.shape);
    require(compatible(wanted, type), Code::invalid_argument, "it is ", to_text(type), ", but the model wants ",
            to_text(wanted));
    return object;
  }, "input '", name, "': ", path);
}

void add_value(std::optional<Object>& value, const Argument& argument, const Value& input) {
  const std::string& name = input.name;
  const Type& wanted = input.type;
  const bool nested = wanted.element && !wanted.element->is_tensor();
  require(wanted.kind != ValueKind::map && !nested, Code::unsupported, "input '", name, "' is ", to_text(wanted),
          ", which no file holds");
  if (value && wanted.kind != ValueKind::sequence) throw UsageError(cat("-i: '", name, "' is given twice"));
  Object item = read_tensor(argument.file, name, wanted.is_tensor() ? wanted : *wanted.element, input.image.get());
  if (wanted.is_tensor()) {
    value = std::move(item);
    return;
  }
  if (!value) value.emplace().set_empty(wanted.kind, wanted.dtype);
  value->items.push_back(std::move(item));
}

void fill(const View& x) {
  if (x.dtype == DType::string) return;
  uint32_t state = 1;
  for (int64_t i = 0; i < x.elements(); ++i) {
    state = state * 1664525 + 1013904223;
    if (schema::is_real(x.dtype)) store(x, i, double(state >> 8) / (1 << 24));
    else store(x, i, Int(1));
  }
}

// The extents that the shapes given by the user bind symbols to.
std::map<std::string, int64_t> symbol_extents(const Graph& graph, const Shapes& shapes) {
  std::map<std::string, int64_t> extents;
  for (const auto& [name, shape] : shapes) {
    const Type& type = graph[graph.inputs[need(graph, name)]].type;
    require(compatible(type, Type::tensor(type.dtype, shape)), Code::invalid_argument, "--shape: input '", name,
            "' is ", to_text(type), " and cannot be ", to_text(shape));
    for (size_t i = 0; type.ranked && i < shape.size(); ++i)
      if (!type.dims[i].name().empty()) extents.emplace(type.dims[i].name(), shape[i]);
  }
  return extents;
}

Object synthetic(const Value& input, const Shapes& shapes, const std::map<std::string, int64_t>& extents) {
  Object object;
  if (!input.type.is_tensor()) {
    object.set_empty(input.type.kind, input.type.dtype);
    return object;
  }
  Shape shape;
  if (const auto it = shapes.find(input.name); it != shapes.end()) {
    shape = it->second;
  } else {
    std::string open = input.type.ranked ? "" : "the rank";
    for (const Dim& d : input.type.dims) {
      const auto bound = extents.find(d.name());
      if (!d.known() && bound == extents.end()) open += (open.empty() ? "" : ", ") + d.text();
      shape.push_back(d.known() ? d.value() : bound != extents.end() ? bound->second : std::max<int64_t>(1, d.lower()));
    }
    if (!open.empty())
      note(cat("input '", input.name, "' ", to_text(input.type), " leaves ", open, " open: taken as ", to_text(shape),
               "; --shape says otherwise"));
  }
  fill(object.set_tensor(input.type.dtype, shape));
  return object;
}
}  // namespace

Values read_inputs(const Graph& graph, const std::vector<std::string>& arguments) {
  Values values(graph.inputs.size());
  for (const std::string& text : arguments) {
    const Argument argument = resolve(graph, text);
    add_value(values[argument.input], argument, graph[graph.inputs[argument.input]]);
  }
  for (size_t k = 0; k < values.size(); ++k)
    if (const Type& type = graph[graph.inputs[k]].type; !values[k] && type.kind == ValueKind::optional)
      values[k].emplace().set_empty(type.kind, type.dtype);
  return values;
}

void set_images(Graph& graph, const std::vector<std::string>& texts) {
  std::set<size_t> given;
  for (const std::string& text : texts) {
    const size_t at = text.rfind('=');  // no spec holds one
    if (at == std::string::npos && graph.inputs.size() != 1)
      throw UsageError(cat("--image: say which input it is, NAME=", text, "; the model has: ", list(graph)));
    const size_t k = at == std::string::npos ? 0 : need(graph, text.substr(0, at));
    Value& input = graph[graph.inputs[k]];
    if (!given.insert(k).second) throw UsageError(cat("--image: '", input.name, "' is given twice"));
    ImageSpec spec;
    try {
      spec = parse_image_spec(std::string_view(text).substr(at + 1));
    } catch (const Error& e) {
      throw UsageError(cat("--image: ", e.what()));
    }
    with_context([&] { set_image(input, spec); }, "--image: input '", input.name, "'");
  }
}

Values synthetic_inputs(const Graph& graph, Shapes shapes, const std::vector<std::string>& arguments) {
  if (auto lone = shapes.extract(std::string()); lone && !find(graph, "")) {
    if (graph.inputs.size() != 1)
      throw UsageError(cat("--shape: say which input it is, NAME=1x3x224x224; the model has: ", list(graph)));
    lone.key() = graph[graph.inputs[0]].name;
    shapes.insert(std::move(lone));
  }
  const auto extents = symbol_extents(graph, shapes);
  Values values = read_inputs(graph, arguments);
  for (size_t k = 0; k < values.size(); ++k)
    if (!values[k]) values[k] = synthetic(graph[graph.inputs[k]], shapes, extents);
  return values;
}

void set_inputs(Session& session, const Values& values) {
  const Model& model = session.model();
  std::string missing;
  for (size_t k = 0; k < values.size(); ++k) {
    const Value& input = model.input(k);
    const bool state =
        std::ranges::count(model.graph().states, k, &State::input) && input.type.is_tensor() && input.type.determined();
    if (values[k]) session.set_input(k, values[k]->view());
    else if (!state) missing += cat(missing.empty() ? "" : ", ", "'", input.name, "' ", to_text(input.type));
  }
  require(missing.empty(), Code::invalid_argument, "these inputs have no value: ", missing,
          "; give each one with -i NAME=FILE.npy");
}

SessionOptions to_repeat(const Graph& graph, kernels::ThreadPool& pool) {
  const auto grows = [&](const State& s) { return !(graph[graph.inputs[s.input]].type == graph[graph.outputs[s.output].value].type); };
  return {.threads = 0, .pool = &pool, .own_states = std::ranges::none_of(graph.states, grows)};
}
}  // namespace tools
