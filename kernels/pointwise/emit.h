// f(x) on one vector register, for a kernel of its own and for every epilogue.
#pragma once
#include <bit>
#include <iterator>
#include <map>
#include <utility>
#include <vector>
#include "kernels/jit.h"
#include "kernels/pointwise/coefficients.h"
#include "kernels/pointwise/pointwise.h"

#if defined(__x86_64__)
namespace kernels::pointwise {
// Why a chain cannot be emitted, or empty.
std::string emit_refusal(const Chain&);

// Uses the vector registers 0 to 3, and mask k2. Call `constants` once, behind the code.
template <class Isa> class Emitter {
 public:
  using Vmm = typename Isa::Vmm;
  static constexpr int temporaries = 4;
  explicit Emitter(jit::Generator& generator) : g(generator) {}

  // From here on, t2 and t3 keep what clip and relu compare with, where the chain has no other use for them.
  void keep(const Chain& chain) {
    using enum schema::BinaryKind;
    const auto leaves = [](const Stage& s) {
      if (s.binary) return s.op == add || s.op == sub || s.op == mul || s.op == div;
      return s.unary == schema::UnaryKind::clip || s.unary == schema::UnaryKind::relu;
    };
    for (const Stage& s : chain)
      if (!leaves(s)) return;
    for (const Stage& s : chain) {
      if (s.binary) continue;
      const bool clips = s.unary == schema::UnaryKind::clip;
      keep(clips ? s.a : 0);
      if (clips) keep(s.b);
    }
  }

  void unary(const Stage& s, const Vmm& v) {
    using enum schema::UnaryKind;
    namespace c = coefficients;
    switch (s.unary) {
      case abs: g.vandps(v, v, bits(0x7fffffff)); break;
      case neg: g.vxorps(v, v, bits(0x80000000)); break;
      case relu: at_least(v, 0); break;
      case leaky_relu: g.vmulps(t0, v, value(s.a)), select_negative(v, v, t0); break;
      case thresholded_relu: broadcast(t0, s.a), keep_if(v, t0, 0x1e /* greater, ordered */, v); break;
      case clip: at_least(v, s.a), at_most(v, s.b); break;
      case elu: g.vmovaps(t2, v), expm1(v), scale(v, s.a), select_negative(v, t2, v, t2); break;
      case celu: g.vmovaps(t2, v), scale(v, 1 / s.a), expm1(v), scale(v, s.a), select_negative(v, t2, v, t2); break;
      case selu: g.vmovaps(t2, v), expm1(v), scale(v, s.a), select_negative(v, t2, v, t2), scale(v, s.b); break;
      case exp: this->exp(v); break;
      case sigmoid: logistic(v, 1); break;
      case silu: g.vmovaps(t2, v), logistic(v, s.a), g.vmulps(v, v, t2); break;
      case hard_sigmoid: broadcast(t0, s.a), g.vmulps(v, v, t0), g.vaddps(v, v, value(s.b)), clamp01(v); break;
      case hard_swish:
        g.vmovaps(t0, v), g.vmulps(v, v, value(1 / 6.0f)), g.vaddps(v, v, value(0.5f)), clamp01(v), g.vmulps(v, v, t0);
        break;
      case softsign: g.vandps(t0, v, bits(0x7fffffff)), g.vaddps(t0, t0, value(1)), g.vdivps(v, v, t0); break;
      case tanh: odd_rational(v, c::tanh_limit, c::tanh_p, c::tanh_q); break;
      case erf: odd_rational(v, c::erf_limit, c::erf_p, c::erf_q); break;
      case gelu:
        at_least(v, c::gelu_least), g.vmovaps(t3, v), g.vmulps(v, v, value(c::sqrt_half));
        odd_rational(v, c::erf_limit, c::erf_p, c::erf_q), half_of_product(v);
        break;
      case gelu_tanh:
        at_least(v, c::gelu_least), g.vmovaps(t3, v), g.vmulps(v, v, v), g.vmulps(v, v, value(c::gelu_cubic));
        g.vaddps(v, v, value(1)), g.vmulps(v, v, t3), g.vmulps(v, v, value(c::sqrt_two_over_pi));
        odd_rational(v, c::tanh_limit, c::tanh_p, c::tanh_q), half_of_product(v);
        break;
      case sqrt: g.vsqrtps(v, v); break;
      case reciprocal: reciprocal_of(v); break;
      case floor: round_to(v, v, 9); break;
      case ceil: round_to(v, v, 10); break;
      case round: round_to(v, v, 8); break;
      default: break;
    }
  }

  // v = f(v, other); `other` may be t0, and is not changed unless it is.
  void binary(const Stage& s, const Vmm& v, const Vmm& other) {
    const Vmm &x = s.swapped ? other : v, &y = s.swapped ? v : other;
    switch (s.op) {
      case schema::BinaryKind::add: g.vaddps(v, x, y); break;
      case schema::BinaryKind::sub: g.vsubps(v, x, y); break;
      case schema::BinaryKind::mul: g.vmulps(v, x, y); break;
      case schema::BinaryKind::div: g.vdivps(v, x, y); break;
      case schema::BinaryKind::prelu: g.vmulps(t1, x, y), select_negative(v, x, t1, x); break;
      // The instructions give y where either is NaN.
      case schema::BinaryKind::min: g.vminps(t1, x, y), select_nan(v, x, t1); break;
      case schema::BinaryKind::max: g.vmaxps(t1, x, y), select_nan(v, x, t1); break;
      default: break;
    }
  }

  void constants() {
    g.align(Isa::masks ? 4 : 32);
    for (auto& [word, label] : pool_) {
      g.L(label);
      for (int i = 0; i < (Isa::masks ? 1 : Isa::lanes); ++i) g.dd(word);
    }
  }

  const Vmm t0{0}, t1{1}, t2{2}, t3{3};

 private:
  // A memory operand: broadcast by the instruction where it can, else stored once per lane.
  Xbyak::Address bits(uint32_t word) { return Isa::masks ? g.ptr_b[g.rip + pool_[word]] : g.ptr[g.rip + pool_[word]]; }
  Xbyak::Address value(float f) { return bits(std::bit_cast<uint32_t>(f)); }
  void broadcast(const Vmm& v, float f) { g.vbroadcastss(v, g.ptr[g.rip + pool_[std::bit_cast<uint32_t>(f)]]); }
  void keep(float f) {
    if (kept_.size() == 2 || kept(f)) return;
    const Vmm& to = kept_.empty() ? t2 : t3;
    number(to, f);
    kept_.emplace_back(std::bit_cast<uint32_t>(f), &to);
  }
  const Vmm* kept(float f) const {
    for (const auto& [word, where] : kept_)
      if (word == std::bit_cast<uint32_t>(f)) return where;
    return nullptr;
  }
  void number(const Vmm& v, float f) { std::bit_cast<uint32_t>(f) ? broadcast(v, f) : zero(v); }
  // Where it is kept, or in t0 from now on.
  const Vmm& limit(float f) {
    if (const Vmm* const there = kept(f)) return *there;
    number(t0, f);
    return t0;
  }
  void zero(const Vmm& v) {
    const Xbyak::Xmm low(v.getIdx());
    g.vxorps(low, low, low);
  }
  void scale(const Vmm& v, float f) {
    if (f != 1) g.vmulps(v, v, value(f));
  }
  void reciprocal_of(const Vmm& v) { broadcast(t0, 1), g.vdivps(v, t0, v); }
  // 1 / v to within two ulps, for normal v > 0; 0 where that is no normal number. A division of 16 lanes takes as long
  // as ten other instructions.
  void invert(const Vmm& v) {
    if constexpr (Isa::masks) {
      g.vcmpps(g.k2, v, value(0x1p126f), 9 /* not greater or equal, or NaN */);
      g.vrcp14ps(t0, v), g.vfnmadd213ps(v, t0, value(1)), g.vfmadd213ps(v | g.k2 | g.T_z, t0, t0);
    } else {
      reciprocal_of(v);
    }
  }
  void round_to(const Vmm& to, const Vmm& v, int mode) {
    if constexpr (Isa::masks) {
      g.vrndscaleps(to, v, mode);
    } else {
      g.vroundps(to, v, mode);
    }
  }

  // The operand that is given second is the result where one is NaN.
  void at_least(const Vmm& v, float f) { g.vmaxps(v, limit(f), v); }
  void at_most(const Vmm& v, float f) { g.vminps(v, limit(f), v); }
  void clamp01(const Vmm& v) { g.vminps(v, v, value(1)), g.vmaxps(v, v, value(0)); }

  // v = sign ? negative : otherwise, by the sign bit of `sign`. (-0 counts as negative: the functions agree there.)
  void select_negative(const Vmm& v, const Vmm& sign, const Vmm& negative, const Vmm& otherwise) {
    if constexpr (Isa::masks) {
      g.vpmovd2m(g.k2, sign);
      g.vblendmps(v | g.k2, otherwise, negative);
    } else {
      g.vblendvps(v, otherwise, negative, sign);
    }
  }
  void select_negative(const Vmm& v, const Vmm& sign, const Vmm& negative) { select_negative(v, sign, negative, v); }

  // v = x is NaN ? x : otherwise; with `otherwise` t1.
  void select_nan(const Vmm& v, const Vmm& x, const Vmm& otherwise) {
    if constexpr (Isa::masks) {
      g.vcmpps(g.k2, x, x, 3);
      g.vblendmps(v | g.k2, otherwise, x);
    } else {
      g.vcmpps(t2, x, x, 3);
      g.vblendvps(v, otherwise, x, t2);
    }
  }

  // v where it compares so with `other`, else 0.
  void keep_if(const Vmm& v, const Vmm& other, int predicate, const Vmm& x) {
    if constexpr (Isa::masks) {
      g.vcmpps(g.k2, x, other, predicate);
      g.vmovaps(v | g.k2 | g.T_z, x);
    } else {
      g.vcmpps(t1, x, other, predicate);
      g.vandps(v, x, t1);
    }
  }

  // t1 = r + r²·q(r), t0 = n as a float; v is spent.
  void exp_reduced(const Vmm& v, float least, float most) {
    namespace c = coefficients;
    at_least(v, least), at_most(v, most);
    g.vmulps(t0, v, value(c::log2e)), round_to(t0, t0, 8);
    g.vfnmadd231ps(v, t0, value(c::ln2_high)), g.vfnmadd231ps(v, t0, value(c::ln2_low));
    polynomial(t1, v, c::exp_q);
    g.vmulps(t1, t1, v), g.vfmadd213ps(t1, v, v);
  }

  void exp(const Vmm& v) {
    exp_reduced(v, coefficients::exp_least, coefficients::exp_most);
    g.vaddps(t1, t1, value(1));
    if constexpr (Isa::masks) {
      g.vscalefps(v, t1, t0);
    } else {  // by 2^(n/2) and 2^(n - n/2): one factor would overflow at the ends
      g.vcvtps2dq(t0, t0), g.vpsrad(v, t0, 1), g.vpsubd(t0, t0, v);
      g.vpslld(v, v, 23), g.vpaddd(v, v, value(1)), g.vmulps(t1, t1, v);
      g.vpslld(t0, t0, 23), g.vpaddd(t0, t0, value(1)), g.vmulps(v, t1, t0);
    }
  }

  // v = 1 / (1 + exp(-a·v)).
  void logistic(const Vmm& v, float a) {
    if constexpr (Isa::masks) {  // 2^x = 2^floor(x) · p(x - floor(x)), for any x: neither limits nor rounding of its own
      g.vmulps(v, v, value(-a * coefficients::log2e));
      g.vreduceps(t0, v, 9), polynomial(t1, t0, coefficients::exp2_p), g.vscalefps(v, t1, v);
    } else {
      g.vmulps(v, v, value(-a)), exp(v);
    }
    g.vaddps(v, v, value(1)), invert(v);
  }

  void expm1(const Vmm& v) {
    exp_reduced(v, coefficients::expm1_least, coefficients::expm1_most);
    if constexpr (Isa::masks) {
      broadcast(v, 1), g.vscalefps(v, v, t0);
    } else {
      g.vcvtps2dq(v, t0), g.vpslld(v, v, 23), g.vpaddd(v, v, value(1));
    }
    g.vsubps(t0, v, value(1)), g.vfmadd213ps(v, t1, t0);
  }

  template <size_t n> void polynomial(const Vmm& y, const Vmm& x, const float (&coefficient)[n]) {
    broadcast(y, coefficient[0]);
    for (size_t i = 1; i < n; ++i) g.vfmadd213ps(y, x, value(coefficient[i]));
  }

  // v·p(v²) / q(v²) with v limited; t0 to t2.
  template <size_t p, size_t q>
  void odd_rational(const Vmm& v, float limit, const float (&above)[p], const float (&below)[q]) {
    at_least(v, -limit), at_most(v, limit);
    g.vmulps(t0, v, v), polynomial(t1, t0, above), polynomial(t2, t0, below);
    g.vmulps(v, v, t1), invert(t2), g.vmulps(v, v, t2);
  }

  // t3 · ((1 + v) / 2): 2·t3 may overflow.
  void half_of_product(const Vmm& v) { g.vaddps(v, v, value(1)), g.vmulps(v, v, value(0.5f)), g.vmulps(v, v, t3); }

  jit::Generator& g;
  std::map<uint32_t, Xbyak::Label> pool_;
  std::vector<std::pair<uint32_t, const Vmm*>> kept_;
};
}  // namespace kernels::pointwise
#endif
