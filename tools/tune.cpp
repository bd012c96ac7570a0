// inlay tune: measures what else could run each step of a model, and writes what is faster to a cache.
#include <algorithm>
#include "kernels/os.h"
#include "kernels/threads.h"
#include "tools/inputs.h"
#include "tools/json.h"
#include "tools/plans.h"
#include "tools/profiler.h"
#include "tools/progress.h"
#include "tools/verbs.h"

namespace tools {
namespace {
struct TuneArguments {
  std::string model, cache, duration = "1s";
  std::vector<std::string> shapes, inputs;
  int threads = 0;
  CompileOptions compile;
  bool json = false;
};

// What is measured in pairs counts as faster where three of four pairs are, by this much.
constexpr double step_gain = 0.97, model_gain = 0.98;
constexpr size_t least_pairs = 9, most_pairs = 101;
double three_of_four(std::vector<double> ratios) {
  std::ranges::sort(ratios);
  return ratios.at(ratios.size() * 3 / 4);
}

using StepKey = std::pair<uint64_t, uint64_t>;  // of a step, as Tuning has it
StepKey pair_of(const Tuning::Key& key) { return {key.low, key.high}; }
Tuning::Key key_of(const StepKey& key) { return {key.first, key.second}; }
using Times = std::map<StepKey, double>;  // seconds of a run, by what its steps compute

struct Measured {
  std::string kernel;
  std::vector<TunedChoice> candidates;
};

// All that may serve a step instead: rows of the family's table that accept it, other tiles, one thread or all.
std::vector<TunedChoice> candidates_of(const Plan& plan, size_t index, int threads) {
  const Step& step = plan.steps[index];
  const std::string kernel(step.kernel);
  std::vector<TunedChoice> candidates;
  if (kernel == "reference") return candidates;
  for (const kernels::Refusal& r : plan.refusals[index])
    if (r.reason.starts_with(kernels::costs_more) && !r.name.ends_with("_scalar")) candidates.push_back({std::string(r.name)});
  constexpr int least_panel = 2, most_panel = 4;
  if (kernel.starts_with("conv_f32") || kernel.starts_with("gemm_f32"))
    for (int panel = least_panel; panel <= most_panel; ++panel) candidates.push_back({kernel, panel});
  if (threads > 1) candidates.push_back({kernel, 0, step.threads == 1 ? TunedChoice::all : TunedChoice::one});
  return candidates;
}

class Tuner {
 public:
  Tuner(const TuneArguments& arguments, Graph graph, Tuning cache)
      : arguments_(arguments),
        cache_(std::move(cache)),
        graph_(std::move(graph)),
        values_(synthetic_inputs(graph_, parse_shapes(arguments.shapes, "--shape"), arguments.inputs)),
        pool_(arguments.threads ? arguments.threads : kernels::ThreadPool::process().size()),
        least_seconds_(parse_seconds(arguments.duration, "--duration")) {}

  void run() {
    CompileOptions explained = arguments_.compile;
    explained.keep_refusals = true;
    const auto base = open(explained);
    for (const Plan* plan : make_plans(*base))
      for (size_t s = 0; s < plan->steps.size(); ++s)
        if (Measured& step = steps_[pair_of(plan->keys[s])]; step.kernel.empty()) step = {std::string(plan->steps[s].kernel), candidates_of(*plan, s, pool_.size())};
    measure_candidates(*base);
    choose(*base);
    for (const auto& [key, step] : steps_) {
      if (const TunedChoice* choice = chosen_.find(key_of(key))) cache_.use(key_of(key), *choice), ++changed_;
      else cache_.use_default(key_of(key));
    }
    cache_.save(arguments_.cache);
  }

  Json json() const {
    return {{"model", arguments_.model}, {"cache", arguments_.cache}, {"threads", pool_.size()}, {"steps", steps_.size()},
            {"measured", measured_},     {"changed", changed_},       {"p50_ms", before_ * 1e3}, {"tuned_p50_ms", after_ * 1e3}, {"gain", before_ / after_}};
  }
  std::string text() const {
    const std::string what = cat(arguments_.model, ", ", pool_.size(), pool_.size() == 1 ? " thread: " : " threads: ", measured_, " candidates measured");
    if (!changed_) return what + format("; nothing is faster than the default beyond noise (%.3f ms)\n", before_ * 1e3);
    return what + format("; %zu of %zu kinds of steps changed: %.3f ms instead of %.3f, %.2f times as fast\n", changed_, steps_.size(), after_ * 1e3,
                         before_ * 1e3, before_ / after_);
  }

 private:
  std::unique_ptr<Session> open(const CompileOptions& options) {
    auto session = std::make_unique<Session>(std::make_shared<const Model>(graph_, options), to_repeat(graph_, pool_));
    set_inputs(*session, values_);
    session->run();
    return session;
  }
  std::unique_ptr<Session> open(const Tuning& tuning) {
    CompileOptions options = arguments_.compile;
    options.tuned = std::make_shared<const Tuning>(tuning);
    return open(options);
  }

  static Times times_of(Session& session) {
    Times times;
    session.set_observer([&](const Plan& plan, size_t step, double seconds, const RunContext&) { times[pair_of(plan.keys[step])] += seconds; });
    session.run();
    session.set_observer({});
    return times;
  }
  static double time_of(Session& session) {
    const auto start = Clock::now();
    session.run();
    return std::chrono::duration<double>(Clock::now() - start).count();
  }

  // Calls f, which runs each of a group once, as often as the time allows.
  template <class F> void repeat(const F& f) const {
    const auto start = Clock::now();
    for (size_t n = 0; n < most_pairs && (n < least_pairs || std::chrono::duration<double>(Clock::now() - start).count() < least_seconds_); ++n) f(n);
  }

  // The n-th candidate of every step at once, beside the default, until all are measured; the cache is saved after each.
  void measure_candidates(Session& base) {
    Progress progress("tuning");
    size_t most = 0;
    for (const auto& [key, step] : steps_) most = std::max(most, step.candidates.size());
    for (size_t n = 0; n < most; ++n) {
      progress.update(cat("candidates of ", steps_.size(), " kinds of steps"), int64_t(n), int64_t(most));
      Tuning variant;
      std::map<StepKey, std::vector<double>> ratios;
      for (const auto& [key, step] : steps_)
        if (n < step.candidates.size() && !cache_.measured(key_of(key), step.candidates[n])) variant.use(key_of(key), step.candidates[n]), ratios[key];
      if (ratios.empty()) continue;
      const auto session = open(variant);
      repeat([&](size_t turn) {
        Times of[2];
        for (size_t i : {turn % 2, 1 - turn % 2}) of[i] = times_of(i ? *session : base);
        for (auto& [key, list] : ratios)
          if (of[0][key] > 0) list.push_back(of[1][key] / of[0][key]);
      });
      for (const auto& [key, list] : ratios)
        if (!list.empty()) cache_.measure(key_of(key), steps_[key].candidates[n], three_of_four(list)), ++measured_;
      cache_.save(arguments_.cache);
    }
  }

  // Steps were measured one by one; what they are worth together decides.
  void choose(Session& base) {
    Tuning kernels, both;
    for (const auto& [key, step] : steps_) {
      std::pair<double, TunedChoice> row{step_gain, {}}, threads{step_gain, {}};
      for (const TunedChoice& candidate : step.candidates)
        if (const auto ratio = cache_.measured(key_of(key), candidate))
          if (auto& best = candidate.threads == TunedChoice::as_planned ? row : threads; *ratio < best.first) best = {*ratio, candidate};
      TunedChoice choice = row.second;
      if (!choice.kernel.empty()) kernels.use(key_of(key), choice);
      if (threads.second.kernel.empty()) {
        if (!choice.kernel.empty()) both.use(key_of(key), choice);
        continue;
      }
      if (choice.kernel.empty()) choice = threads.second;
      choice.threads = threads.second.threads;
      both.use(key_of(key), choice);
    }
    std::vector<const Tuning*> ways;
    if (kernels.used()) ways.push_back(&kernels);
    if (both.used() && both.text() != kernels.text()) ways.push_back(&both);
    std::vector<std::unique_ptr<Session>> sessions;
    for (const Tuning* way : ways) sessions.push_back(open(*way));
    std::vector<double> defaults;
    std::vector<std::vector<double>> times(ways.size()), ratios(ways.size());
    repeat([&](size_t turn) {
      const size_t count = ways.size() + 1;
      std::vector<double> of(count);
      for (size_t i = 0; i < count; ++i) {
        const size_t who = (turn + i) % count;
        of[who] = time_of(who ? *sessions[who - 1] : base);
      }
      defaults.push_back(of[0]);
      for (size_t w = 0; w < ways.size(); ++w) times[w].push_back(of[w + 1]), ratios[w].push_back(of[w + 1] / of[0]);
    });
    before_ = after_ = median(defaults);
    double best = model_gain;
    for (size_t w = 0; w < ways.size(); ++w)
      if (const double ratio = three_of_four(ratios[w]); ratio < best) best = ratio, chosen_ = *ways[w], after_ = before_ * median(ratios[w]);
  }

  const TuneArguments& arguments_;
  Tuning cache_, chosen_;
  const Graph graph_;
  const Values values_;
  kernels::ThreadPool pool_;
  const double least_seconds_;
  std::map<StepKey, Measured> steps_;
  size_t measured_ = 0, changed_ = 0;
  double before_ = 0, after_ = 0;  // seconds of a run
};

void tune(const TuneArguments& arguments) {
  const auto status = kernels::os::check_writable(arguments.cache);
  require(status.ok(), Code::io, status.message);
  Tuning cache;
  if (kernels::os::is_file(arguments.cache)) cache = *open_tuning(arguments.cache);
  Tuner tuner(arguments, load_graph(arguments.model).graph, cache.set_aside().empty() ? std::move(cache) : Tuning());
  tuner.run();
  arguments.json ? print_json(tuner.json()) : print(tuner.text());
}
}  // namespace

void add_tune(CLI::App& command) {
  const auto arguments = std::make_shared<TuneArguments>();
  Verb verb(command, "tune", "Measure which kernels, tiles and threads run a model fastest here, and keep that in a cache");
  verb.model(arguments->model);
  verb.text("--cache", arguments->cache, "The cache: written as measuring goes on, and continued where it is there already", "FILE", true);
  verb.number("-t,--threads", arguments->threads, "Threads; by default, as many as there are cores", 1, max_threads);
  verb.texts("--shape", arguments->shapes, "The shape of an input that the model leaves open", "NAME=1x3x224x224");
  verb.texts("-i,--input", arguments->inputs, "The value of an input, where a made-up one does not do", "NAME=FILE");
  verb.text("--duration", arguments->duration, "Time for each group of candidates, one of every step", "TIME");
  verb.flag("--strict", arguments->compile.strict, "For models that are run with --strict");
  verb.json(arguments->json);
  verb.examples("  inlay tune m.inlay --cache here.tune\n  inlay bench m.inlay --tune-cache here.tune");
  verb.run([arguments] { tune(*arguments); });
}
}  // namespace tools
