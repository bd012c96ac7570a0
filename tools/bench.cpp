// inlay bench: the latency of a model, by number of threads.
#include <algorithm>
#include <utility>
#include "kernels/os.h"
#include "kernels/threads.h"
#include "tools/inputs.h"
#include "tools/json.h"
#include "tools/plans.h"
#include "tools/progress.h"
#include "tools/verbs.h"

namespace tools {
namespace {
struct BenchArguments {
  DeviceArguments device;
  std::string model, warmup = "200ms", duration = "3s";
  std::vector<std::string> shapes, inputs;
  std::vector<int> threads;
  CompileOptions compile;
  bool json = false;
};

struct BenchResult {
  int threads = 0;
  std::vector<double> runs;  // milliseconds, sorted
  double load = 0, compile = 0, first_run = 0;
  size_t peak_rss = 0;
  Memory memory;
  std::string precision;
  double percentile(double p) const { return runs[size_t(p * double(runs.size() - 1) + 0.5)]; }
};

template <class F> double timed(F&& f) {
  const auto start = Clock::now();
  f();
  return milliseconds(Clock::now() - start);
}

std::vector<double> measure(Session& session, double warmup_ms, double duration_ms, const std::string& what) {
  Progress progress("measuring");
  const auto start = Clock::now();
  double elapsed = 0;
  const auto tick = [&] {
    progress.update(what, int64_t(elapsed = milliseconds(Clock::now() - start)), int64_t(warmup_ms + duration_ms));
  };
  for (; elapsed < warmup_ms; tick()) session.run();
  std::vector<double> runs;
  const double begin = elapsed;
  do {
    runs.push_back(timed([&] { session.run(); }));
    tick();
  } while (elapsed - begin < duration_ms);
  std::ranges::sort(runs);
  return runs;
}

BenchResult bench(const BenchArguments& arguments, const Shapes& shapes, int threads) {
  BenchResult result{.threads = threads, .runs = {}, .memory = {}, .precision = {}};
  kernels::ThreadPool pool(threads);
  std::shared_ptr<const Model> model;
  result.load = timed([&] { model = std::make_shared<const Model>(load_graph(arguments.model).graph, arguments.compile); });
  result.precision = precision_text(model->plans()->options());
  const Values values = synthetic_inputs(model->graph(), shapes, arguments.inputs);
  Session session(model, to_repeat(model->graph(), pool));
  set_inputs(session, values);
  result.compile = timed([&] { session.prepare(); });
  result.first_run = timed([&] { session.run(); });
  result.runs = measure(session, 1e3 * parse_seconds(arguments.warmup, "--warmup"),
                        1e3 * parse_seconds(arguments.duration, "--duration"),
                        cat(threads, threads == 1 ? " thread" : " threads"));
  result.peak_rss = kernels::os::peak_rss();
  result.memory = memory_of(session.frame());
  return result;
}

Json to_json(const BenchArguments& arguments, const BenchResult& r) {
  return {{"model", arguments.model},
          {"device", arguments.device.name},
          {"precision", r.precision},
          {"threads", r.threads},
          {"runs", r.runs.size()},
          {"p50_ms", r.percentile(0.5)},
          {"p90_ms", r.percentile(0.9)},
          {"min_ms", r.runs.front()},
          {"load_ms", r.load},
          {"compile_ms", r.compile},
          {"first_run_ms", r.first_run},
          {"peak_rss_mb", double(r.peak_rss) / 1e6},
          {"arena_bytes", r.memory.arena},
          {"arena_lower_bound_bytes", r.memory.lower_bound}};
}

std::string result_text(const BenchResult& r) {
  return format("%7d %8zu %10.3f %10.3f %10.3f %10.1f %10.1f %10.2f %10.1f %12lld\n", r.threads, r.runs.size(),
                r.percentile(0.5), r.percentile(0.9), r.runs.front(), r.load, r.compile, r.first_run,
                double(r.peak_rss) / 1e6, static_cast<long long>(r.memory.arena));
}

std::string head() {
  return format("%7s %8s %10s %10s %10s %10s %10s %10s %10s %12s\n", "threads", "runs", "p50 ms", "p90 ms", "min ms",
                "load ms", "compile ms", "first ms", "peak MB", "arena bytes");
}

void run(BenchArguments arguments) {
  use_device(arguments.device, arguments.compile);
  parse_seconds(arguments.warmup, "--warmup");
  parse_seconds(arguments.duration, "--duration");
  const Shapes shapes = parse_shapes(arguments.shapes, "--shape");
  const auto threads =
      arguments.threads.empty() ? std::vector<int>{kernels::ThreadPool::process().size()} : arguments.threads;
  Json list = Json::array();
  bool headed = false;
  for (int n : threads) {
    const BenchResult result = bench(arguments, shapes, n);
    if (arguments.json) {
      list.push_back(to_json(arguments, result));
      continue;
    }
    if (!std::exchange(headed, true)) print(head());
    print(result_text(result));
    std::fflush(stdout);
  }
  if (arguments.json) print_json(list);
}
}  // namespace

void add_bench(CLI::App& command) {
  const auto arguments = std::make_shared<BenchArguments>();
  Verb verb(command, "bench", "Measure the latency of a model, on made-up inputs");
  verb.model(arguments->model);
  verb.numbers("-t,--threads", arguments->threads,
               "Numbers of threads, each measured on its own; by default, as many as there are cores", 1, max_threads);
  verb.texts("--shape", arguments->shapes, "The shape of an input that the model leaves open", "NAME=1x3x224x224");
  verb.texts("-i,--input", arguments->inputs, "The value of an input, where a made-up one does not do", "NAME=FILE");
  verb.text("--warmup", arguments->warmup, "Time spent running before anything counts", "TIME");
  verb.text("--duration", arguments->duration, "Time spent measuring", "TIME");
  verb.device(arguments->device);
  verb.compile_options(arguments->compile);
  verb.json(arguments->json);
  verb.examples("  inlay bench m.inlay -t 1,2\n  inlay bench m.onnx --shape input=1x3x224x224 --duration 10s --json");
  verb.run([arguments] { run(*arguments); });
}
}  // namespace tools
