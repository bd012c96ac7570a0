#include "kernels/gemm_narrow/gemm_narrow.h"
#include <cmath>
#include <cstring>

namespace kernels::gemm_narrow {
namespace {
using schema::DType;
constexpr int64_t line = 16;  // floats in a cache line

int64_t block_of(const Spec& s) { return s.block ? s.block : s.k; }

// f(first k, how many, the block's bytes) for each block of a panel.
template <class F> void each_block(const Spec& s, const std::byte* b, const F& f) {
  for (int64_t k = 0; k < s.k; k += block_of(s)) {
    const int64_t count = std::min(block_of(s), s.k - k);
    f(k, count, b);
    b += Layout(s, count).bytes();
  }
}

float weight(const Spec& s, const std::byte* b, int64_t k, int64_t column) {
  switch (s.dtype) {
    case DType::u4: return static_cast<float>((static_cast<int>(b[k / 2 * panel + column]) >> (k % 2 * 4)) & 15);
    case DType::u8: return static_cast<float>(b[k * panel + column]);
    default: {
      uint16_t half;
      std::memcpy(&half, b + (k * panel + column) * 2, 2);
      const uint32_t bits = static_cast<uint32_t>(half) << 16;
      float v;
      std::memcpy(&v, &bits, 4);
      return v;
    }
  }
}
struct Scaling {
  float scale = 1, zero = 0;
  Scaling(const Spec& s, const std::byte* b, int64_t count, int64_t column) {
    if (!s.block) return;
    const Layout layout(s, count);
    std::memcpy(&scale, b + layout.weights + column * 4, 4);
    zero = static_cast<float>(b[layout.weights + layout.scales + column]);
  }
};

void products_of(const Spec& s, const float* a, int64_t lda, const float* sums, const std::byte* b, float* c, int64_t rows) {
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t column = 0; column < panel; ++column) {
      float total = 0;
      each_block(s, b, [&](int64_t k0, int64_t count, const std::byte* block) {
        const Scaling by(s, block, count, column);
        float sum = 0;
        for (int64_t k = 0; k < count; ++k) sum += a[r * lda + k0 + k] * weight(s, block, k, column);
        total += by.scale * (sum - by.zero * sums[r * s.blocks() + k0 / block_of(s)]);
      });
      c[r * panel + column] = total;
    }
}
void floats_of(const Spec& s, const std::byte* b, float* to) {
  each_block(s, b, [&](int64_t k0, int64_t count, const std::byte* block) {
    for (int64_t column = 0; column < panel; ++column) {
      const Scaling by(s, block, count, column);
      for (int64_t k = 0; k < count; ++k) to[(k0 + k) * panel + column] = by.scale * (weight(s, block, k, column) - by.zero);
    }
  });
}
constexpr Functions functions{products_of, floats_of};
}  // namespace

Layout::Layout(const Spec& s, int64_t k)
    : weights((s.dtype == DType::u4 ? divide_up(k, 2) : s.dtype == DType::u8 ? k : 2 * k) * panel), scales(s.block ? 4 * panel : 0), zeros(s.block ? panel : 0) {}

Kernel::Kernel(const Spec& spec, const Functions& of, isa::Mask isa)
    : spec_(spec), functions_(of), gemm_(gemm::select({.n = panel, .k = spec.k}, isa).kernel) {}

int64_t Kernel::panel_bytes() const {
  const int64_t whole = spec_.k / block_of(spec_), rest = spec_.k % block_of(spec_);
  return whole * Layout(spec_, block_of(spec_)).bytes() + (rest ? Layout(spec_, rest).bytes() : 0);
}
size_t Kernel::packed_bytes() const { return static_cast<size_t>(panels() * panel_bytes()); }

void Kernel::pack(const void* b, int64_t ldb, const float* scale, const uint8_t* zero, void* to) const {
  std::memset(to, 0, packed_bytes());
  const auto* from = static_cast<const uint8_t*>(b);
  for (int64_t n = 0; n < spec_.n; ++n) {
    auto* out = static_cast<std::byte*>(to) + n / panel * panel_bytes();
    const int64_t column = n % panel;
    each_block(spec_, out, [&](int64_t k0, int64_t count, const std::byte* block) {
      auto* at = out + (block - out);
      for (int64_t k = 0; k < count; ++k) {
        const int64_t i = n * ldb + k0 + k;
        if (spec_.dtype == DType::u4) at[k / 2 * panel + column] |= static_cast<std::byte>((from[i / 2] >> (i % 2 * 4) & 15) << (k % 2 * 4));
        else if (spec_.dtype == DType::u8) at[k * panel + column] = static_cast<std::byte>(from[i]);
        else std::memcpy(at + (k * panel + column) * 2, from + i * 2, 2);
      }
      if (!spec_.block) return;
      const Layout layout(spec_, count);
      const int64_t s = n * spec_.blocks() + k0 / spec_.block;
      std::memcpy(at + layout.weights + column * 4, scale + s, 4);
      at[layout.weights + layout.scales + column] = static_cast<std::byte>(zero ? zero[s] : 0);
    });
  }
}

// A panel as floats, and packed for the gemm; or the results of a few rows.
int64_t Kernel::slot_floats() const { return round_up(spec_.k * panel, line) + round_up(static_cast<int64_t>(gemm_->packed_bytes() / sizeof(float)), line); }

size_t Kernel::scratch_bytes(int64_t m) const {
  return static_cast<size_t>(m <= few ? round_up(m * spec_.blocks(), line) : slots_.count() * slot_floats()) * sizeof(float);
}

void Kernel::run(const Args& args, ThreadPool& pool, int max_threads) const {
  if (args.m <= 0 || spec_.n <= 0) return;
  const auto* b = static_cast<const std::byte*>(args.b);
  auto* scratch = static_cast<float*>(args.scratch);
  if (args.m <= few) {
    for (int64_t r = 0; r < args.m; ++r)
      for (int64_t i = 0; i < spec_.blocks(); ++i) {
        float sum = 0;
        for (int64_t k = i * block_of(spec_); k < std::min(spec_.k, (i + 1) * block_of(spec_)); ++k) sum += args.a[r * args.lda + k];
        scratch[r * spec_.blocks() + i] = sum;
      }
    Divisible step{.rows = panels(), .work = spec_.n * spec_.k * 4};
    run_divided(pool, max_threads, step, [&](int64_t p0, int64_t p1, int64_t, int64_t) {
      for (int64_t p = p0; p < p1; ++p) {
        alignas(64) float c[few * panel];
        functions_.products(spec_, args.a, args.lda, scratch, b + p * panel_bytes(), c, args.m);
        const int64_t columns = std::min(panel, spec_.n - p * panel);
        for (int64_t r = 0; r < args.m; ++r) std::copy_n(c + r * panel, columns, args.c + r * args.ldc + p * panel);
      }
    });
    return;
  }
  slots_.run(pool, max_threads, panels(), [&](int64_t p, int64_t slot) {
    float* const floats = scratch + slot * slot_floats();
    float* const packed = floats + round_up(spec_.k * panel, line);
    functions_.floats(spec_, b + p * panel_bytes(), floats);
    gemm_->pack_b(floats, panel, packed);
    const int64_t columns = std::min(panel, spec_.n - p * panel);
    if (columns == panel) {
      gemm_->run({.a = args.a, .lda = args.lda, .b = packed, .c = args.c + p * panel, .ldc = args.ldc, .m = args.m}, pool, 1);
      return;
    }
    constexpr int64_t rows = 48;
    alignas(64) float c[rows * panel];
    for (int64_t r = 0; r < args.m; r += rows) {
      const int64_t count = std::min(rows, args.m - r);
      gemm_->run({.a = args.a + r * args.lda, .lda = args.lda, .b = packed, .c = c, .ldc = panel, .m = count}, pool, 1);
      for (int64_t i = 0; i < count; ++i) std::copy_n(c + i * panel, columns, args.c + (r + i) * args.ldc + p * panel);
    }
  });
}

std::string invalid(const Spec& s) {
  if (s.n < 0 || s.k <= 0) return "no elements";
  if (s.dtype == DType::bf16) return s.block ? "bfloat16 has no scales" : "";
  if (s.dtype != DType::u4 && s.dtype != DType::u8) return "elements that are not u4, u8 or bf16";
  return s.block <= 0 || s.block % 2 ? "a block is not even" : "";
}

std::span<const Row> rows() {
  static constexpr Row table[] = {
#define KERNEL(name, isa, tile, where) {#name, isa, tile, where::supports, where::make},
#include "kernels/gemm_narrow/kernels.inc"
  };
  return table;
}

Choice select(const Spec& spec, isa::Mask have) { return choose(rows(), spec, have); }

Support scalar::supports(const Spec& spec) { return {32, invalid(spec)}; }
Kernel scalar::make(const Spec& spec) { return {spec, functions, isa::scalar}; }
}  // namespace kernels::gemm_narrow
