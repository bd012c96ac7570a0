#include "tests/engine/op_case.h"

#pragma GCC diagnostic ignored "-Wmissing-field-initializers"  // an op's other fields keep their defaults

namespace engine {
namespace {
using namespace test;
using schema::GroupQueryAttention, schema::Rnn, schema::RnnDirection, schema::RnnKind;
using Numbers = std::vector<double>;

void expect_near(const Numbers& got, const Numbers& expected) {
  ASSERT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], expected[i], 1e-6) << "at " << i;
}
double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

// --- Rnn, of one input and one hidden unit, so that steps can be written out -------------------------------------------

TEST(RnnOp, DirectionsAndLengths) {
  const auto x = f32({3, 2, 1}, {1, 10, 2, 20, 3, 30}), w = f32({2, 1, 1}, {1, 1}), r = f32({2, 1, 1}, {1, 1});
  const auto lengths = tensor(DType::i32, {2}, {3, 2});
  const Rnn op{.kind = RnnKind::rnn, .direction = RnnDirection::bidirectional, .hidden = 1, .activations = {"Relu", "relu"}};
  const auto out = run(op, {x, w, r, nullptr, lengths}, 2);  // running sums
  EXPECT_EQ(out[0].shape, (Shape{3, 2, 2, 1}));
  EXPECT_EQ(values(out[0]), (Numbers{1, 10, 6, 30, 3, 30, 5, 20, 6, 0, 3, 0}));
  EXPECT_EQ(values(out[1]), (Numbers{6, 30, 6, 30}));
}

TEST(RnnOp, ActivationParametersAndClip) {
  const auto x = f32({1, 1, 1}, {-3}), w = f32({1, 1, 1}, {1}), r = f32({1, 1, 1}, {0}), b = f32({1, 2}, {-1, -1});
  const auto y = [&](Rnn op) {
    op.kind = RnnKind::rnn, op.hidden = 1;
    return values(run(op, {x, w, r, b}, 1)[0])[0];  // of -5
  };
  EXPECT_FLOAT_EQ(float(y({.activations = {"LeakyRelu"}, .alpha = {0.5}})), -2.5f);
  EXPECT_FLOAT_EQ(float(y({.activations = {"LeakyRelu"}})), -0.05f);
  EXPECT_FLOAT_EQ(float(y({.activations = {"Affine"}, .alpha = {2}, .beta = {3}})), -7.0f);
  EXPECT_FLOAT_EQ(float(y({.activations = {"HardSigmoid"}, .alpha = {0.1}})), 0.0f);
  EXPECT_FLOAT_EQ(float(y({.clip = 1, .activations = {"Affine"}})), -1.0f);
}

TEST(RnnOp, Lstm) {
  // Gates in the order input, output, forget, cell; peepholes input, output, forget.
  const auto x = f32({1, 1, 1}, {2}), w = f32({1, 4, 1}, {0.1, 0.2, 0.3, 0.4}), r = f32({1, 4, 1}, {0.5, 0.6, 0.7, 0.8});
  const auto b = f32({1, 8}, {.01, .02, .03, .04, .05, .06, .07, .08}), h0 = f32({1, 1, 1}, {0.9}), c0 = f32({1, 1, 1}, {-0.3}), p = f32({1, 3}, {1, 2, 3});
  const double i = sigmoid(0.2 + 0.45 + 0.06 - 0.3), f = sigmoid(0.6 + 0.63 + 0.10 - 0.9), g = std::tanh(0.8 + 0.72 + 0.12), c = f * -0.3 + i * g;
  const double h = sigmoid(0.4 + 0.54 + 0.08 + 2 * c) * std::tanh(c);
  const auto out = run(Rnn{.hidden = 1}, {x, w, r, b, nullptr, h0, c0, p}, 3);
  expect_near(values(out[0]), {h});
  expect_near(values(out[1]), {h});
  expect_near(values(out[2]), {c});
  const double coupled = (1 - i) * -0.3 + i * g;
  expect_near(values(run(Rnn{.hidden = 1, .input_forget = true}, {x, w, r, b, nullptr, h0, c0, p}, 3)[2]), {coupled});
}

TEST(RnnOp, Gru) {
  const auto x = f32({1, 1, 1}, {2}), w = f32({1, 3, 1}, {0.1, 0.2, 0.3}), r = f32({1, 3, 1}, {0.4, 0.5, 0.6});
  const auto b = f32({1, 6}, {.01, .02, .03, .04, .05, .06}), h0 = f32({1, 1, 1}, {0.9});
  const double z = sigmoid(0.2 + 0.36 + 0.05), reset = sigmoid(0.4 + 0.45 + 0.07);
  const double before = std::tanh(0.6 + 0.03 + reset * 0.9 * 0.6 + 0.06), after = std::tanh(0.6 + 0.03 + reset * (0.9 * 0.6 + 0.06));
  expect_near(values(run(Rnn{.kind = RnnKind::gru, .hidden = 1}, {x, w, r, b, nullptr, h0}, 2)[1]), {(1 - z) * before + z * 0.9});
  expect_near(values(run(Rnn{.kind = RnnKind::gru, .hidden = 1, .linear_before_reset = true}, {x, w, r, b, nullptr, h0}, 2)[1]), {(1 - z) * after + z * 0.9});
}

TEST(RnnOp, NoSteps) {
  const auto out = run(Rnn{.hidden = 1}, {f32({0, 1, 1}, {}), f32_iota({1, 4, 1}), f32_iota({1, 4, 1}), nullptr, nullptr, f32({1, 1, 1}, {5})}, 3);
  EXPECT_EQ(out[0].shape, (Shape{0, 1, 1, 1}));
  EXPECT_EQ(values(out[1]), (Numbers{5}));
}

TEST(RnnOp, Errors) {
  const auto x = f32_iota({2, 1, 3}), w = f32_iota({1, 8, 3}), r = f32_iota({1, 8, 2});
  expect_error(Rnn{.hidden = 3}, {x, w, r}, "dim 2");
  expect_error(Rnn{.hidden = 2}, {x, f32_iota({1, 8, 4}), r}, "w is");
  expect_error(Rnn{.direction = RnnDirection::bidirectional, .hidden = 2}, {x, w, r}, "dim 0");
  expect_error(Rnn{.hidden = 2, .activations = {"Tanh"}}, {x, w, r}, "1 activations");
  expect_error(Rnn{.hidden = 2, .activations = {"Tanh", "Tanh", "Tangent"}}, {x, w, r}, "tangent");
  expect_error(Rnn{.hidden = 2}, {x, w, r, nullptr, tensor(DType::i32, {1}, {3})}, "sequence length 3");
  expect_error(Rnn{.kind = RnnKind::gru, .hidden = 2}, {x, w, r}, "r is", 2);
}

// --- GroupQueryAttention ---------------------------------------------------------------------------------------------

ConstantPtr i32(const Shape& shape, const Numbers& v) { return tensor(DType::i32, shape, v); }
ConstantPtr wave(const Shape& shape, double frequency) {
  Numbers v(size_t(elements(shape)));
  for (size_t i = 0; i < v.size(); ++i) v[i] = std::sin(frequency * double(i + 1));
  return f32(shape, v);
}
ConstantPtr rows(const ConstantPtr& x, int64_t from, int64_t to) {  // of [1, S, n]
  const int64_t n = x->shape[2];
  Numbers v;
  for (int64_t i = from * n; i < to * n; ++i) v.push_back(load<double>(x->view(), i));
  return f32({1, to - from, n}, v);
}

TEST(GroupQueryAttentionOp, ATokenAtATimeIsThePromptAtOnce) {
  for (const GroupQueryAttention& op : {GroupQueryAttention{4, 2}, GroupQueryAttention{4, 2, 2}, GroupQueryAttention{4, 2, -1, 0.3, 5, true, false},
                                        GroupQueryAttention{4, 2, -1, 0, 0, true, true}}) {
    const auto q = wave({1, 5, 16}, 0.7), k = wave({1, 5, 8}, 1.3), v = wave({1, 5, 8}, 0.9);
    const auto cos = op.rotary ? wave({6, 2}, 0.4) : nullptr, sin = op.rotary ? wave({6, 2}, 0.2) : nullptr;
    const auto whole = run(op, {q, k, v, nullptr, nullptr, i32({1}, {4}), i32({}, {5}), cos, sin}, 3);
    auto past = run(op, {rows(q, 0, 3), rows(k, 0, 3), rows(v, 0, 3), nullptr, nullptr, i32({1}, {2}), i32({}, {3}), cos, sin}, 3);
    for (int64_t t = 3; t < 5; ++t)
      past = run(op, {rows(q, t, t + 1), rows(k, t, t + 1), rows(v, t, t + 1), make_constant(past[1].view()), make_constant(past[2].view()),
                      i32({1}, {double(t)}), i32({}, {double(t + 1)}), cos, sin}, 3);
    const Numbers all = values(whole[0]);
    expect_near(values(past[0]), Numbers(all.end() - 16, all.end()));
    EXPECT_EQ(values(past[1]), values(whole[1]));
    EXPECT_EQ(values(past[2]), values(whole[2]));
  }
}

TEST(GroupQueryAttentionOp, OneHeadByHand) {
  const GroupQueryAttention op{1, 1, -1, 1};
  const auto out = run(op, {f32({1, 2, 1}, {1, 1}), f32({1, 2, 1}, {0, std::log(3)}), f32({1, 2, 1}, {4, 8}), nullptr, nullptr, i32({1}, {1}), i32({}, {2})}, 1);
  expect_near(values(out[0]), {4, 7});
}

// One head of one element: the scores of the second query are 0 and log(3), its values 4 and 8.
TEST(GroupQueryAttentionOp, WhatChangesTheWeights) {
  const auto q = f32({1, 2, 1}, {1, 1}), k = f32({1, 2, 1}, {0, std::log(3)}), v = f32({1, 2, 1}, {4, 8});
  const auto given = [&](const GroupQueryAttention& op, const ConstantPtr& bias, const ConstantPtr& sink, size_t outputs = 1) {
    return run(op, {q, k, v, nullptr, nullptr, i32({1}, {1}), i32({}, {2}), nullptr, nullptr, nullptr, bias, sink}, outputs);
  };
  GroupQueryAttention op{1, 1, -1, 1};
  expect_near(values(given(op, nullptr, f32({1}, {std::log(4)}))[0]), {0.8, 3.5});
  expect_near(values(given(op, f32({1, 1, 2, 2}, {0, 9, 0, -std::log(3)}), nullptr)[0]), {4, 6});
  op.smooth = true;
  expect_near(values(given(op, nullptr, nullptr)[0]), {2, 5.6});
  op.smooth = false, op.causal = false;
  expect_near(values(given(op, nullptr, nullptr)[0]), {7, 7});
  op.scores = 1;
  expect_near(values(given(op, nullptr, nullptr, 4)[3]), {0, std::log(3), 0, std::log(3)});
  op.causal = true;
  expect_near(values(given(op, nullptr, nullptr, 4)[3]), {0, 0, 0, std::log(3)});
  op.scores = 2;
  expect_near(values(given(op, nullptr, nullptr, 4)[3]), {1, 0, 0.25, 0.75});
}

TEST(GroupQueryAttentionOp, NormsAndPositions) {
  // A norm of one element leaves its sign, times the weight.
  GroupQueryAttention op{1, 1, -1, 1};
  op.q_epsilon = op.k_epsilon = 0;
  const auto q = f32({1, 2, 1}, {5, 7}), k = f32({1, 2, 1}, {-3, 2}), v = f32({1, 2, 1}, {4, 8});
  expect_near(values(run(op, {q, k, v, nullptr, nullptr, i32({1}, {1}), i32({}, {2}), nullptr, nullptr, nullptr, nullptr, nullptr, f32({1}, {0.5}), f32({1}, {std::log(3)})}, 1)[0]), {4, 7});
  // Positions say which row of cos and sin a token has; where the past is empty, the first says it for all.
  const auto cos = wave({9, 1}, 0.4), sin = wave({9, 1}, 0.2), pair = wave({1, 3, 2}, 0.7), other = wave({1, 3, 2}, 1.1);
  const GroupQueryAttention rotary{1, 1, -1, 0, 0, true};
  const auto prompt = [&](const ConstantPtr& positions, const ConstantPtr& table_cos, const ConstantPtr& table_sin) {
    return run(rotary, {pair, other, other, nullptr, nullptr, i32({1}, {2}), i32({}, {3}), table_cos, table_sin, positions}, 3);
  };
  const auto moved = [&](const ConstantPtr& table) {
    Numbers rest;
    for (int64_t i = 3; i < 9; ++i) rest.push_back(load<double>(table->view(), i));
    return f32({6, 1}, rest);
  };
  const auto a = prompt(i64({1, 3}, {3, 0, 0}), cos, sin), b = prompt(nullptr, moved(cos), moved(sin));
  for (size_t k = 0; k < 3; ++k) EXPECT_EQ(values(a[k]), values(b[k]));
}

TEST(GroupQueryAttentionOp, Caches) {
  const auto one = f32({1, 1, 1}, {0}), past_k = f32({1, 1, 4, 1}, {1, 2, 3, 9}), past_v = f32({1, 1, 4, 1}, {10, 20, 30, 90});
  GroupQueryAttention op{1, 1, -1, 1};
  // A buffer that is longer than what is in it stays as long.
  auto out = run(op, {one, f32({1, 1, 1}, {7}), f32({1, 1, 1}, {60}), past_k, past_v, i32({1}, {2}), i32({}, {3})}, 3);
  EXPECT_EQ(values(out[1]), (Numbers{1, 2, 7, 9}));
  expect_near(values(out[0]), {30});
  // The second of two new tokens is padding.
  const auto two = f32({1, 2, 1}, {0, 0}), fresh = f32({1, 2, 1}, {6, 8});
  out = run(op, {two, fresh, fresh, past_k, past_v, i32({1}, {2}), i32({}, {4}), nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, i32({1}, {1})}, 3);
  EXPECT_EQ(values(out[1]), (Numbers{1, 2, 6, 9}));
  expect_near(values(out[0]), {12, 0});
  // A sliding one keeps the window's tokens at least, and drops as many at once as are beyond it: of 5 tokens 3 were there, of 6 are 4.
  op.window = 3, op.sliding = true;
  out = run(op, {one, f32({1, 1, 1}, {7}), f32({1, 1, 1}, {70}), past_k, past_v, i32({1}, {5}), i32({}, {6})}, 3);
  EXPECT_EQ(values(out[1]), (Numbers{1, 2, 3, 7}));
  expect_near(values(out[0]), {40});
  out = run(op, {one, f32({1, 1, 1}, {7}), f32({1, 1, 1}, {70}), past_k, past_v, i32({1}, {6}), i32({}, {7})}, 3);
  EXPECT_EQ(values(out[1]), (Numbers{3, 9, 7, 0}));
}

TEST(GroupQueryAttentionOp, QuantisedCaches) {
  const auto q = f32({1, 1, 2}, {0, 0}), k = f32({1, 1, 2}, {1.3, -9}), half = f32({1}, {0.5}), each = f32({1, 1, 1, 2}, {0.5, 2});
  const auto given = [&](const ConstantPtr& past, const ConstantPtr& scale) {
    return run(GroupQueryAttention{1, 1, -1, 1}, {q, k, k, past, past, i32({1}, {1}), i32({}, {2}), nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, scale, scale}, 3);
  };
  auto out = given(tensor(DType::i8, {1, 1, 1, 2}, {7, -100}), half);
  EXPECT_EQ(values(out[1]), (Numbers{7, -100, 3, -18}));
  expect_near(values(out[0]), {2.5, -29.5});  // means of what the cache holds
  out = given(tensor(DType::i8, {1, 1, 1, 2}, {7, -100}), each);
  EXPECT_EQ(values(out[2]), (Numbers{7, -100, 3, -4}));  // -4.5 becomes even
  expect_near(values(out[0]), {2.5, -104});
  out = given(tensor(DType::u8, {1, 1, 1, 1}, {0x2f}), half);  // 7 and -6
  EXPECT_EQ(values(out[1]), (Numbers{0x2f, 0x0b}));  // 3, and -18 as -8
  expect_near(values(out[0]), {2.5, -3.5});
  out = given(tensor(DType::f8e4m3fn, {1, 1, 1, 2}, {7, -6}), half);
  EXPECT_EQ(values(out[1]), (Numbers{7, -6, 2.5, -18}));
  expect_error(GroupQueryAttention{1, 1}, {q, k, k, nullptr, nullptr, i32({1}, {0}), i32({}, {1}), nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, half, half}, "has a past");
}

TEST(GroupQueryAttentionOp, Errors) {
  const auto q = f32_iota({1, 1, 4}), k = f32_iota({1, 1, 4}), past = f32_iota({1, 1, 2, 4}), length = i32({1}, {2}), total = i32({}, {3});
  const GroupQueryAttention op{1, 1};
  expect_error(GroupQueryAttention{3, 2}, {q, k, k, past, past, length, total}, "heads");
  expect_error(op, {q, k, k, past, nullptr, length, total}, "together");
  expect_error(op, {q, k, k, past, past, i32({1}, {9}), i32({}, {10})}, "past of 9");
  expect_error(op, {q, k, k, past, past, i32({1}, {-2}), total}, "sequence 0 has -1 tokens of a total of 3");
  expect_error(op, {q, k, k, past, past, i32({2}, {2, 2}), total}, "batch");
  expect_error(op, {q, f32_iota({1, 2, 4}), k, past, past, length, total}, "length");
  expect_error(GroupQueryAttention{1, 1, -1, 0, 0, true}, {q, k, k, past, past, length, total}, "cos and sin");
  expect_error(GroupQueryAttention{1, 1, -1, 0, 0, true}, {q, k, k, past, past, length, total, f32_iota({2, 2}), f32_iota({2, 2})}, "position 2");
}
}  // namespace
}  // namespace engine
