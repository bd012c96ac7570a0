// What plans compute at every ISA level, against the references: one list of cases, sizes around the kernels' tiles.
#include <gtest/gtest.h>
#include <cmath>
#include <random>
#include "engine/frame.h"
#include "kernels/conv/conv.h"
#include "kernels/threads.h"

namespace engine {
namespace {
struct Input {
  Shape shape;
  bool constant = false;
  double low = -1, high = 1;
  DType dtype = DType::f32;
  bool absent = false;
  static Input none() { return {.shape = {}, .absent = true}; }
};
struct Case {
  Op op;
  std::vector<Input> inputs;
  double tolerance = 1e-5;  // relative to the largest magnitude of the output
  std::vector<int64_t> last = {};  // the last input, a constant, if there are any
};

Graph graph_of(const Case& c, std::vector<Object>& values, std::mt19937& rng) {
  Graph graph;
  ValueIds ids;
  for (const Input& in : c.inputs) {
    Object& value = values.emplace_back();
    if (in.absent) {
      ids.push_back(ValueId::none);
      continue;
    }
    const View view = value.set_tensor(in.dtype, in.shape);
    std::uniform_real_distribution<double> number(in.low, in.high);
    for (int64_t i = 0; i < view.elements(); ++i) with_carrier(in.dtype, [&]<class T>(T) { store(view, i, T(number(rng))); });
    ids.push_back(in.constant ? graph.add_constant(make_constant(std::as_const(value).view())) : graph.add_input("", Type::tensor(in.dtype, in.shape)));
  }
  if (!c.last.empty()) ids.push_back(graph.add_constant(make_ints(c.last)));
  graph.outputs.push_back({"y", Rewriter(graph).add(c.op, ids, {"case"})[0]});
  return graph;
}

Object run(const Graph& graph, const std::vector<Object>& values, const Case& c, const CompileOptions& options, kernels::ThreadPool& pool) {
  RunOptions run_options;
  run_options.pool = &pool, run_options.threads = pool.size();
  Frame frame(std::make_shared<PlanCache>(graph, options), run_options);
  std::vector<ConstView> inputs;
  for (size_t k = 0; k < c.inputs.size(); ++k)
    if (!c.inputs[k].constant && !c.inputs[k].absent) inputs.push_back(values[k].view());
  Object out;
  out.assign(frame.run(inputs)[0]);
  EXPECT_TRUE(valid(frame.plan()->memory, frame.plan()->buffers, arena_alignment));
  return out;
}

void check(const Case& c) {
  std::mt19937 rng(1);
  std::vector<Object> values;
  values.reserve(c.inputs.size());
  const Graph graph = graph_of(c, values, rng);
  kernels::ThreadPool one(1), three(3);
  CompileOptions references;
  references.reference_only = true;
  const Object want = run(graph, values, c, references, one);
  for (const auto& level : kernels::isa::levels()) {
    if (!kernels::isa::runs(level.mask, kernels::isa::detected())) continue;
    CompileOptions options;
    options.isa = level.mask, options.all_threads = true;
    const Object got = run(graph, values, c, options, one);
    const std::string what = cat(to_text(c.op), " at ", level.name, ", first input ", to_text(c.inputs[0].shape));
    ASSERT_EQ(got.dtype, want.dtype) << what;
    ASSERT_EQ(got.shape, want.shape) << what;
    double most = 0, largest = 1e-30;
    for (int64_t i = 0; i < want.view().elements(); ++i) {
      const double w = load<double>(want.view(), i), g = load<double>(got.view(), i);
      if (std::isnan(w) && std::isnan(g)) continue;
      most = std::max(most, std::isfinite(w - g) ? std::fabs(w - g) : w == g ? 0 : INFINITY);
      if (std::isfinite(w)) largest = std::max(largest, std::fabs(w));
    }
    EXPECT_LE(most, c.tolerance * largest) << what;
    const Object again = run(graph, values, c, options, three);
    ASSERT_EQ(got.bytes.size(), again.bytes.size()) << what;
    EXPECT_TRUE(got.bytes.size() == 0 || std::memcmp(got.bytes.data(), again.bytes.data(), got.bytes.size()) == 0)
        << what << ": three threads give other bits";
  }
}

TEST(Lowering, Unary) {
  for (int64_t n : {0, 1, 7, 8, 16, 17, 40000}) {
#define UNARY(kind, types, result, formula, lo, hi, tolerance)                                     \
  if (std::string_view(#types) == "number" || std::string_view(#types) == "real")                 \
    check({schema::Unary{schema::UnaryKind::kind, 0.25, 1.5}, {{Shape{n}, false, lo, hi}}, std::max(1e-6, double(tolerance))});
#include "schema/unary.def"
  }
}

TEST(Lowering, BinaryBroadcasts) {
  const std::pair<Shape, Shape> shapes[] = {{{5}, {5}},       {{3, 5}, {5}},          {{3, 5}, {}},          {{5}, {3, 5}},       {{2, 3, 4, 5}, {3, 1, 1}},
                                            {{2, 1, 4}, {3, 1}}, {{1, 6, 7, 8}, {1, 6, 1, 1}}, {{2, 40000}, {40000}}, {{70000}, {70000}}, {{300, 200}, {300, 1}},
                                            {{0, 4}, {4}},    {{2, 5, 600, 3}, {5, 1, 1}}};
  using schema::BinaryKind;
  for (const auto& [a, b] : shapes)
    for (BinaryKind kind : {BinaryKind::add, BinaryKind::sub, BinaryKind::mul, BinaryKind::div, BinaryKind::min, BinaryKind::max, BinaryKind::prelu, BinaryKind::pow})
      check({schema::Binary{kind}, {{a, false, 0.5, 4}, {b, false, 0.5, 4}}, 1e-5});
}

TEST(Lowering, Where) {
  for (const DType dtype : {DType::f32, DType::i64, DType::f16, DType::u8, DType::f64})
    for (const auto& shapes : std::vector<std::vector<Shape>>{{{2, 3, 37}, {2, 3, 37}, {2, 3, 37}}, {{3, 1}, {2, 1, 37}, {37}}, {{}, {5, 1}, {1, 70}}, {{2, 1, 9}, {}, {4, 1}}, {{0}, {1}, {3, 1}}})
      check({schema::Where{}, {{shapes[0], false, 0, 1.99, DType::boolean}, {shapes[1], false, 0, 100, dtype}, {shapes[2], false, 0, 100, dtype}}});
}

TEST(Lowering, Pad) {
  using schema::Pad, schema::PadMode;
  const auto case_of = [](PadMode mode, const Shape& shape, const std::vector<int64_t>& pads, DType dtype) {
    return Case{Pad{mode}, {{shape, false, -100, 100, dtype}}, 0, pads};
  };
  for (const DType dtype : {DType::f32, DType::f64, DType::f16, DType::u8, DType::boolean})
    for (const PadMode mode : {PadMode::constant, PadMode::reflect, PadMode::edge, PadMode::wrap}) {
      check(case_of(mode, {2, 30, 40, 3}, {0, 1, 2, 0, 0, 4, 3, 0}, dtype));
      check(case_of(mode, {2, 3, 17, 9}, {0, 0, 8, 5, 0, 0, 1, -2}, dtype));
      check(case_of(mode, {40, 700}, {1, 0, 2, 0}, dtype));
      check(case_of(mode, {5}, {2, 3}, dtype));
    }
}

TEST(Lowering, MatMul) {
  for (const auto& [m, n, k] : {std::tuple<int64_t, int64_t, int64_t>{1, 1, 1}, {1, 40, 33}, {5, 7, 3}, {14, 32, 64}, {15, 33, 65}, {29, 100, 300}, {3, 0, 4}, {3, 4, 0}})
    for (bool trans : {false, true})
      for (bool constant : {false, true})
        check({schema::MatMul{false, trans}, {{{m, k}}, {trans ? Shape{n, k} : Shape{k, n}, constant}}});
  check({schema::MatMul{}, {{{2, 3, 5, 7}}, {{2, 3, 7, 4}}}});
  check({schema::MatMul{}, {{{2, 1, 5, 7}}, {{3, 7, 4}}}});
  check({schema::MatMul{}, {{{4, 5, 7}}, {{7, 9}, true}}});
  check({schema::MatMul{}, {{{7}}, {{7, 9}, true}}});
}

schema::Conv conv(schema::Ints stride, schema::Ints pad, schema::Ints dilation = {}, int64_t groups = 1) { return {stride, dilation, pad, groups, schema::AutoPad::none}; }

TEST(Lowering, Conv) {
  check({conv({1, 1}, {0, 0, 0, 0}), {{{1, 8, 7, 9}}, {{16, 8, 1, 1}, true}, {{16}, true}}});
  check({conv({1, 1}, {1, 1, 1, 1}), {{{2, 8, 7, 9}}, {{33, 8, 3, 3}, true}, {{33}, true}}});
  check({conv({1, 1}, {1, 1, 1, 1}), {{{2, 32, 46, 44}}, {{32, 32, 3, 3}, true}, {{32}, true}}, 2e-5});  // Winograd
  check({conv({2, 2}, {1, 1, 1, 1}), {{{1, 3, 23, 21}}, {{16, 3, 3, 3}, true}}});
  check({conv({2, 1}, {3, 0, 2, 1}), {{{1, 5, 14, 14}}, {{7, 5, 7, 3}, true}, {{7}, true}}});
  check({conv({1, 1}, {2, 2, 2, 2}, {2, 2}), {{{1, 16, 13, 13}}, {{24, 16, 3, 3}, true}, {{24}, true}}});
  check({conv({1, 1}, {1, 1, 1, 1}, {}, 20), {{{1, 20, 11, 12}}, {{20, 1, 3, 3}, true}, {{20}, true}}});
  check({conv({2, 2}, {2, 2, 2, 2}, {}, 8), {{{2, 8, 15, 15}}, {{16, 1, 5, 5}, true}, {{16}, true}}});
  check({conv({1, 1}, {1, 1, 1, 1}, {}, 4), {{{1, 16, 9, 9}}, {{32, 4, 3, 3}, true}, {{32}, true}}});
  check({conv({3}, {2, 1}), {{{2, 6, 31}}, {{10, 6, 5}, true}, {{10}, true}}});
  check({conv({2, 1}, {2, 0, 1, 0}, {2, 1}), {{{2, 20, 31, 1}}, {{10, 20, 5, 1}, true}, {{10}, true}}});  // one column
  check({conv({1, 1}, {1, 0, 1, 0}, {}, 12), {{{1, 12, 9, 1}}, {{12, 1, 3, 1}, true}}});
  check({conv({64}, {0, 0}), {{{1, 2, 2000}}, {{40, 2, 900}, true}, {{40}, true}}});  // more taps than code is made for
  check({conv({1, 1}, {1, 1, 1, 1}), {{{1, 4, 5, 5}}, {{6, 4, 3, 3}}}});  // weights that are not constant
  check({conv({1, 1, 1}, {1, 1, 1, 1, 1, 1}), {{{1, 2, 4, 5, 5}}, {{3, 2, 3, 3, 3}, true}}});
}

TEST(Lowering, StrictIsWithoutWinograd) {
  const Case c{conv({1, 1}, {1, 1, 1, 1}), {{{1, 32, 46, 44}}, {{32, 32, 3, 3}, true}}};
  std::mt19937 rng(1);
  std::vector<Object> values;
  values.reserve(c.inputs.size());
  const Graph graph = graph_of(c, values, rng);
  const auto winograd = [&](bool strict) {
    CompileOptions options;
    options.strict = strict;
    const auto plan = PlanCache(graph, options).get(input_types(graph));
    return std::ranges::any_of(plan->steps, [](const Step& s) { return std::string_view(s.kernel).starts_with("winograd"); });
  };
  EXPECT_EQ(winograd(false), kernels::isa::detected() != kernels::isa::scalar);
  EXPECT_FALSE(winograd(true));
}

// A CPU with arithmetic in half precision uses it where the plan may, and nowhere else.
TEST(Lowering, RoundsOperandsWhereThatIsAllowed) {
  const bool has = kernels::isa::runs(kernels::isa::neon_fp16, kernels::isa::detected());
  struct Rounded {
    Case of;
    bool expected = true;
    double tolerance = 4e-3;
  };
  const Rounded cases[] = {{{schema::MatMul{}, {{{5, 70}}, {{70, 33}, true}}}},
                           {{schema::MatMul{.exact = true}, {{{5, 70}}, {{70, 33}, true}}}, false},
                           {{schema::MatMul{}, {{{5, 70}}, {{70, 33}}}}, false},
                           {{conv({1, 1}, {}), {{{1, 24, 9, 9}}, {{40, 24, 1, 1}, true}, {{40}, true}}}},
                           {{conv({1, 1}, {1, 1, 1, 1}), {{{1, 32, 46, 44}}, {{32, 32, 3, 3}, true}}}, true, 1.2e-2},  // Winograd F(4×4)
                           {{conv({2, 2}, {1, 1, 1, 1}), {{{1, 3, 40, 40}}, {{16, 3, 3, 3}, true}}}}};
  for (const auto& [c, expected, tolerance] : cases) {
    std::mt19937 rng(1);
    std::vector<Object> values;
    values.reserve(c.inputs.size());
    const Graph graph = graph_of(c, values, rng);
    CompileOptions references, options;
    references.reference_only = true, options.all_threads = true;
    const auto rounds = [&] {
      const auto plan = PlanCache(graph, options).get(input_types(graph));
      return std::ranges::any_of(plan->steps, [](const Step& s) { return s.kernel.find("_f16_") != s.kernel.npos; });
    };
    EXPECT_FALSE(rounds()) << to_text(c.op);
    options.precision = kernels::Precision::f16, options.strict = true;
    EXPECT_FALSE(rounds()) << to_text(c.op) << ", strict";
    options.strict = false;
    EXPECT_EQ(rounds(), has && expected) << to_text(c.op);
    if (!has) continue;
    kernels::ThreadPool one(1), three(3);
    const Object want = run(graph, values, c, references, one), got = run(graph, values, c, options, one), again = run(graph, values, c, options, three);
    double most = 0, largest = 1e-30;
    for (int64_t i = 0; i < want.view().elements(); ++i) {
      const auto w = load<double>(want.view(), i);
      most = std::max(most, std::fabs(w - load<double>(got.view(), i))), largest = std::max(largest, std::fabs(w));
    }
    EXPECT_LE(most, (expected ? tolerance : 1e-5) * largest) << to_text(c.op);
    EXPECT_EQ(std::memcmp(got.bytes.data(), again.bytes.data(), got.bytes.size()), 0) << to_text(c.op) << ": three threads give other bits";
  }
}

// What is said of a precision that the CPU has no kernels for.
TEST(Lowering, RefusesPrecisionsOfOtherMachines) {
  CompileOptions options;
  const auto error = [&]() -> std::string {
    try {
      require_precision(options);
    } catch (const Error& e) {
      return e.what();
    }
    return {};
  };
  EXPECT_EQ(error(), "");
  options.precision = kernels::Precision::bf16;
  EXPECT_NE(error().find("rounds operands to fp16, and to nothing else"), std::string::npos) << error();
  options.precision = kernels::Precision::f16, options.isa = kernels::isa::scalar;
  EXPECT_NE(error().find("needs its arithmetic in half precision (neon_fp16); here it has scalar"), std::string::npos) << error();
  options.isa = kernels::isa::neon_fp16;
  EXPECT_EQ(error(), "");
}

TEST(Lowering, Pool) {
  using schema::PoolKind;
  for (const PoolKind kind : {PoolKind::max, PoolKind::average})
    for (const int64_t channels : {1, 15, 16, 17, 70})
      for (const bool ceil : {false, true})
        for (const bool count_pad : {false, true}) {
          check({schema::PoolLast{kind, {3, 2}, {2, 3}, {1, 2}, {1, 1, 1, 0}, ceil, count_pad}, {{{2, 10, 13, channels}}}});
          check({schema::PoolLast{kind, {3, 3}, {}, {}, {1, 1, 1, 1}, ceil, count_pad}, {{{1, 40, 40, channels}}}});
        }
  check({schema::PoolLast{PoolKind::average, {7, 7}, {1, 1}, {1, 1}, {0, 0, 0, 0}, false, false}, {{{1, 7, 7, 1000}}}});
  check({schema::PoolLast{PoolKind::max, {2, 2}, {1, 1}, {1, 1}, {0, 0, 0, 0}, false, false}, {{{1, 4, 4, 20}, false, -100, 100, DType::i8}}});
  check({schema::PoolLast{PoolKind::max, {2, 2}, {int64_t{1} << 30, 1}, {1, 1}, {0, 0, 0, 0}, false, false}, {{{1, 4, 4, 20}}}});
}

TEST(Lowering, Reduce) {
  using schema::ReduceKind;
  const std::pair<Shape, std::vector<int64_t>> cases[] = {{{2, 7, 7, 70}, {1, 2}}, {{2, 3, 40, 33}, {-1}},   {{2, 3, 40, 33}, {0}},   {{1, 5, 1, 8}, {0, 2}},
                                                          {{1, 5, 1, 8}, {1, 2}},  {{2, 3, 40, 33}, {0, 3}}, {{3, 0, 4}, {1}},        {{100, 100, 17}, {0, 1}},
                                                          {{17, 20000}, {1}},      {{300, 300}, {}},         {{2, 60, 6, 5}, {1, 2, 3}}, {{}, {}}};
  for (const ReduceKind kind : {ReduceKind::sum, ReduceKind::mean, ReduceKind::prod, ReduceKind::min, ReduceKind::max, ReduceKind::l1, ReduceKind::l2,
                                ReduceKind::log_sum, ReduceKind::log_sum_exp, ReduceKind::sum_square})
    for (const auto& [shape, axes] : cases)
      for (const bool keepdims : {false, true}) check({schema::Reduce{kind, keepdims, false}, {{shape, false, 0.9, 1.1}}, 1e-5, axes});
}

TEST(Lowering, Softmax) {
  using schema::SoftmaxKind;
  for (const SoftmaxKind kind : {SoftmaxKind::softmax, SoftmaxKind::log_softmax, SoftmaxKind::hardmax})
    for (const auto& [shape, axis] : {std::pair<Shape, int64_t>{{1, 1000}, -1}, {{3, 5, 17}, 2}, {{3, 5, 17}, 1}, {{3, 5, 17}, 0}, {{1, 21, 40, 40}, 1}, {{4, 0}, 1}, {{200, 200}, 1}})
      check({schema::Softmax{kind, axis}, {{shape, false, -10, 10}}});
}

TEST(Lowering, KeepsRefusalsWhenAsked) {
  const Case c{conv({1, 1}, {1, 1, 1, 1}), {{{1, 32, 46, 44}}, {{32, 32, 3, 3}, true}}};
  std::mt19937 rng(1);
  std::vector<Object> values;
  values.reserve(c.inputs.size());
  const Graph graph = graph_of(c, values, rng);
  CompileOptions options;
  EXPECT_TRUE(PlanCache(graph, options).get(input_types(graph))->refusals.empty());
  options.keep_refusals = options.strict = true;
  const auto plan = PlanCache(graph, options).get(input_types(graph));
  ASSERT_EQ(plan->refusals.size(), plan->steps.size());
  for (size_t s = 0; s < plan->steps.size(); ++s) {
    if (!plan->steps[s].op.get_if<schema::ConvLast>()) continue;
    EXPECT_EQ(plan->refusals[s].size() + 1, kernels::conv::rows().size());
    for (const auto& refusal : plan->refusals[s]) {
      EXPECT_NE(refusal.name, plan->steps[s].kernel);
      EXPECT_FALSE(refusal.reason.empty());
    }
  }
  EXPECT_EQ(kernels::RefusalLog::current, nullptr);
}

TEST(Lowering, Transpose) {
  for (const DType dtype : {DType::f32, DType::i64, DType::u8, DType::f16})
    for (const auto& [shape, perm] : {std::pair<Shape, schema::Ints>{{2, 17, 9, 11}, {0, 2, 3, 1}}, {{2, 9, 11, 17}, {0, -1, 1, 2}}, {{40, 50}, {}}, {{3, 0, 2}, {2, 1, 0}},
                                      {{2, 5, 3, 40}, {0, 2, 1, 3}}, {{200, 300}, {1, 0}}})
      check({schema::Transpose{perm}, {{shape, false, 0, 100, dtype}}});
}

TEST(Lowering, Resize) {
  using schema::ResizeCoordinates, schema::ResizeMode;
  for (const ResizeMode mode : {ResizeMode::nearest, ResizeMode::linear, ResizeMode::cubic})
    for (const ResizeCoordinates coordinates : {ResizeCoordinates::half_pixel, ResizeCoordinates::pytorch_half_pixel, ResizeCoordinates::align_corners, ResizeCoordinates::asymmetric})
      for (const auto& [shape, sizes] : {std::pair<Shape, std::vector<int64_t>>{{1, 5, 6, 17}, {1, 10, 9, 17}}, {{2, 9, 8, 3}, {2, 4, 4, 3}}, {{2, 3, 9, 8}, {2, 3, 20, 20}},
                                         {{1, 40, 40, 64}, {1, 80, 80, 64}}, {{1, 4, 5, 6}, {1, 4, 7, 6}}, {{2, 3, 4, 5}, {4, 3, 8, 5}}, {{2, 4, 5, 1}, {2, 4, 5, 1}}})
        for (const bool antialias : {false, true}) {
          schema::Resize op;
          op.mode = mode, op.coordinates = coordinates, op.antialias = antialias && mode != ResizeMode::nearest, op.exclude_outside = antialias;
          check({op, {{shape}, Input::none(), Input::none()}, 1e-5, sizes});
        }
  check({schema::Resize{}, {{{1, 5, 6, 17}, false, 0, 100, DType::u8}, Input::none(), Input::none()}, 1e-5, {1, 10, 9, 17}});
}

TEST(Lowering, ConvTranspose) {
  using schema::AutoPad, schema::ConvTranspose;
  for (const int64_t channels : {1, 15, 16, 17, 40})
    for (const ConvTranspose& op : {ConvTranspose{{2, 2}, {}, {}, {}, {}, 1, AutoPad::none}, {{2, 1}, {1, 2}, {1, 0, 1, 2}, {1, 0}, {}, 1, AutoPad::none},
                                    {{3, 2}, {}, {}, {}, {}, 1, AutoPad::same_upper}, {{2, 2}, {}, {}, {}, {17, 14}, 1, AutoPad::same_lower}, {{}, {}, {1, 1, 1, 1}, {}, {}, 1, AutoPad::none}})
      for (const auto& [h, w] : {std::pair<int64_t, int64_t>{2, 2}, {4, 3}}) {
        check({op, {{{2, channels, 8, 7}}, {{channels, 20, h, w}, true}, {{20}, true}}});
        check({op, {{{1, 12, 8, 7}}, {{12, channels, h, w}, true}}});
      }
  check({ConvTranspose{{2, 2}, {}, {}, {}, {}, 2, AutoPad::none}, {{{1, 8, 5, 5}}, {{8, 6, 2, 2}, true}}});
  check({ConvTranspose{{2, 2}, {}, {}, {}, {}, 1, AutoPad::none}, {{{1, 8, 5, 5}}, {{8, 6, 2, 2}}}});
  check({schema::ConvTransposeLast{{2, 2}, {1, 1}, {1, 0, 0, 1}, {9, 9}, 2}, {{{1, 5, 5, 8}}, {{8, 3, 3, 3}, true}, {{6}}}});
}

TEST(Lowering, Rnn) {
  using schema::RnnDirection, schema::RnnKind;
  for (RnnKind kind : {RnnKind::lstm, RnnKind::gru, RnnKind::rnn})
    for (RnnDirection direction : {RnnDirection::forward, RnnDirection::reverse, RnnDirection::bidirectional})
      for (const auto& [time, batch, input, hidden] : {std::array<int64_t, 4>{1, 1, 3, 5}, {4, 2, 7, 16}, {3, 1, 33, 65}, {5, 1, 6, 17}}) {
        const int64_t d = direction == RnnDirection::bidirectional ? 2 : 1, g = kind == RnnKind::lstm ? 4 : kind == RnnKind::gru ? 3 : 1;
        schema::Rnn op;
        op.kind = kind, op.direction = direction, op.hidden = hidden, op.linear_before_reset = kind == RnnKind::gru && hidden != 17;
        check({op, {{{time, batch, input}}, {{d, g * hidden, input}, true}, {{d, g * hidden, hidden}, true}, {{d, 2 * g * hidden}, true}}});
      }
}

// Sequences that end before the input does.
TEST(Lowering, RnnOfSomeSteps) {
  using schema::RnnDirection, schema::RnnKind;
  for (RnnKind kind : {RnnKind::lstm, RnnKind::gru, RnnKind::rnn})
    for (RnnDirection direction : {RnnDirection::forward, RnnDirection::reverse, RnnDirection::bidirectional})
      for (const auto& [batch, least, most] : {std::array<double, 3>{1, 0, 0.5}, {1, 3, 3.5}, {1, 5, 5.5}, {7, 0, 5.99}}) {
        const int64_t d = direction == RnnDirection::bidirectional ? 2 : 1, g = kind == RnnKind::lstm ? 4 : kind == RnnKind::gru ? 3 : 1;
        schema::Rnn op;
        op.kind = kind, op.direction = direction, op.hidden = 17, op.linear_before_reset = batch == 1;
        const Input lengths{{int64_t(batch)}, false, least, most, DType::i32};
        check({op, {{{5, int64_t(batch), 7}}, {{d, g * 17, 7}, true}, {{d, g * 17, 17}, true}, {{d, 2 * g * 17}, true}, lengths}});
      }
}
}  // namespace
}  // namespace engine
