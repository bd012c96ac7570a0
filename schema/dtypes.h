// The enumerations that op structs, files and kernels share. A file stores their names, never their values.
#pragma once
#include <array>
#include <cstdint>
#include <string_view>

namespace schema {
#define SCHEMA_ENUMERATOR(name, ...) name,
#define SCHEMA_NAME(name, ...) #name,

// Name, the C++ type of one element in memory, bits per element, and its class. Sub-byte types are packed, the first
// element in the lowest bits. A string lives in memory as a std::string; in a file, as its length and bytes.
#define SCHEMA_DTYPES(ROW)                                                                                     \
  ROW(f32, float, 32, real) ROW(f64, double, 64, real) ROW(f16, uint16_t, 16, real) ROW(bf16, uint16_t, 16, real) \
  ROW(i8, int8_t, 8, integer) ROW(i16, int16_t, 16, integer) ROW(i32, int32_t, 32, integer)                    \
  ROW(i64, int64_t, 64, integer) ROW(u8, uint8_t, 8, integer) ROW(u16, uint16_t, 16, integer)                  \
  ROW(u32, uint32_t, 32, integer) ROW(u64, uint64_t, 64, integer) ROW(boolean, uint8_t, 8, boolean)            \
  ROW(string, std::string, 256, string) ROW(f8e4m3fn, uint8_t, 8, real) ROW(f8e4m3fnuz, uint8_t, 8, real)      \
  ROW(f8e5m2, uint8_t, 8, real) ROW(f8e5m2fnuz, uint8_t, 8, real) ROW(f8e8m0, uint8_t, 8, real)                \
  ROW(f4e2m1, uint8_t, 4, real) ROW(i4, uint8_t, 4, integer) ROW(u4, uint8_t, 4, integer)                      \
  ROW(i2, uint8_t, 2, integer) ROW(u2, uint8_t, 2, integer)

#define SCHEMA_DTYPE_CLASSES(ROW) ROW(real) ROW(integer) ROW(boolean) ROW(string)
#define SCHEMA_REDUCE_KINDS(ROW) \
  ROW(sum) ROW(mean) ROW(prod) ROW(min) ROW(max) ROW(l1) ROW(l2) ROW(log_sum) ROW(log_sum_exp) ROW(sum_square)
#define SCHEMA_ARG_KINDS(ROW) ROW(min) ROW(max)
#define SCHEMA_POOL_KINDS(ROW) ROW(max) ROW(average) ROW(lp)
#define SCHEMA_SOFTMAX_KINDS(ROW) ROW(softmax) ROW(log_softmax) ROW(hardmax)
#define SCHEMA_AUTO_PADS(ROW) ROW(none) ROW(same_upper) ROW(same_lower) ROW(valid)
#define SCHEMA_PAD_MODES(ROW) ROW(constant) ROW(reflect) ROW(edge) ROW(wrap)
#define SCHEMA_RNN_KINDS(ROW) ROW(rnn) ROW(gru) ROW(lstm)
#define SCHEMA_RNN_DIRECTIONS(ROW) ROW(forward) ROW(reverse) ROW(bidirectional)
#define SCHEMA_RESIZE_MODES(ROW) ROW(nearest) ROW(linear) ROW(cubic)
#define SCHEMA_RESIZE_COORDINATES(ROW) \
  ROW(half_pixel) ROW(half_pixel_symmetric) ROW(pytorch_half_pixel) ROW(align_corners) ROW(asymmetric) ROW(tf_crop_and_resize)
#define SCHEMA_RESIZE_NEAREST(ROW) ROW(round_prefer_floor) ROW(round_prefer_ceil) ROW(floor) ROW(ceil)
#define SCHEMA_RESIZE_ASPECTS(ROW) ROW(stretch) ROW(not_larger) ROW(not_smaller)
#define SCHEMA_GRID_PADDINGS(ROW) ROW(zeros) ROW(border) ROW(reflection)
#define SCHEMA_RANDOM_KINDS(ROW) ROW(uniform) ROW(normal)
#define SCHEMA_TF_IDF_MODES(ROW) ROW(tf) ROW(idf) ROW(tf_idf)
#define SCHEMA_TREE_TESTS(ROW) ROW(less_equal) ROW(less) ROW(greater_equal) ROW(greater) ROW(equal) ROW(not_equal)
#define SCHEMA_SCATTER_KINDS(ROW) ROW(none) ROW(add) ROW(mul) ROW(min) ROW(max)
#define SCHEMA_DEPTH_MODES(ROW) ROW(dcr) ROW(crd)
#define SCHEMA_LINEAR_ATTENTION_RULES(ROW) ROW(linear) ROW(gated) ROW(delta) ROW(gated_delta)
#define SCHEMA_PIXEL_ORDERS(ROW) ROW(rgb) ROW(bgr) ROW(grey)
#define SCHEMA_ROUND_MODES(ROW) ROW(up) ROW(down) ROW(nearest)
#define SCHEMA_VALUE_KINDS(ROW) ROW(tensor) ROW(sequence) ROW(optional) ROW(map)
#define SCHEMA_CASE_CHANGES(ROW) ROW(none) ROW(lower) ROW(upper)

template <class E> inline constexpr auto names = nullptr;  // the enumerators of E, in order
template <class E> constexpr std::string_view name(E e) { return names<E>[static_cast<size_t>(e)]; }

#define SCHEMA_ENUM(E, LIST)                       \
  enum class E : uint8_t { LIST(SCHEMA_ENUMERATOR) }; \
  template <> inline constexpr auto names<E> = std::to_array<std::string_view>({LIST(SCHEMA_NAME)});
SCHEMA_ENUM(DType, SCHEMA_DTYPES)
SCHEMA_ENUM(DTypeClass, SCHEMA_DTYPE_CLASSES)
SCHEMA_ENUM(ReduceKind, SCHEMA_REDUCE_KINDS)
SCHEMA_ENUM(ArgKind, SCHEMA_ARG_KINDS)
SCHEMA_ENUM(PoolKind, SCHEMA_POOL_KINDS)
SCHEMA_ENUM(SoftmaxKind, SCHEMA_SOFTMAX_KINDS)
SCHEMA_ENUM(AutoPad, SCHEMA_AUTO_PADS)
SCHEMA_ENUM(PadMode, SCHEMA_PAD_MODES)
SCHEMA_ENUM(RnnKind, SCHEMA_RNN_KINDS)
SCHEMA_ENUM(RnnDirection, SCHEMA_RNN_DIRECTIONS)
SCHEMA_ENUM(ResizeMode, SCHEMA_RESIZE_MODES)
SCHEMA_ENUM(ResizeCoordinates, SCHEMA_RESIZE_COORDINATES)
SCHEMA_ENUM(ResizeNearest, SCHEMA_RESIZE_NEAREST)
SCHEMA_ENUM(ResizeAspect, SCHEMA_RESIZE_ASPECTS)
SCHEMA_ENUM(GridPadding, SCHEMA_GRID_PADDINGS)
SCHEMA_ENUM(RandomKind, SCHEMA_RANDOM_KINDS)
SCHEMA_ENUM(TfIdfMode, SCHEMA_TF_IDF_MODES)
SCHEMA_ENUM(TreeTest, SCHEMA_TREE_TESTS)
SCHEMA_ENUM(ScatterKind, SCHEMA_SCATTER_KINDS)
SCHEMA_ENUM(DepthMode, SCHEMA_DEPTH_MODES)
SCHEMA_ENUM(LinearAttentionRule, SCHEMA_LINEAR_ATTENTION_RULES)
SCHEMA_ENUM(PixelOrder, SCHEMA_PIXEL_ORDERS)
SCHEMA_ENUM(RoundMode, SCHEMA_ROUND_MODES)
SCHEMA_ENUM(ValueKind, SCHEMA_VALUE_KINDS)
SCHEMA_ENUM(CaseChange, SCHEMA_CASE_CHANGES)

enum class UnaryKind : uint8_t {
#define UNARY SCHEMA_ENUMERATOR
#include "schema/unary.def"
};
template <> inline constexpr auto names<UnaryKind> = std::to_array<std::string_view>({
#define UNARY SCHEMA_NAME
#include "schema/unary.def"
});
enum class BinaryKind : uint8_t {
#define BINARY SCHEMA_ENUMERATOR
#include "schema/binary.def"
};
template <> inline constexpr auto names<BinaryKind> = std::to_array<std::string_view>({
#define BINARY SCHEMA_NAME
#include "schema/binary.def"
});

constexpr int bits_of(DType d) {
#define ROW(name, T, bits, cls) bits,
  constexpr int table[] = {SCHEMA_DTYPES(ROW)};
#undef ROW
  return table[static_cast<size_t>(d)];
}
constexpr DTypeClass class_of(DType d) {
#define ROW(name, T, bits, cls) DTypeClass::cls,
  constexpr DTypeClass table[] = {SCHEMA_DTYPES(ROW)};
#undef ROW
  return table[static_cast<size_t>(d)];
}
constexpr bool is_real(DType d) { return class_of(d) == DTypeClass::real; }
constexpr bool is_integer(DType d) { return class_of(d) == DTypeClass::integer; }
}  // namespace schema
