// Trees, tables, distances, probabilities of pairs, maps, and strings that match.
#include "engine/graph_text.h"
#include "tests/engine/compiled.h"
#include "tests/engine/op_case.h"

namespace engine::test {
namespace {
using schema::Lookup, schema::MapParts, schema::PairwiseCoupling, schema::ReduceKind, schema::SquaredDistance, schema::TreeEnsemble, schema::ZipMap;

ConstantPtr i32(const Shape& shape, const std::vector<double>& v) { return tensor(DType::i32, shape, v); }
ConstantPtr u8(const std::vector<double>& v) { return tensor(DType::u8, {int64_t(v.size())}, v); }
ConstantPtr words(std::vector<std::string> v) {
  const Shape shape{int64_t(v.size())};
  return make_strings(shape, std::move(v));
}

// x[0] <= 1 ? (x[1] > 0, or NaN ? 10 : 20) : {2 for target 0, 5 for target 1}; and a tree of one leaf, 100 for target 1.
Inputs two_trees(const ConstantPtr& x) {
  const DType d = x->dtype;
  return {x, tensor(d, {2}, {1, 0}), i32({2, 3}, {0, 1, -3, 1, -1, -2}), u8({0, 3 + 8}), i32({2}, {0, -4}), i32({5}, {0, 1, 2, 4, 5}),
          i32({5}, {0, 0, 0, 1, 1}), tensor(d, {5}, {10, 20, 2, 5, 100})};
}
TEST(TreeEnsemble, Reference) {
  for (DType d : {DType::f32, DType::f64, DType::f16}) {
    const auto x = tensor(d, {4, 2}, {0, 1, 1, -1, 2, 0, 1, nan});
    EXPECT_EQ(numbers(TreeEnsemble{2}, two_trees(x)), (std::vector<double>{10, 100, 20, 100, 2, 105, 10, 100}));
    EXPECT_EQ(numbers(TreeEnsemble{2, ReduceKind::mean}, two_trees(x)), (std::vector<double>{5, 50, 10, 50, 1, 52.5, 5, 50}));
    EXPECT_EQ(numbers(TreeEnsemble{3, ReduceKind::min}, two_trees(x)), (std::vector<double>{10, 100, 0, 20, 100, 0, 2, 5, 0, 10, 100, 0}));
    EXPECT_EQ(numbers(TreeEnsemble{2, ReduceKind::max}, two_trees(x)), (std::vector<double>{10, 100, 20, 100, 2, 100, 10, 100}));
  }
  EXPECT_EQ(numbers(TreeEnsemble{2}, two_trees(f32({0, 2}, {}))), std::vector<double>());
}
TEST(TreeEnsemble, KernelsAgreeWithTheReference) {
  for (const ReduceKind kind : {ReduceKind::sum, ReduceKind::mean, ReduceKind::min, ReduceKind::max})
    for (const int64_t rows : {1, 9}) {
      Built g;
      ValueIds in{g.input({rows, 2})};
      const Inputs all = two_trees(f32({1, 2}, {0, 0}));
      for (size_t k = 1; k < all.size(); ++k) in.push_back(g.graph.add_constant(all[k]));
      g.output(g.r.add(TreeEnsemble{2, kind}, in, {"trees"})[0]);
      EXPECT_EQ(count(steps_of(g.graph), "TreeEnsemble"), 1);
    }
}
TEST(TreeEnsemble, Errors) {
  const auto broken = [](size_t k, const ConstantPtr& with, const std::string& text, TreeEnsemble op = {2}) {
    Inputs in = two_trees(f32({1, 2}, {0, 0}));
    in[k] = with;
    expect_error(op, in, text);
  };
  broken(0, f32({2}, {0, 0}), "rank 2");
  broken(0, f32({1, 1}, {0}), "feature 1 of 1");
  broken(0, tensor(DType::f64, {1, 2}, {0, 0}), "one dtype");
  broken(2, i32({2, 3}, {0, 0, -3, 1, -1, -2}), "behind it");
  broken(2, i32({3, 2}, {0, 0, -3, 1, -1, -2}), "nodes");
  broken(3, u8({0, 6}), "unknown test");
  broken(4, i32({0}, {}), "no trees");
  broken(4, i32({1}, {-5}), "root -5");
  broken(5, i32({5}, {0, 1, 2, 4, 6}), "all weights");
  broken(7, f32({4}, {1, 2, 3, 4}), "weights");
  broken(1, f32({3}, {1, 2, 3}), "nodes");
  broken(0, f32({1, 2}, {0, 0}), "target 1 of 1", {1});
  broken(0, f32({1, 2}, {0, 0}), "cannot aggregate", {2, ReduceKind::prod});
}

TEST(Lookup, AnyDtypes) {
  EXPECT_EQ(numbers(Lookup{}, {i64({4}, {7, 1, 9, 7}), i64({3}, {1, 7, 7}), f32({3}, {0.5, 1.5, 2.5}), f32({}, {-1})}), (std::vector<double>{1.5, 0.5, -1, 1.5}));
  EXPECT_EQ(numbers(Lookup{}, {f32({2, 2}, {nan, -0.0, 3, 0}), f32({2}, {0, nan}), i64({2}, {5, 6}), i64({1}, {9})}), (std::vector<double>{6, 5, 9, 5}));
  EXPECT_EQ(run1(Lookup{}, {words({"b", "", "x"}), words({"a", "b", ""}), words({"A", "B", "-"}), make_strings({}, {"?"})}).strings,
            (std::vector<std::string>{"B", "-", "?"}));
  EXPECT_EQ(numbers(Lookup{}, {words({"b"}), words({"a", "b"}), tensor(DType::i4, {2}, {-3, 5})}), std::vector<double>{5});
  EXPECT_EQ(numbers(Lookup{}, {tensor(DType::u64, {1}, {3}), tensor(DType::u64, {0}, {}), f32({0}, {}), f32({}, {4})}), std::vector<double>{4});
}
TEST(Lookup, Errors) {
  expect_error(Lookup{}, {i64({1}, {3}), i64({1}, {1}), f32({1}, {0})}, "3 is none of the 1 keys");
  expect_error(Lookup{}, {words({"c"}), words({"a"}), f32({1}, {0})}, "'c' is none");
  expect_error(Lookup{}, {f32({1}, {3}), i64({1}, {1}), f32({1}, {0})}, "one dtype");
  expect_error(Lookup{}, {i64({1}, {3}), i64({2}, {1, 2}), f32({1}, {0})}, "keys and values");
  expect_error(Lookup{}, {i64({1}, {3}), i64({1}, {1}), f32({1}, {0}), f32({2}, {0, 1})}, "default has 2");
}

TEST(SquaredDistance, ReferenceAndKernel) {
  EXPECT_EQ(numbers(SquaredDistance{}, {f32({2, 2}, {0, 0, 1, 2}), f32({3, 2}, {0, 0, 3, 4, 1, 1})}), (std::vector<double>{0, 25, 2, 5, 8, 1}));
  EXPECT_EQ(numbers(SquaredDistance{}, {f32({1, 0}, {}), f32({2, 0}, {})}), (std::vector<double>{0, 0}));
  expect_error(SquaredDistance{}, {f32({1, 2}, {0, 0}), f32({1, 3}, {0, 0, 0})}, "equally long");
  for (const int64_t features : {1, 15, 16, 17, 40}) {
    Built g;
    const ValueId x = g.input({70, features}), y = g.constant({65, features});
    g.output(g.r.add(SquaredDistance{}, {x, y}, {"distance"})[0]);
    EXPECT_EQ(count(steps_of(g.graph), "SquaredDistance"), 1);
  }
}

TEST(PairwiseCoupling, AgreesWithWhatMadeThePairs) {
  const std::vector<double> p{0.5, 0.3, 0.2};  // r[i,j] = p[i] / (p[i] + p[j]) is coupled without error
  const auto got = numbers(PairwiseCoupling{3}, {tensor(DType::f64, {1, 3}, {5.0 / 8, 5.0 / 7, 3.0 / 5})});
  for (size_t i = 0; i < 3; ++i) EXPECT_NEAR(got[i], p[i], 2e-3);
  const auto two = numbers(PairwiseCoupling{2}, {f32({2, 1}, {0.9, 0.25})});
  EXPECT_NEAR(two[0], 0.9, 2e-3);  // it stops 0.005 / classes off the fixed point
  EXPECT_NEAR(two[3], 0.75, 2e-3);
  expect_error(PairwiseCoupling{3}, {f32({1, 2}, {0, 0})}, "each pair");
  expect_error(PairwiseCoupling{1}, {f32({1, 0}, {})}, "1 classes");
  expect_error(PairwiseCoupling{1 << 20}, {f32({1, 0}, {})}, "classes are not possible");
}

TEST(Maps, ZippedAndTakenApart) {
  const Inputs in{f32({2, 3}, {1, 2, 3, 4, 5, 6}), i64({3}, {9, -2, 4})};
  EXPECT_EQ(to_text(infer_case(ZipMap{}, in, 1, Known::shapes)), "seq(map(i64,f32))");
  Object zipped;
  RunContext zip;
  for (const ConstantPtr& x : in) zip.in_.push_back({x->view()});
  zip.out_.push_back({{DType::f32, {}, nullptr, &zipped}, true, true});
  def(ZipMap{}).reference(ZipMap{}, zip);
  ASSERT_EQ(zipped.items.size(), 2u);
  EXPECT_EQ(zipped.items[1].kind, ValueKind::map);
  EXPECT_EQ(values(zipped.items[1].items[0]), (std::vector<double>{9, -2, 4}));
  EXPECT_EQ(values(zipped.items[1].items[1]), (std::vector<double>{4, 5, 6}));
  expect_error(ZipMap{}, {f32({2, 3}, {1, 2, 3, 4, 5, 6}), i64({2}, {9, 2})}, "value for each");
  expect_error(ZipMap{}, {f32({3}, {1, 2, 3}), i64({3}, {9, 2, 4})}, "rank 2");
  expect_error(ZipMap{}, {f32({1, 1}, {1}), f32({1}, {9})}, "dtype f32");

  RunContext c;
  c.in_.push_back({std::as_const(zipped.items[1]).view()});
  Object keys, given;
  c.out_.push_back({{DType::i64, {}, nullptr, &keys}, true, true});
  c.out_.push_back({{DType::f32, {}, nullptr, &given}, true, true});
  def(MapParts{}).reference(MapParts{}, c);
  EXPECT_EQ(values(keys), (std::vector<double>{-2, 4, 9}));
  EXPECT_EQ(values(given), (std::vector<double>{5, 6, 4}));
  expect_error(MapParts{}, {f32({1}, {1})}, "must be a map");
}

TEST(RegexFullMatch, WholeStrings) {
  const schema::RegexFullMatch op{"a+b?"};
  try {
    EXPECT_EQ(numbers(op, {words({"aa", "aab", "b", "", "aabb", "xaab"})}), (std::vector<double>{1, 1, 0, 0, 0, 0}));
  } catch (const Error& e) {
    ASSERT_NE(std::string(e.what()).find("INLAY_REGEX=OFF"), std::string::npos) << e.what();
    GTEST_SKIP() << e.what();
  }
  EXPECT_EQ(numbers(schema::RegexFullMatch{""}, {words({"", "a"})}), (std::vector<double>{1, 0}));
  expect_error(schema::RegexFullMatch{"a("}, {words({"a"})}, "'a(' is not valid");
  expect_error(schema::RegexFullMatch{"(((((a{1000}){1000}){1000})))"}, {words({"a"})}, "is not valid");
  expect_error(op, {f32({1}, {0})}, "dtype f32");
}
}  // namespace
}  // namespace engine::test
