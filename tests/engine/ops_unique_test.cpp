// Unique, and TfIdfVectorizer, which counts what is there.
#include "tests/engine/op_case.h"

#pragma GCC diagnostic ignored "-Wmissing-field-initializers"  // an op's other fields keep their defaults

namespace engine {
namespace {
using namespace test;
using schema::TfIdfMode, schema::TfIdfVectorizer, schema::Unique;
using Numbers = std::vector<double>;
using Words = std::vector<std::string>;

// y as text, then the other three outputs.
struct Result {
  Numbers y;
  Shape shape;
  Numbers first, which, counts;
};
Result unique(const Unique& op, const ConstantPtr& x) {
  const auto out = run(op, {x}, 4);
  return {x->dtype == DType::string ? Numbers{} : values(out[0]), out[0].shape, values(out[1]), values(out[2]),
          values(out[3])};
}

TEST(UniqueOp, FlatAscendingOrAsTheyCome) {
  const auto x = f32({2, 3}, {2, 1, 1, 3, 4, 3});
  const Result sorted = unique({}, x), seen = unique({.sorted = false}, x);
  EXPECT_EQ(sorted.y, (Numbers{1, 2, 3, 4}));
  EXPECT_EQ(sorted.first, (Numbers{1, 0, 3, 4}));
  EXPECT_EQ(sorted.which, (Numbers{1, 0, 0, 2, 3, 2}));
  EXPECT_EQ(sorted.counts, (Numbers{2, 1, 2, 1}));
  EXPECT_EQ(seen.y, (Numbers{2, 1, 3, 4}));
  EXPECT_EQ(seen.first, (Numbers{0, 1, 3, 4}));
  EXPECT_EQ(seen.which, (Numbers{0, 1, 1, 2, 3, 2}));
  EXPECT_EQ(seen.counts, (Numbers{1, 2, 2, 1}));
  EXPECT_EQ(unique({}, f32({}, {5})).shape, Shape{1});
  EXPECT_EQ(unique({}, f32({0, 3}, {})).which, Numbers{});
  EXPECT_EQ(numbers(Unique{}, {x}), (Numbers{1, 2, 3, 4}));
}

TEST(UniqueOp, SlicesAlongAnAxis) {
  const auto rows = f32({3, 3}, {2, 3, 4, 1, 0, 0, 1, 0, 0});
  const Result y = unique({.axis = 0, .flat = false}, rows);
  EXPECT_EQ(y.y, (Numbers{1, 0, 0, 2, 3, 4}));
  EXPECT_EQ(y.first, (Numbers{1, 0}));
  EXPECT_EQ(y.which, (Numbers{1, 0, 0}));
  EXPECT_EQ(y.counts, (Numbers{2, 1}));
  const Result columns = unique({.axis = -1, .flat = false}, rows);
  EXPECT_EQ(columns.y, (Numbers{2, 3, 4, 1, 0, 0, 1, 0, 0}));
  const Result unsorted = unique({.axis = 0, .flat = false, .sorted = false}, rows);
  EXPECT_EQ(unsorted.y, (Numbers{2, 3, 4, 1, 0, 0}));
  EXPECT_EQ(unsorted.which, (Numbers{0, 1, 1}));
  const Result middle =
      unique({.axis = 1, .flat = false}, f32({2, 4, 2}, {1, 1, 0, 1, 2, 1, 0, 1, 1, 1, 0, 1, 2, 1, 0, 1}));
  EXPECT_EQ(middle.y, (Numbers{0, 1, 1, 1, 2, 1, 0, 1, 1, 1, 2, 1}));
  EXPECT_EQ(middle.first, (Numbers{1, 0, 2}));
  EXPECT_EQ(middle.which, (Numbers{1, 0, 2, 0}));
  EXPECT_EQ(middle.counts, (Numbers{2, 1, 1}));
  EXPECT_EQ(unique({.axis = 0, .flat = false}, f32({3, 0}, {})).shape, (Shape{1, 0}));  // rows of nothing are equal
  EXPECT_EQ(unique({.axis = 1, .flat = false}, f32({3, 0}, {})).shape, (Shape{3, 0}));
  expect_error(Unique{.axis = 2, .flat = false}, {rows}, "out of range");
  expect_error(Unique{.axis = 0, .flat = false}, {f32({}, {1})}, "out of range");
}

TEST(UniqueOp, NanAndZero) {
  const Result flat = unique({}, f32({6}, {nan, 1, nan, -0.0, 0, 2}));
  EXPECT_EQ(Numbers(flat.y.begin(), flat.y.begin() + 3), (Numbers{0, 1, 2}));
  EXPECT_TRUE(std::signbit(flat.y[0]) && std::isnan(flat.y[3]));
  EXPECT_EQ(flat.first, (Numbers{3, 1, 5, 0}));
  EXPECT_EQ(flat.which, (Numbers{3, 1, 3, 0, 0, 2}));
  const Result rows = unique({.axis = 0, .flat = false}, f32({6, 2}, {nan, 1, nan, 1, 0, 1, -0.0, 1, 0, nan, 0, nan}));
  EXPECT_EQ(rows.first, (Numbers{2, 4, 5, 0, 1}));
  EXPECT_EQ(rows.which, (Numbers{3, 4, 0, 0, 1, 2}));
  EXPECT_EQ(rows.counts, (Numbers{2, 1, 1, 1, 1}));
}

TEST(UniqueOp, EveryDtype) {
  for (DType d : {DType::f32, DType::f64, DType::f16, DType::bf16, DType::i8, DType::i16, DType::i32, DType::i64,
                  DType::u8, DType::u16, DType::u32, DType::u64}) {
    const Result y = unique({}, tensor(d, {5}, {3, 1, 3, 2, 1}));
    EXPECT_EQ(y.y, (Numbers{1, 2, 3})) << name(d);
    EXPECT_EQ(y.counts, (Numbers{2, 1, 2})) << name(d);
  }
  EXPECT_EQ(unique({}, tensor(DType::boolean, {3}, {1, 0, 1})).y, (Numbers{0, 1}));
  const int64_t large[] = {INT64_MAX, INT64_MAX - 1, INT64_MAX};
  const Shape three{3};
  EXPECT_EQ(unique({}, make_constant({DType::i64, three, reinterpret_cast<const std::byte*>(large), nullptr})).counts,
            (Numbers{1, 2}));
  EXPECT_EQ(unique({}, make_constant({DType::u64, three, reinterpret_cast<const std::byte*>(large), nullptr})).first,
            (Numbers{1, 0}));
  const auto words = make_strings({2, 2}, {"b", "a", "b", "a"});
  const auto out = run(Unique{}, {words}, 4);
  EXPECT_EQ(out[0].strings, (Words{"a", "b"}));
  EXPECT_EQ(values(out[2]), (Numbers{1, 0, 1, 0}));
  EXPECT_EQ(run1(Unique{.sorted = false}, {words}).strings, (Words{"b", "a"}));
  EXPECT_EQ(run1(Unique{.axis = 0, .flat = false}, {words}).strings, (Words{"b", "a"}));
}

// Unigrams 2, 3, 5 and 4, bigrams (5,6), (7,8) and (6,7).
TfIdfVectorizer grams(int64_t least, int64_t most, int64_t skip, TfIdfMode mode = TfIdfMode::tf) {
  return {mode, least, most, skip, {0, 4}, {0, 1, 2, 3, 4, 5, 6}, {2, 3, 5, 4, 5, 6, 7, 8, 6, 7}};
}

TEST(TfIdfVectorizerOp, CountsWithSkips) {
  const auto x = tensor(DType::i32, {12}, {1, 1, 3, 3, 3, 7, 8, 6, 7, 5, 6, 8});
  EXPECT_EQ(numbers(grams(2, 2, 0), {x}), (Numbers{0, 0, 0, 0, 1, 1, 1}));
  EXPECT_EQ(numbers(grams(2, 2, 5), {x}), (Numbers{0, 0, 0, 0, 1, 3, 1}));
  EXPECT_EQ(numbers(grams(1, 2, 5), {x}), (Numbers{0, 3, 1, 0, 1, 3, 1}));
  EXPECT_EQ(numbers(grams(1, 1, INT64_MAX), {x}), (Numbers{0, 3, 1, 0, 0, 0, 0}));
  const Object rows = run1(grams(2, 2, 5), {i64({2, 6}, {1, 1, 3, 3, 3, 7, 8, 6, 7, 5, 6, 8})});
  EXPECT_EQ(rows.shape, (Shape{2, 7}));
  EXPECT_EQ(values(rows), (Numbers{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1}));
  EXPECT_EQ(numbers(grams(1, 2, 0), {i64({}, {3})}), (Numbers{0, 1, 0, 0, 0, 0, 0}));
  EXPECT_EQ(run1(grams(1, 2, 0), {i64({0, 4}, {})}).shape, (Shape{0, 7}));
  EXPECT_EQ(numbers(grams(1, 2, 0), {i64({1, 0}, {})}), Numbers(7, 0));
}

TEST(TfIdfVectorizerOp, WeightsBelongToTheNGrams) {
  TfIdfVectorizer op{TfIdfMode::tf, 1, 2, 0, {0, 2}, {2, 0, 1}, {}, {"a", "b", "a", "b"}, {10, 20, 30}};
  const auto x = make_strings({5}, {"a", "b", "c", "a", "a"});
  EXPECT_EQ(numbers(op, {x}), (Numbers{1, 1, 3}));
  op.mode = TfIdfMode::tf_idf;
  EXPECT_EQ(numbers(op, {x}), (Numbers{20, 30, 30}));
  op.mode = TfIdfMode::idf;
  EXPECT_EQ(numbers(op, {x}), (Numbers{20, 30, 10}));
  op.weights.clear();
  EXPECT_EQ(numbers(op, {x}), (Numbers{1, 1, 1}));
}

TEST(TfIdfVectorizerOp, Errors) {
  const auto x = i64({1, 2});
  const auto error = [&](auto change, const char* text) {
    TfIdfVectorizer op = grams(1, 2, 0);
    change(op);
    expect_error(op, {x}, text);
  };
  error([](auto& op) { op.counts = {0, 11}; }, "a pool of 10");
  error([](auto& op) { op.counts = {0, 3}; }, "are not n-grams of 2");
  error([](auto& op) { op.counts = {4, 0}; }, "4 to 0");
  error([](auto& op) { op.indexes.pop_back(); }, "6 indexes for 7");
  error([](auto& op) { op.indexes[2] = -1; }, "index -1");
  error([](auto& op) { op.weights = {1}; }, "1 weights");
  error([](auto& op) { op.min_length = 0; }, "n-grams of 0 to 2");
  error([](auto& op) { op.max_length = 0; }, "n-grams of 1 to 0");
  error([](auto& op) { op.max_skip = -1; }, "-1 left out");
  error([](auto& op) { op.pool_strings = {"a"}; }, "one of strings");
  error([](auto& op) { op.pool_ints.clear(), op.counts = {0}, op.indexes.clear(); }, "pool is empty");
  expect_error(grams(1, 2, 0), {make_strings({1}, {"a"})}, "string");
  expect_error(grams(1, 2, 0), {i64({1, 1, 1}, {1})}, "[C] or [N,C]");
}
}  // namespace
}  // namespace engine
