// stress_sessions [--seconds N] [--seed N]: 8 threads create, run, cancel and destroy sessions of 3 models at random.
// They share one pool, the models' plans, packed weights and generated code; models are dropped and made anew too. Every
// result that is not cancelled must be what one thread alone computes. Meant for the tsan build.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <random>
#include <thread>
#include "engine/session.h"
#include "kernels/threads.h"

namespace {
using namespace engine;

// Numbers from -1 to 1, from the position and a seed alone.
void fill(const View& to, uint32_t seed) {
  for (int64_t i = 0; i < to.elements(); ++i) store(to, i, double((uint32_t(i + 1) * 2654435761u + seed * 40503u) >> 16) / 32768.0 - 1);
}
ConstantPtr weights(const Shape& shape, uint32_t seed) {
  Object object;
  fill(object.set_tensor(DType::f32, shape), seed);
  return make_constant(std::as_const(object).view());
}

// A net with kernels of every family, for any batch.
Graph net() {
  Graph graph;
  const ValueId x = graph.add_input("x", Type::tensor(DType::f32, Dims{Dim::symbol("n"), 3, 14, 14}));
  Rewriter r(graph);
  const schema::Conv padded{{1, 1}, {1, 1}, {1, 1, 1, 1}, 1, schema::AutoPad::none};
  schema::Conv depthwise = padded;
  depthwise.groups = 16;
  ValueId y = r.add(padded, {x, graph.add_constant(weights({16, 3, 3, 3}, 1)), graph.add_constant(weights({16}, 2))}, {"conv"})[0];
  y = r.add(schema::Unary{schema::UnaryKind::silu, 1}, {y}, {"silu"})[0];
  y = r.add(depthwise, {y, graph.add_constant(weights({16, 1, 3, 3}, 3))}, {"depthwise"})[0];
  y = r.add(schema::Reduce{schema::ReduceKind::mean, false}, {y, graph.add_constant(make_ints({2, 3}))}, {"mean"})[0];
  y = r.add(schema::MatMul{}, {y, graph.add_constant(weights({16, 40}, 4))}, {"product"})[0];
  graph.outputs = {{"y", r.add(schema::Softmax{}, {y}, {"softmax"})[0]}};
  return graph;
}

// A size that only the run tells, and a plan for what follows it.
Graph picker() {
  Graph graph;
  const ValueId x = graph.add_input("x", Type::tensor(DType::f32, Dims{Dim::symbol("n"), 5}));
  Rewriter r(graph);
  const ValueId positive = r.add(schema::Binary{schema::BinaryKind::greater}, {x, graph.add_constant(make_scalar(DType::f32, 0.25))}, {"greater"})[0];
  const ValueId at = r.add(schema::Transpose{{1, 0}}, {r.add(schema::NonZero{}, {positive}, {"at"})[0]}, {"turned"})[0];
  const ValueId picked = r.add(schema::GatherND{}, {x, at}, {"picked"})[0];
  graph.outputs = {{"y", r.add(schema::Unary{schema::UnaryKind::exp}, {picked}, {"exp"})[0]}};
  return graph;
}

// A loop, whose body is a plan of its own.
Graph loop() {
  Graph body;
  const ValueId i = body.add_input("i", Type::scalar(DType::i64)), go = body.add_input("go", Type::scalar(DType::boolean));
  const ValueId v = body.add_input("v", Type::tensor(DType::f32, Dims{Dim::unknown(), 8}));
  Rewriter in(body);
  const ValueId next = in.add(schema::Unary{schema::UnaryKind::tanh}, {in.add(schema::MatMul{}, {v, body.add_constant(weights({8, 8}, 9))}, {"step"})[0]}, {"tanh"})[0];
  body.outputs = {{"go", in.add(schema::Identity{}, {go}, {"go"})[0]}, {"next", next}};
  (void)i;
  Graph graph;
  const ValueId x = graph.add_input("x", Type::tensor(DType::f32, Dims{Dim::symbol("n"), 8}));
  Rewriter r(graph);
  const ValueId trips = graph.add_constant(make_scalar(DType::i64, int64_t{20})), yes = graph.add_constant(make_scalar(DType::boolean, int64_t{1}));
  graph.outputs = {{"y", r.add(schema::Loop{1}, {trips, yes, x}, {"loop"}, 1, {std::make_shared<const Graph>(body)})[0]}};
  return graph;
}

constexpr int models = 3, sizes = 20;  // more sizes than a plan cache keeps
Graph graph_of(int m) { return m == 0 ? net() : m == 1 ? picker() : loop(); }

struct Expected {
  Object input, output;
};

// The model at hand, which any thread may replace, and the sessions that any thread may cancel.
struct Shared {
  std::mutex mutex;
  std::shared_ptr<const Model> model[models];
  std::vector<Session*> running;
};

struct Counts {
  std::atomic<int64_t> sessions{0}, runs{0}, cancelled{0}, wrong{0}, reloaded{0};
};

void work(unsigned seed, std::chrono::steady_clock::time_point end, Shared& shared, const std::vector<Expected> (&expected)[models],
          kernels::ThreadPool& pool, Counts& counts) {
  std::mt19937 random(seed);
  while (std::chrono::steady_clock::now() < end && counts.wrong == 0) {
    const int m = int(random() % models);
    std::shared_ptr<const Model> model;
    {
      std::scoped_lock lock(shared.mutex);
      if (random() % 50 == 0) shared.model[m] = std::make_shared<const Model>(graph_of(m)), ++counts.reloaded;
      model = shared.model[m];
    }
    SessionOptions options;
    options.pool = &pool, options.threads = 1 + int(random() % 4);
    Session session(model, options);
    ++counts.sessions;
    {
      std::scoped_lock lock(shared.mutex);
      shared.running.push_back(&session);
    }
    for (unsigned n = 1 + random() % 4; n-- > 0;) {
      const Expected& e = expected[m][random() % sizes];
      session.set_input(0, e.input.view());
      if (random() % 4 == 0) {
        std::scoped_lock lock(shared.mutex);
        shared.running[random() % shared.running.size()]->cancel();
      }
      try {
        session.run();
        const ConstView got = session.output(0), want = e.output.view();
        if (!std::ranges::equal(got.shape, want.shape) || std::memcmp(got.data, want.data, size_t(want.bytes()))) ++counts.wrong;
        ++counts.runs;
      } catch (const Error& error) {
        if (error.code != Code::cancelled) std::printf("%s\n", error.what()), ++counts.wrong;
        ++counts.cancelled;
      }
    }
    std::scoped_lock lock(shared.mutex);
    std::erase(shared.running, &session);
  }
}
}  // namespace

int main(int argc, char** argv) {
  double seconds = 2;
  unsigned seed = 1;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (!std::strcmp(argv[i], "--seconds")) seconds = std::atof(argv[i + 1]);
    if (!std::strcmp(argv[i], "--seed")) seed = unsigned(std::atoi(argv[i + 1]));
  }
  kernels::ThreadPool pool(4), one(1);
  Shared shared;
  std::vector<Expected> expected[models];
  for (int m = 0; m < models; ++m) {
    shared.model[m] = std::make_shared<const Model>(graph_of(m));
    SessionOptions options;
    options.pool = &one;
    Session session(shared.model[m], options);
    for (int n = 0; n < sizes; ++n) {
      Expected& e = expected[m].emplace_back();
      Shape shape{1 + n % (m == 0 ? 3 : sizes)};
      for (const Dim& d : std::span(shared.model[m]->input(0).type.dims).subspan(1)) shape.push_back(d.value());
      fill(e.input.set_tensor(DType::f32, shape), unsigned(n));
      session.set_input(0, std::as_const(e.input).view());
      session.run();
      e.output.assign(session.output(0));
    }
  }
  Counts counts;
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration_cast<std::chrono::steady_clock::duration>(std::chrono::duration<double>(seconds));
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 8; ++t) threads.emplace_back(work, seed * 100 + t, end, std::ref(shared), std::cref(expected), std::ref(pool), std::ref(counts));
  for (std::thread& t : threads) t.join();
  std::printf("seed %u: %ld sessions, %ld runs, %ld cancelled, %ld models made anew, %ld wrong\n", seed, long(counts.sessions), long(counts.runs),
              long(counts.cancelled), long(counts.reloaded), long(counts.wrong));
  return counts.wrong != 0 || counts.runs == 0;
}
