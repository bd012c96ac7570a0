#include "engine/ops/random.h"
#include <set>
#include "engine/graph_text.h"
#include "engine/passes/passes.h"
#include "kernels/threads.h"
#include "tests/engine/graphs.h"

namespace engine {
namespace {
using namespace test;
using schema::Bernoulli, schema::Multinomial, schema::Random, schema::RandomKind;

Random normal(double mean, double deviation, int64_t seed, DType dtype = DType::f32) {
  return {RandomKind::normal, dtype, mean, deviation, true, seed};
}
Random uniform(double low, double high, int64_t seed, DType dtype = DType::f32) {
  return {RandomKind::uniform, dtype, low, high, true, seed};
}
struct Moments {
  double mean = 0, deviation = 0, least = INFINITY, most = -INFINITY;
};
Moments moments(const Numbers& x) {
  Moments m;
  for (double v : x) m.mean += v / double(x.size()), m.least = std::min(m.least, v), m.most = std::max(m.most, v);
  for (double v : x) m.deviation += (v - m.mean) * (v - m.mean) / double(x.size());
  m.deviation = std::sqrt(m.deviation);
  return m;
}

// The known answers of the authors' own library, Random123.
TEST(Philox, KnownAnswers) {
  using Words = std::array<uint32_t, 4>;
  constexpr uint32_t ones = 0xffffffff;
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox({ones, ones, ones, ones}, {ones, ones}), (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(RandomOp, Uniform) {
  for (DType d : {DType::f32, DType::f64, DType::f16, DType::bf16}) {
    const Numbers x = numbers(uniform(0, 1, 7, d), {i64({100, 1000})});
    const Moments m = moments(x);
    EXPECT_NEAR(m.mean, 0.5, 0.01) << name(d);
    EXPECT_NEAR(m.deviation, std::sqrt(1.0 / 12), 0.01) << name(d);
    EXPECT_GE(m.least, 0) << name(d);
    EXPECT_LT(m.most, 1) << name(d);  // also where a rounded number of more digits would be 1
  }
  const Moments m = moments(numbers(uniform(-3, 5, 1), {i64(std::vector<int64_t>{100001})}));
  EXPECT_NEAR(m.mean, 1, 0.05);
  EXPECT_GE(m.least, -3);
  EXPECT_LT(m.most, 5);
  EXPECT_EQ(numbers(uniform(2, 2, 1), {i64({2})}), (Numbers{2, 2}));
}

TEST(RandomOp, Normal) {
  for (DType d : {DType::f32, DType::f64, DType::f16, DType::bf16}) {
    const Numbers x = numbers(normal(0, 1, 3, d), {i64({99999})});
    const Moments m = moments(x);
    EXPECT_NEAR(m.mean, 0, 0.02) << name(d);
    EXPECT_NEAR(m.deviation, 1, 0.02) << name(d);
    for (const auto& [bound, share] : {std::pair(-1.0, 0.1587), {0.0, 0.5}, {1.0, 0.8413}, {2.0, 0.9772}})
      EXPECT_NEAR(double(std::ranges::count_if(x, [b = bound](double v) { return v < b; })) / double(x.size()), share,
                  0.01)
          << name(d);
  }
  const Moments m = moments(numbers(normal(100, 5, 3), {i64({1000, 50})}));
  EXPECT_NEAR(m.mean, 100, 0.2);
  EXPECT_NEAR(m.deviation, 5, 0.2);
}

TEST(RandomOp, SeedsAndShapes) {
  const auto draw = [](const Random& op, std::vector<int64_t> shape) {
    return values(run_case(op, {i64(shape)}, infer_case(op, {i64(shape)}, 1, Known::values))[0]);
  };
  for (RandomKind kind : {RandomKind::uniform, RandomKind::normal}) {
    Random op{kind, DType::f32, 0, 1, true, 5};
    const Numbers x = draw(op, {10});
    EXPECT_EQ(draw(op, {2, 5}), x);
    EXPECT_EQ(draw(op, {3}), Numbers(x.begin(), x.begin() + 3));
    op.seed = 6;
    EXPECT_NE(draw(op, {10}), x);
    op.seeded = false;
    EXPECT_NE(draw(op, {10}), draw(op, {10}));
    EXPECT_EQ(draw(op, {0, 3}), Numbers{});
    EXPECT_EQ(draw(op, {}).size(), 1u);
  }
  expect_error(uniform(0, 1, 0), {i64({-2})}, "negative");
  expect_error(uniform(0, 1, 0, DType::i32), {i64({2})}, "no numbers of dtype i32");
  expect_error(uniform(0, INFINITY, 0), {i64({2})}, "not both finite");
  expect_error(uniform(0, 1, 0), {f32({1}, {2})}, "f32");
}

TEST(BernoulliOp, DrawsByProbability) {
  for (DType from : {DType::f32, DType::f64, DType::f16, DType::bf16})
    for (DType to : {DType::boolean, DType::f32, DType::f16, DType::u8, DType::i64, DType::bf16, DType::f64}) {
      const Bernoulli op{to, true, 4};
      const Numbers x = numbers(op, {tensor(from, {20000}, Numbers(20000, 0.25))});
      EXPECT_NEAR(moments(x).mean, 0.25, 0.02);
      EXPECT_EQ(std::set<double>(x.begin(), x.end()), (std::set<double>{0, 1}));
      EXPECT_EQ(numbers(op, {tensor(from, {4}, {0, 1, 0, 1})}), (Numbers{0, 1, 0, 1}));
    }
  expect_error(Bernoulli{}, {f32({2}, {0.5, 1.5})}, "element 1 is 1.5");
  expect_error(Bernoulli{}, {f32({1}, {NAN})}, "probability");
  expect_error(Bernoulli{DType::string}, {f32({1}, {0})}, "strings");
}

TEST(MultinomialOp, DrawsByWeight) {
  const double none = -INFINITY;
  for (DType d : {DType::f32, DType::f64, DType::f16, DType::bf16}) {
    const auto logits = tensor(d, {2, 4}, {none, std::log(1.0), std::log(3.0), none, 1000, none, 1000, 1000});
    const Object y = run1(Multinomial{30000, DType::i64, true, 9}, {logits});
    EXPECT_EQ(y.shape, (Shape{2, 30000}));
    std::vector<double> seen(8);
    const Numbers drawn = values(y);
    for (size_t i = 0; i < drawn.size(); ++i) seen[i / 30000 * 4 + size_t(drawn[i])] += 1 / 30000.0;
    for (size_t k : {0, 3, 5}) EXPECT_EQ(seen[k], 0);
    EXPECT_NEAR(seen[1], 0.25, 0.02);
    EXPECT_NEAR(seen[2], 0.75, 0.02);
    for (size_t k : {4, 6, 7}) EXPECT_NEAR(seen[k], 1.0 / 3, 0.02);
  }
  const Multinomial op{2, DType::i32, true, 1};
  EXPECT_EQ(numbers(op, {f32({1, 1}, {-7})}), (Numbers{0, 0}));
  EXPECT_EQ(run1(Multinomial{0}, {f32({3, 0}, {})}).shape, (Shape{3, 0}));
  EXPECT_EQ(run1(op, {f32({0, 3}, {})}).shape, (Shape{0, 2}));
  expect_error(op, {f32({1, 0}, {})}, "no class");
  expect_error(op, {f32({2, 2}, {0, 0, none, none})}, "row 1 has no class");
  expect_error(op, {f32({1, 2}, {0, NAN})}, "class 1");
  expect_error(op, {f32({1, 2}, {INFINITY, 0})}, "class 0");
  expect_error(op, {f32({2}, {0, 0})}, "[batch,classes]");
  expect_error(Multinomial{-1}, {f32({1, 1}, {0})}, "-1 samples");
  expect_error(Multinomial{1, DType::f32}, {f32({1, 1}, {0})}, "not f32");
}

// Two equal nodes of a constant shape: with passes and without, they stay two, and what they draw is made by the run.
TEST(RandomOps, AreNeitherFoldedNorMerged) {
  Graph graph = parse_graph(
      "const s i64[1] {1000}\n"
      "a = Random (s)  # f32[1000] from a (RandomUniform)\n"
      "b = Random (s)  # f32[1000] from b (RandomUniform)\n"
      "output a\n"
      "output b\n");
  run_passes(graph, general_passes());
  EXPECT_EQ(graph.nodes.size(), 2u);
  Session session(model_of(graph));
  std::set<Numbers> seen;
  for (int run = 0; run < 3; ++run) {
    session.run();
    seen.insert(numbers(session.output(0))), seen.insert(numbers(session.output(1)));
  }
  EXPECT_EQ(seen.size(), 6u);
}

TEST(RandomOps, ASeedGivesTheSameEverywhere) {
  Graph graph;
  Rewriter r(graph);
  const ValueId shape = graph.add_constant(i64({3, 33333}));
  for (const schema::Op& op : {schema::Op(normal(0, 1, 8)), schema::Op(uniform(0, 1, 8))}) {
    const ValueId y = r.add(op, {shape}, {"draw"})[0];
    graph.outputs.push_back({cat("y", graph.outputs.size()), unary(r, UnaryKind::neg, y)});
  }
  std::set<std::pair<Numbers, Numbers>> seen;
  for (const auto& level : kernels::isa::levels()) {
    if (!kernels::isa::runs(level.mask, kernels::isa::detected())) continue;
    CompileOptions options;
    options.isa = level.mask;
    for (int threads : {1, 3}) {
      kernels::ThreadPool pool(threads);
      Session session(std::make_shared<const Model>(graph, options), {.threads = threads, .pool = &pool});
      for (int run = 0; run < 2; ++run) {
        session.run();
        seen.emplace(numbers(session.output(0)), numbers(session.output(1)));
      }
    }
  }
  EXPECT_EQ(seen.size(), 1u);
}
}  // namespace
}  // namespace engine
