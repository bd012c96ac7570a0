// Ops that the application brings: bound to graphs, run by sessions, kept in files.
#include "engine/custom.h"
#include <algorithm>
#include "engine/graph_text.h"
#include "engine/passes/passes.h"
#include "tests/engine/stored_graph.h"

namespace engine {
namespace {
using namespace test;
using schema::Custom;

Custom op(std::string name, schema::Attributes attributes = {}, schema::DTypes outputs = {DType::f32}) {
  return {"my.domain", std::move(name), 1, std::move(attributes), std::move(outputs), 0};
}
double factor(const Custom& op) { return op.attributes.empty() ? 1 : std::get<double>(op.attributes[0].value); }

// y = x * factor, of x's type.
CustomOp scale() {
  return {"my.domain", "Scale", [](const Custom&, std::span<const Type> in) { return Types{in[0]}; },
          [](const Custom& op, RunContext& c) {
            const View y = c.set_out(0, c.in(0).dtype, c.in(0).shape);
            for (int64_t i = 0; i < y.elements(); ++i) store(y, i, load<double>(c.in(0), i) * factor(op));
          }};
}
// The elements above 0, and how many they are: sizes that only the run tells.
CustomOp positive(bool with_types) {
  CustomOp op{"my.domain", "Positive", {}, [](const Custom&, RunContext& c) {
                Numbers kept;
                for (double v : numbers(c.in(0)))
                  if (v > 0) kept.push_back(v);
                const int64_t count = int64_t(kept.size());
                const View y = c.set_out(0, DType::f32, std::span(&count, 1));
                for (size_t i = 0; i < kept.size(); ++i) store(y, int64_t(i), kept[i]);
                store(c.set_out(1, DType::i64, {}), 0, Int(count));
              }};
  if (with_types)
    op.infer = [](const Custom&, std::span<const Type>) {
      return Types{f32_type({Dim::unknown()}), Type::scalar(DType::i64)};
    };
  return op;
}
// One custom op between two nodes that are not.
Graph graph_of(Custom op, Dims dims = {2, 3}) {
  Graph graph;
  const ValueId x = graph.add_input("x", f32_type(std::move(dims)));
  Rewriter r(graph);
  const size_t outputs = op.outputs.size();
  const ValueIds y = r.add(std::move(op), {unary(r, UnaryKind::neg, x)}, {"node (Foo)"}, outputs);
  graph.outputs.push_back({"y", unary(r, UnaryKind::abs, y[0])});
  for (size_t k = 1; k < outputs; ++k) graph.outputs.push_back({cat("y", k), y[k]});
  return graph;
}
std::shared_ptr<const Model> model_with(Graph graph, std::vector<CustomOp> ops, CompileOptions options = {}) {
  return std::make_shared<const Model>(std::move(graph), std::move(options), make_custom_ops(std::move(ops)));
}
Numbers run(Session& session, const ConstantPtr& x, size_t k = 0) {
  session.set_input(0, x->view());
  session.run();
  return numbers(session.output(k));
}

TEST(CustomOps, RunInASession) {
  for (bool reference_only : {false, true}) {
    Session session(
        model_with(graph_of(op("Scale", {{"factor", 2.5}})), {scale()},
                   {.isa = kernels::isa::detected(), .reference_only = reference_only, .disabled_passes = {}}));
    EXPECT_EQ(to_text(session.model().output_type(0)), "f32[2,3]");
    EXPECT_EQ(run(session, f32({2, 3}, {1, -2, 3, 4, 5, 6})), (Numbers{2.5, 5, 7.5, 10, 12.5, 15}));
    EXPECT_EQ(session.frame().tail(), nullptr);  // its sizes are known: one plan
  }
}

TEST(CustomOps, SizesFoundAtRun) {
  for (bool with_types : {false, true}) {
    Session session(
        model_with(graph_of(op("Positive", {}, {DType::f32, DType::i64}), {Dim::symbol("n")}), {positive(with_types)}));
    for (const Numbers& x : {Numbers{-1, 2, -3}, Numbers{-4, -5}, Numbers{1}, Numbers{}, Numbers{-7, -8}}) {
      Numbers want;
      for (double v : x)
        if (v < 0) want.push_back(-v);
      EXPECT_EQ(run(session, f32({int64_t(x.size())}, x)), want);
      EXPECT_EQ(numbers(session.output(1)), Numbers{double(want.size())});
      EXPECT_EQ(session.output(1).dtype, DType::i64);
    }
  }
}

// An If whose branches scale by 10, and by 100, what the graph around has scaled by 2.
Graph graph_with_bodies() {
  const auto branch = [](double by) {
    auto body = std::make_shared<Graph>();
    const ValueId x = body->add_input("x", Type::unranked(DType::f32));
    Rewriter r(*body);
    body->outputs = {{"y", r.add(op("Scale", {{"factor", by}}), {x}, {cat("by ", by, " (Scale)")})[0]}};
    return std::shared_ptr<const Graph>(std::move(body));
  };
  Graph graph;
  const ValueId x = graph.add_input("x", f32_type({2})), flag = graph.add_input("flag", Type::scalar(DType::boolean));
  Rewriter r(graph);
  const ValueId twice = r.add(op("Scale", {{"factor", 2.0}}), {x}, {"twice (Scale)"})[0];
  graph.outputs = {{"y", r.add(schema::If{}, {flag, twice}, {"choose (If)"}, 1, {branch(10), branch(100)})[0]}};
  return graph;
}

TEST(CustomOps, InsideBodies) {
  Session session(model_with(graph_with_bodies(), {scale()}));
  EXPECT_EQ(to_text(session.model().output_type(0)), "f32[2]");
  for (bool yes : {true, false, true}) {
    const ConstantPtr flag = make_scalar(DType::boolean, int64_t(yes));
    session.set_input(1, flag->view());
    EXPECT_EQ(run(session, f32({2}, {1, -3})), yes ? (Numbers{20, -60}) : (Numbers{200, -600}));
  }
}

TEST(CustomOps, EveryMissingOneIsNamed) {
  const Graph unbound = graph_with_bodies();
  EXPECT_EQ(to_text(unbound[unbound.outputs[0].value].type), "f32[...]");
  Session session(model_of(unbound));  // which can be looked at
  const ConstantPtr x = f32({2}, {1, 2}), flag = make_scalar(DType::boolean, int64_t{1});
  session.set_input(0, x->view()), session.set_input(1, flag->view());
  EXPECT_ERROR(session.run(), "custom op 'my.domain::Scale' of node twice (Scale) is not registered", "by 10 (Scale)",
               "by 100 (Scale)");
  EXPECT_ERROR(model_with(unbound, {positive(true)}), "twice (Scale)", "by 10 (Scale)", "by 100 (Scale)");
  try {
    compile(unbound, input_types(unbound), {});
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code, Code::unsupported);
  }
  // Half of them.
  Graph two = graph_of(op("Scale"));
  Rewriter r(two);
  two.outputs.push_back({"z", r.add(op("Positive"), {two.inputs[0]}, {"other (Positive)"})[0]});
  EXPECT_ERROR(model_with(two, {scale()}), "'my.domain::Positive' of node other (Positive)");
  EXPECT_EQ(error_of([&] { model_with(two, {scale()}); }).find("node (Foo)"), std::string::npos);
}

TEST(CustomOps, Registration) {
  EXPECT_ERROR(make_custom_ops({scale(), scale()}), "my.domain::Scale", "twice");
  EXPECT_ERROR(make_custom_ops({{"d", "", {}, scale().run}}), "no name");
  EXPECT_ERROR(make_custom_ops({{"d", "Op", {}, {}}}), "d::Op", "no function to run");
  auto first = make_custom_ops({scale()});
  const auto second = make_custom_ops({scale()});
  EXPECT_NE(first->find("my.domain", "Scale"), second->find("my.domain", "Scale"));
  EXPECT_EQ(first->find("other.domain", "Scale"), 0);
  Graph graph = graph_of(op("Scale"));
  bind_custom_ops(graph, *first);
  verify(graph);
  first = nullptr;
  EXPECT_ERROR(verify(graph), "node (Foo)", "'my.domain::Scale' is not registered any more");
  bind_custom_ops(graph, *second);
  verify(graph);
}

TEST(CustomOps, AModelKeepsItsOwn) {
  auto ops = make_custom_ops({scale()});
  auto model = std::make_shared<const Model>(graph_of(op("Scale")), CompileOptions(), ops);
  const std::weak_ptr<const CustomOpSet> watched = ops;
  ops = nullptr;
  {
    Session session(std::exchange(model, nullptr));
    EXPECT_EQ(run(session, f32({2, 3}, {1, 2, 3, 4, 5, 6})), (Numbers{1, 2, 3, 4, 5, 6}));
    EXPECT_FALSE(watched.expired());
  }
  EXPECT_TRUE(watched.expired());
}

TEST(CustomOps, InFiles) {
  const schema::Attributes every = {{"i", 3},
                                    {"zero", 0},
                                    {"f", 0.5},
                                    {"s", std::string("a \"b\"")},
                                    {"is", schema::Ints{1, -2}},
                                    {"fs", std::vector<double>{1, 1e30, INFINITY}},
                                    {"ss", schema::Strings{"x", ""}},
                                    {"none", schema::Ints{}}};
  const Graph graph = graph_of(op("Positive", every, {DType::f32, DType::i64}));
  const Stored stored = store(graph);
  const Graph again = read(stored.section, stored.weights);
  verify(again);
  EXPECT_EQ(again.nodes[1].op, graph.nodes[1].op);
  EXPECT_EQ(to_text(again[again.nodes[1].outputs[1]].type), "i64[...]");
  EXPECT_EQ(parse_op(to_text(graph.nodes[1].op)), graph.nodes[1].op) << to_text(graph.nodes[1].op);
  Session session(model_with(again, {positive(true)}));
  EXPECT_EQ(run(session, f32({2, 3}, {-1, 2, 3, -4, 5, 6})), (Numbers{1, 4}));
}

TEST(CustomOps, NoFileHoldsABinding) {
  Graph graph = graph_of(op("Scale"));
  const auto ops = make_custom_ops({scale()});
  bind_custom_ops(graph, *ops);
  EXPECT_ERROR(store(graph), "node (Foo)", "cannot be saved");
  const std::string file = store(graph_of(op("Scale"))).section;
  std::string forged = file;  // a field of the length of "binding", which holds another one's name
  const size_t at = forged.find("outputs");
  ASSERT_NE(at, std::string::npos);
  forged.replace(at, 7, "binding");
  EXPECT_ERROR(read(forged, {}), "node (Foo)", "binding");
}

TEST(CustomOps, AreNotFolded) {
  for (const char* text :
       {"const c f32[2] {1,2}\ny = Custom domain=\"my.domain\" name=\"Scale\" outputs=f32 (c)\noutput y\n"}) {
    Graph graph = parse_graph(text);
    EXPECT_FALSE(fold_constants(graph));
    ASSERT_EQ(graph.nodes.size(), 1u);
    int runs = 0;
    CustomOp counted = scale();
    counted.run = [&runs, inner = counted.run](const Custom& op, RunContext& c) { ++runs, inner(op, c); };
    Session session(model_with(graph, {counted}));
    session.prepare();
    EXPECT_EQ(runs, 0);
    session.run();
    EXPECT_EQ(runs, 1);
    EXPECT_EQ(numbers(session.output(0)), (Numbers{1, 2}));
  }
}

TEST(CustomOps, EqualOnesAreOne) {
  const auto nodes_left = [](const Custom& a, const Custom& b) {
    Graph graph;
    const ValueId x = graph.add_input("x", f32_type({2}));
    Rewriter r(graph);
    graph.outputs = {{"a", r.add(a, {x}, {"a (Foo)"})[0]}, {"b", r.add(b, {x}, {"b (Foo)"})[0]}};
    eliminate_common(graph);
    return graph.nodes.size();
  };
  const Custom one = op("Scale", {{"factor", 2.0}});
  EXPECT_EQ(nodes_left(one, one), 1u);
  EXPECT_EQ(nodes_left(one, op("Scale", {{"factor", 3.0}})), 2u);
  EXPECT_EQ(nodes_left(one, op("Scale", {{"factor", 2}})), 2u);
  EXPECT_EQ(nodes_left(one, op("Other", {{"factor", 2.0}})), 2u);
}

TEST(CustomOps, WhatTheyDoWrongIsSaid) {
  const auto error = [](CustomOp custom) {
    custom.domain = "my.domain", custom.name = "Foo";
    return error_of([&] {
      Session session(model_with(graph_of(op("Foo")), {custom}));
      run(session, f32({2, 3}, {1, 2, 3, 4, 5, 6}));
    });
  };
  const auto expect = [&](CustomOp custom, const char* words) {
    const std::string text = error(std::move(custom));
    for (const char* part : {"node (Foo)", words}) EXPECT_NE(text.find(part), std::string::npos) << text;
  };
  const auto nothing = [](const Custom&, RunContext&) {};
  const auto same = [](const Custom&, std::span<const Type> in) { return Types{in[0]}; };
  expect({{}, {}, {}, nothing}, "has not set output 0");
  expect({{}, {}, {}, [](const Custom&, RunContext& c) { c.set_out(0, DType::i32, {}); }}, "where f32 was expected");
  expect({{}, {}, {}, [](const Custom&, RunContext&) { throw std::runtime_error("out of ink"); }}, "out of ink");
  expect({{}, {}, same, [](const Custom&, RunContext& c) { c.set_out(0, DType::f32, {}); }}, "was planned");
  expect({{}, {}, [](const Custom&, std::span<const Type>) { return Types(); }, nothing},
         "tells 0 output types, not 1");
  expect({{}, {}, [](const Custom&, std::span<const Type>) -> Types { throw std::runtime_error("no type"); }, nothing},
         "no type");
  expect({{}, {}, [](const Custom&, std::span<const Type>) { return Types{absent_type()}; }, nothing}, "no tensor");
  expect({{}, {}, [](const Custom&, std::span<const Type>) { return Types{f32_type({-1})}; }, nothing}, "extent -1");
}

TEST(CustomOps, InputsMayBeAbsentAndOutputsStrings) {
  CustomOp custom{"my.domain", "Words",
                  [](const Custom&, std::span<const Type> in) {
                    EXPECT_EQ(in.size(), 2u);
                    EXPECT_TRUE(is_absent(in[0]));
                    EXPECT_FALSE(is_absent(in[1]));
                    return Types{Type::tensor(DType::string, in[1].dims)};
                  },
                  [](const Custom&, RunContext& c) {
                    EXPECT_FALSE(c.has(0));
                    const View y = c.set_out(0, DType::string, c.in(1).shape);
                    for (int64_t i = 0; i < y.elements(); ++i)
                      y.as<std::string>()[size_t(i)] = cat("word ", load<double>(c.in(1), i));
                  }};
  Graph graph;
  const ValueId x = graph.add_input("x", f32_type({2}));
  graph.outputs = {{"y", Rewriter(graph).add(op("Words", {}, {DType::string}), {ValueId::none, x}, {"w (Words)"})[0]}};
  Session session(model_with(graph, {custom}));
  const ConstantPtr value = f32({2}, {1, 2});
  session.set_input(0, value->view());
  session.run();
  EXPECT_EQ(session.output(0).as<std::string>()[1], "word 2");
}
}  // namespace
}  // namespace engine
