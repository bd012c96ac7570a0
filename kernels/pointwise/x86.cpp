// Generated at run time, and compiled for the baseline: AVX2 and AVX-512 exist only in the bytes it emits.
#if defined(__x86_64__)
#include "kernels/pointwise/emit.h"

namespace kernels::pointwise {
std::string emit_refusal(const Chain& chain) {
  if (std::string reason = unsupported(chain); !reason.empty()) return reason;
  for (const Stage& s : chain) {
    const auto no_emitter = [](std::string_view name) { return "no emitter for " + std::string(name); };
    if (s.binary) {
      using enum schema::BinaryKind;
      switch (s.op) {
        case add: case sub: case mul: case div: case min: case max: case prelu: continue;
        default: return no_emitter(schema::name(s.op));
      }
    }
    using enum schema::UnaryKind;
    switch (s.unary) {
      case schema::UnaryKind::clip:
        if (!(s.a <= s.b)) return "clip whose limits are not in order";
        continue;
      case schema::UnaryKind::celu:
        if (s.a == 0) return "celu with a parameter of zero";
        continue;
      case abs: case neg: case relu: case leaky_relu: case thresholded_relu: case elu: case selu: case exp:
      case sigmoid: case silu: case hard_sigmoid: case hard_swish: case softsign: case tanh: case erf: case gelu: case gelu_tanh:
      case sqrt: case reciprocal: case floor: case ceil: case round: continue;
      default: return no_emitter(schema::name(s.unary));
    }
  }
  return {};
}

namespace {
using namespace Xbyak::util;

// Row by row; along a row in vectors, then one that is masked.
template <class Isa>
class ChainGenerator : public jit::Generator {
 public:
  explicit ChainGenerator(const Chain& chain) : chain_(chain), emit_(*this) {
    Xbyak::Label row, vector, tail, next, done, sliding;
    prologue<Isa>();
    mov(x, ptr[args + offsetof(RawArgs, x)]), mov(y, ptr[args + offsetof(RawArgs, y)]);
    mov(cursors, ptr[args + offsetof(RawArgs, cursors)]), mov(rows, ptr[args + offsetof(RawArgs, rows)]);
    mov(columns, ptr[args + offsetof(RawArgs, columns)]);
    mov(whole, columns), and_(whole, -Isa::lanes), shl(whole, 2);
    and_(columns, Isa::lanes - 1), shl(columns, 2);
    if constexpr (Isa::masks) {
      mov(rcx, columns), shr(rcx, 2), mov(eax, 1), shl(eax, cl), dec(eax), kmovw(k1, eax);
    } else {  // a window of the words (-1 × lanes, 0 × lanes) that begins with as many -1 as there are columns
      lea(rax, ptr[rip + sliding]), sub(rax, columns), vmovups(tail_mask, ptr[rax + 4 * Isa::lanes]);
    }
    emit_.keep(chain_);
    L(row);
    xor_(at, at), test(whole, whole), jz(tail, T_NEAR);
    L(vector);
    vmovups(v, ptr[x + at]), stages(false), vmovups(ptr[y + at], v);
    add(at, 4 * Isa::lanes), cmp(at, whole), jb(vector, T_NEAR);
    L(tail);
    test(columns, columns), jz(next, T_NEAR);
    load(v, ptr[x + at], true), stages(true);
    if constexpr (Isa::masks) {
      vmovups(ptr[y + at] | k1, v);
    } else {
      vmaskmovps(ptr[y + at], tail_mask, v);
    }
    L(next);
    add(x, ptr[args + offsetof(RawArgs, x_stride)]), add(y, ptr[args + offsetof(RawArgs, y_stride)]);
    for (int i = 0; i < chain.operand_count(); ++i) {
      mov(rax, ptr[cursors + i * sizeof(Cursor) + offsetof(Cursor, stride)]);
      add(ptr[cursors + i * sizeof(Cursor) + offsetof(Cursor, data)], rax);
    }
    dec(rows), jnz(row, T_NEAR);
    epilogue();
    emit_.constants();
    if constexpr (!Isa::masks) {
      align(4);
      L(sliding);
      for (int i = 0; i < 2 * Isa::lanes; ++i) dd(i < Isa::lanes ? ~0u : 0u);
    }
  }

 private:
  using Vmm = typename Isa::Vmm;

  void load(const Vmm& to, const Xbyak::Address& from, bool tail) {
    if (!tail) {
      vmovups(to, from);
    } else if constexpr (Isa::masks) {
      vmovups(to | k1 | T_z, from);
    } else {
      vmaskmovps(to, tail_mask, from);
    }
  }

  void stages(bool tail) {
    for (const Stage& s : chain_) {
      if (!s.binary) {
        emit_.unary(s, v);
        continue;
      }
      mov(rax, ptr[cursors + s.operand * sizeof(Cursor) + offsetof(Cursor, data)]);
      if (s.mode == Mode::full || s.mode == Mode::per_column) {
        load(emit_.t0, ptr[rax + at], tail);
      } else {
        vbroadcastss(emit_.t0, ptr[rax]);
      }
      emit_.binary(s, v, emit_.t0);
    }
  }

  const Chain& chain_;
  Emitter<Isa> emit_;
  const Xbyak::Reg64 args = rdi, x = rsi, y = rdx, cursors = r8, rows = r9, whole = r10, columns = r11, at = rbx;
  const Vmm v{4}, tail_mask{5};
};

template <class Isa>
Kernel make_kernel(const Chain& chain, const char* name) {
  static WeakCache<Chain, jit::Code, Hash> cache;
  const auto code =
      jit::shared(cache, chain, [&](const Chain& key) { return jit::generate<ChainGenerator<Isa>>(name, key); });
  if (!code) return {};
  return {code->template entry<Kernel::Function>(), chain, code};
}
Support support(const Chain& chain, int lanes) { return {10.0 * chain.size / lanes, emit_refusal(chain)}; }
}  // namespace

Support jit_avx2::supports(const Chain& chain) { return support(chain, jit::Avx2::lanes); }
Kernel jit_avx2::make(const Chain& chain) { return make_kernel<jit::Avx2>(chain, "pointwise_f32_jit_avx2"); }
Support jit_avx512::supports(const Chain& chain) { return support(chain, jit::Avx512::lanes); }
Kernel jit_avx512::make(const Chain& chain) { return make_kernel<jit::Avx512>(chain, "pointwise_f32_jit_avx512"); }
}  // namespace kernels::pointwise
#endif
