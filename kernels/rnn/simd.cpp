// The step of a recurrent net in vectors of hidden units.
#include "kernels/simd.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/rnn/simd.cpp"
#include <hwy/foreach_target.h>
#include "kernels/simd-inl.h"
#include "kernels/pointwise/math-inl.h"
#include "kernels/rnn/cells.h"

#if INLAY_SIMD_TARGET
HWY_BEFORE_NAMESPACE();
namespace kernels::rnn::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;
namespace math = kernels::HWY_NAMESPACE;
using kernels::HWY_NAMESPACE::lanes;
using kernels::HWY_NAMESPACE::load_first;
using kernels::HWY_NAMESPACE::store_first;
using kernels::HWY_NAMESPACE::Vec;
using kernels::HWY_NAMESPACE::vector;

HWY_INLINE Vec sigmoid(Vec x) {
  const Vec one = hn::Set(vector, 1);
  return hn::Div(one, hn::Add(one, math::exp(hn::Neg(x))));
}
HWY_INLINE Vec load(const float* from, int n) { return n == lanes ? hn::LoadU(vector, from) : load_first(from, n); }
HWY_INLINE void store(Vec v, float* to, int n) { n == lanes ? hn::StoreU(v, vector, to) : store_first(v, to, n); }

// The sums of `gates` gates for one block of units and `rows` sequences, which share each weight that is loaded. Even and odd
// k are added up apart: one sum would wait for itself.
template <int gates, int rows> HWY_INLINE void sums(const float* r, const float* h, int64_t hidden, Vec (&sum)[rows][gates]) {
  constexpr int chains = gates * rows < 8 ? 2 : 1;
  Vec part[chains][rows][gates];
#pragma GCC unroll 2
  for (int p = 0; p < chains; ++p)
#pragma GCC unroll 4
    for (int b = 0; b < rows; ++b)
#pragma GCC unroll 4
      for (int g = 0; g < gates; ++g) part[p][b][g] = hn::Zero(vector);
  int64_t k = 0;
  for (; k + chains <= hidden; k += chains)
#pragma GCC unroll 2
    for (int p = 0; p < chains; ++p, r += gates * lanes)
#pragma GCC unroll 4
      for (int g = 0; g < gates; ++g) {
        const Vec weight = hn::LoadU(vector, r + g * lanes);
#pragma GCC unroll 4
        for (int b = 0; b < rows; ++b) part[p][b][g] = hn::MulAdd(weight, hn::Set(vector, h[b * hidden + k + p]), part[p][b][g]);
      }
  for (; k < hidden; ++k, r += gates * lanes)
#pragma GCC unroll 4
    for (int g = 0; g < gates; ++g)
#pragma GCC unroll 4
      for (int b = 0; b < rows; ++b) part[0][b][g] = hn::MulAdd(hn::LoadU(vector, r + g * lanes), hn::Set(vector, h[b * hidden + k]), part[0][b][g]);
#pragma GCC unroll 4
  for (int b = 0; b < rows; ++b)
#pragma GCC unroll 4
    for (int g = 0; g < gates; ++g) sum[b][g] = chains == 2 ? hn::Add(part[0][b][g], part[chains - 1][b][g]) : part[0][b][g];
}

template <Pass pass, int rows> HWY_INLINE void block(const CellArgs& a, int64_t index, int64_t first) {
  constexpr int gates = gates_of(pass), all = all_gates_of(pass);
  const int64_t unit = index * lanes;
  const int n = a.hidden - unit < lanes ? static_cast<int>(a.hidden - unit) : lanes;
  Vec sum[rows][gates];
  sums<gates, rows>(a.r + unit * a.hidden * gates, (pass == Pass::gru_hidden ? a.reset : a.h) + first * a.hidden, a.hidden, sum);
#pragma GCC unroll 4
  for (int b = 0; b < rows; ++b) {
    const float* x = a.gates_x + (first + b) * all * a.hidden + unit;
    const int64_t at = (first + b) * a.hidden + unit;
    const auto gate = [&](int g) HWY_ATTR { return hn::Add(load(x + g * a.hidden, n), sum[b][g]); };
    const auto mixed = [&](Vec update, Vec hidden) HWY_ATTR { return hn::MulAdd(update, hn::Sub(load(a.h + at, n), hidden), hidden); };
    const auto set_next = [&](Vec y) HWY_ATTR { store(y, a.next + at, n); };
    if constexpr (pass == Pass::rnn) set_next(math::tanh(gate(0)));
    if constexpr (pass == Pass::gru)
      set_next(mixed(sigmoid(gate(0)), math::tanh(hn::MulAdd(sigmoid(gate(1)), hn::Add(sum[b][2], hn::LoadU(vector, a.bias + unit)), load(x + 2 * a.hidden, n)))));
    if constexpr (pass == Pass::gru_gates) {
      store(hn::Mul(sigmoid(gate(1)), load(a.h + at, n)), a.reset + at, n);
      store(sigmoid(gate(0)), a.update + at, n);
    }
    if constexpr (pass == Pass::gru_hidden) set_next(mixed(load(a.update + at, n), math::tanh(hn::Add(load(x + 2 * a.hidden, n), sum[b][0]))));
    if constexpr (pass == Pass::lstm) {
      const Vec c = hn::MulAdd(sigmoid(gate(2)), load(a.c + at, n), hn::Mul(sigmoid(gate(0)), math::tanh(gate(3))));
      store(c, a.c + at, n);
      set_next(hn::Mul(sigmoid(gate(1)), math::tanh(c)));
    }
  }
}

template <Pass pass> void blocks(const CellArgs& a) {
  constexpr int rows = kernels::HWY_NAMESPACE::registers == 32 ? 4 : 2;  // of sums and weights that registers hold
  for (int64_t i = a.block0; i < a.block1; ++i) {
    const int64_t index = a.last_first ? a.block0 + a.block1 - 1 - i : i;
    int64_t b = 0;
    for (; b + rows <= a.batch; b += rows) block<pass, rows>(a, index, b);
    // The last ones together, too: each call reads all of the block's weights.
    if constexpr (rows == 4) {
      if (a.batch - b == 3) block<pass, 3>(a, index, b), b += 3;
      if (a.batch - b == 2) block<pass, 2>(a, index, b), b += 2;
    }
    if (b < a.batch) block<pass, 1>(a, index, b);
  }
}

void run(Pass pass, const CellArgs& a) {
  switch (pass) {
    case Pass::rnn: return blocks<Pass::rnn>(a);
    case Pass::lstm: return blocks<Pass::lstm>(a);
    case Pass::gru: return blocks<Pass::gru>(a);
    case Pass::gru_gates: return blocks<Pass::gru_gates>(a);
    case Pass::gru_hidden: return blocks<Pass::gru_hidden>(a);
  }
}
}  // namespace
constexpr Cell cell{lanes, run};
}  // namespace kernels::rnn::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

// Compiled for the baseline: what it instantiates may be shared with other files.
namespace kernels::rnn::HWY_NAMESPACE {
Support supports(const Spec& spec) { return cells_support(spec, 16.0 / kernels::HWY_NAMESPACE::lanes); }
Kernel make(const Spec& spec) { return make_cells(spec, cell, HWY_TARGET == HWY_AVX3 ? isa::avx512 : HWY_TARGET == HWY_AVX2 ? isa::avx2 : isa::neon); }
}  // namespace kernels::rnn::HWY_NAMESPACE
#endif
