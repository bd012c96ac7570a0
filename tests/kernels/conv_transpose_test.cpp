#include "kernels/conv_transpose/conv_transpose.h"
#include "tests/kernels/util.h"

namespace {
using namespace kernels;
using conv_transpose::Spec;

std::vector<double> want(const Spec& s, int64_t batch, const test::Buffer& x, const test::Buffer& w,
                         const float* bias) {
  std::vector<double> y(static_cast<size_t>(batch * s.out_height * s.out_width * s.out_channels));
  for (size_t i = 0; i < y.size(); ++i) y[i] = bias ? bias[i % s.out_channels] : 0;
  for (int64_t n = 0; n < batch; ++n)
    for (int64_t h = 0; h < s.height; ++h)
      for (int64_t col = 0; col < s.width; ++col)
        for (int a = 0; a < s.kernel_h; ++a)
          for (int b = 0; b < s.kernel_w; ++b) {
            const int64_t oh = h * s.stride_h + a * s.dilation_h - s.pad_top;
            const int64_t ow = col * s.stride_w + b * s.dilation_w - s.pad_left;
            if (oh < 0 || ow < 0 || oh >= s.out_height || ow >= s.out_width) continue;
            for (int64_t c = 0; c < s.channels; ++c)
              for (int64_t k = 0; k < s.out_channels; ++k)
                y[((n * s.out_height + oh) * s.out_width + ow) * s.out_channels + k] +=
                    static_cast<double>(x[((n * s.height + h) * s.width + col) * s.channels + c]) *
                    w[((c * s.out_channels + k) * s.kernel_h + a) * s.kernel_w + b];
          }
  return y;
}

void check(const conv_transpose::Row& row, Spec s, int64_t batch, bool biased) {
  std::string text = "seed " + std::to_string(test::seed()) + ": ";
  for (const int64_t v : {batch, s.channels, s.out_channels, s.height, s.width, s.out_height, s.out_width,
                          int64_t{s.kernel_h}, int64_t{s.kernel_w}, int64_t{s.stride_h}, int64_t{s.stride_w},
                          int64_t{s.dilation_h}, int64_t{s.dilation_w}, int64_t{s.pad_top}, int64_t{s.pad_left}})
    text += std::to_string(v) + " ";
  SCOPED_TRACE(text);
  const test::Buffer x(batch * s.height * s.width * s.channels, 1), bias(s.out_channels, 3);
  const test::Buffer w(s.channels * s.out_channels * s.kernel_h * s.kernel_w, 2);
  const std::vector<double> expected = want(s, batch, x, w, biased ? bias.data() : nullptr);
  for (const isa::Level& cap : test::caps()) {
    s.isa = cap.mask;
    ASSERT_EQ(row.supports(s).refusal, "");
    const conv_transpose::Kernel kernel = row.make(s);
    ASSERT_TRUE(kernel);
    const test::Buffer packed((kernel->packed_bytes() + 3) / 4), scratch((kernel->scratch_bytes() + 3) / 4);
    kernel->pack(w.data(), packed.data());
    std::vector<float> first;
    for (const int threads : {1, 2, 3}) {
      ThreadPool pool(threads);
      const test::Buffer y(expected.size());
      kernel->run({x.data(), packed.data(), biased ? bias.data() : nullptr, y.data(), batch, scratch.data()}, pool);
      EXPECT_TRUE(y.guards_intact() && packed.guards_intact() && scratch.guards_intact()) << cap.name;
      if (threads == 1) {
        first.assign(y.data(), y.data() + y.size());
        for (size_t i = 0; i < expected.size(); ++i)
          ASSERT_TRUE(
              test::near(y[i], expected[i], 2e-6 * std::sqrt(static_cast<double>(s.channels) * s.kernel_h) + 4e-6))
              << cap.name << " at " << i << ": " << y[i] << " not " << expected[i];
      }
      ASSERT_EQ(std::memcmp(first.data(), y.data(), first.size() * sizeof(float)), 0) << threads << " threads";
    }
  }
}

class ConvTransposeRow : public testing::TestWithParam<size_t> {
 protected:
  const conv_transpose::Row& row = conv_transpose::rows()[GetParam()];
};

TEST_P(ConvTransposeRow, KernelIsStride) {
  for (const int64_t channels : {1, 15, 16, 17, 70}) {
    check(row,
          {.channels = channels,
           .out_channels = 33,
           .height = 5,
           .width = 7,
           .out_height = 10,
           .out_width = 14,
           .kernel_h = 2,
           .kernel_w = 2,
           .stride_h = 2,
           .stride_w = 2},
          2, true);
    check(row,
          {.channels = 8,
           .out_channels = channels,
           .height = 5,
           .width = 7,
           .out_height = 15,
           .out_width = 14,
           .kernel_h = 3,
           .kernel_w = 2,
           .stride_h = 3,
           .stride_w = 2},
          1, false);
  }
}

TEST_P(ConvTransposeRow, PaddingStrideDilation) {
  std::mt19937 random(test::seed());
  const auto pick = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); };
  for (int i = 0; i < 100; ++i) {
    Spec s;
    s.channels = pick(1, 20), s.out_channels = pick(1, 40);
    s.height = pick(1, 9), s.width = pick(1, 9);
    s.kernel_h = pick(1, 5), s.kernel_w = pick(1, 5);
    s.stride_h = pick(1, 4), s.stride_w = pick(1, 4);
    s.dilation_h = pick(1, 3), s.dilation_w = pick(1, 3);
    s.pad_top = pick(0, 3), s.pad_left = pick(0, 3);
    s.out_height = std::max<int64_t>(1, (s.height - 1) * s.stride_h + (s.kernel_h - 1) * s.dilation_h + pick(-3, 3));
    s.out_width = std::max<int64_t>(1, (s.width - 1) * s.stride_w + (s.kernel_w - 1) * s.dilation_w + pick(-3, 3));
    check(row, s, pick(1, 2), pick(0, 1));
    if (HasFatalFailure()) return;
  }
}

TEST_P(ConvTransposeRow, LargeOnes) {
  check(row,
        {.channels = 8,
         .out_channels = 64,
         .height = 30,
         .width = 40,
         .out_height = 60,
         .out_width = 80,
         .kernel_h = 4,
         .kernel_w = 4,
         .stride_h = 2,
         .stride_w = 2,
         .pad_top = 1,
         .pad_left = 1},
        2, true);
  check(row,
        {.channels = 3,
         .out_channels = 100,
         .height = 20,
         .width = 60,
         .out_height = 100,
         .out_width = 180,
         .kernel_h = 3,
         .kernel_w = 3,
         .stride_h = 5,
         .stride_w = 3,
         .dilation_h = 2},
        1, true);
}

// A few bytes of a file may ask for tables without end.
TEST_P(ConvTransposeRow, RefusesTooManyTaps) {
  conv_transpose::Spec s{.channels = 1, .out_channels = 1, .height = 1, .width = 1, .out_height = 1 << 20, .out_width = 1};
  EXPECT_EQ(row.supports(s).refusal, "");
  s.kernel_h = 1 << 20;
  EXPECT_NE(row.supports(s).refusal, "");
  s.kernel_h = 1, s.stride_h = s.stride_w = 60;  // 3600 phases, all but one of zeros
  EXPECT_NE(row.supports(s).refusal, "");
  s.stride_h = 1 << 20;
  EXPECT_NE(row.supports(s).refusal, "");
}

INSTANTIATE_TEST_SUITE_P(Rows, ConvTransposeRow, testing::Range<size_t>(0, conv_transpose::rows().size()),
                         [](const auto& info) { return std::string(conv_transpose::rows()[info.param].name); });
}  // namespace
