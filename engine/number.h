// Element formats, and the arithmetic that references compute in: every element passes through a carrier, double for
// real types and a wrapping 64-bit integer for the others.
#pragma once
#include <algorithm>
#include <bit>
#include <cmath>
#include <compare>
#include <cstdint>
#include <cstring>
#include <limits>
#include "schema/dtypes.h"

namespace engine {
using schema::DType;

constexpr size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

// A float of at most 16 bits. `inf`: the top exponent holds infinity and NaN, as in IEEE 754. Otherwise NaN is all ones
// below the sign (fn), or the pattern of negative zero (fnuz).
struct SmallFloat {
  int exponent_bits, mantissa_bits, bias;
  bool inf, fnuz, has_nan = true;
};
inline constexpr SmallFloat f16_format{5, 10, 15, true, false}, bf16_format{8, 7, 127, true, false},
    f8e4m3fn_format{4, 3, 7, false, false}, f8e4m3fnuz_format{4, 3, 8, false, true}, f8e5m2_format{5, 2, 15, true, false},
    f8e5m2fnuz_format{5, 2, 16, false, true}, f4e2m1_format{2, 1, 1, false, false, false};

constexpr double small_float_max(const SmallFloat& f) {
  const int top = (1 << f.exponent_bits) - 1 - (f.inf ? 1 : 0);
  const int mantissa = (1 << f.mantissa_bits) - 1 - (!f.inf && !f.fnuz && f.has_nan ? 1 : 0);
  double value = 1 + double(mantissa) / (1 << f.mantissa_bits);
  for (int e = f.bias; e < top; ++e) value *= 2;
  return value;
}

inline double decode(const SmallFloat& f, uint32_t bits) {
  const int sign = bits >> (f.exponent_bits + f.mantissa_bits) & 1;
  const int exponent = bits >> f.mantissa_bits & ((1 << f.exponent_bits) - 1);
  const int mantissa = bits & ((1 << f.mantissa_bits) - 1);
  const bool top = exponent == (1 << f.exponent_bits) - 1;
  if (f.inf && top) return mantissa ? std::nan("") : sign ? -INFINITY : INFINITY;
  if (f.fnuz && sign && !exponent && !mantissa) return std::nan("");
  if (!f.inf && !f.fnuz && f.has_nan && top && mantissa == (1 << f.mantissa_bits) - 1) return std::nan("");
  const double magnitude = exponent ? std::ldexp((1 << f.mantissa_bits) + mantissa, exponent - f.bias - f.mantissa_bits)
                                    : std::ldexp(mantissa, 1 - f.bias - f.mantissa_bits);
  return sign ? -magnitude : magnitude;
}

// Rounds to nearest, ties to even. Too large a value saturates, or becomes infinity where the format has it, else NaN.
inline uint32_t encode(const SmallFloat& f, double x, bool saturate) {
  const uint32_t sign_bit = 1u << (f.exponent_bits + f.mantissa_bits);
  const uint32_t infinity = ((1u << f.exponent_bits) - 1) << f.mantissa_bits;
  const uint32_t sign = std::signbit(x) ? sign_bit : 0;
  const uint32_t nan = f.inf ? infinity | (1u << (f.mantissa_bits - 1)) : f.fnuz ? sign_bit : sign_bit - 1;
  const uint32_t largest = f.inf ? infinity - 1 : f.fnuz || !f.has_nan ? sign_bit - 1 : sign_bit - 2;
  if (std::isnan(x)) return !f.has_nan ? sign_bit : f.fnuz ? nan : sign | nan;  // without NaN: negative zero
  const double magnitude = std::fabs(x);
  int exponent = 0;
  std::frexp(magnitude, &exponent);
  const int scale = std::max(exponent - 1, 1 - f.bias) - f.mantissa_bits;  // of one unit in the last place
  const double rounded = magnitude == 0 || std::isinf(magnitude) ? magnitude : std::ldexp(std::nearbyint(std::ldexp(magnitude, -scale)), scale);
  if (rounded > small_float_max(f)) {
    if (saturate || !f.has_nan) return std::isinf(x) && f.inf && !saturate ? sign | infinity : sign | largest;
    return f.inf ? sign | infinity : f.fnuz ? nan : sign | nan;
  }
  if (rounded == 0) return f.fnuz ? 0 : sign;
  std::frexp(rounded, &exponent);
  const int biased = exponent - 1 + f.bias;
  if (biased <= 0) return sign | static_cast<uint32_t>(std::ldexp(rounded, f.bias - 1 + f.mantissa_bits));
  const auto mantissa = static_cast<uint32_t>(std::ldexp(rounded, f.mantissa_bits - (exponent - 1))) - (1u << f.mantissa_bits);
  return sign | static_cast<uint32_t>(biased) << f.mantissa_bits | mantissa;
}

// A 64-bit integer whose arithmetic wraps, as ONNX integers do. Base is int64_t or uint64_t.
template <class Base> struct Wrapping {
  Base v = 0;
  constexpr Wrapping() = default;
  template <class T> constexpr explicit Wrapping(T x) : v(static_cast<Base>(x)) {}
  template <class T> constexpr explicit operator T() const { return static_cast<T>(v); }
  friend constexpr Wrapping operator+(Wrapping a, Wrapping b) { return Wrapping(uint64_t(a.v) + uint64_t(b.v)); }
  friend constexpr Wrapping operator-(Wrapping a, Wrapping b) { return Wrapping(uint64_t(a.v) - uint64_t(b.v)); }
  friend constexpr Wrapping operator*(Wrapping a, Wrapping b) { return Wrapping(uint64_t(a.v) * uint64_t(b.v)); }
  friend constexpr Wrapping operator-(Wrapping a) { return Wrapping(-uint64_t(a.v)); }
  // Rounds toward zero. The divisor is not zero: the op has checked.
  friend constexpr Wrapping operator/(Wrapping a, Wrapping b) { return b.v == Base(-1) && std::is_signed_v<Base> ? -a : Wrapping(a.v / b.v); }
  friend constexpr Wrapping operator%(Wrapping a, Wrapping b) { return b.v == Base(-1) && std::is_signed_v<Base> ? Wrapping() : Wrapping(a.v % b.v); }
  friend constexpr Wrapping operator&(Wrapping a, Wrapping b) { return Wrapping(a.v & b.v); }
  friend constexpr Wrapping operator|(Wrapping a, Wrapping b) { return Wrapping(a.v | b.v); }
  friend constexpr Wrapping operator^(Wrapping a, Wrapping b) { return Wrapping(a.v ^ b.v); }
  friend constexpr Wrapping operator~(Wrapping a) { return Wrapping(~a.v); }
  // By a negative number of bits, or one of at least the width: what is left is the fill, the sign of a signed number to the right.
  friend constexpr Wrapping operator<<(Wrapping a, Wrapping b) { return uint64_t(b.v) > 63 ? Wrapping() : Wrapping(uint64_t(a.v) << b.v); }
  friend constexpr Wrapping operator>>(Wrapping a, Wrapping b) { return uint64_t(b.v) > 63 ? Wrapping(std::is_signed_v<Base> && int64_t(a.v) < 0 ? -1 : 0) : Wrapping(a.v >> b.v); }
  friend constexpr auto operator<=>(const Wrapping&, const Wrapping&) = default;
};
using Int = Wrapping<int64_t>;
using UInt = Wrapping<uint64_t>;

// Calls f with a value of the carrier of `dtype`: double, UInt for u64, else Int. Not for strings.
template <class F> decltype(auto) with_carrier(DType dtype, F&& f) {
  if (schema::is_real(dtype)) return f(double{});
  if (dtype == DType::u64) return f(UInt{});
  return f(Int{});
}

// Element i of a dense array. A fractional value becomes an integer by dropping the fraction; out of range, it wraps
// for a carrier that is an integer and is unspecified otherwise (Cast defines it).
template <class Carrier> Carrier load_element(DType dtype, const void* data, int64_t i) {
  const auto at = [&]<class T>(T x) {
    std::memcpy(&x, static_cast<const char*>(data) + i * int64_t(sizeof x), sizeof x);
    return x;
  };
  const auto packed = [&](int bits) { return (static_cast<const uint8_t*>(data)[i * bits / 8] >> (i * bits % 8)) & ((1 << bits) - 1); };
  switch (dtype) {
    case DType::f32: return Carrier(at(float{}));
    case DType::f64: return Carrier(at(double{}));
    case DType::f16: return Carrier(decode(f16_format, at(uint16_t{})));
    case DType::bf16: return Carrier(std::bit_cast<float>(uint32_t(at(uint16_t{})) << 16));
    case DType::i8: return Carrier(at(int8_t{}));
    case DType::i16: return Carrier(at(int16_t{}));
    case DType::i32: return Carrier(at(int32_t{}));
    case DType::i64: return Carrier(at(int64_t{}));
    case DType::u8: return Carrier(at(uint8_t{}));
    case DType::u16: return Carrier(at(uint16_t{}));
    case DType::u32: return Carrier(at(uint32_t{}));
    case DType::u64: return Carrier(at(uint64_t{}));
    case DType::boolean: return Carrier(int(at(uint8_t{}) != 0));
    case DType::f8e4m3fn: return Carrier(decode(f8e4m3fn_format, at(uint8_t{})));
    case DType::f8e4m3fnuz: return Carrier(decode(f8e4m3fnuz_format, at(uint8_t{})));
    case DType::f8e5m2: return Carrier(decode(f8e5m2_format, at(uint8_t{})));
    case DType::f8e5m2fnuz: return Carrier(decode(f8e5m2fnuz_format, at(uint8_t{})));
    case DType::f8e8m0: { const int e = at(uint8_t{}); return Carrier(e == 255 ? std::nan("") : std::ldexp(1.0, e - 127)); }
    case DType::f4e2m1: return Carrier(decode(f4e2m1_format, packed(4)));
    case DType::u4: return Carrier(packed(4));
    case DType::i4: return Carrier((packed(4) ^ 8) - 8);
    case DType::u2: return Carrier(packed(2));
    case DType::i2: return Carrier((packed(2) ^ 2) - 2);
    case DType::string: break;
  }
  return Carrier();
}

template <class Carrier> void store_element(DType dtype, void* data, int64_t i, Carrier value, bool saturate = false) {
  const auto put = [&]<class T>(T x) { std::memcpy(static_cast<char*>(data) + i * int64_t(sizeof x), &x, sizeof x); };
  const auto pack = [&](int bits, uint32_t x) {
    uint8_t& byte = static_cast<uint8_t*>(data)[i * bits / 8];
    const int shift = int(i * bits % 8), mask = (1 << bits) - 1;
    byte = static_cast<uint8_t>((byte & ~(mask << shift)) | (x & mask) << shift);
  };
  const auto integer = [&] { return static_cast<int64_t>(value); };
  switch (dtype) {
    case DType::f32: return put(static_cast<float>(value));
    case DType::f64: return put(static_cast<double>(value));
    case DType::f16: return put(static_cast<uint16_t>(encode(f16_format, static_cast<double>(value), saturate)));
    case DType::bf16: return put(static_cast<uint16_t>(encode(bf16_format, static_cast<double>(value), saturate)));
    case DType::i8: return put(static_cast<int8_t>(integer()));
    case DType::i16: return put(static_cast<int16_t>(integer()));
    case DType::i32: return put(static_cast<int32_t>(integer()));
    case DType::i64: return put(integer());
    case DType::u8: return put(static_cast<uint8_t>(integer()));
    case DType::u16: return put(static_cast<uint16_t>(integer()));
    case DType::u32: return put(static_cast<uint32_t>(integer()));
    case DType::u64: return put(static_cast<uint64_t>(value));
    case DType::boolean: return put(static_cast<uint8_t>(value != Carrier(0)));
    case DType::f8e4m3fn: return put(static_cast<uint8_t>(encode(f8e4m3fn_format, static_cast<double>(value), saturate)));
    case DType::f8e4m3fnuz: return put(static_cast<uint8_t>(encode(f8e4m3fnuz_format, static_cast<double>(value), saturate)));
    case DType::f8e5m2: return put(static_cast<uint8_t>(encode(f8e5m2_format, static_cast<double>(value), saturate)));
    case DType::f8e5m2fnuz: return put(static_cast<uint8_t>(encode(f8e5m2fnuz_format, static_cast<double>(value), saturate)));
    case DType::f8e8m0: {
      const double x = static_cast<double>(value);
      return put(static_cast<uint8_t>(x > 0 && std::isfinite(x) ? std::clamp(std::ilogb(x) + 127, 0, 254) : x == 0 ? 0 : 255));
    }
    case DType::f4e2m1: return pack(4, encode(f4e2m1_format, static_cast<double>(value), true));
    case DType::u4: case DType::i4: return pack(4, static_cast<uint32_t>(integer()));
    case DType::u2: case DType::i2: return pack(2, static_cast<uint32_t>(integer()));
    case DType::string: break;
  }
}
}  // namespace engine
