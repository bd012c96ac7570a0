#include "kernels/simd.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/pointwise/simd.cpp"
#include <hwy/foreach_target.h>
#include "kernels/divide-inl.h"
#include "kernels/pointwise/math-inl.h"
#include "kernels/pointwise/pointwise.h"

#ifndef VECTOR_UNARY
// The functions that have a vector form, on vectors x, y and the parameters a, b.
// clang-format off
#define VECTOR_UNARY(CASE) \
  CASE(abs, hn::Abs(x)) \
  CASE(neg, hn::Neg(x)) \
  CASE(sign, hn::IfThenElse(hn::Gt(x, set(0)), set(1), hn::IfThenElse(hn::Lt(x, set(0)), set(-1), x))) \
  CASE(relu, hn::IfThenElse(hn::Lt(x, set(0)), set(0), x)) \
  CASE(leaky_relu, hn::IfThenElse(hn::Lt(x, set(0)), hn::Mul(x, a), x)) \
  CASE(thresholded_relu, hn::IfThenElse(hn::Gt(x, a), x, set(0))) \
  CASE(clip, hn::IfThenElse(hn::Lt(x, a), a, hn::IfThenElse(hn::Gt(x, b), b, x))) \
  CASE(elu, hn::IfThenElse(hn::Lt(x, set(0)), hn::Mul(a, math::expm1(x)), x)) \
  CASE(celu, hn::IfThenElse(hn::Lt(x, set(0)), hn::Mul(a, math::expm1(hn::Div(x, a))), x)) \
  CASE(selu, hn::Mul(b, hn::IfThenElse(hn::Gt(x, set(0)), x, hn::Mul(a, math::expm1(x))))) \
  CASE(sigmoid, hn::Div(set(1), hn::Add(set(1), math::exp(hn::Neg(x))))) \
  CASE(hard_sigmoid, math::clamp01(hn::Add(hn::Mul(a, x), b))) \
  CASE(hard_swish, hn::Mul(x, math::clamp01(hn::Add(hn::Div(x, set(6)), set(0.5f))))) \
  CASE(silu, hn::Div(x, hn::Add(set(1), math::exp(hn::Neg(hn::Mul(a, x)))))) \
  CASE(softsign, math::softsign(x)) \
  CASE(gelu, gelu(x)) \
  CASE(gelu_tanh, gelu_tanh(x)) \
  CASE(shrink, hn::IfThenElse(hn::Lt(x, hn::Neg(b)), hn::Add(x, a), hn::IfThenElse(hn::Gt(x, b), hn::Sub(x, a), set(0)))) \
  CASE(exp, math::exp(x)) \
  CASE(log, math::log(x)) \
  CASE(softplus, math::softplus(x)) \
  CASE(mish, hn::Mul(x, math::tanh(math::softplus(x)))) \
  CASE(sqrt, square_root(x)) \
  CASE(reciprocal, divide(set(1), x)) \
  CASE(erf, math::erf(x)) \
  CASE(floor, hn::Floor(x)) \
  CASE(ceil, hn::Ceil(x)) \
  CASE(round, hn::Round(x)) \
  CASE(sin, math::sin(x)) \
  CASE(cos, math::cos(x)) \
  CASE(tanh, math::tanh(x))
#define VECTOR_BINARY(CASE) \
  CASE(add, hn::Add(x, y)) \
  CASE(sub, hn::Sub(x, y)) \
  CASE(mul, hn::Mul(x, y)) \
  CASE(div, divide(x, y)) \
  CASE(min, hn::IfThenElse(hn::IsNaN(x), x, hn::IfThenElse(hn::Or(hn::Lt(y, x), hn::IsNaN(y)), y, x))) \
  CASE(max, hn::IfThenElse(hn::IsNaN(x), x, hn::IfThenElse(hn::Or(hn::Lt(x, y), hn::IsNaN(y)), y, x))) \
  CASE(prelu, hn::IfThenElse(hn::Lt(x, set(0)), hn::Mul(x, y), x))
// clang-format on

#endif

#if INLAY_SIMD_TARGET
HWY_BEFORE_NAMESPACE();
namespace kernels::pointwise::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;
namespace math = kernels::HWY_NAMESPACE;
namespace c = coefficients;
using kernels::HWY_NAMESPACE::divide;
using kernels::HWY_NAMESPACE::lanes;
using kernels::HWY_NAMESPACE::load_first;
using kernels::HWY_NAMESPACE::square_root;
using kernels::HWY_NAMESPACE::store_first;
using kernels::HWY_NAMESPACE::Vec;
using kernels::HWY_NAMESPACE::vector;
using schema::BinaryKind;
using schema::UnaryKind;

constexpr int block = 16 * lanes;  // columns that go through all stages before the next

// v[i] = f(v[i]) over whole vectors: what follows the last column is computed and not used.
template <class F> HWY_INLINE void map(float* v, int n, F f) {
  for (int i = 0; i < n; i += lanes) hn::Store(f(hn::Load(vector, v + i)), vector, v + i);
}

#define CASE(name, expression) \
  case UnaryKind::name: \
    return map(v, n, [a, b](Vec x) HWY_ATTR { \
      static_cast<void>(a), static_cast<void>(b); \
      return expression; \
    });
HWY_INLINE Vec set(float value) { return hn::Set(vector, value); }

HWY_INLINE Vec gelu(Vec x) {
  x = hn::IfThenElse(hn::Lt(x, set(c::gelu_least)), set(c::gelu_least), x);
  return hn::Mul(hn::Mul(set(0.5f), x), hn::Add(set(1), math::erf(hn::Mul(x, set(c::sqrt_half)))));
}
HWY_INLINE Vec gelu_tanh(Vec x) {
  x = hn::IfThenElse(hn::Lt(x, set(c::gelu_least)), set(c::gelu_least), x);
  const Vec cubic = hn::MulAdd(hn::Mul(hn::Mul(set(c::gelu_cubic), x), x), x, x);
  return hn::Mul(hn::Mul(set(0.5f), x), hn::Add(set(1), math::tanh(hn::Mul(set(c::sqrt_two_over_pi), cubic))));
}

void apply_unary(const Stage& s, float* v, int n) {
  const Vec a = set(s.a), b = set(s.b);
  switch (s.unary) {
    VECTOR_UNARY(CASE)
    default: return;
  }
}
#undef CASE

// Operand values: a vector for each vector of x, or one for all.
HWY_INLINE Vec operand(const float* from, bool per_element, int i, int n) {
  if (!per_element) return hn::Set(vector, *from);
  return n - i >= lanes ? hn::LoadU(vector, from + i) : load_first(from + i, n - i);
}

template <class F> HWY_INLINE void zip(float* v, const float* from, bool per_element, bool swapped, int n, F f) {
  for (int i = 0; i < n; i += lanes) {
    const Vec x = hn::Load(vector, v + i), y = operand(from, per_element, i, n);
    hn::Store(swapped ? f(y, x) : f(x, y), vector, v + i);
  }
}

#define CASE(name, expression) \
  case BinaryKind::name: \
    return zip(v, from, per_element, s.swapped, n, [](Vec x, Vec y) HWY_ATTR { return expression; });
void apply_binary(const Stage& s, float* v, const float* from, bool per_element, int n) {
  switch (s.op) {
    VECTOR_BINARY(CASE)
    default: return;
  }
}
#undef CASE

// Through a buffer: y may be the operand of a later stage.
void run(RawArgs* args) {
  const Chain& chain = *args->chain;
  const int operands = chain.operand_count();
  const float* x = args->x;
  float* y = args->y;
  for (int64_t row = 0; row < args->rows; ++row) {
    for (int64_t c = 0; c < args->columns; c += block) {
      const int n = args->columns - c < block ? static_cast<int>(args->columns - c) : block;
      HWY_ALIGN float buffer[block];
      int i = 0;
      for (; i + lanes <= n; i += lanes) hn::Store(hn::LoadU(vector, x + c + i), vector, buffer + i);
      if (i < n) hn::Store(load_first(x + c + i, n - i), vector, buffer + i);
      for (int stage = 0; stage < chain.size; ++stage) {
        const Stage& s = chain.stages[stage];
        const bool per_element = s.mode == Mode::full || s.mode == Mode::per_column;
        if (!s.binary) {
          apply_unary(s, buffer, n);
        } else {
          apply_binary(s, buffer, args->cursors[s.operand].data + (per_element ? c : 0), per_element, n);
        }
      }
      for (i = 0; i + lanes <= n; i += lanes) hn::StoreU(hn::Load(vector, buffer + i), vector, y + c + i);
      if (i < n) store_first(hn::Load(vector, buffer + i), y + c + i, n - i);
    }
    x += args->x_stride / static_cast<int64_t>(sizeof(float));
    y += args->y_stride / static_cast<int64_t>(sizeof(float));
    for (int i = 0; i < operands; ++i)
      args->cursors[i].data += args->cursors[i].stride / static_cast<int64_t>(sizeof(float));
  }
}
}  // namespace
Kernel::Function function() { return run; }
}  // namespace kernels::pointwise::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

// Compiled for the baseline: what it instantiates may be shared with other files.
namespace kernels::pointwise {
#ifndef INLAY_POINTWISE_KNOWN
#define INLAY_POINTWISE_KNOWN
using schema::BinaryKind;
using schema::UnaryKind;
namespace {
std::string refusal(const Chain& chain) {
  if (std::string reason = unsupported(chain); !reason.empty()) return reason;
#define CASE(name, ...) \
  case UnaryKind::name: return true;
  const auto known_unary = [](UnaryKind kind) {
    switch (kind) {
      VECTOR_UNARY(CASE)
      default: return false;
    }
  };
#undef CASE
#define CASE(name, ...) \
  case BinaryKind::name: return true;
  const auto known_binary = [](BinaryKind kind) {
    switch (kind) {
      VECTOR_BINARY(CASE)
      default: return false;
    }
  };
#undef CASE
  for (const Stage& s : chain)
    if (s.binary ? !known_binary(s.op) : !known_unary(s.unary))
      return "no vector form of " + std::string(s.binary ? schema::name(s.op) : schema::name(s.unary));
  return {};
}
}  // namespace
#endif
namespace HWY_NAMESPACE {
Support supports(const Chain& chain) { return {16.0 * chain.size / kernels::HWY_NAMESPACE::lanes, refusal(chain)}; }
Kernel make(const Chain& chain) { return {function(), chain, nullptr}; }
}  // namespace HWY_NAMESPACE
}  // namespace kernels::pointwise
#endif
