#include <cfloat>
#include "tests/engine/op_case.h"

namespace engine::test {
namespace {
using namespace schema;
using Values = std::vector<double>;

TEST(Binary, Broadcasts) {
  const Object z = run1(Binary{BinaryKind::add}, {f32({2, 1}, {1, 2}), f32({3}, {10, 20, 30})});
  EXPECT_EQ(z.shape, (engine::Shape{2, 3}));
  EXPECT_EQ(values(z), (Values{11, 21, 31, 12, 22, 32}));
  EXPECT_EQ(numbers(Binary{BinaryKind::sub}, {f32({}, {1}), f32({2, 2}, {1, 2, 3, 4})}), (Values{0, -1, -2, -3}));
  EXPECT_EQ(numbers(Binary{BinaryKind::mul}, {f32({0, 3}, {}), f32({1}, {1})}), Values{});
  expect_error(Binary{BinaryKind::add}, {f32({2}, {1, 2}), f32({3}, {1, 2, 3})}, "do not broadcast");
  expect_error(Binary{BinaryKind::add}, {f32({1}, {1}), i64({1})}, "one dtype");
  expect_error(Binary{BinaryKind::bit_and}, {f32({1}, {1}), f32({1}, {1})}, "integer types only");
}

TEST(Binary, IntegersWrapAndDivideTowardZero) {
  EXPECT_EQ(numbers(Binary{BinaryKind::add}, {tensor(DType::i8, {2}, {127, -128}), tensor(DType::i8, {}, {1})}), (Values{-128, -127}));
  EXPECT_EQ(numbers(Binary{BinaryKind::div}, {tensor(DType::i32, {4}, {7, -7, 7, -7}), tensor(DType::i32, {4}, {2, 2, -2, -2})}), (Values{3, -3, -3, 3}));
  EXPECT_EQ(numbers(Binary{BinaryKind::div}, {tensor(DType::i8, {1}, {-128}), tensor(DType::i8, {1}, {-1})}), Values{-128});
  EXPECT_EQ(numbers(Binary{BinaryKind::mod}, {tensor(DType::i32, {4}, {7, -7, 7, -7}), tensor(DType::i32, {4}, {3, 3, -3, -3})}), (Values{1, 2, -2, -1}));
  EXPECT_EQ(numbers(Binary{BinaryKind::fmod}, {tensor(DType::i32, {4}, {7, -7, 7, -7}), tensor(DType::i32, {4}, {3, 3, -3, -3})}), (Values{1, -1, 1, -1}));
  EXPECT_EQ(numbers(Binary{BinaryKind::shift_left}, {tensor(DType::u8, {3}, {1, 1, 255}), tensor(DType::u8, {3}, {7, 8, 1})}), (Values{128, 0, 254}));
  for (DType dtype : {DType::i8, DType::i32, DType::i64}) {
    const ConstantPtr x = tensor(dtype, {4}, {-5, -5, 5, -5}), by = tensor(dtype, {4}, {1, 64, -1, -1});
    EXPECT_EQ(numbers(Binary{BinaryKind::shift_right}, {x, by}), (Values{-3, -1, 0, -1}));
    EXPECT_EQ(numbers(Binary{BinaryKind::shift_left}, {x, by}), (Values{-10, 0, 0, 0}));
  }
  EXPECT_EQ(numbers(Binary{BinaryKind::shift_right}, {tensor(DType::u64, {2}, {0x1p63, 0x1p63}), tensor(DType::u64, {2}, {63, 64})}), (Values{1, 0}));
  for (BinaryKind kind : {BinaryKind::div, BinaryKind::mod, BinaryKind::fmod})
    expect_error(Binary{kind}, {i64({1, 2}), i64({1, 0})}, "division by zero");
}

TEST(Binary, ModOfRealNumbersHasTheSignOfTheDivisor) {
  for (DType dtype : {DType::f16, DType::f32, DType::f64}) {
    const ConstantPtr x = tensor(dtype, {7}, {7, -7, 7, -0.0, -1, 1, 2.5}), y = tensor(dtype, {7}, {3, 3, -3, 3, INFINITY, INFINITY, -2});
    EXPECT_EQ(numbers(Binary{BinaryKind::mod}, {x, y}), (Values{1, 2, -2, 0, INFINITY, 1, -1.5}));
    EXPECT_EQ(numbers(Binary{BinaryKind::fmod}, {x, y}), (Values{1, -1, 1, 0, -1, 1, 0.5}));
    const Values z = numbers(Binary{BinaryKind::mod}, {tensor(dtype, {2}, {1, INFINITY}), tensor(dtype, {2}, {0, 2})});
    EXPECT_TRUE(std::isnan(z[0]) && std::isnan(z[1]));
  }
}

TEST(Binary, PowTakesAnExponentOfAnotherDtype) {
  EXPECT_EQ(numbers(Binary{BinaryKind::pow}, {tensor(DType::i32, {3}, {1, 2, 3}), f32({3}, {4, 0.5, 3})}), (Values{1, 1, 27}));
  EXPECT_EQ(numbers(Binary{BinaryKind::pow}, {f32({3}, {1, 2, 3}), i64({4, -1, 2})}), (Values{1, 0.5, 9}));
  EXPECT_EQ(numbers(Binary{BinaryKind::pow}, {i64({2, -1, -1, 3}), tensor(DType::i32, {4}, {-1, -3, -2, 0})}), (Values{0, -1, 1, 1}));
  expect_error(Binary{BinaryKind::pow}, {i64({0}), i64({-1})}, "zero to a negative power");
}

TEST(Binary, NotANumberWinsEitherWay) {
  for (BinaryKind kind : {BinaryKind::min, BinaryKind::max}) {
    const Values z = numbers(Binary{kind}, {f32({2}, {NAN, 1}), f32({2}, {1, NAN})});
    EXPECT_TRUE(std::isnan(z[0]) && std::isnan(z[1]));
  }
}

TEST(Binary, ComparesStringsAndTruths) {
  EXPECT_EQ(numbers(Binary{BinaryKind::equal}, {make_strings({2, 1}, {"a", "b"}), make_strings({2}, {"a", "c"})}), (Values{1, 0, 0, 0}));
  EXPECT_EQ(numbers(Binary{BinaryKind::logical_xor}, {tensor(DType::boolean, {2}, {0, 1}), tensor(DType::boolean, {}, {1})}), (Values{1, 0}));
  EXPECT_EQ(run1(Binary{BinaryKind::less}, {f32({1}, {1}), f32({1}, {2})}).dtype, DType::boolean);
  EXPECT_EQ(numbers(Binary{BinaryKind::greater}, {tensor(DType::f16, {2}, {1, 3}), tensor(DType::f16, {1}, {2})}), (Values{0, 1}));
}

TEST(Binary, NothingIsDoneForANeutralConstant) {
  const auto simplified = [](BinaryKind kind, bool constant_first, const engine::Shape& constant) {
    Graph graph;
    const ValueId x = graph.add_input("x", Type::tensor(DType::f32, engine::Shape{2}));
    const ValueId one = graph.add_constant(f32(constant, Values(size_t(elements(constant)), 1)));
    Rewriter rewriter(graph);
    const ValueId y = rewriter.add(Binary{kind}, constant_first ? ValueIds{one, x} : ValueIds{x, one}, {"n"})[0];
    graph.outputs = {{"y", y}};
    simplify(graph[y].producer, rewriter);
    rewriter.commit();
    return graph.nodes.empty();
  };
  EXPECT_TRUE(simplified(BinaryKind::mul, false, {}));
  EXPECT_TRUE(simplified(BinaryKind::mul, true, {1}));
  EXPECT_TRUE(simplified(BinaryKind::div, false, {}));
  EXPECT_FALSE(simplified(BinaryKind::div, true, {}));
  EXPECT_FALSE(simplified(BinaryKind::add, false, {}));   // adds one
  EXPECT_FALSE(simplified(BinaryKind::mul, false, {1, 1}));  // has another rank
}

TEST(Where, BroadcastsAllThree) {
  const Object y = run1(Where{}, {tensor(DType::boolean, {2, 1}, {1, 0}), i64({1, 2}), i64({}, {9})});
  EXPECT_EQ(values(y), (Values{1, 2, 9, 9}));
  EXPECT_EQ(run1(Where{}, {tensor(DType::boolean, {2}, {1, 0}), make_strings({2}, {"a", "b"}), make_strings({1}, {"c"})}).strings, (Strings{"a", "c"}));
  EXPECT_EQ(numbers(Where{}, {tensor(DType::boolean, {3}, {1, 0, 1}), tensor(DType::i4, {3}, {-8, 2, 7}), tensor(DType::i4, {1}, {-1})}), (Values{-8, -1, 7}));
  expect_error(Where{}, {i64({1}), i64({1}), i64({1})}, "must be boolean");
}

TEST(Cast, NumbersDropTheFractionAndWrap) {
  EXPECT_EQ(numbers(Cast{DType::i32}, {f32({4}, {1.9, -1.9, 0.5, -0.5})}), (Values{1, -1, 0, 0}));
  EXPECT_EQ(numbers(Cast{DType::i8}, {i64({200, -129})}), (Values{-56, 127}));
  EXPECT_EQ(numbers(Cast{DType::i4}, {f32({3}, {-9, 7, 8})}), (Values{7, 7, -8}));
  EXPECT_EQ(numbers(Cast{DType::u2}, {f32({3}, {-1, 3, 4})}), (Values{3, 3, 0}));
  EXPECT_EQ(numbers(Cast{DType::boolean}, {f32({3}, {0, 0.1, NAN})}), (Values{0, 1, 1}));
  EXPECT_EQ(numbers(Cast{DType::u64}, {tensor(DType::f64, {3}, {0x1p63, 1e30, -1})}), (Values{0x1p63, 0x1p64, 0x1p64}));
  numbers(Cast{DType::i64}, {f32({3}, {INFINITY, -INFINITY, NAN})});  // any value, but defined
  EXPECT_EQ(numbers(Cast{DType::f16}, {f32({3}, {65504, 1e6, 0x1p-25})}), (Values{65504, INFINITY, 0}));
  EXPECT_EQ(numbers(Cast{DType::bf16}, {f32({2}, {1.00390625, 1.01171875})}), (Values{1, 1.015625}));  // ties to even
}

TEST(Cast, FromIntegersAndBooleans) {
  EXPECT_EQ(numbers(Cast{DType::f32}, {i64({16777217, -3})}), (Values{16777216, -3}));
  EXPECT_EQ(numbers(Cast{DType::i64}, {tensor(DType::i32, {2}, {-7, 7})}), (Values{-7, 7}));
  EXPECT_EQ(numbers(Cast{DType::i32}, {i64({(int64_t{1} << 32) + 5, -1})}), (Values{5, -1}));
  EXPECT_EQ(numbers(Cast{DType::f32}, {tensor(DType::u8, {2}, {200, 0})}), (Values{200, 0}));
  Object object;  // a caller's true may be any byte but 0
  const View view = object.set_tensor(DType::boolean, Shape{4});
  for (const int i : {0, 1, 2, 3}) view.data[i] = std::byte{std::array<uint8_t, 4>{0, 1, 2, 255}[size_t(i)]};
  const ConstantPtr truths = make_constant(std::as_const(object).view());
  for (const DType to : {DType::f32, DType::i32, DType::i64, DType::f64}) EXPECT_EQ(numbers(Cast{to}, {truths}), (Values{0, 1, 1, 1}));
}

TEST(Cast, SmallFloatsSaturateIfAsked) {
  EXPECT_EQ(numbers(Cast{DType::f8e4m3fn}, {f32({3}, {1e4, -1e4, 0.3})}), (Values{448, -448, 0.3125}));
  const Values open = numbers(Cast{DType::f8e4m3fn, false}, {f32({1}, {1e4})});
  EXPECT_TRUE(std::isnan(open[0]));
  EXPECT_EQ(numbers(Cast{DType::f8e5m2, false}, {f32({2}, {1e6, -INFINITY})}), (Values{INFINITY, -INFINITY}));
  EXPECT_EQ(numbers(Cast{DType::f4e2m1}, {f32({4}, {0.25, 2.5, 100, -5})}), (Values{0, 2, 6, -4}));
}

TEST(Cast, PowersOfTwoRoundAsAsked) {
  const ConstantPtr x = f32({5}, {1.1, 1.5, 1.6, 4, -3});
  EXPECT_EQ(numbers(Cast{DType::f8e8m0, true, RoundMode::up}, {x}), (Values{2, 2, 2, 4, 4}));
  EXPECT_EQ(numbers(Cast{DType::f8e8m0, true, RoundMode::down}, {x}), (Values{1, 1, 1, 4, 2}));
  EXPECT_EQ(numbers(Cast{DType::f8e8m0, true, RoundMode::nearest}, {x}), (Values{1, 2, 2, 4, 4}));
  EXPECT_EQ(numbers(Cast{DType::f8e8m0, true}, {f32({1}, {FLT_MAX})}), Values{0x1p127});
  EXPECT_TRUE(std::isnan(numbers(Cast{DType::f8e8m0, false}, {f32({1}, {FLT_MAX})})[0]));
}

TEST(Cast, ReadsAndWritesStrings) {
  const Values x = numbers(Cast{DType::f32}, {make_strings({8}, {"1.5", " -2e3 ", "+7", "InF", "-inf", "nan", "1e999", "1e-999"})});
  EXPECT_EQ(Values(x.begin(), x.begin() + 5), (Values{1.5, -2000, 7, INFINITY, -INFINITY}));
  EXPECT_TRUE(std::isnan(x[5]));
  EXPECT_EQ(x[6], INFINITY);
  EXPECT_EQ(x[7], 0);
  EXPECT_EQ(numbers(Cast{DType::i64}, {make_strings({3}, {"9007199254740993", "2.9", "-3"})}), (Values{9007199254740992, 2, -3}));
  EXPECT_EQ(run1(Cast{DType::string}, {f32({5}, {0.1, 1e20, NAN, INFINITY, -INFINITY})}).strings, (Strings{"0.1", "1e+20", "NaN", "INF", "-INF"}));
  EXPECT_EQ(run1(Cast{DType::string}, {tensor(DType::i8, {2}, {-5, 7})}).strings, (Strings{"-5", "7"}));
  for (const char* text : {"", "abc", "1.5x", "--1", "+-1"}) expect_error(Cast{DType::f32}, {make_strings({1}, {text})}, "is not a number");
}

TEST(BitCast, KeepsTheBits) {
  EXPECT_EQ(numbers(BitCast{DType::i32}, {f32({2, 2}, {1, -0.0, 2, 0})}), (Values{0x3f800000, -0x80000000ll, 0x40000000, 0}));
  EXPECT_EQ(numbers(BitCast{DType::u8}, {tensor(DType::boolean, {2}, {1, 0})}), (Values{1, 0}));
  EXPECT_EQ(numbers(BitCast{DType::boolean}, {tensor(DType::u8, {}, {1})}), Values{1});
  EXPECT_EQ(numbers(BitCast{DType::f16}, {tensor(DType::u16, {1}, {0x3c00})}), Values{1});
  EXPECT_EQ(numbers(BitCast{DType::i4}, {tensor(DType::u4, {3}, {15, 8, 7})}), (Values{-1, -8, 7}));
  EXPECT_EQ(numbers(BitCast{DType::f32}, {tensor(DType::u32, {0}, {})}), Values{});
  int pairs = 0;
  for (size_t a = 0; a < names<DType>.size(); ++a)
    for (size_t b = 0; b < names<DType>.size(); ++b) {
      const DType from = DType(a), to = DType(b);
      if (from == DType::string || to == DType::string || bits_of(from) != bits_of(to)) continue;
      const ConstantPtr x = tensor(from, {5}, Values{0, 1, 0, 1, 1});
      const Object there = run1(BitCast{to}, {x});
      const Object back = run1(BitCast{from}, {make_constant(there.view())});
      for (int64_t i = 0; i < 5; ++i) EXPECT_EQ(load<double>(back.view(), i), load<double>(x->view(), i)) << name(from) << " as " << name(to);
      ++pairs;
    }
  EXPECT_EQ(pairs, 2 * 3 * 3 + 3 * 3 + 4 * 4 + 8 * 8 + 2 * 2);
  expect_error(BitCast{DType::f64}, {f32({1}, {1})}, "an element of f32 has 32 bits, and one of f64 has 64");
  expect_error(BitCast{DType::string}, {f32({1}, {1})}, "strings have no bits");
  expect_error(BitCast{DType::string}, {make_strings({1}, {"a"})}, "strings have no bits");
}

TEST(QuantizeLinear, RoundsToEvenAndSaturates) {
  EXPECT_EQ(numbers(QuantizeLinear{DType::u8}, {f32({6}, {0, 2, 3, 1000, -254, -1000}), f32({}, {2}), tensor(DType::u8, {}, {128})}),
            (Values{128, 129, 130, 255, 1, 0}));
  EXPECT_EQ(numbers(QuantizeLinear{DType::i8}, {f32({4}, {0.5, 1.5, 2.5, -0.5}), f32({}, {1})}), (Values{0, 2, 2, 0}));
  EXPECT_EQ(numbers(QuantizeLinear{DType::i4, 0}, {f32({2, 2}, {1, 20, 1, -20}), f32({2}, {1, 2}), tensor(DType::i4, {2}, {1, 0})}), (Values{2, 7, 0, -8}));
  EXPECT_EQ(numbers(QuantizeLinear{DType::f8e4m3fn}, {f32({2}, {1000, 1}), f32({}, {2})}), (Values{448, 0.5}));
}

TEST(QuantizeLinear, BlocksShareAScale) {
  const ConstantPtr scale = f32({2, 2}, {1, 2, 4, 8}), x = f32({3, 2}, {8, 8, 16, 16, 24, 24});
  EXPECT_EQ(numbers(QuantizeLinear{DType::i8, 0, 2}, {x, scale}), (Values{8, 4, 16, 8, 6, 3}));
  EXPECT_EQ(numbers(DequantizeLinear{DType::f32, 0, 2}, {tensor(DType::u8, {3, 2}, {1, 1, 1, 1, 1, 1}), scale, tensor(DType::u8, {2, 2}, {0, 1, 0, 2})}),
            (Values{1, 0, 1, 0, 4, -8}));
  expect_error(QuantizeLinear{DType::i8, 1, 2}, {x, scale}, "blocks of 2");
  expect_error(QuantizeLinear{DType::i8, 0}, {x, f32({2}, {1, 1})}, "does not fit axis 0");
  expect_error(QuantizeLinear{DType::f32}, {x, f32({}, {1})}, "does not quantise to f32");
  expect_error(DequantizeLinear{}, {x, f32({}, {1})}, "does not dequantise f32");
}
}  // namespace
}  // namespace engine::test
