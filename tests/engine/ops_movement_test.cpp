#include "tests/engine/op_case.h"

namespace engine::test {
namespace {
using namespace schema;
using Values = std::vector<double>;
using Extents = engine::Shape;

TEST(Transpose, MovesEveryElementSize) {
  for (DType dtype : {DType::f32, DType::f64, DType::f16, DType::u8, DType::i4}) {
    const Object y = run1(Transpose{}, {iota(dtype, {2, 3})});
    EXPECT_EQ(y.shape, (Extents{3, 2}));
    EXPECT_EQ(values(y), (Values{0, 3, 1, 4, 2, 5})) << name(dtype);
  }
  EXPECT_EQ(run1(Transpose{}, {make_strings({2, 2}, {"a", "b", "c", "d"})}).strings, (Strings{"a", "c", "b", "d"}));
  EXPECT_EQ(numbers(Transpose{}, {f32({}, {7})}), Values{7});
  EXPECT_EQ(run1(Transpose{{1, 0}}, {f32({0, 2}, {})}).shape, (Extents{2, 0}));
  expect_error(Transpose{{0, 0}}, {f32_iota({2, 3})}, "not a permutation");
  expect_error(Transpose{{0}}, {f32_iota({2, 3})}, "does not fit rank 2");
}

TEST(Transpose, AgreesWithIndicesForAllPermutations) {
  const Extents shape{3, 37, 2, 35};  // more than one tile, and not whole ones
  const ConstantPtr x = f32_iota(shape);
  Ints perm{0, 1, 2, 3};
  do {
    const Object y = run1(Transpose{perm}, {x});
    int64_t i = 0, wrong = 0;
    Extents at(4);
    for (at[0] = 0; at[0] < y.shape[0]; ++at[0])
      for (at[1] = 0; at[1] < y.shape[1]; ++at[1])
        for (at[2] = 0; at[2] < y.shape[2]; ++at[2])
          for (at[3] = 0; at[3] < y.shape[3]; ++at[3]) {
            Extents from(4);
            for (size_t d = 0; d < 4; ++d) from[size_t(perm[d])] = at[d];
            wrong += load<double>(y.view(), i++) != double(((from[0] * 37 + from[1]) * 2 + from[2]) * 35 + from[3]);
          }
    ASSERT_EQ(wrong, 0) << to_text(perm);
  } while (std::next_permutation(perm.begin(), perm.end()));
}

TEST(Transpose, TwoBecomeOneOrNone) {
  Graph graph;
  const ValueId x = graph.add_input("x", Type::tensor(DType::f32, Extents{2, 3, 4}));
  Rewriter rewriter(graph);
  const ValueId a = rewriter.add(Transpose{{1, 2, 0}}, {x}, {"a"})[0];
  const ValueId b = rewriter.add(Transpose{{1, 2, 0}}, {a}, {"b"})[0], c = rewriter.add(Transpose{{2, 0, 1}}, {a}, {"c"})[0];
  graph.outputs = {{"b", b}, {"c", c}};
  simplify(graph[b].producer, rewriter);
  simplify(graph[c].producer, rewriter);
  rewriter.commit();
  ASSERT_EQ(graph.nodes.size(), 1u);
  EXPECT_EQ(graph.nodes[0].op.get_if<Transpose>()->perm, (Ints{2, 0, 1}));
  EXPECT_EQ(graph.outputs[1].value, x);
}

TEST(Concat, AlongAnyAxis) {
  EXPECT_EQ(numbers(Concat{1}, {f32_iota({2, 1}), f32_iota({2, 2}), f32({2, 0}, {})}), (Values{0, 0, 1, 1, 2, 3}));
  EXPECT_EQ(numbers(Concat{-1}, {tensor(DType::u4, {3}, {1, 2, 3}), tensor(DType::u4, {2}, {4, 5})}), (Values{1, 2, 3, 4, 5}));
  expect_error(Concat{0}, {f32_iota({2, 1}), f32_iota({2, 2})}, "does not continue");
  expect_error(Concat{0}, {f32({}, {1})}, "out of range");
}

TEST(Split, EqualOrGivenParts) {
  const ConstantPtr x = f32_iota({2, 5});
  const auto parts = run(Split{1, 2}, {x}, 2);
  EXPECT_EQ(values(parts[0]), (Values{0, 1, 2, 5, 6, 7}));
  EXPECT_EQ(values(parts[1]), (Values{3, 4, 8, 9}));
  EXPECT_EQ(values(run(Split{1}, {x, i64({1, 0, 4})}, 3)[2]), (Values{1, 2, 3, 4, 6, 7, 8, 9}));
  expect_error(Split{1}, {x, i64({1, 3})}, "do not add up", 2);
  expect_error(Split{1}, {x, i64({-1, 6})}, "does not fit", 2);
}

TEST(Slice, ClampsAsNumPyDoes) {
  const ConstantPtr x = f32_iota({4});
  const auto slice = [&](int64_t start, int64_t end, int64_t step) { return numbers(Slice{}, {x, i64({start}), i64({end}), i64({0}), i64({step})}); };
  EXPECT_EQ(slice(1, 3, 1), (Values{1, 2}));
  EXPECT_EQ(slice(-2, INT64_MAX, 1), (Values{2, 3}));
  EXPECT_EQ(slice(-100, 100, 3), (Values{0, 3}));
  EXPECT_EQ(slice(-1, INT64_MIN, -1), (Values{3, 2, 1, 0}));
  EXPECT_EQ(slice(100, 0, -2), (Values{3, 1}));
  EXPECT_EQ(slice(3, 1, 1), Values{});
  EXPECT_EQ(slice(0, 4, INT64_MAX), Values{0});
  EXPECT_EQ(slice(3, INT64_MIN, INT64_MIN), Values{3});
  EXPECT_EQ(numbers(Slice{}, {f32_iota({2, 3}), i64({0, 2}), i64({2, 0}), i64({0, -1}), i64({1, -1})}), (Values{2, 1, 5, 4}));
  EXPECT_EQ(numbers(Slice{}, {f32({0}, {}), i64({-1}), i64({-5}), nullptr, i64({-1})}), Values{});
  expect_error(Slice{}, {x, i64({0}), i64({1}), i64({0}), i64({0})}, "step is zero");
  expect_error(Slice{}, {x, i64({0, 0}), i64({1, 1})}, "cuts 2 dims");
  expect_error(Slice{}, {f32_iota({2, 2}), i64({0, 0}), i64({1, 1}), i64({0, -2})}, "given twice");
  expect_error(Slice{}, {x, i64({0}), i64({1, 1})}, "differ in length");
}

TEST(Slice, OfDimsThatAreSymbols) {
  const auto dim = [](Dim extent, int64_t start, int64_t end) {
    Graph graph;
    const ValueId x = graph.add_input("x", Type::tensor(DType::f32, {extent}));
    const ValueIds inputs{x, graph.add_constant(i64({start})), graph.add_constant(i64({end}))};
    Rewriter rewriter(graph);
    return graph[rewriter.add(Slice{}, inputs, {"s"})[0]].type.dims[0].text();
  };
  EXPECT_EQ(dim(Dim::symbol("n"), 0, INT64_MAX), "n");
  EXPECT_EQ(dim(Dim::symbol("n"), 0, 5), "?");
  EXPECT_EQ(dim(Dim::symbol("n", 8, 64), 0, 5), "5");
  EXPECT_EQ(dim(Dim::symbol("n", 8, 64), 0, -1), "(n-1)");
}

TEST(Pad, Modes) {
  const ConstantPtr x = f32({3}, {1, 2, 3}), pads = i64({2, 4});
  EXPECT_EQ(numbers(Pad{}, {x, i64({1, 2}), f32({}, {9})}), (Values{9, 1, 2, 3, 9, 9}));
  EXPECT_EQ(numbers(Pad{}, {x, i64({1, 0})}), (Values{0, 1, 2, 3}));
  EXPECT_EQ(numbers(Pad{PadMode::reflect}, {x, pads}), (Values{3, 2, 1, 2, 3, 2, 1, 2, 3}));
  EXPECT_EQ(numbers(Pad{PadMode::edge}, {x, pads}), (Values{1, 1, 1, 2, 3, 3, 3, 3, 3}));
  EXPECT_EQ(numbers(Pad{PadMode::wrap}, {x, pads}), (Values{2, 3, 1, 2, 3, 1, 2, 3, 1}));
  EXPECT_EQ(numbers(Pad{}, {x, i64({-1, 2})}), (Values{2, 3, 0, 0}));
  EXPECT_EQ(numbers(Pad{PadMode::edge}, {x, i64({2, -2})}), (Values{1, 1, 1}));
  EXPECT_EQ(numbers(Pad{}, {x, i64({-2, -1})}), Values{});
  EXPECT_EQ(numbers(Pad{}, {f32_iota({2, 2}), i64({1, 1}), f32({}, {7}), i64({-1})}), (Values{7, 0, 1, 7, 7, 2, 3, 7}));
  EXPECT_EQ(numbers(Pad{}, {f32_iota({2, 1}), i64({1, 0, 0, 1})}), (Values{0, 0, 0, 0, 1, 0}));
  EXPECT_EQ(run1(Pad{}, {make_strings({1}, {"a"}), i64({1, 0})}).strings, (Strings{"", "a"}));
  EXPECT_EQ(numbers(Pad{}, {f32({0}, {}), i64({1, 1}), f32({}, {5})}), (Values{5, 5}));
  expect_error(Pad{PadMode::edge}, {f32({0}, {}), i64({1, 1})}, "do not fit dim 0");
  expect_error(Pad{}, {x, i64({-2, -2})}, "do not fit dim 0");
  expect_error(Pad{}, {x, i64({1})}, "do not fit 1 axes");
  expect_error(Pad{}, {x, i64({INT64_MIN, 0})}, "larger than this build allows");
}

TEST(Expand, BroadcastsBothWays) {
  const Object y = run1(Expand{}, {f32({2, 1}, {1, 2}), i64({3, 1, 2})});
  EXPECT_EQ(y.shape, (Extents{3, 2, 2}));
  EXPECT_EQ(values(y), (Values{1, 1, 2, 2, 1, 1, 2, 2, 1, 1, 2, 2}));
  EXPECT_EQ(run1(Expand{}, {f32({1}, {1}), i64({0})}).shape, Extents{0});
  expect_error(Expand{}, {f32_iota({2}), i64({3})}, "do not broadcast");
  expect_error(Expand{}, {f32_iota({1}), i64({-1})}, "negative");
  expect_error(Expand{}, {f32_iota({1}), i64({int64_t{1} << 39, 1 << 20})}, "larger");
}

TEST(Tile, RepeatsEachDim) {
  EXPECT_EQ(numbers(Tile{}, {f32_iota({1, 2}), i64({2, 2})}), (Values{0, 1, 0, 1, 0, 1, 0, 1}));
  EXPECT_EQ(numbers(Tile{}, {f32_iota({2, 1}), i64({1, 3})}), (Values{0, 0, 0, 1, 1, 1}));
  EXPECT_EQ(numbers(Tile{}, {f32_iota({2}), i64({0})}), Values{});
  expect_error(Tile{}, {f32_iota({2}), i64({1, 1})}, "do not fit");
}

TEST(Squeeze, AndItsRelatives) {
  const ConstantPtr x = f32_iota({1, 2, 1});
  EXPECT_EQ(run1(Squeeze{}, {x}).shape, Extents{2});
  EXPECT_EQ(run1(Squeeze{}, {x, i64({-1})}).shape, (Extents{1, 2}));
  expect_error(Squeeze{}, {x, i64({1})}, "is not 1");
  EXPECT_EQ(run1(Unsqueeze{}, {x, i64({0, -1})}).shape, (Extents{1, 1, 2, 1, 1}));
  expect_error(Unsqueeze{}, {x, i64({4})}, "out of range");
  expect_error(Unsqueeze{}, {x, i64({0, -5})}, "given twice");
  EXPECT_EQ(run1(Flatten{}, {f32_iota({2, 3, 4})}).shape, (Extents{2, 12}));
  EXPECT_EQ(run1(Flatten{0}, {f32({}, {1})}).shape, (Extents{1, 1}));
  EXPECT_EQ(run1(Flatten{3}, {f32_iota({2, 3, 4})}).shape, (Extents{24, 1}));
  expect_error(Flatten{4}, {f32_iota({2, 3, 4})}, "out of range");
  EXPECT_EQ(run1(Identity{}, {make_strings({2}, {"a", "b"})}).strings, (Strings{"a", "b"}));
}

TEST(Gather, ChecksEveryIndex) {
  const ConstantPtr x = f32_iota({3, 2});
  EXPECT_EQ(numbers(Gather{}, {x, i64({2, -3})}), (Values{4, 5, 0, 1}));
  EXPECT_EQ(numbers(Gather{1}, {x, i64({}, {1})}), (Values{1, 3, 5}));
  EXPECT_EQ(run1(Gather{1}, {x, i64({2, 2}, {0, 1, 1, 0})}).shape, (Extents{3, 2, 2}));
  EXPECT_EQ(run1(Gather{}, {x, i64({0, 2}, {})}).shape, (Extents{0, 2, 2}));
  for (int64_t i : {int64_t{3}, int64_t{-4}, INT64_MIN, INT64_MAX}) {
    expect_error(Gather{}, {x, i64({i})}, "out of range for extent 3");
    expect_error(GatherElements{}, {x, i64({1, 1}, {3})}, "out of range for extent 3");
    expect_error(GatherND{}, {x, i64({i})}, "out of range for extent 3");
    expect_error(ScatterND{}, {x, i64({i}), f32({2}, {1, 2})}, "out of range for extent 3");
  }
  expect_error(Gather{}, {f32({}, {1}), i64({0})}, "scalar");
}

TEST(GatherElements, TakesPartOfEachDim) {
  EXPECT_EQ(numbers(GatherElements{1}, {f32_iota({3, 2}), i64({2, 2}, {0, 0, 1, -2})}), (Values{0, 0, 3, 2}));
  EXPECT_EQ(numbers(GatherElements{0}, {f32_iota({3, 2}), i64({1, 2}, {2, 1})}), (Values{4, 3}));
  expect_error(GatherElements{1}, {f32_iota({1, 2}), i64({2, 2}, {0, 0, 0, 0})}, "reach beyond dim 0");
}

TEST(GatherND, WithAndWithoutBatches) {
  const ConstantPtr x = f32_iota({2, 2, 2});
  EXPECT_EQ(numbers(GatherND{}, {x, i64({2, 2}, {0, 1, 1, 0})}), (Values{2, 3, 4, 5}));
  EXPECT_EQ(numbers(GatherND{1}, {x, i64({2, 1}, {1, 0})}), (Values{2, 3, 4, 5}));
  EXPECT_EQ(numbers(GatherND{}, {x, i64({1, 3}, {-1, -1, -1})}), Values{7});
  expect_error(GatherND{}, {x, i64({1, 4}, {0, 0, 0, 0})}, "too long");
  expect_error(GatherND{1}, {x, i64({3, 1}, {0, 0, 0})}, "batch dim 0");
}

TEST(Scatter, CombinesInOrder) {
  EXPECT_EQ(numbers(ScatterElements{1}, {f32_iota({1, 3}), i64({1, 2}, {2, -3}), f32({1, 2}, {8, 9})}), (Values{9, 1, 8}));
  EXPECT_EQ(numbers(ScatterElements{0, ScatterKind::add}, {f32_iota({3}), i64({1, 1}), f32({2}, {5, 6})}), (Values{0, 12, 2}));
  EXPECT_EQ(numbers(ScatterElements{0, ScatterKind::max}, {i64({1, 5}), i64({0, 1}), i64({3, 4})}), (Values{3, 5}));
  EXPECT_EQ(numbers(ScatterND{}, {f32_iota({3, 2}), i64({2, 1}, {2, 0}), f32({2, 2}, {6, 7, 8, 9})}), (Values{8, 9, 2, 3, 6, 7}));
  EXPECT_EQ(numbers(ScatterND{ScatterKind::mul}, {f32_iota({3}), i64({2, 1}, {2, 2}), f32({2}, {3, 4})}), (Values{0, 1, 24}));
  const ConstantPtr truths = tensor(DType::boolean, {4}, {0, 0, 1, 1}), updates = tensor(DType::boolean, {4}, {0, 1, 0, 1});
  for (ScatterKind kind : {ScatterKind::add, ScatterKind::max})
    EXPECT_EQ(numbers(ScatterElements{0, kind}, {truths, i64({0, 1, 2, 3}), updates}), (Values{0, 1, 1, 1}));
  for (ScatterKind kind : {ScatterKind::mul, ScatterKind::min})
    EXPECT_EQ(numbers(ScatterND{kind}, {truths, i64({4, 1}, {0, 1, 2, 3}), updates}), (Values{0, 0, 0, 1}));
  expect_error(ScatterElements{}, {f32_iota({2}), i64({2}), f32({1}, {1})}, "out of range for extent 2");
  expect_error(ScatterElements{}, {f32_iota({2}), i64({0, 1}), f32({1}, {1})}, "differ in shape");
  expect_error(ScatterND{}, {f32_iota({3, 2}), i64({1, 1}, {0}), f32({1}, {1})}, "do not fit");
}

TEST(SpaceAndDepth, BothModesAndBack) {
  const ConstantPtr x = f32_iota({1, 8, 1, 1});
  EXPECT_EQ(numbers(DepthToSpace{2}, {x}), (Values{0, 2, 4, 6, 1, 3, 5, 7}));
  EXPECT_EQ(numbers(DepthToSpace{2, DepthMode::crd}, {x}), (Values{0, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(numbers(SpaceToDepth{2}, {f32({1, 2, 2, 2}, {0, 2, 4, 6, 1, 3, 5, 7})}), (Values{0, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(numbers(SpaceToDepth{2, DepthMode::crd}, {f32({1, 2, 2, 2}, {0, 1, 2, 3, 4, 5, 6, 7})}), (Values{0, 1, 2, 3, 4, 5, 6, 7}));
  const ConstantPtr wide = f32_iota({2, 3, 4, 6});
  for (DepthMode mode : {DepthMode::dcr, DepthMode::crd})
    EXPECT_EQ(numbers(DepthToSpace{2, mode}, {f32({2, 12, 2, 3}, numbers(SpaceToDepth{2, mode}, {wide}))}), numbers(SpaceToDepth{1}, {wide}));
  expect_error(DepthToSpace{3}, {x}, "no multiple of 9");
}

TEST(Trilu, KeepsATriangle) {
  EXPECT_EQ(numbers(Trilu{}, {f32({2, 3}, {1, 2, 3, 4, 5, 6})}), (Values{1, 2, 3, 0, 5, 6}));
  EXPECT_EQ(numbers(Trilu{false}, {f32({2, 3}, {1, 2, 3, 4, 5, 6}), i64({}, {-1})}), (Values{0, 0, 0, 4, 0, 0}));
  EXPECT_EQ(numbers(Trilu{}, {f32({1, 2}, {1, 2}), i64({}, {double(INT64_MIN)})}), (Values{1, 2}));
}

TEST(SizesAndIndices, AreMade) {
  EXPECT_EQ(numbers(schema::Shape{1, -1}, {f32_iota({2, 3, 4})}), Values{3});
  EXPECT_EQ(numbers(schema::Size{}, {f32_iota({2, 3, 4})}), Values{24});
  EXPECT_EQ(numbers(Range{}, {f32({}, {0}), f32({}, {1}), f32({}, {0.4})}), (Values{0, float(0.4), float(0.8)}));
  EXPECT_EQ(numbers(Range{}, {i64({}, {5}), i64({}, {0}), i64({}, {-2})}), (Values{5, 3, 1}));
  expect_error(Range{}, {i64({}, {5}), i64({}, {0}), i64({}, {0})}, "zero");
  EXPECT_EQ(numbers(ConstantOfShape{}, {i64({2, 1}), f32({1}, {3})}), (Values{3, 3}));
  expect_error(ConstantOfShape{}, {i64({-1}), f32({1}, {3})}, "negative");
  EXPECT_EQ(numbers(OneHot{0}, {i64({0, -1, 3}), i64({}, {2}), f32({2}, {5, 6})}), (Values{6, 5, 5, 5, 6, 5}));
  EXPECT_EQ(numbers(Compress{1, false}, {f32_iota({2, 3}), tensor(DType::boolean, {2}, {0, 1})}), (Values{1, 4}));
  EXPECT_EQ(numbers(Compress{}, {f32_iota({2, 3}), tensor(DType::boolean, {6}, {0, 1, 0, 0, 0, 1})}), (Values{1, 5}));
  expect_error(Compress{}, {f32_iota({2}), tensor(DType::boolean, {3}, {1, 1, 1})}, "3 elements");
}
}  // namespace
}  // namespace engine::test
