// What can be said of an ensemble before it is packed.
#include <algorithm>
#include "kernels/tree/tree.h"

namespace kernels::tree {
using schema::TreeTest;

std::string invalid(const Structure& s, int64_t features, int64_t targets) {
  const auto nodes = static_cast<int64_t>(s.tests.size()), leaves = static_cast<int64_t>(s.leaves.size()) - 1,
             weights = static_cast<int64_t>(s.targets.size());
  const auto text = [](int64_t v) { return std::to_string(v); };
  if (s.branches.size() != 3 * s.tests.size()) return text(int64_t(s.branches.size())) + " numbers say how " + text(nodes) + " nodes branch";
  if (leaves < 0 || s.leaves.front() != 0 || s.leaves.back() != weights) return "its leaves do not have all weights";
  if (!std::is_sorted(s.leaves.begin(), s.leaves.end())) return "the weights of its leaves are not in order";
  const auto known = [&](int32_t next, int64_t behind) { return next < 0 ? -1 - int64_t{next} < leaves : next > behind && next < nodes; };
  for (int64_t i = 0; i < nodes; ++i) {
    const int32_t* b = &s.branches[size_t(3 * i)];
    if (b[0] < 0 || b[0] >= features) return "node " + text(i) + " tests feature " + text(b[0]) + " of " + text(features);
    if (!known(b[1], i) || !known(b[2], i)) return "node " + text(i) + " goes on at " + text(b[1]) + " or " + text(b[2]) + ", which are not both behind it";
    if ((s.tests[size_t(i)] & ~nan_holds) > uint8_t(TreeTest::not_equal)) return "node " + text(i) + " has the unknown test " + text(s.tests[size_t(i)]);
  }
  for (const int32_t root : s.roots)
    if (!known(root, -1)) return "there is no root " + text(root);
  for (const int32_t t : s.targets)
    if (t < 0 || t >= targets) return "a weight is for target " + text(t) + " of " + text(targets);
  return "";
}

Spec describe(const Structure& s, int64_t features, int64_t targets, schema::ReduceKind aggregate) {
  Spec spec{.features = features, .targets = targets, .trees = int64_t(s.roots.size()), .nodes = int64_t(s.tests.size()),
            .leaves = int64_t(s.leaves.size()) - 1, .weights = int64_t(s.targets.size()), .aggregate = aggregate};
  bool strict = false, loose = false;
  for (const uint8_t test : s.tests) {
    const auto kind = TreeTest(test & ~nan_holds);
    spec.mixed |= kind == TreeTest::equal || kind == TreeTest::not_equal;
    strict |= kind == TreeTest::less || kind == TreeTest::greater_equal;
    loose |= kind == TreeTest::less_equal || kind == TreeTest::greater;
    // "Greater" becomes "less or equal" with its children turned, of which NaN then takes the first unless it passes.
    spec.nan |= kind == TreeTest::greater || kind == TreeTest::greater_equal || (test & nan_holds);
  }
  spec.mixed |= strict && loose;
  spec.strict = strict;
  std::vector<uint8_t> seen(s.tests.size());
  std::vector<int32_t> next;
  for (const int32_t root : s.roots) {
    int64_t size = 0;
    for (next.assign(1, root); !next.empty();) {
      const int32_t at = next.back();
      next.pop_back();
      ++size;
      if (at < 0) continue;
      if (seen[size_t(at)]++) {
        spec.shared = true;
        break;
      }
      next.insert(next.end(), {s.branches[size_t(3 * at + 2)], s.branches[size_t(3 * at + 1)]});
    }
    spec.largest = std::max(spec.largest, size);
  }
  spec.single = targets == 1 && (aggregate == schema::ReduceKind::sum || aggregate == schema::ReduceKind::mean);
  for (size_t l = 0; spec.single && l + 1 < s.leaves.size(); ++l) spec.single = s.leaves[l + 1] - s.leaves[l] == 1;
  return spec;
}

std::string invalid(const Spec& s) {
  using enum schema::ReduceKind;
  if (s.aggregate != sum && s.aggregate != mean && s.aggregate != min && s.aggregate != max)
    return "an aggregate other than sum, mean, min and max";
  if (s.nodes + 2 * s.leaves + 64 * s.trees > INT32_MAX / 4) return "more nodes than 32 bits can count";
  return s.features > INT32_MAX / tile ? "a row longer than 32 bits can count" : "";
}
std::string irregular(const Spec& s) {
  if (std::string reason = invalid(s); !reason.empty()) return reason;
  if (s.mixed) return "tests of several kinds";
  if (s.shared) return "nodes with two parents";
  if (s.features > 1 << 15) return "more than 32768 features";
  if (s.nodes + s.trees > INT32_MAX / 64) return "more nodes than offsets can count";
  return s.largest > 1 << 16 ? "a tree of more than 65536 nodes" : "";
}
}  // namespace kernels::tree
