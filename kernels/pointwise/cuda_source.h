// The CUDA source of a kernel for one chain: what NVRTC compiles when a plan wants it. It includes nothing, so that a
// test can compile the same text for the host.
#pragma once
#include <cstdio>
#include <string>
#include "kernels/pointwise/pointwise.h"

namespace kernels::pointwise {
// The parameter of the kernel, as the source spells it, too.
struct SourceParameters {
  const float* x;
  float* y;
  const float* operand[Chain::max_operands];
  long long stride[Chain::max_operands];  // of full operands
  long long x_stride, y_stride, rows, columns, count;
  int vectors;  // x, y and full operands are read and written 4 at a time: everything is a multiple of 4 floats
};
inline constexpr const char* source_entry_small = "chain_small";  // fewer than 2^31 elements
inline constexpr const char* source_entry_large = "chain_large";

namespace source {
inline std::string literal(float x) {
  char text[64];
  std::snprintf(text, sizeof text, "__int_as_float(0x%08x)", std::bit_cast<unsigned>(x));
  return text;
}
// Formulas of the tables call std::, which has nothing where nothing is included.
inline std::string formula(std::string text) {
  const std::string from = "std::", to = "math::";
  for (size_t at = 0; (at = text.find(from, at)) != text.npos; at += to.size()) text.replace(at, from.size(), to);
  return text;
}
inline std::string formula(schema::UnaryKind kind) {
  static constexpr const char* texts[] = {
#define UNARY(name, types, result, formula, ...) #formula,
#include "schema/unary.def"
  };
  return formula(std::string(texts[size_t(kind)]));
}
inline std::string formula(schema::BinaryKind kind) {
  static constexpr const char* texts[] = {
#define BINARY(name, types, result, formula, ...) #formula,
#include "schema/binary.def"
  };
  return formula(std::string(texts[size_t(kind)]));
}

inline constexpr const char* preamble = R"(typedef float T;
namespace math {
#define FUNCTION(name) __device__ inline T name(T x) { return ::name##f(x); }
FUNCTION(exp) FUNCTION(expm1) FUNCTION(log) FUNCTION(log1p) FUNCTION(sqrt) FUNCTION(erf) FUNCTION(fabs) FUNCTION(floor)
FUNCTION(ceil) FUNCTION(nearbyint) FUNCTION(sin) FUNCTION(cos) FUNCTION(tan) FUNCTION(asin) FUNCTION(acos) FUNCTION(atan)
FUNCTION(sinh) FUNCTION(cosh) FUNCTION(tanh) FUNCTION(asinh) FUNCTION(acosh) FUNCTION(atanh)
#undef FUNCTION
__device__ inline T fmin(T x, T y) { return ::fminf(x, y); }
__device__ inline T fmax(T x, T y) { return ::fmaxf(x, y); }
}
__device__ inline T power(T x, T y) { return ::powf(x, y); }
__device__ inline T trunc_mod(T x, T y) { return ::fmodf(x, y); }
__device__ inline T floor_mod(T x, T y) {
  const T r = ::fmodf(x, y);
  if (r == 0) return ::copysignf(r, y);
  return (r < 0) != (y < 0) ? r + y : r;
}
struct Parameters {
  const T* x;
  T* y;
  const T* operand[8];
  long long stride[8];
  long long x_stride, y_stride, rows, columns, count;
  int vectors;
};
union Vector {
  float4 whole;
  T at[4];
};
)";
static_assert(Chain::max_operands == 8);

// What a stage reads beside x, for the element in this column, or for the four from it on.
inline std::string operand_text(const Stage& s, bool vector) {
  const std::string k = std::to_string(s.operand), data = "p.operand[" + k + "]";
  switch (s.mode) {
    case Mode::full:
      return vector ? "reinterpret_cast<const float4*>(" + data + ")[(row * Index(p.stride[" + k + "]) + column) / 4]"
                    : data + "[row * Index(p.stride[" + k + "]) + column]";
    case Mode::per_column: return data + "[column" + (vector ? " + k]" : "]");
    case Mode::per_row: return data + "[row]";
    default: return data + "[0]";
  }
}
}  // namespace source

// Of a chain of functions from f32 to f32.
inline std::string cuda_source(const Chain& chain) {
  std::string functions, scalar, loads, vector;
  for (int i = 0; i < chain.size; ++i) {
    const Stage& s = chain.stages[size_t(i)];
    const std::string name = "stage" + std::to_string(i);
    if (!s.binary) {
      functions += "__device__ inline T " + name + "(T x) {\n  const T a = " + source::literal(s.a) +
                   ", b = " + source::literal(s.b) + ";\n  (void)a, (void)b;\n  return " + source::formula(s.unary) +
                   ";\n}\n";
      scalar += "    v = " + name + "(v);\n";
      vector += "      v = " + name + "(v);\n";
      continue;
    }
    functions += "__device__ inline T " + name + "(T x, T y) { return " + source::formula(s.op) + "; }\n";
    const auto call = [&](const std::string& other) {
      return "v = " + name + (s.swapped ? "(" + other + ", v);\n" : "(v, " + other + ");\n");
    };
    scalar += "    " + call(source::operand_text(s, false));
    if (s.mode == Mode::full) {
      loads += "    Vector other" + std::to_string(i) + ";\n    other" + std::to_string(i) +
               ".whole = " + source::operand_text(s, true) + ";\n";
      vector += "      " + call("other" + std::to_string(i) + ".at[k]");
    } else {
      vector += "      " + call(source::operand_text(s, true));
    }
  }
  return source::preamble + functions + R"(
template <class Index> __device__ inline void scalars(const Parameters& p, Index first, Index step) {
  const Index columns = Index(p.columns), rows = Index(p.rows), count = Index(p.count);
  for (Index i = first; i < count; i += step) {
    const Index whole = i / columns, column = i % columns, row = whole % rows;
    (void)row;
    T v = p.x[whole * Index(p.x_stride) + column];
)" + scalar +
         R"(    p.y[whole * Index(p.y_stride) + column] = v;
  }
}
template <class Index> __device__ inline void vectors(const Parameters& p, Index first, Index step) {
  const Index columns = Index(p.columns), rows = Index(p.rows), count = Index(p.count) / 4;
  for (Index i = first; i < count; i += step) {
    const Index whole = i * 4 / columns, column = i * 4 % columns, row = whole % rows;
    (void)row;
    Vector x;
    x.whole = reinterpret_cast<const float4*>(p.x)[(whole * Index(p.x_stride) + column) / 4];
)" + loads +
         R"(#pragma unroll
    for (int k = 0; k < 4; ++k) {
      T v = x.at[k];
)" + vector +
         R"(      x.at[k] = v;
    }
    reinterpret_cast<float4*>(p.y)[(whole * Index(p.y_stride) + column) / 4] = x.whole;
  }
}
template <class Index> __device__ inline void chain(const Parameters& p) {
  const Index first = Index(blockIdx.x) * Index(blockDim.x) + Index(threadIdx.x), step = Index(gridDim.x) * Index(blockDim.x);
  if (p.vectors) vectors<Index>(p, first, step);
  else scalars<Index>(p, first, step);
}
extern "C" __global__ void chain_small(const __grid_constant__ Parameters p) { chain<unsigned>(p); }
extern "C" __global__ void chain_large(const __grid_constant__ Parameters p) { chain<long long>(p); }
)";
}
}  // namespace kernels::pointwise
