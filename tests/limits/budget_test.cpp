// Models that want too much memory, work or time: each ends with an error of code limit that names the node, and never
// holds more than it may on its way there.
#include <gtest/gtest.h>
#include "kernels/threads.h"
#include "tests/engine/graphs.h"
#include "tests/limits/bytes.h"

namespace engine {
namespace {
using namespace test;
constexpr int64_t megabyte = 1 << 20;

ValueId number(Graph& graph, int64_t value) { return graph.add_constant(make_scalar(DType::i64, value)); }

// repeats `body` on a value of the type given: inputs i, go, v; outputs go, and what `step` makes of v.
using Step = std::function<ValueId(Graph&, Rewriter&, ValueId i, ValueId v)>;
Graph loop_of(Type type, const Step& step, int64_t carried = 1) {
  Graph body;
  const ValueId i = body.add_input("i", Type::scalar(DType::i64)), go = body.add_input("go", Type::scalar(DType::boolean)), v = body.add_input("v", type);
  Rewriter in(body);
  const ValueId kept = in.add(schema::Identity{}, {go}, {"go"})[0];
  const ValueId made = step(body, in, i, v);
  body.outputs = {{"go", kept}, {"v", carried ? made : v}};
  if (!carried) body.outputs = {{"go", kept}, {"made", made}};
  Graph graph;
  const ValueId x = graph.add_input("x", type), count = graph.add_input("count", Type::scalar(DType::i64));
  Rewriter r(graph);
  ValueIds inputs{count, ValueId::none, x};
  graph.outputs = {{"y", r.add(schema::Loop{carried}, inputs, {"repeat (Loop)"}, 1, {std::make_shared<const Graph>(body)})[0]}};
  return graph;
}

struct Limits {
  int64_t memory = 64 * megabyte;
  double work = Budget::no_limit, seconds = 60;
};
// Runs with the input, a count of 2^60 where there is a second one, and expects an error with these words.
void expect_limit(Graph graph, const Object& x, std::initializer_list<const char*> words, const Limits& limits = {}) {
  CompileOptions options;
  options.max_arena_bytes = options.max_memory_bytes = limits.memory, options.max_work = limits.work;
  kernels::ThreadPool pool(1);
  SessionOptions session_options;
  session_options.pool = &pool, session_options.time_limit = limits.seconds;
  verify(graph);
  const auto model = std::make_shared<const Model>(std::move(graph), options);
  const ConstantPtr count = make_scalar(DType::i64, int64_t{1} << 60);
  const int64_t before = bytes_held();
  forget_most_bytes();
  {
    Session session(model, session_options);
    session.set_input(0, x.view());
    if (model->inputs() > 1) session.set_input(1, count->view());
    Code code = {};
    std::string text;
    const auto start = std::chrono::steady_clock::now();
    try {
      session.run();
    } catch (const Error& e) {
      code = e.code, text = e.what();
    }
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    EXPECT_EQ(code, limits.seconds < 1 ? Code::timeout : Code::limit) << text;
    for (const char* word : words) EXPECT_NE(text.find(word), std::string::npos) << "'" << text << "' lacks '" << word << "'";
    EXPECT_LE(session.budget().most_held(), limits.memory);
    EXPECT_LE(seconds, limits.seconds + 5) << text;
    if (counts_bytes) {
      EXPECT_LE(most_bytes_held() - before, limits.memory + 4 * megabyte) << text;  // and what describes plans
    }
  }
}
Object tensor_of(DType dtype, const Shape& shape) {
  Object x;
  const View view = x.set_tensor(dtype, shape);
  if (dtype != DType::string) std::fill_n(view.data, view.bytes(), std::byte{1});
  return x;
}

TEST(Budget, SizesFoundAtRun) {
  const auto with_size = [](auto add) {
    Graph graph;
    const ValueId x = graph.add_input("x", Type::tensor(DType::i64, Dims{1}));
    Rewriter r(graph);
    // The size is not known to the plan: it is read through NonZero.
    const ValueId found = r.add(schema::Gather{}, {x, r.add(schema::Reshape{}, {r.add(schema::NonZero{}, {x}, {"found"})[0], graph.add_constant(make_ints({-1}))}, {"flat"})[0]}, {"size"})[0];
    graph.outputs = {{"y", add(graph, r, found)}};
    return graph;
  };
  Object size = tensor_of(DType::i64, {1});
  for (int64_t n : {int64_t{20'000'000}, int64_t{1} << 38, int64_t{1} << 50, INT64_MAX}) {
    store(size.view(), 0, Int(n));
    expect_limit(with_size([](Graph& g, Rewriter& r, ValueId n) { return r.add(schema::ConstantOfShape{}, {n, g.add_constant(make_scalar(DType::f32, 1.0))}, {"fill"})[0]; }), size, {"fill"});
    expect_limit(with_size([](Graph& g, Rewriter& r, ValueId n) { return r.add(schema::Expand{}, {g.add_constant(make_scalar(DType::f32, 1.0)), n}, {"wide"})[0]; }), size, {"wide"});
    expect_limit(with_size([](Graph& g, Rewriter& r, ValueId n) { return r.add(schema::Tile{}, {g.add_constant(f32({1}, {1})), n}, {"tile"})[0]; }), size, {"tile"});
    expect_limit(with_size([](Graph& g, Rewriter& r, ValueId n) {
      const ValueId limit = r.add(schema::Squeeze{}, {n}, {"scalar"})[0];
      return r.add(schema::Range{}, {number(g, 0), limit, number(g, 1)}, {"range"})[0];
    }), size, {"range"});
  }
}

TEST(Budget, ArenaAndFoldedConstants) {
  Graph graph;
  const ValueId x = graph.add_input("x", f32_type({Dim::symbol("n"), 1}));
  Rewriter r(graph);
  graph.outputs = {{"y", r.add(schema::MatMul{}, {x, graph.add_constant(f32_iota({1, 1000}))}, {"product"})[0]}};
  expect_limit(graph, tensor_of(DType::f32, {20000, 1}), {"arena", "67108864"});

  Graph folded;  // constants of 16 MB each
  const ValueId y = folded.add_input("x", f32_type({1}));
  Rewriter f(folded);
  for (int k = 0; k < 6; ++k) {
    const ValueId wide = f.add(schema::ConstantOfShape{}, {folded.add_constant(make_ints({4'000'000 + k})), folded.add_constant(make_scalar(DType::f32, 1.0))}, {cat("fill", k)})[0];
    folded.outputs.push_back({cat("y", k), binary(f, BinaryKind::add, wide, y)});
  }
  expect_limit(folded, tensor_of(DType::f32, {1}), {"of 67108864"});
}

TEST(Budget, LoopsThatKeepWhatTheyMake) {
  const auto twice = [](Graph&, Rewriter& r, ValueId, ValueId v) { return r.add(schema::Concat{0}, {v, v}, {"twice"})[0]; };
  expect_limit(loop_of(Type::tensor(DType::f32, Dims{Dim::unknown()}), twice), tensor_of(DType::f32, {3}), {"repeat (Loop)"});
  const auto text = [](Graph&, Rewriter& r, ValueId, ValueId v) { return r.add(schema::StringConcat{}, {v, v}, {"text"})[0]; };
  Object word = tensor_of(DType::string, {2});
  word.strings[0] = "word";
  expect_limit(loop_of(Type::tensor(DType::string, Dims{2}), text), word, {"repeat (Loop)"});
  const auto stack = [](Graph&, Rewriter& r, ValueId, ValueId v) { return unary(r, UnaryKind::neg, v); };
  expect_limit(loop_of(f32_type({30000}), stack, 0), tensor_of(DType::f32, {30000}), {"repeat (Loop)"});
  const auto insert = [](Graph& g, Rewriter& r, ValueId, ValueId v) { return r.add(schema::SequenceInsert{}, {v, g.add_constant(f32_iota({100'000}))}, {"insert"})[0]; };
  Object sequence;
  sequence.set_empty(ValueKind::sequence, DType::f32);
  expect_limit(loop_of(Type::sequence(Type::unranked(DType::f32)), insert), sequence, {"repeat (Loop)"});
}

TEST(Budget, LongStringsManyTimes) {
  Graph graph;
  const ValueId x = graph.add_input("x", Type::tensor(DType::string, Dims{1}));
  Rewriter r(graph);
  graph.outputs = {{"y", r.add(schema::Expand{}, {x, graph.add_constant(make_ints({10'000}))}, {"wide"})[0]}};
  Object word = tensor_of(DType::string, {1});
  word.strings[0].assign(100'000, 'x');
  expect_limit(graph, word, {"wide"});
}

TEST(Budget, ScratchOfReferences) {
  Graph graph;  // one byte in, 32 numbers out
  const ValueId x = graph.add_input("x", Type::tensor(DType::u8, Shape{1, 1, 1, 1, 1, 1, 1, 8'000'000}));
  Rewriter r(graph);
  graph.outputs = {{"y", r.add(schema::NonZero{}, {x}, {"found"})[0]}};
  expect_limit(graph, tensor_of(DType::u8, {1, 1, 1, 1, 1, 1, 1, 8'000'000}), {"found"});
}

TEST(Budget, WorkAndTime) {
  const auto same = [](Graph&, Rewriter& r, ValueId, ValueId v) { return unary(r, UnaryKind::neg, v); };
  expect_limit(loop_of(f32_type({10}), same), tensor_of(DType::f32, {10}), {"repeat (Loop)", "operations"}, {.work = 1e7});
  expect_limit(loop_of(f32_type({10}), same), tensor_of(DType::f32, {10}), {"repeat (Loop)", "deadline"}, {.seconds = 0.2});
  Graph graph;
  const ValueId x = graph.add_input("x", f32_type({1000, 1000}));
  Rewriter r(graph);
  graph.outputs = {{"y", r.add(schema::MatMul{}, {x, x}, {"product"})[0]}};
  expect_limit(graph, tensor_of(DType::f32, {1000, 1000}), {"product", "operations"}, {.work = 1e9});
}

TEST(Budget, ASessionGoesOnAfterALimit) {
  CompileOptions options;
  options.max_memory_bytes = 8 * megabyte;
  Graph graph;
  const ValueId x = graph.add_input("x", f32_type({Dim::symbol("n")}));
  Rewriter r(graph);
  graph.outputs = {{"y", unary(r, UnaryKind::neg, x)}};
  Session session(std::make_shared<const Model>(std::move(graph), options));
  const Object large = tensor_of(DType::f32, {4'000'000}), small = tensor_of(DType::f32, {4});
  for (int i = 0; i < 3; ++i) {
    session.set_input(0, large.view());
    EXPECT_ERROR(session.run(), "8388608");
    session.set_input(0, small.view());
    session.run();
    EXPECT_EQ(session.output(0).elements(), 4);
  }
  EXPECT_LE(session.budget().held(), 8 * megabyte);
}
}  // namespace
}  // namespace engine
