#include "kernels/tree/tree.h"
#include "tests/kernels/util.h"

namespace {
using namespace kernels;
using schema::ReduceKind, schema::TreeTest;

struct Ensemble {
  int64_t features = 7, targets = 1;
  std::vector<int32_t> branches, roots, leaves{0}, weight_targets;
  std::vector<uint8_t> tests;
  std::vector<float> splits, weights;
  tree::Trees trees() const { return {{branches, tests, roots, leaves, weight_targets}, splits, weights}; }
};

// Trees of up to `depth` levels, some of whose branches end early. Splits are few, so that values meet them.
class Grower {
 public:
  Grower(int64_t features, int64_t targets, std::vector<TreeTest> tests, bool nan) : tests_(std::move(tests)), nan_(nan), random_(test::seed()) {
    e.features = features, e.targets = targets;
  }
  void grow(int depth, int weights) {
    e.roots.push_back(depth == 0 ? leaf(weights) : node(depth, weights));
  }
  Ensemble e;

 private:
  int32_t leaf(int weights) {
    for (int w = 0; w < weights; ++w) {
      e.weight_targets.push_back(int32_t(random_() % uint32_t(e.targets)));
      e.weights.push_back(float(int(random_() % 2001) - 1000) / 64);
    }
    e.leaves.push_back(int32_t(e.weights.size()));
    return 1 - int32_t(e.leaves.size());
  }
  int32_t node(int depth, int weights) {
    const auto at = int32_t(e.tests.size());
    e.tests.push_back(uint8_t(uint8_t(tests_[random_() % tests_.size()]) | (nan_ && random_() % 2 ? tree::nan_holds : 0)));
    e.splits.push_back(float(int(random_() % 9) - 4) / 4);
    e.branches.insert(e.branches.end(), {int32_t(random_() % uint32_t(e.features)), 0, 0});
    for (int side = 1; side <= 2; ++side) {
      const int32_t next = depth > 1 && random_() % 8 ? node(depth - 1, weights) : leaf(weights);
      e.branches[size_t(3 * at + side)] = next;
    }
    return at;
  }
  std::vector<TreeTest> tests_;
  bool nan_;
  std::mt19937 random_;
};

bool passes(uint8_t test, float v, float split) {
  if (std::isnan(v) && (test & tree::nan_holds)) return true;
  switch (TreeTest(test & ~tree::nan_holds)) {
    case TreeTest::less_equal: return v <= split;
    case TreeTest::less: return v < split;
    case TreeTest::greater_equal: return v >= split;
    case TreeTest::greater: return v > split;
    case TreeTest::equal: return v == split;
    default: return v != split;
  }
}

std::vector<double> want(const Ensemble& e, ReduceKind kind, const test::Buffer& x, int64_t rows) {
  std::vector<double> y(size_t(rows * e.targets), NAN);
  for (int64_t r = 0; r < rows; ++r)
    for (int32_t at : e.roots) {
      while (at >= 0) {
        const auto* b = &e.branches[size_t(3 * at)];
        at = b[passes(e.tests[size_t(at)], x[size_t(r * e.features + b[0])], e.splits[size_t(at)]) ? 1 : 2];
      }
      for (int32_t w = e.leaves[size_t(-1 - at)]; w < e.leaves[size_t(-at)]; ++w) {
        double& to = y[size_t(r * e.targets + e.weight_targets[size_t(w)])];
        const double by = double(e.weights[size_t(w)]);
        to = std::isnan(to) ? by : kind == ReduceKind::min ? std::fmin(to, by) : kind == ReduceKind::max ? std::fmax(to, by) : to + by;
      }
    }
  for (double& v : y) v = std::isnan(v) ? 0 : kind == ReduceKind::mean ? v / double(e.roots.size()) : v;
  return y;
}

std::vector<float> run(const tree::Kernel& kernel, const std::byte* packed, const Ensemble& e, const test::Buffer& x, int64_t rows, int threads) {
  ThreadPool pool(threads);
  const test::Buffer y(size_t(rows * e.targets));
  const test::Fenced scratch(kernel.scratch_bytes(rows), 4);
  kernel.run(packed, x.data(), y.data(), rows, scratch.data(), pool);
  EXPECT_TRUE(y.guards_intact());
  EXPECT_TRUE(scratch.intact());
  return {y.data(), y.data() + y.size()};
}

void check(const tree::Row& row, const Ensemble& e, ReduceKind kind, bool nan = false) {
  SCOPED_TRACE("seed " + std::to_string(test::seed()) + ": " + std::to_string(e.roots.size()) + " trees, " + std::string(schema::name(kind)));
  ASSERT_EQ(tree::invalid(e.trees(), e.features, e.targets), "");
  const tree::Spec spec = tree::describe(e.trees(), e.features, e.targets, kind);
  ASSERT_EQ(row.supports(spec).refusal, "");
  const tree::Kernel kernel = row.make(spec);
  const test::Fenced packed(kernel.packed_bytes(), 64);
  kernel.pack(e.trees(), packed.data());
  ASSERT_TRUE(packed.intact());
  const tree::Kernel plain = tree::select(spec, isa::scalar).kernel;
  const test::Fenced plain_packed(plain.packed_bytes(), 64);
  plain.pack(e.trees(), plain_packed.data());
  const int64_t t = row.tile;
  for (const int64_t rows : {int64_t{0}, int64_t{1}, int64_t{7}, int64_t{8}, t, 4 * t + 1, int64_t{64}, int64_t{65}, int64_t{131}}) {
    test::Buffer x(size_t(rows * e.features), 1);
    for (size_t i = 0; i < x.size(); ++i) x[i] = nan && i % 5 == 0 ? NAN : std::round(x[i] * 6) / 4;  // splits among them
    const auto y = run(kernel, packed.data(), e, x, rows, 1);
    const auto expected = want(e, kind, x, rows);
    for (size_t i = 0; i < y.size(); ++i)
      ASSERT_TRUE(test::near(y[i], expected[i], 1e-5)) << rows << " rows, at " << i << ": " << y[i] << " not " << expected[i];
    const auto same = [&](const std::vector<float>& other) { return y.empty() || std::memcmp(y.data(), other.data(), y.size() * sizeof(float)) == 0; };
    for (const int threads : {2, 3}) ASSERT_TRUE(same(run(kernel, packed.data(), e, x, rows, threads))) << rows << " rows on " << threads << " threads";
    ASSERT_TRUE(same(run(plain, plain_packed.data(), e, x, rows, 1))) << rows << " rows, by the scalar kernel";
    for (int64_t r = 0; r < std::min<int64_t>(rows, 3); ++r) {  // by itself, a row gives the same
      test::Buffer lone(size_t(e.features));
      std::copy_n(x.data() + r * e.features, e.features, lone.data());
      const auto one = run(kernel, packed.data(), e, lone, 1, 1);
      ASSERT_EQ(std::memcmp(one.data(), y.data() + r * e.targets, one.size() * sizeof(float)), 0) << "row " << r << " of " << rows;
    }
  }
}

class TreeRow : public testing::TestWithParam<size_t> {
 protected:
  const tree::Row& row = tree::rows()[GetParam()];
  void SetUp() override {
    if (const std::string reason = test::unavailable(row); !reason.empty()) GTEST_SKIP() << reason;
  }
};

Ensemble grown(int trees, int depth, std::vector<TreeTest> tests, bool nan = false, int64_t targets = 1, int weights = 1, int64_t features = 7) {
  Grower g(features, targets, std::move(tests), nan);
  for (int t = 0; t < trees; ++t) g.grow(t % 5 == 4 ? 0 : depth - t % 3, weights);
  return g.e;
}

TEST_P(TreeRow, NumbersOfTrees) {
  for (const int trees : {1, 2, 15, 16, 17, 63, 64, 65, 130}) {
    check(row, grown(trees, 6, {TreeTest::less_equal}), ReduceKind::sum);
    if (HasFatalFailure()) return;
  }
}
TEST_P(TreeRow, Tests) {
  for (const bool nan : {false, true})
    for (const auto& tests : {std::vector{TreeTest::less_equal}, {TreeTest::greater}, {TreeTest::less}, {TreeTest::greater_equal},
                              {TreeTest::less_equal, TreeTest::greater}, {TreeTest::less, TreeTest::greater_equal}}) {
      check(row, grown(40, 7, tests, nan), ReduceKind::mean, true);
      if (HasFatalFailure()) return;
    }
}
TEST_P(TreeRow, Targets) {
  for (const ReduceKind kind : {ReduceKind::sum, ReduceKind::mean, ReduceKind::min, ReduceKind::max})
    for (const int weights : {0, 1, 3}) {
      check(row, grown(20, 5, {TreeTest::less}, false, 3, weights), kind);
      check(row, grown(20, 5, {TreeTest::less}, false, 1, weights), kind);
      if (HasFatalFailure()) return;
    }
}
// Trees that are one chain, of different lengths: x <= 1, <= 2, …
TEST_P(TreeRow, DeepAndUneven) {
  Ensemble e;
  for (int t = 0; t < 20; ++t) {
    e.roots.push_back(int32_t(e.tests.size()));
    for (int i = 0; i <= 3 * t; ++i) {
      const auto at = int32_t(e.tests.size()), leaf = int32_t(e.weights.size());
      const bool last = i == 3 * t;
      e.tests.push_back(0), e.splits.push_back(float(i) / 30 - 1);
      e.branches.insert(e.branches.end(), {int32_t(t % 7), -1 - leaf, last ? -2 - leaf : at + 1});
      for (int w = 0; w < (last ? 2 : 1); ++w) e.weights.push_back(float(leaf + w)), e.weight_targets.push_back(0), e.leaves.push_back(int32_t(e.weights.size()));
    }
  }
  check(row, e, ReduceKind::sum, true);
}
TEST_P(TreeRow, SplitsThatAreNoNumbers) {
  Ensemble e = grown(30, 5, {TreeTest::less_equal, TreeTest::greater}, true);
  for (size_t i = 0; i < e.splits.size(); i += 3) e.splits[i] = i % 2 ? NAN : INFINITY;
  check(row, e, ReduceKind::sum, true);
}
TEST_P(TreeRow, WhatVectorsRefuse) {
  const bool vectors = row.isa != isa::scalar;
  const auto refused = [&](const Ensemble& e) {
    const bool is = !row.supports(tree::describe(e.trees(), e.features, e.targets, ReduceKind::sum)).refusal.empty();
    EXPECT_EQ(is, vectors);
    if (!is) check(row, e, ReduceKind::sum, true);
  };
  refused(grown(10, 5, {TreeTest::equal, TreeTest::not_equal}, true));
  refused(grown(10, 5, {TreeTest::less, TreeTest::less_equal}, true));
  Ensemble shared{.branches = {0, 1, 1, 1, -1, -2}, .roots = {0}, .leaves = {0, 1, 2}, .weight_targets = {0, 0}, .tests = {0, 0}, .splits = {0, 1}, .weights = {1, 2}};
  refused(shared);
}
INSTANTIATE_TEST_SUITE_P(Rows, TreeRow, testing::Range<size_t>(0, tree::rows().size()),
                         [](const auto& info) { return std::string(tree::rows()[info.param].name); });

TEST(Tree, InvalidStructures) {
  const Ensemble good{.features = 2, .branches = {0, 1, -1, 1, -2, -1}, .roots = {0, -1}, .leaves = {0, 1, 2}, .weight_targets = {0, 0}, .tests = {0, 9}, .splits = {0, 1}, .weights = {1, 2}};
  const auto reason = [](const Ensemble& e) { return tree::invalid(e.trees(), e.features, e.targets); };
  EXPECT_EQ(reason(good), "");
  const auto broken = [&](auto change, const std::string& words) {
    Ensemble e = good;
    change(e);
    EXPECT_NE(reason(e).find(words), std::string::npos) << reason(e);
  };
  broken([](Ensemble& e) { e.branches[1] = 0; }, "behind it");
  broken([](Ensemble& e) { e.branches[4] = 1; }, "behind it");
  broken([](Ensemble& e) { e.branches[1] = 2; }, "behind it");
  broken([](Ensemble& e) { e.branches[2] = -4; }, "behind it");
  broken([](Ensemble& e) { e.branches[0] = 2; }, "feature 2 of 2");
  broken([](Ensemble& e) { e.branches.pop_back(); }, "5 numbers");
  broken([](Ensemble& e) { e.tests[0] = 6; }, "unknown test");
  broken([](Ensemble& e) { e.roots[0] = 2; }, "root 2");
  broken([](Ensemble& e) { e.roots[1] = INT32_MIN; }, "root");
  broken([](Ensemble& e) { e.weight_targets[1] = 1; }, "target 1 of 1");
  broken([](Ensemble& e) { e.leaves = {0, 3, 2}; }, "not in order");
  broken([](Ensemble& e) { e.leaves = {0, 1, 1}; }, "all weights");
  broken([](Ensemble& e) { e.leaves = {0}; }, "all weights");
}
}  // namespace
