// Gather, scatter and the first elements of rows: against plain loops.
#include <numeric>
#include "tests/cuda/device.h"

namespace {
using namespace kernels;
using cuda::GatherArgs, cuda::GatherProblem, cuda::ScatterArgs, cuda::ScatterProblem, cuda::TopKArgs, cuda::TopKProblem;

template <class T> std::vector<T> counted(size_t n) {
  std::vector<T> v(n);
  std::iota(v.begin(), v.end(), T(1));
  return v;
}
template <class Index> std::vector<Index> indices_below(size_t n, int64_t extent) {
  std::mt19937 random(test::seed());
  std::vector<Index> v(n);
  for (Index& i : v) i = Index(std::uniform_int_distribution<int64_t>(-extent, extent - 1)(random));
  return v;
}
int64_t from_front(int64_t i, int64_t extent) { return i < 0 ? i + extent : i; }

template <class T, class Index> void check_slices(int64_t outer, int64_t extent, int64_t inner, int64_t count) {
  const auto& row = cuda::gather_family().all()[0];
  const GatherProblem p{.element_bytes = sizeof(T),
                        .index_bytes = sizeof(Index),
                        .dims = 3,
                        .extents = {outer, count, inner},
                        .x_strides = {extent * inner, 0, 1},
                        .index_strides = {0, 1, 0},
                        .steps = {inner},
                        .index_extents = {extent}};
  ASSERT_EQ(row.refusal(p), nullptr);
  const auto x = counted<T>(size_t(outer * extent * inner));
  const auto indices = indices_below<Index>(size_t(count), extent);
  const test::OnDevice<T> x_(x);
  const test::OnDevice<Index> indices_(indices);
  const auto got = test::run_as<T>(row, p, GatherArgs{x_.data(), indices_.data(), nullptr}, &GatherArgs::y,
                                   size_t(outer * count * inner));
  for (int64_t o = 0, e = 0; o < outer; ++o)
    for (const Index i : indices)
      for (int64_t k = 0; k < inner; ++k, ++e)
        ASSERT_EQ(got[size_t(e)], x[size_t((o * extent + from_front(i, extent)) * inner + k)]) << e;
}

TEST(CudaGather, SlicesOfAnyElementAndIndex) {
  for (const int64_t count : {0, 1, 255, 256, 257}) check_slices<float, int64_t>(1, 30, 1, count);
  check_slices<uint8_t, int32_t>(3, 5, 7, 4);
  check_slices<uint16_t, int64_t>(2, 5, 64, 9);
  check_slices<int64_t, int32_t>(2, 1, 3, 5);
}

TEST(CudaGather, TuplesInABatch) {
  // x [2,3,4,5], tuples of two numbers in a batch of 2: y [2,6,5]
  const auto& row = cuda::gather_family().all()[0];
  const GatherProblem p{.dims = 3,
                        .depth = 2,
                        .extents = {2, 6, 5},
                        .x_strides = {60, 0, 1},
                        .index_strides = {12, 2, 0},
                        .steps = {20, 5},
                        .index_extents = {3, 4}};
  const auto x = counted<float>(120);
  std::vector<int64_t> indices;
  for (int64_t i = 0; i < 12; ++i) indices.push_back(i % 3 - 1), indices.push_back(i * 3 % 4 - 2);
  const test::OnDevice<float> x_(x);
  const test::OnDevice<int64_t> indices_(indices);
  const auto got = test::run_as<float>(row, p, GatherArgs{x_.data(), indices_.data(), nullptr}, &GatherArgs::y, 60);
  for (int64_t i = 0; i < 60; ++i) {
    const int64_t tuple = i / 5, at = tuple / 6 * 60 + from_front(indices[size_t(tuple * 2)], 3) * 20 +
                                      from_front(indices[size_t(tuple * 2 + 1)], 4) * 5 + i % 5;
    ASSERT_EQ(got[size_t(i)], x[size_t(at)]) << i;
  }
}

TEST(CudaGather, ReportsTheFirstIndexThatIsOutOfRange) {
  const auto& row = cuda::gather_family().all()[0];
  GatherProblem p{.dims = 3,
                  .extents = {1, 600, 2},
                  .x_strides = {8, 0, 1},
                  .index_strides = {0, 1, 0},
                  .steps = {2},
                  .index_extents = {4}};
  std::vector<int64_t> indices(600, -4);
  const test::OnDevice<float> x(counted<float>(8)), y(1200);
  const auto run = [&] {
    const test::OnDevice<int64_t> indices_(indices);
    return test::fault_of(row, p, GatherArgs{x.data(), indices_.data(), y.data()}, 7);
  };
  EXPECT_FALSE(run().any);
  indices[400] = 4, indices[37] = -5, indices[599] = INT64_MIN;
  const cuda::Fault fault = run();
  EXPECT_TRUE(fault.any && fault.what == cuda::Refused::index);
  EXPECT_EQ(fault.step, 7);
  EXPECT_EQ(fault.position, 37);
}

TEST(CudaScatter, TheLastOneStays) {
  const auto& row = cuda::scatter_family().all()[0];
  constexpr int64_t extent = 40, inner = 3, count = 300;  // so that places meet
  const ScatterProblem p{{.dims = 2,
                          .extents = {count, inner},
                          .x_strides = {0, 1},
                          .index_strides = {1, 0},
                          .steps = {inner},
                          .index_extents = {extent}},
                         extent * inner};
  ASSERT_EQ(row.refusal(p), nullptr);
  const auto x = counted<float>(extent * inner);
  std::vector<float> updates = counted<float>(count * inner), want = x;
  for (float& u : updates) u = -u;
  auto indices = indices_below<int64_t>(count, extent - 1);  // one place stays
  for (int64_t i = 0; i < count * inner; ++i)
    want[size_t(from_front(indices[size_t(i / inner)], extent) * inner + i % inner)] = updates[size_t(i)];
  const test::OnDevice<float> x_(x), updates_(updates);
  const test::OnDevice<int64_t> indices_(indices);
  const test::OnDevice<std::byte> scratch(size_t(row.scratch(p)));
  EXPECT_EQ(
      test::run_as<float>(row, p, ScatterArgs{x_.data(), indices_.data(), updates_.data(), nullptr, scratch.data()},
                          &ScatterArgs::y, want.size()),
      want);
  indices[7] = extent;
  const test::OnDevice<int64_t> wrong(indices);
  const test::OnDevice<float> y(x);
  const cuda::Fault fault =
      test::fault_of(row, p, ScatterArgs{y.data(), wrong.data(), updates_.data(), y.data(), scratch.data()}, 1);
  EXPECT_TRUE(fault.any && fault.position == 7);
  EXPECT_NE(row.refusal({{.dims = 1, .extents = {int64_t{1} << 32}, .index_extents = {1}}, 1}), nullptr);
}

// Of several updates for one place, each is combined in their order, with a rounding for each.
template <class T> void check_combined(schema::DType type, schema::ScatterKind kind, int64_t extent, int64_t count) {
  using schema::ScatterKind;
  const auto& row = cuda::scatter_family().all()[1];
  constexpr int64_t inner = 3;
  const ScatterProblem p{{.element_bytes = sizeof(T),
                          .dims = 2,
                          .extents = {count, inner},
                          .x_strides = {0, 1},
                          .index_strides = {1, 0},
                          .steps = {inner},
                          .index_extents = {extent}},
                         extent * inner,
                         kind,
                         type};
  SCOPED_TRACE(std::string(schema::name(kind)) + " of " + std::string(schema::name(type)) + " " +
               std::to_string(count));
  ASSERT_EQ(row.refusal(p), nullptr);
  std::mt19937 random(test::seed());
  std::vector<T> x(size_t(extent * inner)), updates(size_t(count * inner));
  for (auto* all : {&x, &updates})
    for (T& v : *all) {
      const float number = std::uniform_real_distribution<float>(-2, 3)(random);
      v = std::is_same_v<T, float> ? T(number) : type == schema::DType::f16 ? T(cuda::to_half(number)) : T(number * 40);
    }
  if constexpr (std::is_same_v<T, float>) updates[size_t(count * inner) / 2] = NAN;
  const auto indices = indices_below<int64_t>(size_t(count), extent);
  std::vector<T> want = x;
  const auto combine = [&](auto a, auto b) {
    return kind == ScatterKind::add   ? a + b
           : kind == ScatterKind::mul ? a * b
           : kind == ScatterKind::min ? (a != a || a < b ? a : b)
                                      : (a != a || b < a ? a : b);
  };
  for (int64_t i = 0; i < count * inner; ++i) {
    T& to = want[size_t(from_front(indices[size_t(i / inner)], extent) * inner + i % inner)];
    if (type == schema::DType::f16)
      to = T(cuda::to_half(combine(cuda::from_half(uint16_t(to)), cuda::from_half(uint16_t(updates[size_t(i)])))));
    else if constexpr (std::is_same_v<T, float>) to = combine(to, updates[size_t(i)]);
    else to = T(combine(int64_t(to), int64_t(updates[size_t(i)])));
  }
  const test::OnDevice<T> x_(x), updates_(updates);
  const test::OnDevice<int64_t> indices_(indices);
  const test::OnDevice<std::byte> scratch(size_t(row.scratch(p)));
  const auto got =
      test::run_as<T>(row, p, ScatterArgs{x_.data(), indices_.data(), updates_.data(), nullptr, scratch.data()},
                      &ScatterArgs::y, want.size());
  for (size_t i = 0; i < want.size(); ++i)
    EXPECT_TRUE(std::memcmp(&got[i], &want[i], sizeof(T)) == 0 || (got[i] != got[i] && want[i] != want[i])) << i;
}
TEST(CudaScatter, CombinesInTheOrderOfUpdates) {
  using schema::DType, schema::ScatterKind;
  for (const ScatterKind kind : {ScatterKind::add, ScatterKind::mul, ScatterKind::min, ScatterKind::max}) {
    for (const int64_t count : {1, 2, 7, 300}) check_combined<float>(DType::f32, kind, 5, count);
    check_combined<float>(DType::f32, kind, 400, 300);
    check_combined<uint16_t>(DType::f16, kind, 5, 60);
    check_combined<int32_t>(DType::i32, kind, 5, 60);
    check_combined<uint8_t>(DType::u8, kind, 5, 60);
  }
  const auto& row = cuda::scatter_family().all()[1];
  const ScatterProblem p{
      {.dims = 1, .extents = {9}, .x_strides = {0}, .index_strides = {1}, .steps = {1}, .index_extents = {2}},
      2,
      ScatterKind::max,
      DType::boolean};
  EXPECT_EQ(row.refusal(p), nullptr);
  EXPECT_NE(cuda::scatter_family().all()[0].refusal(p), nullptr);
  ScatterProblem many = p;
  many.places.extents[0] = 1 << 20;
  EXPECT_NE(row.refusal(many), nullptr) << "one thread would have too much to do";
}

template <class T> schema::DType type_of() {
  if (std::is_same_v<T, float>) return schema::DType::f32;
  return std::is_same_v<T, int32_t>   ? schema::DType::i32
         : std::is_same_v<T, uint8_t> ? schema::DType::u8
                                      : schema::DType::i64;
}
template <class T> void check_top_k(int64_t n, int64_t inner, int64_t k, bool largest, bool nan_first, bool last) {
  const auto& row = cuda::top_k_family().all()[0];
  const TopKProblem p{type_of<T>(), 2, n, inner, k, largest, nan_first, last};
  ASSERT_EQ(row.refusal(p), nullptr);
  SCOPED_TRACE(std::to_string(n) + " " + std::to_string(inner) + " " + std::to_string(k));
  std::mt19937 random(test::seed());
  std::vector<T> x(size_t(2 * n * inner));
  for (T& v : x) v = T(std::uniform_int_distribution<int>(0, int(n))(random));  // many are equal
  if constexpr (std::is_same_v<T, float>)
    for (size_t i = 5; i < x.size(); i += 11) x[i] = i % 2 ? NAN : -INFINITY;
  const test::OnDevice<T> x_(x), values(size_t(2 * k * inner));
  const auto got =
      test::run(row, p, TopKArgs{x_.data(), values.data(), nullptr}, &TopKArgs::indices, size_t(2 * k * inner));
  const auto of_values = values.read();
  for (int64_t o = 0; o < 2; ++o)
    for (int64_t i = 0; i < inner; ++i) {
      const auto at = [&](int64_t e) { return x[size_t((o * n + e) * inner + i)]; };
      std::vector<int64_t> order(static_cast<size_t>(n));
      std::iota(order.begin(), order.end(), 0);
      std::ranges::sort(order, [&](int64_t a, int64_t b) {
        const T u = at(a), v = at(b);
        if ((u != u) != (v != v)) return (u != u) == (nan_first || largest);
        if (u == v && u == u) return last ? a > b : a < b;
        return u == u ? (largest ? u > v : u < v) : a < b;
      });
      for (int64_t e = 0; e < k; ++e) {
        const auto to = size_t((o * k + e) * inner + i);
        ASSERT_EQ(got[to], order[size_t(e)]) << e;
        ASSERT_EQ(std::memcmp(&of_values[to], &x[size_t((o * n + order[size_t(e)]) * inner + i)], sizeof(T)), 0);
      }
    }
}

TEST(CudaTopK, AgainstSorting) {
  for (const int64_t n : {1, 127, 128, 129, 300})
    for (const bool largest : {true, false}) {
      check_top_k<float>(n, 1, std::min<int64_t>(n, 5), largest, largest, false);
      check_top_k<float>(n, 3, 1, largest, true, true);
      check_top_k<int64_t>(n, 2, std::min<int64_t>(n, 3), largest, largest, false);
    }
  check_top_k<int32_t>(40, 1, 40, true, true, false);
  check_top_k<uint8_t>(9, 2, 4, false, false, false);
  const auto& row = cuda::top_k_family().all()[0];
  EXPECT_NE(row.refusal({schema::DType::boolean, 1, 2, 1, 1}), nullptr);
  EXPECT_NE(row.refusal({schema::DType::f32, 1, 4000, 1, 2000}), nullptr);
}
}  // namespace
