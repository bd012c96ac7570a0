// inlay convert: an ONNX model in, one .inlay file out.
#include <algorithm>
#include <filesystem>
#include "converter/convert.h"
#include "engine/interface.h"
#include "engine/shape.h"
#include "kernels/os.h"
#include "tools/inputs.h"
#include "tools/json.h"
#include "tools/plans.h"
#include "tools/progress.h"
#include "tools/verbs.h"

namespace tools {
namespace {
struct ConvertArguments {
  std::string model, output, weights, precision;
  std::vector<std::string> fix, states, bounds, images, pack_for;
  bool allow_custom = false, json = false;
};

void check_output(const ConvertArguments& arguments) {
  const auto status = kernels::os::check_writable(arguments.output);
  require(status.ok(), Code::io, status.message);
  std::error_code error;
  if (std::filesystem::equivalent(arguments.model, arguments.output, error))
    throw UsageError(cat("-o: ", arguments.output, " is the model itself"));
}

// The part of a name that stands where the pattern has its '*'. None: it does not match.
std::optional<std::string> matched(const std::string& name, const std::string& pattern) {
  const size_t star = pattern.find('*'), behind = pattern.size() - star - 1;
  if (name.size() + 1 < pattern.size() || name.compare(0, star, pattern, 0, star) || name.compare(name.size() - behind, behind, pattern, star + 1, behind))
    return std::nullopt;
  return name.substr(star, name.size() - star - behind);
}

// INPUT=OUTPUT, or both with one '*' that stands for the same text.
void add_states(Graph& graph, const std::vector<std::string>& texts) {
  for (const std::string& text : texts) {
    const auto [input, output] = parse_pair(text, "--state");
    const auto stars = [](const std::string& name) { return std::ranges::count(name, '*'); };
    if (stars(input) > 1 || stars(input) != stars(output)) throw UsageError(cat("--state ", text, ": one * in the input, and one in the output"));
    const auto add = [&](const std::string& in, const std::string& out) { with_context([&] { add_state(graph, in, out); }, "--state ", text); };
    if (!stars(input)) {
      add(input, output);
      continue;
    }
    size_t found = 0;
    for (const ValueId v : graph.inputs)
      if (const auto part = matched(graph[v].name, input)) add(graph[v].name, std::string(output).replace(output.find('*'), 1, *part)), ++found;
    require(found > 0, Code::invalid_argument, "--state ", text, ": no input is called so");
  }
}

void add_bounds(Graph& graph, const std::vector<std::string>& texts) {
  for (const std::string& text : texts) {
    const auto [symbol, most] = parse_pair(text, "--bound");
    const int64_t upper = parse_integer(most, 1, limits::extent - 1, "--bound " + text);
    with_context([&, &name = symbol] { bound_symbol(graph, name, upper); }, "--bound ", text);
  }
  if (!texts.empty()) infer_types(graph);
}

int64_t weight_bytes(const Graph& graph) {
  int64_t bytes = 0;
  std::vector<bool> read(graph.values.size());
  for (const Node& node : graph.nodes) {
    for (const ValueId v : node.inputs)
      if (v != ValueId::none) read[size_t(v)] = true;
    for (const auto& body : node.bodies) bytes += weight_bytes(*body);
  }
  for (size_t v = 0; v < read.size(); ++v)
    if (const auto& c = graph.values[v].constant; read[v] && c && c->dtype != DType::string) bytes += c->bytes();
  return bytes;
}

Graph import(const ConvertArguments& arguments, int64_t& nodes_before) {
  converter::ConvertOptions options;
  options.import.fix = parse_shapes(arguments.fix, "--fix");
  options.import.allow_custom = arguments.allow_custom;
  if (options.import.fix.contains("")) throw UsageError("--fix: say which input it is, NAME=1x3x224x224");
  require(!is_inlay_file(arguments.model), Code::invalid_argument, arguments.model,
          " is a .inlay file: it is converted already");
  Progress progress("converting " + arguments.model);
  options.progress = [&](std::string_view stage, int64_t done, int64_t total) {
    if (stage == "import") nodes_before = total;
    progress.update(stage, done, total);
  };
  return converter::convert(arguments.model, options);
}

DType weights_dtype(const std::string& text) {
  for (const DType dtype : {DType::u4, DType::u8, DType::bf16})
    if (text == name(dtype)) return dtype;
  throw UsageError(cat("--weights: ", text, " is not u4, u8 or bf16"));
}

// What --pack-for asks for: instruction sets that kernels of this machine can pack for.
std::vector<kernels::isa::Mask> instruction_sets(const std::vector<std::string>& names) {
  std::vector<kernels::isa::Mask> all;
  for (const std::string& name : names) {
    const auto mask = kernels::isa::find(name);
    if (!mask) throw UsageError(cat("--pack-for: there is no instruction set '", name, "'"));
    require(kernels::isa::runs(*mask, kernels::isa::detected()), Code::unsupported, "--pack-for ", name, ": this machine has ",
            kernels::isa::name(kernels::isa::detected()), ", and kernels of ", name, " pack for themselves");
    all.push_back(*mask);
  }
  return all;
}

// The weights of the graph as kernels of each instruction set read them.
std::vector<PackedFor> pack(const Graph& graph, const std::vector<kernels::isa::Mask>& sets) {
  std::vector<PackedFor> packed;
  for (kernels::isa::Mask isa : sets) {
    CompileOptions options;
    options.isa = isa;
    const Values values = synthetic_inputs(graph, {}, {});
    Session session(std::make_shared<const Model>(graph, options), SessionOptions{.threads = 0, .pool = nullptr, .own_states = false});
    set_inputs(session, values);
    for (const Plan* plan : make_plans(session)) packed.insert(packed.end(), plan->packed.begin(), plan->packed.end());
  }
  return packed;
}

void convert(const ConvertArguments& arguments) {
  const auto start = Clock::now();
  check_output(arguments);
  const auto sets = instruction_sets(arguments.pack_for);
  int64_t before = 0;
  Graph graph = import(arguments, before);
  add_bounds(graph, arguments.bounds);
  add_states(graph, arguments.states);
  set_images(graph, arguments.images);
  if (!arguments.precision.empty()) graph.precision = parse_precision(arguments.precision);
  std::optional<converter::NarrowWeights> narrow;
  if (!arguments.weights.empty()) narrow = converter::narrow_weights(graph, weights_dtype(arguments.weights));
  const std::vector<PackedFor> packed = pack(graph, sets);
  save_model(graph, arguments.output, packed);
  int64_t packed_bytes = 0;
  for (const PackedFor& p : packed) packed_bytes += int64_t(p.bytes);
  const double time = milliseconds(Clock::now() - start);
  std::error_code error;
  const auto size = std::filesystem::file_size(arguments.output, error);
  if (narrow && !arguments.json)
    print(cat(narrow->products, " products with weights of ", arguments.weights, ": error ", format("%.2g", 100 * narrow->error), " % of the weights (root mean square)",
              narrow->products ? cat(", at the worst ", format("%.2g", 100 * narrow->worst), " %: ", narrow->worst_at) : "", "\n"));
  if (arguments.json)
    return print_json({{"model", arguments.model},
                       {"narrow_products", narrow ? narrow->products : 0},
                       {"narrow_error", narrow ? narrow->error : 0},
                       {"output", arguments.output},
                       {"nodes_before", before},
                       {"nodes", graph.nodes.size()},
                       {"weight_bytes", weight_bytes(graph)},
                       {"packed_bytes", packed_bytes},
                       {"file_bytes", error ? 0 : size},
                       {"time_ms", time}});
  print(cat(arguments.output, ": ", before, " nodes became ", graph.nodes.size(), ", weights ",
            megabytes(weight_bytes(graph)), packed.empty() ? "" : cat(", packed ", megabytes(packed_bytes)), ", ", format("%.2f s", time / 1e3), "\n"));
}
}  // namespace

void add_convert(CLI::App& command) {
  const auto arguments = std::make_shared<ConvertArguments>();
  Verb verb(command, "convert", "Convert an ONNX model into a .inlay file");
  verb.text("model", arguments->model, "The .onnx file", "FILE", true);
  verb.text("-o,--output", arguments->output, "The .inlay file to write", "FILE", true);
  verb.texts("--fix", arguments->fix, "Fix the shape of an input", "NAME=1x3x224x224");
  verb.texts("--state", arguments->states, "Feed this output back into this input, from run to run; a * in both stands for the same text, as in 'past.*=present.*'", "INPUT=OUTPUT");
  verb.texts("--bound", arguments->bounds,
             "An open extent is never larger than this: memory is planned once, for that size", "SYMBOL=MAX");
  verb.texts("--image", arguments->images,
             "How a picture becomes an input, stored for run and for apps; inlay run -h says what a SPEC is",
             "[NAME=]SPEC");
  verb.choice("--precision", arguments->precision, "What a device may round operands of products and convolutions to where a run does not say; the CPU computes in fp32", {kernels::precision_names.begin(), kernels::precision_names.end()});
  verb.text("--weights", arguments->weights, "Store the constant weights of products in so few bits: u4, u8 (blocks of 32) or bf16; says the error", "DTYPE");
  verb.list("--pack-for", arguments->pack_for,
            "Store weights as kernels of these instruction sets read them, too: such a machine starts sooner, and has less to hold", "avx512,avx2");
  verb.flag("--allow-custom", arguments->allow_custom,
            "Keep nodes whose op is not known: the application implements them");
  verb.json(arguments->json);
  verb.examples(
      "  inlay convert m.onnx -o m.inlay --fix input=1x3x224x224\n"
      "  inlay convert vad.onnx -o vad.inlay --state state=stateN\n"
      "  inlay convert gpt.onnx -o gpt.inlay --bound past=2048 --state 'past.*=present.*'\n"
      "  inlay convert m.onnx -o m.inlay --pack-for avx512,avx2\n"
      "  inlay convert yolo.onnx -o yolo.inlay --image rgb,letterbox:640x640");
  verb.run([arguments] { convert(*arguments); });
}
}  // namespace tools
