// Attention and convolutions with a state, and pools over regions, against plain loops.
#include "tests/cuda/device.h"

namespace {
using namespace kernels;

TEST(CudaLinearAttention, GatedDeltaRule) {
  using cuda::LinearAttentionArgs, cuda::LinearAttentionProblem;
  const auto& row = cuda::linear_attention_family().all()[0];
  for (const int64_t values : test::around(row.tile)) {
    const LinearAttentionProblem p{2, 5, 4, 2, 6, values, 2, 2, 0.5f};
    ASSERT_EQ(row.refusal(p), nullptr);
    const auto tokens = size_t(p.batch * p.length), states = size_t(p.batch * p.kv_heads);
    const test::Buffer q(tokens * 24, 1), k(tokens * 12, 2), v(tokens * size_t(2 * values), 3),
        past(states * size_t(6 * values), 4), decay(tokens * 2, 5, -1, 0), beta(tokens * 2, 6);
    const test::OnDevice<float> q_(q), k_(k), v_(v), past_(past), decay_(decay), beta_(beta), present(past.size());
    const auto got = test::run(row, p,
                               LinearAttentionArgs{q_.data(), k_.data(), v_.data(), past_.data(), decay_.data(),
                                                   beta_.data(), nullptr, present.data()},
                               &LinearAttentionArgs::y, tokens * size_t(4 * values));
    const auto after = present.read();
    for (int64_t b = 0; b < 2; ++b)
      for (int64_t h = 0; h < 2; ++h)
        for (int64_t j = 0; j < values; ++j) {
          double s[6];
          const auto at = [&](int64_t i) { return size_t(((b * 2 + h) * 6 + i) * values + j); };
          for (int64_t i = 0; i < 6; ++i) s[i] = past[at(i)];
          for (int64_t t = b * 5; t < b * 5 + 5; ++t) {
            double held = 0;
            for (int64_t i = 0; i < 6; ++i)
              s[i] *= std::exp(double(decay[size_t(t * 2 + h)])), held += s[i] * k[size_t((t * 2 + h) * 6 + i)];
            for (int64_t i = 0; i < 6; ++i)
              s[i] += k[size_t((t * 2 + h) * 6 + i)] * beta[size_t(t * 2 + h)] *
                      (v[size_t((t * 2 + h) * values + j)] - held);
            for (int64_t g = 2 * h; g < 2 * h + 2; ++g) {
              double want = 0;
              for (int64_t i = 0; i < 6; ++i) want += 0.5 * s[i] * q[size_t((t * 4 + g) * 6 + i)];
              ASSERT_TRUE(test::near(got[size_t((t * 4 + g) * values + j)], want, 1e-5)) << values;
            }
          }
          for (int64_t i = 0; i < 6; ++i) ASSERT_TRUE(test::near(after[at(i)], s[i], 1e-5)) << values;
        }
  }
  EXPECT_NE(row.refusal({1, 1, 1, 1, 257, 4}), nullptr);
  EXPECT_NE(row.refusal({1, 1, 3, 2, 4, 4}), nullptr);
}

TEST(CudaCausalConv, ResultsAndWhatIsLeft) {
  using cuda::CausalConvArgs, cuda::CausalConvProblem;
  const auto& row = cuda::causal_conv_family().all()[0];
  for (const int64_t length : test::around(row.tile))
    for (const int64_t taps : {1, 4}) {
      const CausalConvProblem p{2, 3, length, taps};
      const test::Buffer x(size_t(6 * length), 1), w(size_t(3 * taps), 2), bias(3, 3), past(size_t(6 * (taps - 1)), 4);
      const test::OnDevice<float> x_(x), w_(w), bias_(bias), past_(past), present(past.size());
      const auto got =
          test::run(row, p, CausalConvArgs{x_.data(), w_.data(), bias_.data(), past_.data(), nullptr, present.data()},
                    &CausalConvArgs::y, x.size());
      const auto left = present.read();
      const auto element = [&](int64_t r, int64_t i) {
        return i < taps - 1 ? past[size_t(r * (taps - 1) + i)] : x[size_t(r * length + i - taps + 1)];
      };
      for (int64_t r = 0; r < 6; ++r) {
        for (int64_t i = 0; i < length; ++i) {
          double want = bias[size_t(r % 3)];
          for (int64_t tap = 0; tap < taps; ++tap) want += double(w[size_t(r % 3 * taps + tap)]) * element(r, i + tap);
          ASSERT_TRUE(test::near(got[size_t(r * length + i)], want, 1e-5)) << length << " " << i;
        }
        for (int64_t i = 0; i < taps - 1; ++i) EXPECT_EQ(left[size_t(r * (taps - 1) + i)], element(r, length + i));
      }
    }
}

// Bilinear samples of a plane are its values; a region of an image that there is not is reported.
TEST(CudaRoiAlign, MeansOfAPlane) {
  using cuda::RoiAlignArgs, cuda::RoiAlignProblem;
  const auto& row = cuda::roi_align_family().all()[0];
  const RoiAlignProblem p{2, 2, 9, 11, 3, 4, 5, 2, 1, false};
  ASSERT_EQ(row.refusal(p), nullptr);
  std::vector<float> x;
  for (int64_t i = 0; i < 2 * 2 * 9 * 11; ++i) x.push_back(float(i / 99 * 100 + i % 99 / 11 * 3 + i % 11));
  std::vector<int64_t> images{1, 0, 1};
  const std::vector<float> rois{1, 1, 6, 5, 0, 2, 10, 8, 3, 3, 3, 3};
  const test::OnDevice<float> x_(x), rois_(rois);
  const test::OnDevice<int64_t> images_(images);
  const auto got = test::run(row, p, RoiAlignArgs{x_.data(), rois_.data(), images_.data(), nullptr}, &RoiAlignArgs::y,
                             3 * 2 * 4 * 5);
  for (int64_t i = 0; i < 3 * 2 * 20; ++i) {
    const int64_t r = i / 40, channel = i / 20 % 2;
    const float *roi = &rois[size_t(r * 4)], width = std::max(roi[2] - roi[0], 1.f),
                height = std::max(roi[3] - roi[1], 1.f);
    const double column = roi[0] + (double(i % 5) + 0.5) * width / 5,
                 line = roi[1] + (double(i / 5 % 4) + 0.5) * height / 4;
    ASSERT_TRUE(test::near(got[size_t(i)], double(images[size_t(r)] * 2 + channel) * 100 + 3 * line + column, 1e-5))
        << i;
  }
  images[1] = 2;
  const test::OnDevice<int64_t> wrong(images);
  const test::OnDevice<float> y(120);
  const cuda::Fault fault = test::fault_of(row, p, RoiAlignArgs{x_.data(), rois_.data(), wrong.data(), y.data()});
  EXPECT_TRUE(fault.any && fault.what == cuda::Refused::index && fault.position == 1);
  EXPECT_NE(row.refusal({1, 1, 0, 4}), nullptr);
}
}  // namespace
