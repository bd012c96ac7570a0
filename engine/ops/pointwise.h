// Elementwise ops as chains for kernels/pointwise, on their own or behind a convolution or product.
#pragma once
#include "engine/device_lowering.h"
#include "kernels/pointwise/pointwise.h"

namespace engine {
// A chain, and where its operands come from. Rows are those of the output's last dim.
struct Chained {
  kernels::pointwise::Chain chain;
  std::vector<size_t> inputs = {};    // of the step, by operand
  std::vector<int64_t> strides = {};  // of each operand, for those that are `full`
  std::vector<DeviceInput> on_device = {};  // by operand, of a step on a device
  kernels::pointwise::KeptTypes kept = {};  // of operands
  kernels::pointwise::KeptTypes kept_between(DType x, DType y) const {
    kernels::pointwise::KeptTypes all = kept;
    all.x = x, all.y = y;
    return all;
  }
  kernels::pointwise::Operands operands(const RunContext&) const;
  kernels::pointwise::Operands operands_on_device(const RunContext&) const;
  void add_operand(const LowerContext&, size_t input, int64_t stride);  // `input` of the node that becomes the step
};

// The op as a stage of a chain: `chain` is the input that is the result so far, of the extents of the output; the other
// one is `operand`. None: no kernel could apply it to rows of the output's last dim.
std::optional<kernels::pointwise::Stage> stage_of(const Op&, size_t chain, const Type& operand, const Shape& out, uint8_t index);

std::optional<Lowered> lower_unary(const kernels::pointwise::Stage&, const LowerContext&);
// f32 z = f(x, y), where one input has the extents of z and the other is broadcast along whole runs of dims.
std::optional<Lowered> lower_binary(schema::BinaryKind, const LowerContext&);
// A chain on input x, of the extents of the output.
std::optional<Lowered> lower_chain(const Chained&, size_t x, const LowerContext&);
// Of a Unary or Binary.
bool pointwise_takes_pitch(const Graph&, const Node&, int port);
}  // namespace engine
