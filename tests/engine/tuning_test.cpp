// The cache of measured choices: what it holds, what it refuses, and that plans follow it.
#include "engine/tuning.h"
#include "tests/engine/compiled.h"

namespace engine {
namespace {
using namespace test;

std::string head() { return "inlay-tune 1\nmachine " + Tuning::machine() + "\n"; }

TEST(Tuning, KeepsWhatItIsTold) {
  Tuning tuning;
  const Tuning::Key a{1, 2}, b{UINT64_MAX, 0};
  tuning.use(a, {"some_row", 3, TunedChoice::one});
  tuning.measure(a, {"some_row", 3, TunedChoice::one}, 0.5);
  tuning.measure(b, {"other_row"}, 1.25);
  const Tuning back = Tuning::parse(tuning.text());
  ASSERT_NE(back.find(a), nullptr);
  EXPECT_EQ(*back.find(a), (TunedChoice{"some_row", 3, TunedChoice::one}));
  EXPECT_EQ(back.find(b), nullptr);
  EXPECT_EQ(back.measured(b, {"other_row"}), 1.25);
  EXPECT_EQ(back.measured(b, {"other_row", 2}), std::nullopt);
  EXPECT_EQ(back.text(), tuning.text());
  tuning.use_default(a);
  EXPECT_EQ(tuning.find(a), nullptr);
}

TEST(Tuning, SetsAnotherMachinesAside) {
  const std::string use = "use 00000000000000020000000000000001 some_row 0 one\n";
  EXPECT_EQ(Tuning::parse(head() + use).used(), 1u);
  const Tuning other = Tuning::parse("inlay-tune 1\nmachine avx9000, A CPU of tomorrow, inlay 9.9.9\n" + use);
  EXPECT_EQ(other.used(), 0u);
  EXPECT_NE(other.set_aside().find("A CPU of tomorrow"), std::string::npos);
}

TEST(Tuning, RefusesWhatIsNoCache) {
  EXPECT_ERROR(Tuning::parse(""), "not a tune cache");
  EXPECT_ERROR(Tuning::parse("inlay-tune 2\n"), "not a tune cache");
  EXPECT_ERROR(Tuning::parse("inlay-tune 1\n"), "line 2");
  const std::string key = "00000000000000020000000000000001";
  for (const std::string& line : std::vector<std::string>{"take " + key + " row 0 one", "use " + key.substr(1) + " row 0 one", "use g" + key.substr(1) + " row 0 one", "use " + key,
                                 "use " + key + " row 5 one", "use " + key + " row -1 one", "use " + key + " row 0 two", "use " + key + "  0 one",
                                 "use " + key + " " + std::string(101, 'r') + " 0 one", "measured " + key + " row 0 one", "measured " + key + " row 0 one fast",
                                 "measured " + key + " row 0 one -1", "measured " + key + " row 0 one nan", ""})
    EXPECT_ERROR(Tuning::parse(head() + line + "\nuse"), "line 3");
  EXPECT_ERROR(Tuning::load("/nonexistent/tune"), "/nonexistent/tune");
}

struct Choices {
  std::vector<Tuning::Key> keys;
  std::vector<std::string> kernels;
  std::vector<int> threads;
};
Choices choices(const Graph& graph, const CompileOptions& options) {
  Types types;
  for (ValueId v : graph.inputs) types.push_back(graph[v].type);
  const Plan plan = compile(graph, types, options);
  Choices c{plan.keys, {}, {}};
  for (const Step& step : plan.steps) c.kernels.emplace_back(step.kernel), c.threads.push_back(step.threads);
  return c;
}

// Every candidate of every step of a small network, one after the other.
TEST(Tuning, PlansFollowItAndKeepTheirResults) {
  Built b;
  ValueId x = b.input({1, 16, 20, 20});
  x = unary(b.r, UnaryKind::relu, b.conv(x, 16, 40, 3));
  x = b.conv(x, 40, 24, 1);
  b.output(b.mat_mul(b.r.add(schema::Reshape{}, {x, b.graph.add_constant(make_ints({48, 200}))}, {"rows"})[0], 200, 70));
  CompileOptions explained;
  explained.keep_refusals = explained.all_threads = true;
  Types types{b.graph[b.graph.inputs[0]].type};
  const Plan plan = compile(b.graph, types, explained);
  ASSERT_EQ(plan.keys.size(), plan.steps.size());
  const Ran untuned = run(b.graph, explained, 1);
  size_t followed = 0;
  for (size_t s = 0; s < plan.steps.size(); ++s) {
    std::vector<TunedChoice> candidates{{"no_such_row"}, {std::string(plan.steps[s].kernel), 0, TunedChoice::one}};
    for (int panel = 1; panel <= 4; ++panel) candidates.push_back({std::string(plan.steps[s].kernel), panel});
    for (const kernels::Refusal& r : plan.refusals[s])
      if (r.reason.starts_with(kernels::costs_more)) candidates.push_back({std::string(r.name)});
    for (const TunedChoice& candidate : candidates) {
      auto tuning = std::make_shared<Tuning>();
      tuning->use(plan.keys[s], candidate);
      CompileOptions options;
      options.all_threads = true, options.tuned = tuning;
      const Choices now = choices(b.graph, options);
      ASSERT_EQ(now.keys.size(), plan.keys.size());
      EXPECT_EQ(now.kernels[s], candidate.kernel == "no_such_row" ? plan.steps[s].kernel : candidate.kernel);
      EXPECT_EQ(now.threads[s], candidate.threads == TunedChoice::one ? 1 : 0);
      const Ran one = run(b.graph, options, 1), three = run(b.graph, options, 3);
      const ConstView got = one.outputs[0].view(), want = untuned.outputs[0].view();
      EXPECT_EQ(std::memcmp(got.data, three.outputs[0].bytes.data(), size_t(got.bytes())), 0) << candidate.kernel << ": three threads give other bits";
      for (int64_t i = 0; i < got.elements(); ++i) ASSERT_NEAR(load<double>(got, i), load<double>(want, i), 2e-4) << candidate.kernel << ' ' << candidate.panel;
      followed += now.kernels[s] == candidate.kernel;
    }
  }
  EXPECT_GT(followed, 3 * plan.steps.size());
}

// Steps that compute the same share a key, whatever they and their values are called; others do not.
TEST(Tuning, KeysSayWhatIsComputed) {
  const auto key = [](int64_t rows, int64_t n, UnaryKind kind, const std::string& name) {
    Built b;
    const ValueId x = b.graph.add_input(name, f32_type({rows, 32}));
    b.output(b.r.add(schema::Unary{kind}, {b.mat_mul(x, 32, n)}, {name})[0]);
    CompileOptions options;
    options.keep_refusals = true;
    return choices(b.graph, options).keys.at(0);
  };
  const auto one = key(5, 32, UnaryKind::relu, "x");
  EXPECT_EQ(one, key(5, 32, UnaryKind::relu, "another"));
  EXPECT_NE(one, key(6, 32, UnaryKind::relu, "x"));
  EXPECT_NE(one, key(5, 33, UnaryKind::relu, "x"));
  EXPECT_NE(one, key(5, 32, UnaryKind::tanh, "x"));
}
}  // namespace
}  // namespace engine
