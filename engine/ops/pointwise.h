// How elementwise ops ask for kernels: an op as a chain of one stage over a 2-D view of its output.
#pragma once
#include "engine/op.h"
#include "kernels/pointwise/pointwise.h"

namespace engine {
// f32 y = f(x).
std::optional<Lowered> lower_unary(const kernels::pointwise::Stage&, const LowerContext&);
// f32 z = f(x, y), where one input has the extents of z and the other is broadcast along whole runs of dims.
std::optional<Lowered> lower_binary(schema::BinaryKind, const LowerContext&);
// The op as a stage of an epilogue: `chain` is the input that is the result so far, of the extents of the output; the other
// one is `operand`, seen as rows of the output's last dim. None: no kernel could apply it so.
std::optional<kernels::pointwise::Stage> epilogue_stage(const Op&, size_t chain, const Type& operand, const Shape& out,
                                                        uint8_t index);
}  // namespace engine
