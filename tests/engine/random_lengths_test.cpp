// A model that meets ever new lengths plans for each, and holds no more than its bound of plans. INLAY_RANDOM_LENGTHS=10000 takes as many
// runs, some minutes.
#include <cstdlib>
#include <fstream>
#include <random>
#include "engine/limits.h"
#include "tests/engine/compiled.h"

namespace engine {
namespace {
using namespace test;

size_t resident_bytes() {
  std::ifstream in("/proc/self/statm");
  size_t all = 0, resident = 0;
  in >> all >> resident;
  return resident * kernels::os::page_size();
}

// An encoder: attention by two heads of 16, and a product of 32 to 64 and back, as an exporter writes them.
Graph encoder() {
  Built b;
  constexpr int64_t width = 32, heads = 2, head = width / heads, layers = 2;
  ValueId x = b.input({1, Dim::symbol("length"), width});
  const auto ints = [&](std::initializer_list<int64_t> v) { return b.graph.add_constant(make_ints(v)); };
  const auto split = [&](ValueId v, std::vector<int64_t> order) {
    const ValueId parts = b.r.add(schema::Reshape{}, {v, ints({1, -1, heads, head})}, {"heads"})[0];
    return b.r.add(schema::Transpose{std::move(order)}, {parts}, {"turn"})[0];
  };
  for (int64_t i = 0; i < layers; ++i) {
    const ValueId q = split(b.mat_mul(x, width, width), {0, 2, 1, 3}), k = split(b.mat_mul(x, width, width), {0, 2, 3, 1}), v = split(b.mat_mul(x, width, width), {0, 2, 1, 3});
    const ValueId scores = b.r.add(schema::Softmax{}, {b.r.add(schema::MatMul{}, {q, k}, {"scores"})[0]}, {"softmax"})[0];
    const ValueId mixed = b.r.add(schema::Transpose{{0, 2, 1, 3}}, {b.r.add(schema::MatMul{}, {scores, v}, {"mix"})[0]}, {"back"})[0];
    const ValueId joined = b.r.add(schema::Reshape{}, {mixed, ints({1, -1, width})}, {"join"})[0];
    x = binary(b.r, BinaryKind::add, x, b.mat_mul(joined, width, width));
    x = binary(b.r, BinaryKind::add, x, b.mat_mul(unary(b.r, UnaryKind::relu, b.mat_mul(x, width, 2 * width)), 2 * width, width));
  }
  b.output(x);
  return b.graph;
}

TEST(RandomLengths, HoldABoundedNumberOfPlans) {
  const auto model = model_of(encoder());
  kernels::ThreadPool pool(2);
  Session session(model, {.threads = 2, .pool = &pool});
  const char* const asked = std::getenv("INLAY_RANDOM_LENGTHS");
  const int64_t longest = asked ? 512 : 256;  // emulators take minutes for the attention of 512 tokens
  const ConstantPtr values = random_constant({1, longest, 32}, 1);
  std::mt19937 random(7);
  const auto run = [&](int64_t length) {
    const int64_t shape[] = {1, length, 32};
    session.set_input(0, {DType::f32, shape, values->data, nullptr});
    session.run();
    return session.output(0);
  };
  // Enough for the arena and the allocator's own reserve to have met the longest.
  run(longest);
  for (int i = 0; i < 200; ++i) run(1 + int64_t(random() % longest));
  const size_t before = resident_bytes();
  size_t most = before;
  const int runs = asked ? std::atoi(asked) : 300;  // some 80 of these lengths are new: plans that are kept would take 8 MiB
  for (int i = 0; i < runs; ++i) {
    run(1 + int64_t(random() % longest));
    ASSERT_LE(model->plans()->kept(), size_t(limits::plans));
    if (i % 100 == 0) most = std::max(most, resident_bytes());
  }
  // A plan of this model takes some 100 KiB; 16 of them are kept.
  EXPECT_LE(most, before + (4 << 20)) << "after the first 200 lengths " << before << " bytes were resident";

  // A length that comes back gives what it gave.
  const ConstView one = run(77);
  const std::vector<double> first = numbers(one);
  for (int i = 0; i < 20; ++i) run(100 + i);
  EXPECT_EQ(numbers(run(77)), first);
}
}  // namespace
}  // namespace engine
