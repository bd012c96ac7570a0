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
}  // namespace
}  // namespace engine
