#include "kernels/tree/tree.h"
#include <algorithm>
#include <cmath>
#include <cstring>
#include "kernels/split.h"

namespace kernels::tree {
namespace {
using schema::ReduceKind, schema::TreeTest;
constexpr int64_t block = 64;     // trees that threads do not share
constexpr int64_t few_rows = 8;  // of fewer, a vector goes through several trees with one of them

// Where the arrays of a packed ensemble begin.
struct Layout {
  size_t nodes, roots, shallow, deep, first, last, targets, weights, end;
  int64_t slots;
  Layout(const Spec& s, bool wide) {
    const int64_t blocks = divide_up(s.trees, block), spare = 2 * block;  // a vector reads past the last node
    slots = wide ? s.leaves : 2 * s.nodes + s.trees;
    auto next = [at = size_t{0}](size_t bytes) mutable { return std::exchange(at, at + (bytes + 63) / 64 * 64); };
    nodes = next(wide ? size_t(s.nodes) * sizeof(WideNode) : size_t(slots + spare) * sizeof(Node));
    roots = next(size_t(blocks * block) * 4), shallow = next(size_t(blocks * block) * 4), deep = next(size_t(blocks * block) * 4);
    first = next(s.single ? 0 : size_t(slots) * 4), last = next(s.single ? 0 : size_t(slots) * 4);
    targets = next(s.single ? 0 : size_t(s.weights) * 4);
    weights = next(s.single && !wide ? 0 : size_t(s.weights) * 4);
    end = next(0);
  }
};

// The same test as one of "less", "less or equal" and "equal", whose children may have to change places.
struct Normal {
  float split;
  bool strict, equal, nan, turned;
};
Normal normal(float split, uint8_t test) {
  const auto kind = TreeTest(test & ~nan_holds);
  const bool not_equal = kind == TreeTest::not_equal, nan = not_equal || (test & nan_holds);
  Normal n{split, kind == TreeTest::less || kind == TreeTest::greater_equal, not_equal || kind == TreeTest::equal, nan,
           kind == TreeTest::greater || kind == TreeTest::greater_equal || not_equal};
  if (std::isnan(split) && !not_equal) n.turned = false;  // holds for no number, which way it is asked
  if (n.turned) n.nan = !n.nan;
  return n;
}

bool holds(const WideNode& n, float v) {
  if (std::isnan(v)) return n.nan;
  return n.equal ? v == n.split : n.strict ? v < n.split : v <= n.split;
}
int32_t walk(const Forest& f, int32_t at, const float* x) {
  while (at >= 0) {
    const WideNode& n = f.wide[at];
    at = n.next[holds(n, x[n.feature]) ? 0 : 1];
  }
  return -1 - at;
}
void rows_of(const Forest& f, int64_t tree, const float* x, int64_t stride, int64_t n, int32_t* slots) {
  for (int64_t r = 0; r < n; ++r) slots[r] = walk(f, f.roots[tree], x + r * stride);
}
void trees_of(const Forest& f, int64_t tree, const float* x, int32_t* slots) {
  for (int64_t t = tree; t < std::min(tree + block, f.trees); ++t) *slots++ = walk(f, f.roots[t], x);
}
constexpr Functions functions{true, rows_of, trees_of};

template <class T> T* at(std::byte* packed, size_t offset) { return reinterpret_cast<T*>(packed + offset); }
template <class T> const T* at(const std::byte* packed, size_t offset) { return reinterpret_cast<const T*>(packed + offset); }

// One tree's nodes level by level, from `start` on; `leaf_of` gets the leaf of each slot. Gives the tests before leaves.
struct Depths {
  int32_t shallow = INT32_MAX, deep = 0;
};
Depths pack_tree(const Trees& t, int32_t root, Node* to, int32_t* leaf_of, int32_t& count) {
  Depths depths;
  std::vector<std::pair<int32_t, int32_t>> slots{{root, 0}};  // by slot: what of the trees it is, and its depth
  for (size_t s = 0; s < slots.size(); ++s) {
    const auto [from, depth] = slots[s];
    if (from < 0) {
      const int32_t leaf = -1 - from;
      leaf_of[s] = leaf;
      to[s] = {t.leaves[size_t(leaf)] < t.leaves[size_t(leaf) + 1] ? t.weights[size_t(t.leaves[size_t(leaf)])] : 0, 0};
      depths.shallow = std::min(depths.shallow, depth), depths.deep = std::max(depths.deep, depth);
      continue;
    }
    const int32_t* b = &t.branches[size_t(3) * size_t(from)];
    const Normal n = normal(t.splits[size_t(from)], t.tests[size_t(from)]);
    leaf_of[s] = -1;
    to[s] = {n.split, uint32_t{n.nan} << 31 | uint32_t(b[0]) << 16 | uint32_t(slots.size() - s)};
    for (const int k : {n.turned ? 2 : 1, n.turned ? 1 : 2}) slots.emplace_back(b[k], depth + 1);
  }
  count += int32_t(slots.size());
  return depths;
}
}  // namespace

size_t Kernel::packed_bytes() const { return Layout(spec_, functions_->wide).end; }

void Kernel::pack(const Trees& t, std::byte* to) const {
  const bool wide = functions_->wide;
  const Layout l(spec_, wide);
  std::memset(to, 0, l.end);
  auto *roots = at<int32_t>(to, l.roots), *shallow = at<int32_t>(to, l.shallow), *deep = at<int32_t>(to, l.deep);
  std::vector<int32_t> leaf_of(size_t(l.slots));
  if (wide) {
    for (size_t i = 0; i < t.tests.size(); ++i) {
      const int32_t* b = &t.branches[3 * i];
      const Normal n = normal(t.splits[i], t.tests[i]);
      at<WideNode>(to, l.nodes)[i] = {n.split, b[0], {b[n.turned ? 2 : 1], b[n.turned ? 1 : 2]}, n.strict, n.equal, n.nan};
    }
    for (size_t i = 0; i < leaf_of.size(); ++i) leaf_of[i] = int32_t(i);
    std::ranges::copy(t.roots, roots);
  } else {
    int32_t count = 0;
    for (size_t i = 0; i < t.roots.size(); ++i) {
      roots[i] = count;
      const Depths depths = pack_tree(t, t.roots[i], at<Node>(to, l.nodes) + count, leaf_of.data() + count, count);
      shallow[i] = depths.shallow, deep[i] = depths.deep;
    }
    for (int64_t i = spec_.trees; i < round_up(spec_.trees, block); ++i)
      roots[i] = roots[spec_.trees - 1], shallow[i] = shallow[spec_.trees - 1], deep[i] = deep[spec_.trees - 1];
  }
  if (wide || !spec_.single) std::ranges::copy(t.weights, at<float>(to, l.weights));
  if (spec_.single) return;
  std::ranges::copy(t.targets, at<int32_t>(to, l.targets));
  for (size_t s = 0; s < leaf_of.size(); ++s)
    if (leaf_of[s] >= 0) at<int32_t>(to, l.first)[s] = t.leaves[size_t(leaf_of[s])], at<int32_t>(to, l.last)[s] = t.leaves[size_t(leaf_of[s]) + 1];
}

Forest Kernel::view(const std::byte* from) const {
  const bool wide = functions_->wide;
  const Layout l(spec_, wide);
  const auto *nodes = at<Node>(from, l.nodes), *none = static_cast<const Node*>(nullptr);
  const auto* weights = at<float>(from, l.weights);
  return {wide ? none : nodes, at<WideNode>(from, l.nodes), at<int32_t>(from, l.roots), at<int32_t>(from, l.shallow), at<int32_t>(from, l.deep),
          wide ? weights : &nodes->split, wide ? 1 : int64_t(sizeof(Node) / sizeof(float)),
          at<int32_t>(from, l.first), at<int32_t>(from, l.last), at<int32_t>(from, l.targets), weights, spec_.trees};
}

size_t Kernel::scratch_bytes(int64_t rows) const { return rows < few_rows ? size_t(round_up(spec_.trees, block)) * 4 : 0; }

// Adds the weights of n rows' leaves in one tree to y [n, targets].
void Kernel::add(const Forest& f, const int32_t* slots, int64_t n, float* y) const {
  const bool low = spec_.aggregate == ReduceKind::min, high = spec_.aggregate == ReduceKind::max;
  for (int64_t r = 0; r < n; ++r, y += spec_.targets)
    for (int32_t w = f.first[slots[r]]; w < f.last[slots[r]]; ++w) {
      float& to = y[f.targets[w]];
      const float by = f.weights[w];
      if (low || high) to = std::isnan(to) || (low ? by < to : by > to) ? by : to;  // NaN: nothing so far
      else to += by;
    }
}
void Kernel::finish(float* y, int64_t n) const {
  for (int64_t i = 0; i < n * spec_.targets; ++i) {
    if (spec_.aggregate == ReduceKind::mean) y[i] /= static_cast<float>(spec_.trees);
    else if (std::isnan(y[i]) && spec_.aggregate != ReduceKind::sum) y[i] = 0;
  }
}

// Four sums of every fourth tree each, for a row's result not to wait for every addition; in double, as its terms may cancel.
float Kernel::total(const double* sums, int64_t step) const {
  const double sum = (sums[0] + sums[step]) + (sums[2 * step] + sums[3 * step]);
  return static_cast<float>(spec_.aggregate == ReduceKind::mean ? sum / static_cast<double>(spec_.trees) : sum);
}

void Kernel::run_rows(const Forest& f, const float* x, float* y, int64_t n) const {
  int32_t slots[tile];
  double sums[4 * tile] = {};
  for (int64_t t = 0; t < spec_.trees; ++t) {
    functions_->rows(f, t, x, spec_.features, n, slots);
    if (!spec_.single) add(f, slots, n, y);
    else
      for (int64_t r = 0; r < n; ++r) sums[(t & 3) * tile + r] += static_cast<double>(f.values[slots[r] * f.value_step]);
  }
  if (!spec_.single) return finish(y, n);
  for (int64_t r = 0; r < n; ++r) y[r] = total(sums + r, tile);
}

void Kernel::run(const std::byte* packed, const float* x, float* y, int64_t rows, std::byte* scratch, ThreadPool& pool, int max_threads) const {
  constexpr int64_t walk_loads = 24;  // of a tree of some depth
  const Forest f = view(packed);
  const bool extremum = spec_.aggregate == ReduceKind::min || spec_.aggregate == ReduceKind::max;
  std::fill_n(y, rows * spec_.targets, extremum ? NAN : 0.0f);
  if (rows >= few_rows) {
    return run_split(pool, max_threads, rows, 1, rows * spec_.trees * walk_loads, [&](int64_t first, int64_t last, int64_t, int64_t) {
      for (int64_t r = first; r < last; r += tile)
        run_rows(f, x + r * spec_.features, y + r * spec_.targets, std::min(tile, last - r));
    });
  }
  auto* slots = reinterpret_cast<int32_t*>(scratch);
  for (int64_t r = 0; r < rows; ++r, x += spec_.features, y += spec_.targets) {
    run_split(pool, max_threads, divide_up(spec_.trees, block), 1, spec_.trees * walk_loads, [&](int64_t first, int64_t last, int64_t, int64_t) {
      for (int64_t b = first; b < last; ++b) functions_->trees(f, b * block, x, slots + b * block);
    });
    double sums[4] = {};
    for (int64_t t = 0; t < spec_.trees; ++t) {
      if (spec_.single) sums[t & 3] += static_cast<double>(f.values[slots[t] * f.value_step]);
      else add(f, slots + t, 1, y);
    }
    if (spec_.single) *y = total(sums, 1);
    else finish(y, 1);
  }
}

std::span<const Row> rows() {
  static constexpr Row table[] = {
#define KERNEL(name, isa, tile, where) {#name, isa, tile, where::supports, where::make},
#include "kernels/tree/kernels.inc"
  };
  return table;
}

Choice select(const Spec& spec, isa::Mask have) { return choose(rows(), spec, have); }

Support scalar::supports(const Spec& spec) { return {16, invalid(spec)}; }
Kernel scalar::make(const Spec& spec) { return {spec, &functions}; }
}  // namespace kernels::tree
