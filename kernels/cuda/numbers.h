// Elements of the types that kernels of the device have: reals pass through f32, integers through int64.
#pragma once
#include "kernels/cuda/device.h"

namespace kernels::cuda {
using schema::DType;

__device__ inline uint32_t bits_of_float(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}
__device__ inline float float_of_bits(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}
// Between half, bfloat16 and f32, to nearest, ties to even: what a device does in an instruction is spelled out for the emulation.
#if defined(__CUDA_ARCH__)
__device__ inline float from_half(uint16_t h) {
  float x;
  asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(h));
  return x;
}
__device__ inline uint16_t to_half(float x) {
  uint16_t h;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(h) : "f"(x));
  return h;
}
__device__ inline uint16_t to_bfloat(float x) {
  uint16_t h;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(h) : "f"(x));
  return h;
}
#else
__device__ inline float from_half(uint16_t h) {
  const uint32_t sign = uint32_t(h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 0x3ff;
  if (exponent == 31) return float_of_bits(sign | 0x7f800000 | fraction << 13);
  if (exponent) return float_of_bits(sign | (exponent + 112) << 23 | fraction << 13);
  const float small = float(fraction) * 0x1p-24f;
  return sign ? -small : small;
}
__device__ inline uint16_t to_half(float x) {
  const uint32_t bits = bits_of_float(x), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return uint16_t(sign | 0x7e00);
  if (magnitude >= 0x47800000) return uint16_t(sign | 0x7c00);
  if (magnitude < 0x38800000) {  // below the smallest normal half: adding 0.5 leaves multiples of 2^-24 in the fraction
    return uint16_t(sign | (bits_of_float(float_of_bits(magnitude) + 0.5f) - 0x3f000000));
  }
  return uint16_t(sign | ((magnitude + 0xfff + (magnitude >> 13 & 1) - 0x38000000) >> 13));
}
__device__ inline uint16_t to_bfloat(float x) {
  const uint32_t bits = bits_of_float(x);
  if ((bits & 0x7fffffff) > 0x7f800000) return uint16_t(bits >> 16 | 0x40);
  return uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
#endif

__device__ inline float load_real(DType type, const void* x, int64_t i) {
  if (type == DType::f32) return static_cast<const float*>(x)[i];
  const uint16_t bits = static_cast<const uint16_t*>(x)[i];
  return type == DType::f16 ? from_half(bits) : float_of_bits(uint32_t(bits) << 16);
}
__device__ inline void store_real(DType type, void* y, int64_t i, float v) {
  if (type == DType::f32) static_cast<float*>(y)[i] = v;
  else static_cast<uint16_t*>(y)[i] = type == DType::f16 ? to_half(v) : to_bfloat(v);
}
__device__ inline int64_t load_integer(DType type, const void* x, int64_t i) {
  switch (type) {
    case DType::i8: return static_cast<const int8_t*>(x)[i];
    case DType::i16: return static_cast<const int16_t*>(x)[i];
    case DType::i32: return static_cast<const int32_t*>(x)[i];
    case DType::u8: return static_cast<const uint8_t*>(x)[i];
    case DType::u16: return static_cast<const uint16_t*>(x)[i];
    case DType::u32: return static_cast<const uint32_t*>(x)[i];
    case DType::boolean: return static_cast<const uint8_t*>(x)[i] != 0;
    default: return static_cast<const int64_t*>(x)[i];
  }
}
__device__ inline void store_integer(DType type, void* y, int64_t i, int64_t v) {
  switch (type) {
    case DType::i8:
    case DType::u8: static_cast<uint8_t*>(y)[i] = uint8_t(v); return;
    case DType::i16:
    case DType::u16: static_cast<uint16_t*>(y)[i] = uint16_t(v); return;
    case DType::i32:
    case DType::u32: static_cast<uint32_t*>(y)[i] = uint32_t(v); return;
    case DType::boolean: static_cast<uint8_t*>(y)[i] = v != 0; return;
    default: static_cast<int64_t*>(y)[i] = v;
  }
}

__host__ __device__ inline bool is_float(DType type) {
  return type == DType::f32 || type == DType::f16 || type == DType::bf16;
}
// Finite numbers stay finite: what passes the largest one of the type becomes it.
__device__ inline uint16_t to_half_saturated(float x) {
  const uint16_t h = to_half(x);
  return (h & 0x7fff) == 0x7c00 && std::fabs(x) < INFINITY ? uint16_t(h - 1) : h;
}
__device__ inline uint16_t to_bfloat_saturated(float x) {
  const uint16_t h = to_bfloat(x);
  return (h & 0x7fff) == 0x7f80 && std::fabs(x) < INFINITY ? uint16_t(h - 1) : h;
}

inline bool is_counted(DType type) {  // an integer or a boolean
  switch (type) {
    case DType::i8:
    case DType::i16:
    case DType::i32:
    case DType::i64:
    case DType::u8:
    case DType::u16:
    case DType::u32:
    case DType::boolean: return true;
    default: return false;
  }
}
inline bool is_known(DType type) { return is_float(type) || is_counted(type); }

// The arithmetic of integers: it wraps. See schema/unary.def and binary.def, whose formulas are written for any type.
struct Word {
  int64_t v = 0;
  Word() = default;
  template <class T> __device__ explicit Word(T x) : v(int64_t(x)) {}
  __device__ Word operator-() const { return Word(-uint64_t(v)); }
  __device__ Word operator~() const { return Word(~v); }
};
#define WORD_OPERATOR(op, result) \
  __device__ inline Word operator op(Word x, Word y) { return Word(result); }
WORD_OPERATOR(+, uint64_t(x.v) + uint64_t(y.v))
WORD_OPERATOR(-, uint64_t(x.v) - uint64_t(y.v))
WORD_OPERATOR(*, uint64_t(x.v) * uint64_t(y.v))
WORD_OPERATOR(/, y.v == -1 ? -uint64_t(x.v) : uint64_t(x.v / y.v))  // not by zero
WORD_OPERATOR(%, y.v == -1 ? 0 : x.v % y.v)
WORD_OPERATOR(&, x.v & y.v)
WORD_OPERATOR(|, x.v | y.v)
WORD_OPERATOR(^, x.v ^ y.v)
WORD_OPERATOR(<<, uint64_t(y.v) > 63 ? 0 : uint64_t(x.v) << y.v)
WORD_OPERATOR(>>, uint64_t(y.v) > 63 ? (x.v < 0 ? -1 : 0) : x.v >> y.v)
#undef WORD_OPERATOR
#define WORD_COMPARISON(op) \
  __device__ inline bool operator op(Word x, Word y) { return x.v op y.v; }
WORD_COMPARISON(==)
WORD_COMPARISON(!=)
WORD_COMPARISON(<)
WORD_COMPARISON(<=)
WORD_COMPARISON(>)
WORD_COMPARISON(>=)
#undef WORD_COMPARISON

// What kernels compute in, with the loads and stores of what it stands for.
struct Reals {
  using T = float;
  __device__ static float load(DType type, const void* x, int64_t i) { return load_real(type, x, i); }
  __device__ static void store(DType type, void* y, int64_t i, float v) { store_real(type, y, i, v); }
};
struct Integers {
  using T = Word;
  __device__ static Word load(DType type, const void* x, int64_t i) { return Word(load_integer(type, x, i)); }
  __device__ static void store(DType type, void* y, int64_t i, Word v) { store_integer(type, y, i, v.v); }
};
// f32 that is kept as half or bfloat16 between steps: finite numbers stay finite.
struct Kept {
  using T = float;
  __device__ static float load(DType type, const void* x, int64_t i) { return load_real(type, x, i); }
  __device__ static void store(DType type, void* y, int64_t i, float v) {
    if (type == DType::f32) static_cast<float*>(y)[i] = v;
    else static_cast<uint16_t*>(y)[i] = type == DType::f16 ? to_half_saturated(v) : to_bfloat_saturated(v);
  }
};
// f32, of which no type is asked.
struct Singles {
  using T = float;
  __device__ static float load(DType, const void* x, int64_t i) { return static_cast<const float*>(x)[i]; }
  __device__ static void store(DType, void* y, int64_t i, float v) { static_cast<float*>(y)[i] = v; }
};
}  // namespace kernels::cuda
