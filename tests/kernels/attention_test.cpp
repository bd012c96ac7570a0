#include "kernels/attention/attention.h"
#include "tests/kernels/util.h"

namespace {
using namespace kernels;
using attention::Spec;

enum class Mask { none, full, shared, nothing_left };
struct Problem {
  int64_t queries, keys, size, value_size;
  Mask mask = Mask::none;
  bool rows_first = false;  // [B,S,H,D]
  int64_t batch = 2, heads = 3, shared = 1;
  attention::Sight sight = {};
  float softcap = 0;
  int64_t most_keys = 0;  // of the spec; 0: as many as there are
};

attention::Strides strides(const Problem& p, int64_t heads, int64_t rows, int64_t columns) {
  return p.rows_first ? attention::Strides{heads * rows * columns, columns, heads * columns} : attention::Strides{heads * rows * columns, rows * columns, columns};
}

void check(const attention::Row& row, const Problem& p) {
  SCOPED_TRACE("seed " + std::to_string(test::seed()) + ": " + std::to_string(p.queries) + " queries, " + std::to_string(p.keys) + " keys of " +
               std::to_string(p.size) + ", values of " + std::to_string(p.value_size) + ", mask " + std::to_string(int(p.mask)));
  const Spec spec{p.most_keys ? p.most_keys : p.keys, p.size, p.value_size, 0.3f, p.softcap, p.mask == Mask::nothing_left};
  ASSERT_EQ(row.supports(spec).refusal, "");
  const attention::Kernel kernel = row.make(spec);
  ASSERT_TRUE(kernel);
  const int64_t groups = p.heads / p.shared;
  const test::Buffer q(p.batch * p.heads * p.queries * p.size, 1, -2, 2), k(p.batch * groups * p.keys * p.size, 2, -2, 2),
      v(p.batch * groups * p.keys * p.value_size, 3, -2, 2);
  const int64_t masks = p.mask == Mask::full ? p.batch * p.heads * p.queries : p.mask == Mask::none ? 0 : p.queries;
  const test::Buffer mask(masks * p.keys, 4, -1, 1);
  for (size_t i = 0; i < mask.size(); i += 3) mask[i] = -INFINITY;
  if (p.mask == Mask::nothing_left) std::fill_n(mask.data(), p.keys, -INFINITY);
  attention::Args args{};
  args.q = q.data(), args.k = k.data(), args.v = v.data(), args.mask = masks ? mask.data() : nullptr;
  args.q_strides = strides(p, p.heads, p.queries, p.size), args.k_strides = strides(p, groups, p.keys, p.size);
  args.v_strides = strides(p, groups, p.keys, p.value_size), args.y_strides = strides(p, p.heads, p.queries, p.value_size);
  if (p.mask == Mask::full) args.mask_strides = {p.heads * p.queries * p.keys, p.queries * p.keys, p.keys};
  else if (masks) args.mask_strides.row = p.keys;
  args.batch = p.batch, args.heads = p.heads, args.queries = p.queries, args.shared = p.shared, args.sight = p.sight;
  if (p.most_keys) args.keys = p.keys;

  std::vector<double> want(size_t(p.batch * p.heads * p.queries * p.value_size));
  for (int64_t b = 0; b < p.batch; ++b)
    for (int64_t h = 0; h < p.heads; ++h)
      for (int64_t s = 0; s < p.queries; ++s) {
        const auto at = [&](const attention::Strides& t, int64_t head, int64_t r) { return size_t(b * t.batch + head * t.head + r * t.row); };
        std::vector<double> scores(static_cast<size_t>(p.keys), -INFINITY);
        double most = -INFINITY, sum = 0;
        for (int64_t t = 0; t < p.keys; ++t) {
          const int64_t place = p.sight.position + s;
          if ((p.sight.causal && t > place) || (p.sight.window && t <= place - p.sight.window)) continue;
          double& score = scores[size_t(t)] = 0;
          for (int64_t i = 0; i < p.size; ++i) score += double(q[at(args.q_strides, h, s) + size_t(i)]) * k[at(args.k_strides, h / p.shared, t) + size_t(i)];
          score *= spec.scale;
          if (p.softcap > 0) score = p.softcap * std::tanh(score / p.softcap);
          score += (masks ? mask[at(args.mask_strides, h, s) + size_t(t)] : 0);
          most = std::fmax(most, score);
        }
        const bool masked = spec.zero_if_masked && most == -INFINITY;
        for (double& score : scores) sum += score = masked ? 0 : std::exp(score - most);
        for (int64_t i = 0; i < p.value_size; ++i) {
          double y = 0;
          for (int64_t t = 0; t < p.keys; ++t) y += scores[size_t(t)] * v[at(args.v_strides, h / p.shared, t) + size_t(i)];
          want[at(args.y_strides, h, s) + size_t(i)] = masked ? 0 : y / sum;
        }
      }

  std::vector<float> first;
  for (const int threads : {1, 2, 3}) {
    ThreadPool pool(threads);
    const test::Buffer y(want.size());
    const test::Buffer scratch(kernel.scratch_bytes(p.queries) / sizeof(float) + 16);
    args.y = y.data();
    args.scratch = reinterpret_cast<void*>((reinterpret_cast<uintptr_t>(scratch.data()) + 63) / 64 * 64);
    kernel.run(args, pool);
    ASSERT_TRUE(y.guards_intact() && scratch.guards_intact());
    if (threads == 1) {
      first.assign(y.data(), y.data() + y.size());
      for (size_t i = 0; i < want.size(); ++i) ASSERT_TRUE(test::near(y[i], want[i], 1e-5)) << "at " << i << ": " << y[i] << " not " << want[i];
    } else {
      ASSERT_TRUE(want.empty() || std::memcmp(first.data(), y.data(), first.size() * sizeof(float)) == 0) << threads << " threads";
    }
  }
}

class AttentionRow : public testing::TestWithParam<size_t> {
 protected:
  const attention::Row& row = attention::rows()[GetParam()];
  void SetUp() override {
    if (const std::string reason = test::unavailable(row); !reason.empty()) GTEST_SKIP() << reason;
  }
};

TEST_P(AttentionRow, ExtentsAroundTheTile) {
  const int64_t t = row.tile;
  for (const int64_t keys : {int64_t{1}, t - 1, t, t + 1, 4 * t + 3})
    for (const int64_t size : {int64_t{1}, t, 2 * t + 1})
      for (const int64_t queries : {1, 4, 5, 49}) {
        if (keys) check(row, {queries, keys, size, size + 1, Mask::none, (keys + queries) % 2 == 0});
        if (HasFatalFailure()) return;
      }
}

TEST_P(AttentionRow, Masks) {
  for (const Mask mask : {Mask::none, Mask::full, Mask::shared, Mask::nothing_left})
    for (const int64_t queries : {1, 3, 20})
      for (const bool rows_first : {false, true}) check(row, {queries, 37, 24, 40, mask, rows_first});
}

TEST_P(AttentionRow, ManyAndShared) {
  check(row, {130, 200, 64, 64, Mask::shared, true, 1, 2});
  check(row, {100, 130, 32, 8 * row.tile + 5, Mask::full, false, 1, 1});
  check(row, {2, 300, 64, 12 * row.tile, Mask::none, false, 1, 6, 3});
  check(row, {60, 33, 16, 16, Mask::full, true, 2, 4, 2});
}

// What a decoder sees: its past, at most so much of it, in memory for more.
TEST_P(AttentionRow, CausalInWindows) {
  for (const int64_t queries : {1, 4, 5, 60, 130})
    for (const int64_t past : {0, 1, 70})
      for (const int64_t window : {0, 1, 7, 64})
        for (const int64_t most : {0, 900}) {
          Problem p{queries, queries + past, 24, 20, Mask::none, past % 2 == 0, 1, 4, 2};
          p.sight = {true, past, window}, p.most_keys = most, p.softcap = window == 7 ? 1.5f : 0;
          check(row, p);
          p.mask = Mask::shared, p.sight.causal = window == 0;
          check(row, p);
          if (HasFatalFailure()) return;
        }
  Problem p{70, 1000, 8, 8};  // the reduction over keys in blocks, and fewer
  p.most_keys = 2000, p.sight = {true, 930, 0};
  check(row, p);
  p.keys = 300, p.sight.position = 230;
  check(row, p);
}

TEST_P(AttentionRow, Refusals) { EXPECT_NE(row.supports({0, 8, 8}).refusal, ""); }

INSTANTIATE_TEST_SUITE_P(Rows, AttentionRow, testing::Range<size_t>(0, attention::rows().size()),
                         [](const auto& info) { return std::string(attention::rows()[info.param].name); });
}  // namespace
