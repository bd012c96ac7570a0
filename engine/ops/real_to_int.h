// How a real number becomes an integer where ONNX leaves it open: never undefined behaviour.
#pragma once
#include "engine/number.h"

namespace engine {
// Drops the fraction. NaN gives 0, and what passes 64 bits their largest or smallest value.
template <class T = Int> T real_to_int(double x) {
  using Base = decltype(T().v);
  if (std::isnan(x)) return T(0);
  if (x >= 0x1p64) return T(std::numeric_limits<Base>::max());
  if (x >= 0x1p63) return std::is_signed_v<Base> ? T(std::numeric_limits<Base>::max()) : T(static_cast<uint64_t>(x));
  return T(x < -0x1p63 ? std::numeric_limits<int64_t>::min() : static_cast<int64_t>(x));
}
}  // namespace engine
