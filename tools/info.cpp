// inlay info: what a model is made of.
#include <set>
#include "tools/inputs.h"
#include "tools/json.h"
#include "tools/plans.h"
#include "tools/verbs.h"

namespace tools {
namespace {
struct InfoArguments {
  std::string model;
  std::vector<std::string> shapes, inputs;
  bool layers = false, verify = false, json = false;
};

struct Contents {
  int64_t nodes = 0, body_nodes = 0, parameters = 0, weight_bytes = 0;
  std::map<std::string_view, int64_t> ops;
  std::set<const Constant*> seen;
  const StoredPackings* packed = nullptr;  // of the file

  void add(const Graph& graph, bool body = false) {
    const auto count = [&](ValueId v) {
      const Constant* c = v == ValueId::none ? nullptr : graph[v].constant.get();
      if (!c || !seen.insert(c).second) return;
      parameters += elements(c->shape);
      if (c->stored) packed = c->stored;
      if (c->dtype != DType::string) weight_bytes += c->bytes();
    };
    for (const Node& node : graph.nodes) {
      ++(body ? body_nodes : nodes);
      ++ops[schema::name(node.op.id())];
      for (ValueId v : node.inputs) count(v);
      for (const auto& inner : node.bodies) add(*inner, true);
    }
    for (const GraphOutput& out : graph.outputs) count(out.value);
  }
};

struct Layer {
  const Plan* plan;
  const Step* step;
  double macs() const { return step->cost.flops / 2; }
  double density() const { return step->cost.bytes > 0 ? step->cost.flops / step->cost.bytes : 0; }
};

std::vector<Layer> layers_of(const std::vector<const Plan*>& plans) {
  std::vector<Layer> layers;
  for (const Plan* plan : plans)
    for (const Step& step : plan->steps) layers.push_back({plan, &step});
  return layers;
}

// Weights that the file has packed, by the kernel they are for.
struct PackedWeights {
  int64_t weights = 0, bytes = 0;
};
std::map<std::string, PackedWeights> packed_of(const Contents& contents) {
  std::map<std::string, PackedWeights> kernels;
  if (contents.packed)
    for (const auto& [key, bytes] : contents.packed->all()) {
      PackedWeights& p = kernels[key.packing.substr(0, key.packing.find(' '))];
      ++p.weights, p.bytes += int64_t(bytes.size());
    }
  return kernels;
}

std::vector<std::pair<std::string_view, int64_t>> by_count(const Contents& contents) {
  std::vector<std::pair<std::string_view, int64_t>> ops(contents.ops.begin(), contents.ops.end());
  std::ranges::stable_sort(ops, [](const auto& a, const auto& b) { return a.second > b.second; });
  return ops;
}

std::string text_of(const InfoArguments& arguments, const LoadedGraph& loaded, const Contents& contents) {
  const Graph& graph = loaded.graph;
  std::string text = cat(arguments.model, loaded.from_onnx ? " (ONNX, as it is after conversion)\n" : "\n");
  text += cat("nodes       ", contents.nodes,
              contents.body_nodes ? cat(", and ", contents.body_nodes, " in the bodies of control flow") : "", "\n");
  text += cat("parameters  ", contents.parameters, " (", with_unit(double(contents.parameters), ""), ")\n");
  text += cat("weights     ", contents.weight_bytes, " bytes (", megabytes(contents.weight_bytes), ")\n");
  for (const auto& [kernel, p] : packed_of(contents))
    text += cat("packed      ", p.weights, " weights for ", kernel, " (", megabytes(p.bytes), ")\n");
  if (contents.packed && !contents.packed->refusal().empty()) text += cat("packed      not used: ", contents.packed->refusal(), "\n");
  for (ValueId v : graph.inputs)
    text += cat("input       ", graph[v].name, "  ", to_text(graph[v].type),
                graph[v].image ? "  image " + to_text(*graph[v].image) : "", "\n");
  for (const GraphOutput& out : graph.outputs)
    text += cat("output      ", out.name, "  ", to_text(graph[out.value].type), "\n");
  for (const State& s : graph.states)
    text += cat("state       ", graph[graph.inputs[s.input]].name, " <- ", graph.outputs[s.output].name, "\n");
  if (graph.precision != kernels::Precision::f32) text += cat("precision   ", kernels::name(graph.precision), " on a device, unless a run says otherwise; the CPU computes in fp32\n");
  text += "ops\n";
  for (const auto& [op, count] : by_count(contents))
    text += format("%10lld  %.*s\n", static_cast<long long>(count), int(op.size()), op.data());
  return text;
}

std::string layers_text(const std::vector<Layer>& layers) {
  std::string text = format("\n%12s %12s %9s  %-16s %s\n", "MACs", "bytes", "FLOP/byte", "op", "layer");
  Cost sum;
  for (const Layer& layer : layers) {
    const Cost& cost = layer.step->cost;
    sum.flops += cost.flops, sum.bytes += cost.bytes;
    const std::string_view op = schema::name(layer.step->op.id());
    text += format("%12.0f %12.0f %9.2f  %-16.*s %s  %s\n", layer.macs(), cost.bytes, layer.density(), int(op.size()),
                   op.data(), origins_of(*layer.step).c_str(), outputs_of(*layer.plan, *layer.step).c_str());
  }
  return text + format("%12.0f %12.0f %9.2f  in all: %s\n", sum.flops / 2, sum.bytes,
                       sum.bytes > 0 ? sum.flops / sum.bytes : 0, with_unit(sum.flops / 2, "MACs").c_str());
}

Json to_json(const Layer& layer) {
  Json outputs = Json::array();
  for (uint32_t v : layer.step->outputs) outputs.push_back(to_text(layer.plan->values[v].type));
  return {{"origins", layer.step->origins},
          {"op", schema::name(layer.step->op.id())},
          {"kernel", layer.step->kernel},
          {"outputs", outputs},
          {"macs", layer.macs()},
          {"flops", layer.step->cost.flops},
          {"bytes", layer.step->cost.bytes},
          {"density", layer.density()}};
}

Json json_of(const InfoArguments& arguments, const LoadedGraph& loaded, const Contents& contents) {
  const Graph& graph = loaded.graph;
  Json json{{"model", arguments.model},
            {"nodes", contents.nodes},
            {"body_nodes", contents.body_nodes},
            {"parameters", contents.parameters},
            {"weight_bytes", contents.weight_bytes}};
  json["packed"] = Json::object();
  for (const auto& [kernel, p] : packed_of(contents)) json["packed"][kernel] = {{"weights", p.weights}, {"bytes", p.bytes}};
  if (contents.packed && !contents.packed->refusal().empty()) json["packed_not_used"] = contents.packed->refusal();
  json["precision"] = kernels::name(graph.precision);
  for (const char* list : {"inputs", "outputs", "states"}) json[list] = Json::array();
  for (ValueId v : graph.inputs) {
    Json input = tools::to_json(graph[v].name, graph[v].type);
    if (graph[v].image) input["image"] = to_text(*graph[v].image);
    json["inputs"].push_back(std::move(input));
  }
  for (const GraphOutput& out : graph.outputs)
    json["outputs"].push_back(tools::to_json(out.name, graph[out.value].type));
  for (const State& s : graph.states)
    json["states"].push_back({{"input", graph[graph.inputs[s.input]].name}, {"output", graph.outputs[s.output].name}});
  json["ops"] = Json::object();
  for (const auto& [op, count] : by_count(contents)) json["ops"][std::string(op)] = count;
  return json;
}

void info(const InfoArguments& arguments) {
  const Shapes shapes = parse_shapes(arguments.shapes, "--shape");
  if (arguments.verify) {
    require(is_inlay_file(arguments.model), Code::invalid_argument, arguments.model,
            " is not a .inlay file, so it holds no checksums to verify");
    verify_file(arguments.model);
  }
  const LoadedGraph loaded = load_graph(arguments.model);
  Contents contents;
  contents.add(loaded.graph);
  std::vector<Layer> layers;
  std::optional<Session> session;
  Values values;
  if (arguments.layers) {
    values = synthetic_inputs(loaded.graph, shapes, arguments.inputs);
    session.emplace(std::make_shared<const Model>(loaded.graph),
                    SessionOptions{.threads = 0, .pool = nullptr, .own_states = false});
    set_inputs(*session, values);
    layers = layers_of(make_plans(*session));
  }
  if (!arguments.json) {
    std::string text = text_of(arguments, loaded, contents);
    if (arguments.verify) text += "checksums   verified\n";
    return print(arguments.layers ? text + layers_text(layers) : text);
  }
  Json json = json_of(arguments, loaded, contents);
  if (arguments.verify) json["verified"] = true;
  if (arguments.layers) {
    json["layers"] = Json::array();
    for (const Layer& layer : layers) json["layers"].push_back(to_json(layer));
  }
  print_json(json);
}
}  // namespace

void add_info(CLI::App& command) {
  const auto arguments = std::make_shared<InfoArguments>();
  Verb verb(command, "info", "Show what a model is made of");
  verb.model(arguments->model);
  verb.flag("--layers", arguments->layers,
            "Work, bytes read and written, and density of every layer, as compiled for this machine");
  verb.texts("--shape", arguments->shapes, "With --layers: the shape of an input that the model leaves open",
             "NAME=1x3x224x224");
  verb.texts("-i,--input", arguments->inputs, "With --layers: the value of an input, where a made-up one does not do",
             "NAME=FILE");
  verb.flag("--verify", arguments->verify, "Compare every checksum of a .inlay file");
  verb.json(arguments->json);
  verb.examples("  inlay info m.inlay --verify\n  inlay info m.onnx --layers --shape input=1x3x224x224");
  verb.run([arguments] { info(*arguments); });
}
}  // namespace tools
