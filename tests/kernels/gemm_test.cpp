#include "kernels/gemm/gemm.h"
#include "kernels/isa_x86.h"
#include "kernels/jit.h"
#include "tests/kernels/util.h"

namespace {
using namespace kernels;
using pointwise::Chain;
using pointwise::Mode;
using pointwise::Stage;
using schema::BinaryKind;
using schema::UnaryKind;

struct Problem {
  gemm::Spec spec;
  int64_t m = 0;
  int64_t pad = 0;  // added to every row stride
};

struct Data {
  Problem p;
  int64_t lda, ldb, ldc;
  test::Buffer a, b, bias, full, column, scalar, full_kept{0};
  std::vector<pointwise::Operand> operands;  // where they are kept
  std::vector<pointwise::Operand> in_f32() const { return {{full.data(), ldc}, operands[1], operands[2]}; }
  explicit Data(const Problem& problem)
      : p(problem),
        lda(p.spec.k + p.pad),
        ldb((p.spec.transposed_b ? p.spec.k : p.spec.n) + p.pad),
        ldc(p.spec.n + p.pad),
        a(p.m * lda, 1),
        b((p.spec.transposed_b ? p.spec.n : p.spec.k) * ldb, 2),
        bias(p.spec.n, 3),
        full(p.m * ldc, 4),
        column(p.spec.n, 5),
        scalar(1, 6),
        operands{{full.data(), ldc}, {column.data(), 0}, {scalar.data(), 0}} {
    if (p.spec.precision == Precision::f16) test::make_quarters(a), test::make_quarters(b), test::make_quarters(full);
    if (p.spec.kept.any()) full_kept = test::kept_as(full, p.spec.kept.operands[0]), operands[0].data = full_kept.data();
  }

  double want(int64_t m, int64_t n) const {
    double sum = p.spec.bias ? bias[n] : 0;
    for (int64_t k = 0; k < p.spec.k; ++k)
      sum += static_cast<double>(a[m * lda + k]) * (p.spec.transposed_b ? b[n * ldb + k] : b[k * ldb + n]);
    auto value = static_cast<float>(sum);
    for (const Stage& s : p.spec.epilogue) {
      const Chain one{s};
      pointwise::scalar::make(one).run(&value, pointwise::offset(one, in_f32().data(), m, n).data(), &value, 1, 1);
    }
    return value;
  }

  std::vector<float> run(const gemm::Gemm& gemm, ThreadPool& pool) const {
    const test::Buffer room = test::room_for(size_t(p.m * ldc), p.spec.kept.y), from = test::kept_as(a, p.spec.kept.x);
    test::Buffer packed(gemm.packed_bytes() / sizeof(float)),
        scratch(gemm.scratch_bytes(p.m) / sizeof(float));
    if (p.spec.b == gemm::B::packed) gemm.pack_b(b.data(), ldb, packed.data());
    gemm.run({.a = from.data(),
              .lda = lda,
              .b = gemm.packed_bytes() ? packed.data() : b.data(),
              .ldb = ldb,
              .c = room.data(),
              .ldc = ldc,
              .bias = bias.data(),
              .operands = operands.data(),
              .m = p.m,
              .scratch = scratch.data()},
             pool);
    EXPECT_TRUE(room.guards_intact() && packed.guards_intact() && scratch.guards_intact());
    const std::vector<float> c = test::floats_of(room, size_t(p.m * ldc), p.spec.kept.y);
    for (int64_t m = 0; m < p.m; ++m)
      for (int64_t n = p.spec.n; n < ldc; ++n) EXPECT_TRUE(std::isnan(c[size_t(m * ldc + n)])) << "between the rows of C";
    return c;
  }
};

std::string describe(const Problem& p) {
  return std::to_string(p.m) + "x" + std::to_string(p.spec.n) + "x" + std::to_string(p.spec.k) +
         (p.spec.b == gemm::B::packed ? " packed" : " dynamic") + (p.spec.transposed_b ? " transposed" : "") +
         (p.spec.bias ? " bias" : "") + " epilogue " + std::to_string(p.spec.epilogue.size) + " seed " +
         std::to_string(test::seed());
}

void check_kept(const gemm::Row& row, const Problem& p) {
  SCOPED_TRACE(describe(p));
  ASSERT_EQ(row.supports(p.spec).refusal, "");
  const gemm::Kernel kernel = row.make(p.spec);
  ASSERT_TRUE(kernel);
  const Data data(p);
  ThreadPool one(1), two(2), three(3);
  const std::vector<float> c = data.run(*kernel, one);
  // Rounded there, behind each stage, and between blocks of k, where the sum of so many quarters is some √k / 3.
  const double blocks = std::ceil(double(p.spec.k) / gemm::Rows::most_k);
  const bool stores_halves = p.spec.kept.y != schema::DType::f32;
  const double tolerance = 2e-6 * std::sqrt(p.spec.k + 1.0) + 4e-6 + (stores_halves ? 6e-4 * (1 + p.spec.epilogue.size) * (1 + blocks * std::sqrt(double(p.spec.k)) / 3) : 0);
  for (int64_t m = 0; m < p.m; ++m)
    for (int64_t n = 0; n < p.spec.n; ++n)
      ASSERT_TRUE(test::near(c[m * data.ldc + n], data.want(m, n), tolerance))
          << m << "," << n << ": " << c[m * data.ldc + n] << " not " << data.want(m, n);
  for (ThreadPool* pool : {&two, &three}) {
    const std::vector<float> again = data.run(*kernel, *pool);
    ASSERT_TRUE(c.empty() || std::memcmp(c.data(), again.data(), c.size() * sizeof(float)) == 0) << "on more threads";
  }
}

bool in_place(const gemm::Row& row) { return row.name.starts_with("gemv_"); }

// As values are kept in f32, and by turns in each other way that the row takes.
void check(const gemm::Row& row, Problem p) {
  p.spec.precision = test::precision_of(row.name);
  if (in_place(row)) {
    ASSERT_EQ(row.supports(p.spec).refusal, "B has to be packed");
    if (p.spec.b == gemm::B::dynamic) return;
    p.spec.in_place = p.spec.transposed_b = true;
    p.spec.rows = 2;
    ASSERT_EQ(row.supports(p.spec).refusal, "more than one row of A");
    p.spec.rows = p.m = 1;
  }
  if (p.spec.precision == Precision::f16 && p.spec.b == gemm::B::dynamic) {
    ASSERT_EQ(row.supports(p.spec).refusal, "B is not constant");
    return;
  }
  check_kept(row, p);
  static size_t turn = 0;
  const auto ways = test::ways_to_keep();
  p.spec.kept = ways[1 + turn++ % (ways.size() - 1)];
  if (p.spec.precision == Precision::f16) check_kept(row, p);
  else ASSERT_EQ(row.supports(p.spec).refusal, "values are kept as another type");
}

class GemmRow : public testing::TestWithParam<size_t> {
 protected:
  const gemm::Row& row = gemm::rows()[GetParam()];
  void SetUp() override {
    if (const std::string reason = test::unavailable(row); !reason.empty()) GTEST_SKIP() << reason;
  }
};

TEST_P(GemmRow, SizesAroundTheTile) {
  const int64_t t = row.tile;
  for (const int64_t m : {int64_t{0}, int64_t{1}, int64_t{2}, t - 1, t, t + 1, 3 * t + 2})
    for (const int64_t n : {1, 7, 8, 9, 16, 17, 31, 33, 48, 98})
      for (const int64_t k : {0, 1, 5, 64}) {
        check(row, {.spec = {.n = n, .k = k, .bias = (n + k) % 2 == 0}, .m = m, .pad = n % 3});
        if (HasFatalFailure()) return;
      }
}

TEST_P(GemmRow, LongReductionsAndManyPanels) {
  const Chain chain{Stage::of(BinaryKind::add, 0, Mode::full), Stage::of(UnaryKind::relu)};
  check(row, {.spec = {.n = 70, .k = 1700, .bias = true, .epilogue = chain}, .m = 37});
  check(row, {.spec = {.n = 200, .k = 1024, .bias = true}, .m = 3});
  check(row, {.spec = {.n = 300, .k = 96, .epilogue = chain}, .m = 260, .pad = 5});
}

// Panels side by side, what is left of them, and a last one that is narrower.
TEST_P(GemmRow, FewRows) {
  const Chain chain{Stage::of(BinaryKind::mul, 1, Mode::per_column), Stage::of(BinaryKind::add, 0, Mode::full), Stage::of(BinaryKind::max, 2, Mode::scalar)};
  for (const int64_t n : {63, 64, 127, 128, 129, 160, 255, 256, 257, 291, 402})
    for (const int64_t k : {0, 1, 3, 4, 5, 64, 800, 1700})
      for (const int64_t m : {1, 2, 3, 4, 5}) {
        check(row, {.spec = {.n = n,
                             .k = k,
                             .bias = n % 2 == 0,
                             .epilogue = k == 5 || k == 800 ? chain : Chain(),
                             .rows = m == 1 ? k % 2 : m},
                    .m = m,
                    .pad = n % 2});
        if (HasFatalFailure()) return;
      }
}

// Made for so many rows of A, and run with those and with others.
TEST_P(GemmRow, KnownRows) {
  const Chain chain{Stage::of(BinaryKind::add, 0, Mode::full), Stage::of(UnaryKind::relu)};
  for (const int64_t rows : {1, 5, 14, 49, 100, 196, 700})
    for (const int64_t m : {rows, rows + 1, int64_t{37}})
      for (const int64_t n : {9, 40, 130}) {
        check(row, {.spec = {.n = n, .k = n == 40 ? 800 : 70, .b = n == 9 ? gemm::B::dynamic : gemm::B::packed, .bias = n == 40, .epilogue = n == 40 ? chain : Chain(), .rows = rows}, .m = m});
        if (HasFatalFailure()) return;
      }
}

// Made for multiples of so many rows, and run with those by one thread, and with others.
TEST_P(GemmRow, MultiplesOfRows) {
  for (const int64_t multiple : {1, 7, 12, 28, 33})
    for (const int64_t m : {multiple, 3 * multiple, 10 * multiple, 10 * multiple + 1})
      for (const int64_t n : {9, 40, 130}) {
        check(row, {.spec = {.n = n, .k = n == 40 ? 800 : 70, .bias = n == 40, .multiple = multiple}, .m = m});
        if (HasFatalFailure()) return;
      }
}

TEST_P(GemmRow, DynamicAndTransposedB) {
  for (const bool transposed : {false, true})
    for (const auto b : {gemm::B::packed, gemm::B::dynamic})
      for (const int64_t m : {1, 5, 19, 100})
        for (const int64_t n : {3, 32, 45, 130})
          for (const int64_t k : {3, 33, 900})
            check(row,
                  {.spec = {.n = n, .k = k, .b = b, .transposed_b = transposed, .bias = m % 2 == 0}, .m = m, .pad = 3});
}

TEST_P(GemmRow, Epilogues) {
  const Chain chains[] = {{Stage::of(UnaryKind::gelu)},
                          {Stage::of(UnaryKind::silu, 1), Stage::of(BinaryKind::add, 0, Mode::full)},
                          {Stage::of(BinaryKind::mul, 1, Mode::per_column), Stage::of(BinaryKind::max, 2, Mode::scalar),
                           Stage::of(UnaryKind::tanh)},
                          {Stage::of(UnaryKind::mish)},  // not every row emits it
                          {Stage::of(UnaryKind::hard_swish), Stage::of(BinaryKind::prelu, 1, Mode::per_column),
                           Stage::of(UnaryKind::elu, 0.7f)}};
  for (const Chain& chain : chains)
    for (const int64_t m : {1, 17, 40})
      for (const int64_t n : {5, 32, 71})
        check(row, {.spec = {.n = n, .k = 20, .bias = true, .epilogue = chain}, .m = m, .pad = 1});
}

INSTANTIATE_TEST_SUITE_P(Rows, GemmRow, testing::Range<size_t>(0, gemm::rows().size()),
                         [](const auto& info) { return std::string(gemm::rows()[info.param].name); });

TEST(Gemm, SelectsTheBestThatRuns) {
  for (const isa::Level& cap : test::caps()) {
    std::vector<Refusal> refusals;
    const RefusalLog log(refusals);
    const gemm::Choice choice = gemm::select({.n = 64, .k = 64}, cap.mask);
    ASSERT_TRUE(choice) << cap.name;
    EXPECT_EQ(refusals.size() + 1, gemm::rows().size());
  }
  EXPECT_EQ(gemm::select({.n = 64, .k = 64}, isa::scalar).name, "gemm_f32_scalar");
  EXPECT_FALSE(gemm::select({.n = 4, .k = 4, .epilogue = {Stage::of(UnaryKind::is_nan)}}));
}

// A vector of 512 bits takes as long as two of 256 bits on some machines, of which plans for a named instruction set
// know nothing.
TEST(Gemm, FewColumnsTakeShortVectorsWhereLongOnesAreHalved) {
  if (!isa::runs(isa::avx512, isa::detected())) GTEST_SKIP() << "needs AVX-512";
  const auto is_short = [](const gemm::Choice& choice) { return choice.name.ends_with("avx2"); };
  EXPECT_EQ(is_short(gemm::select({.n = 24, .k = 64})), isa::halves_512());
  EXPECT_EQ(is_short(gemm::select({.n = 24, .k = 64, .shorter = true}, isa::avx512)), isa::halves_512());
  EXPECT_FALSE(is_short(gemm::select({.n = 25, .k = 64})));
  EXPECT_EQ(is_short(gemm::select({.n = 24, .k = 64}, isa::avx512)),
            isa::halves_512() && isa::detected() == isa::avx512);
}

// Nothing is rounded that may not be.
TEST(Gemm, RoundsOperandsWhereThatIsAllowed) {
  for (const isa::Level& cap : test::caps()) {
    const bool has = isa::runs(isa::neon_fp16, cap.mask);
    EXPECT_EQ(test::precision_of(gemm::select({.n = 64, .k = 64, .precision = Precision::f16}, cap.mask).name) == Precision::f16, has) << cap.name;
    EXPECT_EQ(test::precision_of(gemm::select({.n = 64, .k = 64}, cap.mask).name), Precision::f32) << cap.name;
    EXPECT_EQ(test::precision_of(gemm::select({.n = 64, .k = 64, .b = gemm::B::dynamic, .precision = Precision::f16}, cap.mask).name), Precision::f32) << cap.name;
  }
}

// The error of products in half precision against those of the rounded operands in double precision, relative to the root mean
// square of C: what kernels/README.md says of it.
TEST(GemmError, OfHalfPrecisionIsBounded) {
  for (const gemm::Row& row : gemm::rows()) {
    if (test::precision_of(row.name) != Precision::f16 || !test::unavailable(row).empty()) continue;
    for (const int64_t k : {16, 64, 512, 2048}) {
      const Problem p{.spec = {.n = 32, .k = k}, .m = 40};
      Data data(p);  // f32's, which are rounded where they are packed
      gemm::Spec spec = p.spec;
      spec.precision = Precision::f16;
      ThreadPool one(1);
      const std::vector<float> c = data.run(*row.make(spec), one);
      double error = 0, sum = 0;
      for (int64_t m = 0; m < p.m; ++m)
        for (int64_t n = 0; n < p.spec.n; ++n) {
          const double want = data.want(m, n), e = c[size_t(m * data.ldc + n)] - want;
          error += e * e, sum += want * want;
        }
      const double relative = std::sqrt(error / sum);
      std::printf("  %s, k %d: %.1e\n", std::string(row.name).c_str(), int(k), relative);
      EXPECT_LT(relative, 2e-3);
      EXPECT_GT(relative, 1e-5) << "operands are not rounded";
    }
  }
}

// Beyond the largest half, numbers are infinite, and the sums of which they are a part; rows that round nothing keep them.
TEST_P(GemmRow, NumbersThatHalfPrecisionHasNot) {
  const bool rounds = test::precision_of(row.name) == Precision::f16;
  Data data(
      {.spec = {.n = 9, .k = 5, .transposed_b = in_place(row), .bias = true, .precision = test::precision_of(row.name)},
       .m = 3});
  for (size_t i = 0; i < data.b.size(); ++i) data.b[i] = 1;
  data.a[0] = 70000, data.a[5] = -70000, data.a[11] = NAN;
  ThreadPool one(1);
  const std::vector<float> c = data.run(*row.make(data.p.spec), one);
  for (size_t n = 0; n < 9; ++n) {
    EXPECT_TRUE(rounds ? c[n] == INFINITY && c[9 + n] == -INFINITY : std::abs(c[n] - 70000) < 100 && std::abs(c[9 + n] + 70000) < 100) << c[n] << ' ' << c[9 + n];
    EXPECT_TRUE(std::isnan(c[18 + n]));
  }
}

TEST(Gemm, WithoutExecutablePages) {
  const bool before = jit::forbid(true);
  const gemm::Choice choice = gemm::select({.n = 64, .k = 64, .epilogue = {Stage::of(UnaryKind::relu)}});
  jit::forbid(before);
  ASSERT_TRUE(choice);
  EXPECT_EQ(choice.name.find("jit"), std::string_view::npos);
}
}  // namespace
