// An input that holds the shape of the output: ConstantOfShape, Random.
#pragma once
#include "engine/op.h"

namespace engine {
// The type that input k, a shape, asks for, as far as it is known.
inline Type type_of_shape(const InferContext& in, size_t k, DType dtype) {
  in.expect_dtype(k, {DType::i64});
  const Type& shape = in.in(k);
  check(!shape.ranked || shape.rank() == 1, "the shape must have rank 1, not ", shape.rank());
  if (const auto dims = in.ints(k)) {
    check(int64_t(dims->size()) <= limits::rank, "rank ", dims->size(), " is too high");
    for (const Dim& d : *dims) check(!d.known() || d.value() >= 0, "extent ", d.text(), " is negative");
    return Type::tensor(dtype, *dims);
  }
  if (!shape.ranked || !shape.dims[0].known() || shape.dims[0].value() > limits::rank) return Type::unranked(dtype);
  return Type::tensor(dtype, Dims(size_t(shape.dims[0].value()), Dim::unknown()));
}

// What it says when the step runs.
inline std::span<const int64_t> given_shape(const ConstView& wanted) {
  const auto shape = wanted.as<int64_t>();
  check(int64_t(shape.size()) <= limits::rank, "rank ", shape.size(), " is too high");
  return shape;
}
}  // namespace engine
