#include "kernels/pointwise/pointwise.h"
#include <cmath>
#include <numeric>
#include <utility>

namespace kernels::pointwise {
using schema::BinaryKind;
using schema::UnaryKind;

int Chain::operand_count() const {
  int count = 0;
  for (const Stage& stage : *this)
    if (stage.binary) count = std::max(count, stage.operand + 1);
  return count;
}

bool Chain::has(Mode mode) const {
  return std::any_of(begin(), end(), [mode](const Stage& s) { return s.binary && s.mode == mode; });
}

size_t Hash::operator()(const Chain& chain) const {
  size_t seed = chain.size;
  for (const Stage& s : chain) {
    if (s.binary) {
      hash_combine(seed, static_cast<size_t>(s.op) << 24 | static_cast<size_t>(s.operand) << 16 |
                             static_cast<size_t>(s.mode) << 8 | (s.swapped ? 3 : 1));
    } else {
      hash_combine(seed, static_cast<size_t>(s.unary) << 8);
      hash_combine(seed, std::bit_cast<uint32_t>(s.a));
      hash_combine(seed, std::bit_cast<uint32_t>(s.b));
    }
  }
  return seed;
}

bool operands_are_as_y(const Chain& chain, const KeptTypes& kept) {
  return std::all_of(chain.begin(), chain.end(), [&](const Stage& s) { return !s.binary || kept.operands[s.operand] == kept.y; });
}

namespace {
// Where the operand's element for (row, column) is.
const float* position(const Stage& s, const Operand& o, int64_t row, int64_t column, const KeptTypes& kept) {
  const int64_t by = s.mode == Mode::full         ? row * o.stride + column
                     : s.mode == Mode::per_column ? column
                     : s.mode == Mode::per_row    ? row
                                                  : 0;
  return advance(o.data, by, kept.operands[s.operand]);
}
}  // namespace

Operands offset(const Chain& chain, const Operand* operands, int64_t row, int64_t column, const KeptTypes& kept) {
  Operands moved;
  for (const Stage& s : chain)
    if (s.binary) moved[s.operand] = {position(s, operands[s.operand], row, column, kept), operands[s.operand].stride};
  return moved;
}

Cursors::Cursors(const Chain& chain, const Operand* operands, int64_t row, int64_t column, const KeptTypes& kept) {
  std::fill_n(at.begin(), chain.operand_count(), Cursor{});
  for (const Stage& s : chain) {
    if (!s.binary) continue;
    const int64_t bytes = bytes_of(kept.operands[s.operand]);
    at[s.operand] = {position(s, operands[s.operand], row, column, kept),
                     s.mode == Mode::full ? operands[s.operand].stride * bytes : s.mode == Mode::per_row ? bytes : 0};
  }
}

// False: the rows do not lie close, or an operand changes from row to row.
bool Kernel::run_joined(const Args& args) const {
  constexpr int64_t widest = 256, vector = 16;
  const int64_t rows = args.rows, columns = args.columns;
  if (args.x_stride != columns || args.y_stride != columns || chain.has(Mode::per_row)) return false;
  for (const Stage& s : chain)
    if (s.binary && s.mode == Mode::full && args.operands[s.operand].stride != columns) return false;
  // As many rows as make whole vectors, where these are not too many.
  int64_t joined = rows;
  if (chain.has(Mode::per_column)) {
    const int64_t whole = vector / std::gcd(columns, vector), most = widest / columns;
    joined = std::min(rows, most >= whole ? most / whole * whole : most);
  }
  const int64_t wide = joined * columns;
  float repeats[Chain::max_operands][widest];
  Operands operands;
  for (const Stage& s : chain) {
    if (!s.binary) continue;
    const Operand& given = args.operands[s.operand];
    operands[s.operand] = {given.data, wide};
    if (s.mode != Mode::per_column) continue;
    float* to = repeats[s.operand];
    std::copy_n(given.data, columns, to);
    for (int64_t done = columns; done < wide; done *= 2) std::copy_n(to, std::min(done, wide - done), to + done);
    operands[s.operand].data = to;
  }
  const auto run_wide = [&](int64_t row, int64_t n, int64_t width) {
    Cursors cursors(chain, operands.data(), row / joined);
    RawArgs raw{args.x + row * columns, wide * 4, args.y + row * columns, wide * 4, cursors.at.data(), n, width, &chain};
    function(&raw);
  };
  const int64_t left = rows % joined;
  run_wide(0, rows / joined, wide);
  if (left) run_wide(rows - left, 1, left * columns);
  return true;
}

// A piece of a row at a time.
void Kernel::run_kept(const Args& args) const {
  constexpr int64_t piece = 256;
  constexpr float most_half = 65504;
  float in[piece], out[piece], wide[Chain::max_operands][piece];
  for (int64_t row = 0; row < args.rows; ++row)
    for (int64_t c = 0; c < args.columns; c += piece) {
      const int64_t n = std::min(piece, args.columns - c);
      const auto* x = advance(args.x, row * args.x_stride + c, kept.x);
      auto* y = advance(args.y, row * args.y_stride + c, kept.y);
      Operands at = offset(chain, args.operands, row, c, kept);
      for (const Stage& s : chain) {
        if (!s.binary || kept.operands[s.operand] == schema::DType::f32) continue;
        const bool one = s.mode == Mode::per_row || s.mode == Mode::scalar;
        widen(at[s.operand].data, wide[s.operand], one ? 1 : n);
        at[s.operand].data = wide[s.operand];
      }
      if (kept.x != schema::DType::f32) widen(x, in, n), x = in;
      Cursors cursors(chain, at.data());
      const bool half = kept.y != schema::DType::f32;
      RawArgs raw{x, 0, half ? out : y, 0, cursors.at.data(), 1, n, &chain};
      function(&raw);
      if (!half) continue;
      for (int64_t i = 0; i < n; ++i) out[i] = std::isinf(out[i]) ? out[i] : out[i] > most_half ? most_half : out[i] < -most_half ? -most_half : out[i];
      narrow(out, y, n);
    }
}

void Kernel::run(const Args& args) const {
  if (args.rows <= 0 || args.columns <= 0) return;
  if (kept.any()) return run_kept(args);
  if (joins(args.rows, args.columns) && run_joined(args)) return;
  Cursors cursors(chain, args.operands);
  RawArgs raw{args.x, args.x_stride * 4, args.y, args.y_stride * 4, cursors.at.data(), args.rows, args.columns, &chain};
  function(&raw);
}

void Kernel::run(const float* x, const Operand* operands, float* y, int64_t rows, int64_t columns) const {
  bool flat = !chain.has(Mode::per_column) && !chain.has(Mode::per_row);
  for (const Stage& s : chain)
    if (s.binary && s.mode == Mode::full) flat = flat && operands[s.operand].stride == columns;
  if (flat) {
    columns *= rows;
    rows = columns ? 1 : 0;
  }
  run({x, columns, y, columns, operands, rows, columns});
}

namespace {
// By the types and result columns of the tables.
constexpr bool is_f32(std::string_view types, std::string_view result) {
  return (types == "number" || types == "real") && result == "same";
}
constexpr bool unary_is_f32[] = {
#define UNARY(name, types, result, ...) is_f32(#types, #result),
#include "schema/unary.def"
};
constexpr bool binary_is_f32[] = {
#define BINARY(name, types, result, ...) is_f32(#types, #result),
#include "schema/binary.def"
};
}  // namespace

std::string unsupported(const Chain& chain) {
  if (chain.empty()) return "an empty chain";
  std::array<const Stage*, Chain::max_operands> seen{};
  for (const Stage& s : chain) {
    if (!(s.binary ? binary_is_f32[static_cast<size_t>(s.op)] : unary_is_f32[static_cast<size_t>(s.unary)]))
      return std::string(s.binary ? schema::name(s.op) : schema::name(s.unary)) + " is not f32 to f32";
    if (!s.binary) continue;
    if (s.operand >= Chain::max_operands) return "too many operands";
    if (const Stage* other = std::exchange(seen[s.operand], &s); other && other->mode != s.mode)
      return "one operand in two modes";
  }
  return {};
}

std::span<const Row> rows() {
  static constexpr Row table[] = {
#define KERNEL(name, isa, tile, where) {#name, isa, tile, where::supports, where::make},
#include "kernels/pointwise/kernels.inc"
  };
  return table;
}

Choice select(const Chain& chain, isa::Mask have, const KeptTypes& kept) {
  Choice choice = choose(rows(), chain, have);
  if (!choice || !kept.any()) return choice;
  const half::Choice widen = half::select({.back = true}, have), narrow = half::select({}, have);
  if (!widen || !narrow || !refusal(kept, true).empty()) return {};
  choice.kernel.kept = kept, choice.kernel.widen = widen.kernel.function(), choice.kernel.narrow = narrow.kernel.function();
  return choice;
}

namespace {
using T = float;
T power(T x, T y) { return std::pow(x, y); }
T trunc_mod(T x, T y) { return std::fmod(x, y); }
T floor_mod(T x, T y) {
  const T r = std::fmod(x, y);
  return r != 0 && (r < 0) != (y < 0) ? r + y : r;
}

constexpr int64_t block = 256;

#define EMIT_number_same(...) __VA_ARGS__
#define EMIT_real_same(...) __VA_ARGS__
#define EMIT_integer_same(...)
#define EMIT_boolean_same(...)
#define EMIT_number_truth(...)
#define EMIT_real_truth(...)
#define EMIT_integer_truth(...)
#define EMIT_boolean_truth(...)
#define EMIT_any_truth(...)

void apply_unary(const Stage& s, float* v, int64_t n) {
  [[maybe_unused]] const T a = s.a, b = s.b;
  switch (s.unary) {
#define UNARY(name, types, result, formula, ...)                        \
  EMIT_##types##_##result(case UnaryKind::name                          \
                          : for (int64_t i = 0; i < n; ++i) {           \
                            const T x = v[i];                           \
                            v[i] = formula;                             \
                          } return;)
#include "schema/unary.def"
    default: return;
  }
}

// `step` is 0 for an operand that is one value here.
void apply_binary(const Stage& s, float* v, const float* operand, int64_t step, int64_t n) {
  switch (s.op) {
#define BINARY(name, types, result, formula, ...)                       \
  EMIT_##types##_##result(case BinaryKind::name                         \
                          : for (int64_t i = 0; i < n; ++i) {           \
                            const T other = operand[i * step];          \
                            const T x = s.swapped ? other : v[i];       \
                            const T y = s.swapped ? v[i] : other;       \
                            v[i] = formula;                             \
                          } return;)
#include "schema/binary.def"
    default: return;
  }
}

// In blocks through a buffer: y may be the operand of a later stage.
void run_scalar(RawArgs* args) {
  const Chain& chain = *args->chain;
  const int operands = chain.operand_count();
  const float* x = args->x;
  float* y = args->y;
  for (int64_t row = 0; row < args->rows; ++row) {
    for (int64_t c = 0; c < args->columns; c += block) {
      const int64_t n = std::min(block, args->columns - c);
      float buffer[block];
      std::copy_n(x + c, n, buffer);
      for (const Stage& s : chain) {
        if (!s.binary) {
          apply_unary(s, buffer, n);
          continue;
        }
        const bool vector = s.mode == Mode::full || s.mode == Mode::per_column;
        apply_binary(s, buffer, args->cursors[s.operand].data + (vector ? c : 0), vector, n);
      }
      std::copy_n(buffer, n, y + c);
    }
    x += args->x_stride / 4;
    y += args->y_stride / 4;
    for (int i = 0; i < operands; ++i) args->cursors[i].data += args->cursors[i].stride / 4;
  }
}
}  // namespace

Support scalar::supports(const Chain& chain) { return {20.0 * chain.size, unsupported(chain)}; }
Kernel scalar::make(const Chain& chain) { return {run_scalar, chain, nullptr}; }
}  // namespace kernels::pointwise
