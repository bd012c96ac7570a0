// onnx_conformance [--dump DIR] [--list FILE] PATH…: runs ONNX's backend test cases. A PATH is a case, or a folder of
// cases; a case is a folder with model.onnx and test_data_set_N, or a file light_X.onnx beside light_X_output_0.pb.
// --list: only the cases that the file names, one a line; of pictures only where the build decodes them.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <set>
#include "converter/convert.h"
#include "converter/onnx_tensor.h"
#include "engine/image_decoder.h"
#include "onnx.pb.h"
#include "tests/models/golden.h"
#include "tests/models/onnx_value.h"

namespace test {
namespace {
namespace fs = std::filesystem;

struct Options {
  std::optional<fs::path> dump;
  std::optional<std::set<std::string>> only;
};

// Random by definition: only shape and dtype are compared.
const std::set<std::string> random_cases{"test_bernoulli",
                                         "test_bernoulli_double",
                                         "test_bernoulli_double_expanded",
                                         "test_bernoulli_expanded",
                                         "test_bernoulli_seed",
                                         "test_bernoulli_seed_expanded",
                                         "test_training_dropout_default",
                                         "test_training_dropout_default_mask",
                                         "test_training_dropout_mask"};

struct Case {
  std::string name;
  fs::path model;
  std::vector<fs::path> sets;  // folders with input_K.pb and output_K.pb; none in a light case
};

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

std::string compare(const Session& session, const std::vector<Port>& ports, const std::string& name,
                    const std::function<std::optional<fs::path>(size_t)>& file) {
  const double rtol = name == "light_densenet121" ? 2e-3 : 1e-3;
  for (size_t k = 0; k < ports.size(); ++k) {
    const auto path = file(k);
    if (!path) continue;
    const Object want = read_pb(*path, ports[k].type);
    const bool random = random_cases.contains(name);
    const std::string text = difference(session.output(session.model().find_output(ports[k].name)), want.view(),
                                        random ? 0 : rtol, random ? INFINITY : 1e-7);
    if (!text.empty()) return cat("output '", ports[k].name, "' ", text);
  }
  return "";
}

void dump(const Session& session, const std::vector<Port>& ports, const fs::path& folder) {
  fs::create_directories(folder);
  for (size_t k = 0; k < ports.size(); ++k)
    write_pb((folder / cat("output_", k, ".pb")).string(), session.output(session.model().find_output(ports[k].name)));
}

std::optional<fs::path> existing(const fs::path& path) { return fs::exists(path) ? std::optional(path) : std::nullopt; }

// The input of a light case is arange(n) / n.
Object light_input(const Type& type) {
  Object object;
  const View x = object.set_tensor(DType::f32, type.shape());
  for (int64_t i = 0; i < x.elements(); ++i) x.as<float>()[size_t(i)] = float(double(i) / double(x.elements()));
  return object;
}

// Empty if the case passes, else why not.
std::string run(const Case& c, const Options& options) {
  const auto of_model = ports_of(c.model);
  const auto &inputs = of_model.first, &outputs = of_model.second;
  const TemporaryFile file(c.name + ".inlay");
  save_model(converter::convert(c.model.string()), file.path());
  const auto model = Model::load(file.path());
  const auto has_input = [&](const std::string& name) {
    for (size_t k = 0; k < model->inputs(); ++k)
      if (model->input(k).name == name) return true;
    return false;
  };
  const auto finish = [&](Session& session, const fs::path& dump_to,
                          const std::function<std::optional<fs::path>(size_t)>& wanted) {
    session.run();
    if (options.dump) dump(session, outputs, dump_to);
    return compare(session, outputs, c.name, wanted);
  };
  for (const fs::path& set : c.sets) {
    Session session(model, {.threads = 1, .pool = nullptr, .own_states = false});
    std::vector<Object> values;
    values.reserve(inputs.size());  // the session points to them
    for (size_t k = 0; k < inputs.size(); ++k) {
      const auto path = existing(set / cat("input_", k, ".pb"));
      if (path && has_input(inputs[k].name))
        session.set_input(model->find_input(inputs[k].name),
                          std::as_const(values.emplace_back(read_pb(*path, inputs[k].type))).view());
    }
    const fs::path to = !options.dump        ? fs::path()
                        : c.sets.size() == 1 ? *options.dump / c.name
                                             : *options.dump / c.name / set.filename();
    const std::string text = finish(session, to, [&](size_t k) { return existing(set / cat("output_", k, ".pb")); });
    if (!text.empty()) return c.sets.size() == 1 ? text : set.filename().string() + ": " + text;
  }
  if (!c.sets.empty()) return "";
  Session session(model, {.threads = 0, .pool = nullptr, .own_states = false});
  std::vector<Object> values;
  values.reserve(model->inputs());
  for (size_t k = 0; k < model->inputs(); ++k)
    session.set_input(k, std::as_const(values.emplace_back(light_input(model->input(k).type))).view());
  return finish(session, options.dump ? *options.dump / c.name : fs::path(),
                [&](size_t k) { return existing(c.model.parent_path() / cat(c.name, "_output_", k, ".pb")); });
}

void find_cases(const fs::path& path, std::vector<Case>& all, int depth = 0) {
  if (path.extension() == ".onnx" && fs::is_regular_file(path)) return all.push_back({path.stem().string(), path, {}});
  if (!fs::is_directory(path) || depth > 3) return;
  std::vector<fs::path> inside;
  for (const auto& entry : fs::directory_iterator(path)) inside.push_back(entry.path());
  std::ranges::sort(inside);
  if (!fs::exists(path / "model.onnx")) {
    for (const fs::path& p : inside) find_cases(p, all, depth + 1);
    return;
  }
  Case c{fs::weakly_canonical(path).filename().string(), path / "model.onnx", {}};
  for (const fs::path& p : inside)
    if (p.filename().string().starts_with("test_data_set_")) c.sets.push_back(p);
  all.push_back(std::move(c));
}

std::string attempt(const Case& c, const Options& options) {
  try {
    return run(c, options);
  } catch (const std::exception& e) {
    return *e.what() ? e.what() : "an exception without a message";
  }
}

int run_all(const std::vector<fs::path>& paths, const Options& options) {
  std::vector<Case> cases;
  for (const fs::path& path : paths) {
    const size_t before = cases.size();
    find_cases(path, cases);
    if (cases.size() == before) std::fprintf(stderr, "no case in %s\n", path.c_str());
  }
  if (options.only) std::erase_if(cases, [&](const Case& c) { return !options.only->contains(c.name); });
  int passed = 0, failed = 0;
  for (const Case& c : cases) {
    std::string reason = attempt(c, options);
    std::ranges::replace(reason, '\n', ' ');
    ++(reason.empty() ? passed : failed);
    if (reason.empty()) std::printf("PASS %s\n", c.name.c_str());
    else std::printf("FAIL %s: %s\n", c.name.c_str(), reason.c_str());
    std::fflush(stdout);
  }
  const bool all_there = !options.only || cases.size() >= options.only->size();
  if (!all_there) std::printf("%zu cases of the list were not found\n", options.only->size() - cases.size());
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed || !passed || !all_there;
}

std::set<std::string> read_list(const std::string& path) {
  std::ifstream file(path);
  std::set<std::string> names;
  for (std::string line; std::getline(file, line);)
    if (!line.empty() && line[0] != '#' && (has_image_decoder() || !line.starts_with("test_image_decoder_"))) names.insert(line);
  return names;
}
}  // namespace
}  // namespace test

int main(int argc, char** argv) {
  test::Options options;
  std::vector<std::filesystem::path> paths;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--dump" && i + 1 < argc) options.dump = argv[++i];
    else if (argument == "--list" && i + 1 < argc) options.only = test::read_list(argv[++i]);
    else if (argument.starts_with("--"))
      return std::fprintf(stderr, "usage: onnx_conformance [--dump DIR] [--list FILE] PATH...\n"), 2;
    else paths.emplace_back(argument);
  }
  if (paths.empty()) return std::fprintf(stderr, "usage: onnx_conformance [--dump DIR] [--list FILE] PATH...\n"), 2;
  return test::run_all(paths, options);
}
