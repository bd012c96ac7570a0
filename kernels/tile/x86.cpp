// Register tiles generated at run time, and compiled for the baseline: AVX2 and AVX-512 exist only in the bytes
// emitted.
//
// Each element of A is broadcast into a register and multiplied by the panel's vectors: a broadcast operand of the
// multiply-add itself would need a load each. Rows are addressed from pointers five apart by stride and scale, so that
// one code serves every stride.
#if defined(__x86_64__)
#include "kernels/pointwise/emit.h"
#include "kernels/tile/tile.h"

namespace kernels::tile {
namespace {
using namespace Xbyak::util;
using pointwise::Cursor;

constexpr int rows_per_pointer = 5, unroll = 4, line = 64;  // bytes of a cache line
constexpr int panel_ahead = 4096;  // bytes of B asked for before they are read: a second-level cache's latency shows without

struct ShapeHash {
  size_t operator()(const Shape& s) const {
    size_t seed = pointwise::Hash()(s.epilogue);
    const int flags = s.accumulate | s.bias << 1 | s.strided << 2 | s.direct << 3;
    for (const int value : {s.rows, s.vectors, s.tail, s.panels, flags}) hash_combine(seed, static_cast<size_t>(value));
    for (const Tap& tap : s.taps)
      for (const int64_t value : {tap.offset, int64_t{tap.first}, int64_t{tap.last}, int64_t{tap.count}})
        hash_combine(seed, static_cast<size_t>(value));
    return seed;
  }
};

template <class Isa> class TileGenerator : public jit::Generator {
 public:
  using Vmm = typename Isa::Vmm;

  explicit TileGenerator(const Shape& shape) : s_(shape), emit_(*this) {
    Xbyak::Label tile, outer, reduced;
    prologue<Isa>();
    if (Isa::masks && s_.tail) mov(eax, (1u << s_.tail) - 1), kmovw(k1, eax);
    mov(lda, field(offsetof(Args, lda))), lea(lda3, ptr[lda + lda * 2]);
    mov(c, field(offsetof(Args, c))), mov(ldc, field(offsetof(Args, ldc)));
    mov(first_row, field(offsetof(Args, a)));
    if (s_.panels > 1) mov(apart, field(offsetof(Args, b_stride))), lea(apart3, ptr[apart + apart * 2]);
    L(tile);
    prefetch_rows();
    begin();
    mov(b, field(offsetof(Args, b))), mov(image, first_row);
    cmp(field(offsetof(Args, k)), 0), jle(reduced, T_NEAR);
    mov(outer_count, field(offsetof(Args, outer))), test(outer_count, outer_count), jle(reduced, T_NEAR);
    if (prefetches()) mov(next, field(offsetof(Args, prefetch))), cmp(next, field(offsetof(Args, prefetch_end))), cmovae(next, b);
    if (s_.panels > 1) {  // the next tile's, unless this is the last
      imul(rax, apart, s_.panels), add(rax, b);
      cmp(field(offsetof(Args, tiles)), 1), cmova(next, rax);
    }
    if (prefetches()) start_walk();
    L(outer);
    for (const Tap& tap : s_.taps) reduce(tap);
    add(image, field(offsetof(Args, outer_step)));
    if (prefetches()) dec(field(offsetof(Args, outer_left)));
    else dec(outer_count);
    jnz(outer, T_NEAR);
    if (prefetches() && s_.panels == 1) {
      mov(rax, field(offsetof(Args, prefetch_end))), cmp(field(offsetof(Args, prefetch)), rax), jae(reduced);
      mov(field(offsetof(Args, prefetch)), next);
    }
    L(reduced);
    finish();
    if (s_.panels > 1) {
      imul(rax, apart, s_.panels), add(field(offsetof(Args, b)), rax);
      if (s_.bias) add(field(offsetof(Args, bias)), row_bytes());
    } else {
      imul(rax, lda, s_.rows), add(first_row, rax);
    }
    dec(field(offsetof(Args, tiles))), jnz(tile, T_NEAR);
    mov(field(offsetof(Args, a)), first_row), mov(field(offsetof(Args, c)), c);
    epilogue();
    emit_.constants();
    if (!Isa::masks && s_.tail) {
      align(32);
      L(mask_);
      for (int i = 0; i < Isa::lanes; ++i) dd(i < s_.tail ? ~0u : 0u);
    }
  }

 private:
  static constexpr int vector_bytes = Isa::lanes * 4;

  Xbyak::Address field(size_t offset) { return qword[args + offset]; }
  Vmm sum(int m, int v) const { return Vmm(Isa::registers - 1 - (m * s_.vectors + v)); }
  bool is_tail(int v) const { return s_.tail && v == s_.vectors - 1; }

  // In place of a mask register, AVX2 loads the mask into `spare`, which may not be `to`.
  void load(const Vmm& to, const Xbyak::Address& from, int v, const Vmm& spare) {
    if (!is_tail(v)) {
      vmovups(to, from);
    } else if constexpr (Isa::masks) {
      vmovups(to | k1 | T_z, from);
    } else {
      vmovups(spare, ptr[rip + mask_]), vmaskmovps(to, spare, from);
    }
  }
  void store(const Xbyak::Address& to, const Vmm& from, int v, const Vmm& spare) {
    if (!is_tail(v)) {
      vmovups(to, from);
    } else if constexpr (Isa::masks) {
      vmovups(to | k1, from);
    } else {
      vmovups(spare, ptr[rip + mask_]), vmaskmovps(to, spare, from);
    }
  }

  // The stream of what is read next; b stands in when all of it has come.
  bool prefetches() const { return !s_.strided && !s_.direct; }
  // As much in a tile as brings a panel within four.
  int prefetched_lines() const { return std::clamp(unroll * s_.vectors * vector_bytes / (4 * line), 1, 3); }

  int per_panel() const { return s_.vectors / s_.panels; }
  int k_bytes() const { return per_panel() * vector_bytes; }  // of B, from k to k
  int row_bytes() const { return s_.vectors * vector_bytes; }  // of C
  // Vector v of B, and what lies `offset` bytes behind it.
  Xbyak::Address in_b(int v, int offset) const {
    return in_panel(v / per_panel(), offset + v % per_panel() * vector_bytes);
  }
  // Where the next tile has it, if there are two panels.
  Xbyak::Address in_next_b(int v, int offset) const {
    return in_panel(2 + v / per_panel(), offset + v % per_panel() * vector_bytes);
  }
  Xbyak::Address in_panel(int p, int at) const {
    switch (p) {
      case 0: return ptr[b + at];
      case 3: return ptr[b + apart3 + at];
      default: return ptr[b + apart * p + at];
    }
  }

  // The operand whose rows are asked for along with C's, or -1.
  int walked() const {
    if (prefetches())
      for (const pointwise::Stage& stage : s_.epilogue)
        if (stage.binary && stage.mode == pointwise::Mode::full) return stage.operand;
    return -1;
  }
  // The rows that end the reduction lie far apart: one of C's and one of an operand's is asked for with each block of k, so that misses
  // neither wait for each other nor hold up the panel's.
  void start_walk() {
    mov(field(offsetof(Args, outer_left)), outer_count);
    imul(rax, ldc, s_.rows), add(rax, c), mov(field(offsetof(Args, c_end)), rax);
    mov(c_row, c);
    if (walked() < 0) return;
    mov(rax, field(offsetof(Args, cursors)));
    mov(operand_row, qword[rax + walked() * sizeof(Cursor) + offsetof(Cursor, stride)]), mov(field(offsetof(Args, operand_stride)), operand_row);
    mov(operand_row, qword[rax + walked() * sizeof(Cursor) + offsetof(Cursor, data)]);
  }
  void walk() {
    Xbyak::Label asked;
    cmp(c_row, field(offsetof(Args, c_end))), jae(asked);
    for (int at = 0; at < s_.vectors * vector_bytes; at += line) prefetchw(ptr[c_row + at]);
    add(c_row, ldc);
    if (walked() >= 0) {
      for (int at = 0; at < s_.vectors * vector_bytes; at += line) prefetcht0(ptr[operand_row + at]);
      add(operand_row, field(offsetof(Args, operand_stride)));
    }
    L(asked);
  }

  // Those that are not walked along, all at once.
  void prefetch_rows() {
    const auto rows = [&](const Xbyak::Operand& stride) {
      for (int m = 0; m < s_.rows; ++m) {
        if (m) add(rax, stride);
        for (int at = 0; at < s_.vectors * vector_bytes; at += line) prefetcht0(ptr[rax + at]);
      }
    };
    if (s_.accumulate) mov(rax, c), rows(ldc);
    for (const pointwise::Stage& stage : s_.epilogue) {
      if (!stage.binary || stage.mode != pointwise::Mode::full || stage.operand == walked()) continue;
      mov(cursors, field(offsetof(Args, cursors)));
      mov(rax, qword[cursors + stage.operand * sizeof(Cursor) + offsetof(Cursor, data)]);
      rows(qword[cursors + stage.operand * sizeof(Cursor) + offsetof(Cursor, stride)]);
    }
  }

  void begin() {
    const Vmm spare(0);
    if (s_.bias) mov(rax, field(offsetof(Args, bias)));
    for (int v = 0; v < s_.vectors; ++v) {
      const Vmm start = sum(0, v);
      s_.bias ? load(start, ptr[rax + v * vector_bytes], v, spare) : vxorps(start, start, start);
      for (int m = 1; m < s_.rows; ++m) vmovaps(sum(m, v), sum(0, v));
    }
  }

  Xbyak::Address element(int m, int u) const {
    const Xbyak::Reg64& base = a[m / rows_per_pointer];
    switch (m % rows_per_pointer) {
      case 0: return ptr[base + u * 4];
      case 3: return ptr[base + lda3 + u * 4];
      default: return ptr[base + lda * (m % rows_per_pointer) + u * 4];
    }
  }
  int pointers(int last) const { return (last + rows_per_pointer - 1) / rows_per_pointer; }

  void reduce(const Tap& tap) {
    Xbyak::Label block, single, rest, done;
    const int last = std::min(tap.last, s_.rows);
    if (tap.first >= last) {
      imul(rax, field(offsetof(Args, k)), tap.count * k_bytes()), add(b, rax);
      return;
    }
    lea(a[0], ptr[image + static_cast<int>(tap.offset)]);
    for (int i = 1; i < pointers(last); ++i) lea(a[i], ptr[a[i - 1] + lda * 4]), add(a[i], lda);
    mov(k, field(offsetof(Args, k)));
    if (tap.count > 1) imul(k, k, tap.count);
    if (s_.strided) mov(step, field(offsetof(Args, k_step)));
    if (s_.direct) mov(step, field(offsetof(Args, b_stride)));
    if (!s_.strided) {
      sub(k, unroll), jb(rest, T_NEAR);
      L(block);
      for (int u = 0; u < unroll; ++u) {
        multiply(tap.first, last, u);
        if (prefetches() && u < prefetched_lines()) prefetcht1(ptr[next + u * line]);
      }
      if (prefetches()) walk();
      if (prefetches()) add(next, prefetched_lines() * line);
      for (int i = 0; i < pointers(last); ++i) add(a[i], 4 * unroll);
      if (!s_.direct) add(b, unroll * k_bytes());
      sub(k, unroll), jae(block, T_NEAR);
      L(rest);
      add(k, unroll), jz(done, T_NEAR);
    }
    L(single);
    multiply(tap.first, last, 0);
    for (int i = 0; i < pointers(last); ++i) s_.strided ? add(a[i], step) : add(a[i], 4);
    if (!s_.direct) add(b, k_bytes());
    dec(k), jnz(single, T_NEAR);
    L(done);
  }

  // One k for the rows of a tap.
  void multiply(int first, int last, int u) {
    const int spare = s_.vectors, spares = std::min(4, Isa::registers - (s_.rows + 1) * s_.vectors);
    const int b_offset = s_.direct ? 0 : u * k_bytes();
    if (s_.panels > 1 && s_.rows == 1) {
      vbroadcastss(Vmm(0), element(first, u));
      for (int v = 0; v < s_.vectors; ++v) vfmadd231ps(sum(first, v), Vmm(0), in_b(v, b_offset));
      return;
    }
    for (int v = 0; v < s_.vectors; ++v) {
      const Xbyak::Address from = in_b(v, b_offset);
      s_.direct ? load(Vmm(v), from, v, Vmm(spare)) : vmovups(Vmm(v), from);
      if (prefetches() && v * vector_bytes % line == 0)
        prefetcht0(s_.panels > 1 ? in_next_b(v, b_offset) : in_b(v, b_offset + panel_ahead));
    }
    if (s_.direct) add(b, step);
    for (int m = first; m < last; ++m) {
      const Vmm row(spare + m % spares);
      vbroadcastss(row, element(m, u));
      for (int v = 0; v < s_.vectors; ++v) vfmadd231ps(sum(m, v), Vmm(v), row);
    }
  }

  void finish() {
    if (s_.epilogue.operand_count()) mov(cursors, field(offsetof(Args, cursors)));
    emit_.keep(s_.epilogue);
    for (int m = 0; m < s_.rows; ++m) {
      for (int v = 0; v < s_.vectors; ++v) {
        const Xbyak::Address to = ptr[c + v * vector_bytes];
        if (s_.accumulate && is_tail(v)) {
          load(emit_.t0, to, v, emit_.t1), vaddps(sum(m, v), sum(m, v), emit_.t0);
        } else if (s_.accumulate) {
          vaddps(sum(m, v), sum(m, v), to);
        }
        for (const pointwise::Stage& stage : s_.epilogue) apply(stage, sum(m, v), v);
        store(to, sum(m, v), v, emit_.t0);
      }
      if (m + 1 < s_.rows || s_.panels == 1) next_row(1);
    }
    if (s_.panels > 1) next_panels();
  }

  void next_row(int rows) {
    const auto times = [&](const Xbyak::Operand& stride) { rows == 1 ? mov(rax, stride) : imul(rax, stride, rows); };
    times(ldc), add(c, rax);
    for (int i = 0; i < s_.epilogue.operand_count(); ++i) times(stride_of(i)), add(data_of(i), rax);
  }
  // From the last row to the first one of what lies beside them.
  void next_panels() {
    if (s_.rows > 1) next_row(1 - s_.rows);
    add(c, row_bytes());
    std::vector<bool> along(static_cast<size_t>(s_.epilogue.operand_count()));
    for (const pointwise::Stage& stage : s_.epilogue)
      if (stage.binary) along[stage.operand] = along_row(stage.mode);
    for (size_t i = 0; i < along.size(); ++i)
      if (along[i]) add(data_of(static_cast<int>(i)), row_bytes());
  }
  Xbyak::Address data_of(int operand) const {
    return qword[cursors + static_cast<int>(operand * sizeof(Cursor) + offsetof(Cursor, data))];
  }
  Xbyak::Address stride_of(int operand) const {
    return qword[cursors + static_cast<int>(operand * sizeof(Cursor) + offsetof(Cursor, stride))];
  }

  static bool along_row(pointwise::Mode mode) { return mode == pointwise::Mode::full || mode == pointwise::Mode::per_column; }
  void apply(const pointwise::Stage& stage, const Vmm& value, int v) {
    if (!stage.binary) {
      emit_.unary(stage, value);
      return;
    }
    mov(rax, qword[cursors + stage.operand * sizeof(Cursor) + offsetof(Cursor, data)]);
    if (along_row(stage.mode)) {
      load(emit_.t0, ptr[rax + v * vector_bytes], v, emit_.t1);
    } else {
      vbroadcastss(emit_.t0, ptr[rax]);
    }
    emit_.binary(stage, value, emit_.t0);
  }

  const Shape& s_;
  pointwise::Emitter<Isa> emit_;
  Xbyak::Label mask_;
  const Xbyak::Reg64 args = rdi, b = rdx, k = rax, lda = r8, lda3 = r9, image = rcx, outer_count = rbx, c = r10,
                     ldc = r11, next = r14, first_row = rbp;
  const Xbyak::Reg64 cursors = rdx;  // before and after the reduction, when there is no b
  const Xbyak::Reg64 c_row = r15, operand_row = rbx;  // while there are prefetches, in place of step and outer_count
  const Xbyak::Reg64 step = r15;  // of k in A, or in a direct B
  const Xbyak::Reg64 a[3] = {rsi, r12, r13};
  const Xbyak::Reg64 apart = r12, apart3 = r13;  // panels, of which a row has several
};

template <class Isa> Tile make_tile(const Shape& shape) {
  static WeakCache<Shape, jit::Code, ShapeHash> cache;
  const auto code = jit::shared(cache, shape, [](const Shape& key) {
    return jit::generate<TileGenerator<Isa>>("tile_" + std::to_string(key.rows) + "x" +
                                                 std::to_string(key.vectors * Isa::lanes) +
                                                 (Isa::masks ? "_avx512" : "_avx2"),
                                             key);
  });
  if (!code) return {};
  return {code->template entry<Tile::Function>(), std::make_shared<const Shape>(shape), code};
}
}  // namespace

const Backend jit_avx512{.name = "jit",
                         .isa = isa::avx512,
                         .lanes = 16,
                         .max_rows = {0, 14, 14, 9, 6},
                         .vectors = 2,
                         .cost = 1.0 / 32,
                         .make = make_tile<jit::Avx512>,
                         .epilogue_refusal = pointwise::emit_refusal,
                         .panels = {0, 4, 2, 2, 2}};
const Backend jit_avx2{.name = "jit",
                       .isa = isa::avx2,
                       .lanes = 8,
                       .max_rows = {0, 10, 6, 4, 0},
                       .vectors = 2,
                       .cost = 1.0 / 16,
                       .make = make_tile<jit::Avx2>,
                       .epilogue_refusal = pointwise::emit_refusal,
                       .panels = {0, 4, 2}};
}  // namespace kernels::tile
#endif
