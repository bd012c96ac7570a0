#include <cmath>
#include <random>
#include "kernels/threads.h"
#include "tests/engine/op_case.h"

#pragma GCC diagnostic ignored "-Wmissing-field-initializers"  // an op's other fields keep their defaults

namespace engine {
namespace {
using namespace test;
using schema::CausalConvWithState, schema::LinearAttention, schema::LinearAttentionRule;
using Numbers = std::vector<double>;
using Rule = LinearAttentionRule;

ConstantPtr random_reals(const Shape& shape, unsigned seed, DType dtype = DType::f32) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> number(-1, 1);
  Numbers all(size_t(elements(shape)));
  for (double& v : all) v = number(random);
  return tensor(dtype, shape, all);
}
void expect_near(const Object& got, const Numbers& expected, double error = 1e-5) {
  const Numbers have = values(got);
  ASSERT_EQ(have.size(), expected.size());
  for (size_t i = 0; i < have.size(); ++i) EXPECT_NEAR(have[i], expected[i], error) << "at " << i;
}

// --- LinearAttention -------------------------------------------------------------------------------------------------

TEST(LinearAttentionOp, OneElementHeads) {  // a state of one number, so that steps can be written out
  const auto q = f32({1, 2, 1}, {1, 2}), k = f32({1, 2, 1}, {3, 4}), v = f32({1, 2, 1}, {5, 6}),
             past = f32({1, 1, 1, 1}, {10});
  const auto decay = f32({1, 2, 1}, {std::log(0.5), std::log(0.25)}), beta = f32({1, 2, 1}, {0.5, 0.1});
  const auto outputs = [&](Rule rule, const Inputs& inputs) {
    const auto out = test::run(LinearAttention{1, 1, 0, rule}, inputs, 2);
    Numbers all = values(out[0]);
    all.push_back(values(out[1])[0]);
    return all;
  };
  const auto expect = [](const Numbers& got, const Numbers& expected) {
    for (size_t i = 0; i < 3; ++i) EXPECT_NEAR(got[i], expected[i], 1e-4);
  };
  expect(outputs(Rule::linear, {q, k, v}), {15, 78, 39});
  expect(outputs(Rule::linear, {q, k, v, past}), {25, 98, 49});
  expect(outputs(Rule::gated, {q, k, v, past, decay}), {20, 58, 29});  // 5+15, 5+24
  expect(outputs(Rule::delta, {q, k, v, past, nullptr, beta}),
         {-27.5, 2 * 18.9, 18.9});  // 10+3*.5*(5-30), -27.5+4*.1*(6+110)
  expect(outputs(Rule::gated_delta, {q, k, v, past, decay, beta}),
         {-10, 2 * 3.9, 3.9});  // 5+3*.5*(5-15), -2.5+4*.1*(6+10)
  EXPECT_NEAR(values(test::run(LinearAttention{1, 1, 0.5, Rule::linear}, {q, k, v}, 2)[0])[1], 39, 1e-4);
}

// The recurrence in double, an element of the state at a time.
std::pair<Numbers, Numbers> recurrence(const LinearAttention& op, const Inputs& in) {
  const Shape& qs = in[0]->shape;
  const int64_t batch = qs[0], length = qs[1], keys = qs[2] / op.heads, width = in[2]->shape[2] / op.kv_heads,
                group = op.heads / op.kv_heads;
  const auto at = [&](size_t k, int64_t i) { return load<double>(in[k]->view(), i); };
  Numbers y(size_t(batch * length * op.heads * width)), all;
  for (int64_t b = 0; b < batch; ++b)
    for (int64_t h = 0; h < op.kv_heads; ++h) {
      Numbers s(size_t(keys * width));
      for (size_t i = 0; in[3] && i < s.size(); ++i) s[i] = at(3, (b * op.kv_heads + h) * keys * width + int64_t(i));
      for (int64_t t = b * length; t < (b + 1) * length; ++t) {
        const auto key = [&](int64_t i) { return at(1, (t * op.kv_heads + h) * keys + i); };
        for (int64_t i = 0; in.size() > 4 && in[4] && i < keys; ++i) {
          const int64_t decays = in[4]->shape[2];
          for (int64_t j = 0; j < width; ++j)
            s[size_t(i * width + j)] *= std::exp(at(4, t * decays + (decays == op.kv_heads ? h : h * keys + i)));
        }
        for (int64_t j = 0; j < width; ++j) {
          double gain = at(2, (t * op.kv_heads + h) * width + j);
          if (in.size() > 5 && in[5]) {
            double held = 0;
            for (int64_t i = 0; i < keys; ++i) held += key(i) * s[size_t(i * width + j)];
            const int64_t betas = in[5]->shape[2];
            gain = at(5, t * betas + (betas == 1 ? 0 : h)) * (gain - held);
          }
          for (int64_t i = 0; i < keys; ++i) s[size_t(i * width + j)] += key(i) * gain;
          for (int64_t g = h * group; g < (h + 1) * group; ++g) {
            double dot = 0;
            for (int64_t i = 0; i < keys; ++i) dot += at(0, (t * op.heads + g) * keys + i) * s[size_t(i * width + j)];
            y[size_t((t * op.heads + g) * width + j)] = dot / std::sqrt(double(keys));
          }
        }
      }
      all.insert(all.end(), s.begin(), s.end());
    }
  return {y, all};
}

struct Sizes {
  int64_t batch, length, heads, kv_heads, keys, width;
};
Inputs inputs_of(const Sizes& n, Rule rule, bool past, bool per_key, bool one_beta, DType dtype = DType::f32) {
  const bool gated = rule == Rule::gated || rule == Rule::gated_delta,
             delta = rule == Rule::delta || rule == Rule::gated_delta;
  return {random_reals({n.batch, n.length, n.heads * n.keys}, 1, dtype),
          random_reals({n.batch, n.length, n.kv_heads * n.keys}, 2, dtype),
          random_reals({n.batch, n.length, n.kv_heads * n.width}, 3, dtype),
          past ? random_reals({n.batch, n.kv_heads, n.keys, n.width}, 4, dtype) : nullptr,
          gated ? random_reals({n.batch, n.length, n.kv_heads * (per_key ? n.keys : 1)}, 5, dtype) : nullptr,
          delta ? random_reals({n.batch, n.length, one_beta ? 1 : n.kv_heads}, 6, dtype) : nullptr};
}

TEST(LinearAttentionOp, EveryRuleAndSharing) {
  for (Rule rule : {Rule::linear, Rule::gated, Rule::delta, Rule::gated_delta})
    for (const Sizes& n :
         {Sizes{2, 3, 2, 2, 3, 4}, Sizes{1, 4, 6, 2, 5, 33}, Sizes{2, 1, 4, 1, 2, 64}, Sizes{1, 2, 1, 1, 1, 1}})
      for (int choice = 0; choice < 4; ++choice) {
        const LinearAttention op{n.heads, n.kv_heads, 0, rule};
        const Inputs in = inputs_of(n, rule, choice & 1, choice & 2, choice & 1);
        const auto out = test::run(op, in, 2);
        const auto expected = recurrence(op, in);
        expect_near(out[0], expected.first);
        expect_near(out[1], expected.second);
        EXPECT_EQ(out[1].shape, (Shape{n.batch, n.kv_heads, n.keys, n.width}));
        EXPECT_EQ(values(test::run(op, in, 1)[0]), values(out[0]));
      }
}

TEST(LinearAttentionOp, OneTokenAfterTheOther) {
  const Sizes n{1, 1, 4, 2, 8, 40};
  const LinearAttention op{n.heads, n.kv_heads, 0, Rule::gated_delta};
  Sizes whole = n;
  whole.length = 5;
  const Inputs in = inputs_of(whole, op.rule, false, true, false);
  const auto all = test::run(op, in, 2);
  ConstantPtr state;
  for (int64_t t = 0; t < whole.length; ++t) {
    Inputs step;
    for (const ConstantPtr& x : in) {
      if (!x) {
        step.push_back(state);
        continue;
      }
      const int64_t width = x->shape[2];
      Numbers row;
      for (int64_t i = 0; i < width; ++i) row.push_back(load<double>(x->view(), t * width + i));
      step.push_back(f32({1, 1, width}, row));
    }
    const auto out = test::run(op, step, 2);
    const Numbers y = values(all[0]);
    EXPECT_EQ(values(out[0]), Numbers(y.begin() + t * 160, y.begin() + (t + 1) * 160));
    state = make_constant(out[1].view());
  }
  EXPECT_EQ(values(all[1]), values([&] {
              Object o;
              o.assign(state->view());
              return o;
            }()));
}

TEST(LinearAttentionOp, DtypesOfInputsAndState) {
  const Sizes n{1, 3, 2, 1, 4, 5};
  for (DType dtype : {DType::f16, DType::bf16}) {
    const LinearAttention op{n.heads, n.kv_heads, 0, Rule::gated_delta};
    Inputs in = inputs_of(n, op.rule, true, false, false, dtype);
    const auto expected = recurrence(op, in);
    const double error = dtype == DType::f16 ? 4e-3 : 4e-2;
    auto out = test::run(op, in, 2);
    EXPECT_EQ(out[1].dtype, dtype);
    expect_near(out[0], expected.first, error);
    expect_near(out[1], expected.second, error);
    Numbers state;
    for (int64_t i = 0; i < in[3]->view().elements(); ++i) state.push_back(load<double>(in[3]->view(), i));
    in[3] = f32(in[3]->shape, state);  // the state may keep f32
    out = test::run(op, in, 2);
    EXPECT_EQ(out[0].dtype, dtype);
    EXPECT_EQ(out[1].dtype, DType::f32);
    expect_near(out[1], expected.second, 1e-5);
  }
}

TEST(LinearAttentionOp, ThreadsGiveTheSameBits) {
  const Sizes n{2, 3, 6, 3, 16, 100};
  const LinearAttention op{n.heads, n.kv_heads, 0, Rule::gated_delta};
  const Inputs in = inputs_of(n, op.rule, true, true, true);
  const auto one = test::run(op, in, 2);
  kernels::ThreadPool pool(3);
  RunContext context;
  std::vector<Object> objects(2);
  for (const ConstantPtr& x : in) context.in_.push_back({x->view()});
  for (size_t k = 0; k < 2; ++k) context.out_.push_back({objects[k].set_tensor(DType::f32, one[k].shape)});
  context.pool_ = &pool, context.threads_ = 3;
  def(op).reference(op, context);
  for (size_t k = 0; k < 2; ++k) EXPECT_EQ(values(objects[k]), values(one[k]));
}

TEST(LinearAttentionOp, EmptyExtents) {
  const LinearAttention op{1, 1, 0, Rule::linear};
  const auto past = f32({1, 1, 2, 2}, {1, 2, 3, 4});
  const auto out = test::run(op, {f32({1, 0, 2}, {}), f32({1, 0, 2}, {}), f32({1, 0, 2}, {}), past}, 2);
  EXPECT_EQ(out[0].shape, (Shape{1, 0, 2}));
  EXPECT_EQ(values(out[1]), (Numbers{1, 2, 3, 4}));
  EXPECT_EQ(test::run(op, {f32({0, 3, 2}, {}), f32({0, 3, 2}, {}), f32({0, 3, 4}, {})}, 2)[1].shape,
            (Shape{0, 1, 2, 4}));
  EXPECT_EQ(test::run(op, {f32({1, 1, 2}, {1, 2}), f32({1, 1, 2}, {1, 2}), f32({1, 1, 0}, {})}, 2)[0].shape,
            (Shape{1, 1, 0}));
  expect_error(op, {f32({1, 1, 0}, {}), f32({1, 1, 0}, {}), f32({1, 1, 1}, {1})}, "no elements", 2);
}

TEST(LinearAttentionOp, Errors) {
  const auto x = f32_iota({1, 2, 4}), narrow = f32_iota({1, 2, 2}), one = f32_iota({1, 2, 1});
  expect_error(LinearAttention{3, 2, 0, Rule::linear}, {x, x, x}, "3 query heads do not divide");
  expect_error(LinearAttention{0, 0, 0, Rule::linear}, {x, x, x}, "0 query heads");
  expect_error(LinearAttention{3, 1, 0, Rule::linear}, {x, x, x}, "3 heads of q");
  expect_error(LinearAttention{2, 2, 0, Rule::gated}, {x, x, x}, "gated needs decay");
  expect_error(LinearAttention{2, 2, 0, Rule::linear}, {x, x, x, nullptr, x}, "takes no decay");
  expect_error(LinearAttention{2, 2, 0, Rule::delta}, {x, x, x}, "needs beta");
  expect_error(LinearAttention{2, 2, 0, Rule::gated}, {x, x, x, nullptr, narrow, narrow}, "takes no beta");
  expect_error(LinearAttention{2, 2, 0, Rule::gated}, {x, x, x, nullptr, one}, "the decay has 1 elements");
  expect_error(LinearAttention{2, 2, 0, Rule::delta}, {x, x, x, nullptr, nullptr, x}, "beta has 4 elements");
  expect_error(LinearAttention{2, 1, 0, Rule::linear}, {x, x, x}, "head size 2 meets 4");
  expect_error(LinearAttention{2, 2, 0, Rule::linear}, {x, f32_iota({2, 2, 4}), x}, "batch 1 meets 2");
  expect_error(LinearAttention{2, 2, 0, Rule::linear}, {x, x, f32_iota({1, 3, 4})}, "length 2 meets 3");
  expect_error(LinearAttention{2, 2, 0, Rule::linear}, {x, x, x, f32_iota({1, 2, 2, 3})}, "head size of v 2 meets 3");
  expect_error(LinearAttention{2, 2, 0, Rule::linear}, {x, x, f32_iota({2, 4})}, "rank 3");
  expect_error(LinearAttention{2, 2, 0, Rule::linear}, {x, x, iota(DType::f16, {1, 2, 4})}, "dtype");
  expect_error(LinearAttention{2, 2, 0, Rule::linear}, {iota(DType::f64, {1, 2, 4}), x, x}, "f64");
}

// --- CausalConvWithState
// ----------------------------------------------------------------------------------------------

TEST(CausalConvWithStateOp, PastAndPresent) {
  const auto x = f32({1, 2, 3}, {1, 2, 3, 4, 5, 6}), w = f32({2, 1, 3}, {1, 10, 100, 1, 0, 2});
  auto out = test::run(CausalConvWithState{}, {x, w}, 2);
  EXPECT_EQ(values(out[0]), (Numbers{100, 210, 321, 8, 10, 16}));
  EXPECT_EQ(values(out[1]), (Numbers{2, 3, 5, 6}));
  out = test::run(CausalConvWithState{}, {x, w, f32({2}, {1000, 0.5}), f32({1, 2, 2}, {7, 8, 9, 10})}, 2);
  EXPECT_EQ(values(out[0]), (Numbers{1187, 1218, 1321, 17.5, 20.5, 16.5}));
  EXPECT_EQ(values(out[1]), (Numbers{2, 3, 5, 6}));
  EXPECT_EQ(values(test::run(CausalConvWithState{}, {x, w}, 1)[0]), (Numbers{100, 210, 321, 8, 10, 16}));
}

TEST(CausalConvWithStateOp, ShortAndEmptyInputs) {
  const auto w = f32({1, 1, 4}, {1, 10, 100, 1000}), past = f32({1, 1, 3}, {1, 2, 3});
  auto out = test::run(CausalConvWithState{}, {f32({1, 1, 1}, {4}), w, nullptr, past}, 2);
  EXPECT_EQ(values(out[0]), (Numbers{4321}));
  EXPECT_EQ(values(out[1]), (Numbers{2, 3, 4}));
  EXPECT_EQ(values(test::run(CausalConvWithState{}, {f32({1, 1, 1}, {4}), w}, 2)[1]), (Numbers{0, 0, 4}));
  EXPECT_EQ(values(test::run(CausalConvWithState{}, {f32({1, 1, 0}, {}), w, nullptr, past}, 2)[1]), (Numbers{1, 2, 3}));
  EXPECT_EQ(test::run(CausalConvWithState{}, {f32({0, 1, 2}, {}), w}, 2)[1].shape, (Shape{0, 1, 3}));
  out = test::run(CausalConvWithState{}, {f32({1, 1, 2}, {4, 5}), f32({1, 1, 1}, {2})}, 2);
  EXPECT_EQ(values(out[0]), (Numbers{8, 10}));
  EXPECT_EQ(out[1].shape, (Shape{1, 1, 0}));
}

TEST(CausalConvWithStateOp, HalfAndErrors) {
  for (DType d : {DType::f16, DType::bf16}) {
    const auto out = test::run(
        CausalConvWithState{},
        {tensor(d, {1, 1, 2}, {1, 2}), tensor(d, {1, 1, 2}, {0.5, 3}), tensor(d, {1}, {1}), tensor(d, {1, 1, 1}, {4})},
        2);
    EXPECT_EQ(values(out[0]), (Numbers{6, 7.5}));
    EXPECT_EQ(values(out[1]), (Numbers{2}));
  }
  const auto x = f32_iota({1, 2, 3}), w = f32_iota({2, 1, 3});
  expect_error(CausalConvWithState{}, {x, f32_iota({3, 1, 3})}, "channels 2 meets 3");
  expect_error(CausalConvWithState{}, {x, f32_iota({2, 2, 3})}, "one channel");
  expect_error(CausalConvWithState{}, {x, f32({2, 1, 0}, {})}, "kernel extent 0");
  expect_error(CausalConvWithState{}, {x, w, f32_iota({3})}, "channels 2 meets 3");
  expect_error(CausalConvWithState{}, {x, w, nullptr, f32_iota({1, 2, 3})}, "length 2 meets 3");
  expect_error(CausalConvWithState{}, {x, iota(DType::f16, {2, 1, 3})}, "dtype");
  expect_error(CausalConvWithState{}, {iota(DType::i32, {1, 2, 3}), w}, "i32");
}
}  // namespace
}  // namespace engine
