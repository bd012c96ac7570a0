// ai.onnx.ml: ensembles of trees, of both spellings, into the nodes and leaves of TreeEnsemble.
#include <cmath>
#include <map>
#include <set>
#include <unordered_map>
#include "converter/ml.h"
#include "kernels/tree/tree.h"

namespace converter {
namespace {
using schema::BinaryKind, schema::ReduceKind, schema::TreeTest;

// The trees as they come: what a node's sides lead to is a node, or -1 - leaf. A node without a test asks whether the value is
// one of a set.
struct OnnxTrees {
  struct Node {
    int64_t feature = 0;
    double split = 0;
    std::optional<TreeTest> test = TreeTest::less_equal;
    bool nan_holds = false;
    int64_t then = 0, otherwise = 0;
    std::vector<double> set = {};
  };
  std::vector<Node> nodes;
  std::vector<int64_t> roots;
  std::vector<std::vector<std::pair<int64_t, double>>> leaves;  // targets and weights
};

// The arrays of the op. Nodes are numbered from the roots on, so that what is next lies behind, also where several nodes lead to
// one (a chain of tests for the members of a set).
class EnsembleBuilder {
 public:
  explicit EnsembleBuilder(const OnnxTrees& from) : from_(from), places_(from.nodes.size()) {}

  ValueId build(OnnxNode& n, ValueId x, int64_t targets, ReduceKind aggregate) {
    const DType dtype = n.type(x).dtype;
    for (const int64_t root : from_.roots) {
      roots_.push_back(0);
      place(root, {{nullptr, roots_.size() - 1}});
    }
    for (const int64_t node : order()) add(node);
    std::vector<double> leaves{0}, weight_targets, weights;
    for (const auto& leaf : from_.leaves) {
      for (const auto& [target, weight] : leaf) weight_targets.push_back(double(target)), weights.push_back(weight);
      leaves.push_back(double(weights.size()));
    }
    return n.add(schema::TreeEnsemble{targets, aggregate},
                 {x, list(n, dtype, splits_), list(n, DType::i32, {int64_t(tests_.size()), 3}, branches_), list(n, DType::u8, tests_),
                  list(n, DType::i32, roots_), list(n, DType::i32, leaves), list(n, DType::i32, weight_targets), list(n, dtype, weights)});
  }

 private:
  // Where the number of a node is wanted: a root, or a side of a node.
  struct Place {
    std::vector<double>* in;  // null: the roots
    size_t at;
  };
  void put(Place to, int64_t number) { (to.in ? *to.in : roots_)[to.at] = double(number); }
  void place(int64_t next, const std::vector<Place>& to) {
    check_next(next);
    if (next >= 0) places_[size_t(next)].insert(places_[size_t(next)].end(), to.begin(), to.end());
    else
      for (const Place& p : to) put(p, next);
  }
  void check_next(int64_t next) const {
    check(next < int64_t(from_.nodes.size()) && -1 - next < int64_t(from_.leaves.size()), "a tree goes on at node ", next, " of ",
          from_.nodes.size());
  }
  // The nodes that are reached, each behind all that lead to it.
  std::vector<int64_t> order() const {
    std::vector<int64_t> finished;
    std::vector<uint8_t> entered(from_.nodes.size()), left(from_.nodes.size());
    std::vector<int64_t> open(from_.roots.begin(), from_.roots.end());  // a node is left when it is on top again
    while (!open.empty()) {
      const int64_t at = open.back();
      if (at < 0 || left[size_t(at)]) {
        open.pop_back();
      } else if (entered[size_t(at)]) {
        open.pop_back();
        left[size_t(at)] = true;
        finished.push_back(at);
      } else {
        entered[size_t(at)] = true;
        const OnnxTrees::Node& node = from_.nodes[size_t(at)];
        for (const int64_t next : {node.then, node.otherwise}) {
          check_next(next);
          check(next < 0 || !entered[size_t(next)] || left[size_t(next)], "node ", next, " leads to itself");
          open.push_back(next);
        }
      }
    }
    return {finished.rbegin(), finished.rend()};
  }
  void add(int64_t index) {
    for (const Place& p : places_[size_t(index)]) put(p, int64_t(tests_.size()));
    const OnnxTrees::Node& node = from_.nodes[size_t(index)];
    const auto one = [&](TreeTest test, double split) {
      splits_.push_back(split), tests_.push_back(double(uint8_t(test) | (node.nan_holds ? kernels::tree::nan_holds : 0)));
      branches_.insert(branches_.end(), {double(node.feature), 0, 0});
    };
    std::vector<Place> then;
    if (node.test) {
      one(*node.test, node.split);
      then.push_back({&branches_, branches_.size() - 2});
    } else {  // a chain of nodes, each of which asks for one of the set; an empty set is a number that nothing equals
      const std::vector<double> nothing{NAN};
      const auto& set = node.set.empty() ? nothing : node.set;
      for (size_t i = 0; i < set.size(); ++i) {
        if (i) branches_.back() = double(tests_.size());
        one(TreeTest::equal, set[i]);
        then.push_back({&branches_, branches_.size() - 2});
      }
    }
    place(node.otherwise, {{&branches_, branches_.size() - 1}});
    place(node.then, then);
  }

  const OnnxTrees& from_;
  std::vector<std::vector<Place>> places_;  // by node: where its number is wanted
  std::vector<double> splits_, branches_, tests_, roots_;
};

// --- The new spelling ------------------------------------------------------------------------------------------------

std::vector<double> numbers(OnnxNode& n, const char* name) {
  const ConstantPtr tensor = n.tensor(name);
  std::vector<double> all(tensor ? size_t(tensor->view().elements()) : 0);
  for (size_t i = 0; i < all.size(); ++i) all[i] = load<double>(tensor->view(), int64_t(i));
  return all;
}

void tree_ensemble(OnnxNode& n) {
  n.expect_inputs(1, 1);
  n.expect_dtype(0, {DType::f32, DType::f64, DType::f16});
  n.ignore({"nodes_hitrates"});
  const auto features = n.integers("nodes_featureids"), then = n.integers("nodes_truenodeids"), otherwise = n.integers("nodes_falsenodeids"),
             then_leaf = n.integers("nodes_trueleafs"), otherwise_leaf = n.integers("nodes_falseleafs"), roots = n.integers("tree_roots"),
             nan = n.integers("nodes_missing_value_tracks_true"), targets = n.integers("leaf_targetids");
  const auto splits = numbers(n, "nodes_splits"), modes = numbers(n, "nodes_modes"), weights = numbers(n, "leaf_weights"),
             members = numbers(n, "membership_values");
  const size_t count = features.size();
  const auto expect = [&](const char* what, size_t size) {
    check(size == count, "attribute ", what, " has ", size, " values for ", count, " nodes");
  };
  expect("nodes_truenodeids", then.size()), expect("nodes_falsenodeids", otherwise.size()), expect("nodes_trueleafs", then_leaf.size());
  expect("nodes_falseleafs", otherwise_leaf.size()), expect("nodes_splits", splits.size()), expect("nodes_modes", modes.size());
  if (!nan.empty()) expect("nodes_missing_value_tracks_true", nan.size());
  check(targets.size() == weights.size(), "attribute leaf_weights has ", weights.size(), " values for ", targets.size(), " leaves");
  OnnxTrees trees;
  trees.roots = roots;
  for (const int64_t root : roots) check(root >= 0, "attribute tree_roots has ", root);
  for (size_t i = 0; i < targets.size(); ++i) trees.leaves.push_back({{targets[i], weights[i]}});
  const auto next = [&](int64_t id, int64_t leaf) {
    check(id >= 0 && id < int64_t(leaf ? targets.size() : count), "there is no ", leaf ? "leaf " : "node ", id);
    return leaf ? -1 - id : id;
  };
  constexpr double member = 6;
  size_t at = 0;
  for (size_t i = 0; i < count; ++i) {
    check(modes[i] >= 0 && modes[i] <= member, "node ", i, " has mode ", modes[i]);
    constexpr TreeTest tests[] = {TreeTest::less_equal, TreeTest::less, TreeTest::greater_equal, TreeTest::greater, TreeTest::equal, TreeTest::not_equal};
    OnnxTrees::Node node{features[i], splits[i], {}, !nan.empty() && nan[i] != 0, next(then[i], then_leaf[i]), next(otherwise[i], otherwise_leaf[i])};
    if (modes[i] < member) node.test = tests[size_t(modes[i])];
    else
      for (; at < members.size(); ++at) {  // sets end with NaN
        if (std::isnan(members[at])) { ++at; break; }
        node.set.push_back(members[at]);
      }
    trees.nodes.push_back(std::move(node));
  }
  const int64_t aggregate = n.integer("aggregate_function", 1), post = n.integer("post_transform", 0), outputs = n.integer("n_targets", 1);
  constexpr ReduceKind aggregates[] = {ReduceKind::mean, ReduceKind::sum, ReduceKind::min, ReduceKind::max};
  constexpr PostTransform posts[] = {PostTransform::none, PostTransform::softmax, PostTransform::logistic, PostTransform::softmax_zero, PostTransform::probit};
  check(aggregate >= 0 && aggregate < 4 && post >= 0 && post < 5, "attributes aggregate_function and post_transform are ", aggregate, " and ", post);
  const DType dtype = n.dtype(0), wide = dtype == DType::f64 ? DType::f64 : DType::f32;
  const ValueId y = transformed(n, posts[post], EnsembleBuilder(trees).build(n, rows_of(n, 0, wide), outputs, aggregates[aggregate]));
  n.set(0, n.cast(y, dtype));
}

// --- The old spelling ------------------------------------------------------------------------------------------------

struct NodeKey {
  int64_t tree, node;
  bool operator==(const NodeKey&) const = default;
};
struct NodeKeyHash {
  size_t operator()(const NodeKey& k) const { return std::hash<uint64_t>()(uint64_t(k.tree) * 0x9e3779b97f4a7c15u ^ uint64_t(k.node)); }
};

// A list of floats, or a tensor of doubles in its place.
std::vector<double> reals(OnnxNode& n, const std::string& name) {
  const std::string as_tensor = name + "_as_tensor";
  return n.has_attribute(as_tensor) ? numbers(n, as_tensor.c_str()) : n.reals(name);
}
bool has_doubles(OnnxNode& n, const std::string& weights) {
  for (const std::string& name : {std::string("nodes_values_as_tensor"), weights + "_weights_as_tensor"})
    if (const ConstantPtr tensor = n.tensor(name)) return tensor->dtype == DType::f64;
  return false;
}

// `prefix`: of the attributes that say what leaves weigh, "target" or "class".
OnnxTrees read_old(OnnxNode& n, const std::string& prefix) {
  n.ignore({"nodes_hitrates", "nodes_hitrates_as_tensor"});
  const auto tree = n.integers("nodes_treeids"), id = n.integers("nodes_nodeids"), features = n.integers("nodes_featureids"),
             then = n.integers("nodes_truenodeids"), otherwise = n.integers("nodes_falsenodeids"), nan = n.integers("nodes_missing_value_tracks_true");
  const schema::Strings modes = n.texts("nodes_modes");
  const auto splits = reals(n, "nodes_values");
  const size_t count = tree.size();
  const std::pair<const char*, size_t> sizes[] = {
      {"nodes_nodeids", id.size()}, {"nodes_featureids", features.size()}, {"nodes_truenodeids", then.size()}, {"nodes_falsenodeids", otherwise.size()},
      {"nodes_modes", modes.size()}, {"nodes_values", splits.size()}, {"nodes_missing_value_tracks_true", nan.empty() ? count : nan.size()}};
  for (const auto& [name, size] : sizes) check(size == count, "attribute ", name, " has ", size, " values for ", count, " nodes");
  static const std::map<std::string, TreeTest> tests{{"BRANCH_LEQ", TreeTest::less_equal}, {"BRANCH_LT", TreeTest::less}, {"BRANCH_GTE", TreeTest::greater_equal},
                                                     {"BRANCH_GT", TreeTest::greater}, {"BRANCH_EQ", TreeTest::equal}, {"BRANCH_NEQ", TreeTest::not_equal}};
  OnnxTrees trees;
  std::unordered_map<NodeKey, int64_t, NodeKeyHash> places;  // of each node, or -1 - leaf
  for (size_t i = 0; i < count; ++i) {
    const bool leaf = modes[i] == "LEAF";
    const int64_t place = leaf ? -1 - int64_t(trees.leaves.size()) : int64_t(trees.nodes.size());
    check(places.emplace(NodeKey{tree[i], id[i]}, place).second, "node ", id[i], " of tree ", tree[i], " is there twice");
    if (leaf) {
      trees.leaves.emplace_back();
      continue;
    }
    const auto test = tests.find(modes[i]);
    require(test != tests.end(), Code::unsupported, "attribute nodes_modes '", modes[i], "' is not supported");
    trees.nodes.push_back({features[i], splits[i], test->second, !nan.empty() && nan[i] != 0});
  }
  const auto at = [&](int64_t of, int64_t node) {
    const auto found = places.find({of, node});
    check(found != places.end(), "there is no node ", node, " in tree ", of);
    return found->second;
  };
  std::unordered_map<NodeKey, bool, NodeKeyHash> has_parent;
  size_t inner = 0;
  for (size_t i = 0; i < count; ++i) {
    if (modes[i] == "LEAF") continue;
    OnnxTrees::Node& node = trees.nodes[inner++];
    node.then = at(tree[i], then[i]), node.otherwise = at(tree[i], otherwise[i]);
    has_parent[{tree[i], then[i]}] = has_parent[{tree[i], otherwise[i]}] = true;
  }
  std::set<int64_t> rooted;  // trees, in the order in which they come
  for (size_t i = 0; i < count; ++i)
    if (!has_parent.contains({tree[i], id[i]}) && rooted.insert(tree[i]).second) trees.roots.push_back(at(tree[i], id[i]));
  for (size_t i = 0; i < count; ++i) check(rooted.contains(tree[i]), "tree ", tree[i], " has no root");
  const auto of = n.integers(prefix + "_treeids"), node = n.integers(prefix + "_nodeids"), target = n.integers(prefix + "_ids");
  const auto weights = reals(n, prefix + "_weights");
  check(of.size() == node.size() && of.size() == target.size() && of.size() == weights.size(), "attributes ", prefix, "_… have ", of.size(), ", ",
        node.size(), ", ", target.size(), " and ", weights.size(), " values");
  for (size_t i = 0; i < of.size(); ++i)  // exporters also list nodes that are no leaves
    if (const int64_t place = at(of[i], node[i]); place < 0) trees.leaves[size_t(-1 - place)].emplace_back(target[i], weights[i]);
  return trees;
}

ValueId with_base(OnnxNode& n, ValueId scores, const std::vector<double>& base) {
  return base.empty() ? scores : n.binary(BinaryKind::add, scores, list(n, n.type(scores).dtype, base));
}

void tree_regressor(OnnxNode& n) {
  n.expect_inputs(1, 1);
  expect_numbers(n);
  const ReduceKind aggregate = n.choice<ReduceKind>("aggregate_function", "SUM", {{"SUM", ReduceKind::sum}, {"AVERAGE", ReduceKind::mean},
                                                                                 {"MIN", ReduceKind::min}, {"MAX", ReduceKind::max}});
  const int64_t targets = n.integer("n_targets", 1);
  const auto base = reals(n, "base_values");
  check(base.empty() || int64_t(base.size()) == targets, "attribute base_values has ", base.size(), " values for ", targets, " targets");
  const DType dtype = n.dtype(0) == DType::f64 || has_doubles(n, "target") ? DType::f64 : DType::f32;
  const PostTransform post = post_transform(n);
  const OnnxTrees trees = read_old(n, "target");
  const ValueId sums = EnsembleBuilder(trees).build(n, rows_of(n, 0, dtype), targets, aggregate);
  n.set(0, n.cast(transformed(n, post, with_base(n, sums, base)), DType::f32));
}

void tree_classifier(OnnxNode& n) {
  n.expect_inputs(1, 1);
  expect_numbers(n);
  const ValueId classes = labels(n, "classlabels_int64s", "classlabels_strings");
  const int64_t count = n.type(classes).dims[0].value();
  const auto base = reals(n, "base_values");
  const DType dtype = n.dtype(0) == DType::f64 || has_doubles(n, "class") ? DType::f64 : DType::f32;
  const PostTransform post = post_transform(n);
  const OnnxTrees trees = read_old(n, "class");
  std::set<int64_t> used;
  bool positive = true;
  for (const auto& leaf : trees.leaves)
    for (const auto& [target, weight] : leaf) used.insert(target), positive &= weight >= 0;
  const ValueId x = rows_of(n, 0, dtype);
  ValueId scores = EnsembleBuilder(trees).build(n, x, count, ReduceKind::sum);
  // Two classes of which only one has weights: its score is that of the second class.
  const bool lone = count == 2 && used.size() == 1 && base.size() < 2;
  if (lone) {
    const int64_t which = *used.begin();
    const ValueId score = with_base(n, n.add(schema::Gather{1}, {scores, n.ints({which})}), base);
    n.set(0, label_by_sign(n, classes, score, positive ? 0.5 : 0));
    scores = which == 0 ? two_classes(n, post, score, !positive)
                        : transformed(n, post, n.add(schema::Concat{1}, {n.binary(BinaryKind::mul, score, 0.0), score}));
  } else {
    check(base.empty() || base.size() == 1 || int64_t(base.size()) == count, "attribute base_values has ", base.size(), " values for ", count, " classes");
    scores = with_base(n, scores, base);
    n.set(0, label_of_largest(n, classes, scores));
    scores = transformed(n, post, scores);
  }
  n.set(1, n.cast(scores, DType::f32));
}

constexpr Row ml_tree_rows[] = {{"TreeEnsemble", tree_ensemble}, {"TreeEnsembleClassifier", tree_classifier}, {"TreeEnsembleRegressor", tree_regressor}};
}  // namespace

Group ml_trees_group() { return {ml_domain, ml_tree_rows}; }
}  // namespace converter
