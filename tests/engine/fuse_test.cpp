// What follows a convolution or product becomes part of its step, with the same results.
#include "engine/graph_text.h"
#include "engine/passes/target.h"
#include "tests/engine/compiled.h"

namespace engine {
namespace {
using namespace test;

TEST(FuseEpilogues, ActivationsAndResiduals) {
  for (const int64_t groups : {1, 8}) {
    Built b;
    const ValueId x = b.input({2, 8, 11, 13});
    const ValueId y = unary(b.r, UnaryKind::relu, b.conv(x, 8, 8, 3, groups));
    b.output(unary(b.r, UnaryKind::relu, binary(b.r, BinaryKind::add, x, b.conv(y, 8, 8, 3, groups))));
    const auto steps = steps_of(b.graph);
    EXPECT_EQ(count(steps, "Fused"), 2) << testing::PrintToString(steps);
    EXPECT_EQ(count(steps, "Unary") + count(steps, "Binary"), 0) << testing::PrintToString(steps);
  }
}

TEST(FuseEpilogues, BothSidesOfABinary) {
  for (const bool swapped : {false, true})
    for (const BinaryKind kind : {BinaryKind::sub, BinaryKind::div, BinaryKind::mul, BinaryKind::max}) {
      Built b;
      // exp: no divisor is near 0
      const ValueId y = unary(b.r, UnaryKind::exp, b.conv(b.input({1, 5, 9, 9}), 5, 24, 1)), scale = b.constant({1, 24, 1, 1});
      const ValueId scaled = swapped ? binary(b.r, kind, scale, y) : binary(b.r, kind, y, scale);
      b.output(binary(b.r, BinaryKind::mul, scaled, b.graph.add_constant(make_scalar(DType::f32, 0.5))));
      EXPECT_EQ(count(steps_of(b.graph), "Fused"), 1) << int(kind);
    }
}

TEST(FuseEpilogues, Products) {
  for (const int64_t n : {1, 16, 37}) {
    Built b;
    const ValueId y = b.mat_mul(b.input({3, 7, 20}), 20, n);
    b.output(unary(b.r, UnaryKind::tanh, binary(b.r, BinaryKind::add, b.constant({n}), y)));
    const auto steps = steps_of(b.graph);
    EXPECT_THAT(steps, testing::ElementsAre("Fused"));
  }
}

TEST(FuseEpilogues, WinogradToo) {
  Built b;
  const ValueId x = b.input({1, 32, 30, 30});
  b.output(unary(b.r, UnaryKind::relu, binary(b.r, BinaryKind::add, b.conv(x, 32, 32, 3), x)));
  EXPECT_EQ(count(steps_of(b.graph), "Fused"), 1);
}

TEST(FuseEpilogues, NotWhatIsWantedElsewhere) {
  {
    Built b;  // the result before the function is an output
    const ValueId y = b.mat_mul(b.input({4, 6}), 6, 8);
    b.output(unary(b.r, UnaryKind::relu, y)), b.output(y);
    EXPECT_EQ(count(steps_of(b.graph), "Fused"), 0);
  }
  {
    Built b;  // two nodes use it
    const ValueId y = b.mat_mul(b.input({4, 6}), 6, 8);
    b.output(unary(b.r, UnaryKind::relu, y)), b.output(unary(b.r, UnaryKind::tanh, y));
    EXPECT_EQ(count(steps_of(b.graph), "Fused"), 0);
  }
  {
    Built b;  // the result is broadcast
    const ValueId x = b.input({4, 6}), y = b.mat_mul(x, 6, 8);
    b.output(binary(b.r, BinaryKind::add, y, b.constant({3, 4, 8})));
    EXPECT_EQ(count(steps_of(b.graph), "Fused"), 0);
  }
  {
    Built b;  // the weights are no constant
    const ValueId x = b.input({4, 6}), w = b.input({6, 8});
    b.output(unary(b.r, UnaryKind::relu, b.r.add(schema::MatMul{}, {x, w}, {"product"})[0]));
    EXPECT_EQ(count(steps_of(b.graph), "Fused"), 0);
  }
}

TEST(FuseEpilogues, AChainEndsWhereKernelsDo) {
  Built b;
  ValueId y = b.mat_mul(b.input({4, 6}), 6, 8);
  for (int i = 0; i < 11; ++i) y = unary(b.r, i % 2 ? UnaryKind::tanh : UnaryKind::sin, y);
  b.output(y);
  steps_of(b.graph);
}

TEST(FuseEpilogues, Text) {
  Built b;
  const ValueId x = b.input({2, 3});
  b.output(binary(b.r, BinaryKind::add, unary(b.r, UnaryKind::relu, b.mat_mul(x, 3, 3)), x));
  ASSERT_TRUE(fuse_epilogues(b.graph));
  verify(b.graph);
  EXPECT_FALSE(fuse_epilogues(b.graph));
  ASSERT_EQ(b.graph.nodes.size(), 1u);
  const Node& node = b.graph.nodes[0];
  EXPECT_EQ(name(node.op.id()), "Fused");
  EXPECT_EQ(node.inputs.size(), 2u);
  EXPECT_EQ(to_text(*node.bodies[0]),
            "input in0 f32[2,3]\ninput in1 f32[3,3]\nv2 = MatMul (in0, in1)  # f32[2,3] from product\n"
            "v3 = Unary (v2)  # f32[2,3] from relu\nv4 = Binary (v3, in0)  # f32[2,3] from add\noutput out = v4\n");
}
}  // namespace
}  // namespace engine
