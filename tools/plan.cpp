// inlay plan: the steps of a model, and where its memory lies.
#include "kernels/os.h"
#include "tools/inputs.h"
#include "tools/json.h"
#include "tools/plans.h"
#include "tools/verbs.h"

namespace tools {
namespace {
struct PlanArguments {
  DeviceArguments device;
  std::string model, svg;
  std::vector<std::string> shapes, inputs;
  bool json = false;
};

Json to_json(const Memory& m) {
  return {{"arena_bytes", m.arena},
          {"arena_lower_bound_bytes", m.lower_bound},
          {"ratio", m.ratio()},
          {"arena_without_reuse_bytes", m.without_reuse}};
}

Json to_json(const Plan& plan) {
  Json json = to_json(memory_of(plan));
  json["buffers"] = plan.buffers.size();
  json["steps"] = Json::array();
  for (const Step& step : plan.steps) {
    Json outputs = Json::array();
    for (uint32_t v : step.outputs) {
      const PlannedValue& value = plan.values[v];
      outputs.push_back({{"type", to_text(value.type)},
                         {"offset", value.place.kind == Place::arena ? Json(value.place.offset) : Json(nullptr)}});
    }
    json["steps"].push_back(
        {{"kernel", step.kernel}, {"device", step.on_device ? "cuda" : "cpu"}, {"op", schema::name(step.op.id())}, {"origins", step.origins}, {"outputs", outputs}});
  }
  return json;
}

std::string memory_text(const Memory& m, size_t steps, size_t buffers) {
  return cat("steps          ", steps, "\nbuffers        ", buffers, "\narena          ", m.arena,
             " bytes\nlower bound    ", m.lower_bound, " bytes\nratio          ", format("%.3f", m.ratio()),
             "\nwithout reuse  ", m.without_reuse, " bytes\n");
}

std::string steps_text(const Plan& plan) {
  std::string text;
  for (size_t s = 0; s < plan.steps.size(); ++s) {
    const Step& step = plan.steps[s];
    text += format("%5zu  %-28.*s  %s  %s\n", s, int(step.kernel.size()), step.kernel.data(), origins_of(step).c_str(),
                   outputs_of(plan, step).c_str());
  }
  return text;
}

void print_plans(const std::string& model, const Frame& frame, const std::vector<const Plan*>& plans) {
  std::string text;
  size_t steps = 0, buffers = 0;
  for (size_t i = 0; i < plans.size(); ++i) {
    if (plans.size() > 1)
      text += cat(i ? "\n" : "", "part ", i, i ? ", a body, or what follows sizes found at run:\n" : ":\n");
    text += steps_text(*plans[i]);
    steps += plans[i]->steps.size(), buffers += plans[i]->buffers.size();
  }
  print(cat(text, "\n", model, "\n", memory_text(memory_of(frame), steps, buffers), "valid          yes\n"));
}

void write_svg(const std::string& path, const std::vector<const Plan*>& plans) {
  // Of several parts, the one with the largest arena.
  const Plan* largest = plans.front();
  for (const Plan* plan : plans)
    if (plan->arena_bytes() > largest->arena_bytes()) largest = plan;
  const std::string text = svg(*largest);
  const auto status = kernels::os::write_file(path, std::as_bytes(std::span(text)));
  require(status.ok(), Code::io, status.message);
  note("drew " + path);
}

void plan(PlanArguments arguments) {
  CompileOptions compile;
  use_device(arguments.device, compile);
  if (!arguments.svg.empty()) {
    const auto status = kernels::os::check_writable(arguments.svg);
    require(status.ok(), Code::io, status.message);
  }
  const Shapes shapes = parse_shapes(arguments.shapes, "--shape");
  const auto model = std::make_shared<const Model>(load_graph(arguments.model).graph, compile);
  const Values values = synthetic_inputs(model->graph(), shapes, arguments.inputs);
  Session session(model, {.threads = 0, .pool = nullptr, .own_states = false});
  set_inputs(session, values);
  const auto plans = make_plans(session);
  check_plans(plans);
  if (!arguments.svg.empty()) write_svg(arguments.svg, plans);
  if (!arguments.json) return print_plans(arguments.model, session.frame(), plans);
  Json json{{"model", arguments.model}, {"device", arguments.device.name}};
  json.update(to_json(memory_of(session.frame())));
  json["valid"] = true;
  json["plans"] = Json::array();
  for (const Plan* part : plans) json["plans"].push_back(to_json(*part));
  print_json(json);
}
}  // namespace

void add_plan(CLI::App& command) {
  const auto arguments = std::make_shared<PlanArguments>();
  Verb verb(command, "plan", "Show the steps of a model, and where its memory lies");
  verb.model(arguments->model);
  verb.texts("--shape", arguments->shapes, "The shape of an input that the model leaves open", "NAME=1x3x224x224");
  verb.texts("-i,--input", arguments->inputs, "The value of an input, where a made-up one does not do", "NAME=FILE");
  verb.text("--svg", arguments->svg, "Draw the memory over time", "FILE");
  verb.device(arguments->device);
  verb.json(arguments->json);
  verb.examples("  inlay plan m.inlay\n  inlay plan m.onnx --shape input=8x3x224x224 --svg memory.svg");
  verb.run([arguments] { plan(*arguments); });
}
}  // namespace tools
