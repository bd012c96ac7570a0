// stress_dynamic [--runs N] [--seed N] [FAMILY…]: a model of each family of ops, run N times by one session, every time
// with other extents. Each result is compared with the references, node by node and without any plan. The plans that
// are kept stay within what PlanCache says, and memory, once the caches have filled up, does not grow.
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <malloc.h>
#include <unistd.h>
#include "engine/interface.h"
#include "engine/session.h"
#include "kernels/threads.h"
#include "tests/engine/evaluate.h"
#include "tests/stress/dynamic_models.h"

namespace stress {
namespace {
constexpr double relative = 2e-4;         // of the largest magnitude of an output, or 1
constexpr int64_t most_growth = 4 << 20;  // bytes, over the second half of the runs

// What the process holds, without what the allocator keeps for later.
int64_t resident_bytes() {
  ::malloc_trim(0);
  std::ifstream file("/proc/self/statm");
  int64_t total = 0, resident = 0;
  file >> total >> resident;
  return resident * ::sysconf(_SC_PAGESIZE);
}

std::vector<Object> inputs_of(const Family& family, const Graph& graph, const Extents& extents, Random& random) {
  std::vector<Object> inputs(graph.inputs.size());
  for (size_t k = 0; k < inputs.size(); ++k) {
    const Value& value = graph[graph.inputs[k]];
    Shape shape;
    for (const Dim& d : value.type.dims) shape.push_back(d.known() ? d.value() : extents.at(d.name()));
    const View view = inputs[k].set_tensor(value.type.dtype, shape);
    if (family.fill && family.fill(value.name, extents, random, view)) continue;
    for (int64_t i = 0; i < view.elements(); ++i) {
      if (schema::is_real(view.dtype)) store(view, i, double(between(random, -1000, 1000)) / 1000);
      else store(view, i, Int(between(random, 0, view.dtype == DType::boolean ? 1 : 4)));
    }
  }
  return inputs;
}

// Empty, or how they differ.
std::string difference(const ConstView& got, const ConstView& want) {
  if (want.object && want.object->kind != ValueKind::tensor) {
    if (!got.object || got.object->items.size() != want.object->items.size()) return "has another number of items";
    for (size_t i = 0; i < want.object->items.size(); ++i)
      if (auto text = difference(got.object->items[i].view(), want.object->items[i].view()); !text.empty()) return text;
    return "";
  }
  if (got.dtype != want.dtype || !std::ranges::equal(got.shape, want.shape))
    return cat("is ", name(got.dtype), to_text(got.shape), " instead of ", name(want.dtype), to_text(want.shape));
  double largest = 1;
  for (int64_t i = 0; i < want.elements(); ++i) largest = std::max(largest, std::fabs(load<double>(want, i)));
  for (int64_t i = 0; i < want.elements(); ++i) {
    const double g = load<double>(got, i), w = load<double>(want, i);
    const bool same = schema::is_real(want.dtype) ? std::fabs(g - w) <= relative * largest : g == w;
    if (!same) return cat("of shape ", to_text(want.shape), " has ", g, " instead of ", w, " at ", i);
  }
  return "";
}

struct Result {
  int wrong = 0, runs = 0;
  size_t kept = 0;     // plans, at most
  int64_t growth = 0;  // bytes
  double seconds = 0;
};

Result stress(const Family& family, int runs, unsigned seed, bool bounded) {
  using Clock = std::chrono::steady_clock;
  static kernels::ThreadPool pool(2);
  Result result;
  const Graph graph = parse_graph(family.text);
  Graph planned = graph;
  for (const Symbol& s : family.symbols)
    if (bounded) bound_symbol(planned, s.name, s.high);
  const auto model = std::make_shared<const Model>(std::move(planned));
  Session session(model, {.threads = 2, .pool = &pool});
  Random random(seed);
  Extents extents;
  int64_t halfway = 0;
  for (int run = 0; run < runs && result.wrong < 5; ++run) {
    Extents next;
    do
      for (const Symbol& s : family.symbols) next[s.name] = between(random, s.low, s.high);
    while (next == extents);
    extents = next;
    const std::vector<Object> inputs = inputs_of(family, graph, extents, random);
    std::vector<ConstView> views;
    for (const Object& x : inputs) views.push_back(x.view());
    std::string text;
    try {
      for (size_t k = 0; k < views.size(); ++k) session.set_input(k, views[k]);
      const auto start = Clock::now();
      session.run();
      result.seconds += std::chrono::duration<double>(Clock::now() - start).count();
      const std::vector<Object> want = engine::test::evaluate(graph, views);
      for (size_t k = 0; k < want.size() && text.empty(); ++k)
        if (text = difference(session.output(k), want[k].view()); !text.empty()) text = cat("output ", k, ' ', text);
    } catch (const Error& e) {
      text = e.what();
    }
    if (!text.empty()) {
      std::string shapes;
      for (const ConstView& x : views) shapes += to_text(x.shape);
      std::printf("%s%s, run %d with inputs %s: %s\n", family.name, bounded ? ", bounded" : "", run, shapes.c_str(),
                  text.c_str()),
          ++result.wrong;
    }
    ++result.runs;
    result.kept = std::max(result.kept, model->plans()->kept());
    if (run == runs / 2) halfway = resident_bytes();
  }
  result.growth = resident_bytes() - halfway;
  return result;
}
}  // namespace
}  // namespace stress

int main(int argc, char** argv) {
  using namespace stress;
  int runs = 1000;
  unsigned seed = 1;
  std::vector<std::string> only;
  for (int i = 1; i < argc; ++i) {
    if (!std::strcmp(argv[i], "--runs") && i + 1 < argc) runs = std::max(1, std::atoi(argv[++i]));
    else if (!std::strcmp(argv[i], "--seed") && i + 1 < argc) seed = unsigned(std::atoi(argv[++i]));
    else only.emplace_back(argv[i]);
  }
  std::printf("seed %u\n%-20s %-8s %6s %6s %6s %6s %10s %8s\n", seed, "family", "extents", "runs", "wrong", "plans",
              "most", "growth KiB", "s");
  int failures = 0, count = 0;
  for (const Family& family : families()) {
    if (!only.empty() && std::ranges::find(only, family.name) == only.end()) continue;
    for (const bool bounded : {false, true}) {
      const Result r = stress::stress(family, bounded ? std::max(1, runs / 4) : runs, seed, bounded);
      // One place after the other: as many as the model keeps, and one for each plan around.
      const size_t most = size_t(engine::limits::plans * family.places * (family.places + 1) / 2);
      const bool failed = r.wrong || r.kept > most || r.growth > most_growth;
      std::printf("%-20s %-8s %6d %6d %6zu %6zu %10ld %8.2f%s\n", family.name, bounded ? "bounded" : "", r.runs,
                  r.wrong, r.kept, most, long(r.growth / 1024), r.seconds, failed ? "  FAILED" : "");
      std::fflush(stdout);
      failures += failed, ++count;
    }
  }
  std::printf("%d models, %d failed\n", count, failures);
  return failures || !count;
}
