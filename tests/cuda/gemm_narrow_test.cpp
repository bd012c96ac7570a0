// Products by weights of few bits against plain loops.
#include "tests/cuda/device.h"

namespace {
using namespace kernels;
using cuda::GemmNarrowArgs, cuda::GemmNarrowProblem, schema::DType;

struct Given {
  test::Buffer a, scale;
  std::vector<uint8_t> b, zero;  // bytes, as they are stored
  std::vector<double> weights;   // [n, k]
};
Given random_weights(const GemmNarrowProblem& p, bool zeros) {
  const int64_t blocks = p.block ? cuda::divide_up(p.k, p.block) : 0;
  Given g{test::Buffer(size_t(p.m * p.k), 1), test::Buffer(size_t(p.n * blocks), 2, 0.01f, 0.1f), {}, {}, {}};
  std::mt19937 random(test::seed());
  const auto bytes = [&](int64_t elements, int bits) {
    std::vector<uint8_t> all(size_t((elements * bits + 7) / 8));
    for (uint8_t& byte : all) byte = uint8_t(random());
    return all;
  };
  const int bits = p.type == DType::u4 ? 4 : p.type == DType::u8 ? 8 : 16;
  g.b = bytes(p.n * p.ldb, bits);
  if (p.type == DType::bf16)
    for (int64_t i = 0; i < p.n * p.ldb; ++i) {
      const float x = float(int(random() % 2001) - 1000) / 500;
      const uint16_t h = cuda::to_bfloat(x);
      std::memcpy(g.b.data() + i * 2, &h, 2);
    }
  if (zeros) g.zero = bytes(p.n * blocks, bits);
  const auto integer = [&](const std::vector<uint8_t>& from, int64_t i) {
    return bits == 8 ? from[size_t(i)] : from[size_t(i / 2)] >> (i % 2 * 4) & 15;
  };
  for (int64_t j = 0; j < p.n; ++j)
    for (int64_t k = 0; k < p.k; ++k) {
      if (!p.block) {
        g.weights.push_back(cuda::load_real(p.type, g.b.data(), j * p.ldb + k));
        continue;
      }
      const int64_t block = j * blocks + k / p.block;
      g.weights.push_back((integer(g.b, j * p.ldb + k) - (zeros ? integer(g.zero, block) : 0)) *
                          double(g.scale[size_t(block)]));
    }
  return g;
}

void check(const GemmNarrowProblem& p, bool zeros) {
  SCOPED_TRACE(std::string(schema::name(p.type)) + " " + std::to_string(p.m) + " " + std::to_string(p.n) + " " +
               std::to_string(p.k) + " " + std::to_string(p.block));
  const Given g = random_weights(p, zeros);
  const test::OnDevice<float> a(g.a), scale(g.scale);
  const test::OnDevice<uint8_t> b(g.b), zero(g.zero);
  for (const auto& row : cuda::gemm_narrow_family().all()) {
    if (row.refusal(p)) {
      EXPECT_GT(p.m, 8) << row.name << ": " << row.refusal(p);
      continue;
    }
    const test::OnDevice<std::byte> scratch(size_t(row.scratch ? row.scratch(p) : 0));
    const auto got = test::run(
        row, p,
        GemmNarrowArgs{a.data(), b.data(), scale.data(), zeros ? zero.data() : nullptr, nullptr, scratch.data()},
        &GemmNarrowArgs::c, size_t(p.m * p.n));
    for (int64_t i = 0; i < p.m * p.n; ++i) {
      double want = 0, size = 1;
      for (int64_t k = 0; k < p.k; ++k) {
        const double part = double(g.a[size_t(i / p.n * p.k + k)]) * g.weights[size_t(i % p.n * p.k + k)];
        want += part, size += std::fabs(part);
      }
      ASSERT_NEAR(got[size_t(i)], want, 2e-6 * size) << row.name << " " << i;
    }
  }
}

TEST(CudaGemmNarrow, IntegersInBlocks) {
  for (const auto type : {DType::u4, DType::u8})
    for (const int64_t m : {0, 1, 2, 8, 9})
      for (const bool zeros : {false, true}) {
        check({m, 3, 256, 256, type, 32}, zeros);  // as many as a warp reads at once
        check({m, 9, 255, 256, type, 16}, zeros);  // rows are padded
        check({m, 2, 264, 264, type, 8}, zeros);
        check({m, 5, 37, 37, type, 6}, zeros);  // rows begin within a byte
        check({m, 1, 1, 2, type, 2}, zeros);
      }
}
TEST(CudaGemmNarrow, Bfloat) {
  for (const int64_t m : {1, 3, 8, 130})
    for (const int64_t k : {1, 255, 256, 257}) check({m, 10, k, k, DType::bf16}, false);
}
TEST(CudaGemmNarrow, SomeColumnsAtATime) {
  for (const int64_t columns : {1, 63, 64, 65, 128, 129, 130}) check({9, 129, 40, 40, DType::u4, 8, columns}, true);
  const auto& row = cuda::gemm_narrow_family().all()[2];
  EXPECT_EQ(row.scratch({9, 129, 40, 40, DType::u4, 8, 128}), 128 * 40 * 4);
  EXPECT_NE(row.refusal({9, 129, 40, 40, DType::u4, 8, 0}), nullptr);
}
TEST(CudaGemmNarrow, KeptAsHalf) {
  for (const auto type : {DType::f16, DType::bf16})
    for (const int64_t m : {1, 5, 20}) {
      GemmNarrowProblem p{m, 6, 64, 64, DType::u4, 16}, half = p;
      half.kept.x = half.kept.y = type;
      const Given g = random_weights(p, true);
      const auto from = test::halves({g.a.data(), g.a.data() + g.a.size()}, type);
      const test::OnDevice<uint16_t> half_a(from);
      const test::OnDevice<float> a(test::floats(from, type)), scale(g.scale);
      const test::OnDevice<uint8_t> b(g.b), zero(g.zero);
      const auto rows = cuda::gemm_narrow_family().all();
      EXPECT_NE(rows[0].refusal(half), nullptr);
      if (m > 8) half.precision = type == DType::f16 ? Precision::f16 : Precision::bf16;
      const auto& row = rows[m > 8 ? 2 : 1];
      ASSERT_EQ(row.refusal(half), nullptr) << row.refusal(half);
      const auto& single = rows[m > 8 ? 2 : 0];
      const test::OnDevice<std::byte> scratch(size_t(m > 8 ? std::max(row.scratch(half), single.scratch(p)) : 0));
      const auto want =
          test::run(single, p, GemmNarrowArgs{a.data(), b.data(), scale.data(), zero.data(), nullptr, scratch.data()},
                    &GemmNarrowArgs::c, size_t(m * 6));
      const auto got = test::run_as<uint16_t>(
          row, half, GemmNarrowArgs{half_a.data(), b.data(), scale.data(), zero.data(), nullptr, scratch.data()},
          &GemmNarrowArgs::c, size_t(m * 6));
      const auto floats = test::floats(got, type);
      for (size_t i = 0; i < want.size(); ++i)
        EXPECT_NEAR(floats[i], want[i], (type == DType::f16 ? 2e-3 : 2e-2) * (1 + std::fabs(want[i]))) << i;
    }
}
}  // namespace
