#include "kernels/pad/pad.h"
#include "tests/kernels/util.h"

namespace {
using namespace kernels;
using pad::Spec;
using schema::PadMode;

// The position in x of what is at i in y, one step at a time; -1: nowhere.
int64_t walk(PadMode mode, const pad::Dim& d, int64_t i) {
  const int64_t low = std::max<int64_t>(0, -d.begin), high = d.extent - std::max<int64_t>(0, -d.end);
  const int64_t wanted = i - d.begin;
  if (wanted >= low && wanted < high) return wanted;
  if (mode == PadMode::constant) return -1;
  if (mode == PadMode::edge) return wanted < low ? low : high - 1;
  if (high - low == 1) return low;
  int64_t at = low, step = 1;
  for (int64_t k = std::abs(wanted - low), turn = wanted < low && mode == PadMode::wrap ? -1 : 1; k > 0; --k) {
    if (mode == PadMode::wrap) {
      at += turn;
      if (at == high) at = low;
      if (at < low) at = high - 1;
    } else {
      if (at + step == high || at + step < low) step = -step;
      at += step;
    }
  }
  return at;
}

void check(const pad::Row& row, const Spec& s, bool zeros = false) {
  std::string text = "seed " + std::to_string(test::seed()) + ": " + std::string(schema::name(s.mode)) + ", " +
                     std::to_string(s.element_bytes) + " bytes,";
  for (const auto& d : s.dims)
    text += " " + std::to_string(d.begin) + "+" + std::to_string(d.extent) + "+" + std::to_string(d.end);
  SCOPED_TRACE(text);
  ASSERT_EQ(row.supports(s).refusal, "");
  const pad::Kernel kernel = row.make(s);
  ASSERT_TRUE(kernel);
  size_t in = static_cast<size_t>(s.element_bytes), out = in;
  const size_t unit = in, rank = s.dims.size();
  for (const auto& d : s.dims) in *= static_cast<size_t>(d.extent), out *= static_cast<size_t>(d.out());
  const test::Fenced x(in, unit), value(unit, unit);
  std::mt19937 random(test::seed());
  for (size_t i = 0; i < in; ++i) x.data()[i] = static_cast<std::byte>(random());
  for (size_t i = 0; i < unit; ++i) value.data()[i] = static_cast<std::byte>(zeros ? 0 : random() | 1);
  std::vector<std::byte> want(out);
  std::vector<int64_t> index(rank, 0);
  for (size_t i = 0; i < out; i += unit) {
    int64_t at = 0;
    bool inside = true;
    for (size_t d = 0; d < rank; ++d) {
      const int64_t from = walk(s.mode, s.dims[d], index[d]);
      inside &= from >= 0, at = at * s.dims[d].extent + from;
    }
    std::memcpy(&want[i], inside ? x.data() + static_cast<size_t>(at) * unit : value.data(), unit);
    for (size_t d = rank; d-- > 0;) {
      if (++index[d] < s.dims[d].out()) break;
      index[d] = 0;
    }
  }
  for (const int threads : {1, 2, 3}) {
    ThreadPool pool(threads);
    const test::Fenced y(out, unit);
    kernel.run(x.data(), zeros && threads == 2 ? nullptr : value.data(), y.data(), pool);
    EXPECT_TRUE(y.intact());
    ASSERT_TRUE(out == 0 || std::memcmp(y.data(), want.data(), out) == 0) << threads;
  }
}

class PadRow : public testing::TestWithParam<size_t> {
 protected:
  const pad::Row& row = pad::rows()[GetParam()];
};

constexpr PadMode modes[] = {PadMode::constant, PadMode::reflect, PadMode::edge, PadMode::wrap};

TEST_P(PadRow, OneDim) {
  for (const PadMode mode : modes)
    for (const int bytes : {1, 2, 3, 4, 8, 12, 16})
      for (const int64_t extent : {1, 2, 5, 300})
        for (const auto& [begin, end] : {std::pair<int64_t, int64_t>{0, 0}, {1, 0}, {0, 3}, {2, 2}, {7, 9}, {-1, 1}, {4, -1}}) {
          const pad::Dim d{extent, begin, end};
          if (extent + std::min<int64_t>(0, begin) + std::min<int64_t>(0, end) > 0) check(row, {bytes, mode, {d}});
          if (HasFatalFailure()) return;
        }
}

TEST_P(PadRow, Images) {
  for (const PadMode mode : modes)
    for (const bool zeros : {false, true})
      for (const int64_t channels : {1, 2, 3, 4, 5, 16, 300}) {
        check(row, {4, mode, {{2, 0, 0}, {9, 1, 2}, {11, 3, 1}, {channels, 0, 0}}}, zeros);
        check(row, {4, mode, {{2, 0, 0}, {9, 2, 0}, {70, 0, 0}, {channels, 0, 0}}}, zeros);
        check(row, {1, mode, {{2, 0, 0}, {channels, 0, 0}, {9, 1, 2}, {11, 3, -4}}}, zeros);
        check(row, {2, mode, {{2, 0, 0}, {6, 0, 0}, {5, 0, 0}, {channels, 1, 7}}}, zeros);
        check(row, {8, mode, {{3, 1, 1}, {channels, 0, 0}, {5, 1, 0}, {3, 0, 0}, {4, 2, 2}}}, zeros);
        if (HasFatalFailure()) return;
      }
  check(row, {4, PadMode::reflect, {{1, 0, 0}, {200, 10, 10}, {150, 10, 10}, {4, 0, 0}}});
}

TEST_P(PadRow, Edges) {
  check(row, {4, PadMode::constant, {}});
  check(row, {4, PadMode::edge, {{3, 0, 0}, {4, 0, 0}}});
  check(row, {4, PadMode::constant, {{0, 1, 2}, {3, 0, 0}}});
  check(row, {4, PadMode::constant, {{3, -2, -1}, {3, 0, 0}}});
  check(row, {4, PadMode::constant, {{3, -3, 2}, {0, 1, 1}}});
  check(row, {4, PadMode::reflect, {{3, 1, 1}, {0, 0, 0}}});
  check(row, {4, PadMode::constant, {{0, 0, 0}, {int64_t{1} << 40, 1, 0}, {300, 1, 0}}});  // nothing, of a large extent
  EXPECT_NE(row.supports({4, PadMode::edge, {{0, 1, 0}}}).refusal, "");
  EXPECT_NE(row.supports({4, PadMode::constant, {{3, -2, -2}}}).refusal, "");
}

INSTANTIATE_TEST_SUITE_P(Rows, PadRow, testing::Range<size_t>(0, pad::rows().size()),
                         [](const auto& info) { return std::string(pad::rows()[info.param].name); });
}  // namespace
