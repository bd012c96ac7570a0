#include "kernels/gemm_s8/gemm_s8.h"
#include <cstring>
#include "kernels/gemm_s8/tile.h"
#include "kernels/split.h"

namespace kernels::gemm_s8 {
namespace {
constexpr int64_t k_block = 1024;  // of A at once: its rows are packed on the stack

// [steps][group of k][line][k of the group]: `of(line, k)` as T, and zeros past `lines` and `k_count`.
template <class T, class Of> void pack(T* to, int64_t lines, int64_t padded_lines, int64_t k_count, int group, const Of& of) {
  for (int64_t k0 = 0; k0 < round_up(k_count, step); k0 += group)
    for (int64_t line = 0; line < padded_lines; ++line)
      for (int64_t k = k0; k < k0 + group; ++k) *to++ = line < lines && k < k_count ? static_cast<T>(of(line, k)) : T(0);
}

class Packed final : public Gemm {
 public:
  Packed(const Spec& spec, const Tile& tile) : s_(spec), t_(tile) {}

  size_t packed_bytes() const override { return static_cast<size_t>(panels() * panel_bytes()); }

  void pack_b(const int8_t* b, int64_t ldb, void* to) const override {
    for (int64_t p = 0; p < panels(); ++p) {
      const auto of = [&](int64_t column, int64_t k) { return b[k * ldb + p * columns + column]; };
      pack_as(static_cast<std::byte*>(to) + p * panel_bytes(), std::min<int64_t>(columns, s_.n - p * columns), columns, s_.k, t_.b_group, of);
    }
  }

  void run(const Args& args, ThreadPool& pool, int max_threads) const override {
    const int64_t blocks = divide_up(args.m, most_rows), work = args.m * s_.n * s_.k;
    run_split(pool, max_threads, blocks, panels(), work / 8, [&](int64_t block0, int64_t block1, int64_t panel0, int64_t panel1) {
      for (int64_t block = block0; block < block1; ++block) rows(args, block * most_rows, panel0, panel1);
    });
  }

 private:
  int64_t panels() const { return divide_up(s_.n, columns); }
  int64_t panel_bytes() const { return round_up(s_.k, step) * columns * t_.element; }

  template <class Of> void pack_as(void* to, int64_t lines, int64_t padded, int64_t k, int group, const Of& of) const {
    t_.element == 1 ? pack(static_cast<int8_t*>(to), lines, padded, k, group, of) : pack(static_cast<int16_t*>(to), lines, padded, k, group, of);
  }

  void rows(const Args& args, int64_t m0, int64_t panel0, int64_t panel1) const {
    alignas(16) std::byte a[most_rows * k_block * sizeof(int16_t)];
    const auto* from = static_cast<const uint8_t*>(args.a) + m0 * args.lda;
    const uint8_t flip = s_.unsigned_a ? 0x80 : 0;
    const int64_t m = std::min<int64_t>(most_rows, args.m - m0), padded = round_up(m, t_.rows_together);
    for (int64_t k0 = 0; k0 == 0 || k0 < s_.k; k0 += k_block) {
      const int64_t k = std::min(k_block, s_.k - k0);
      pack_as(a, m, padded, k, t_.a_group, [&, flip](int64_t row, int64_t i) { return static_cast<int8_t>(from[row * args.lda + k0 + i] ^ flip); });
      for (int64_t p = panel0; p < panel1; ++p) {
        TileArgs t;
        t.a = a;
        t.b = static_cast<const std::byte*>(args.b) + p * panel_bytes() + k0 * columns * t_.element;
        t.c = args.c + m0 * args.ldc + p * columns;
        t.ldc = args.ldc;
        t.steps = divide_up(k, step);
        t.rows = static_cast<int>(m);
        t.columns = static_cast<int>(std::min<int64_t>(columns, s_.n - p * columns));
        t.accumulate = k0 > 0;
        t_.by_rows[padded - 1](t);
      }
    }
  }

  Spec s_;
  const Tile& t_;
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
  if (spec.n < 0 || spec.k < 0) return {0, "a negative extent"};
  return {tile.cost, {}};
}
template <const Tile& tile> Support supports(const Spec& spec) { return supports_tile(tile, spec); }
template <const Tile& tile> Kernel make(const Spec& spec) { return std::make_shared<const Packed>(spec, tile); }
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
