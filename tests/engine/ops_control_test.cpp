// If, Loop and Scan, run as a session runs them.
#include "engine/session.h"
#include "tests/engine/op_case.h"

namespace engine {
namespace {
using namespace test;
using schema::Binary, schema::BinaryKind, schema::Concat, schema::Identity, schema::If, schema::Loop, schema::Reshape, schema::Scan;
using Numbers = std::vector<double>;
using Bodies = std::vector<std::shared_ptr<const Graph>>;

// A graph in the making.
struct Build {
  Graph graph;
  Rewriter rewriter{graph};

  ValueId input(const Type& type) { return graph.add_input("x" + std::to_string(graph.inputs.size()), type); }
  ValueId number(double v) { return graph.add_constant(f32({}, {v})); }
  ValueIds add(Op op, ValueIds in, size_t outputs = 1, Bodies bodies = {}) { return rewriter.add(std::move(op), std::move(in), {"test"}, outputs, std::move(bodies)); }
  ValueId binary(BinaryKind kind, ValueId a, ValueId b) { return add(Binary{kind}, {a, b})[0]; }
  void output(ValueId v) { graph.outputs.push_back({"y" + std::to_string(graph.outputs.size()), v}); }
  std::shared_ptr<const Graph> body(const ValueIds& outputs) {
    for (ValueId v : outputs) output(v);
    verify(graph);
    return std::make_shared<const Graph>(std::move(graph));
  }
};

// Runs a graph on these inputs, twice: the second run meets what the first one left.
std::vector<Object> run_graph(Graph graph, const Inputs& inputs) {
  verify(graph);
  Session session(std::make_shared<const Model>(std::move(graph)));
  for (size_t k = 0; k < inputs.size(); ++k) session.set_input(k, inputs[k]->view());
  std::vector<Object> first(session.model().outputs()), second(first.size());
  for (auto* results : {&first, &second}) {
    session.run();
    for (size_t k = 0; k < first.size(); ++k) (*results)[k].assign(session.output(k));
  }
  for (size_t k = 0; k < first.size(); ++k) {
    if (first[k].kind != ValueKind::tensor) continue;
    EXPECT_TRUE(same_contents(*make_constant(first[k].view()), *make_constant(second[k].view())));
  }
  return second;
}

const Type scalar = Type::scalar(DType::f32), flag = Type::scalar(DType::boolean), count = Type::scalar(DType::i64);
ConstantPtr truth(bool v) { return tensor(DType::boolean, {}, {double(v)}); }

// --- If --------------------------------------------------------------------------------------------------------------

Graph branches(const ConstantPtr& then_shape, const ConstantPtr& else_shape, const Type& condition, ConstantPtr constant = {}) {
  Bodies bodies;
  for (const ConstantPtr& shape : {then_shape, else_shape}) {
    Build b;
    const ValueId x = b.input(Type::unranked(DType::f32));
    bodies.push_back(b.body({b.add(Reshape{}, {x, b.graph.add_constant(shape)})[0]}));
  }
  Build g;
  const ValueId c = constant ? g.graph.add_constant(constant) : g.input(condition), x = g.input(Type::tensor(DType::f32, Shape{4}));
  g.output(g.add(If{}, {c, x}, 1, bodies)[0]);
  return std::move(g.graph);
}

TEST(IfOp, TakesOneBranch) {
  const Graph g = branches(i64({2, 2}), i64({1, 4}), flag);
  EXPECT_EQ(to_text(g[g.outputs[0].value].type), "f32[?,?]");
  EXPECT_EQ(run_graph(g, {truth(true), f32_iota({4})})[0].shape, (Shape{2, 2}));
  EXPECT_EQ(run_graph(g, {truth(false), f32_iota({4})})[0].shape, (Shape{1, 4}));
}

TEST(IfOp, ABranchThatCannotTakeTheSizesIsLeftOut) {
  const Graph g = branches(i64({2, 2}), i64({3, 3}), flag);
  EXPECT_EQ(to_text(g[g.outputs[0].value].type), "f32[2,2]");
  EXPECT_THROW(branches(i64({5, 2}), i64({3, 3}), flag), Error);
}

TEST(IfOp, AConstantConditionLeavesOneBranch) {
  Graph g = branches(i64({2, 2}), i64({1, 4}), flag, truth(false));
  EXPECT_EQ(to_text(g[g.outputs[0].value].type), "f32[1,4]");
  Rewriter rewriter(g);
  simplify(NodeId(0), rewriter);
  rewriter.commit();
  ASSERT_EQ(g.nodes.size(), 1u);
  EXPECT_TRUE(g.nodes[0].op.get_if<Reshape>());
}

// --- Loop ------------------------------------------------------------------------------------------------------------

// (a, b) becomes (b, a + b), and a is stacked; goes on while `limit`, if given, is above a.
std::shared_ptr<const Graph> fibonacci(bool limited) {
  Build b;
  b.input(count);
  const ValueId go = b.input(flag), x = b.input(scalar), y = b.input(scalar);
  const ValueId next = b.binary(BinaryKind::add, x, y);
  return b.body({limited ? b.binary(BinaryKind::less, next, b.number(20)) : go, y, next, x});
}

TEST(LoopOp, CarriesAndStacks) {
  Build g;
  const ValueId trips = g.graph.add_constant(i64({}, {7}));
  const ValueIds y = g.add(Loop{2}, {trips, ValueId::none, g.number(0), g.number(1)}, 3, {fibonacci(false)});
  for (ValueId v : y) g.output(v);
  EXPECT_EQ(to_text(g.graph[y[2]].type), "f32[7]");
  const auto out = run_graph(g.graph, {});
  EXPECT_EQ(values(out[0]), (Numbers{13}));
  EXPECT_EQ(values(out[1]), (Numbers{21}));
  EXPECT_EQ(values(out[2]), (Numbers{0, 1, 1, 2, 3, 5, 8}));
}

TEST(LoopOp, StopsByItsCondition) {
  Build g;
  const ValueIds y = g.add(Loop{2}, {ValueId::none, g.input(flag), g.number(0), g.number(1)}, 3, {fibonacci(true)});
  for (ValueId v : y) g.output(v);
  EXPECT_EQ(to_text(g.graph[y[2]].type), "f32[?]");
  EXPECT_EQ(values(run_graph(g.graph, {truth(true)})[2]), (Numbers{0, 1, 1, 2, 3, 5, 8}));
  const auto none = run_graph(g.graph, {truth(false)});
  EXPECT_EQ(values(none[1]), (Numbers{1}));
  EXPECT_EQ(none[2].shape, (Shape{0}));
}

TEST(LoopOp, NoIterationKeepsTheRankOfWhatIsStacked) {
  Build b;
  b.input(count);
  const ValueId go = b.input(flag), x = b.input(Type::tensor(DType::f32, {Dim(2), Dim::unknown()}));
  const auto body = b.body({go, x, b.add(Identity{}, {x})[0]});
  Build g;
  const ValueIds y = g.add(Loop{1}, {g.input(count), ValueId::none, g.input(Type::tensor(DType::f32, {Dim(2), Dim::unknown()}))}, 2, {body});
  for (ValueId v : y) g.output(v);
  EXPECT_EQ(run_graph(g.graph, {i64({}, {0}), f32_iota({2, 3})})[1].shape.size(), 3u);
  EXPECT_EQ(run_graph(g.graph, {i64({}, {-5}), f32_iota({2, 3})})[1].shape[0], 0);
  EXPECT_EQ(run_graph(g.graph, {i64({}, {2}), f32_iota({2, 3})})[1].shape, (Shape{2, 2, 3}));
}

TEST(LoopOp, WhatGrowsHasNoKnownExtent) {
  Build b;
  b.input(count);
  const ValueId go = b.input(flag), x = b.input(Type::tensor(DType::f32, {Dim::unknown(), 2})), one = b.input(Type::tensor(DType::f32, Shape{1, 2}));
  const auto body = b.body({go, b.add(Concat{0}, {x, one})[0]});
  Build g;
  const ValueId x0 = g.input(Type::tensor(DType::f32, Shape{1, 2}));
  const ValueId y = g.add(Loop{1}, {g.graph.add_constant(i64({}, {3})), ValueId::none, x0, x0}, 1, {body})[0];
  g.output(y);
  EXPECT_EQ(to_text(g.graph[y].type), "f32[?,2]");
  EXPECT_EQ(values(run_graph(g.graph, {f32_iota({1, 2})})[0]), (Numbers{0, 1, 0, 1, 0, 1, 0, 1}));
}

TEST(LoopOp, CarriesSequences) {
  const Type list = Type::sequence(Type::unranked(DType::f32));
  Build b;
  b.input(count);
  const ValueId go = b.input(flag), s = b.input(list), x = b.input(scalar);
  const ValueId next = b.binary(BinaryKind::mul, x, b.number(2));
  const auto body = b.body({go, b.add(schema::SequenceInsert{}, {s, x})[0], next});
  Build g;
  const ValueId empty = g.add(schema::SequenceConstruct{}, {})[0];
  g.output(g.add(Loop{2}, {g.input(count), ValueId::none, empty, g.number(1)}, 2, {body})[0]);
  const auto out = run_graph(g.graph, {i64({}, {4})});
  ASSERT_EQ(out[0].items.size(), 4u);
  EXPECT_EQ(values(out[0].items[3]), (Numbers{8}));
}

TEST(LoopOp, NestedLoopsThatGrowAreInferredInTime) {
  std::shared_ptr<const Graph> body;
  for (int depth = 0; depth < 20; ++depth) {
    Build b;
    const ValueId trips = b.input(count), go = b.input(flag), x = b.input(Type::unranked(DType::f32));
    const ValueId grown = body ? b.add(Loop{1}, {trips, ValueId::none, x}, 1, {body})[0] : b.add(Concat{0}, {x, x})[0];
    body = b.body({go, grown});
  }
  Build g;
  EXPECT_FALSE(g.graph[g.add(Loop{1}, {g.input(count), ValueId::none, g.input(Type::tensor(DType::f32, Shape{1}))}, 1, {body})[0]].type.determined());
}

TEST(LoopOp, Errors) {
  Build g;
  const auto body = fibonacci(false);
  EXPECT_THROW(g.add(Loop{1}, {ValueId::none, ValueId::none, g.number(0)}, 2, {body}), Error);
  EXPECT_THROW(g.add(Loop{2}, {ValueId::none, ValueId::none, g.number(0), g.number(1)}, 4, {body}), Error);
  EXPECT_THROW(g.add(Loop{2}, {g.number(3), ValueId::none, g.number(0), g.number(1)}, 3, {body}), Error);
  EXPECT_THROW(g.add(Loop{2}, {ValueId::none, ValueId::none, g.number(0), g.number(1)}, 3), Error);
}

// --- Scan ------------------------------------------------------------------------------------------------------------

std::shared_ptr<const Graph> running_sum() {
  Build b;
  const Type row = Type::tensor(DType::f32, Shape{2});
  const ValueId sum = b.binary(BinaryKind::add, b.input(row), b.input(row));
  return b.body({sum, sum});
}

TEST(ScanOp, Sums) {
  Build g;
  const ValueId zero = g.graph.add_constant(f32({2}, {0, 0})), x = g.input(Type::tensor(DType::f32, {Dim::symbol("n"), 2}));
  const ValueIds y = g.add(Scan{1, 1, {}, {}, {}, {}}, {zero, x}, 2, {running_sum()});
  for (ValueId v : y) g.output(v);
  EXPECT_EQ(to_text(g.graph[y[1]].type), "f32[n,2]");
  const auto out = run_graph(g.graph, {f32_iota({3, 2})});
  EXPECT_EQ(values(out[0]), (Numbers{6, 9}));
  EXPECT_EQ(values(out[1]), (Numbers{0, 1, 2, 4, 6, 9}));
  EXPECT_EQ(run_graph(g.graph, {f32({0, 2}, {})})[1].shape, (Shape{0, 2}));
}

TEST(ScanOp, AxesAndDirections) {
  Build g;
  const ValueId zero = g.graph.add_constant(f32({2}, {0, 0})), x = g.input(Type::tensor(DType::f32, Shape{2, 3}));
  g.output(g.add(Scan{1, 1, {1}, {1}, {-1}, {1}}, {zero, x}, 2, {running_sum()})[1]);
  // Columns from the last on: their sums, the last one first, side by side.
  EXPECT_EQ(values(run_graph(g.graph, {f32_iota({2, 3})})[0]), (Numbers{3, 3, 2, 12, 9, 5}));
}

TEST(ScanOp, Errors) {
  Build g;
  const ValueId zero = g.graph.add_constant(f32({2}, {0, 0})), x = g.input(Type::tensor(DType::f32, Shape{2, 3}));
  EXPECT_THROW(g.add(Scan{1, 1, {2}, {}, {}, {}}, {zero, x}, 2, {running_sum()}), Error);
  EXPECT_THROW(g.add(Scan{1, 1, {}, {2}, {}, {}}, {zero, x}, 2, {running_sum()}), Error);
  EXPECT_THROW(g.add(Scan{1, 1, {0, 0}, {}, {}, {}}, {zero, x}, 2, {running_sum()}), Error);
  EXPECT_THROW(g.add(Scan{1, 2, {}, {}, {}, {}}, {zero, x}, 2, {running_sum()}), Error);
}
}  // namespace
}  // namespace engine
