// What Loop and Scan share.
#pragma once
#include "engine/op.h"

namespace engine {
// True if the type says nothing that is wrong of values of the other type.
bool covers(const Type& general, const Type& specific);

// The output types of a body that feeds its outputs out, out + 1, … back into its inputs in, in + 1, …, `count` of them:
// those that hold in every iteration. `inputs` are the types of the first one, and become those of all. `ints`: values of
// inputs that stay the same.
Types infer_loop(const Graph& body, Types& inputs, size_t in, size_t out, size_t count, std::span<const std::optional<Dims>> ints);

// Slices of equal type, one per iteration, that become one tensor.
class Stack {
 public:
  void append(const ConstView&);
  // Writes output k: the slices side by side along `axis` of the result, the last one first with `reverse`. With no slice,
  // the extents of an output that the plan did not size are those of `slice`, the unknown ones 0.
  void finish(RunContext&, size_t k, const Type& slice, int64_t axis = 0, bool reverse = false) const;

 private:
  DType dtype_ = DType::f32;
  Shape shape_;
  int64_t count_ = 0;
  Scratch<std::byte> bytes_;
  Scratch<std::string> strings_;
  Charge text_;
  int64_t characters_ = 0;
};
}  // namespace engine
