// Weights of few bits: the same answer, but for the error that is stated.
#include "converter/convert.h"
#include "tests/engine/compiled.h"

namespace converter {
namespace {
using namespace engine;
using namespace engine::test;

struct Layers : Built {
  Layers() {
    const ValueId x = mat_mul(input({2, 3, 200}), 200, 130);
    output(r.add(schema::MatMul{false, true}, {unary(r, UnaryKind::tanh, x), constant({129, 130})}, {"transposed"})[0]);
    output(mat_mul(x, 130, 7));  // too small to be worth it
  }
};

TEST(NarrowWeights, GiveTheStatedError) {
  const Layers before;
  CompileOptions options;
  const Ran want = run(before.graph, options, 1);
  for (const auto& [dtype, least, most] : {std::tuple{DType::u4, 0.02, 0.1}, {DType::u8, 1e-3, 6e-3}, {DType::bf16, 5e-4, 3e-3}}) {
    Layers after;
    const NarrowWeights did = narrow_weights(after.graph, dtype);
    verify(after.graph);
    EXPECT_EQ(did.products, 2);
    EXPECT_EQ(did.elements, 200 * 130 + 130 * 129);
    EXPECT_GT(did.error, least) << name(dtype);
    EXPECT_LT(did.worst, most) << name(dtype);
    EXPECT_GE(did.worst, did.error);
    EXPECT_NE(did.worst_at.find(did.worst_at.find("product") == std::string::npos ? "transposed" : "product"), std::string::npos) << did.worst_at;
    const auto steps = steps_of(after.graph);  // kernels and references agree
    EXPECT_EQ(count(steps, "NarrowMatMul"), 2) << testing::PrintToString(steps);
    const Ran got = run(after.graph, options, 1);
    EXPECT_EQ(count(got.kernels, "reference"), 0) << testing::PrintToString(got.kernels);
    const Numbers a = numbers(want.outputs[0].view()), b = numbers(got.outputs[0].view());
    double errors = 0, squares = 0;
    for (size_t i = 0; i < a.size(); ++i) errors += (a[i] - b[i]) * (a[i] - b[i]), squares += a[i] * a[i];
    EXPECT_LT(std::sqrt(errors / squares), 2 * did.worst) << name(dtype);
    EXPECT_GT(std::sqrt(errors / squares), did.error / 10) << name(dtype);
  }
}

TEST(NarrowWeights, ZeroStaysZero) {
  Graph graph;
  Rewriter r(graph);
  Object w;
  const View view = w.set_tensor(DType::f32, Shape{128, 128});
  for (int64_t i = 0; i < view.elements(); ++i) store(view, i, i % 3 == 0 ? 0.0 : double(i % 7) + 5);
  const ValueId x = graph.add_input("x", f32_type({1, 128}));
  graph.outputs.push_back({"y", r.add(schema::MatMul{}, {x, graph.add_constant(make_constant(std::as_const(w).view()))}, {"product"})[0]});
  narrow_weights(graph, DType::u4);
  for (int64_t k = 0; k < 128; k += 3) {  // a row of zeros and fives to elevens
    Object unit;
    const View one = unit.set_tensor(DType::f32, Shape{1, 128});
    for (int64_t i = 0; i < 128; ++i) store(one, i, double(i == k));
    const ConstView in[] = {std::as_const(unit).view()};
    CompileOptions options;
    RunOptions run_options;
    kernels::ThreadPool pool(1);
    run_options.pool = &pool;
    Frame frame(std::make_shared<PlanCache>(graph, options), run_options);
    const Numbers y = numbers(frame.run(in)[0]);
    for (int64_t n = (3 - k * 128 % 3) % 3; n < 128; n += 3) EXPECT_EQ(y[size_t(n)], 0) << k << "," << n;
  }
}

TEST(NarrowWeights, Errors) {
  Graph graph;
  EXPECT_ERROR(narrow_weights(graph, DType::i8), "i8", "bf16");
  Built b;
  const auto with = [&](Dims w, DType dtype, int64_t block, Dims scale) {
    const ValueId wide = b.graph.add_input("w", Type::tensor(dtype, std::move(w)));
    const ValueId s = scale.empty() ? ValueId::none : b.graph.add_input("s", f32_type(std::move(scale)));
    return error_of([&] { b.r.add(schema::NarrowMatMul{block}, {b.input({1, 64}), wide, s}, {"narrow"}); });
  };
  EXPECT_EQ(with({8, 64}, DType::u4, 32, {8, 2}), "no error");
  EXPECT_NE(with({8, 64}, DType::u4, 31, {8, 2}).find("blocks of 31"), std::string::npos);
  EXPECT_NE(with({8, 60}, DType::u4, 32, {8, 2}).find("[8,60]"), std::string::npos);
  EXPECT_NE(with({8, 64}, DType::u8, 32, {8, 3}).find("[8,3]"), std::string::npos);
  EXPECT_NE(with({8, 64}, DType::bf16, 32, {8, 2}).find("bf16"), std::string::npos);
  EXPECT_NE(with({8, 64}, DType::u8, 32, {}).find("scale"), std::string::npos);
  EXPECT_NE(with({8, 64}, DType::i8, 32, {8, 2}).find("i8"), std::string::npos);
}
}  // namespace
}  // namespace converter
