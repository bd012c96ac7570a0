// A decoder whose past grows by one token per run.
#include <gtest/gtest.h>
#include "converter/convert.h"
#include "engine/shape.h"
#include "kernels/threads.h"
#include "tests/models/golden.h"

namespace test {
namespace {
class Gpt2 : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = shared_folder() / "models" / "gpt2_past_tiny";
    if (!std::filesystem::exists(folder_ / "model.onnx")) GTEST_SKIP() << "no model gpt2_past_tiny in " << folder_.parent_path();
    golden_ = read_golden(folder_ / "golden");
    graph_ = converter::convert((folder_ / "model.onnx").string());
  }

  // Feeds the presents of each run as the pasts of the next, and calls f(step, session) after each.
  template <class F> void decode(const Graph& graph, int steps, F&& f) {
    kernels::ThreadPool pool(1);
    Session session(std::make_shared<const Model>(graph), {.threads = 1, .pool = &pool});
    std::vector<Object> past;
    for (const Named& input : golden_.inputs) past.emplace_back().assign(input.value.view());
    for (int step = 0; step < steps; ++step) {
      for (size_t k = 0; k < past.size(); ++k) session.set_input(session.model().find_input(golden_.inputs[k].name), std::as_const(past[k]).view());
      session.run();
      f(step, session);
      for (size_t k = 1; k < past.size(); ++k)
        past[k].assign(session.output(session.model().find_output("present_" + golden_.inputs[k].name.substr(5))));
    }
  }

  std::filesystem::path folder_;
  Golden golden_;
  Graph graph_;
};

// What ONNX Runtime gives with its AttentionFusion disabled, that is, with the divisors that the model has.
TEST_F(Gpt2, DividesByWhatTheModelSays) {
  decode(graph_, 1, [](int, Session& session) {
    const Shape shape{1, 1, 4};
    const float want[] = {0.2948087f, 2.10276f, -2.3236299f, -0.6044185f};
    const ConstView expected{DType::f32, shape, reinterpret_cast<const std::byte*>(want), nullptr};
    EXPECT_EQ(difference(session.output(session.model().find_output("last_state")), expected, 1e-3, 1e-4), "");
  });
}

TEST_F(Gpt2, OnePlanServesAGrowingPast) {
  constexpr int steps = 4;  // positions 4 to 7: the model has 8
  std::vector<std::vector<Object>> want;
  decode(graph_, steps, [&](int, Session& session) {
    auto& outputs = want.emplace_back(session.model().outputs());
    for (size_t k = 0; k < outputs.size(); ++k) outputs[k].assign(session.output(k));
  });
  Graph bounded = graph_;
  for (ValueId v : bounded.inputs)
    if (bounded[v].name.starts_with("past_")) bounded[v].type.dims[3] = Dim::symbol("past", 0, 7);
  infer_types(bounded);
  const Plan* plan = nullptr;
  decode(bounded, steps, [&](int step, Session& session) {
    if (step == 0) plan = session.frame().plan();
    EXPECT_EQ(session.frame().plan(), plan) << "step " << step << " needed another plan";
    EXPECT_FALSE(session.frame().tail()) << "a size was left to the run";
    for (size_t k = 0; k < want[step].size(); ++k)
      EXPECT_EQ(difference(session.output(k), std::as_const(want[step][k]).view(), 1e-5, 1e-6), "") << "step " << step << ", output " << session.model().output_name(k);
  });
}
}  // namespace
}  // namespace test
