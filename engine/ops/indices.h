// Index tensors of gathers and scatters.
#pragma once
#include "engine/op.h"

namespace engine {
inline void expect_indices(const InferContext& in, size_t k) { in.expect_dtype(k, {DType::i32, DType::i64}); }

// Index i, counted from the front. Throws if it is out of range.
inline int64_t index_at(const ConstView& indices, int64_t i, int64_t extent) {
  const int64_t index = load<Int>(indices, i).v;
  check(index >= -extent && index < extent, "index ", index, " is out of range for extent ", extent);
  return index < 0 ? index + extent : index;
}

// How a scatter combines what is there with the update.
template <class T> T combine(schema::ScatterKind kind, T old, T update) {
  switch (kind) {
    case schema::ScatterKind::add: return old + update;
    case schema::ScatterKind::mul: return old * update;
    case schema::ScatterKind::min: return update < old || update != update ? update : old;
    case schema::ScatterKind::max: return old < update || update != update ? update : old;
    case schema::ScatterKind::none: break;
  }
  return update;
}
inline void scatter_one(schema::ScatterKind kind, const View& y, int64_t to, const ConstView& updates, int64_t from) {
  if (kind == schema::ScatterKind::none) return copy_elements(y, to, updates, from, 1);
  with_carrier(y.dtype, [&]<class T>(T) { store(y, to, combine(kind, load<T>(y, to), load<T>(updates, from))); });
}
inline void expect_combinable(const InferContext& in, schema::ScatterKind kind) {
  in.expect_same_dtype(0, 2);
  if (kind != schema::ScatterKind::none) check(in.in(0).dtype != DType::string, "strings cannot be combined");
}
}  // namespace engine
