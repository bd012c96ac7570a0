// Graphs built for a test, run by every kernel there is and by references, and compared.
#pragma once
#include <gmock/gmock.h>
#include <cstring>
#include <random>
#include "engine/frame.h"
#include "engine/plan.h"
#include "kernels/threads.h"
#include "tests/engine/graphs.h"

namespace engine::test {
inline ConstantPtr random_constant(const Shape& shape, unsigned seed, double largest = 1) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> number(-largest, largest);
  Object object;
  const View view = object.set_tensor(DType::f32, shape);
  for (int64_t i = 0; i < view.elements(); ++i) store(view, i, number(random));
  return make_constant(std::as_const(object).view());
}

struct Built {
  Graph graph;
  Rewriter r{graph};
  ValueId input(Dims dims) { return graph.add_input(cat("x", graph.inputs.size()), f32_type(std::move(dims))); }
  ValueId constant(const Shape& shape, double largest = 1) { return graph.add_constant(random_constant(shape, unsigned(graph.values.size()), largest)); }
  ValueId conv(ValueId x, int64_t channels, int64_t out, int64_t kernel, int64_t groups = 1) {
    const int64_t pad = kernel / 2, terms = channels / groups * kernel * kernel;
    return r.add(schema::Conv{{1, 1}, {1, 1}, {pad, pad, pad, pad}, groups, schema::AutoPad::none},
                 {x, constant({out, channels / groups, kernel, kernel}, 2 / std::sqrt(double(terms))), constant({out})}, {"conv"})[0];
  }
  ValueId mat_mul(ValueId x, int64_t k, int64_t n) { return r.add(schema::MatMul{}, {x, constant({k, n})}, {"product"})[0]; }
  void output(ValueId v) { graph.outputs.push_back({cat("y", graph.outputs.size()), v}); }
};

struct Ran {
  std::vector<std::string> steps;
  std::vector<Object> outputs;
};
inline Ran run(const Graph& graph, const CompileOptions& options, int threads) {
  kernels::ThreadPool pool(threads);
  RunOptions run_options;
  run_options.pool = &pool, run_options.threads = threads;
  Frame frame(std::make_shared<PlanCache>(graph, options), run_options);
  std::vector<ConstantPtr> inputs;
  std::vector<ConstView> views;
  for (ValueId v : graph.inputs) inputs.push_back(random_constant(graph[v].type.shape(), 77 + unsigned(inputs.size()))), views.push_back(inputs.back()->view());
  Ran ran;
  for (const ConstView& out : frame.run(views)) ran.outputs.emplace_back().assign(out);
  for (const Step& step : frame.plan()->steps) ran.steps.emplace_back(name(step.op.id()));
  return ran;
}

// Runs at every cap with and without fusion, and compares with references; gives the steps with it.
inline std::vector<std::string> steps_of(const Graph& graph) {
  std::vector<std::string> steps;
  for (const auto& level : kernels::isa::levels()) {
    if (!kernels::isa::runs(level.mask, kernels::isa::detected())) continue;
    CompileOptions fused, separate, reference;
    fused.isa = separate.isa = level.mask;
    fused.all_threads = true;
    separate.disabled_passes = {"fuse_epilogues", "fuse_strips"};
    reference.reference_only = true;
    const Ran a = run(graph, fused, 1), b = run(graph, separate, 1), c = run(graph, reference, 1), d = run(graph, fused, 3);
    EXPECT_LE(a.steps.size(), b.steps.size());
    for (size_t k = 0; k < a.outputs.size(); ++k) {
      const ConstView got = a.outputs[k].view();
      EXPECT_EQ(std::memcmp(got.data, d.outputs[k].bytes.data(), size_t(got.bytes())), 0) << "three threads give other bits";
      double largest = 1;  // what is small beside it is a sum of terms that are not
      for (int64_t i = 0; i < got.elements(); ++i) largest = std::max(largest, std::fabs(load<double>(c.outputs[k].view(), i)));
      for (int64_t i = 0; i < got.elements(); ++i)
        for (const Ran* other : {&b, &c}) {
          const double want = load<double>(other->outputs[k].view(), i);
          EXPECT_NEAR(load<double>(got, i), want, 1e-5 * largest) << level.name << ", output " << k << ", element " << i;
          if (testing::Test::HasFailure()) return {};
        }
    }
    steps = a.steps;
  }
  return steps;
}
inline int count(const std::vector<std::string>& steps, std::string_view op) { return int(std::ranges::count(steps, op)); }
}  // namespace engine::test
