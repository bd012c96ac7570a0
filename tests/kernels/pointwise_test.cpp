#include "kernels/pointwise/pointwise.h"
#include "kernels/jit.h"
#include "tests/kernels/util.h"

namespace {
using namespace kernels;
using pointwise::Chain;
using pointwise::Mode;
using pointwise::Stage;
using schema::BinaryKind;
using schema::UnaryKind;

struct Domain {
  std::string name;
  Stage stage;
  double low, high, tolerance;
};

std::vector<Domain> functions() {
  std::vector<Domain> all;
  const auto parameters = [](UnaryKind kind) -> std::pair<float, float> {
    switch (kind) {
      case UnaryKind::clip: return {-1.5f, 2.5f};
      case UnaryKind::selu: return {1.67326f, 1.0507f};
      case UnaryKind::hard_sigmoid: return {0.2f, 0.5f};
      case UnaryKind::silu: return {1.0f, 0.0f};
      case UnaryKind::elu:
      case UnaryKind::celu: return {1.5f, 0.0f};
      default: return {0.3f, 0.7f};
    }
  };
#define UNARY(name, types, result, formula, low, high, tolerance) \
  all.push_back({#name, \
                 Stage::of(UnaryKind::name, parameters(UnaryKind::name).first, parameters(UnaryKind::name).second), \
                 low, high, tolerance});
#include "schema/unary.def"
  for (const Mode mode : {Mode::full, Mode::per_column, Mode::per_row, Mode::scalar})
    for (const bool swapped : {false, true}) {
#define BINARY(name, types, result, formula, low, high, tolerance) \
  all.push_back({std::string(#name) + (swapped ? " swapped" : "") + " mode " + std::to_string(int(mode)), \
                 Stage::of(BinaryKind::name, 0, mode, swapped), low, high, tolerance});
#include "schema/binary.def"
    }
  return all;
}

struct Case {
  Chain chain;
  double low, high, tolerance;
  std::vector<float> specials;
};

size_t operand_size(Mode mode, int64_t rows, int64_t columns) {
  return mode == Mode::full ? rows * columns : mode == Mode::per_column ? columns : mode == Mode::per_row ? rows : 1;
}

// Against the scalar row, into a separate and into the same buffer.
void check(const pointwise::Row& row, const Case& c, int64_t rows, int64_t columns) {
  const pointwise::Kernel kernel = row.make(c.chain), scalar = pointwise::scalar::make(c.chain);
  ASSERT_TRUE(kernel);
  const auto n = static_cast<size_t>(rows * columns);
  test::Buffer x(n, 1, c.low, c.high), want(n);
  for (size_t i = 0; i < c.specials.size() && i < n; ++i) x[i * 7 % n] = c.specials[i];
  std::vector<test::Buffer> storage;
  pointwise::Operand operands[Chain::max_operands] = {};
  storage.reserve(Chain::max_operands);
  for (const Stage& s : c.chain) {
    if (!s.binary) continue;
    storage.emplace_back(operand_size(s.mode, rows, columns), 2 + s.operand, c.low, c.high);
    operands[s.operand] = {storage.back().data(), columns};
  }
  scalar.run(x.data(), operands, want.data(), rows, columns);
  test::Buffer y(n), in_place(n);
  std::copy_n(x.data(), n, in_place.data());
  kernel.run(x.data(), operands, y.data(), rows, columns);
  kernel.run(in_place.data(), operands, in_place.data(), rows, columns);
  for (size_t i = 0; i < n; ++i) {
    ASSERT_TRUE(test::near(y[i], want[i], c.tolerance))
        << "at " << i << ": f(" << x[i] << ") = " << y[i] << ", not " << want[i];
    ASSERT_EQ(std::memcmp(&y[i], &in_place[i], 4), 0) << "in place at " << i;
  }
  ASSERT_TRUE(y.guards_intact() && in_place.guards_intact());
}

class PointwiseRow : public testing::TestWithParam<size_t> {
 protected:
  const pointwise::Row& row = pointwise::rows()[GetParam()];
  void SetUp() override {
    if (const std::string reason = test::unavailable(row); !reason.empty()) GTEST_SKIP() << reason;
  }
};

TEST_P(PointwiseRow, EveryFunctionAroundItsTile) {
  const int64_t t = row.tile;
  int served = 0;
  for (const Domain& f : functions()) {
    const Case c{{f.stage}, f.low, f.high, f.tolerance, {}};
    if (!row.supports(c.chain).refusal.empty()) continue;
    ++served;
    for (const int64_t rows : {int64_t{1}, int64_t{3}})
      for (const int64_t columns : {int64_t{0}, int64_t{1}, t - 1, t, t + 1, 3 * t + 2, 40 * t + 3}) {
        SCOPED_TRACE(f.name + " " + std::to_string(rows) + "x" + std::to_string(columns) + " seed " +
                     std::to_string(test::seed()));
        check(row, c, rows, columns);
        if (HasFatalFailure()) return;
      }
  }
  EXPECT_GE(served, 60);
}

// Rows that may be run as one, against the scalar row by row.
void check_narrow(const pointwise::Row& row, const Chain& chain, int64_t rows, int64_t columns, int64_t gap) {
  SCOPED_TRACE(std::to_string(rows) + "x" + std::to_string(columns) + " gap " + std::to_string(gap) + " seed " +
               std::to_string(test::seed()));
  const pointwise::Kernel kernel = row.make(chain), scalar = pointwise::scalar::make(chain);
  ASSERT_TRUE(kernel);
  const int64_t pitch = columns + gap;
  const auto n = static_cast<size_t>((rows - 1) * pitch + columns);
  const test::Buffer x(n, 1), y(n), want(n);
  std::vector<test::Buffer> storage;
  pointwise::Operand operands[Chain::max_operands] = {};
  storage.reserve(Chain::max_operands);
  for (const Stage& s : chain) {
    if (!s.binary) continue;
    storage.emplace_back(s.mode == Mode::full ? n : operand_size(s.mode, rows, columns), 2 + s.operand);
    operands[s.operand] = {storage.back().data(), pitch};
  }
  kernel.run({x.data(), pitch, y.data(), pitch, operands, rows, columns});
  for (int64_t r = 0; r < rows; ++r) {
    const auto at = pointwise::offset(chain, operands, r, 0);
    scalar.run({x.data() + r * pitch, pitch, want.data() + r * pitch, pitch, at.data(), 1, columns});
  }
  for (size_t i = 0; i < n; ++i) ASSERT_TRUE(test::near(y[i], want[i], 1e-6)) << "at " << i;
  ASSERT_TRUE(y.guards_intact());
  test::Buffer in_place(n);
  std::copy_n(x.data(), n, in_place.data());
  kernel.run({in_place.data(), pitch, in_place.data(), pitch, operands, rows, columns});
  for (int64_t r = 0; r < rows; ++r)
    ASSERT_EQ(std::memcmp(&in_place[static_cast<size_t>(r * pitch)], &y[static_cast<size_t>(r * pitch)],
                          static_cast<size_t>(columns) * 4),
              0)
        << "in place, row " << r;
}

TEST_P(PointwiseRow, NarrowRows) {
  const Chain chains[] = {
      {Stage::of(UnaryKind::relu)},
      {Stage::of(BinaryKind::add, 0, Mode::full), Stage::of(BinaryKind::mul, 1, Mode::scalar)},
      {Stage::of(BinaryKind::sub, 0, Mode::per_column)},
      {Stage::of(BinaryKind::mul, 1, Mode::per_column), Stage::of(BinaryKind::sub, 0, Mode::per_column, true),
       Stage::of(UnaryKind::abs), Stage::of(BinaryKind::add, 2, Mode::full), Stage::of(BinaryKind::max, 3, Mode::scalar)},
      {Stage::of(BinaryKind::add, 0, Mode::per_row), Stage::of(BinaryKind::mul, 1, Mode::per_column)}};
  for (const Chain& chain : chains) {
    if (!row.supports(chain).refusal.empty()) continue;
    for (const int64_t columns : {1, 2, 3, 4, 5, 7, 12, 15, 16, 17, 24, 31, 33, 48, 63, 64})
      for (const int64_t rows : {1, 3, 63, 64, 65, 81, 130, 700})
        for (const int64_t gap : {0, 3}) {
          check_narrow(row, chain, rows, columns, gap);
          if (HasFatalFailure()) return;
        }
  }
}

// What is kept as half gives what its floats give; what is stored so is rounded once, and as large as half can be where it is finite.
TEST_P(PointwiseRow, ValuesThatAreKeptAsHalf) {
  if (!half::select({})) GTEST_SKIP() << "no kernel between f32 and half here";
  using enum schema::DType;
  const Chain chain{Stage::of(BinaryKind::mul, 0, Mode::full), Stage::of(BinaryKind::add, 1, Mode::per_column), Stage::of(BinaryKind::sub, 2, Mode::scalar), Stage::of(UnaryKind::relu)};
  for (const auto& kept : {pointwise::KeptTypes{.x = f16}, {.y = f16}, {.operands = {f16}}, {.x = f16, .y = f16, .operands = {f16, f16, f16}}})
    for (const int64_t rows : {1, 3, 70})
      for (const int64_t columns : {1, 7, 255, 256, 257, 600}) {
        SCOPED_TRACE(std::to_string(rows) + "x" + std::to_string(columns) + " seed " + std::to_string(test::seed()));
        const int64_t pitch = columns + 2;
        const auto n = size_t((rows - 1) * pitch + columns);
        const test::Buffer x(n, 1, -300, 300), full(n, 2, -300, 300), column(size_t(columns), 3), scalar(1, 4), want(n);
        const auto rounded = [&](const test::Buffer& v, schema::DType type) {
          const auto floats = test::floats_of(test::kept_as(v, type), v.size(), type);
          std::copy(floats.begin(), floats.end(), v.data());
        };
        rounded(x, kept.x), rounded(full, kept.operands[0]), rounded(column, kept.operands[1]), rounded(scalar, kept.operands[2]);
        const test::Buffer from = test::kept_as(x, kept.x), a = test::kept_as(full, kept.operands[0]), b = test::kept_as(column, kept.operands[1]), c = test::kept_as(scalar, kept.operands[2]);
        const test::Buffer room = test::room_for(n, kept.y);
        const pointwise::Operand operands[] = {{a.data(), pitch}, {b.data(), 0}, {c.data(), 0}}, in_f32[] = {{full.data(), pitch}, {column.data(), 0}, {scalar.data(), 0}};
        pointwise::Kernel kernel = row.make(chain), halves = pointwise::select(chain, isa::detected(), kept).kernel;
        ASSERT_TRUE(kernel && halves);
        kernel.kept = halves.kept, kernel.widen = halves.widen, kernel.narrow = halves.narrow;
        kernel.run({from.data(), pitch, room.data(), pitch, operands, rows, columns});
        pointwise::scalar::make(chain).run({x.data(), pitch, want.data(), pitch, in_f32, rows, columns});
        ASSERT_TRUE(room.guards_intact());
        const std::vector<float> y = test::floats_of(room, n, kept.y);
        for (size_t i = 0; i < n; ++i) {
          if (int64_t(i) % pitch >= columns) ASSERT_TRUE(std::isnan(y[i])) << "between rows";
          else ASSERT_TRUE(test::near(y[i], kept.y == f16 ? std::min(want[i], 65504.0f) : want[i], kept.y == f16 ? 5e-4 : 1e-6)) << "at " << i << ": " << y[i] << " not " << want[i];
        }
      }
}

TEST_P(PointwiseRow, NanAndInfinity) {
  constexpr float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  for (const Domain& f : functions()) {
    // libm's formula gives NaN for minus infinity here; the vector forms give the limit.
    const bool limit = f.name == "gelu" || f.name == "gelu_tanh";
    Case c{{f.stage},
           f.low,
           f.high,
           std::max(f.tolerance, 1e-6),
           {nan, -nan, inf, 1e30f, -1e30f, 0.0f, -0.0f, 120.0f, -120.0f}};
    if (!limit) c.specials.push_back(-inf);
    if (!row.supports(c.chain).refusal.empty()) continue;
    SCOPED_TRACE(f.name);
    check(row, c, 1, 5 * row.tile + 1);
    if (HasFatalFailure()) return;
  }
}

TEST_P(PointwiseRow, QuotientsOfMultiplesAreExact) {
  const Chain chain = {Stage::of(BinaryKind::div, 0, Mode::full)};
  const pointwise::Kernel kernel = row.make(chain);
  constexpr int n = 400;
  for (int k = 1; k < 100; ++k) {
    float x[n], by[n], y[n];
    for (int i = 0; i < n; ++i) by[i] = static_cast<float>(k), x[i] = by[i] * static_cast<float>(i);
    const pointwise::Operand operand{by, n};
    kernel.run({x, n, y, n, &operand, 1, n});
    for (int i = 0; i < n; ++i) ASSERT_EQ(y[i], static_cast<float>(i)) << x[i] << " / " << by[i];
  }
}

TEST_P(PointwiseRow, Chains) {
  const Case cases[] = {
      {{Stage::of(BinaryKind::add, 0, Mode::full), Stage::of(UnaryKind::relu)}, -4, 4, 0, {}},
      {{Stage::of(BinaryKind::mul, 0, Mode::per_column), Stage::of(BinaryKind::add, 1, Mode::per_column),
        Stage::of(UnaryKind::silu, 1), Stage::of(BinaryKind::add, 2, Mode::full)},
       -4,
       4,
       4e-6,
       {}},
      {{Stage::of(BinaryKind::sub, 0, Mode::per_row, true), Stage::of(BinaryKind::div, 1, Mode::scalar),
        Stage::of(UnaryKind::sigmoid), Stage::of(BinaryKind::mul, 0, Mode::per_row), Stage::of(UnaryKind::tanh),
        Stage::of(UnaryKind::clip, -0.5f, 0.5f), Stage::of(UnaryKind::neg), Stage::of(UnaryKind::abs)},
       1,
       4,
       2e-5,
       {}}};
  for (const Case& c : cases)
    for (const int64_t columns : {1, 7, 16, 67})
      for (const int64_t rows : {1, 5}) check(row, c, rows, columns);
}

TEST_P(PointwiseRow, StridesAndAnOperandInPlace) {
  const Chain chain{Stage::of(UnaryKind::relu), Stage::of(BinaryKind::add, 0, Mode::full)};
  const pointwise::Kernel kernel = row.make(chain);
  test::Buffer x(200, 1), y(200, 2);
  std::vector<float> before(y.data(), y.data() + 200);
  const pointwise::Operand operand{y.data(), 23};  // y += relu(x)
  kernel.run({x.data(), 20, y.data(), 23, &operand, 8, 19});
  for (int r = 0; r < 8; ++r)
    for (int c = 0; c < 23 && r * 23 + c < 200; ++c)
      EXPECT_EQ(y[r * 23 + c], c < 19 ? std::max(x[r * 20 + c], 0.0f) + before[r * 23 + c] : before[r * 23 + c]);
}

INSTANTIATE_TEST_SUITE_P(Rows, PointwiseRow, testing::Range<size_t>(0, pointwise::rows().size()),
                         [](const auto& info) { return std::string(pointwise::rows()[info.param].name); });

TEST(Pointwise, SelectsByIsaAndListsRefusals) {
  const Chain chain{Stage::of(UnaryKind::relu)};
  for (const isa::Level& cap : test::caps()) {
    std::vector<Refusal> refusals;
    const RefusalLog log(refusals);
    const pointwise::Choice choice = pointwise::select(chain, cap.mask);
    ASSERT_TRUE(choice) << cap.name;
    EXPECT_EQ(refusals.size() + 1, pointwise::rows().size());
    for (const pointwise::Row& row : pointwise::rows()) {
      if (row.name == choice.name) {
        EXPECT_TRUE(isa::runs(row.isa, cap.mask));
      }
    }
  }
  EXPECT_EQ(pointwise::select(chain, isa::scalar).name, "pointwise_f32_scalar");
  EXPECT_FALSE(pointwise::select({Stage::of(UnaryKind::is_nan)}));
  EXPECT_FALSE(pointwise::select({}));
}

TEST(Pointwise, WithoutExecutablePages) {
  const bool before = jit::forbid(true);
  const pointwise::Choice choice = pointwise::select({Stage::of(UnaryKind::floor), Stage::of(UnaryKind::relu)});
  jit::forbid(before);
  ASSERT_TRUE(choice);
  EXPECT_EQ(choice.name.find("jit"), std::string_view::npos);
}

TEST(Pointwise, CodeIsSharedAndFreed) {
  const Chain chain{Stage::of(UnaryKind::leaky_relu, 0.123f)};
  const pointwise::Choice first = pointwise::select(chain), second = pointwise::select(chain);
  EXPECT_EQ(first.kernel.code, second.kernel.code);
}
}  // namespace
