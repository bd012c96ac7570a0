// Data movement on a device, as strided copies.
#pragma once
#include "engine/op.h"
#include "engine/ops/strides.h"

namespace engine {
// Elements of an input to those of an output; the positions of `nest` are those of the output, then of the input.
struct StridedCopy {
  size_t input, output;
  Nest<2> nest;
  std::array<int64_t, 2> first = {};
};
std::optional<Lowered> lower_copies(const LowerContext&, std::span<const StridedCopy>);
// All of output 0 from where `strides` reach in input 0; see copy_strided.
std::optional<Lowered> lower_strided(const LowerContext&, const Extents& strides, int64_t first = 0);
}  // namespace engine
