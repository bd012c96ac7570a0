#include "tests/cuda/device.h"

namespace {
using namespace kernels;
using conv::Spec;
using cuda::ConvArgs;
using cuda::ConvProblem;
using kernels::Precision;
using pointwise::Mode;
using pointwise::Stage;
using schema::DType;

// As the type has it that they are kept as.
test::Buffer as_kept(const test::Buffer& values, DType type) {
  test::Buffer to(values.size());
  const auto p = type == DType::f16 ? Precision::f16 : type == DType::bf16 ? Precision::bf16 : Precision::f32;
  for (size_t i = 0; i < values.size(); ++i) to[i] = test::rounded(values[i], p);
  return to;
}

void check(const cuda::Row<ConvProblem, ConvArgs>& row, const Spec& s, int64_t batch, int64_t height,
           const cuda::KeptTypes& kept = {}) {
  std::string text = "seed " + std::to_string(test::seed()) + ":";
  for (const int64_t v : {batch,
                          height,
                          s.width,
                          s.channels,
                          s.out_channels,
                          s.groups,
                          int64_t{s.kernel_h},
                          int64_t{s.kernel_w},
                          int64_t{s.stride_h},
                          int64_t{s.stride_w},
                          int64_t{s.dilation_h},
                          int64_t{s.dilation_w},
                          int64_t{s.pad_top},
                          int64_t{s.pad_left},
                          int64_t{s.pad_bottom},
                          int64_t{s.pad_right},
                          int64_t{s.nchw_input},
                          int64_t{s.bias},
                          s.in_pitch(),
                          s.out_pitch()})
    text += " " + std::to_string(v);
  SCOPED_TRACE(text);
  const Precision precision = test::precision_of(row.name);
  const ConvProblem problem{s, batch, height, precision, precision, kept};
  ASSERT_EQ(row.refusal(problem), nullptr);
  const int64_t pixels = batch * s.out_height(height) * s.out_width(), taps = int64_t(s.kernel_h) * s.kernel_w,
                in = s.channels / s.groups;
  const test::Buffer x(size_t(batch * height * s.width * (s.nchw_input ? s.channels : s.in_pitch())), 1),
      w(size_t(s.out_channels * in * taps), 2);
  const test::Buffer bias(size_t(s.out_channels), 3), operand(size_t(std::max<int64_t>(pixels * s.out_pitch(), 1)), 4);
  // The reference is the CPU's own scalar kernel.
  const auto kernel = conv::dense_scalar::make(s);
  const auto rounded = [&](const test::Buffer& values) {
    test::Buffer to(values.size());
    for (size_t i = 0; i < values.size(); ++i) to[i] = test::rounded(values[i], precision);
    return to;
  };
  const test::Buffer rounded_x = as_kept(rounded(x), kept.x), rounded_w = rounded(w),
                     rounded_operand = as_kept(operand, kept.operands[0]);
  std::vector<std::byte> packed(kernel->packed_bytes()), scratch(kernel->scratch_bytes(batch, height));
  kernel->pack(rounded_w.data(), packed.data());
  const test::Buffer want(pixels ? size_t((pixels - 1) * s.out_pitch() + s.out_channels) : 0);
  const pointwise::Operand on_host[] = {{rounded_operand.data(), s.out_pitch()}};
  ThreadPool pool(1);
  kernel->run({.x = rounded_x.data(),
               .w = packed.data(),
               .bias = s.bias ? bias.data() : nullptr,
               .y = want.data(),
               .operands = on_host,
               .batch = batch,
               .height = height,
               .scratch = scratch.data()},
              pool);

  std::vector<float> weights(w.size());
  if (precision == Precision::f32) cuda::pack_weights(s, w.data(), weights.data());
  for (int64_t i = 0; precision != Precision::f32 && i < int64_t(w.size()); ++i)  // [out][tap][in]
    weights[size_t(i / (in * taps) * in * taps + i % taps * in + i / taps % in)] = w[size_t(i)];
  const bool half = precision == Precision::f16 || precision == Precision::bf16;
  const test::OnDevice<float> x_(x), w_(weights), bias_(bias), operand_(operand);
  const test::OnDevice<uint16_t> half_w(test::halves(weights.data(), half ? weights.size() : 0, precision));
  const test::OnDevice<std::byte> memory(size_t(row.scratch ? row.scratch(problem) : 0));
  const bool half_x = kept.x != DType::f32, half_o = kept.operands[0] != DType::f32, half_y = kept.y != DType::f32;
  const test::OnDevice<uint16_t> kept_x(test::halves({x.data(), x.data() + x.size()}, kept.x)),
      kept_o(test::halves({operand.data(), operand.data() + operand.size()}, kept.operands[0]));
  const ConvArgs args{half_x ? static_cast<const void*>(kept_x.data()) : x_.data(),
                      half ? static_cast<const void*>(half_w.data()) : w_.data(),
                      bias_.data(),
                      nullptr,
                      {{{half_o ? reinterpret_cast<const float*>(kept_o.data()) : operand_.data(), s.out_pitch()}}},
                      memory.data()};
  const auto got = half_y ? test::floats(test::run_as<uint16_t>(row, problem, args, &ConvArgs::y, want.size()), kept.y)
                          : test::run(row, problem, args, &ConvArgs::y, want.size());
  const double tolerance = kept.y == DType::bf16 ? 8e-3 : half_y ? 1e-3 : 1e-5;
  for (size_t i = 0; i < got.size(); ++i) {
    if (int64_t(i) % s.out_pitch() >= s.out_channels) ASSERT_TRUE(std::isnan(got[i])) << "between pixels of y";
    else ASSERT_TRUE(test::near(got[i], want[i], tolerance)) << i << ": " << got[i] << " not " << want[i];
  }
}

class CudaConv : public testing::TestWithParam<size_t> {
 protected:
  const cuda::Row<ConvProblem, ConvArgs>& row = cuda::conv_family().all()[GetParam()];
};

TEST_P(CudaConv, PixelsAndChannelsAroundTheTile) {
  const int64_t t = std::min(row.tile, 128);
  for (const int64_t width : {int64_t{1}, t - 1, t, t + 1})
    check(
        row,
        {.channels = 5, .out_channels = 3, .width = width, .kernel_h = 1, .kernel_w = 3, .pad_left = 1, .pad_right = 1},
        1, 1);
  for (const int64_t channels : {int64_t{1}, t - 1, t, t + 1})
    check(row, {.channels = 9, .out_channels = channels, .width = 5}, 2, 3);
  for (const int64_t channels : {1, 7, 8, 9, 16, 17})
    check(row, {.channels = channels, .out_channels = 6, .width = 6, .kernel_h = 3, .kernel_w = 3, .bias = true}, 1, 5);
}

TEST_P(CudaConv, ManyChannels) {
  check(row,
        {.channels = 32,
         .out_channels = 20,
         .width = 6,
         .kernel_h = 3,
         .kernel_w = 3,
         .pad_top = 1,
         .pad_left = 1,
         .bias = true},
        2, 5);
  check(row, {.channels = 64, .out_channels = 70, .groups = 2, .width = 5, .stride_h = 2}, 1, 5);
  check(row, {.channels = 12, .out_channels = 5, .width = 4, .kernel_w = 3}, 1, 2);  // 36 numbers along k
  Spec s{.channels = 160,
         .out_channels = 9,
         .width = 5,
         .kernel_h = 3,
         .kernel_w = 3,
         .bias = true};  // so long that sums are divided
  s.y_pitch = 12, s.epilogue = {Stage::of(schema::BinaryKind::add, 0, Mode::full), Stage::of(schema::UnaryKind::relu)};
  check(row, s, 1, 4);
}

TEST_P(CudaConv, KernelStrideDilationPadding) {
  std::mt19937 random(test::seed());
  const auto pick = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); };
  for (int i = 0; i < 60; ++i) {
    Spec s;
    s.groups = pick(0, 1) ? 1 : pick(1, 5);
    s.channels = s.groups * pick(1, 6), s.out_channels = s.groups * pick(1, 6);
    s.width = pick(1, 14);
    s.kernel_h = pick(1, 4), s.kernel_w = pick(1, 4);
    s.stride_h = pick(1, 3), s.stride_w = pick(1, 3);
    s.dilation_h = pick(1, 2), s.dilation_w = pick(1, 2);
    s.pad_top = pick(0, 3), s.pad_left = pick(0, 3), s.pad_bottom = pick(0, 3), s.pad_right = pick(0, 3);
    s.nchw_input = pick(0, 1), s.bias = pick(0, 1);
    if (!s.nchw_input && pick(0, 1)) s.x_pitch = s.channels + 3;
    if (pick(0, 1)) s.y_pitch = s.out_channels + 2;
    if (pick(0, 1))
      s.epilogue = {Stage::of(schema::BinaryKind::add, 0, Mode::full), Stage::of(schema::UnaryKind::relu)};
    const int64_t height = pick(1, 12);
    if (s.out_width() == 0 || s.out_height(height) == 0) continue;
    check(row, s, pick(1, 2), height);
    if (HasFatalFailure()) return;
  }
}

TEST_P(CudaConv, Depthwise) {
  for (const int64_t channels : {1, 31, 32, 33, 130})
    for (const int stride : {1, 2})
      check(row,
            {.channels = channels,
             .out_channels = channels,
             .groups = channels,
             .width = 9,
             .kernel_h = 3,
             .kernel_w = 3,
             .stride_h = stride,
             .stride_w = stride,
             .pad_top = 1,
             .pad_left = 1,
             .pad_bottom = 1,
             .pad_right = 1,
             .bias = true,
             .epilogue = {Stage::of(schema::UnaryKind::hard_swish)}},
            1, 7);
}

TEST_P(CudaConv, KeptAsHalf) {
  const Precision precision = test::precision_of(row.name);
  const bool grouped = std::string_view(row.name) == "grouped_f32_cuda",
             multiplies_half = precision == Precision::f16 || precision == Precision::bf16;
  const auto type = precision == Precision::bf16 ? DType::bf16 : DType::f16;
  Spec s{.channels = 16,
         .out_channels = 20,
         .width = 6,
         .kernel_h = 3,
         .kernel_w = 3,
         .pad_left = 1,
         .bias = true,
         .epilogue = {Stage::of(schema::BinaryKind::add, 0, Mode::full)}};
  cuda::KeptTypes kept;
  kept.y = type, kept.operands[0] = type;
  check(row, s, 2, 5, kept);
  kept.x = type;
  if (!grouped && !multiplies_half) {
    EXPECT_NE(row.refusal({s, 1, 5, precision, precision, kept}), nullptr);
    return;
  }
  for (const int64_t channels : {16, 9, 400}) s.channels = channels, check(row, s, 1, 5, kept);
  kept.y = DType::f32;
  s.nchw_input = true, s.channels = 6;
  check(row, s, 1, 5, kept);
  s.nchw_input = false, s.groups = 2, s.x_pitch = 24;
  check(row, s, 1, 5, kept);
}

INSTANTIATE_TEST_SUITE_P(Rows, CudaConv, testing::Range<size_t>(0, cuda::conv_family().count),
                         [](const auto& info) { return std::string(cuda::conv_family().all()[info.param].name); });

TEST(CudaConvChoice, ByShape) {
  const auto chosen = [](const Spec& s, int64_t height) {
    return std::string(cuda::select(cuda::conv_family(), {s, 1, height}, 80)->name);
  };
  EXPECT_EQ(chosen({.channels = 96, .out_channels = 96, .groups = 96, .width = 56, .kernel_h = 3, .kernel_w = 3}, 56),
            "grouped_f32_cuda");
  EXPECT_EQ(chosen({.channels = 256, .out_channels = 256, .width = 200}, 200), "conv_f32_cuda_128x128");
  EXPECT_EQ(chosen({.channels = 64, .out_channels = 64, .width = 56, .kernel_h = 3, .kernel_w = 3}, 56),
            "conv_f32_cuda_64x64");
}

// --- The transpose of a convolution ---

class CudaConvTranspose : public testing::TestWithParam<size_t> {
 protected:
  const cuda::Row<cuda::ConvTransposeProblem, cuda::ConvTransposeArgs>& row =
      cuda::conv_transpose_family().all()[GetParam()];
  void check(const cuda::ConvTransposeProblem& p, bool with_bias = true) {
    ASSERT_EQ(row.refusal(p), nullptr);
    const test::Buffer x(size_t(p.batch * p.height * p.width * p.channels), 1),
        w(size_t(p.kernel_h * p.kernel_w * p.channels * p.out_channels), 2), bias(size_t(p.out_channels), 3);
    std::vector<double> want(size_t(p.batch * p.out_height * p.out_width * p.out_channels));
    for (size_t i = 0; i < want.size(); ++i) want[i] = with_bias ? bias[i % size_t(p.out_channels)] : 0;
    for (int64_t n = 0; n < p.batch; ++n)
      for (int64_t i = 0; i < p.height * p.width; ++i)
        for (int64_t tap = 0; tap < int64_t(p.kernel_h) * p.kernel_w; ++tap) {
          const int64_t to_y = i / p.width * p.stride_h - p.pad_top + tap / p.kernel_w * p.dilation_h,
                        to_x = i % p.width * p.stride_w - p.pad_left + tap % p.kernel_w * p.dilation_w;
          if (to_y < 0 || to_x < 0 || to_y >= p.out_height || to_x >= p.out_width) continue;
          for (int64_t c = 0; c < p.channels; ++c)
            for (int64_t k = 0; k < p.out_channels; ++k)
              want[size_t(((n * p.out_height + to_y) * p.out_width + to_x) * p.out_channels + k)] +=
                  double(x[size_t((n * p.height * p.width + i) * p.channels + c)]) *
                  w[size_t((tap * p.channels + c) * p.out_channels + k)];
        }
    const test::OnDevice<float> x_(x), w_(w), bias_(bias);
    using Args = cuda::ConvTransposeArgs;
    const auto got = test::run(row, p, Args{x_.data(), w_.data(), with_bias ? bias_.data() : nullptr, nullptr},
                               &Args::y, want.size());
    for (size_t i = 0; i < want.size(); ++i)
      ASSERT_TRUE(test::near(got[i], want[i], 1e-5)) << i << ": " << got[i] << " not " << want[i];
  }
};
TEST_P(CudaConvTranspose, RandomGeometry) {
  std::mt19937 random(test::seed());
  const auto pick = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); };
  for (int i = 0; i < 60; ++i) {
    cuda::ConvTransposeProblem p{.batch = pick(1, 2),
                                 .height = pick(1, 6),
                                 .width = pick(1, 6),
                                 .channels = pick(1, 9),
                                 .out_channels = pick(1, 70)};
    p.kernel_h = pick(1, 4), p.kernel_w = pick(1, 4), p.stride_h = pick(1, 3), p.stride_w = pick(1, 4),
    p.dilation_h = pick(1, 3), p.dilation_w = pick(1, 2);
    p.pad_top = pick(0, 3), p.pad_left = pick(0, 3);
    p.out_height = std::max<int64_t>(
        0, (p.height - 1) * p.stride_h + (p.kernel_h - 1) * p.dilation_h + 1 - p.pad_top - pick(-1, 2));
    p.out_width = std::max<int64_t>(
        0, (p.width - 1) * p.stride_w + (p.kernel_w - 1) * p.dilation_w + 1 - p.pad_left - pick(-1, 2));
    SCOPED_TRACE("seed " + std::to_string(test::seed()) + " case " + std::to_string(i));
    check(p, i % 2);
    if (HasFatalFailure()) return;
  }
}
TEST_P(CudaConvTranspose, SizesAroundTheTile) {
  for (const int64_t n : {row.tile - 1, row.tile, row.tile + 1}) {
    check({.height = 1,
           .width = n,
           .channels = 3,
           .out_height = 2,
           .out_width = 2 * n,
           .out_channels = 2,
           .kernel_h = 2,
           .kernel_w = 2,
           .stride_h = 2,
           .stride_w = 2});
    check({.height = 2,
           .width = 2,
           .channels = 5,
           .out_height = 4,
           .out_width = 4,
           .out_channels = n,
           .kernel_h = 3,
           .kernel_w = 3,
           .stride_h = 2,
           .stride_w = 2,
           .pad_top = 1,
           .pad_left = 1});
  }
}
INSTANTIATE_TEST_SUITE_P(Rows, CudaConvTranspose, testing::Range<size_t>(0, cuda::conv_transpose_family().count),
                         [](const auto& info) {
                           return std::string(cuda::conv_transpose_family().all()[info.param].name);
                         });
}  // namespace
