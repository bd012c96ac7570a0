#include <complex>
#include <random>
#include "tests/engine/op_case.h"

namespace engine {
namespace {
using namespace test;
using schema::Dft, schema::MelWeightMatrix, schema::Stft;
using Numbers = std::vector<double>;
using Z = std::complex<long double>;

Numbers random_numbers(size_t n) {
  std::mt19937 random(1);
  std::uniform_real_distribution<double> number(-1, 1);
  Numbers values(n);
  for (double& v : values) v = number(random);
  return values;
}
ConstantPtr f64(const Shape& shape, const Numbers& values) { return tensor(DType::f64, shape, values); }
ConstantPtr axis(int64_t a) { return i64({}, {double(a)}); }

// The definition, term by term; pairs of real and imaginary parts.
Numbers definition(const Numbers& x, bool inverse) {
  const size_t n = x.size() / 2;
  std::vector<Z> turn(n);
  for (size_t k = 0; k < n; ++k)
    turn[k] =
        std::polar(1.0L, (inverse ? 2 : -2) * 3.14159265358979323846264338L * (long double)(k) / (long double)(n));
  Numbers y;
  for (size_t k = 0; k < n; ++k) {
    Z sum = 0;
    for (size_t t = 0; t < n; ++t) sum += Z(x[2 * t], x[2 * t + 1]) * turn[k * t % n];
    if (inverse) sum /= (long double)(n);
    y.push_back(double(sum.real())), y.push_back(double(sum.imag()));
  }
  return y;
}
void expect_near(const Numbers& got, const Numbers& want, double tolerance) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], want[i], tolerance) << i << " of " << got.size();
}

TEST(DftOp, IsWhatItsDefinitionSaysForAnyLength) {
  std::vector<int64_t> lengths{49, 64, 74, 97, 121, 128, 202, 243, 257, 360, 400, 509, 961, 1024, 1369, 1500};
  for (int64_t n = 1; n <= 40; ++n) lengths.push_back(n);
  for (int64_t n : lengths) {
    SCOPED_TRACE(n);
    const Numbers x = random_numbers(size_t(2 * n));
    expect_near(numbers(Dft{}, {f64({n, 2}, x)}), definition(x, false), 1e-15 * double(n) + 1e-14);
    expect_near(numbers(Dft{true, false}, {f64({n, 2}, x)}), definition(x, true), 1e-15);
  }
}

TEST(DftOp, ALongOneComesBack) {
  for (int64_t n : {1 << 17, 100003, 99999}) {
    const Numbers x = random_numbers(size_t(2 * n));
    Object y = run1(Dft{}, {f64({1, n, 2}, x)});
    expect_near(numbers(Dft{true, false}, {make_constant(std::as_const(y).view())}), x, 1e-14);
  }
}

TEST(DftOp, OnesidedAndBack) {
  for (int64_t n : {1, 2, 5, 8, 37, 41}) {
    SCOPED_TRACE(n);
    Numbers x = random_numbers(size_t(n)), pairs;
    for (double v : x) pairs.insert(pairs.end(), {v, 0});
    const Numbers all = definition(pairs, false);
    const Object half = run1(Dft{false, true}, {f64({n, 1}, x)});
    EXPECT_EQ(half.shape, (Shape{n / 2 + 1, 2}));
    expect_near(values(half), Numbers(all.begin(), all.begin() + 2 * (n / 2 + 1)), 1e-13);
    const ConstantPtr spectrum = make_constant(half.view());
    const Object back = run1(Dft{true, true}, {spectrum, axis(n)});
    EXPECT_EQ(back.shape, (Shape{n, 1}));
    expect_near(values(back), x, 1e-14);
    if (n % 2 == 0) expect_near(numbers(Dft{true, true}, {spectrum}), x, 1e-14);  // 2 (extent - 1)
  }
  // What a real signal cannot have, the imaginary parts of the first and the middle term, counts for nothing.
  expect_near(numbers(Dft{true, true}, {f64({3, 2}, {4, 9, 0, 0, 0, 9})}), {1, 1, 1, 1}, 0);
}

TEST(DftOp, LengthsCutOrPad) {
  const auto x = f32({4, 1}, {1, 2, 3, 4});
  EXPECT_EQ(numbers(Dft{}, {x, axis(1)}), (Numbers{1, 0}));
  EXPECT_EQ(numbers(Dft{}, {x, axis(2)}), (Numbers{3, 0, -1, 0}));
  EXPECT_EQ(numbers(Dft{}, {f32({2, 1}, {1, 1}), tensor(DType::i32, {1}, {4})}), (Numbers{2, 0, 1, -1, 0, 0, 1, 1}));
  EXPECT_EQ(run1(Dft{false, true}, {x, axis(9)}).shape, (Shape{5, 2}));
  EXPECT_EQ(numbers(Dft{}, {f32({0, 1}, {}), axis(2)}), (Numbers{0, 0, 0, 0}));
  expect_near(numbers(Dft{true, true}, {f32({3, 2}, {4, 0, 1, 0, 1, 0}), axis(2)}), {2.5, 1.5}, 0);
}

TEST(DftOp, AlongAnyAxisButTheLast) {
  const auto x = f32({2, 2, 1}, {1, 2, 3, 5});
  EXPECT_EQ(numbers(Dft{}, {x}), (Numbers{3, 0, -1, 0, 8, 0, -2, 0}));
  EXPECT_EQ(numbers(Dft{}, {x, nullptr, axis(1)}), numbers(Dft{}, {x, nullptr, axis(-2)}));
  EXPECT_EQ(numbers(Dft{}, {x, nullptr, axis(0)}), (Numbers{4, 0, 7, 0, -2, 0, -3, 0}));
  EXPECT_EQ(numbers(Dft{}, {x, nullptr, axis(-3)}), (Numbers{4, 0, 7, 0, -2, 0, -3, 0}));
  EXPECT_EQ(run1(Dft{false, true}, {f32({0, 6, 3, 1}, {}), nullptr, axis(1)}).shape, (Shape{0, 4, 3, 2}));
  for (DType d : {DType::f16, DType::bf16, DType::f64})
    EXPECT_EQ(numbers(Dft{}, {tensor(d, {2, 1}, {1, 2})}), (Numbers{3, 0, -1, 0})) << name(d);
}

TEST(DftOp, Errors) {
  const auto x = f32_iota({3, 2});
  expect_error(Dft{}, {x, axis(0)}, "length 0");
  expect_error(Dft{}, {f32({0, 1}, {})}, "length 0");
  expect_error(Dft{true, true}, {f32({1, 2}, {1, 2})}, "length 0");
  expect_error(Dft{}, {x, axis(int64_t{1} << 60)}, "");
  expect_error(Dft{}, {x, nullptr, axis(-1)}, "holds real and imaginary parts");
  expect_error(Dft{}, {x, nullptr, axis(2)}, "out of range");
  expect_error(Dft{false, true}, {x}, "needs a real signal");
  expect_error(Dft{true, true}, {f32_iota({3, 1})}, "needs a complex signal");
  expect_error(Dft{}, {f32_iota({3, 3})}, "1 (real) or 2 (complex), not 3");
  expect_error(Dft{}, {f32_iota({3})}, "rank 2 or more");
  expect_error(Dft{}, {i64({3, 1}, {1, 2, 3})}, "i64");
  expect_error(Dft{}, {x, i64({1, 2})}, "must be a scalar");
}

TEST(StftOp, FramesWithAndWithoutAWindow) {
  const Numbers signal = random_numbers(20);
  const auto x = f64({2, 10, 1}, signal);
  const Numbers window{0.25, 0.5, 1, 0.5};
  for (bool windowed : {false, true})
    for (bool onesided : {false, true}) {
      const ConstantPtr w = windowed ? f64({4}, window) : nullptr, length = windowed ? nullptr : i64({}, {4});
      const Object y = run1(Stft{onesided}, {x, axis(3), w, length});
      const int64_t bins = onesided ? 3 : 4;
      EXPECT_EQ(y.shape, (Shape{2, 3, bins, 2}));
      Numbers want;
      for (size_t f = 0; f < 6; ++f) {
        Numbers frame;
        for (size_t k = 0; k < 4; ++k)
          frame.insert(frame.end(), {signal[f / 3 * 10 + f % 3 * 3 + k] * (windowed ? window[k] : 1), 0});
        const Numbers all = definition(frame, false);
        want.insert(want.end(), all.begin(), all.begin() + 2 * bins);
      }
      expect_near(values(y), want, 1e-15);
    }
}

TEST(StftOp, ComplexSignalsAndDefaults) {
  const Numbers z = random_numbers(10);
  expect_near(numbers(Stft{false}, {f64({1, 5, 2}, z), axis(1)}), definition(z, false), 1e-14);  // one frame of all
  EXPECT_EQ(run1(Stft{false}, {f64({1, 5, 2}, z), axis(2), f64({3}, {1, 1, 1}), i64({3})}).shape, (Shape{1, 2, 3, 2}));
  EXPECT_EQ(run1(Stft{}, {f32({0, 8, 1}, {}), axis(2), nullptr, axis(4)}).shape, (Shape{0, 3, 3, 2}));
  for (DType d : {DType::f16, DType::bf16, DType::f32})
    EXPECT_EQ(numbers(Stft{}, {tensor(d, {1, 2, 1}, {1, 2}), axis(1), tensor(d, {2}, {1, 2})}), (Numbers{5, 0, -3, 0}))
        << name(d);
}

TEST(StftOp, Errors) {
  const auto x = f32_iota({1, 6, 1});
  expect_error(Stft{}, {x, axis(0)}, "every 0 elements");
  expect_error(Stft{}, {x, axis(1), nullptr, axis(7)}, "longer than the signal of 6");
  expect_error(Stft{}, {x, axis(1), nullptr, axis(0)}, "a frame of 0");
  expect_error(Stft{}, {x, axis(1), f32_iota({3}), axis(4)}, "4");
  expect_error(Stft{}, {x, axis(1), tensor(DType::f64, {3}, {1, 1, 1})}, "one dtype");
  expect_error(Stft{}, {f32_iota({1, 6, 2}), axis(1)}, "needs a real signal");
  expect_error(Stft{}, {f32_iota({6, 1}), axis(1)}, "[batch,length");
}

TEST(MelWeightMatrixOp, Triangles) {
  const auto of = [](DType to, double bands, double length, double rate, double lower, double upper) {
    return run1(MelWeightMatrix{to}, {i64({}, {bands}), tensor(DType::i32, {}, {length}), i64({}, {rate}),
                                      f32({}, {lower}), f32({}, {upper})});
  };
  // Corners at bins 0, 0, 2 and 4 of 9: 0, 433, 1132 and 2264 hertz, times 17 / 8192, rounded down.
  const Object y = of(DType::f32, 2, 16, 8192, 0, 4096);
  EXPECT_EQ(y.shape, (Shape{9, 2}));
  EXPECT_EQ(values(y), (Numbers{1, 0, 0.5, 0.5, 0, 1, 0, 0.5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(values(of(DType::u8, 2, 16, 8192, 0, 4096)),
            (Numbers{1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(of(DType::f16, 0, 16, 8192, 0, 4096).shape, (Shape{9, 0}));
  const Object beyond = of(DType::f64, 3, 8, 1000, -600, 1e30);  // edges outside of the spectrum
  EXPECT_EQ(beyond.shape, (Shape{5, 3}));
  for (double v : values(beyond)) EXPECT_TRUE(v >= 0 && v <= 1);
  const auto error = [](double bands, double length, double rate, double lower, double upper, const char* text) {
    expect_error(MelWeightMatrix{},
                 {i64({}, {bands}), i64({}, {length}), i64({}, {rate}), f32({}, {lower}), f32({}, {upper})}, text);
  };
  error(-1, 16, 8192, 0, 4096, "number of bands is -1");
  error(2, 0, 8192, 0, 4096, "length of the transform is 0");
  error(2, 16, 0, 0, 4096, "sample rate is 0");
  error(2, 16, 8192, 5000, 4096, "no bands from 5000 to 4096");
  error(2, 16, 8192, NAN, 4096, "no bands");
}
}  // namespace
}  // namespace engine
