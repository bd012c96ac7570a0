// inlay profile: where the time of a model goes, step by step, beside what this machine could do.
#include <algorithm>
#include "kernels/os.h"
#include "kernels/peak.h"
#include "tools/inputs.h"
#include "tools/json.h"
#include "tools/plans.h"
#include "tools/profiler.h"
#include "tools/progress.h"
#include "tools/verbs.h"

namespace tools {
namespace {
struct ProfileArguments {
  DeviceArguments device;
  std::string model, warmup = "200ms", duration = "3s", trace, by = "step", sort;
  std::vector<std::string> shapes, inputs;
  int threads = 0;
  CompileOptions compile;
  bool dispatch = false, json = false;
};

struct Machine {
  double flops, memory, cache;  // per second
  explicit Machine(kernels::ThreadPool& pool)
      : flops(kernels::peak_flops(kernels::isa::detected(), pool)),
        memory(kernels::memory_bandwidth(kernels::isa::detected(), pool)),
        cache(kernels::cache_bandwidth(kernels::isa::detected(), pool)) {}
};

double ratio(double a, double b) { return b > 0 ? a / b : 0; }

// One step, or several under one name.
struct Figures {
  double seconds = 0, flops = 0, bytes = 0;
  double least = 0;  // seconds: what the roofline allows, step by step
  size_t steps = 0;
  Figures() = default;
  Figures(const StepTime& s, const Machine& m)
      : seconds(s.seconds),
        flops(s.flops),
        bytes(s.bytes),
        least(std::max(ratio(s.flops, m.flops), ratio(s.bytes, m.memory))),
        steps(1) {}
  Figures& operator+=(const Figures& o) {
    seconds += o.seconds, flops += o.flops, bytes += o.bytes, least += o.least, steps += o.steps;
    return *this;
  }
};

struct Report {
  int threads;
  Machine machine;
  size_t runs = 0, parts = 1;
  double p50 = 0;  // seconds of a run whose steps are not timed
  std::vector<StepTime> rows;
  Figures total;
  std::string precision;
  double outside() const { return p50 - total.seconds; }
};

struct Group {
  std::string_view name;
  Figures figures;
};

std::vector<Group> groups_of(const Report& report, const ProfileArguments& arguments) {
  std::vector<Group> groups;
  for (const StepTime& row : report.rows) {
    const std::string_view name = arguments.by == "kernel" ? row.kernel : schema::name(row.op.id());
    auto it = std::ranges::find(groups, name, &Group::name);
    if (it == groups.end()) it = groups.insert(it, {name, {}});
    it->figures += Figures(row, report.machine);
  }
  if (arguments.sort != "order")
    std::ranges::stable_sort(groups, std::greater{}, [](const Group& g) { return g.figures.seconds; });
  return groups;
}

std::string text_of(const Figures& f, const Report& report) {
  const Machine& m = report.machine;
  return format("%10.4f %6.1f %10.2f %9.2f %6.1f %9.3f %8.2f %6.1f %6.1f", f.seconds * 1e3,
                100 * ratio(f.seconds, report.total.seconds), f.flops * 1e-6, ratio(f.flops, f.seconds) * 1e-9,
                100 * ratio(ratio(f.flops, f.seconds), m.flops), f.bytes * 1e-6, ratio(f.bytes, f.seconds) * 1e-9,
                100 * ratio(ratio(f.bytes, f.seconds), m.memory), 100 * ratio(f.least, f.seconds));
}

std::string head(const char* first) {
  return format("%7s %10s %6s %10s %9s %6s %9s %8s %6s %6s  ", first, "ms", "%", "MFLOP", "GFLOP/s", "%peak", "MB",
                "GB/s", "%bw", "%roof");
}

// Why the rows of its family's table that are not this step's kernel do not serve it.
std::string refusals_text(const StepTime& row) {
  std::vector<std::pair<std::string, std::string>> names;  // by reason
  for (const kernels::Refusal& r : row.refusals) {
    auto it = std::ranges::find(names, r.reason, [](const auto& entry) { return entry.first; });
    if (it == names.end()) it = names.insert(it, {r.reason, ""});
    it->second += cat(it->second.empty() ? "" : ", ", r.name);
  }
  if (row.kernel == "reference" && row.refusals.empty()) {
    const bool lowers = visit([](const auto& op) { return def(op).lower != nullptr; }, row.op);
    names.emplace_back(lowers ? "types, extents or parameters that no kernel takes" : "no kernel has this op", "");
  }
  std::string text;
  for (const auto& [reason, kernels] : names)
    text += cat("          ", reason, kernels.empty() ? "" : ": ", kernels, "\n");
  return text;
}

std::string report_text(const Report& report, const ProfileArguments& arguments) {
  const Machine& m = report.machine;
  std::string text = cat("this machine, ", report.threads, report.threads == 1 ? " thread: " : " threads: ",
                         format("%.1f GFLOP/s, %.2f GB/s from memory, %.2f GB/s from the cache", m.flops * 1e-9,
                                m.memory * 1e-9, m.cache * 1e-9),
                         " (", kernels::isa::name(kernels::isa::detected()), ")\n\n");
  if (arguments.by == "step") {
    text += head("step") + format("%-28s %-16s %s\n", "kernel", "op", "origins, outputs");
    for (const StepTime& row : report.rows) {
      const std::string step = report.parts > 1 ? cat(row.part, ":", row.step) : cat(row.step);
      const std::string_view op = schema::name(row.op.id());
      text += format("%7s ", step.c_str()) + text_of(Figures(row, m), report) +
              format("  %-28.*s %-16.*s %s  %s", int(row.kernel.size()), row.kernel.data(), int(op.size()), op.data(),
                     origins_of(row.origins).c_str(), row.outputs.c_str());
      text += row.calls == 1 ? "\n" : format("  %.4g times\n", row.calls);
      if (arguments.dispatch) text += refusals_text(row);
    }
  } else {
    text += head("steps") + arguments.by + "\n";
    for (const Group& group : groups_of(report, arguments))
      text += cat(format("%7zu ", group.figures.steps), text_of(group.figures, report), "  ", group.name, "\n");
  }
  text += format("%7zu ", report.total.steps) + text_of(report.total, report) + "  in all\n\n";
  return text + format(
                    "%10.4f ms  the steps, each the median of %zu runs\n"
                    "%10.4f ms  a run whose steps are not timed (p50)\n"
                    "%10.4f ms  outside the steps, less what timing them costs: %.2f us for each\n",
                    report.total.seconds * 1e3, report.runs, report.p50 * 1e3, report.outside() * 1e3,
                    ratio(report.outside(), double(report.total.steps)) * 1e6);
}

Json to_json(const Figures& f, const Report& report) {
  const Machine& m = report.machine;
  return {{"ms", f.seconds * 1e3},
          {"share", ratio(f.seconds, report.total.seconds)},
          {"flops", f.flops},
          {"bytes", f.bytes},
          {"gflops_per_s", ratio(f.flops, f.seconds) * 1e-9},
          {"share_of_peak", ratio(ratio(f.flops, f.seconds), m.flops)},
          {"gb_per_s", ratio(f.bytes, f.seconds) * 1e-9},
          {"share_of_bandwidth", ratio(ratio(f.bytes, f.seconds), m.memory)},
          {"share_of_roofline", ratio(f.least, f.seconds)}};
}

Json to_json(const Report& report, const ProfileArguments& arguments) {
  const Machine& m = report.machine;
  Json json{{"model", arguments.model},
            {"device", arguments.device.name},
            {"precision", report.precision},
            {"threads", report.threads},
            {"isa", kernels::isa::name(kernels::isa::detected())},
            {"peak_gflops_per_s", m.flops * 1e-9},
            {"memory_gb_per_s", m.memory * 1e-9},
            {"cache_gb_per_s", m.cache * 1e-9},
            {"runs", report.runs},
            {"steps_ms", report.total.seconds * 1e3},
            {"p50_ms", report.p50 * 1e3},
            {"outside_steps_ms", report.outside() * 1e3}};
  json["steps"] = Json::array();
  for (const StepTime& row : report.rows) {
    Json step{
        {"part", row.part},       {"step", row.step},       {"kernel", row.kernel}, {"op", schema::name(row.op.id())},
        {"origins", row.origins}, {"outputs", row.outputs}, {"calls", row.calls}};
    step.update(to_json(Figures(row, m), report));
    if (arguments.dispatch) step["refusals"] = Json::array();
    for (const kernels::Refusal& r : row.refusals)
      step["refusals"].push_back({{"kernel", r.name}, {"reason", r.reason}});
    json["steps"].push_back(std::move(step));
  }
  if (arguments.by == "step") return json;
  Json& list = json["by_" + arguments.by] = Json::array();
  for (const Group& group : groups_of(report, arguments)) {
    Json entry{{"name", group.name}, {"steps", group.figures.steps}};
    entry.update(to_json(group.figures, report));
    list.push_back(std::move(entry));
  }
  return json;
}

// Runs whose steps are timed take turns with runs whose steps are not, so that both see the same machine.
void measure(Session& session, const ProfileArguments& arguments, Profiler& profiler, Report& report) {
  const double warmup = 1e3 * parse_seconds(arguments.warmup, "--warmup"),
               duration = 1e3 * parse_seconds(arguments.duration, "--duration");
  Progress progress("profiling");
  const auto start = Clock::now();
  double elapsed = 0;
  const auto tick = [&] {
    elapsed = milliseconds(Clock::now() - start);
    progress.update(arguments.model, int64_t(elapsed), int64_t(warmup + duration));
  };
  do session.run(), tick();
  while (elapsed < warmup);
  std::vector<double> plain;
  const double begin = elapsed;
  do {
    profiler.run(session);
    const auto before = Clock::now();
    session.run();
    plain.push_back(1e-3 * milliseconds(Clock::now() - before));
    tick();
  } while (elapsed - begin < duration);
  report.p50 = median(std::move(plain));
  report.runs = profiler.runs();
  report.rows = profiler.rows();
  for (const StepTime& row : report.rows) {
    report.parts = std::max(report.parts, row.part + 1);
    report.total += Figures(row, report.machine);
  }
  if (arguments.sort == "time") std::ranges::stable_sort(report.rows, std::greater{}, &StepTime::seconds);
}

void profile(ProfileArguments arguments) {
  use_device(arguments.device, arguments.compile);
  parse_seconds(arguments.warmup, "--warmup");
  parse_seconds(arguments.duration, "--duration");
  if (arguments.dispatch && arguments.by != "step")
    throw UsageError("--dispatch explains steps: it goes with --by step");
  const Shapes shapes = parse_shapes(arguments.shapes, "--shape");
  if (!arguments.trace.empty()) {
    const auto status = kernels::os::check_writable(arguments.trace);
    require(status.ok(), Code::io, status.message);
  }
  Graph graph = load_graph(arguments.model).graph;
  kernels::ThreadPool pool(arguments.threads ? arguments.threads : kernels::os::available_cores());
  CompileOptions compile = arguments.compile;
  compile.keep_refusals = arguments.dispatch;
  const auto model = std::make_shared<const Model>(std::move(graph), std::move(compile));
  const Values values = synthetic_inputs(model->graph(), shapes, arguments.inputs);
  Session session(model, to_repeat(model->graph(), pool));
  set_inputs(session, values);
  session.prepare();
  Report report{.threads = pool.size(),
                .machine = Machine(pool),
                .rows = {},
                .total = {},
                .precision = precision_text(model->plans()->options())};
  Profiler profiler;
  measure(session, arguments, profiler, report);
  if (std::ranges::any_of(session.frame().plans(), &Plan::bounded))
    note("operations and bytes of extents that vary are those of their bounds");
  if (!arguments.trace.empty()) {
    const std::string text = chrome_trace(profiler, arguments.model);
    const auto status = kernels::os::write_file(arguments.trace, std::as_bytes(std::span(text)));
    require(status.ok(), Code::io, status.message);
    note("wrote " + arguments.trace + "; chrome://tracing and ui.perfetto.dev show it");
  }
  if (arguments.json) print_json(to_json(report, arguments));
  else print(report_text(report, arguments));
}
}  // namespace

void add_profile(CLI::App& command) {
  const auto arguments = std::make_shared<ProfileArguments>();
  Verb verb(command, "profile", "Show where the time of a model goes, beside what this machine could do");
  verb.model(arguments->model);
  verb.number("-t,--threads", arguments->threads, "Threads to use; by default, as many as there are cores", 1,
              max_threads);
  verb.texts("--shape", arguments->shapes, "The shape of an input that the model leaves open", "NAME=1x3x224x224");
  verb.texts("-i,--input", arguments->inputs, "The value of an input, where a made-up one does not do", "NAME=FILE");
  verb.text("--warmup", arguments->warmup, "Time spent running before anything counts", "TIME");
  verb.text("--duration", arguments->duration, "Time spent measuring", "TIME");
  verb.choice("--by", arguments->by, "What a line is: one step, or all of a kernel or an op", {"step", "kernel", "op"});
  verb.choice("--sort", arguments->sort, "Lines in the order of the plan, or the longest first, as kernels and ops are",
              {"order", "time"});
  verb.text("--trace", arguments->trace, "Write the fastest run for chrome://tracing or ui.perfetto.dev", "FILE");
  verb.flag("--dispatch", arguments->dispatch, "Under each step, why the other kernels of its family do not serve it");
  verb.device(arguments->device);
  verb.compile_options(arguments->compile);
  verb.json(arguments->json);
  verb.examples(
      "  inlay profile m.inlay -t 1 --sort time\n"
      "  inlay profile m.onnx --by kernel --shape input=1x3x224x224\n"
      "  inlay profile m.inlay --dispatch --trace t.json\n\n"
      "A step's time is its median over all runs, without the steps inside of it; operations and bytes are those of\n"
      "its op, not of the kernel. %peak is of a loop of multiply-adds on registers, %bw of a read of memory, both\n"
      "measured here first. %roof is the time that the slower of the two needs at best, as a part of the time it\n"
      "took. Winograd convolutions do fewer operations than are counted (those of a direct sum), and what a step\n"
      "finds in a cache is no read of memory: both may be above 100.");
  verb.run([arguments] { profile(*arguments); });
}
}  // namespace tools
