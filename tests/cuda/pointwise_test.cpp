#include "tests/cuda/device.h"

namespace {
using namespace kernels;
using pointwise::Chain;
using pointwise::Mode;
using pointwise::Stage;
using schema::BinaryKind;
using schema::UnaryKind;

const auto& row = cuda::pointwise_family().all()[0];

void check(const Chain& chain, int64_t outer, int64_t rows, int64_t columns, int64_t pitch = 0) {
  SCOPED_TRACE("seed " + std::to_string(test::seed()) + ": " + std::to_string(outer) + " " + std::to_string(rows) +
               " " + std::to_string(columns));
  const int64_t stride = pitch ? pitch : columns, n = outer * rows * stride;
  const test::Buffer x(size_t(n), 1, 0.2f, 0.9f);
  std::vector<test::Buffer> operands;
  pointwise::Operands host, device;
  std::vector<test::OnDevice<float>> copies;
  for (int i = 0; i < chain.operand_count(); ++i) {
    operands.emplace_back(size_t(std::max<int64_t>(rows * columns, 1)), unsigned(2 + i), 0.2f, 0.9f);
    copies.emplace_back(operands.back());
    host[size_t(i)] = {operands.back().data(), columns};
    device[size_t(i)] = {copies.back().data(), columns};
  }
  const test::Buffer want(size_t(n), 99);
  const auto kernel = pointwise::scalar::make(chain);
  for (int64_t o = 0; o < outer; ++o)
    kernel.run(
        {x.data() + o * rows * stride, stride, want.data() + o * rows * stride, stride, host.data(), rows, columns});
  const cuda::PointwiseProblem problem{chain, outer, rows, columns, stride, stride};
  ASSERT_EQ(row.refusal(problem), nullptr);
  const test::OnDevice<float> in(x);
  const auto got =
      test::run(row, problem, cuda::PointwiseArgs{in.data(), nullptr, device}, &cuda::PointwiseArgs::y, size_t(n));
  for (int64_t i = 0; i < n; ++i) {
    if (i % stride >= columns) EXPECT_TRUE(std::isnan(got[size_t(i)])) << "between rows";
    else
      ASSERT_TRUE(test::near(got[size_t(i)], want[size_t(i)], 0))
          << i << ": " << got[size_t(i)] << " not " << want[size_t(i)];
  }
}

TEST(CudaPointwise, SizesAroundTheBlock) {
  const Chain chain{Stage::of(BinaryKind::mul, 0, Mode::full), Stage::of(UnaryKind::relu),
                    Stage::of(BinaryKind::sub, 1, Mode::per_column, true), Stage::of(BinaryKind::add, 2, Mode::per_row),
                    Stage::of(BinaryKind::div, 3, Mode::scalar)};
  for (const int64_t n : test::around(row.tile)) {
    check(chain, 1, 1, n);
    check(chain, 1, n, 1);
    check(chain, 2, 3, n);
    check(chain, 2, 3, n, n + 5);
  }
  check(chain, 1, 300, 700);
}

TEST(CudaPointwise, EveryFunction) {
  for (int kind = 0; kind < int(schema::names<UnaryKind>.size()); ++kind) {
    const Chain chain{Stage::of(UnaryKind(kind), 0.3f, 0.7f)};
    SCOPED_TRACE(schema::name(UnaryKind(kind)));
    EXPECT_EQ(row.refusal({chain}) == nullptr, pointwise::unsupported(chain).empty());
    if (pointwise::unsupported(chain).empty()) check(chain, 1, 2, 50);
  }
  for (int kind = 0; kind < int(schema::names<BinaryKind>.size()); ++kind)
    for (const bool swapped : {false, true}) {
      const Chain chain{Stage::of(BinaryKind(kind), 0, Mode::full, swapped)};
      SCOPED_TRACE(schema::name(BinaryKind(kind)));
      EXPECT_EQ(row.refusal({chain}) == nullptr, pointwise::unsupported(chain).empty());
      if (pointwise::unsupported(chain).empty()) check(chain, 1, 2, 50);
    }
}
}  // namespace
