// Whole graphs, compiled and run by sessions.
#include <gtest/gtest.h>
#include "tests/engine/graphs.h"

namespace engine {
namespace {
using namespace test;

TEST(Session, AliasesNeedNoStep) {
  Graph graph;
  const ValueId x = graph.add_input("x", f32_type({2, 3}));
  Rewriter r(graph);
  const ValueId flat = r.add(schema::Reshape{}, {x, graph.add_constant(make_ints({6}))}, {"flat"})[0];
  const ValueId twisted = r.add(schema::Reshape{}, {flat, graph.add_constant(make_ints({3, 2}))}, {"twisted"})[0];
  const ValueId y =
      r.add(schema::Reshape{}, {unary(r, UnaryKind::neg, twisted), graph.add_constant(make_ints({6, 1}))}, {"out"})[0];
  graph.outputs = {{"y", y}, {"alias of the input", flat}};
  Session session(model_of(graph));
  const ConstantPtr value = f32({2, 3}, {1, 2, 3, 4, 5, 6});
  session.set_input(0, value->view());
  EXPECT_EQ(session.prepare().steps.size(), 1u);
  session.run();
  EXPECT_EQ(to_text(session.output(0).shape), "[6,1]");
  EXPECT_EQ(numbers(session.output(0)), (Numbers{-1, -2, -3, -4, -5, -6}));
  EXPECT_EQ(session.output(1).data, value->data);
  EXPECT_EQ(to_text(session.output(1).shape), "[6]");
}

TEST(Session, ElementwiseStepsWorkInPlaceWhereNobodyReadsOn) {
  Graph graph;
  const ValueId x = graph.add_input("x", f32_type({1000}));
  Rewriter r(graph);
  ValueId y = x;
  for (int i = 0; i < 4; ++i)
    y = r.add(schema::CumSum{}, {y, graph.add_constant(make_scalar(DType::i64, 0))},
              {"sum"})[0];  // which no pass folds
  const ValueId negative = unary(r, UnaryKind::neg, y), kept = binary(r, BinaryKind::mul, negative, y);
  graph.outputs = {{"y", kept}};
  Session session(model_of(graph));
  const ConstantPtr value = test::tensor(DType::f32, {1000}, Numbers(1000, 1));
  session.set_input(0, value->view());
  session.run();
  EXPECT_EQ(load<double>(session.output(0), 2), -15.0 * 15);  // the fourth sum of ones is 1, 5, 15
  EXPECT_EQ(load<double>(value->view(), 2), 1);
}

TEST(Session, OutputsMayBeInputsAndConstantsAndTheSameTwice) {
  Graph graph;
  const ValueId x = graph.add_input("x", f32_type({2}));
  const ValueId c = graph.add_constant(f32({2}, {7, 8}));
  Rewriter r(graph);
  const ValueId y = unary(r, UnaryKind::neg, x);
  graph.outputs = {{"x", x}, {"c", c}, {"y", y}, {"again", y}};
  Session session(model_of(graph));
  const ConstantPtr value = f32({2}, {1, 2});
  session.set_input(0, value->view());
  session.run();
  EXPECT_EQ(numbers(session.output(0)), (Numbers{1, 2}));
  EXPECT_EQ(numbers(session.output(1)), (Numbers{7, 8}));
  EXPECT_EQ(numbers(session.output(2)), (Numbers{-1, -2}));
  EXPECT_EQ(numbers(session.output(3)), (Numbers{-1, -2}));
}

TEST(Session, OutputsGoWhereTheCallerWants) {
  Graph graph;
  const ValueId x = graph.add_input("x", f32_type({2}));
  Rewriter r(graph);
  const ValueId y = unary(r, UnaryKind::neg, x);
  graph.outputs = {{"x", x}, {"y", y}, {"again", y}, {"c", graph.add_constant(f32({2}, {7, 8}))}};
  Session session(model_of(graph));
  const ConstantPtr value = f32({2}, {1, 2});
  session.set_input(0, value->view());
  float memory[4][2] = {};
  const Shape two{2}, three{3};
  for (size_t k = 0; k < 4; ++k)
    session.set_output(k, {DType::f32, two, reinterpret_cast<std::byte*>(memory[k]), nullptr});
  session.run();
  const float want[4][2] = {{1, 2}, {-1, -2}, {-1, -2}, {7, 8}};
  for (size_t k = 0; k < 4; ++k) {
    EXPECT_EQ(session.output(k).data, reinterpret_cast<std::byte*>(memory[k])) << k;
    EXPECT_EQ(memory[k][0], want[k][0]) << k;
    EXPECT_EQ(memory[k][1], want[k][1]) << k;
  }
  session.set_output(1, {});
  session.run();
  EXPECT_NE(session.output(1).data, reinterpret_cast<std::byte*>(memory[1]));
  EXPECT_EQ(numbers(session.output(1)), (Numbers{-1, -2}));
  float larger[3] = {};
  session.set_output(1, {DType::f32, three, reinterpret_cast<std::byte*>(larger), nullptr});
  EXPECT_ERROR(session.run(), "'y'", "f32[2]", "f32[3]");
}

TEST(Session, ErrorsNameWhatIsWrong) {
  Graph graph;
  const ValueId a = graph.add_input("a", f32_type({Dim::symbol("n"), 3})),
                b = graph.add_input("b", f32_type({Dim::symbol("m"), 3}));
  Rewriter r(graph);
  graph.outputs = {{"y", r.add(schema::Binary{}, {a, b}, {"sum (Add)"})[0]}};
  const auto model = model_of(graph);
  Session session(model);
  const ConstantPtr good = f32_iota({2, 3}), wide = f32_iota({2, 4}), five = f32_iota({5, 3}),
                    ints = i64({2, 3}, Numbers(6));
  EXPECT_ERROR(session.run(), "'a'", "f32[n,3]");
  session.set_input(0, good->view());
  EXPECT_ERROR(session.run(), "'b'");
  session.set_input(1, wide->view());
  EXPECT_ERROR(session.run(), "'b'", "[2,4]", "f32[m,3]");
  session.set_input(1, ints->view());
  EXPECT_ERROR(session.run(), "'b'", "i64[2,3]", "f32[m,3]");
  session.set_input(1, five->view());
  EXPECT_ERROR(session.run(), "sum (Add)", "f32[2,3]", "f32[5,3]");
  session.set_input(1, good->view());
  session.run();  // a failure leaves the session usable
  EXPECT_EQ(session.output(0).elements(), 6);
  EXPECT_ERROR(model->find_input("c"), "'c'", "a, b");
  EXPECT_ERROR(model->find_output("z"), "'z'", "y");
  EXPECT_ERROR(session.set_input(2, good->view()), "2");
  EXPECT_ERROR(Session(model, {.threads = -1}), "-1");
}

TEST(Session, SubnormalsAreZeroDuringARunUnlessStrict) {
  constexpr int64_t count = 1 << 18;  // enough for several threads
  Graph graph;
  const ValueId x = graph.add_input("x", f32_type({count}));
  Rewriter r(graph);
  graph.outputs = {{"y", binary(r, BinaryKind::mul, x, x)}};
  const ConstantPtr value = test::tensor(DType::f32, {count}, Numbers(count, 0x1p-70));
  for (const bool strict : {false, true}) {
    CompileOptions options;
    options.strict = strict;
    const auto model = std::make_shared<const Model>(graph, options);
    for (const int threads : {1, 3}) {
      kernels::ThreadPool pool(threads);
      Session session(model, {.threads = threads, .pool = &pool});
      session.set_input(0, value->view());
      session.run();
      EXPECT_EQ(numbers(session.output(0)), Numbers(count, strict ? 0x1p-140 : 0)) << threads << " threads";
      volatile float small = 0x1p-70f;
      EXPECT_EQ(small * small, 0x1p-140f) << "the caller's own mode";
    }
  }
}

TEST(Session, AnArenaCanBeCapped) {
  Graph graph;
  const ValueId x = graph.add_input("x", f32_type({1000}));
  Rewriter r(graph);
  graph.outputs = {{"y", unary(r, UnaryKind::exp, x)}};
  CompileOptions options;
  options.max_arena_bytes = 3999;
  const auto model = std::make_shared<const Model>(graph, options);
  Session session(model);
  const ConstantPtr value = f32_iota({1000});
  session.set_input(0, value->view());
  EXPECT_ERROR(session.run(), "arena", "3999");
}
}  // namespace
}  // namespace engine
