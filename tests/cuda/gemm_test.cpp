#include "tests/cuda/device.h"

namespace {
using namespace kernels;
using cuda::GemmArgs;
using cuda::GemmProblem;
using pointwise::Mode;
using pointwise::Stage;

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
  const size_t n = rows ? size_t((rows - 1) * p.ldc + p.n) : 0;
  const auto got = test::run(
      row, p, GemmArgs{a_.data(), b_.data(), nullptr, {{{operand_.data(), p.n}, {bias_.data(), 0}}}}, &GemmArgs::c, n);
  for (int64_t i = 0; i < batches; ++i) {
    int64_t rest = i, from_a = 0, from_b = 0;
    for (int d = 3; d-- > 0; rest /= p.batch[d])
      from_a += rest % p.batch[d] * p.a_steps[d], from_b += rest % p.batch[d] * p.b_steps[d];
    for (int64_t r = 0; r < p.m; ++r)
      for (int64_t c = 0; c < p.n; ++c) {
        double want = 0;
        for (int64_t k = 0; k < p.k; ++k)
          want += double(a[size_t(from_a + (p.trans_a ? k * p.lda + r : r * p.lda + k))]) *
                  b[size_t(from_b + (p.trans_b ? c * p.ldb + k : k * p.ldb + c))];
        if (!p.chain.empty()) want = std::max(want + operand[size_t(r * p.n + c)], 0.0) - bias[size_t(c)];
        const float value = got[size_t((i * p.m + r) * p.ldc + c)];
        ASSERT_TRUE(test::near(value, want, 1e-5)) << r << " " << c << ": " << value << " not " << want;
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

INSTANTIATE_TEST_SUITE_P(Rows, CudaGemm, testing::Range<size_t>(0, cuda::gemm_family().count),
                         [](const auto& info) { return std::string(cuda::gemm_family().all()[info.param].name); });
}  // namespace
