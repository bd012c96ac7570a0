// A recurrent model over a long stream: its state fed back by the session and by the caller, and no heap allocation
// once it runs steadily. An executable of its own, since it counts every allocation of the process.
#include <gtest/gtest.h>
#include <algorithm>
#include <cmath>
#include <new>
#include <random>
#include "converter/convert.h"
#include "kernels/threads.h"
#include "tests/count_allocations.h"
#include "tests/models/golden.h"

namespace test {
namespace {
constexpr int64_t samples = 512, frames = 1000;

// Seeded noise, and tones that come and go.
std::vector<float> signal() {
  std::vector<float> x(size_t(samples * frames));
  std::mt19937 random(1);
  std::uniform_real_distribution<float> noise(-0.05f, 0.05f);
  for (size_t i = 0; i < x.size(); ++i) {
    const double t = double(i) / 16000, loud = 0.4 * (1 + std::sin(t * 0.7));
    x[i] = noise(random) + float(loud * (std::sin(t * 2 * M_PI * 180) + 0.5 * std::sin(t * 2 * M_PI * 730)));
  }
  return x;
}

template <class T> ConstView view(const T* data, std::span<const int64_t> shape, DType dtype) {
  return {dtype, shape, reinterpret_cast<const std::byte*>(data), nullptr};
}

class Silero : public testing::Test {
 protected:
  void SetUp() override {
    const auto path = shared_folder() / "models" / "silero_vad_v5" / "model.onnx";
    if (!std::filesystem::exists(path)) GTEST_SKIP() << "no model silero_vad_v5";
    Graph graph = converter::convert(path.string());
    const auto input = [&](const char* name) {
      return size_t(std::ranges::find(graph.inputs, name, [&](ValueId v) { return graph[v].name; }) -
                    graph.inputs.begin());
    };
    graph.states.push_back({input("state"), size_t(std::ranges::find(graph.outputs, "stateN", &GraphOutput::name) -
                                                   graph.outputs.begin())});
    model_ = std::make_shared<const Model>(std::move(graph));
  }

  // `rate` and the shapes outlive the session's use of them.
  void feed(Session& session) const {
    session.set_input(model_->find_input("sr"), view(&rate_, {}, DType::i64));
    session.set_input(model_->find_input("state"), view(zeros_.data(), state_shape_, DType::f32));
  }
  void frame(Session& session, const std::vector<float>& x, int64_t f) const {
    session.set_input(model_->find_input("input"), view(x.data() + f * samples, frame_shape_, DType::f32));
  }

  std::shared_ptr<const Model> model_;
  const int64_t rate_ = 16000;
  const Shape frame_shape_{1, samples}, state_shape_{2, 1, 128};
  const std::vector<float> zeros_ = std::vector<float>(256);
};

TEST_F(Silero, StatesOfTheSessionAreTheSameAsThoseFedBack) {
  const auto x = signal();
  Session own(model_), fed(model_, {.threads = 0, .pool = nullptr, .own_states = false});
  feed(own), feed(fed);
  const size_t state = model_->find_input("state"), probability = model_->find_output("output"),
               next = model_->find_output("stateN");
  Object kept;
  double least = 1, most = 0;
  for (int64_t f = 0; f < frames; ++f) {
    frame(own, x, f), frame(fed, x, f);
    own.run(), fed.run();
    for (size_t k : {probability, next}) {
      const auto a = own.output(k), b = fed.output(k);
      ASSERT_EQ(std::memcmp(a.data, b.data, size_t(b.bytes())), 0)
          << "frame " << f << ", output " << model_->output_name(k);
    }
    const double p = load<double>(own.output(probability), 0);
    least = std::min(least, p), most = std::max(most, p);
    kept.assign(fed.output(next));
    fed.set_input(state, std::as_const(kept).view());
  }
  EXPECT_GT(most - least, 1e-3);  // the states made a difference
}

TEST_F(Silero, RunsWithoutAllocation) {
  if (!counts) GTEST_SKIP() << "allocations are not counted in a sanitised build";
  const auto x = signal();
  kernels::ThreadPool pool(2);
  Session session(model_, {.threads = 0, .pool = &pool, .own_states = true});
  feed(session);
  frame(session, x, 0);
  for (int warm_up = 0; warm_up < 3; ++warm_up) session.run();
  const size_t input = model_->find_input("input");
  const int64_t before = allocations;
  for (int64_t f = 1; f < frames; ++f) {
    session.set_input(input, view(x.data() + f * samples, frame_shape_, DType::f32));
    session.run();
  }
  EXPECT_EQ(allocations - before, 0);
}

TEST(Allocations, AreCounted) {
  if (!counts) GTEST_SKIP() << "allocations are not counted in a sanitised build";
  const int64_t before = allocations;
  ::operator delete(::operator new(1));
  EXPECT_EQ(allocations - before, 1);
  ::operator delete(::operator new(64, std::align_val_t(64)), std::align_val_t(64));
  EXPECT_EQ(allocations - before, 2);
}
}  // namespace
}  // namespace test
