// What attention is written as becomes one step, with the same results.
#include "engine/graph_text.h"
#include "engine/passes/passes.h"
#include "engine/passes/target.h"
#include "tests/engine/compiled.h"

namespace engine {
namespace {
using namespace test;
using schema::BinaryKind, schema::UnaryKind;

struct Attentive : Built {
  ValueId number(double value, Shape shape = {}) {
    Object object;
    const View view = object.set_tensor(DType::f32, shape);
    for (int64_t i = 0; i < view.elements(); ++i) store(view, i, value);
    return graph.add_constant(make_constant(std::as_const(object).view()));
  }
  ValueId transpose(ValueId v, schema::Ints perm) { return r.add(schema::Transpose{std::move(perm)}, {v}, {"transpose"})[0]; }
  ValueId softmax(ValueId v) { return r.add(schema::Softmax{}, {v}, {"softmax"})[0]; }
  ValueId product(ValueId a, ValueId b, bool transposed = false) { return r.add(schema::MatMul{false, transposed}, {a, b}, {"product"})[0]; }
  // [2,7,3,8] of queries, [2,9,3,8] of keys and values, heads behind rows
  ValueId q = transpose(input({2, 7, 3, 8}), {0, 2, 1, 3}), k4 = input({2, 9, 3, 8}), v = transpose(input({2, 9, 3, 8}), {0, 2, 1, 3});
};
bool fused(const std::vector<std::string>& steps, size_t number = 1) {
  return count(steps, "Attention") == 1 && count(steps, "Softmax") == 0 && count(steps, "MatMul") == 0 && steps.size() == number;
}

TEST(FuseAttention, HeadsBecomeStrides) {
  Attentive b;
  const ValueId scores = binary(b.r, BinaryKind::div, b.product(b.q, b.transpose(b.k4, {0, 2, 3, 1})), b.number(2.5));
  b.output(b.transpose(b.product(b.softmax(scores), b.v), {0, 2, 1, 3}));
  const auto steps = steps_of(b.graph);
  EXPECT_TRUE(fused(steps)) << testing::PrintToString(steps);
}

// Batch and heads in one dim, as PyTorch's MultiheadAttention has them: [S,N,D] of queries, [T,N,D] of keys and values.
TEST(FuseAttention, OfThreeDims) {
  for (const bool masked : {false, true}) {
    Attentive b;
    const ValueId q = binary(b.r, BinaryKind::mul, b.transpose(b.input({7, 6, 8}), {1, 0, 2}), b.number(0.4)), k = b.input({9, 6, 8}), v = b.transpose(b.input({9, 6, 8}), {1, 0, 2});
    ValueId scores = b.product(q, b.transpose(k, {1, 2, 0}));
    if (masked) scores = binary(b.r, BinaryKind::add, scores, b.input({6, 7, 9}));
    b.output(b.transpose(b.product(b.softmax(scores), v), {1, 0, 2}));
    EXPECT_TRUE(fused(steps_of(b.graph)));
  }
  Attentive b;
  b.output(b.product(b.softmax(b.product(b.input({4, 7, 8}), b.transpose(b.input({4, 9, 8}), {0, 2, 1}))), b.input({4, 9, 8})));
  EXPECT_TRUE(fused(steps_of(b.graph)));
}

TEST(FuseAttention, ScalesBeforeTheProduct) {
  Attentive b;
  const ValueId q = binary(b.r, BinaryKind::mul, b.q, b.number(0.5)), k = binary(b.r, BinaryKind::mul, b.transpose(b.k4, {0, 2, 1, 3}), b.number(0.25));
  b.output(b.product(b.softmax(b.product(q, k, true)), b.v));
  const auto steps = steps_of(b.graph);
  EXPECT_TRUE(fused(steps)) << testing::PrintToString(steps);
}

TEST(FuseAttention, Masks) {
  for (const Dims& dims : {Dims{9}, Dims{7, 9}, Dims{2, 1, 1, 9}, Dims{2, 3, 7, 9}}) {
    Attentive b;
    const ValueId scores = binary(b.r, BinaryKind::mul, b.product(b.q, b.transpose(b.k4, {0, 2, 3, 1})), b.number(0.3));
    b.output(b.product(b.softmax(binary(b.r, BinaryKind::add, b.input(dims), scores)), b.v));
    const auto steps = steps_of(b.graph);
    EXPECT_TRUE(fused(steps)) << testing::PrintToString(steps);
  }
}

// Lower triangles: keys up to one behind the query.
ConstantPtr triangle(int64_t rows, int64_t columns, int64_t more) {
  Object object;
  const View view = object.set_tensor(DType::boolean, Shape{1, 1, rows, columns});
  for (int64_t i = 0; i < rows * columns; ++i) store(view, i, Int(i % columns <= i / columns + more));
  return make_constant(std::as_const(object).view());
}

TEST(FuseAttention, ACausalMaskAndAnother) {
  for (const double value : {-1e4, -double(INFINITY), -3.4028234663852886e38}) {
    Attentive b;
    const ValueId scores = b.product(b.q, b.transpose(b.k4, {0, 2, 3, 1})), condition = b.graph.add_constant(triangle(7, 9, 0));
    const ValueId masked = b.r.add(schema::Where{}, {condition, scores, b.number(value)}, {"where"})[0];
    b.output(b.product(b.softmax(binary(b.r, BinaryKind::add, masked, b.input({2, 1, 1, 9}))), b.v));
    const auto steps = steps_of(b.graph);
    EXPECT_TRUE(fused(steps, 2)) << testing::PrintToString(steps);  // and the masks are added up
  }
}

// As a general product of many dims is made: both operands with what is summed over last.
TEST(FuseAttention, ValuesTransposed) {
  for (const bool rows_first : {false, true}) {
    Attentive b;
    const ValueId k = b.transpose(b.k4, {0, 2, 1, 3}), v = rows_first ? b.transpose(b.input({2, 9, 3, 8}), {0, 2, 3, 1}) : b.transpose(b.input({2, 3, 9, 8}), {0, 1, 3, 2});
    b.output(b.product(b.softmax(b.product(b.q, k, true)), v, true));
    EXPECT_TRUE(fused(steps_of(b.graph)));
  }
}

// A mask that only the run knows.
TEST(FuseAttention, AMaskOfTheRun) {
  for (const bool keeps : {false, true}) {
    Attentive b;
    const ValueId condition = binary(b.r, BinaryKind::less, b.input({2, 1, 1, 9}), b.number(0.3)), scores = b.product(b.q, b.transpose(b.k4, {0, 2, 3, 1})), least = b.number(-3.4028234663852886e38);
    b.output(b.product(b.softmax(b.r.add(schema::Where{}, {condition, keeps ? scores : least, keeps ? least : scores}, {"where"})[0]), b.v));
    EXPECT_TRUE(fused(steps_of(b.graph), 3));  // and the comparison, and the mask of it
  }
}

// Heads of keys and values that several of the queries' share.
TEST(FuseAttention, RepeatedHeads) {
  Attentive b;
  const auto ints = [&](schema::Ints values) { return b.graph.add_constant(make_ints(values)); };
  const auto repeated = [&](ValueId v) {
    const ValueId split = b.r.add(schema::Unsqueeze{}, {v, ints({2})}, {"split"})[0];
    return b.r.add(schema::Reshape{}, {b.r.add(schema::Expand{}, {split, ints({2, 2, 3, 9, 8})}, {"expand"})[0], ints({2, 6, 9, 8})}, {"join"})[0];
  };
  const ValueId k = repeated(b.transpose(b.input({2, 9, 2, 8}), {0, 2, 1, 3})), v = repeated(b.input({2, 2, 9, 8}));
  b.output(b.product(b.softmax(b.product(b.input({2, 6, 7, 8}), b.transpose(k, {0, 1, 3, 2}))), v));
  const auto steps = steps_of(b.graph);
  EXPECT_TRUE(fused(steps)) << testing::PrintToString(steps);
}

TEST(FuseAttention, QueriesWithoutAKey) {
  Attentive b;
  const ValueId mask = b.graph.add_constant(make_constant(std::as_const([] {
    static Object object;
    const View view = object.set_tensor(DType::f32, Shape{7, 9});
    for (int64_t i = 0; i < 63; ++i) store(view, i, i < 18 ? -INFINITY : 0.5);
    return std::ref(object);
  }().get()).view()));
  const ValueId scores = binary(b.r, BinaryKind::add, b.product(b.q, b.transpose(b.k4, {0, 2, 3, 1})), mask);
  const ValueId axes = b.graph.add_constant(make_ints({-1}));
  const ValueId most = b.r.add(schema::Reduce{schema::ReduceKind::max}, {scores, axes}, {"most"})[0];
  const ValueId nothing = binary(b.r, BinaryKind::equal, most, b.number(-INFINITY));
  b.output(b.product(b.r.add(schema::Where{}, {nothing, b.number(0), b.softmax(scores)}, {"where"})[0], b.v));
  const auto steps = steps_of(b.graph);
  EXPECT_TRUE(fused(steps)) << testing::PrintToString(steps);
}

TEST(FuseAttention, NotWhatOnlyLooksLikeIt) {
  for (const int which : {0, 1, 2, 3, 4}) {
    Attentive b;
    const ValueId condition = b.graph.add_constant(triangle(7, 9, -1));  // the first query has no key
    ValueId scores = b.product(b.q, b.transpose(b.k4, {0, 2, 3, 1}));
    if (which == 0) scores = b.r.add(schema::Where{}, {condition, scores, b.number(-1e4)}, {"where"})[0];
    if (which == 1) scores = b.r.add(schema::Where{}, {condition, scores, b.number(-5)}, {"where"})[0];
    if (which == 2) scores = unary(b.r, UnaryKind::tanh, scores);
    const ValueId weights = b.r.add(schema::Softmax{schema::SoftmaxKind::softmax, which == 3 ? 1 : -1}, {scores}, {"softmax"})[0];
    b.output(b.product(weights, b.v));
    if (which == 4) b.output(weights);
    const auto steps = steps_of(b.graph);
    EXPECT_EQ(count(steps, "Attention"), 0) << which;
    EXPECT_EQ(count(steps, "Softmax"), 1) << which;
  }
}

TEST(FuseAttention, Text) {
  Attentive b;
  b.output(b.transpose(b.product(b.softmax(b.product(b.q, b.transpose(b.k4, {0, 2, 3, 1}))), b.v), {0, 2, 1, 3}));
  ASSERT_TRUE(fuse_attention(b.graph));
  verify(b.graph);
  EXPECT_FALSE(fuse_attention(b.graph));
  EXPECT_EQ(to_text(b.graph),
            "input x0 f32[2,7,3,8]\ninput x1 f32[2,9,3,8]\ninput x2 f32[2,9,3,8]\n"
            "v10 = Attention q_rows_first=1 k_rows_first=1 v_rows_first=1 y_rows_first=1 (x0, x1, x2)  # f32[2,7,3,8] from product; softmax; product; transpose\n"
            "output y0 = v10\n");
}

TEST(FuseAttention, ACausalMaskAlone) {
  Attentive b;
  const ValueId scores = b.product(b.q, b.transpose(b.k4, {0, 2, 3, 1})), condition = b.graph.add_constant(triangle(7, 9, 2));
  b.output(b.product(b.softmax(b.r.add(schema::Where{}, {condition, scores, b.number(-1e9)}, {"where"})[0]), b.v));
  const auto steps = steps_of(b.graph);
  EXPECT_TRUE(fused(steps)) << testing::PrintToString(steps);
}

// --- GroupQueryAttention by the same kernels.

struct Cached : Built {
  ValueId i32(schema::Ints values) {
    Object object;
    const View view = object.set_tensor(DType::i32, Shape{int64_t(values.size())});
    for (size_t i = 0; i < values.size(); ++i) store(view, int64_t(i), Int(values[i]));
    return graph.add_constant(make_constant(std::as_const(object).view()));
  }
  // 6 heads of 16, 2 of the cache. `last`: of each sequence, its tokens - 1.
  void attend(const schema::GroupQueryAttention& op, int64_t length, int64_t past, const schema::Ints& last, int64_t total, bool bias = false, bool norms = false) {
    const int64_t batch = int64_t(last.size());
    const auto none = ValueId::none;
    const auto cache = [&] { return past ? input({batch, 2, past, 16}) : none; };
    const auto table = [&] { return op.rotary ? constant({total + 1, op.interleaved ? 8 : 6}) : none; };
    const ValueIds in{input({batch, length, 96}), input({batch, length, 32}), input({batch, length, 32}), cache(), cache(), i32(last), i32({total}), table(), table(), none,
                      bias ? input({1, 6, length, total}) : none, none, norms ? constant({16}) : none, norms ? constant({16}) : none};
    for (const ValueId v : r.add(op, in, {"attention"}, 3)) output(v);
  }
};

TEST(GroupQueryAttention, IsAKernel) {
  using schema::GroupQueryAttention;
  const GroupQueryAttention plain{6, 2}, window{6, 2, 3}, capped{6, 2, -1, 0.3, 5}, turned{6, 2, -1, 0, 0, true}, interleaved{6, 2, -1, 0, 0, true, true};
  for (const GroupQueryAttention& op : {plain, window, capped, turned, interleaved}) {
    const auto check = [&](auto... arguments) {
      Cached b;
      b.attend(op, arguments...);
      const auto steps = steps_of(b.graph);
      EXPECT_EQ(steps, std::vector<std::string>{"GroupQueryAttention"});
      EXPECT_NE(run(b.graph, {}, 1).kernels.at(0), "reference");
    };
    check(7, 0, schema::Ints{6}, 7);               // a prompt
    check(1, 7, schema::Ints{7}, 8);               // a token: the cache grows
    check(1, 20, schema::Ints{7, 3}, 8);           // into a cache with room, two sequences of different lengths
    check(5, 20, schema::Ints{14, 4}, 15, true);   // several tokens behind a past, with a bias
    check(70, 0, schema::Ints{69, 30}, 70, false, true);  // the second one is padded
  }
}

// The cache of a decoder with a fixed size is extended where it lies.
TEST(GroupQueryAttention, InPlace) {
  Graph graph;
  const auto add = [&](std::string name, DType dtype, Dims dims) { return graph.add_input(std::move(name), Type::tensor(dtype, std::move(dims))); };
  const ValueId q = add("q", DType::f32, {1, 1, 96}), k = add("k", DType::f32, {1, 1, 32}), v = add("v", DType::f32, {1, 1, 32});
  const ValueId past_k = add("past_k", DType::f32, {1, 2, 30, 16}), past_v = add("past_v", DType::f32, {1, 2, 30, 16}), last = add("last", DType::i32, {1});
  const Dim total = Dim::symbol("total", 0, 30);
  const ValueId mask = add("mask", DType::i32, {1, total});
  Rewriter r(graph);
  const ValueId extents = r.add(schema::Shape{}, {mask}, {"shape"})[0], one = graph.add_constant(make_scalar(DType::i64, int64_t{1}));
  const ValueId tokens = r.add(schema::Cast{DType::i32}, {r.add(schema::Gather{}, {extents, one}, {"gather"})[0]}, {"cast"})[0];
  const ValueIds y = r.add(schema::GroupQueryAttention{6, 2}, {q, k, v, past_k, past_v, last, tokens}, {"attention"}, 3);
  graph.outputs = {{"y", y[0]}, {"k", y[1]}, {"v", y[2]}};
  graph.states = {{3, 1}, {4, 2}};
  const auto model = model_of(graph);
  CompileOptions slow;
  slow.reference_only = true;
  Session fast(model), reference(std::make_shared<const Model>(graph, slow));
  const Plan* plan = nullptr;
  const std::byte* cache = nullptr;
  for (int64_t i = 0; i < 30; ++i) {
    std::vector<ConstantPtr> in;
    for (const int64_t n : {96, 32, 32}) in.push_back(random_constant({1, 1, n}, unsigned(100 * i + n)));
    const ConstantPtr before = test::tensor(DType::i32, {1}, {double(i)}), seen = test::tensor(DType::i32, {1, i + 1}, Numbers(size_t(i + 1), 1));
    for (Session* s : {&fast, &reference}) {
      for (size_t n = 0; n < 3; ++n) s->set_input(n, in[n]->view());
      s->set_input(5, before->view()), s->set_input(6, seen->view());
      s->run();
    }
    for (size_t n = 0; n < 3; ++n) {
      const Numbers got = numbers(fast.output(n)), want = numbers(reference.output(n));
      ASSERT_EQ(got.size(), want.size());
      for (size_t e = 0; e < got.size(); ++e) ASSERT_NEAR(got[e], want[e], 1e-5) << "output " << n << " of token " << i;
    }
    if (i == 0) plan = fast.frame().plan(), cache = fast.output(1).data;
    EXPECT_EQ(fast.frame().plan(), plan);
    EXPECT_EQ(fast.output(1).data, cache) << "the cache moved";
  }
}

TEST(GroupQueryAttention, BoundedSymbolsThatDisagree) {
  Graph graph;
  const auto add = [&](const char* name, DType dtype, Dims dims) { return graph.add_input(name, Type::tensor(dtype, std::move(dims))); };
  const auto symbol = [](const char* name) { return Dim::symbol(name, 0, 8); };
  const ValueId q = add("q", DType::f32, {1, 2, 24}), k = add("k", DType::f32, {1, symbol("a"), 8}), v = add("v", DType::f32, {1, symbol("b"), 8});
  const ValueId cos = add("cos", DType::f32, {symbol("c"), 4}), sin = add("sin", DType::f32, {symbol("d"), 4});
  Rewriter r(graph);
  const auto i32 = [&](int64_t n) { return graph.add_constant(make_constant(test::tensor(DType::i32, {1}, {double(n)})->view())); };
  const ValueIds y = r.add(schema::GroupQueryAttention{3, 1, -1, 0, 0, true}, {q, k, v, ValueId::none, ValueId::none, i32(1), i32(2), cos, sin}, {"attention"}, 3);
  graph.outputs = {{"y", y[0]}, {"k", y[1]}, {"v", y[2]}};
  for (const bool reference : {false, true}) {
    CompileOptions options;
    options.reference_only = reference;
    Session session(std::make_shared<const Model>(graph, options));
    const auto set = [&](size_t at, const ConstantPtr& c) { session.set_input(at, c->view()); };
    const ConstantPtr fit[] = {f32_iota({1, 2, 24}), f32_iota({1, 2, 8}), f32_iota({1, 2, 8}), f32_iota({4, 4}), f32_iota({4, 4})};
    for (size_t at = 0; at < 5; ++at) set(at, fit[at]);
    session.run();
    const ConstantPtr one = f32_iota({1, 1, 8}), row = f32_iota({1, 4});
    for (const auto& [at, wrong] : {std::pair{size_t{1}, one}, {2, one}, {4, row}}) {
      set(at, wrong);
      EXPECT_ERROR(session.run(), "does not fit q", cat("input ", at == 4 ? 8 : at));
      set(at, fit[at]);
    }
    session.run();
  }
}
}  // namespace
}  // namespace engine
