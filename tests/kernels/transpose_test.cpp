#include "kernels/transpose/transpose.h"
#include <numeric>
#include "tests/kernels/util.h"

namespace {
using namespace kernels;
using transpose::Spec;

void check(const transpose::Row& row, const Spec& s) {
  std::string text = "seed " + std::to_string(test::seed()) + ": " + std::to_string(s.element_bytes) + " bytes,";
  for (const int64_t extent : s.extents) text += " " + std::to_string(extent);
  text += " by";
  for (const int d : s.perm) text += " " + std::to_string(d);
  SCOPED_TRACE(text);
  const Support support = row.supports(s);
  if (!support.refusal.empty()) return;
  const transpose::Kernel kernel = row.make(s);
  ASSERT_TRUE(kernel);
  const int64_t n = std::accumulate(s.extents.begin(), s.extents.end(), int64_t{1}, std::multiplies<>());
  const auto bytes = static_cast<size_t>(n * s.element_bytes), unit = static_cast<size_t>(s.element_bytes);
  const test::Fenced x(bytes, unit);
  std::mt19937 random(test::seed());
  for (size_t i = 0; i < bytes; ++i) x.data()[i] = static_cast<std::byte>(random());
  std::vector<std::byte> want(bytes);
  const size_t rank = s.extents.size();
  std::vector<int64_t> strides(rank, 1), index(rank, 0);
  for (size_t d = rank; d-- > 1;) strides[d - 1] = strides[d] * s.extents[d];
  for (int64_t i = 0; i < n; ++i) {
    int64_t at = 0;
    for (size_t d = 0; d < rank; ++d) at += index[d] * strides[static_cast<size_t>(s.perm[d])];
    std::memcpy(&want[static_cast<size_t>(i) * unit], x.data() + at * s.element_bytes, unit);
    for (size_t d = rank; d-- > 0;) {
      if (++index[d] < s.extents[static_cast<size_t>(s.perm[d])]) break;
      index[d] = 0;
    }
  }
  for (const int threads : {1, 2, 3}) {
    ThreadPool pool(threads);
    const test::Fenced y(bytes, unit);
    kernel.run(x.data(), y.data(), pool);
    EXPECT_TRUE(y.intact());
    ASSERT_TRUE(bytes == 0 || std::memcmp(y.data(), want.data(), bytes) == 0) << threads;
  }
}

class TransposeRow : public testing::TestWithParam<size_t> {
 protected:
  const transpose::Row& row = transpose::rows()[GetParam()];
  void SetUp() override {
    if (const std::string reason = test::unavailable(row); !reason.empty()) GTEST_SKIP() << reason;
  }
};

TEST_P(TransposeRow, MatricesAroundTheTile) {
  const int64_t t = row.tile;
  for (const int bytes : {1, 2, 4, 8})
    for (const int64_t rows :
         {int64_t{0}, int64_t{1}, int64_t{3}, int64_t{4}, t - 1, t, t + 1, 2 * t + 5, int64_t{300}})
      for (const int64_t columns :
           {int64_t{1}, int64_t{2}, int64_t{3}, int64_t{4}, int64_t{5}, t, t + 3, int64_t{70}}) {
        check(row, {bytes, {rows, columns}, {1, 0}});
        if (HasFatalFailure()) return;
      }
}

TEST_P(TransposeRow, FewRowsOrColumns) {
  const int64_t t = row.tile;
  for (const int64_t few : {2, 3, 4, 5})
    for (const int64_t many : {t - 1, t, t + 1, int64_t{58}, int64_t{150}, int64_t{700}}) {
      check(row, {4, {3, few, many}, {0, 2, 1}});
      check(row, {4, {3, many, few}, {0, 2, 1}});
      check(row, {4, {few, 3, many}, {2, 1, 0}});
      if (HasFatalFailure()) return;
    }
}

TEST_P(TransposeRow, Layouts) {
  for (const int64_t channels : {1, 3, 15, 16, 17, 64}) {
    check(row, {4, {2, channels, 33, 31}, {0, 2, 3, 1}});
    check(row, {4, {2, 33, 31, channels}, {0, 3, 1, 2}});
    check(row, {4, {1, 2, channels, 40, 20}, {0, 2, 1, 3, 4}});
  }
  check(row, {4, {2, 50, 8, 16}, {0, 2, 1, 3}});
  check(row, {4, {2, 50, 8, 16}, {0, 2, 3, 1}});
  check(row, {4, {}, {}});
  check(row, {2, {300, 300}, {0, 1}});
}

TEST_P(TransposeRow, EveryPermutation) {
  for (const int bytes : {4, 8}) {
    std::vector<int> perm{0, 1, 2, 3};
    do {
      check(row, {bytes, {5, 6, 7, 9}, perm});
      check(row, {bytes, {5, 1, 17, 20}, perm});
    } while (std::next_permutation(perm.begin(), perm.end()));
  }
}

TEST_P(TransposeRow, Refusals) {
  EXPECT_NE(row.supports({3, {2, 2}, {1, 0}}).refusal, "");
  EXPECT_NE(row.supports({4, {2, 2}, {1, 1}}).refusal, "");
}

INSTANTIATE_TEST_SUITE_P(Rows, TransposeRow, testing::Range<size_t>(0, transpose::rows().size()),
                         [](const auto& info) { return std::string(transpose::rows()[info.param].name); });
}  // namespace
