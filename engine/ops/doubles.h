// Whole tensors as doubles, for references that compute on real numbers.
#pragma once
#include <vector>
#include "engine/tensor.h"

namespace engine {
inline Shape shape_of(const ConstView& v) { return Shape(v.shape.begin(), v.shape.end()); }

inline Scratch<double> to_doubles(const ConstView& v) {
  bytes_of(DType::f64, v.shape);
  Scratch<double> values(size_t(v.elements()));
  if (v.dtype == DType::f32) std::ranges::copy(v.as<float>(), values.begin());
  else
    for (size_t i = 0; i < values.size(); ++i) values[i] = load<double>(v, int64_t(i));
  return values;
}

// Elements from `first` on. An integer type takes the nearest value that it has, of two as near the even one.
inline void store_doubles(const View& to, int64_t first, std::span<const double> values) {
  const int64_t n = int64_t(values.size());
  if (to.dtype == DType::f32) {
    float* y = reinterpret_cast<float*>(to.data) + first;
    for (int64_t i = 0; i < n; ++i) y[i] = float(values[i]);
  } else if (schema::is_integer(to.dtype)) {
    const int bits = bits_of(to.dtype);
    const bool is_signed = to.dtype == DType::i8 || to.dtype == DType::i16 || to.dtype == DType::i32 || to.dtype == DType::i64 ||
                           to.dtype == DType::i4 || to.dtype == DType::i2;
    const double low = is_signed ? -std::ldexp(1.0, bits - 1) : 0, past = std::ldexp(1.0, is_signed ? bits - 1 : bits);
    const uint64_t most = is_signed ? (uint64_t{1} << (bits - 1)) - 1 : ~uint64_t{0} >> (64 - bits);
    for (int64_t i = 0; i < n; ++i) {
      const double v = values[i] > low ? std::nearbyint(values[i]) : low;  // NaN is the lowest
      store(to, first + i, v >= past ? UInt(most) : v < 0 ? UInt(uint64_t(int64_t(v))) : UInt(uint64_t(v)));
    }
  } else {
    for (int64_t i = 0; i < n; ++i) store(to, first + i, values[i]);
  }
}
}  // namespace engine
