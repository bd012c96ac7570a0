// The op catalogue, continued: classic machine learning, and values that are maps. As ops.h has it.
#pragma once
#include "schema/op_fields.h"

namespace schema {
#define F(name) v(#name, &Self::name)

// An ensemble of decision trees. Each leads a row of x to a leaf, whose weights are added up, or their mean over the trees,
// their minimum or maximum taken, by target; a target without any is 0. Inputs: x [N,F] of a real dtype, splits [nodes] of
// the same, branches (i32 [nodes,3]: a node's feature, and what is next if its test holds and if not: a node behind it, or
// -1 - leaf), tests (u8 [nodes]: TreeTest, x against the split, and 8 if NaN passes; it passes no other but not_equal),
// roots (i32 [trees], like what is next), leaves (i32 [leaves+1]: where the weights of each begin, and their number), the
// weights' targets (i32 [weights]), weights [weights] of the dtype of x. Output: [N,targets].
struct TreeEnsemble {
  static constexpr int version = 1;
  int64_t targets = 1;
  ReduceKind aggregate = ReduceKind::sum;
  SCHEMA_FIELDS(TreeEnsemble, F(targets), F(aggregate))
};

// y[i] is the value whose key is x[i]: of equal keys the first one's, and NaN equals NaN. Inputs: x (any dtype), keys [n] (of
// the same), values [n], [default (one element)]. What is no key gives the default, or without one an error.
struct Lookup {
  static constexpr int version = 1;
  SCHEMA_FIELDS(Lookup)
};

// y[i,j] = sum over f of (a[i,f] - b[j,f])². Inputs: a [N,F], b [M,F]. Output: [N,M].
struct SquaredDistance {
  static constexpr int version = 1;
  SCHEMA_FIELDS(SquaredDistance)
};

// The probabilities p of each of `classes` classes from r[i,j], the probability of class i against j for all pairs i < j in
// order, by minimising the sum of (r[j,i] p[i] - r[i,j] p[j])² (T.-F. Wu, C.-J. Lin and R. C. Weng, "Probability Estimates
// for Multi-class Classification by Pairwise Coupling", JMLR 5, 2004, method 2). Input: r [N,classes*(classes-1)/2].
// Output: [N,classes].
struct PairwiseCoupling {
  static constexpr int version = 1;
  int64_t classes = 2;
  SCHEMA_FIELDS(PairwiseCoupling, F(classes))
};

// A sequence of one map per row. Inputs: values [N,n], keys (i64 or string [n]).
struct ZipMap {
  static constexpr int version = 1;
  SCHEMA_FIELDS(ZipMap)
};
// The keys [n] and values [n] of a map from `key` (i64 or string) to `value`, ascending by key.
struct MapParts {
  static constexpr int version = 1;
  DType key = DType::i64, value = DType::f32;
  SCHEMA_FIELDS(MapParts, F(key), F(value))
};
#undef F
}  // namespace schema
