// The matrix instructions of a warp: lanes put what they hold into their slots, and each computes its results from
// those of all.
#include "kernels/cuda/numbers.h"

namespace kernels::cuda {
namespace {
using emulator::lane, emulator::slot, emulator::exchange;

struct Operands {
  uint32_t a[4], b[2];
};
Operands of_lane(int l) {
  Operands o;
  std::memcpy(&o, slot(l), sizeof o);
  return o;
}
float tf32(uint32_t word, int) { return float_of_bits(word & ~0x1fffu); }  // the bits behind are not read
float half(uint32_t word, int i) { return from_half(uint16_t(word >> 16 * i)); }
float bfloat(uint32_t word, int i) { return float_of_bits(uint32_t(uint16_t(word >> 16 * i)) << 16); }

// Lane l holds, of each 8 × 8 block of A and B, the word l % 4 of row (A) or column (B) l / 4: one TF32, or two halves.
template <int per_word, class F>
void multiply(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], F&& value) {
  Operands own;
  std::copy_n(a, 4, own.a), std::copy_n(b, 2, own.b);
  std::memcpy(slot(lane()), &own, sizeof own);
  exchange();
  // The two rows of A and columns of B whose products this lane sums.
  constexpr int ks = 8 * per_word;
  float rows[2][ks], columns[2][ks];
  for (int word = 0; word < 4; ++word) {
    const Operands of_row = of_lane(lane() / 4 * 4 + word);
    for (int i = 0; i < 4; ++i)
      for (int k = 0; k < per_word; ++k) rows[i % 2][(i / 2 * 4 + word) * per_word + k] = value(of_row.a[i], k);
    for (int column = 0; column < 2; ++column) {
      const Operands of_column = of_lane((lane() % 4 * 2 + column) * 4 + word);
      for (int i = 0; i < 2; ++i)
        for (int k = 0; k < per_word; ++k) columns[column][(i * 4 + word) * per_word + k] = value(of_column.b[i], k);
    }
  }
  for (int i = 0; i < 4; ++i) {
    double sum = d[i];
    for (int k = 0; k < ks; ++k) sum += double(rows[i / 2][k]) * double(columns[i % 2][k]);
    d[i] = float(sum);
  }
  exchange();
}
}  // namespace

void load_matrices(uint32_t (&to)[4], const void* row) {
  if (reinterpret_cast<uintptr_t>(row) % 16) emulator::fail("a row of a matrix that is not aligned to 16 bytes");
  std::memcpy(slot(lane()), &row, sizeof row);
  exchange();
  for (int m = 0; m < 4; ++m) {
    const std::byte* from;
    std::memcpy(&from, slot(m * 8 + lane() / 4), sizeof from);
    from += lane() % 4 * 4;
    if (emulator::on_access) emulator::on_access(from, 4, false, __builtin_return_address(0));
    std::memcpy(&to[m], from, 4);
  }
  exchange();
}
void mma_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) { multiply<1>(d, a, b, tf32); }
void mma_f16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) { multiply<2>(d, a, b, half); }
void mma_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) { multiply<2>(d, a, b, bfloat); }
}  // namespace kernels::cuda
