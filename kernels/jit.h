// The base of all generated code (Xbyak). A generator writes into ordinary memory; `seal` copies the finished code to
// pages that can be executed and no longer written, names it for perf, and dumps it on request.
//   INLAY_NO_JIT=1        pretend that executable pages are denied      INLAY_PERF_MAP=1   /tmp/perf-PID.map for perf
//   INLAY_JIT_DUMP=DIR    each code as DIR/NAME.ADDRESS.bin
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>
#include "kernels/os.h"
#if defined(__x86_64__)
#define XBYAK_NO_OP_NAMES
#include <xbyak/xbyak.h>
#endif

namespace kernels::jit {
// Finished code. Position independent; what its functions point into, so keep it while they may run.
class Code {
 public:
  Code(os::Executable memory, size_t size) : memory_(std::move(memory)), size_(size) {}
  template <class Function> Function entry() const {
    return reinterpret_cast<Function>(reinterpret_cast<uintptr_t>(memory_.get()));
  }
  size_t size() const { return size_; }

 private:
  os::Executable memory_;
  size_t size_;
};

bool allowed();           // executable pages can be had
bool forbid(bool value);  // for tests: as if they were denied; gives the value before

std::shared_ptr<const Code> seal(const void* code, size_t size, const std::string& name);

#if defined(__x86_64__)
// Register file of a target, for generators that are templates over it.
struct Avx2 {
  using Vmm = Xbyak::Ymm;
  static constexpr int lanes = 8, registers = 16;
  static constexpr bool masks = false;  // tails use vmaskmovps and a vector mask
};
struct Avx512 {
  using Vmm = Xbyak::Zmm;
  static constexpr int lanes = 16, registers = 32;
  static constexpr bool masks = true;
};

struct Buffer {
  static constexpr size_t capacity = 256 << 10;
  std::unique_ptr<uint8_t[]> bytes{new uint8_t[capacity]};
};

class Generator : private Buffer, public Xbyak::CodeGenerator {
 public:
  // What most of generated code consists of, by an encoder of its own: Xbyak takes ten times as long, which is felt
  // where a model is loaded. Its functions of these names serve whatever this encoder does not take, and give the same
  // bytes.
  using Xmm = Xbyak::Xmm;
  void vmovups(const Xmm& to, const Xbyak::Operand& from) {
    encode({0, 1, 0x10}, to, nullptr, from) || (CodeGenerator::vmovups(to, from), true);
  }
  void vmovups(const Xbyak::Address& to, const Xmm& from) {
    encode({0, 1, 0x11}, from, nullptr, to) || (CodeGenerator::vmovups(to, from), true);
  }
  void vmovaps(const Xmm& to, const Xbyak::Operand& from) {
    encode({0, 1, 0x28}, to, nullptr, from) || (CodeGenerator::vmovaps(to, from), true);
  }
  void vmovaps(const Xbyak::Address& to, const Xmm& from) {
    encode({0, 1, 0x29}, from, nullptr, to) || (CodeGenerator::vmovaps(to, from), true);
  }
  void vbroadcastss(const Xmm& to, const Xbyak::Operand& from) {
    encode({1, 2, 0x18, 4}, to, nullptr, from) || (CodeGenerator::vbroadcastss(to, from), true);
  }
  void vaddps(const Xmm& to, const Xmm& a, const Xbyak::Operand& b) {
    encode({0, 1, 0x58}, to, &a, b) || (CodeGenerator::vaddps(to, a, b), true);
  }
  void vmulps(const Xmm& to, const Xmm& a, const Xbyak::Operand& b) {
    encode({0, 1, 0x59}, to, &a, b) || (CodeGenerator::vmulps(to, a, b), true);
  }
  void vminps(const Xmm& to, const Xmm& a, const Xbyak::Operand& b) {
    encode({0, 1, 0x5d}, to, &a, b) || (CodeGenerator::vminps(to, a, b), true);
  }
  void vmaxps(const Xmm& to, const Xmm& a, const Xbyak::Operand& b) {
    encode({0, 1, 0x5f}, to, &a, b) || (CodeGenerator::vmaxps(to, a, b), true);
  }
  void vfmadd231ps(const Xmm& to, const Xmm& a, const Xbyak::Operand& b) {
    encode({1, 2, 0xb8}, to, &a, b) || (CodeGenerator::vfmadd231ps(to, a, b), true);
  }

 protected:
  Generator();
  // Saves what belongs to the caller (System V: rbx, rbp, r12 to r15). In debug builds also fills the vector registers
  // of the target with NaN, so that a read of a register never written shows.
  template <class Isa> void prologue() {
    save();
#ifndef NDEBUG
    for (int i = 0; i < Isa::registers; ++i) {
      const typename Isa::Vmm v(i);
      Isa::masks ? vpternlogd(v, v, v, 0xff) : vpcmpeqd(v, v, v);
    }
#endif
  }
  void epilogue();  // restores, and returns

 private:
  // An instruction of VEX or EVEX on floats: its prefix (0: none, 1: 66) and map (1: 0F, 2: 0F38), and the bytes of its
  // operand in memory (0: a vector), which EVEX multiplies a short displacement by.
  struct Encoding {
    uint8_t prefix, map, opcode, element = 0;
  };
  // False, and nothing is written: masks, operands that are neither vectors of 256 or 512 bits nor [register + register
  // * scale + offset], or no room.
  bool encode(Encoding, const Xmm& r, const Xmm* v, const Xbyak::Operand& rm);
  void save();
};

// Runs the generator; null where executable pages are denied, or the code outgrows the buffer (a kernel of very many taps).
template <class G, class... Arguments>
std::shared_ptr<const Code> generate(const std::string& name, const Arguments&... arguments) {
  if (!allowed()) return nullptr;
  try {
    G generator(arguments...);
    generator.ready(Xbyak::CodeArray::PROTECT_RW);
    return seal(generator.getCode(), generator.getSize(), name);
  } catch (const Xbyak::Error&) {
    return nullptr;
  }
}
#endif
}  // namespace kernels::jit
