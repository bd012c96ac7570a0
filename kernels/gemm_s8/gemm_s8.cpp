#include "kernels/gemm_s8/gemm_s8.h"
#include <cstring>
#include "kernels/gemm_s8/tile.h"
#include "kernels/split.h"

namespace kernels::gemm_s8 {
namespace {
constexpr int64_t block_steps = 64;  // of A at once: its rows are packed on the stack

// 16 k of B: [group of k][column][k of the group].
template <class T> void pack_columns(T* to, const int8_t* b, int64_t ldb, int64_t count, int64_t k_count, int group) {
  for (int k0 = 0; k0 < step; k0 += group)
    for (int column = 0; column < columns; ++column)
      for (int k = k0; k < k0 + group; ++k) *to++ = column < count && k < k_count ? T(b[k * ldb + column]) : T(0);
}

// 16 k of A: [group of k][row][k of the group].
template <class T, int group> void pack_rows(void* packed, const uint8_t (&bytes)[most_rows][step], int64_t rows) {
  auto* to = static_cast<T*>(packed);
  for (int k0 = 0; k0 < step; k0 += group)
    for (int64_t row = 0; row < rows; ++row, to += group)
      for (int k = 0; k < group; ++k) to[k] = static_cast<int8_t>(bytes[row][k0 + k]);
}
using PackRows = void (*)(void*, const uint8_t (&)[most_rows][step], int64_t);
PackRows pack_rows_of(const Tile& t) {
  if (t.element == 2) return t.a_group == 8 ? pack_rows<int16_t, 8> : nullptr;
  return t.a_group == 16 ? pack_rows<int8_t, 16> : t.a_group == 8 ? pack_rows<int8_t, 8> : t.a_group == 1 ? pack_rows<int8_t, 1> : nullptr;
}

class Packed final : public Gemm {
 public:
  Packed(const Spec& spec, const Tile& tile) : s_(spec), t_(tile), steps_(divide_up(spec.k, step)), pack_rows_(pack_rows_of(tile)) {}
  bool ok() const { return pack_rows_ != nullptr; }

  size_t packed_bytes() const override { return static_cast<size_t>(panels() * panel_bytes()); }

  void pack_b(const int8_t* b, int64_t ldb, void* packed) const override {
    auto* to = static_cast<std::byte*>(packed);
    for (int64_t p = 0; p < panels(); ++p)
      for (int64_t tap = 0; tap < s_.taps; ++tap)
        for (int64_t k = 0; k < s_.k; k += step, to += step_bytes()) {
          const int8_t* from = b + (tap * s_.k + k) * ldb + p * columns;
          if (t_.element == 1) pack_columns(reinterpret_cast<int8_t*>(to), from, ldb, s_.n - p * columns, s_.k - k, t_.b_group);
          else pack_columns(reinterpret_cast<int16_t*>(to), from, ldb, s_.n - p * columns, s_.k - k, t_.b_group);
        }
  }

  void run(const Args& args, ThreadPool& pool, int max_threads) const override {
    const int64_t blocks = divide_up(args.m, most_rows), work = args.m * s_.n * s_.k * s_.taps;
    run_split(pool, max_threads, blocks, panels(), work / 8, [&](int64_t block0, int64_t block1, int64_t panel0, int64_t panel1) {
      for (int64_t block = block0; block < block1; ++block) rows(args, block * most_rows, panel0, panel1);
    });
  }

 private:
  int64_t panels() const { return divide_up(s_.n, columns); }
  int64_t step_bytes() const { return int64_t{step} * columns * t_.element; }
  int64_t panel_bytes() const { return s_.taps * steps_ * step_bytes(); }

  // Steps [first, first + count) of some rows.
  void pack_a(std::byte* to, const std::byte* const* pieces, int64_t m, int64_t padded, int64_t first, int64_t count) const {
    const uint8_t flip = s_.unsigned_a ? 0x80 : 0;
    for (int64_t i = first; i < first + count; ++i, to += padded * step * t_.element) {
      const int64_t tap = i / steps_, k = i % steps_ * step;
      uint8_t bytes[most_rows][step] = {};  // what stands for k past the last meets zeros in B
      for (int64_t row = 0; row < m; ++row) {
        const std::byte* from = pieces[row * s_.taps + tap] + k;
        if (k + step <= s_.k) std::memcpy(bytes[row], from, step);
        else std::memcpy(bytes[row], from, static_cast<size_t>(s_.k - k));
        for (uint8_t& byte : bytes[row]) byte ^= flip;
      }
      pack_rows_(to, bytes, padded);
    }
  }

  void rows(const Args& args, int64_t m0, int64_t panel0, int64_t panel1) const {
    alignas(16) std::byte a[most_rows * block_steps * step * sizeof(int16_t)];
    const std::byte* pieces[most_rows * Spec::most_taps];
    const int64_t m = std::min<int64_t>(most_rows, args.m - m0), padded = round_up(m, t_.rows_together), steps = s_.taps * steps_;
    if (args.rows) args.rows->pieces(pieces, m0, m);
    else for (int64_t row = 0; row < m; ++row) pieces[row] = static_cast<const std::byte*>(args.a) + (m0 + row) * args.lda;
    for (int64_t first = 0; first == 0 || first < steps; first += block_steps) {
      const int64_t count = std::min(block_steps, steps - first);
      pack_a(a, pieces, m, padded, first, count);
      for (int64_t p = panel0; p < panel1; ++p) {
        TileArgs t;
        t.a = a;
        t.b = static_cast<const std::byte*>(args.b) + p * panel_bytes() + first * step_bytes();
        t.c = args.c + m0 * args.ldc + p * columns;
        t.ldc = args.ldc;
        t.steps = count;
        t.rows = static_cast<int>(m);
        t.columns = static_cast<int>(std::min<int64_t>(columns, s_.n - p * columns));
        t.accumulate = first > 0;
        t_.by_rows[padded - 1](t);
      }
    }
  }

  Spec s_;
  const Tile& t_;
  int64_t steps_;  // of a piece
  PackRows pack_rows_;
};

template <int rows> void run_scalar(const TileArgs& t) {
  const auto *a = static_cast<const int8_t*>(t.a), *b = static_cast<const int8_t*>(t.b);
  uint32_t sum[rows][columns] = {};  // wraps
  for (int64_t k = 0; k < t.steps * step; ++k, a += rows, b += columns)
    for (int r = 0; r < rows; ++r)
      for (int c = 0; c < columns; ++c) sum[r][c] += static_cast<uint32_t>(int32_t{a[r]} * b[c]);
  for (int r = 0; r < t.rows; ++r)
    for (int c = 0; c < t.columns; ++c) {
      int32_t& to = t.c[r * t.ldc + c];
      to = static_cast<int32_t>(t.accumulate ? sum[r][c] + static_cast<uint32_t>(to) : sum[r][c]);
    }
}

Support supports_tile(const Tile& tile, const Spec& spec) {
  if (spec.n < 0 || spec.k < 0 || spec.taps < 1) return {0, "a negative extent"};
  if (spec.taps > Spec::most_taps) return {0, "more than " + std::to_string(Spec::most_taps) + " taps"};
  return {tile.cost, {}};
}
template <const Tile& tile> Support supports(const Spec& spec) { return supports_tile(tile, spec); }
template <const Tile& tile> Kernel make(const Spec& spec) {
  auto gemm = std::make_shared<const Packed>(spec, tile);
  return gemm->ok() ? gemm : nullptr;
}
}  // namespace

const Tile scalar{1, 1, 1, 1, 1,
                  {run_scalar<1>, run_scalar<2>, run_scalar<3>, run_scalar<4>, run_scalar<5>, run_scalar<6>, run_scalar<7>, run_scalar<8>}};

std::span<const Row> rows() {
  static constexpr Row table[] = {
#define KERNEL(name, isa, tile) {#name, isa, most_rows, supports<tile>, make<tile>},
#include "kernels/gemm_s8/kernels.inc"
  };
  return table;
}

Choice select(const Spec& spec, isa::Mask have) { return choose(rows(), spec, have); }

bool pays(isa::Mask have) {
#if defined(__x86_64__)
  return isa::runs(isa::avx512_vnni, have);
#elif defined(__aarch64__)
  return isa::runs(isa::neon_dot, have);
#else
  return (void)have, false;
#endif
}
}  // namespace kernels::gemm_s8
