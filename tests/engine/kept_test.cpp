// What a CPU with arithmetic in half precision keeps so between steps, where the plan may round.
#include "tests/engine/compiled.h"

namespace engine {
namespace {
using namespace test;

CompileOptions rounding() {
  CompileOptions options;
  options.precision = kernels::Precision::f16, options.all_threads = true;
  return options;
}
bool has_halves() { return kernels::isa::runs(kernels::isa::neon_fp16, kernels::isa::detected()); }
#define NEEDS_HALVES() \
  if (!has_halves()) GTEST_SKIP() << "the CPU has no arithmetic in half precision"

// By step: its kernel, and whether what it makes is kept as half.
std::vector<std::pair<std::string, bool>> kept_by(const Graph& graph, const CompileOptions& options) {
  Types types;
  for (ValueId v : graph.inputs) types.push_back(graph[v].type);
  PlanCache plans(graph, options);
  const auto plan = plans.get(types);
  std::vector<std::pair<std::string, bool>> all;
  for (const Step& step : plan->steps) all.emplace_back(std::string(step.kernel), plan->values[step.outputs[0]].kept == DType::f16);
  return all;
}

// Within `tolerance` of the references' largest number, and the same bits on three threads.
void expect_close(const Graph& graph, double tolerance) {
  CompileOptions references;
  references.reference_only = true;
  const Ran want = run(graph, references, 1), got = run(graph, rounding(), 1), again = run(graph, rounding(), 3);
  for (size_t k = 0; k < want.outputs.size(); ++k) {
    const ConstView w = want.outputs[k].view(), g = got.outputs[k].view();
    double most = 0, largest = 1e-30;
    for (int64_t i = 0; i < w.elements(); ++i) {
      const auto v = load<double>(w, i);
      most = std::max(most, std::fabs(v - load<double>(g, i))), largest = std::max(largest, std::fabs(v));
    }
    EXPECT_LE(most, tolerance * largest) << "output " << k;
    EXPECT_EQ(std::memcmp(g.data, again.outputs[k].view().data, size_t(w.elements()) * sizeof(float)), 0) << "output " << k;
  }
  for (const std::string& kernel : got.kernels) EXPECT_NE(kernel, "reference");
}

ValueId pool(Built& b, ValueId x, schema::PoolKind kind) {
  return b.r.add(schema::Pool{.kind = kind, .kernel = {3, 3}, .stride = {2, 2}, .dilation = {1, 1}, .pad = {1, 1, 1, 1}}, {x}, {"pool"})[0];
}
ValueId mean(Built& b, ValueId x) { return b.r.add(schema::Reduce{schema::ReduceKind::mean}, {x, b.graph.add_constant(make_ints({2, 3}))}, {"mean"})[0]; }

// A residual block, pooling, a depthwise convolution, parts of a concat in their place, and what follows from a mean of pixels.
TEST(KeptAsHalf, BetweenConvolutions) {
  NEEDS_HALVES();
  Built b;
  const ValueId stem = unary(b.r, UnaryKind::relu, b.conv(b.input({1, 3, 34, 30}), 3, 24, 3));
  const ValueId pooled = pool(b, stem, schema::PoolKind::max);
  const ValueId wide = unary(b.r, UnaryKind::silu, b.conv(pooled, 24, 40, 1));  // no tile has it
  const ValueId filtered = unary(b.r, UnaryKind::relu, b.conv(wide, 40, 40, 3, 40));
  const ValueId narrow = binary(b.r, BinaryKind::add, b.conv(filtered, 40, 24, 1), pooled);
  const ValueId both = b.r.add(schema::Concat{1}, {narrow, b.conv(pooled, 24, 16, 3)}, {"join"})[0];
  const ValueId scaled = binary(b.r, BinaryKind::mul, both, unary(b.r, UnaryKind::sigmoid, b.conv(mean(b, both), 40, 40, 1)));
  b.output(b.conv(pool(b, scaled, schema::PoolKind::average), 40, 16, 1));
  const auto kept = kept_by(b.graph, rounding());
  const auto halves = [](std::string_view kernel) { return [kernel](const auto& step) { return step.second && std::string_view(step.first).starts_with(kernel); }; };
  for (const char* kernel : {"conv_f16", "depthwise_f16", "pool_f16", "pointwise_"}) EXPECT_TRUE(std::ranges::any_of(kept, halves(kernel))) << kernel;
  EXPECT_FALSE(kept.back().second) << "outputs are in f32";
  expect_close(b.graph, 1.5e-2);
}

TEST(KeptAsHalf, BetweenWinogradConvolutions) {
  NEEDS_HALVES();
  Built b;
  ValueId x = b.conv(b.input({1, 32, 46, 44}), 32, 32, 1);
  const ValueId skip = x;
  for (int i = 0; i < 2; ++i) x = unary(b.r, UnaryKind::relu, b.conv(x, 32, 32, 3));
  b.output(b.conv(binary(b.r, BinaryKind::add, b.conv(x, 32, 32, 3), skip), 32, 16, 1));
  const auto kept = kept_by(b.graph, rounding());
  EXPECT_EQ(std::ranges::count_if(kept, [](const auto& step) { return step.second && step.first.starts_with("winograd"); }), 3);
  expect_close(b.graph, 3e-2);
}

TEST(KeptAsHalf, WithinStrips) {
  NEEDS_HALVES();
  Built b;
  const auto block = [&](ValueId x, int64_t channels, int64_t out) {
    const ValueId expanded = unary(b.r, UnaryKind::relu, b.conv(x, channels, 96, 1));
    const ValueId y = b.conv(unary(b.r, UnaryKind::relu, b.conv(expanded, 96, 96, 3, 96)), 96, out, 1);
    return channels == out ? binary(b.r, BinaryKind::add, y, x) : y;
  };
  b.output(b.conv(block(block(b.input({2, 16, 47, 41}), 16, 16), 16, 24), 24, 8, 1));
  const auto kept = kept_by(b.graph, rounding());
  EXPECT_TRUE(std::ranges::any_of(kept, [](const auto& step) { return step.second && step.first == "conv_strips"; }));
  expect_close(b.graph, 1.5e-2);
}

// Where something between takes f32 alone, what it reads and writes is that: here a kernel that is dilated, and one in groups.
TEST(KeptAsHalf, NotWhatOnlyF32Reads) {
  NEEDS_HALVES();
  Built b;
  ValueId x = b.conv(b.input({1, 16, 20, 20}), 16, 32, 1);
  x = b.r.add(schema::Conv{{1, 1}, {2, 2}, {2, 2, 2, 2}, 32, schema::AutoPad::none}, {x, b.constant({32, 1, 3, 3}, 0.5), b.constant({32})}, {"dilated"})[0];
  x = b.conv(b.conv(x, 32, 32, 1), 32, 32, 1);
  b.output(b.conv(b.conv(x, 32, 32, 3, 8), 32, 16, 1));
  const auto kept = kept_by(b.graph, rounding());
  EXPECT_EQ(std::ranges::count_if(kept, [](const auto& step) { return step.second; }), 1) << "between the two that follow each other";
  expect_close(b.graph, 1.5e-2);
}

// A strict plan, and one that may not round, keep nothing so; nor does a CPU without the arithmetic.
TEST(KeptAsHalf, OnlyWhereThePlanMay) {
  Built b;
  b.output(b.conv(b.conv(b.input({1, 16, 20, 20}), 16, 32, 1), 32, 16, 1));
  const auto any = [&](const CompileOptions& options) { return std::ranges::any_of(kept_by(b.graph, options), [](const auto& step) { return step.second; }); };
  CompileOptions strict = rounding(), capped = rounding();
  strict.strict = true, capped.isa = has_halves() ? kernels::isa::neon : kernels::isa::scalar;
  EXPECT_EQ(any(rounding()), has_halves());
  EXPECT_FALSE(any({}));
  EXPECT_FALSE(any(strict));
  EXPECT_FALSE(any(capped));
}

TEST(KeptAsHalf, NumbersBeyondHalfStayFinite) {
  NEEDS_HALVES();
  Built b;
  const auto number = [&](double v) { return b.graph.add_constant(make_scalar(DType::f32, v)); };
  const ValueId large = binary(b.r, BinaryKind::mul, b.conv(b.input({1, 16, 20, 20}), 16, 32, 1), number(1e6));
  b.output(binary(b.r, BinaryKind::mul, pool(b, large, schema::PoolKind::max), number(1e-6)));
  const Ran got = run(b.graph, rounding(), 1);
  double most = 0;
  for (double v : numbers(got.outputs[0].view())) {
    ASSERT_TRUE(std::isfinite(v));
    most = std::max(most, std::fabs(v));
  }
  EXPECT_GT(most, 0.01);
}
}  // namespace
}  // namespace engine
