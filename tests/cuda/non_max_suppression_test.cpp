// Non-maximum suppression against plain loops, to the bit.
#include "tests/cuda/device.h"

namespace {
using namespace kernels;
using cuda::NonMaxSuppressionArgs, cuda::NonMaxSuppressionProblem;

struct Given {
  std::vector<float> boxes, scores;
  std::optional<int64_t> most;
  std::optional<float> limit, least;
};
// Many scores are equal, some are no numbers; corners come in any order, some boxes are empty.
Given random_boxes(const NonMaxSuppressionProblem& p) {
  std::mt19937 random(test::seed());
  std::uniform_real_distribution<float> place(0, 4);
  Given g;
  for (int64_t i = 0; i < p.batch * p.count * 4; ++i) g.boxes.push_back(i % 29 == 3 ? 0 : place(random));
  for (int64_t i = 0; i < p.batch * p.classes * p.count; ++i) {
    const float score = float(std::uniform_int_distribution<int>(0, int(p.count))(random)) - 3;
    g.scores.push_back(i % 17 == 5 ? NAN : i % 23 == 7 ? -INFINITY : score);
  }
  return g;
}

struct Corners {
  float x0, y0, x1, y1, area;
};
Corners corners(const float* b, bool center) {
  Corners c = center
                  ? Corners{b[0] - b[2] / 2, b[1] - b[3] / 2, b[0] + b[2] / 2, b[1] + b[3] / 2, 0}
                  : Corners{std::min(b[1], b[3]), std::min(b[0], b[2]), std::max(b[1], b[3]), std::max(b[0], b[2]), 0};
  c.area = (c.x1 - c.x0) * (c.y1 - c.y0);
  return c;
}
bool overlap(const Corners& a, const Corners& b, float limit) {
  const float width = std::min(a.x1, b.x1) - std::max(a.x0, b.x0), height = std::min(a.y1, b.y1) - std::max(a.y0, b.y0);
  if (width <= 0 || height <= 0) return 0 > limit;
  const float shared = width * height, all = a.area + b.area - shared;
  return (all > 0 ? shared / all : 0) > limit;
}
std::vector<int64_t> plainly(const NonMaxSuppressionProblem& p, const Given& g) {
  std::vector<int64_t> selected;
  for (int64_t list = 0; list < p.batch * p.classes; ++list) {
    std::vector<bool> gone(static_cast<size_t>(p.count));
    const float* score = g.scores.data() + list * p.count;
    const auto box = [&](int64_t i) {
      return corners(g.boxes.data() + (list / p.classes * p.count + i) * 4, p.center);
    };
    for (int64_t kept = 0; kept < std::min(p.most, g.most.value_or(0)); ++kept) {
      int64_t best = -1;
      for (int64_t i = 0; i < p.count; ++i)
        if (!gone[size_t(i)] && score[i] > g.least.value_or(-INFINITY) && (best < 0 || score[i] > score[best]))
          best = i;
      if (best < 0) break;
      selected.insert(selected.end(), {list / p.classes, list % p.classes, best});
      for (int64_t i = 0; i < p.count; ++i)
        if (i == best || overlap(box(i), box(best), g.limit.value_or(0))) gone[size_t(i)] = true;
    }
  }
  return selected;
}

template <class T> test::OnDevice<T> scalar(const std::optional<T>& value) {
  return test::OnDevice<T>(std::vector<T>(value ? 1 : 0, value.value_or(T())));
}
void check(const NonMaxSuppressionProblem& p, const Given& g) {
  SCOPED_TRACE(std::to_string(p.batch) + " " + std::to_string(p.classes) + " " + std::to_string(p.count) + " " +
               std::to_string(p.most));
  const auto& row = cuda::non_max_suppression_family().all()[0];
  ASSERT_EQ(row.refusal(p), nullptr);
  const test::OnDevice<float> boxes(g.boxes), scores(g.scores), limit = scalar(g.limit), least = scalar(g.least);
  const test::OnDevice<int64_t> most = scalar(g.most), count(1);
  const test::OnDevice<std::byte> scratch(size_t((row.scratch(p) + 7) / 8 * 8));
  const NonMaxSuppressionArgs args{boxes.data(),
                                   scores.data(),
                                   g.most ? most.data() : nullptr,
                                   g.limit ? limit.data() : nullptr,
                                   g.least ? least.data() : nullptr,
                                   nullptr,
                                   count.data(),
                                   scratch.data()};
  auto want = plainly(p, g);
  const auto found = int64_t(want.size() / 3);
  want.resize(size_t(p.batch * p.classes * p.most * 3), 0);
  EXPECT_EQ(test::run_as<int64_t>(row, p, args, &NonMaxSuppressionArgs::selected, want.size()), want);
  EXPECT_EQ(count.read()[0], found);
}

TEST(CudaNonMaxSuppression, AgainstPlainLoops) {
  for (const int64_t count : test::around(cuda::non_max_suppression_family().all()[0].tile))
    for (const bool center : {false, true}) {
      const NonMaxSuppressionProblem p{2, 3, count, std::min<int64_t>(count, 20), center};
      Given g = random_boxes(p);
      g.most = 7, g.limit = 0.3f;
      check(p, g);
      g.most = 1000, g.least = 1.5f;
      check(p, g);
    }
}

TEST(CudaNonMaxSuppression, WhatIsNotGiven) {
  const NonMaxSuppressionProblem p{1, 2, 40, 40};
  Given g = random_boxes(p);
  check(p, g);  // none of a class
  g.most = 0;
  check(p, g);
  g.most = -5;
  check(p, g);
  g.most = 40;
  check(p, g);  // nothing may overlap
  g.limit = 1;
  check(p, g);  // everything may
  check({1, 2, 40, 3}, g);
  check({1, 2, 40, 0}, g);
  check({0, 2, 40, 3}, g);
  check({2, 0, 40, 3}, random_boxes({2, 0, 40}));
}

TEST(CudaNonMaxSuppression, EqualBoxesAndScores) {
  const NonMaxSuppressionProblem p{1, 1, 600, 600};
  Given g;
  for (int64_t i = 0; i < p.count; ++i) {
    const float at = float(i / 3);
    g.boxes.insert(g.boxes.end(), {at, at, at + 1, at + 1});
  }
  g.scores.assign(600, 0.5f), g.most = 600, g.limit = 0.5f;
  check(p, g);
  EXPECT_EQ(plainly(p, g).size(), 600u);  // a third of the boxes, three numbers each
}

TEST(CudaNonMaxSuppression, ReportsAThreshold) {
  const auto& row = cuda::non_max_suppression_family().all()[0];
  const NonMaxSuppressionProblem p{1, 1, 5, 5};
  const Given g = random_boxes(p);
  const test::OnDevice<float> boxes(g.boxes), scores(g.scores);
  const test::OnDevice<int64_t> most(std::vector<int64_t>{5}), selected(15), count(1);
  const test::OnDevice<std::byte> scratch(size_t(row.scratch(p) + 7) / 8 * 8);
  for (const float limit : {0.f, 1.f, -0.1f, 1.1f, NAN}) {
    const test::OnDevice<float> limit_(std::vector<float>{limit});
    const cuda::Fault fault =
        test::fault_of(row, p,
                       NonMaxSuppressionArgs{boxes.data(), scores.data(), most.data(), limit_.data(), nullptr,
                                             selected.data(), count.data(), scratch.data()});
    EXPECT_EQ(fault.any, !(limit >= 0 && limit <= 1)) << limit;
    EXPECT_TRUE(!fault.any || fault.what == cuda::Refused::threshold);
  }
}
}  // namespace
