// A chain of elementwise functions as a kernel's argument, with its operands. Where code is not generated for the
// chain, it is interpreted: every thread of a grid takes the same branches.
#pragma once
#include "kernels/cuda/formulas.h"

namespace kernels::cuda {
struct EpilogueStage {
  const void* data;  // of the operand
  int64_t stride;    // of a full operand
  float a, b;
  uint8_t binary, kind, swapped, mode;
  DType type;  // of the operand
};
struct Epilogue {
  EpilogueStage stages[Chain::capacity];
  int size = 0;

  Epilogue() = default;
  // On the host: `operands` is an array of its memory.
  Epilogue(const Chain& chain, const Operand* operands, const KeptTypes& kept) : size(chain.size) {
    for (int i = 0; i < size; ++i) {
      const pointwise::Stage& s = chain.stages[size_t(i)];
      const Operand o = s.binary ? operands[s.operand] : Operand{};
      stages[i] = {o.data,    o.stride,        s.a,
                   s.b,       s.binary,        s.binary ? uint8_t(s.op) : uint8_t(s.unary),
                   s.swapped, uint8_t(s.mode), s.binary ? kept.operands[s.operand] : DType::f32};
    }
  }
};

// Why kernels do not apply the chain, or null.
inline const char* refusal_of(const Chain& chain, const KeptTypes& kept) {
  for (const DType t : kept.operands)
    if (!is_float(t)) return "operands of another type";
  if (!is_float(kept.x) || !is_float(kept.y)) return "types that are not real";
  for (const pointwise::Stage& s : chain) {
    const bool known = s.binary ? formulas::known<float>(s.op, false) && s.operand < Chain::max_operands
                                : formulas::known<float>(s.unary, false);
    if (!known) return "a function that is not f32 to f32";
  }
  return nullptr;
}

// The chain on the element in this row and column.
INLAY_CALLED __device__ inline float apply(const Epilogue& e, float x, int64_t row, int64_t column) {
  for (int i = 0; i < e.size; ++i) {
    const EpilogueStage& s = e.stages[i];
    if (!s.binary) {
      x = formulas::unary<false>(schema::UnaryKind(s.kind), x, s.a, s.b);
      continue;
    }
    const auto mode = pointwise::Mode(s.mode);
    const int64_t at = mode == pointwise::Mode::full         ? row * s.stride + column
                       : mode == pointwise::Mode::per_column ? column
                       : mode == pointwise::Mode::per_row    ? row
                                                             : 0;
    const float other = load_real(s.type, s.data, at);
    const auto function = schema::BinaryKind(s.kind);
    x = s.swapped ? formulas::binary<false>(function, other, x) : formulas::binary<false>(function, x, other);
  }
  return x;
}
// The same, and stores it where y has it: not inlined, as tiles do it for each of a thread's elements.
INLAY_CALLED __device__ inline void keep(const Epilogue& e, DType type, void* y, int64_t at, float x, int64_t row,
                                         int64_t column) {
  Kept::store(type, y, at, apply(e, x, row, column));
}
}  // namespace kernels::cuda
