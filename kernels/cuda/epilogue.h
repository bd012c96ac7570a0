// A chain of elementwise functions as a kernel's argument, with its operands. Where code is not generated for the
// chain, it is interpreted: every thread of a grid takes the same branches.
#pragma once
#include "kernels/cuda/device.h"

namespace kernels::cuda {
struct EpilogueStage {
  const float* data;  // of the operand
  int64_t stride;     // of a full operand
  float a, b;
  uint8_t binary, kind, swapped, mode;
};
struct Epilogue {
  EpilogueStage stages[Chain::capacity];
  int size = 0;

  Epilogue() = default;
  // On the host: `operands` is an array of its memory.
  Epilogue(const Chain& chain, const Operand* operands) : size(chain.size) {
    for (int i = 0; i < size; ++i) {
      const pointwise::Stage& s = chain.stages[size_t(i)];
      const Operand o = s.binary ? operands[s.operand] : Operand{};
      stages[i] = {o.data,    o.stride,       s.a, s.b, s.binary, s.binary ? uint8_t(s.op) : uint8_t(s.unary),
                   s.swapped, uint8_t(s.mode)};
    }
  }
};

namespace formulas {
using T = float;
__device__ inline T power(T x, T y) { return std::pow(x, y); }
__device__ inline T trunc_mod(T x, T y) { return std::fmod(x, y); }
__device__ inline T floor_mod(T x, T y) {
  const T r = std::fmod(x, y);
  return r != 0 && (r < 0) != (y < 0) ? r + y : r;
}

#define EMIT_number_same(...) __VA_ARGS__
#define EMIT_real_same(...) __VA_ARGS__
#define EMIT_integer_same(...)
#define EMIT_boolean_same(...)
#define EMIT_number_truth(...)
#define EMIT_real_truth(...)
#define EMIT_integer_truth(...)
#define EMIT_boolean_truth(...)
#define EMIT_any_truth(...)
__device__ inline float unary(uint8_t kind, T x, [[maybe_unused]] T a, [[maybe_unused]] T b) {
  switch (kind) {
#define UNARY(name, types, result, formula, ...) \
  EMIT_##types##_##result(case uint8_t(schema::UnaryKind::name) : return formula;)
#include "schema/unary.def"
    default: return x;
  }
}
__device__ inline float binary(uint8_t kind, T x, T y) {
  switch (kind) {
#define BINARY(name, types, result, formula, ...) \
  EMIT_##types##_##result(case uint8_t(schema::BinaryKind::name) : return formula;)
#include "schema/binary.def"
    default: return x;
  }
}
// Whether a kernel can apply it.
inline bool known(const pointwise::Stage& s) {
  if (s.binary) {
    switch (s.op) {
#define BINARY(name, types, result, ...) \
  EMIT_##types##_##result(case schema::BinaryKind::name : return s.operand < Chain::max_operands;)
#include "schema/binary.def"
      default: return false;
    }
  }
  switch (s.unary) {
#define UNARY(name, types, result, ...) EMIT_##types##_##result(case schema::UnaryKind::name : return true;)
#include "schema/unary.def"
    default: return false;
  }
}
#undef EMIT_number_same
#undef EMIT_real_same
#undef EMIT_integer_same
#undef EMIT_boolean_same
#undef EMIT_number_truth
#undef EMIT_real_truth
#undef EMIT_integer_truth
#undef EMIT_boolean_truth
#undef EMIT_any_truth
}  // namespace formulas

// Why kernels do not apply the chain, or null.
inline const char* refusal_of(const Chain& chain) {
  for (int i = 0; i < chain.size; ++i)
    if (!formulas::known(chain.stages[size_t(i)])) return "a function that is not f32 to f32";
  return nullptr;
}

// The chain on the element in this row and column.
INLAY_CALLED __device__ inline float apply(const Epilogue& e, float x, int64_t row, int64_t column) {
  for (int i = 0; i < e.size; ++i) {
    const EpilogueStage& s = e.stages[i];
    if (!s.binary) {
      x = formulas::unary(s.kind, x, s.a, s.b);
      continue;
    }
    const auto mode = pointwise::Mode(s.mode);
    const int64_t at = mode == pointwise::Mode::full         ? row * s.stride + column
                       : mode == pointwise::Mode::per_column ? column
                       : mode == pointwise::Mode::per_row    ? row
                                                             : 0;
    const float other = s.data[at];
    x = s.swapped ? formulas::binary(s.kind, other, x) : formulas::binary(s.kind, x, other);
  }
  return x;
}
}  // namespace kernels::cuda
