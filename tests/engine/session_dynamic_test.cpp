// Graphs whose sizes or steps depend on data, and what lasts from run to run.
#include <gtest/gtest.h>
#include <thread>
#include "kernels/threads.h"
#include "tests/engine/graphs.h"

namespace engine {
namespace {
using namespace test;

TEST(Session, SizesFoundAtRunArePlannedWhenKnown) {
  Graph graph;
  const ValueId x = graph.add_input("x", f32_type({Dim::symbol("n")}));
  Rewriter r(graph);
  const ValueId where = r.add(schema::NonZero{}, {x}, {"where"})[0];
  const ValueId flat = r.add(schema::Reshape{}, {where, graph.add_constant(make_ints({-1}))}, {"flat"})[0];
  const ValueId picked = unary(r, UnaryKind::neg, r.add(schema::Gather{0}, {x, flat}, {"pick"})[0]);
  graph.outputs = {{"picked", picked}, {"before", unary(r, UnaryKind::abs, x)}, {"where", flat}};
  Session session(model_of(graph));
  for (const Numbers& input :
       {Numbers{0, 5, 0, 6}, Numbers{1, 2, 3, 4}, Numbers{0, 0, 0, 0}, Numbers{}, Numbers{9, 0, 0, 8}, Numbers{3, 0}}) {
    const ConstantPtr value = f32({int64_t(input.size())}, input);
    session.set_input(0, value->view());
    session.run();
    Numbers want;
    for (double v : input)
      if (v != 0) want.push_back(-v);
    EXPECT_EQ(numbers(session.output(0)), want);
    EXPECT_EQ(numbers(session.output(1)), input);
    EXPECT_EQ(session.output(2).elements(), int64_t(want.size()));
    ASSERT_NE(session.frame().tail(), nullptr);
    EXPECT_TRUE(valid(session.frame().plan()->memory, session.frame().plan()->buffers, arena_alignment));
  }
}

// Axes that only the run knows: the reduction has a kernel, and a plan for each that was met.
TEST(Session, NumbersThatSizeOutputsArePlannedFor) {
  Graph graph;
  const ValueId x = graph.add_input("x", f32_type({2, 3, 4})), axes = graph.add_input("axes", Type::tensor(DType::i64, Dims{1}));
  Rewriter r(graph);
  const ValueId sum = r.add(schema::Reduce{.kind = schema::ReduceKind::sum, .keepdims = false}, {unary(r, UnaryKind::neg, x), axes}, {"sum"})[0];
  graph.outputs = {{"sum", unary(r, UnaryKind::neg, sum)}};
  Session session(model_of(graph));
  const ConstantPtr given = f32_iota({2, 3, 4});
  const Numbers numbers_of_x = numbers(given->view());
  session.set_input(0, given->view());
  std::vector<const Plan*> plans;
  for (const int64_t axis : {0, 1, 2, -1, 0, 1}) {
    const ConstantPtr where = make_ints({axis});
    session.set_input(1, where->view());
    session.run();
    const int64_t d = axis < 0 ? axis + 3 : axis, extents[] = {2, 3, 4}, inner = d == 0 ? 12 : d == 1 ? 4 : 1;
    Numbers want(size_t(24 / extents[d]));
    for (int64_t i = 0; i < 24; ++i) want[size_t(i / (inner * extents[d]) * inner + i % inner)] += numbers_of_x[size_t(i)];
    EXPECT_EQ(numbers(session.output(0)), want) << axis;
    ASSERT_NE(session.frame().tail(), nullptr);
    plans.push_back(session.frame().tail()->plan());
    for (const Step& step : plans.back()->steps) EXPECT_NE(step.kernel, "reference");
  }
  EXPECT_EQ(plans[4], plans[0]);
  EXPECT_EQ(plans[5], plans[1]);
  EXPECT_NE(plans[3], plans[2]);  // the same dim, by another number
  const ConstantPtr bad = make_ints({3});
  session.set_input(1, bad->view());
  EXPECT_THROW(session.run(), Error);
}

// Which of two bounded extents the result has, only the extents themselves say.
TEST(Session, BoundedSymbolsBroadcastTogether) {
  Graph graph;
  const ValueId x = graph.add_input("x", f32_type({3, Dim::symbol("n", 0, 4)})), y = graph.add_input("y", f32_type({3, Dim::symbol("m", 0, 4)}));
  Rewriter r(graph);
  graph.outputs = {{"z", unary(r, UnaryKind::neg, binary(r, BinaryKind::add, x, y))}};
  Session session(model_of(graph));
  for (const auto& [n, m] : {std::pair<int64_t, int64_t>{1, 4}, {4, 1}, {1, 1}, {3, 3}, {0, 1}, {4, 4}}) {
    const ConstantPtr a = f32_iota({3, n}), b = f32_iota({3, m});
    session.set_input(0, a->view()), session.set_input(1, b->view());
    session.run();
    Numbers want;
    const int64_t width = n == 1 ? m : n;
    for (int64_t i = 0; i < 3; ++i)
      for (int64_t j = 0; j < width; ++j)
        want.push_back(-(numbers(a->view())[size_t(n == 1 ? i : i * n + j)] + numbers(b->view())[size_t(m == 1 ? i : i * m + j)]));
    EXPECT_EQ(numbers(session.output(0)), want) << n << ", " << m;
  }
}

// Half computes in f32, and the cast back may not read what has no size yet.
TEST(Session, HalvesOfASizeFoundAtRun) {
  Graph graph;
  const ValueId x = graph.add_input("x", Type::tensor(DType::f16, Dims{3, 2})), axes = graph.add_input("axes", Type::tensor(DType::i64, Dims{1}));
  Rewriter r(graph);
  const ValueId sum = r.add(schema::Reduce{schema::ReduceKind::sum, false}, {x, axes}, {"sum"})[0];
  graph.outputs = {{"y", unary(r, UnaryKind::neg, sum)}};
  Session session(model_of(graph));
  Object ones;
  const View view = ones.set_tensor(DType::f16, Shape{3, 2});
  for (int64_t i = 0; i < 6; ++i) store(view, i, 1.0);
  session.set_input(0, std::as_const(ones).view());
  for (int64_t axis : {0, 1}) {
    const ConstantPtr value = make_ints({axis});
    session.set_input(1, value->view());
    session.run();
    EXPECT_EQ(numbers(session.output(0)), axis ? (Numbers{-2, -2, -2}) : (Numbers{-3, -3}));
  }
}

std::shared_ptr<const Graph> branch(UnaryKind kind, Dims dims = {2}) {
  auto body = std::make_shared<Graph>();
  const ValueId x = body->add_input("x", f32_type(std::move(dims)));
  Rewriter r(*body);
  body->outputs = {{"y", unary(r, kind, x)}};
  return body;
}

// Not even for the text of an error that there is not, whose extents take more than a string has room for.
TEST(Session, IfAllocatesNothingOnceItHasRun) {
  const Dims dims{1, 10, 1, 10, 1, 10};
  Graph graph;
  const ValueId condition = graph.add_input("condition", Type::scalar(DType::boolean)),
                x = graph.add_input("x", f32_type(dims));
  Rewriter r(graph);
  graph.outputs = {{"y", r.add(schema::If{}, {condition, x}, {"choose"}, 1,
                               {branch(UnaryKind::neg, dims), branch(UnaryKind::sqrt, dims)})[0]}};
  Session session(model_of(graph));
  const ConstantPtr yes = make_scalar(DType::boolean, 1), value = f32_iota({1, 10, 1, 10, 1, 10});
  session.set_input(0, yes->view()), session.set_input(1, value->view());
  session.run();
  const auto before = allocations_so_far();
  session.run();
  EXPECT_EQ(allocations_so_far(), before);
  EXPECT_EQ(load<double>(session.output(0), 7), -load<double>(value->view(), 7));
}

TEST(Session, IfRunsOneBranch) {
  Graph graph;
  const ValueId condition = graph.add_input("condition", Type::scalar(DType::boolean)),
                x = graph.add_input("x", f32_type({2}));
  Rewriter r(graph);
  graph.outputs = {
      {"y", r.add(schema::If{}, {condition, x}, {"choose"}, 1, {branch(UnaryKind::neg), branch(UnaryKind::sqrt)})[0]}};
  Session session(model_of(graph));
  const ConstantPtr value = f32({2}, {4, 9});
  for (bool yes : {true, false, true}) {
    const ConstantPtr flag = make_scalar(DType::boolean, int64_t(yes));
    session.set_input(0, flag->view()), session.set_input(1, value->view());
    session.run();
    EXPECT_EQ(numbers(session.output(0)), yes ? (Numbers{-4, -9}) : (Numbers{2, 3}));
  }
}

// Two Ifs, one after the other, with branches of several steps and of several sizes.
TEST(Session, BodiesShareAnArena) {
  Graph graph;
  Rewriter r(graph);
  const ValueId condition = graph.add_input("condition", Type::scalar(DType::boolean));
  const auto steps = [](UnaryKind kind) {
    auto body = std::make_shared<Graph>();
    ValueId x = body->add_input("x", f32_type({Dim::symbol("n")}));
    Rewriter rewriter(*body);
    for (int i = 0; i < 3; ++i) {
      x = rewriter.add(schema::CumSum{}, {unary(rewriter, kind, x), body->add_constant(make_ints({0}))}, {"sum"})[0];
    }
    body->outputs = {{"y", x}};
    return body;
  };
  ValueId x[2];
  for (int i = 0; i < 2; ++i) {
    x[i] = graph.add_input(i ? "b" : "a", f32_type({i ? 4000 : 1000}));
    graph.outputs.push_back({i ? "v" : "u", r.add(schema::If{}, {condition, x[i]}, {"choose"}, 1, {steps(UnaryKind::neg), steps(UnaryKind::abs)})[0]});
  }
  Session session(model_of(graph));
  const ConstantPtr a = f32({1000}, Numbers(1000, 1)), b = f32({4000}, Numbers(4000, 1));
  session.set_input(1, a->view()), session.set_input(2, b->view());
  for (bool yes : {true, false, true}) {
    const ConstantPtr flag = make_scalar(DType::boolean, int64_t(yes));
    session.set_input(0, flag->view());
    session.run();
    const double sign = yes ? -1 : 1;  // three times negated, and summed up
    EXPECT_EQ(numbers(session.output(0)).at(2), sign * 10);
    EXPECT_EQ(numbers(session.output(1)).at(2), sign * 10);
  }
  int64_t largest = 0, sum = 0;
  for (const Plan* plan : session.frame().plans())
    if (plan != session.frame().plan()) largest = std::max(largest, plan->arena_bytes()), sum += plan->arena_bytes();
  EXPECT_EQ(session.frame().arena_bytes(), session.frame().plan()->arena_bytes() + largest);
  EXPECT_GT(sum, 2 * largest);
}

// Carries a sum, and scans its values: state = state + x.
Graph loop_graph(bool endless = false) {
  auto body = std::make_shared<Graph>();
  body->add_input("iteration", Type::scalar(DType::i64));
  const ValueId go = body->add_input("go", Type::scalar(DType::boolean)),
                state = body->add_input("state", f32_type({2})), x = body->add_input("x", f32_type({2}));
  Rewriter inner(*body);
  const ValueId sum = binary(inner, BinaryKind::add, state, x);
  body->outputs = {{"go", go}, {"sum", sum}, {"scan", sum}};
  if (endless) body->outputs.pop_back();
  Graph graph;
  const ValueId trips = graph.add_input("trips", Type::scalar(DType::i64)),
                start = graph.add_input("start", f32_type({2})), step = graph.add_input("step", f32_type({2}));
  Rewriter r(graph);
  const ValueIds out =
      r.add(schema::Loop{1}, {trips, ValueId::none, start, step}, {"repeat (Loop)"}, endless ? 1 : 2, {body});
  graph.outputs = {{"last", out[0]}};
  if (!endless) graph.outputs.push_back({"all", unary(r, UnaryKind::neg, out[1])});
  return graph;
}

TEST(Session, LoopCarriesAndStacks) {
  Session session(model_of(loop_graph()));
  const ConstantPtr start = f32({2}, {0, 10}), step = f32({2}, {1, 2});
  for (int64_t n : {3, 0, 1, 5}) {
    const ConstantPtr trips = make_scalar(DType::i64, n);
    session.set_input(0, trips->view()), session.set_input(1, start->view()), session.set_input(2, step->view());
    session.run();
    EXPECT_EQ(numbers(session.output(0)), (Numbers{double(n), 10 + 2.0 * double(n)}));
    EXPECT_EQ(to_text(session.output(1).shape), cat("[", n, ",2]"));
    for (int64_t i = 0; i < n; ++i) EXPECT_EQ(load<double>(session.output(1), 2 * i), -double(i + 1));
  }
}

TEST(Session, IsCancelledFromAnotherThread) {
  Session session(model_of(loop_graph(true)));
  const ConstantPtr start = f32({2}, {0, 10}), step = f32({2}, {1, 2}),
                    trips = make_scalar(DType::i64, int64_t{1} << 60);
  session.set_input(0, trips->view()), session.set_input(1, start->view()), session.set_input(2, step->view());
  session.prepare();
  std::atomic<bool> done = false;
  std::thread canceller([&] {
    while (!done) session.cancel(), std::this_thread::sleep_for(std::chrono::milliseconds(1));
  });
  EXPECT_ERROR(session.run(), "cancelled", "repeat (Loop)");
  done = true;
  canceller.join();
  const ConstantPtr two = make_scalar(DType::i64, int64_t{2});
  session.set_input(0, two->view());
  session.arm(Budget::Clock::now());
  EXPECT_ERROR(session.run_armed(), "deadline");
  session.run();  // the next run is not cancelled
  EXPECT_EQ(numbers(session.output(0)), (Numbers{2, 14}));
}

// present = concat(past, new), y = -present
Graph cache_graph(Dim past) {
  Graph graph;
  const ValueId old = graph.add_input("past", f32_type({past, 4})), fresh = graph.add_input("new", f32_type({1, 4}));
  Rewriter r(graph);
  const ValueId present = r.add(schema::Concat{0}, {old, fresh}, {"present"})[0];
  graph.outputs = {{"present", present}, {"y", unary(r, UnaryKind::neg, present)}};
  return graph;
}

TEST(Session, OnePlanServesEveryExtentOfABoundedSymbol) {
  Session bounded(model_of(cache_graph(Dim::symbol("past", 0, 64)))), open(model_of(cache_graph(Dim::symbol("past"))));
  const ConstantPtr fresh = f32({1, 4}, {-1, -2, -3, -4});
  const Plan* plan = nullptr;
  for (int64_t past : {0, 1, 63, 2, 64, 0}) {
    const ConstantPtr old = f32_iota({past, 4});
    for (Session* session : {&bounded, &open})
      session->set_input(0, old->view()), session->set_input(1, fresh->view()), session->run();
    for (size_t k = 0; k < 2; ++k) {
      EXPECT_EQ(to_text(bounded.output(k).shape), cat("[", past + 1, ",4]"));
      EXPECT_EQ(numbers(bounded.output(k)), numbers(open.output(k))) << "past " << past;
    }
    if (!plan) plan = bounded.frame().plan();
    EXPECT_EQ(bounded.frame().plan(), plan);
  }
  const ConstantPtr beyond = f32_iota({65, 4});
  bounded.set_input(0, beyond->view());
  EXPECT_ERROR(bounded.run(), "'past'", "65", "64");
}

// Symbols that may be equal are compared when their extents are known: a kernel reads nothing beyond an input.
TEST(Session, BoundedSymbolsThatDisagree) {
  const Dim n = Dim::symbol("n", 0, 8), m = Dim::symbol("m", 0, 8);
  const auto expect = [](Graph& graph, std::initializer_list<Shape> fit, size_t wrong, const Shape& shape, const char* word) {
    for (const bool reference : {false, true}) {
      CompileOptions options;
      options.reference_only = reference;
      Session session(std::make_shared<const Model>(graph, options));
      std::vector<ConstantPtr> in;
      for (const Shape& s : fit) in.push_back(f32_iota(s)), session.set_input(in.size() - 1, in.back()->view());
      session.run();
      const ConstantPtr other = f32_iota(shape);
      session.set_input(wrong, other->view());
      EXPECT_ERROR(session.run(), word, to_text(shape));
    }
  };
  Graph concat;
  Rewriter r(concat);
  concat.outputs = {{"y", r.add(schema::Concat{1}, {concat.add_input("a", f32_type({n, 2})), concat.add_input("b", f32_type({m, 3}))}, {"concat"})[0]}};
  expect(concat, {{5, 2}, {5, 3}}, 1, {3, 3}, "continue");

  Graph attention;
  Rewriter s(attention);
  const auto heads = [&](const char* name, Dim rows) { return attention.add_input(name, f32_type({1, 2, std::move(rows), 4})); };
  const ValueId q = heads("q", 3), k = heads("k", n), v = heads("v", m), mask = attention.add_input("mask", f32_type({Dim::symbol("rows", 0, 8), n}));
  attention.outputs = {{"y", s.add(schema::Attention{}, {q, k, v, mask}, {"attention"})[0]}};
  const std::initializer_list<Shape> fit = {{1, 2, 3, 4}, {1, 2, 5, 4}, {1, 2, 5, 4}, {3, 5}};
  expect(attention, fit, 2, {1, 2, 4, 4}, "do not fit");
  expect(attention, fit, 3, {2, 5}, "broadcast");
}

TEST(Session, OwnsStates) {
  Graph graph = cache_graph(Dim::symbol("past", 0, 64));
  graph.states = {{0, 0}};
  const auto model = model_of(graph);
  Session own(model), fed(model, {.own_states = false});
  const ConstantPtr none = f32_iota({0, 4});
  EXPECT_ERROR(own.run(), "'past'", "first value");
  own.set_input(0, none->view()), fed.set_input(0, none->view());
  Object kept;
  for (int i = 0; i < 10; ++i) {
    const ConstantPtr fresh = f32({1, 4}, Numbers(4, i));
    own.set_input(1, fresh->view()), fed.set_input(1, fresh->view());
    own.run(), fed.run();
    EXPECT_EQ(numbers(own.output(1)), numbers(fed.output(1)));
    EXPECT_EQ(own.output(1).shape[0], i + 1);
    kept.assign(fed.output(0));
    fed.set_input(0, std::as_const(kept).view());
  }
}

TEST(Session, StatesOfKnownShapeStartFromZeros) {
  Graph graph;
  const ValueId x = graph.add_input("x", f32_type({2})), state = graph.add_input("state", f32_type({2}));
  Rewriter r(graph);
  graph.outputs = {{"sum", binary(r, BinaryKind::add, x, state)}};
  graph.states = {{1, 0}};
  Session session(model_of(graph));
  const ConstantPtr one = f32({2}, {1, 2}), ten = f32({2}, {10, 10});
  session.set_input(0, one->view());
  for (int i = 1; i < 4; ++i) {
    session.run();
    EXPECT_EQ(numbers(session.output(0)), (Numbers{1.0 * i, 2.0 * i}));
  }
  session.set_input(1, ten->view());
  session.run();
  EXPECT_EQ(numbers(session.output(0)), (Numbers{11, 12}));
  session.reset_states();
  session.run();
  EXPECT_EQ(numbers(session.output(0)), (Numbers{1, 2}));
}
}  // namespace
}  // namespace engine
