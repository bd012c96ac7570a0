// Products of 8-bit integers: by hand, and by every kernel there is against the reference, to the bit.
#include "kernels/gemm_s8/gemm_s8.h"
#include "tests/engine/compiled.h"
#include "tests/engine/op_case.h"

namespace engine {
namespace {
using namespace test;
using schema::QuantizedConv, schema::QuantizedMatMul, schema::QuantizeLinear;
using Numbers = std::vector<double>;
ConstantPtr u8(const Shape& shape, const Numbers& v) { return tensor(DType::u8, shape, v); }
ConstantPtr i8(const Shape& shape, const Numbers& v) { return tensor(DType::i8, shape, v); }
ConstantPtr i32(const Shape& shape, const Numbers& v) { return tensor(DType::i32, shape, v); }

TEST(QuantizedConv, ByHand) {
  const auto x = u8({1, 1, 3}, {130, 128, 120}), w = i8({2, 1, 2}, {1, 2, -3, 4}), zero = u8({}, {128}), one = f32({}, {1});
  EXPECT_EQ(numbers(QuantizedConv{}, {x, w}), (Numbers{386, 368, 122, 96}));  // without a factor: the sums
  EXPECT_EQ(run1(QuantizedConv{}, {x, w}).dtype, DType::i32);
  EXPECT_EQ(numbers(QuantizedConv{}, {x, w, zero}), (Numbers{2, -16, -6, -32}));
  EXPECT_EQ(numbers(QuantizedConv{}, {x, w, zero, i8({2}, {1, -1})}), (Numbers{0, -8, -4, -40}));  // one per feature
  EXPECT_EQ(numbers(QuantizedConv{.pad = {1, 0}}, {x, w, zero}), (Numbers{4, 2, -16, 8, -6, -32}));    // around x lies its zero point
  const Numbers wanted{130, 112, 122, 96};
  EXPECT_EQ(numbers(QuantizedConv{}, {x, w, zero, nullptr, nullptr, one, zero}), wanted);
  EXPECT_EQ(numbers(QuantizedConv{}, {x, w, zero, nullptr, i32({2}, {10, 1000}), one, zero}), (Numbers{140, 122, 255, 255}));
  EXPECT_EQ(numbers(QuantizedConv{.to = DType::i8}, {x, w, zero, nullptr, nullptr, f32({2}, {0.25, -0.25})}), (Numbers{0, -4, 2, 8}));  // 0.5 and 1.5 become even
}

TEST(QuantizedMatMul, ByHand) {
  const auto a = u8({2, 2}, {1, 2, 3, 4}), b = i8({2, 2}, {1, -1, 2, 0});
  EXPECT_EQ(numbers(QuantizedMatMul{}, {a, b}), (Numbers{5, -1, 11, -3}));
  EXPECT_EQ(numbers(QuantizedMatMul{.trans_b = true}, {a, b}), (Numbers{-1, 2, -1, 6}));
  EXPECT_EQ(numbers(QuantizedMatMul{}, {a, b, u8({2, 1}, {1, 3})}), (Numbers{2, 0, 2, 0}));     // one per row
  EXPECT_EQ(numbers(QuantizedMatMul{}, {a, b, nullptr, i8({2}, {1, -1})}), (Numbers{2, 2, 4, 4}));  // one per column
  EXPECT_EQ(numbers(QuantizedMatMul{.to = DType::i8}, {a, b, nullptr, nullptr, i32({2}, {1, 2}), f32({2}, {0.5, 2}), i8({}, {1})}), (Numbers{4, 3, 7, -1}));
  EXPECT_EQ(numbers(QuantizedMatMul{}, {u8({2}, {1, 2}), b}), (Numbers{5, -1}));
  EXPECT_EQ(run1(QuantizedMatMul{}, {u8({3, 0}, {}), i8({0, 2}, {})}).shape, (Shape{3, 2}));
}

TEST(QuantizedConv, Errors) {
  const auto x = u8({1, 2, 3}, {1, 2, 3, 4, 5, 6}), w = i8({1, 2, 1}, {1, 2}), one = f32({}, {1});
  expect_error(QuantizedConv{}, {f32_iota({1, 2, 3}), w}, "f32");
  expect_error(QuantizedConv{}, {x, w, i8({}, {0})}, "inputs 0 and 2 must have one dtype");
  expect_error(QuantizedConv{}, {x, w, u8({2}, {0, 1})}, "the zero point of x");
  expect_error(QuantizedConv{}, {x, w, nullptr, i8({2}, {0, 1})}, "the zero point of w");
  expect_error(QuantizedConv{}, {x, w, nullptr, nullptr, i32({2}, {0, 1})}, "the bias");
  expect_error(QuantizedConv{}, {x, w, nullptr, nullptr, nullptr, f32({2}, {0, 1})}, "the factor");
  expect_error(QuantizedConv{}, {x, w, nullptr, nullptr, nullptr, one, i8({}, {0})}, "i8");
  expect_error(QuantizedConv{}, {x, w, nullptr, nullptr, nullptr, nullptr, u8({}, {0})}, "no factor");
  expect_error(QuantizedConv{.to = DType::u16}, {x, w, nullptr, nullptr, nullptr, one}, "u16");
  expect_error(QuantizedMatMul{}, {x, w, u8({2}, {0, 1})}, "does not broadcast");
}

// A quantised input and what is done to it.
struct Quantised : Built {
  ConstantPtr random(DType dtype, const Shape& shape, int low, int high) {
    std::mt19937 random(unsigned(graph.values.size()));
    Numbers v(size_t(elements(shape)));
    for (double& x : v) x = low + double(random() % uint32_t(int64_t{high} - low + 1));
    return tensor(dtype, shape, v);
  }
  ValueId bytes(DType dtype, const Shape& shape) { return graph.add_constant(random(dtype, shape, dtype == DType::i8 ? -128 : 0, dtype == DType::i8 ? 127 : 255)); }
  ValueId number(DType dtype, double v) { return graph.add_constant(tensor(dtype, {}, {v})); }
  ValueId quantised(Dims dims, DType dtype, double zero) {
    return r.add(QuantizeLinear{dtype}, {input(std::move(dims)), number(DType::f32, 0.008), number(dtype, zero)}, {"quantise"})[0];
  }
  void product(Op op, ValueIds in) { output(r.add(std::move(op), std::move(in), {"product"})[0]); }
};

// The bits of the reference at every instruction set, for one thread and for three. How many steps are the reference itself?
int64_t left_to_reference(const Quantised& q) {
  CompileOptions reference;
  reference.reference_only = true;
  const Ran want = test::run(q.graph, reference, 1);
  int64_t left = 0;
  for (const auto& level : kernels::isa::levels()) {
    if (!kernels::isa::runs(level.mask, kernels::isa::detected())) continue;
    for (const int threads : {1, 3}) {
      CompileOptions options;
      options.isa = level.mask;
      const Ran got = test::run(q.graph, options, threads);
      for (size_t k = 0; k < want.outputs.size(); ++k) {
        const ConstView a = got.outputs[k].view(), b = want.outputs[k].view();
        EXPECT_EQ(a.dtype, b.dtype);
        for (int64_t i = 0; i < b.elements(); ++i)
          if (load<double>(a, i) != load<double>(b, i)) {
            ADD_FAILURE() << level.name << ", output " << k << ", element " << i << ": " << load<double>(a, i) << " not " << load<double>(b, i);
            return -1;
          }
      }
      left = 0;
      for (size_t k = 0; k < got.steps.size(); ++k) left += got.kernels[k] == "reference" && got.steps[k].starts_with("Quantized");
    }
  }
  return left;
}

TEST(Quantized, ConvolutionsHaveTheBitsOfTheReference) {
  struct Case {
    int64_t channels, features, kernel, groups, stride;
    DType x, w;
  };
  for (const Case& c : {Case{3, 8, 3, 1, 2, DType::u8, DType::i8}, {16, 20, 3, 1, 1, DType::u8, DType::u8}, {32, 32, 3, 1, 1, DType::i8, DType::i8},
                        {24, 24, 3, 24, 1, DType::u8, DType::i8}, {8, 12, 1, 4, 1, DType::i8, DType::u8}, {1200, 4, 1, 1, 1, DType::u8, DType::i8},
                        {600, 3, 3, 1, 1, DType::u8, DType::u8}}) {
    SCOPED_TRACE(cat(c.channels, " channels, kernel ", c.kernel, ", groups ", c.groups));
    const int64_t pad = c.kernel / 2;
    const QuantizedConv op{{c.stride, c.stride}, {}, {pad, pad, pad, pad}, c.groups, schema::AutoPad::none, DType::u8};
    for (const bool bias : {false, true}) {
      Quantised q;
      const ValueId x = q.quantised({1, c.channels, 15, 15}, c.x, c.x == DType::i8 ? -3 : 131);
      const ValueId w = q.bytes(c.w, {c.features, c.channels / c.groups, c.kernel, c.kernel}), zero_of_w = q.bytes(c.w, {c.features});
      const ValueId b = bias ? q.graph.add_constant(q.random(DType::i32, {c.features}, -4000000, 4000000)) : ValueId::none;
      const ValueId by = q.graph.add_constant(f32({c.features}, Numbers(size_t(c.features), 0.3 / double(c.channels / c.groups * c.kernel * c.kernel))));
      q.product(op, {x, w, q.number(c.x, c.x == DType::i8 ? -3 : 131), zero_of_w, b, by, q.number(DType::u8, 120)});
      q.product(op, {x, w, q.number(c.x, 7), zero_of_w, b});
      EXPECT_EQ(left_to_reference(q), 0);
    }
  }
}

TEST(Quantized, LargeBiasesRoundOnce) {  // as the conversion of an int32 sum beyond 2^24 does
  for (const int64_t channels : {int64_t{40}, int64_t{700}}) {
    Quantised q;
    const ValueId x = q.quantised({1, channels, 6, 6}, DType::u8, 9), zero = q.number(DType::u8, 9), w = q.bytes(DType::i8, {3, channels, 1, 1});
    const ValueId b = q.graph.add_constant(i32({3}, {(1 << 24) - 1, -2147483648., 1073741825})), by = q.graph.add_constant(f32({3}, {1e-5, -1e-7, 2e-7}));
    q.product(QuantizedConv{}, {x, w, zero, ValueId::none, b, by});
    q.product(QuantizedConv{}, {x, w, zero, ValueId::none, ValueId::none, by});
    q.product(QuantizedMatMul{}, {q.quantised({5, channels}, DType::u8, 9), q.bytes(DType::i8, {channels, 3}), zero, ValueId::none, b, by});
    EXPECT_EQ(left_to_reference(q), 0) << channels;
  }
}

TEST(Quantized, ZeroPointsAlongEitherDim) {
  for (const Shape& shape : {Shape{6}, Shape{1, 6}, Shape{6, 1}})
    for (const bool turned : {false, true}) {
      Quantised q;
      const ValueId a = q.quantised({4, 6}, DType::u8, 100);
      q.product(QuantizedMatMul{turned}, {a, q.bytes(DType::i8, {6, 6}), ValueId::none, q.bytes(DType::i8, shape)});
      left_to_reference(q);  // some of them
    }
}

TEST(Quantized, LargestOfBytes) {
  for (const DType dtype : {DType::u8, DType::i8}) {
    Quantised q;
    const ValueId x = q.quantised({2, 19, 9, 9}, dtype, 100);
    q.output(q.r.add(schema::Pool{schema::PoolKind::max, {3, 3}, {2, 2}, {}, {1, 1, 1, 1}}, {x}, {"pool"})[0]);
    EXPECT_EQ(left_to_reference(q), 0);
  }
}

TEST(Quantized, ProductsHaveTheBitsOfTheReference) {
  for (const int64_t k : {int64_t{1}, int64_t{64}, int64_t{300}, int64_t{2000}})
    for (const bool constant : {true, false}) {
      SCOPED_TRACE(cat("k ", k, constant ? ", constant" : ""));
      Quantised q;
      const ValueId a = q.quantised({2, 5, k}, DType::u8, 100), zero = q.number(DType::u8, 100), zero_of_b = q.number(DType::i8, 5);
      const ValueId b = constant ? q.bytes(DType::i8, {k, 7}) : q.quantised({k, 7}, DType::i8, 5), turned = constant ? q.bytes(DType::i8, {7, k}) : q.quantised({2, 7, k}, DType::i8, 5);
      const ValueId bias = q.graph.add_constant(q.random(DType::i32, {7}, -100000, 100000)), by = q.number(DType::f32, 0.1 / double(k));
      q.product(QuantizedMatMul{false, DType::i8}, {a, b, zero, zero_of_b, bias, by, q.number(DType::i8, 3)});
      q.product(QuantizedMatMul{true}, {a, turned, zero, zero_of_b, ValueId::none, by});
      q.product(QuantizedMatMul{}, {a, b, zero, zero_of_b});
      EXPECT_EQ(left_to_reference(q), 0);
    }
}

// Sums far beyond what f32 has exactly, operands of either sign, and zero points that the run gives.
TEST(Quantized, ProductsOfBytesAreOneStep) {
  for (const auto& level : kernels::isa::levels()) {
    if (!kernels::isa::runs(level.mask, kernels::isa::detected()) || !kernels::gemm_s8::pays(level.mask)) continue;
    for (const DType a_type : {DType::u8, DType::i8})
      for (const DType b_type : {DType::u8, DType::i8})
        for (const int64_t n : {1, 8, 19}) {
          SCOPED_TRACE(cat(level.name, ' ', name(a_type), ' ', name(b_type), " n ", n));
          Quantised q;
          const ValueId a = q.quantised({2, 9, 3000}, a_type, 1), zero = q.r.add(QuantizeLinear{a_type}, {q.input({1}), q.number(DType::f32, 0.01), q.number(a_type, 9)}, {"zero"})[0];
          const ValueId b = q.bytes(b_type, {3000, n}), factors = q.graph.add_constant(f32({n}, Numbers(size_t(n), 1e-5)));
          q.product(QuantizedMatMul{}, {a, b, zero});
          q.product(QuantizedMatMul{false, b_type}, {a, b, zero, q.bytes(b_type, {n}), q.graph.add_constant(q.random(DType::i32, {n}, -2000000000, 2000000000)), factors, q.number(b_type, 100)});
          CompileOptions reference, options;
          reference.reference_only = true, options.isa = level.mask;
          const Ran want = test::run(q.graph, reference, 1), got = test::run(q.graph, options, 2);
          EXPECT_EQ(std::ranges::count_if(got.kernels, [](const std::string& kernel) { return kernel.starts_with("gemm_s8"); }), 2);
          for (size_t k = 0; k < want.outputs.size(); ++k)
            EXPECT_EQ(std::memcmp(want.outputs[k].view().data, got.outputs[k].view().data, size_t(bytes_of(want.outputs[k].view().dtype, want.outputs[k].view().shape))), 0) << k;
        }
  }
}

// Around the tile in pixels, channels and features; zero points of either sign, one per feature, and one that the run gives.
TEST(Quantized, ConvolutionsOfBytesAreOneStep) {
  if (!kernels::gemm_s8::convolutions_pay) GTEST_SKIP() << "this architecture computes them in f32";
  for (const auto& level : kernels::isa::levels()) {
    if (!kernels::isa::runs(level.mask, kernels::isa::detected()) || !kernels::gemm_s8::pays(level.mask)) continue;
    for (const DType x_type : {DType::u8, DType::i8})
      for (const DType w_type : {DType::u8, DType::i8})
        for (const int64_t n : {1, 8, 19})
          for (const int64_t channels : {8, 16, 130}) {
            SCOPED_TRACE(cat(level.name, ' ', name(x_type), ' ', name(w_type), " n ", n, " channels ", channels));
            Quantised q;
            const ValueId x = q.quantised({2, channels, 7, 5}, x_type, 1), none = ValueId::none;
            const ValueId zero = q.r.add(QuantizeLinear{x_type}, {q.input({1}), q.number(DType::f32, 0.01), q.number(x_type, 9)}, {"zero"})[0];
            const ValueId factors = q.graph.add_constant(f32({n}, Numbers(size_t(n), 3e-4)));
            q.product(QuantizedConv{}, {x, q.bytes(w_type, {n, channels, 1, 1}), zero});
            q.product(QuantizedConv{.stride = {2, 1}, .pad = {1, 1, 0, 2}}, {x, q.bytes(w_type, {n, channels, 3, 3}), zero, q.bytes(w_type, {n})});
            q.product(QuantizedConv{.dilation = {2, 1}, .auto_pad = schema::AutoPad::same_upper, .to = w_type},
                      {x, q.bytes(w_type, {n, channels, 3, 2}), q.number(x_type, 100), q.number(w_type, 3), q.graph.add_constant(q.random(DType::i32, {n}, -2000000000, 2000000000)), factors, q.number(w_type, 100)});
            q.product(QuantizedConv{}, {x, q.bytes(w_type, {n, channels, 1, 1}), none, none, none, q.number(DType::f32, 1e-3)});
            CompileOptions reference, options;
            reference.reference_only = true, options.isa = level.mask;
            const Ran want = test::run(q.graph, reference, 1), got = test::run(q.graph, options, 2);
            EXPECT_EQ(std::ranges::count_if(got.kernels, [](const std::string& kernel) { return kernel.starts_with("gemm_s8"); }), 4);
            for (size_t k = 0; k < want.outputs.size(); ++k)
              EXPECT_EQ(std::memcmp(want.outputs[k].view().data, got.outputs[k].view().data, size_t(bytes_of(want.outputs[k].view().dtype, want.outputs[k].view().shape))), 0) << k;
          }
  }
}

TEST(Quantized, WhatCannotBeExactInFloatIsLeftToTheReference) {
  Quantised q;  // one channel, whose 81 taps are too many for 2^24 with this bias
  const ValueId x = q.quantised({1, 1, 20, 20}, DType::u8, 0);
  q.product(QuantizedConv{}, {x, q.bytes(DType::i8, {2, 1, 9, 9}), ValueId::none, ValueId::none, q.graph.add_constant(i32({2}, {1 << 25, -(1 << 25) - 1}))});
  EXPECT_EQ(left_to_reference(q), 1);
}
}  // namespace
}  // namespace engine
