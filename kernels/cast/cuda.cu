// Elements of one type as those of another: through f32 between reals, through int64 between integers.
#include "kernels/cuda/device.h"
#include "kernels/cuda/families.h"

namespace kernels::cuda {
namespace {
using schema::DType;
constexpr int threads = 256;

__device__ uint32_t bits_of_float(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}
__device__ float float_of_bits(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}
__device__ float from_half(uint16_t h) {
  const uint32_t sign = uint32_t(h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 0x3ff;
  if (exponent == 31) return float_of_bits(sign | 0x7f800000 | fraction << 13);
  if (exponent) return float_of_bits(sign | (exponent + 112) << 23 | fraction << 13);
  const float small = float(fraction) * 0x1p-24f;
  return sign ? -small : small;
}
// To nearest, ties to even.
__device__ uint16_t to_half(float x) {
  const uint32_t bits = bits_of_float(x), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return uint16_t(sign | 0x7e00);
  if (magnitude >= 0x47800000) return uint16_t(sign | 0x7c00);
  if (magnitude < 0x38800000) {  // below the smallest normal half: adding 0.5 leaves multiples of 2^-24 in the fraction
    return uint16_t(sign | (bits_of_float(float_of_bits(magnitude) + 0.5f) - 0x3f000000));
  }
  return uint16_t(sign | ((magnitude + 0xfff + (magnitude >> 13 & 1) - 0x38000000) >> 13));
}
__device__ uint16_t to_bfloat(float x) {
  const uint32_t bits = bits_of_float(x);
  if ((bits & 0x7fffffff) > 0x7f800000) return uint16_t(bits >> 16 | 0x40);
  return uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

__device__ float load_real(DType type, const void* x, int64_t i) {
  if (type == DType::f32) return static_cast<const float*>(x)[i];
  const uint16_t bits = static_cast<const uint16_t*>(x)[i];
  return type == DType::f16 ? from_half(bits) : float_of_bits(uint32_t(bits) << 16);
}
__device__ void store_real(DType type, void* y, int64_t i, float v) {
  if (type == DType::f32) static_cast<float*>(y)[i] = v;
  else static_cast<uint16_t*>(y)[i] = type == DType::f16 ? to_half(v) : to_bfloat(v);
}
__device__ int64_t load_integer(DType type, const void* x, int64_t i) {
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
__device__ void store_integer(DType type, void* y, int64_t i, int64_t v) {
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
// Drops the fraction; NaN gives 0, and what passes 64 bits their largest or smallest value.
__device__ int64_t to_integer(float x) {
  if (x != x) return 0;
  if (x >= 0x1p63f) return INT64_MAX;
  return x < -0x1p63f ? INT64_MIN : int64_t(x);
}
__host__ __device__ inline bool real(DType type) {
  return type == DType::f32 || type == DType::f16 || type == DType::bf16;
}

__global__ void __launch_bounds__(threads) cast(DType from, DType to, const void* x, void* y, int64_t count) {
  for (int64_t i = linear_thread(); i < count; i += linear_threads()) {
    if (real(from)) {
      const float v = load_real(from, x, i);
      if (real(to)) store_real(to, y, i, v);
      else if (to == DType::boolean) store_integer(to, y, i, v != 0);
      else store_integer(to, y, i, to_integer(v));
    } else {
      const int64_t v = load_integer(from, x, i);
      if (real(to)) store_real(to, y, i, float(v));
      else store_integer(to, y, i, v);
    }
  }
}

bool known(DType type) {
  switch (type) {
    case DType::i8:
    case DType::i16:
    case DType::i32:
    case DType::i64:
    case DType::u8:
    case DType::u16:
    case DType::u32:
    case DType::boolean: return true;
    default: return real(type);
  }
}
const char* refusal(const CastProblem& p) {
  if (!known(p.from) || !known(p.to)) return "a type that kernels of the device do not have";
  // Half has another rounding on the way than f32 allows.
  return !real(p.from) && (p.to == DType::f16 || p.to == DType::bf16)
             ? "integers become half or bfloat16 by one rounding"
             : nullptr;
}
double cost(const CastProblem&) { return 1; }
Failure run(const CastProblem& p, const CopyArgs& args, Stream* stream) {
  if (p.count == 0) return nullptr;
  return launch<void>(cast, blocks_for(p.count, threads), threads, stream, p.from, p.to, args.x, args.y, p.count);
}
}  // namespace

Family<CastProblem, CopyArgs> cast_family() {
  static constexpr Row<CastProblem, CopyArgs> rows[] = {{"cast_cuda", 80, threads, refusal, cost, run}};
  return {rows, std::size(rows)};
}
}  // namespace kernels::cuda
