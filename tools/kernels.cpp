// inlay kernels: the tables that kernels are chosen from, and the time of each kernel on one problem.
#include <algorithm>
#include "kernels/peak.h"
#include "tools/json.h"
#include "tools/problem.h"
#include "tools/profiler.h"
#include "tools/verbs.h"

namespace tools {
namespace {
struct KernelsArguments {
  std::string family, duration = "200ms";
  std::vector<std::string> bench;
  int threads = 0;
  bool json = false;
};

struct KernelResult {
  KernelRow row;
  std::string refusal;
  size_t runs = 0;
  double seconds = 0, flops = 0, bytes = 0, peak = 0;
  double flops_per_second() const { return flops / seconds; }
  double share_of_peak() const { return peak > 0 ? flops_per_second() / peak : 0; }
};

std::vector<KernelRow> rows_of(const std::string& family) {
  std::vector<KernelRow> rows;
  std::string families;
  for (const KernelRow& row : kernel_rows()) {
    if (family.empty() || row.family == family) rows.push_back(row);
    if (!families.ends_with(row.family)) families += cat(families.empty() ? "" : ", ", row.family);
  }
  if (rows.empty()) throw UsageError(cat("there is no family '", family, "'; there are: ", families));
  return rows;
}

void list(const std::vector<KernelRow>& rows, bool as_json) {
  if (as_json) {
    Json json = Json::array();
    for (const KernelRow& row : rows) {
      const std::string why_not = unavailable(row);
      json.push_back({{"family", row.family},
                      {"name", row.name},
                      {"isa", kernels::isa::name(row.isa)},
                      {"tile", row.tile},
                      {"available", why_not.empty()},
                      {"reason", why_not.empty() ? Json(nullptr) : Json(why_not)}});
    }
    return print_json(json);
  }
  std::string text = format("%-14s %-28s %-12s %5s  %s\n", "family", "kernel", "isa", "tile", "runs here");
  for (const KernelRow& row : rows) {
    const std::string why_not = unavailable(row);
    text += format("%-14.*s %-28.*s %-12s %5d  %s\n", int(row.family.size()), row.family.data(), int(row.name.size()),
                   row.name.data(), std::string(kernels::isa::name(row.isa)).c_str(), row.tile,
                   why_not.empty() ? "yes" : ("no: " + why_not).c_str());
  }
  print(text);
}

KernelResult time(const KernelRow& row, const Problem& problem, kernels::ThreadPool& pool, double seconds) {
  KernelResult result{row, {}};
  const Ready ready = problem.prepare(row.name);
  result.refusal = ready.refusal;
  if (!ready.run) return result;
  // A recurrent net is made of the other families' kernels.
  const auto isa = row.family == "rnn" ? kernels::isa::detected() : row.isa;
  result.flops = ready.flops, result.bytes = ready.bytes;
  const bool halves = row.name.find("_f16_") != row.name.npos;
  result.peak = kernels::peak_flops(isa, pool, kernels::peak_seconds, halves ? kernels::Precision::f16 : kernels::Precision::f32);
  const auto timed = [&](int times) {
    const auto start = Clock::now();
    for (int i = 0; i < times; ++i) ready.run(pool);
    return 1e-3 * milliseconds(Clock::now() - start) / times;
  };
  timed(1);
  // As many at a time as it takes for the clock not to matter.
  const int times = int(std::clamp(20e-6 / std::max(timed(1), 1e-9), 1.0, 1000.0));
  std::vector<double> runs;
  for (const auto begin = Clock::now(); runs.empty() || milliseconds(Clock::now() - begin) < 1e3 * seconds;)
    runs.push_back(timed(times));
  result.runs = runs.size() * size_t(times);
  result.seconds = median(std::move(runs));
  return result;
}

Json to_json(const KernelResult& r) {
  Json json{{"name", r.row.name}, {"isa", kernels::isa::name(r.row.isa)}, {"tile", r.row.tile}};
  json["refusal"] = r.refusal.empty() ? Json(nullptr) : Json(r.refusal);
  if (!r.refusal.empty()) return json;
  json.update({{"runs", r.runs},
               {"ms", r.seconds * 1e3},
               {"flops", r.flops},
               {"bytes", r.bytes},
               {"gflops_per_s", r.flops_per_second() * 1e-9},
               {"share_of_peak", r.share_of_peak()},
               {"gb_per_s", r.bytes / r.seconds * 1e-9}});
  return json;
}

std::string result_text(const KernelResult& r, bool selected) {
  const std::string name = format("%-28.*s ", int(r.row.name.size()), r.row.name.data());
  if (!r.refusal.empty()) return name + "no: " + r.refusal + "\n";
  return name + format("%10.4f %9.2f %6.1f %8.2f %8zu%s\n", r.seconds * 1e3, r.flops_per_second() * 1e-9,
                       100 * r.share_of_peak(), r.bytes / r.seconds * 1e-9, r.runs, selected ? "  selected" : "");
}

void bench(const KernelsArguments& arguments, const std::vector<KernelRow>& rows) {
  const double seconds = parse_seconds(arguments.duration, "--duration");
  const std::string& text = arguments.bench.front();
  Problem problem;
  try {
    problem = parse_problem(arguments.family, text);
  } catch (const ProblemError& e) {
    throw UsageError(cat("--bench ", text, ": ", e.what(), "; see: inlay kernels -h"));
  }
  kernels::ThreadPool pool(std::max(1, arguments.threads));
  Json list = Json::array();
  if (!arguments.json)
    print(format("%-28s %10s %9s %6s %8s %8s\n", arguments.family.c_str(), "ms", "GFLOP/s", "%peak", "GB/s", "runs"));
  for (const KernelRow& row : rows) {
    const KernelResult result = time(row, problem, pool, seconds);
    if (arguments.json) list.push_back(to_json(result));
    else print(result_text(result, row.name == problem.selected));
    std::fflush(stdout);
  }
  if (!arguments.json) return;
  print_json({{"family", arguments.family},
              {"bench", text},
              {"threads", pool.size()},
              {"selected", problem.selected.empty() ? Json(nullptr) : Json(problem.selected)},
              {"kernels", list}});
}

void run(const KernelsArguments& arguments) {
  if (arguments.bench.size() > 1) throw UsageError("--bench: takes one problem at a time");
  if (!arguments.bench.empty() && arguments.family.empty())
    throw UsageError("--bench: say which family it is of: inlay kernels FAMILY --bench SPEC");
  const auto rows = rows_of(arguments.family);
  if (arguments.bench.empty()) list(rows, arguments.json);
  else bench(arguments, rows);
}
}  // namespace

void add_kernels(CLI::App& command) {
  const auto arguments = std::make_shared<KernelsArguments>();
  Verb verb(command, "kernels", "List the kernels that plans choose from, or time them on one problem");
  verb.argument("family", arguments->family, "One family of kernels, instead of all");
  verb.texts("--bench", arguments->bench, "Time every kernel of the family that takes this problem", "SPEC");
  verb.number("-t,--threads", arguments->threads, "With --bench: threads to use; 1 unless given", 1, max_threads);
  verb.text("--duration", arguments->duration, "With --bench: time spent measuring each kernel", "TIME");
  verb.json(arguments->json);
  std::string help = "  inlay kernels\n";
  for (const ProblemForm& form : problem_forms())
    help += cat("  inlay kernels ", form.family, " --bench ", form.example, "\n");
  help += "\nThe fields of SPEC, by family:\n";
  for (const ProblemForm& form : problem_forms())
    help += format("  %-10s", std::string(form.family).c_str()) + std::string(form.fields) + "\n";
  help +=
      "\n%peak is of a loop of multiply-adds on registers with the kernel's instruction set, measured just before,\n"
      "of halves where the kernel multiplies those.\n"
      "Winograd convolutions do fewer operations than are counted (those of a direct sum) and may exceed 100.";
  verb.examples(help.c_str());
  verb.run([arguments] { run(*arguments); });
}
}  // namespace tools
