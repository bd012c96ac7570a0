// A decoder whose cache grows by a token a run, in one plan.
#include "tests/engine/compiled.h"

namespace engine {
namespace {
using namespace test;
constexpr int64_t heads = 3, size = 16, width = heads * size, most = 1100;

// Two layers of attention over [1,heads,past,size], and what a token adds to it. Without `past`: over all tokens at once, causally.
struct Decoder : Built {
  Dim past;
  int64_t tokens;
  Decoder(Dim past, int64_t tokens) : past(std::move(past)), tokens(tokens) {
    ValueId x = input({1, tokens, width});
    for (int layer = 0; layer < 2; ++layer) x = binary(r, BinaryKind::add, x, attend(x, layer));
    graph.outputs.push_back({"y", x});
    for (size_t k = 0; k < presents.size(); ++k) {
      graph.outputs.push_back({cat("present", k), presents[k]});
      graph.states.push_back({k + 1, k + 1});
    }
  }

 private:
  std::vector<ValueId> presents;
  ValueId ints(schema::Ints values) { return graph.add_constant(make_ints(values)); }
  ValueId transpose(ValueId v, schema::Ints perm) { return r.add(schema::Transpose{std::move(perm)}, {v}, {"transpose"})[0]; }
  // The same weights in every decoder.
  ValueId project(ValueId x, unsigned seed) {
    return r.add(schema::MatMul{}, {x, graph.add_constant(random_constant({width, width}, seed, 0.25))}, {"product"})[0];
  }
  ValueId split(ValueId x, schema::Ints perm) {
    return transpose(r.add(schema::Reshape{}, {x, ints({1, tokens, heads, size})}, {"reshape"})[0], std::move(perm));
  }
  ValueId cached(ValueId fresh) {
    if (past == Dim(0)) return fresh;
    const ValueId old = graph.add_input(cat("past", presents.size()), f32_type({1, heads, past, size}));
    presents.push_back(r.add(schema::Concat{2}, {old, fresh}, {"present"})[0]);
    return presents.back();
  }
  ValueId attend(ValueId x, int layer) {
    const unsigned seed = unsigned(layer) * 10;
    const ValueId q = split(project(x, seed), {0, 2, 1, 3}), k = cached(split(project(x, seed + 1), {0, 2, 1, 3})), v = cached(split(project(x, seed + 2), {0, 2, 1, 3}));
    ValueId scores = binary(r, BinaryKind::mul, r.add(schema::MatMul{}, {q, transpose(k, {0, 1, 3, 2})}, {"scores"})[0], graph.add_constant(make_scalar(DType::f32, 0.25)));
    if (tokens > 1) {
      Object triangle;
      const View mask = triangle.set_tensor(DType::f32, Shape{tokens, tokens});
      for (int64_t i = 0; i < mask.elements(); ++i) store(mask, i, i % tokens <= i / tokens ? 0.0 : -INFINITY);
      scores = binary(r, BinaryKind::add, scores, graph.add_constant(make_constant(std::as_const(triangle).view())));
    }
    const ValueId mixed = r.add(schema::MatMul{}, {r.add(schema::Softmax{}, {scores}, {"softmax"})[0], v}, {"mixed"})[0];
    return project(r.add(schema::Reshape{}, {transpose(mixed, {0, 2, 1, 3}), ints({1, tokens, width})}, {"reshape"})[0], seed + 3);
  }
};

TEST(Decoder, AThousandTokensPlanOnceAndAllocateNothing) {
  constexpr int64_t tokens = 1000;
  const ConstantPtr prompt = random_constant({1, tokens, width}, 5);
  Session whole(model_of(Decoder(0, tokens).graph));
  whole.set_input(0, prompt->view());
  whole.run();
  const Numbers want = numbers(whole.output(0));

  Session session(model_of(Decoder(Dim::symbol("past", 0, most), 1).graph));
  const ConstantPtr none = f32_iota({1, heads, 0, size});
  for (size_t k = 1; k <= 4; ++k) session.set_input(k, none->view());
  std::optional<int64_t> before;
  const Plan* plan = nullptr;
  const int64_t shape[] = {1, 1, width};
  for (int64_t i = 0; i < tokens; ++i) {
    session.set_input(0, {DType::f32, shape, prompt->view().data + i * width * int64_t(sizeof(float)), nullptr});
    session.run();
    if (i == 1) before = allocations_so_far(), plan = session.frame().plan();  // both halves of the caches are there
    const ConstView y = session.output(0);
    for (int64_t c = 0; c < width; ++c) ASSERT_NEAR(load<double>(y, c), want[size_t(i * width + c)], 1e-4) << "token " << i << ", channel " << c;
    ASSERT_EQ(session.output(1).shape[2], i + 1);
  }
  EXPECT_EQ(allocations_so_far(), before);
  EXPECT_EQ(session.frame().plan(), plan);
  EXPECT_TRUE(std::ranges::none_of(plan->steps, [](const Step& s) { return s.kernel == "reference"; }));
  EXPECT_EQ(plan->growing.size(), 4u);
}

// A session that owns its caches beside one whose caller feeds them.
struct Twins {
  std::shared_ptr<const Model> model = model_of(Decoder(Dim::symbol("past", 0, 64), 1).graph);
  Session own{model}, fed{model, {.own_states = false}};
  ConstantPtr none = f32_iota({1, heads, 0, size}), x;
  std::vector<Object> kept = std::vector<Object>(5);
  Twins() { empty(own), empty(fed); }
  void empty(Session& s) const {
    for (size_t k = 1; k <= 4; ++k) s.set_input(k, none->view());
  }
  void run(unsigned token) {
    x = random_constant({1, 1, width}, token);
    own.set_input(0, x->view()), fed.set_input(0, x->view());
    own.run(), fed.run();
  }
  void feed() {
    for (size_t k = 1; k <= 4; ++k) kept[k].assign(fed.output(k)), fed.set_input(k, std::as_const(kept[k]).view());
  }
};

// A cache is written where it lies; what needs it dense gets it so, and it may come from elsewhere at any time.
TEST(Decoder, ACacheThatGrowsInPlaceIsDenseWhereAsked) {
  Twins t;
  Object bound;
  int64_t observed = 0;
  for (unsigned i = 0; i < 24; ++i) {
    if (i == 4) t.own.set_observer([&](const Plan&, size_t, double, const RunContext& c) {
      ++observed;
      for (size_t k = 0; k < c.inputs(); ++k) EXPECT_EQ(c.in(k).pitch, 0);
    });
    if (i == 6) t.own.set_observer(nullptr);
    if (i == 9) { bound.set_tensor(DType::f32, Shape{1, heads, 10, size}), t.own.set_output(2, {DType::f32, bound.shape, bound.bytes.data(), nullptr}); }
    if (i == 10) t.own.set_output(2, {});
    if (i == 15) t.own.set_input(3, std::as_const(t.kept[3]).view());
    t.run(i);
    for (size_t k = 0; k < 5; k += i % 4 ? 4 : 1) ASSERT_EQ(numbers(t.own.output(k)), numbers(t.fed.output(k))) << "output " << k << " of run " << i;
    if (i == 9) { EXPECT_EQ(numbers(std::as_const(bound).view()), numbers(t.fed.output(2))); }
    t.feed();
  }
  EXPECT_GT(observed, 0);
  EXPECT_FALSE(t.own.frame().plan()->growing.empty());
}

// A caller that owns the caches gets the same.
TEST(Decoder, AgainstCachesOfTheCallers) {
  Twins t;
  for (unsigned i = 0; i < 20; ++i) {
    t.run(i);
    for (size_t k = 0; k < 5; ++k) EXPECT_EQ(numbers(t.own.output(k)), numbers(t.fed.output(k))) << "output " << k << " of run " << i;
    t.feed();
  }
  t.own.reset_states();
  EXPECT_ERROR(t.own.run(), "past", "first value");
  t.empty(t.own);
  t.own.run();
  EXPECT_EQ(t.own.output(1).shape[2], 1);
  t.own.reset_states();  // nobody has asked for the cache, which lies with room
  EXPECT_EQ(t.own.output(2).data, nullptr);
}

}  // namespace
}  // namespace engine
