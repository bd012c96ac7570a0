// Dims, types and element formats.
#include <gtest/gtest.h>
#include <cmath>
#include "engine/shape.h"
#include "engine/tensor.h"

namespace engine {
namespace {
TEST(Dim, ArithmeticOnNumbers) {
  EXPECT_EQ((Dim(7) / Dim(2)).value(), 3);
  EXPECT_EQ((Dim(-7) / Dim(2)).value(), -4) << "rounds down";
  EXPECT_EQ((Dim(-7) % Dim(2)).value(), 1);
  EXPECT_THROW(Dim(1) / Dim(0), Error);
  EXPECT_THROW(Dim(int64_t{1} << 62) * Dim(4), Error) << "no silent overflow";
}

TEST(Dim, SymbolsStayThemselves) {
  const Dim n = Dim::symbol("n");
  EXPECT_EQ(n + 0, n);
  EXPECT_EQ(n * 1, n);
  EXPECT_EQ((n * 6) / 3, n * 2);
  EXPECT_EQ((n + 3) - 3, n);
  EXPECT_EQ((n + 1).text(), "(n+1)");
  EXPECT_FALSE(Dim::unknown() == Dim::unknown());
  EXPECT_FALSE((n - n).known()) << "one name may stand for extents that differ when the model runs";
}

TEST(Dim, BoundedSymbols) {
  const Dim past = Dim::symbol("past", 0, 2048);
  EXPECT_EQ((past + 4).upper(), 2052);
  EXPECT_EQ((past * 2).upper(), 4096);
  EXPECT_TRUE((past + 4).bounded());
  EXPECT_FALSE(Dim::symbol("n").bounded());
  EXPECT_EQ(((past + 4) - past), Dim(4)) << "the user's bound makes the name reliable";
  EXPECT_EQ((past + 4).bind([](const std::string& name) { return name == "past" ? std::optional<int64_t>(10) : std::nullopt; }), Dim(14));
}

TEST(Type, TextAndFit) {
  const Type t = Type::tensor(DType::f32, {1, Dim::symbol("H"), 8});
  EXPECT_EQ(to_text(t), "f32[1,H,8]");
  EXPECT_EQ(to_text(Type::sequence(Type::unranked(DType::i64))), "seq(i64[...])");
  EXPECT_TRUE(compatible(t, Type::tensor(DType::f32, Shape{1, 5, 8})));
  EXPECT_FALSE(compatible(t, Type::tensor(DType::f32, Shape{2, 5, 8})));
  EXPECT_FALSE(compatible(t, Type::tensor(DType::f64, Shape{1, 5, 8})));
  EXPECT_EQ(to_text(generalise(Type::tensor(DType::f32, Shape{2, 3}), Type::tensor(DType::f32, Shape{2, 4}))), "f32[2,?]");
}

TEST(Type, SizesAreChecked) {
  EXPECT_EQ(bytes_of(DType::i4, Shape{3}), 2);
  EXPECT_EQ(elements(Shape{0, 1 << 20}), 0);
  EXPECT_THROW(elements(Shape{-1}), Error);
  EXPECT_THROW(elements(Shape{int64_t{1} << 40, int64_t{1} << 40}), Error);
  EXPECT_THROW(elements(Shape{int64_t{1} << 40, int64_t{1} << 40, 0}), Error) << "a zero hides no overflow";
}


// Every bit pattern survives a round trip through double.
TEST(Number, SmallFloatsRoundTrip) {
  for (DType dtype : {DType::f16, DType::bf16, DType::f8e4m3fn, DType::f8e4m3fnuz, DType::f8e5m2, DType::f8e5m2fnuz}) {
    const int bits = bits_of(dtype);
    for (uint64_t pattern = 0; pattern < (1u << bits); ++pattern) {
      const double x = load_element<double>(dtype, &pattern, 0);
      uint64_t back = 0;
      store_element(dtype, &back, 0, x);
      if (std::isnan(x)) EXPECT_TRUE(std::isnan(load_element<double>(dtype, &back, 0)));
      else EXPECT_EQ(back, pattern) << name(dtype) << " " << x;
    }
  }
}

TEST(Number, RoundsToEvenAndSaturates) {
  const auto stored = [](DType dtype, double x, bool saturate = false) {
    uint64_t bits = 0;
    store_element(dtype, &bits, 0, x, saturate);
    return load_element<double>(dtype, &bits, 0);
  };
  EXPECT_EQ(stored(DType::f16, 2049), 2048);  // between 2048 and 2050: to even
  EXPECT_EQ(stored(DType::f16, 2051), 2052);
  EXPECT_EQ(stored(DType::f16, 65519), 65504);
  EXPECT_EQ(stored(DType::f16, 65520), INFINITY);
  EXPECT_EQ(stored(DType::f16, 1e-7), std::ldexp(1, -24) * 2);
  EXPECT_EQ(stored(DType::bf16, 1 + std::ldexp(1, -8)), 1);
  EXPECT_EQ(stored(DType::f8e4m3fn, 448), 448);
  EXPECT_TRUE(std::isnan(stored(DType::f8e4m3fn, 1000)));
  EXPECT_EQ(stored(DType::f8e4m3fn, 1000, true), 448);
  EXPECT_EQ(stored(DType::f8e4m3fn, -INFINITY, true), -448);
  EXPECT_EQ(stored(DType::f8e5m2, 1e9), INFINITY);
  EXPECT_EQ(stored(DType::f8e5m2, 1e9, true), 57344);
  EXPECT_EQ(stored(DType::f8e5m2fnuz, 1e9, true), 57344);
  EXPECT_TRUE(std::isnan(stored(DType::f8e4m3fnuz, 1e9)));
  EXPECT_FALSE(std::signbit(stored(DType::f8e4m3fnuz, -0.0)));
  EXPECT_EQ(stored(DType::f4e2m1, 100), 6);
  EXPECT_EQ(stored(DType::f4e2m1, 2.5), 2);
  EXPECT_EQ(stored(DType::f8e8m0, 4), 4);
}

TEST(Number, PackedIntegers) {
  uint8_t bytes[8] = {};
  for (int i = 0; i < 4; ++i) store_element(DType::i4, bytes, i, Int(i - 2));
  for (int i = 0; i < 4; ++i) EXPECT_EQ(load_element<Int>(DType::i4, bytes, i).v, i - 2);
  store_element(DType::u2, bytes, 5, Int(3));
  EXPECT_EQ(load_element<Int>(DType::u2, bytes, 5).v, 3);
}

TEST(Number, IntegersWrap) {
  EXPECT_EQ((Int(INT64_MAX) + Int(1)).v, INT64_MIN);
  EXPECT_EQ((Int(INT64_MIN) / Int(-1)).v, INT64_MIN);
  EXPECT_EQ((Int(INT64_MIN) % Int(-1)).v, 0);
  EXPECT_EQ((Int(1) << Int(64)).v, 0);
}

TEST(Tensor, CopiesPackedAndStringElements) {
  Object a, b;
  const View x = a.set_tensor(DType::u4, Shape{5}), y = b.set_tensor(DType::u4, Shape{5});
  for (int i = 0; i < 5; ++i) store(x, i, Int(i + 1)), store(y, i, Int(0));
  copy_elements(y, 1, std::as_const(a).view(), 2, 3);
  EXPECT_EQ(to_ints(std::as_const(b).view()), (std::vector<int64_t>{0, 3, 4, 5, 0}));
  const auto s = make_strings({2}, {"a", "b"});
  Object c;
  c.assign(s->view());
  EXPECT_EQ(c.strings, (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(same_contents(*s, *make_strings({2}, {"a", "b"})));
  EXPECT_FALSE(same_contents(*s, *make_strings({2}, {"a", "c"})));
}
}  // namespace
}  // namespace engine
