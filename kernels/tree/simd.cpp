// A vector of rows, or of trees, goes one node deeper at each step, those at leaves excepted: every lane reads its own node
// and its own feature. The first nodes of a tree lie in registers.
#include "kernels/simd.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/tree/simd.cpp"
#include <hwy/foreach_target.h>
#include "kernels/simd-inl.h"
#include "kernels/tree/tree.h"

#if INLAY_SIMD_TARGET
HWY_BEFORE_NAMESPACE();
namespace kernels::tree::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;
using kernels::HWY_NAMESPACE::Float;
using kernels::HWY_NAMESPACE::lanes;
using kernels::HWY_NAMESPACE::Vec;
using kernels::HWY_NAMESPACE::vector;
using Ints = hn::RebindToSigned<Float>;
using VecI = hn::Vec<Ints>;
constexpr Ints ints;
constexpr int count = 4;                                           // vectors at once
constexpr int table_levels = lanes == 16 ? 4 : lanes == 8 ? 3 : 2;  // of a tree, in one register

HWY_INLINE VecI feature_of(VecI word) { return hn::And(hn::ShiftRight<16>(word), hn::Set(ints, 0x7fff)); }

// Where the test leads: a leaf stays where it is.
template <bool strict, bool nan> HWY_INLINE VecI next_of(VecI at, Vec split, VecI word, Vec v) {
  auto holds = strict ? hn::Lt(v, split) : hn::Le(v, split);
  if constexpr (nan) holds = hn::Or(holds, hn::And(hn::IsNaN(v), hn::MaskFromVec(hn::BitCast(vector, hn::BroadcastSignBit(word)))));
  const VecI offset = hn::And(word, hn::Set(ints, 0xffff)), other = hn::Min(offset, hn::Set(ints, 1));
  return hn::Add(at, hn::Add(offset, hn::IfThenZeroElse(hn::RebindMask(ints, holds), other)));
}

// Reads the nodes `at` from a base.
HWY_INLINE void fetch(const Node* nodes, VecI at, Vec& split, VecI& word) {
  const VecI twice = hn::ShiftLeft<1>(at);
  split = hn::GatherIndex(vector, reinterpret_cast<const float*>(nodes), twice);
  word = hn::GatherIndex(ints, reinterpret_cast<const int32_t*>(nodes) + 1, twice);
}

// `base`: by lane, what is added to a feature to find it in x.
template <bool strict, bool nan>
HWY_INLINE void deeper(const Node* nodes, const float* x, int32_t from, int32_t shallow, int32_t deep, const VecI (&base)[count], VecI (&at)[count]) {
  for (int32_t depth = from; depth < deep; ++depth) {
    VecI moved = hn::Zero(ints);
#pragma GCC unroll 4
    for (int v = 0; v < count; ++v) {
      Vec split;
      VecI word;
      fetch(nodes, at[v], split, word);
      const VecI next = next_of<strict, nan>(at[v], split, word, hn::GatherIndex(vector, x, hn::Add(base[v], feature_of(word))));
      moved = hn::Or(moved, hn::Xor(next, at[v]));
      at[v] = next;
    }
    if (depth >= shallow && hn::AllTrue(ints, hn::Eq(moved, hn::Zero(ints)))) return;
  }
}

template <bool strict, bool nan>
void rows_of(const Forest& f, int64_t tree, const float* x, int64_t stride, int64_t n, int32_t* slots) {
  const Node* nodes = f.nodes + f.roots[tree];
  const int32_t deep = f.deep[tree], shallow = f.shallow[tree];
  Vec table_split;
  VecI table_word;
  fetch(nodes, hn::Iota(ints, 0), table_split, table_word);
  for (int64_t first = 0; first < n; first += count * lanes) {
    VecI base[count], at[count];
#pragma GCC unroll 4
    for (int v = 0; v < count; ++v) {
      const VecI row = hn::Min(hn::Iota(ints, static_cast<int32_t>(first) + v * lanes), hn::Set(ints, static_cast<int32_t>(n) - 1));
      base[v] = hn::Mul(row, hn::Set(ints, static_cast<int32_t>(stride)));
      at[v] = hn::Zero(ints);
    }
    int32_t depth = 0;
    for (; depth < table_levels && depth < deep; ++depth)
#pragma GCC unroll 4
      for (int v = 0; v < count; ++v) {
        const auto index = hn::IndicesFromVec(vector, at[v]);
        const auto index_int = hn::IndicesFromVec(ints, at[v]);
        const VecI word = hn::TableLookupLanes(table_word, index_int);
        at[v] = next_of<strict, nan>(at[v], hn::TableLookupLanes(table_split, index), word,
                                     hn::GatherIndex(vector, x, hn::Add(base[v], feature_of(word))));
      }
    deeper<strict, nan>(nodes, x, depth, shallow, deep, base, at);
#pragma GCC unroll 4
    for (int v = 0; v < count; ++v)
      if (first + v * lanes < n) hn::StoreU(hn::Add(at[v], hn::Set(ints, f.roots[tree])), ints, slots + first + v * lanes);
  }
}

template <bool strict, bool nan> void trees_of(const Forest& f, int64_t tree, const float* x, int32_t* slots) {
  for (int64_t first = 0; first < tile; first += count * lanes) {
    VecI base[count], at[count];
    int32_t shallow = INT32_MAX, deep = 0;
    for (int64_t t = tree + first; t < tree + first + count * lanes; ++t) {
      shallow = f.shallow[t] < shallow ? f.shallow[t] : shallow;
      deep = f.deep[t] > deep ? f.deep[t] : deep;
    }
#pragma GCC unroll 4
    for (int v = 0; v < count; ++v) {
      base[v] = hn::Zero(ints);
      at[v] = hn::LoadU(ints, f.roots + tree + first + v * lanes);
    }
    deeper<strict, nan>(f.nodes, x, 0, shallow, deep, base, at);
#pragma GCC unroll 4
    for (int v = 0; v < count; ++v) hn::StoreU(at[v], ints, slots + first + v * lanes);
  }
}
}  // namespace
template <bool strict, bool nan> constexpr Functions functions{false, rows_of<strict, nan>, trees_of<strict, nan>};
constexpr const Functions* choices[] = {&functions<false, false>, &functions<false, true>, &functions<true, false>, &functions<true, true>};
}  // namespace kernels::tree::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

// Compiled for the baseline: what it instantiates may be shared with other files.
namespace kernels::tree::HWY_NAMESPACE {
Support supports(const Spec& spec) { return {16.0 / kernels::HWY_NAMESPACE::lanes, irregular(spec)}; }
Kernel make(const Spec& spec) { return {spec, choices[2 * spec.strict + spec.nan]}; }
}  // namespace kernels::tree::HWY_NAMESPACE
#endif
