#include "tests/models/conformance_case.h"
#include <algorithm>
#include <cmath>
#include <fstream>
#include <set>
#include <inlay/convert.h>
#include <inlay/inlay.hpp>
#include "converter/onnx_tensor.h"
#include "onnx.pb.h"
#include "tests/models/golden.h"
#include "tests/models/onnx_value.h"

namespace test {
namespace fs = std::filesystem;
namespace {
// Random by definition: only kind, shape and dtype are compared.
const std::set<std::string> random_cases{"test_bernoulli",
                                         "test_bernoulli_double",
                                         "test_bernoulli_double_expanded",
                                         "test_bernoulli_expanded",
                                         "test_bernoulli_seed",
                                         "test_bernoulli_seed_expanded",
                                         "test_training_dropout",
                                         "test_training_dropout_default",
                                         "test_training_dropout_default_mask",
                                         "test_training_dropout_mask"};

// What the model itself calls its inputs and outputs, with their types: test data are numbered by these.
struct Port {
  std::string name;
  Type type;
};
template <class Ports> std::vector<Port> ports(const Ports& protos) {
  std::vector<Port> all;
  for (const auto& p : protos) all.push_back({p.name(), converter::type_of(p.type(), p.name())});
  return all;
}
std::pair<std::vector<Port>, std::vector<Port>> ports_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  onnx::ModelProto model;
  require(model.ParseFromIstream(&file), Code::invalid_model, "cannot be parsed");
  return {ports(model.graph().input()), ports(model.graph().output())};
}

// --- Test data as the interface takes and gives them ----------------------------------------------------------------

inlay::TensorView view_of(const ConstView& x) {
  return inlay::view(x.data, inlay::Shape(x.shape.data(), x.shape.size()), inlay::DType(x.dtype));
}
inlay::Value value_of(const Object& x) {
  const auto dtype = inlay::DType(x.dtype);
  if (x.kind == ValueKind::sequence) {
    std::vector<inlay::Value> items;
    for (const Object& item : x.items) items.push_back(value_of(item));
    return inlay::Value::sequence(dtype, items);
  }
  if (x.kind == ValueKind::optional)
    return x.items.empty() ? inlay::Value::optional(dtype) : inlay::Value::optional(dtype, value_of(x.items[0]));
  return x.dtype == DType::string ? inlay::Value::strings(x.strings, x.shape) : inlay::Value::tensor(view_of(x.view()));
}

Object object_of(const inlay::TensorView& x) {
  Object object;
  object.assign({DType(x.dtype()),
                 {x.shape().data(), size_t(x.shape().rank())},
                 static_cast<const std::byte*>(x.data()),
                 nullptr});
  return object;
}
Object object_of(const inlay::Value& x, DType dtype) {
  Object object;
  if (x.kind() == INLAY_TENSOR) {
    const inlay::TensorView tensor = x.tensor();
    if (tensor.dtype() != inlay::DType::string) return object_of(tensor);
    object.set_tensor(DType::string, std::span(tensor.shape().data(), size_t(tensor.shape().rank())));
    for (size_t i = 0; i < object.strings.size(); ++i) object.strings[i] = x.string(i);
    return object;
  }
  require(x.kind() == INLAY_SEQUENCE || x.kind() == INLAY_OPTIONAL, Code::unsupported, "the output is a map");
  object.set_empty(x.kind() == INLAY_SEQUENCE ? ValueKind::sequence : ValueKind::optional, dtype);
  for (size_t i = 0; i < x.count(); ++i) object.items.push_back(object_of(x.item(i), dtype));
  return object;
}
Object output_of(const inlay::Session& session, const std::string& name) {
  const inlay_value_info info = session.model().output(session.model().find_output(name.c_str()));
  if (info.kind == INLAY_TENSOR && info.dtype != INLAY_STRING) return object_of(session.output(name));
  return object_of(session.output_value(name), DType(info.dtype));
}

// --- One case --------------------------------------------------------------------------------------------------------

inlay::Model converted(const fs::path& onnx, const fs::path& work, inlay_device device) {
  const std::string file = work / "model.inlay";
  const inlay_status status = inlay_convert(onnx.c_str(), file.c_str(), nullptr);
  if (status != INLAY_OK) throw inlay::Error(status, inlay_convert_error());
  return inlay::Model::load(file, {.device = device});
}

bool has_input(const inlay::Model& model, const std::string& name) {
  for (size_t k = 0; k < model.inputs(); ++k)
    if (model.input(k).name == name) return true;
  return false;
}

std::optional<fs::path> existing(const fs::path& path) { return fs::exists(path) ? std::optional(path) : std::nullopt; }

// Runs on the inputs, by name; `wanted` gives the file that output k is compared with, if there is one.
std::string run_set(const std::string& name, inlay::Session& session, const std::vector<Named>& inputs,
                    const std::vector<Port>& outputs, const std::function<std::optional<fs::path>(size_t)>& wanted,
                    const std::optional<fs::path>& dump) {
  std::vector<inlay::Value> values;
  for (const Named& input : inputs) {
    const Object& x = input.value;
    if (x.kind == ValueKind::tensor && x.dtype != DType::string) session.set_input(input.name, view_of(x.view()));
    else session.set_input(input.name, values.emplace_back(value_of(x)));  // a handle: the vector may move it
  }
  session.run();
  if (dump) fs::create_directories(*dump);
  std::string text;
  const bool random = random_cases.contains(name);
  const double rtol = random ? 0 : name == "light_densenet121" ? 2e-3 : 1e-3, atol = random ? INFINITY : 1e-7;
  for (size_t k = 0; k < outputs.size(); ++k) {
    const Object got = output_of(session, outputs[k].name);
    if (dump) write_pb(*dump / cat("output_", k, ".pb"), got.view());
    const auto path = wanted(k);
    if (!path || !text.empty()) continue;
    const Object want = read_pb(*path, outputs[k].type);
    if (const std::string why = difference(got.view(), want.view(), rtol, atol); !why.empty())
      text = cat("output '", outputs[k].name, "' ", why);
  }
  return text;
}

// The input of a light case is arange(n) / n.
Object light_input(const inlay_value_info& info) {
  require(info.kind == INLAY_TENSOR && info.dtype == INLAY_F32 && info.rank >= 0, Code::unsupported, "the input is ",
          info.text);
  Object object;
  const View x = object.set_tensor(DType::f32, std::span(info.shape, size_t(info.rank)));
  for (int64_t i = 0; i < x.elements(); ++i) x.as<float>()[size_t(i)] = float(double(i) / double(x.elements()));
  return object;
}
}  // namespace

std::string run_case(const Case& c, const fs::path& work, const std::optional<fs::path>& dump, inlay_device device) {
  const auto of_model = ports_of(c.model);
  const auto &inputs = of_model.first, &outputs = of_model.second;
  const inlay::Model model = converted(c.model, work, device);
  if (c.sets.empty()) {
    inlay::Session session(model);
    std::vector<Named> values;
    for (size_t k = 0; k < model.inputs(); ++k) values.push_back({model.input(k).name, light_input(model.input(k))});
    const auto wanted = [&](size_t k) { return existing(c.model.parent_path() / cat(c.name, "_output_", k, ".pb")); };
    return run_set(c.name, session, values, outputs, wanted, dump);
  }
  for (const fs::path& set : c.sets) {
    const bool only = c.sets.size() == 1;
    inlay::Session session(model, {.threads = 1, .manual_states = true});
    std::vector<Named> values;
    for (size_t k = 0; k < inputs.size(); ++k) {
      const auto path = existing(set / cat("input_", k, ".pb"));
      if (path && has_input(model, inputs[k].name)) values.push_back({inputs[k].name, read_pb(*path, inputs[k].type)});
    }
    const auto wanted = [&](size_t k) { return existing(set / cat("output_", k, ".pb")); };
    const auto to = dump && !only ? std::optional(*dump / set.filename()) : dump;
    const std::string text = run_set(c.name, session, values, outputs, wanted, to);
    if (!text.empty()) return only ? text : set.filename().string() + ": " + text;
  }
  return "";
}

void find_cases(const fs::path& path, std::vector<Case>& all, int depth) {
  const fs::path absolute = fs::weakly_canonical(path);
  const std::string folder = absolute.parent_path().filename();
  if (path.extension() == ".onnx" && fs::is_regular_file(path))
    return all.push_back({folder, path.stem().string(), path, {}});
  if (!fs::is_directory(path) || depth > 3) return;
  std::vector<fs::path> inside;
  for (const auto& entry : fs::directory_iterator(path)) inside.push_back(entry.path());
  std::ranges::sort(inside);
  if (!fs::exists(path / "model.onnx")) {
    for (const fs::path& p : inside) find_cases(p, all, depth + 1);
    return;
  }
  Case c{folder, absolute.filename().string(), path / "model.onnx", {}};
  for (const fs::path& p : inside)
    if (p.filename().string().starts_with("test_data_set_")) c.sets.push_back(p);
  all.push_back(std::move(c));
}
}  // namespace test
