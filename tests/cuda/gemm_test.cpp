#include "tests/cuda/device.h"

namespace {
using namespace kernels;
using cuda::GemmArgs;
using cuda::GemmProblem;
using pointwise::Mode;
using pointwise::Stage;
using schema::DType;

std::string text(const GemmProblem& p) {
  std::string text = "seed " + std::to_string(test::seed()) + ":";
  for (const int64_t v :
       {p.m, p.n, p.k, int64_t{p.trans_a}, int64_t{p.trans_b}, p.batch[0], p.batch[1], p.batch[2], p.ldc})
    text += " " + std::to_string(v);
  return text;
}

void check(const cuda::Row<GemmProblem, GemmArgs>& row, GemmProblem p) {
  if (!p.lda) p.lda = p.trans_a ? p.m : p.k;
  if (!p.ldb) p.ldb = p.trans_b ? p.k : p.n;
  if (!p.ldc) p.ldc = p.n;
  p.precision = test::precision_of(row.name);
  SCOPED_TRACE(text(p));
  ASSERT_EQ(row.refusal(p), nullptr);
  const int64_t batches = p.batch[0] * p.batch[1] * p.batch[2], rows = batches * p.m;
  const auto most = [&](const int64_t* steps, int64_t matrix) {
    int64_t n = matrix;
    for (int d = 0; d < 3; ++d) n += (p.batch[d] - 1) * steps[d];
    return size_t(n);
  };
  const test::Buffer a(most(p.a_steps, (p.trans_a ? p.k : p.m) * p.lda), 1),
      b(most(p.b_steps, (p.trans_b ? p.n : p.k) * p.ldb), 2);
  const test::Buffer operand(size_t(p.m * p.n), 3), bias(size_t(p.n), 4);
  const test::OnDevice<float> a_(a), b_(b), operand_(operand), bias_(bias);
  const test::OnDevice<uint16_t> half_b(test::halves(b.data(), p.half_b ? b.size() : 0, p.precision));
  const test::OnDevice<std::byte> scratch(size_t(row.scratch ? row.scratch(p) : 0));
  const size_t n = rows ? size_t((rows - 1) * p.ldc + p.n) : 0;
  // What is kept as half: A, C, the operand.
  const bool half_a = p.kept.x != DType::f32, half_c = p.kept.y != DType::f32,
             half_o = p.kept.operands[0] != DType::f32;
  const test::OnDevice<uint16_t> kept_a(test::halves({a.data(), a.data() + a.size()}, p.kept.x)),
      kept_o(test::halves({operand.data(), operand.data() + operand.size()}, p.kept.operands[0]));
  const auto* of_operand = half_o ? reinterpret_cast<const float*>(kept_o.data()) : operand_.data();
  const GemmArgs args{half_a ? static_cast<const void*>(kept_a.data()) : a_.data(),
                      p.half_b ? static_cast<const void*>(half_b.data()) : b_.data(),
                      nullptr,
                      {{{of_operand, p.n}, {bias_.data(), 0}}},
                      scratch.data()};
  const auto got = half_c ? test::floats(test::run_as<uint16_t>(row, p, args, &GemmArgs::c, n), p.kept.y)
                          : test::run(row, p, args, &GemmArgs::c, n);
  const double tolerance = p.kept.y == DType::bf16 ? 8e-3 : half_c ? 1e-3 : 1e-5;
  const auto value_of = [&](const test::Buffer& m, int64_t i) {
    return double(test::rounded(m[size_t(i)], p.precision));
  };
  for (int64_t i = 0; i < batches; ++i) {
    int64_t rest = i, from_a = 0, from_b = 0;
    for (int d = 3; d-- > 0; rest /= p.batch[d])
      from_a += rest % p.batch[d] * p.a_steps[d], from_b += rest % p.batch[d] * p.b_steps[d];
    for (int64_t r = 0; r < p.m; ++r)
      for (int64_t c = 0; c < p.n; ++c) {
        double want = 0;
        for (int64_t k = 0; k < p.k; ++k)
          want += value_of(a, from_a + (p.trans_a ? k * p.lda + r : r * p.lda + k)) *
                  value_of(b, from_b + (p.trans_b ? c * p.ldb + k : k * p.ldb + c));
        if (!p.chain.empty()) {
          const float o = operand[size_t(r * p.n + c)];
          want = std::max(want + double(half_o ? test::rounded(o, p.precision) : o), 0.0) - bias[size_t(c)];
        }
        const float value = got[size_t((i * p.m + r) * p.ldc + c)];
        ASSERT_TRUE(test::near(value, want, tolerance)) << r << " " << c << ": " << value << " not " << want;
      }
  }
  for (size_t i = 0; i < got.size(); ++i)
    ASSERT_TRUE(int64_t(i) % p.ldc < p.n || std::isnan(got[i])) << "between rows of C";
}

class CudaGemm : public testing::TestWithParam<size_t> {
 protected:
  const cuda::Row<GemmProblem, GemmArgs>& row = cuda::gemm_family().all()[GetParam()];
};

TEST_P(CudaGemm, SizesAroundTheTile) {
  const int64_t t = row.tile;
  for (const int64_t m : test::around(t))
    for (const int64_t n : {int64_t{1}, t - 1, t + 1}) check(row, {.m = m, .n = n, .k = 19});
  for (const int64_t k : {0, 1, 7, 8, 9, 15, 16, 17, 40}) check(row, {.m = 5, .n = 70, .k = k});
  check(row, {.m = 2 * t + 3, .n = t + 30, .k = 33});
}

TEST_P(CudaGemm, TransposedAndStrided) {
  for (const bool trans_a : {false, true})
    for (const bool trans_b : {false, true}) {
      check(row, {.m = 70, .n = 37, .k = 21, .trans_a = trans_a, .trans_b = trans_b});
      check(row, {.m = 9, .n = 11, .k = 10, .lda = 80, .ldb = 90, .ldc = 17, .trans_a = trans_a, .trans_b = trans_b});
    }
}

TEST_P(CudaGemm, Batches) {
  check(row, {.m = 5, .n = 7, .k = 6, .batch = {1, 1, 4}, .a_steps = {0, 0, 30}, .b_steps = {0, 0, 42}});
  check(row, {.m = 5, .n = 7, .k = 6, .batch = {2, 3, 4}, .a_steps = {360, 120, 30}, .b_steps = {0, 42, 0}});
}

TEST_P(CudaGemm, Epilogue) {
  const pointwise::Chain chain{Stage::of(schema::BinaryKind::add, 0, Mode::full), Stage::of(schema::UnaryKind::relu),
                               Stage::of(schema::BinaryKind::sub, 1, Mode::per_column)};
  check(row, {.m = 67, .n = 35, .k = 20, .chain = chain});
}

// Where both operands run along k, several elements are copied at once.
TEST_P(CudaGemm, VectorsAlongK) {
  for (const int64_t k : {8, 16, 32, 40, 64, 96, 104}) check(row, {.m = 70, .n = 67, .k = k, .trans_b = true});
  check(row, {.m = row.tile + 1, .n = row.tile - 1, .k = 72, .lda = 76, .ldb = 80, .trans_b = true});
  check(row,
        {.m = 9, .n = 7, .k = 8, .trans_b = true, .batch = {2, 1, 3}, .a_steps = {216, 0, 72}, .b_steps = {56, 0, 0}});
  if (test::precision_of(row.name) == kernels::Precision::f16 ||
      test::precision_of(row.name) == kernels::Precision::bf16) {
    for (const int64_t k : {8, 32, 40, 136}) check(row, {.m = 70, .n = 67, .k = k, .trans_b = true, .half_b = true});
    EXPECT_NE(row.refusal({.m = 1,
                           .n = 1,
                           .k = 7,
                           .lda = 7,
                           .ldb = 7,
                           .ldc = 1,
                           .trans_b = true,
                           .precision = test::precision_of(row.name),
                           .half_b = true}),
              nullptr);
  } else {
    EXPECT_NE(row.refusal({.m = 1,
                           .n = 1,
                           .k = 8,
                           .lda = 8,
                           .ldb = 8,
                           .ldc = 1,
                           .trans_b = true,
                           .precision = test::precision_of(row.name),
                           .half_b = true}),
              nullptr);
  }
}

TEST_P(CudaGemm, KeptAsHalf) {
  const Precision precision = test::precision_of(row.name);
  const DType type = precision == Precision::bf16 ? DType::bf16 : DType::f16;
  const bool multiplies_half = precision == Precision::f16 || precision == Precision::bf16;
  const pointwise::Chain chain{Stage::of(schema::BinaryKind::add, 0, Mode::full), Stage::of(schema::UnaryKind::relu),
                               Stage::of(schema::BinaryKind::sub, 1, Mode::per_column)};
  const auto kept = [](DType x, DType y, DType operand) {
    cuda::KeptTypes k;
    k.x = x, k.y = y, k.operands[0] = operand;
    return k;
  };
  check(row, {.m = 70, .n = 67, .k = 40, .trans_b = true, .kept = kept(DType::f32, type, DType::f32)});
  const GemmProblem half_x{.m = 70,
                           .n = 67,
                           .k = 40,
                           .lda = 40,
                           .ldb = 40,
                           .ldc = 67,
                           .trans_b = true,
                           .precision = precision,
                           .kept = kept(type, type, DType::f32)};
  if (!multiplies_half) {
    EXPECT_NE(row.refusal(half_x), nullptr);
    return;
  }
  for (const bool half_b : {false, true})
    for (const int64_t k : {8, 32, 40, 1024}) {
      check(row,
            {.m = 70, .n = 67, .k = k, .trans_b = true, .half_b = half_b, .kept = kept(type, DType::f32, DType::f32)});
      check(
          row,
          {.m = 5, .n = 67, .k = k, .trans_b = true, .chain = chain, .half_b = half_b, .kept = kept(type, type, type)});
    }
  check(row, {.m = 9, .n = 11, .k = 7, .kept = kept(type, type, DType::f32)});
  check(row, {.m = 9, .n = 11, .k = 13, .trans_a = true, .kept = kept(type, DType::f32, DType::f32)});
  GemmProblem other = half_x;
  other.kept.x = type == DType::f16 ? DType::bf16 : DType::f16;
  EXPECT_NE(row.refusal(other), nullptr);
}

TEST_P(CudaGemm, LongSumsAreDivided) {
  const pointwise::Chain chain{Stage::of(schema::BinaryKind::add, 0, Mode::full), Stage::of(schema::UnaryKind::relu),
                               Stage::of(schema::BinaryKind::sub, 1, Mode::per_column)};
  check(row, {.m = 5, .n = 9, .k = 1024, .trans_b = true});
  check(row, {.m = 5, .n = 70, .k = 999, .ldc = 75, .chain = chain});
  check(row, {.m = 2, .n = 3, .k = 2048, .batch = {1, 1, 2}, .a_steps = {0, 0, 4096}, .b_steps = {0, 0, 6144}});
}

TEST_P(CudaGemm, RoundsAsItsNameSays) {
  const auto own = test::precision_of(row.name);
  for (const auto asked : {Precision::f32, Precision::tf32, Precision::f16, Precision::bf16}) {
    const bool takes =
        row.refusal({.m = 1, .n = 1, .k = 1, .lda = 1, .ldb = 1, .ldc = 1, .precision = asked}) == nullptr;
    EXPECT_EQ(takes, own == Precision::f32 || own == asked) << int(asked);
  }
}

INSTANTIATE_TEST_SUITE_P(Rows, CudaGemm, testing::Range<size_t>(0, cuda::gemm_family().count),
                         [](const auto& info) { return std::string(cuda::gemm_family().all()[info.param].name); });
}  // namespace
