// Ensembles of decision trees over rows of f32. Each tree leads a row to one of its leaves, whose weights are summed, or
// their extremum taken, by target. Results are the same to the bit for any thread count, instruction set and number of rows.
#pragma once
#include "kernels/table.h"
#include "kernels/threads.h"
#include "schema/dtypes.h"

namespace kernels::tree {
inline constexpr uint8_t nan_holds = 8;  // added to a node's TreeTest: NaN passes it

// The nodes of all trees and how they hang together. Arrays of the caller's.
struct Structure {
  std::span<const int32_t> branches;  // by node: its feature, and what is next if its test holds and if not: a node behind it, or -1 - leaf
  std::span<const uint8_t> tests;     // by node: a schema::TreeTest of the feature against the split, and nan_holds
  std::span<const int32_t> roots;     // by tree: a node, or -1 - leaf
  std::span<const int32_t> leaves;    // by leaf: its first weight; and one more, the number of weights
  std::span<const int32_t> targets;   // by weight
};
struct Trees : Structure {
  std::span<const float> splits;   // by node
  std::span<const float> weights;  // by weight
};
// What is wrong with it, or empty. Walks never end where it is not.
std::string invalid(const Structure&, int64_t features, int64_t targets);

// What the choice of a kernel depends on.
struct Spec {
  int64_t features = 0, targets = 1, trees = 0;
  int64_t nodes = 0, leaves = 0, weights = 0;
  schema::ReduceKind aggregate = schema::ReduceKind::sum;  // or mean, which divides by the trees, min, max
  int64_t largest = 0;      // nodes and leaves of a tree
  bool mixed = false;       // tests of equality, or both of "less" and "less or equal"
  bool shared = false;      // a node with two parents
  bool strict = false;      // the tests are "less" and "greater or equal"
  bool nan = false;         // NaN may pass some test
  bool single = false;      // one target, one weight per leaf, and their sum or mean
};
Spec describe(const Structure&, int64_t features, int64_t targets, schema::ReduceKind);

constexpr int64_t tile = 64;  // rows that go through a tree together

// A node of a tree whose nodes follow each other, children side by side and behind their parents.
struct Node {
  float split;    // of a leaf: its only weight
  uint32_t word;  // from the highest bit: NaN passes, 15 bits of the feature, how far the first child is behind, 0 for a leaf
};
// A node of any shape. The test is `value < split` if strict, `value == split` if equal, else `value <= split`.
struct WideNode {
  float split;
  int32_t feature, next[2];  // if the test holds, and if not: a node, or -1 - leaf
  bool strict, equal, nan;
};

// A packed ensemble. A row ends in a tree's slot: a Node, or a leaf of wide nodes.
struct Forest {
  const Node* nodes;
  const WideNode* wide;
  const int32_t* roots;             // by tree, padded to a multiple of 64 by the last one
  const int32_t *shallow, *deep;    // by tree, of nodes: the tests before its nearest and its farthest leaf
  const float* values;              // of single: by slot, `value_step` floats apart
  int64_t value_step;
  const int32_t *first, *last;      // else: by slot, a range of weights
  const int32_t* targets;           // by weight
  const float* weights;
  int64_t trees;
};

struct Functions {
  bool wide;
  // The slots of n <= tile rows in one tree. Room for `tile` slots.
  void (*rows)(const Forest&, int64_t tree, const float* x, int64_t stride, int64_t n, int32_t* slots);
  // The slots of a row in the 64 trees from `tree` on, a multiple of 64, of which the last may not be there. Room for 64.
  void (*trees)(const Forest&, int64_t tree, const float* x, int32_t* slots);
};

class Kernel {
 public:
  Kernel() = default;
  Kernel(const Spec& spec, const Functions* functions) : spec_(spec), functions_(functions) {}
  explicit operator bool() const { return functions_ != nullptr; }
  size_t packed_bytes() const;
  void pack(const Trees&, std::byte* to) const;
  size_t scratch_bytes(int64_t rows) const;
  // x [rows, features], y [rows, targets]; a target that no weight reaches is 0. y overlaps nothing else.
  void run(const std::byte* packed, const float* x, float* y, int64_t rows, std::byte* scratch, ThreadPool&, int max_threads = 0) const;

 private:
  Forest view(const std::byte* packed) const;
  void add(const Forest&, const int32_t* slots, int64_t n, float* y) const;
  void finish(float* y, int64_t n) const;
  float total(const double* sums, int64_t step) const;
  void run_rows(const Forest&, const float* x, float* y, int64_t n) const;
  Spec spec_;
  const Functions* functions_ = nullptr;
};

using Row = kernels::Row<Spec, Kernel>;
using Choice = kernels::Choice<Kernel>;

// Why no row takes the spec, or empty; and why no row with vectors does.
std::string invalid(const Spec&);
std::string irregular(const Spec&);

#define KERNEL(name, isa, tile, where) \
  namespace where { \
  Support supports(const Spec&); \
  Kernel make(const Spec&); \
  }
#include "kernels/tree/kernels.inc"
std::span<const Row> rows();
Choice select(const Spec&, isa::Mask have = isa::detected());
}  // namespace kernels::tree
