// Chains of elementwise functions in f32: y = f_n(... f_1(x)). One stage is a unary function, or a binary one whose
// other argument is an operand of its own. A standalone op is a chain of one; gemm and conv apply chains as their
// epilogue.
#pragma once
#include <array>
#include <bit>
#include <initializer_list>
#include "kernels/half/half.h"
#include "schema/dtypes.h"

namespace kernels::pointwise {
// How an operand covers the rows × columns of x. Channels last, a column is a channel; channels first, a row is.
enum class Mode : uint8_t { full, per_column, per_row, scalar };

struct Stage {
  bool binary = false;
  schema::UnaryKind unary = schema::UnaryKind::relu;
  float a = 0, b = 0;  // the parameters of the unary function
  schema::BinaryKind op = schema::BinaryKind::add;
  uint8_t operand = 0;   // index into the operands given to the function
  bool swapped = false;  // f(operand, x) instead of f(x, operand)
  Mode mode = Mode::full;

  static Stage of(schema::UnaryKind kind, float a = 0, float b = 0) { return {.unary = kind, .a = a, .b = b}; }
  static Stage of(schema::BinaryKind kind, uint8_t operand, Mode mode, bool swapped = false) {
    return {.binary = true, .op = kind, .operand = operand, .swapped = swapped, .mode = mode};
  }
  bool operator==(const Stage& o) const {
    return binary == o.binary &&
           (binary ? op == o.op && operand == o.operand && swapped == o.swapped && mode == o.mode
                   : unary == o.unary && std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(o.a) &&
                         std::bit_cast<uint32_t>(b) == std::bit_cast<uint32_t>(o.b));
  }
};

// What a kernel is specialised for. Never a size: code is shared between shapes.
struct Chain {
  static constexpr int capacity = 8;
  static constexpr int max_operands = 8;
  uint8_t size = 0;
  std::array<Stage, capacity> stages{};

  Chain() = default;
  Chain(std::initializer_list<Stage> list) {
    for (const Stage& stage : list) push(stage);
  }
  bool push(const Stage& stage) {  // false when full
    if (size == capacity) return false;
    stages[size++] = stage;
    return true;
  }
  bool empty() const { return size == 0; }
  const Stage* begin() const { return stages.data(); }
  const Stage* end() const { return stages.data() + size; }
  int operand_count() const;  // 1 + the highest index used
  bool has(Mode) const;
  bool operator==(const Chain& o) const { return std::equal(begin(), end(), o.begin(), o.end()); }
};
struct Hash {
  size_t operator()(const Chain&) const;
};

// How tensors of f32 lie in memory: as they are, or kept as half or bfloat16 between steps. A pointer to floats is the address of what
// they are kept as, and strides count elements.
struct KeptTypes {
  schema::DType x = schema::DType::f32, y = schema::DType::f32, operands[Chain::max_operands] = {};
  static_assert(schema::DType{} == schema::DType::f32);
  bool operator==(const KeptTypes&) const = default;
  bool any() const { return *this != KeptTypes{}; }
};
inline int64_t bytes_of(schema::DType kept) { return kept == schema::DType::f32 ? 4 : 2; }
// Why a kernel of a CPU, which knows no type but these, does not take what is kept so; or empty.
inline std::string_view refusal(const KeptTypes& kept, bool takes_half) {
  const auto known = [&](schema::DType t) { return t == schema::DType::f32 || (takes_half && t == schema::DType::f16); };
  return known(kept.x) && known(kept.y) && std::all_of(std::begin(kept.operands), std::end(kept.operands), known) ? "" : "values are kept as another type";
}
template <class T> T* advance(T* from, int64_t elements, schema::DType kept) {
  using Byte = std::conditional_t<std::is_const_v<T>, const std::byte, std::byte>;
  return reinterpret_cast<T*>(reinterpret_cast<Byte*>(from) + elements * bytes_of(kept));
}

// Whether all operands are kept as y is: what epilogues in registers take, since halves have not the range that an operand in f32 may need.
bool operands_are_as_y(const Chain&, const KeptTypes&);

// full: element (r, c) is data[r * stride + c]. per_column: data[c]; per_row: data[r]; scalar: data[0].
struct Operand {
  const float* data = nullptr;
  int64_t stride = 0;  // elements from row to row; read for `full` only
};

// y may be x, or a `full` operand, at the same address and stride; other overlaps are undefined. Pointers need the
// alignment of a float only, and nothing outside the rows × columns is touched. Strides are in floats.
struct Args {
  const float* x;
  int64_t x_stride;
  float* y;
  int64_t y_stride;
  const Operand* operands;
  int64_t rows, columns;
};

// An operand as kernels walk it: stride is what one row adds to `data` in every mode, in bytes.
struct Cursor {
  const float* data;
  int64_t stride;
};
struct Cursors {
  std::array<Cursor, Chain::max_operands> at;  // of as many operands as the chain has
  Cursors(const Chain&, const Operand*, int64_t row = 0, int64_t column = 0, const KeptTypes& = {});
};

// The operands positioned at an element of a larger view.
using Operands = std::array<Operand, Chain::max_operands>;
Operands offset(const Chain&, const Operand*, int64_t row, int64_t column, const KeptTypes& = {});

struct RawArgs {
  const float* x;
  int64_t x_stride;  // bytes
  float* y;
  int64_t y_stride;  // bytes
  Cursor* cursors;   // advanced as rows are finished
  int64_t rows, columns;
  const Chain* chain;
};

struct Kernel {
  using Function = void (*)(RawArgs*);
  Function function = nullptr;
  Chain chain;
  std::shared_ptr<const void> code;  // owns what `function` points into, when that was generated
  // What is not in f32 goes through buffers in the cache, and what is stored as half is as large as half can be, where it is finite.
  KeptTypes kept = {};
  half::Kernel::Function widen = nullptr, narrow = nullptr;
  explicit operator bool() const { return function != nullptr; }

  // Rows of few columns are run as longer ones, where they lie close: vectors are full then.
  static constexpr bool joins(int64_t rows, int64_t columns) { return rows >= 64 && columns < 64; }
  void run(const Args&) const;
  // Contiguous rows. Where neither rows nor columns matter to the chain, the view is one row.
  void run(const float* x, const Operand* operands, float* y, int64_t rows, int64_t columns) const;

 private:
  bool run_joined(const Args&) const;
  void run_kept(const Args&) const;
};

using Row = kernels::Row<Chain, Kernel>;
using Choice = kernels::Choice<Kernel>;

// The functions that f32 → f32 chains know; what a refusal says of others.
std::string unsupported(const Chain&);

#define KERNEL(name, isa, tile, where) \
  namespace where { \
  Support supports(const Chain& chain); \
  Kernel make(const Chain& chain); \
  }
#include "kernels/pointwise/kernels.inc"
std::span<const Row> rows();
Choice select(const Chain&, isa::Mask have = isa::detected(), const KeptTypes& = {});
}  // namespace kernels::pointwise
