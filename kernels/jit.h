// The base of all generated code (Xbyak). A generator writes into ordinary memory, from where it goes to pages of code.
#pragma once
#include <memory>
#include <string>
#include "kernels/code.h"
#if defined(__x86_64__)
#define XBYAK_NO_OP_NAMES
#include <xbyak/xbyak.h>
#endif

namespace kernels::jit {
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

// Where code is generated, of which the system gives what is written.
struct Buffer {
  static constexpr size_t capacity = 256 << 10;
  Buffer() : batch(Batch::Scope::current), bytes(batch ? batch->take_buffer(capacity) : std::make_unique_for_overwrite<uint8_t[]>(capacity)) {}
  ~Buffer() {
    if (batch) batch->give_buffer(std::move(bytes));
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  Batch* const batch;
  std::unique_ptr<uint8_t[]> bytes;
};

class Generator : private Buffer, public Xbyak::CodeGenerator {
 public:
  // What most of generated code consists of, by an encoder of its own: Xbyak takes three times as long, which is felt
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
    return finish(generator.getCode(), generator.getSize(), name);
  } catch (const Xbyak::Error&) {
    return nullptr;
  }
}
#endif
}  // namespace kernels::jit
