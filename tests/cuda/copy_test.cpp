#include <numeric>
#include "tests/cuda/device.h"

namespace {
using namespace kernels;
using cuda::CopyProblem;

void check(const CopyProblem& p, size_t x_elements, size_t y_elements) {
  std::string text = "seed " + std::to_string(test::seed()) + ": " + std::to_string(p.element_bytes) + " bytes,";
  for (int d = 0; d < p.dims; ++d)
    text += " " + std::to_string(p.extents[d]) + ":" + std::to_string(p.x_strides[d]) + ":" +
            std::to_string(p.y_strides[d]);
  SCOPED_TRACE(text);
  std::vector<uint8_t> x(x_elements * size_t(p.element_bytes)), want(y_elements * size_t(p.element_bytes), 0xff);
  std::mt19937 random(test::seed());
  for (uint8_t& byte : x) byte = uint8_t(random());
  int64_t count = 1;
  for (int d = 0; d < p.dims; ++d) count *= p.extents[d];
  for (int64_t i = 0; i < count; ++i) {
    int64_t rest = i, from = p.x_first, to = p.y_first;
    for (int d = p.dims; d-- > 0; rest /= p.extents[d])
      from += rest % p.extents[d] * p.x_strides[d], to += rest % p.extents[d] * p.y_strides[d];
    std::memcpy(&want[size_t(to * p.element_bytes)], &x[size_t(from * p.element_bytes)], size_t(p.element_bytes));
  }
  const test::OnDevice<uint8_t> in(x);
  struct Args {  // bytes, for test::run
    uint8_t* y;
  };
  for (const auto& row : cuda::copy_family().all()) {
    if (row.refusal(p)) continue;
    struct Bytes {
      const char* name;
      const cuda::Row<CopyProblem, cuda::CopyArgs>& row;
      const void* x;
      cuda::Failure run(const CopyProblem& problem, const Args& args, cuda::Stream* stream) const {
        return row.run(problem, {x, args.y}, stream);
      }
    } bytes{row.name, row, in.data()};
    EXPECT_EQ(test::run(bytes, p, Args{}, &Args::y, want.size()), want) << row.name;
  }
}

// Extents of x, dims of y in the order `perm`.
CopyProblem transpose(int bytes, const std::vector<int64_t>& extents, const std::vector<int>& perm) {
  CopyProblem p{.element_bytes = bytes, .dims = int(perm.size())};
  std::vector<int64_t> strides(extents.size(), 1);
  for (size_t d = extents.size(); d-- > 1;) strides[d - 1] = strides[d] * extents[d];
  int64_t stride = 1;
  for (size_t d = perm.size(); d-- > 0; stride *= p.extents[d])
    p.extents[d] = extents[size_t(perm[d])], p.x_strides[d] = strides[size_t(perm[d])], p.y_strides[d] = stride;
  return p;
}
size_t product(const std::vector<int64_t>& extents) {
  return size_t(std::accumulate(extents.begin(), extents.end(), int64_t{1}, std::multiplies<>()));
}

TEST(CudaCopy, MatricesAroundTheTile) {
  const int64_t t = cuda::copy_family().all()[1].tile;
  for (const int bytes : {1, 2, 4, 8})
    for (const int64_t rows : test::around(t))
      for (const int64_t columns : {int64_t{1}, int64_t{8}, t - 1, t, t + 1, int64_t{70}})
        check(transpose(bytes, {rows, columns}, {1, 0}), size_t(rows * columns), size_t(rows * columns));
}

TEST(CudaCopy, EveryPermutation) {
  std::vector<int> perm{0, 1, 2, 3};
  do check(transpose(4, {5, 9, 3, 34}, perm), 5 * 9 * 3 * 34, 5 * 9 * 3 * 34);
  while (std::next_permutation(perm.begin(), perm.end()));
  for (const int64_t channels : {1, 3, 17, 64})
    for (const std::vector<int>& layout : {std::vector<int>{0, 2, 3, 1}, {0, 3, 1, 2}})
      check(transpose(4, {2, channels, 33, 31}, layout), product({2, channels, 33, 31}),
            product({2, channels, 33, 31}));
}

TEST(CudaCopy, SlicesBroadcastsAndParts) {
  check({.element_bytes = 4, .dims = 0}, 1, 1);
  check({.element_bytes = 8, .dims = 1, .extents = {257}, .x_strides = {2}, .y_strides = {1}}, 600, 257);
  check({.element_bytes = 4, .dims = 2, .extents = {5, 300}, .x_strides = {1, 0}, .y_strides = {300, 1}}, 5, 1500);
  check({.element_bytes = 2, .dims = 2, .extents = {7, 12}, .x_strides = {12, 1}, .y_strides = {40, 1}}, 84, 300);
  check({.element_bytes = 4,
         .dims = 2,
         .extents = {40, 33},
         .x_strides = {1, 41},
         .y_strides = {34, 1},
         .x_first = 5,
         .y_first = 3},
        1400, 1400);
  check({.element_bytes = 1, .dims = 3, .extents = {3, 0, 4}, .x_strides = {4, 4, 1}, .y_strides = {4, 4, 1}}, 4, 4);
}

TEST(CudaCopy, Refusals) {
  EXPECT_NE(cuda::copy_family().all()[0].refusal({.element_bytes = 3, .dims = 1}), nullptr);
  EXPECT_NE(cuda::copy_family().all()[1].refusal(transpose(4, {40, 40}, {0, 1})), nullptr);
}
}  // namespace
