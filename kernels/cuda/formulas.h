// The functions of schema/unary.def and binary.def on a device: on float, and on Word for integers and booleans.
#pragma once
#include <type_traits>
#include "kernels/cuda/numbers.h"

namespace kernels::cuda::formulas {
// What the columns of the tables mean.
template <class T> inline constexpr bool real = std::is_floating_point_v<T>;
template <class T> inline constexpr bool integer = !real<T>;
template <class T> inline constexpr bool boolean = !real<T>;
template <class T> inline constexpr bool number = true;
template <class T> inline constexpr bool any = true;
inline constexpr bool same = false, truth = true;

__device__ inline float power(float x, float y) { return std::pow(x, y); }
// A negative exponent gives 1 / x^-y, rounded toward zero; x is not 0 then.
__device__ inline Word power(Word x, Word y) {
  if (y < Word(0))
    return x == Word(1) || (x == Word(-1) && (y & Word(1)) == Word(0)) ? Word(1) : x == Word(-1) ? x : Word(0);
  Word result(1);
  for (uint64_t n = uint64_t(y.v); n; n >>= 1, x = x * x)
    if (n & 1) result = result * x;
  return result;
}
__device__ inline float trunc_mod(float x, float y) { return std::fmod(x, y); }
__device__ inline Word trunc_mod(Word x, Word y) { return x % y; }
__device__ inline float floor_mod(float x, float y) {
  const float r = std::fmod(x, y);
  if (r == 0) return std::copysign(r, y);
  return (r < 0) != (y < 0) ? r + y : r;
}
__device__ inline Word floor_mod(Word x, Word y) {
  const Word r = x % y;
  return r != Word(0) && (r < Word(0)) != (y < Word(0)) ? r + y : r;
}

// Where `wants_truth`, of the functions whose result is a boolean, as bool; else of the others.
template <bool wants_truth, class T>
__device__ std::conditional_t<wants_truth, bool, T> unary(schema::UnaryKind kind, T x, [[maybe_unused]] float a,
                                                          [[maybe_unused]] float b) {
  switch (kind) {
#define UNARY(name, types, result, formula, ...) \
  case schema::UnaryKind::name: \
    if constexpr (types<T> && result == wants_truth) return formula; \
    break;
#include "schema/unary.def"
  }
  return {};
}
template <bool wants_truth, class T>
__device__ std::conditional_t<wants_truth, bool, T> binary(schema::BinaryKind kind, T x, T y) {
  switch (kind) {
#define BINARY(name, types, result, formula, ...) \
  case schema::BinaryKind::name: \
    if constexpr (types<T> && result == wants_truth) return formula; \
    break;
#include "schema/binary.def"
  }
  return {};
}
// Whether there is such a function.
template <class T> bool known(schema::UnaryKind kind, bool wants_truth) {
  switch (kind) {
#define UNARY(name, types, result, ...) \
  case schema::UnaryKind::name: \
    return types<T> && result == wants_truth;
#include "schema/unary.def"
  }
  return false;
}
template <class T> bool known(schema::BinaryKind kind, bool wants_truth) {
  switch (kind) {
#define BINARY(name, types, result, ...) \
  case schema::BinaryKind::name: \
    return types<T> && result == wants_truth;
#include "schema/binary.def"
  }
  return false;
}
}  // namespace kernels::cuda::formulas
