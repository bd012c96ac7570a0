// Updates whose places a plan knows.
#include "tests/engine/compiled.h"

namespace engine {
namespace {
using namespace test;

// Rows of a matrix, a slice of its middle, one element twice, all of it.
TEST(Scatter, ToConstantIndices) {
  const auto check = [](const Shape& indices, const schema::Ints& values, const Shape& updates) {
    Built b;
    Object object;
    const View view = object.set_tensor(DType::i64, indices);
    for (int64_t i = 0; i < view.elements(); ++i) store(view, i, Int(values[size_t(i)]));
    const ValueId x = b.input({4, 5}), at = b.graph.add_constant(make_constant(std::as_const(object).view()));
    b.output(b.r.add(schema::ScatterND{}, {unary(b.r, UnaryKind::neg, x), at, b.input(Dims(updates.begin(), updates.end()))}, {"scatter"})[0]);
    b.output(b.r.add(schema::ScatterND{}, {x, at, b.input(Dims(updates.begin(), updates.end()))}, {"scatter"})[0]);
    steps_of(b.graph);
    const Ran ran = run(b.graph, {}, 1);
    EXPECT_EQ(count(ran.kernels, "reference"), 0);
    EXPECT_EQ(count(ran.kernels, "copy"), 2);
  };
  check({2, 1}, {3, -3}, {2, 5});
  check({2, 3, 2}, {1, 1, 1, 2, 1, 3, 2, 1, 2, 2, 2, 3}, {2, 3});
  check({3, 2}, {0, 0, 2, 2, 0, 0}, {3});
  check({4, 1}, {0, 1, 2, 3}, {4, 5});
}
}  // namespace
}  // namespace engine
