#include "kernels/pool/pool.h"
#include "tests/kernels/util.h"

namespace {
using namespace kernels;
using pool::Spec;
using schema::PoolKind;

double want(const Spec& s, const test::Buffer& x, int64_t n, int64_t oh, int64_t ow, int64_t c) {
  const bool max = s.kind == PoolKind::max;
  double sum = max ? -INFINITY : 0;
  int counted = 0;
  for (int i = 0; i < s.kernel_h; ++i)
    for (int j = 0; j < s.kernel_w; ++j) {
      const int64_t h = oh * s.stride_h - s.pad_top + i * s.dilation_h;
      const int64_t w = ow * s.stride_w - s.pad_left + j * s.dilation_w;
      const bool inside = h >= 0 && h < s.height && w >= 0 && w < s.width;
      counted += inside || (s.count_pad && h < s.height + s.pad_bottom && w < s.width + s.pad_right);
      if (!inside) continue;
      const double v = x[((n * s.height + h) * s.width + w) * s.in_pitch() + c];
      if (max) sum = v > sum ? v : sum;
      else sum += v;
    }
  return max ? sum : sum / std::max(1, counted);
}

std::vector<float> run(const pool::Kernel& kernel, const Spec& s, int64_t batch, const test::Buffer& x,
                       ThreadPool& pool) {
  const int64_t pixels = batch * s.out_height * s.out_width;
  const size_t size = pixels ? (pixels - 1) * s.out_pitch() + s.channels : 0;
  const test::Buffer room = test::room_for(size, s.kept_y), from = test::kept_as(x, s.kept_x);
  kernel.run(from.data(), room.data(), batch, pool);
  EXPECT_TRUE(room.guards_intact());
  const std::vector<float> y = test::floats_of(room, size, s.kept_y);
  for (size_t i = 0; i < size; ++i)
    EXPECT_TRUE(static_cast<int64_t>(i) % s.out_pitch() < s.channels || std::isnan(y[i])) << "between pixels of y";
  return y;
}

void check(const pool::Row& row, Spec s, int64_t batch, float special = 0) {
  const bool halves = test::precision_of(row.name) == Precision::f16;
  if (halves) s.kept_x = s.kept_y = schema::DType::f16;
  std::string text = "seed " + std::to_string(test::seed()) + ": ";
  for (const int64_t v :
       {int64_t(s.kind), batch, s.height, s.width, s.channels, s.out_height, s.out_width, int64_t{s.kernel_h},
        int64_t{s.kernel_w}, int64_t{s.stride_h}, int64_t{s.stride_w}, int64_t{s.dilation_h}, int64_t{s.dilation_w},
        int64_t{s.pad_top}, int64_t{s.pad_left}, int64_t{s.pad_bottom}, int64_t{s.pad_right}, int64_t{s.count_pad}})
    text += std::to_string(v) + " ";
  SCOPED_TRACE(text);
  ASSERT_EQ(row.supports(s).refusal, "");
  const pool::Kernel kernel = row.make(s);
  ASSERT_TRUE(kernel);
  const int64_t pixels = batch * s.height * s.width;
  const test::Buffer x(pixels ? (pixels - 1) * s.in_pitch() + s.channels : 0, 1);
  if (special != 0)
    for (size_t i = 0; i < x.size(); i += 3) x[i] = special;
  if (halves) test::make_quarters(x);
  ThreadPool one(1), two(2), three(3);
  const std::vector<float> y = run(kernel, s, batch, x, one);
  for (int64_t n = 0; n < batch; ++n)
    for (int64_t oh = 0; oh < s.out_height; ++oh)
      for (int64_t ow = 0; ow < s.out_width; ++ow)
        for (int64_t c = 0; c < s.channels; ++c) {
          const float got = y[((n * s.out_height + oh) * s.out_width + ow) * s.out_pitch() + c];
          ASSERT_TRUE(test::near(got, want(s, x, n, oh, ow, c), s.kind == PoolKind::max ? 0 : halves ? 6e-4 : 2e-6))
              << n << " " << oh << " " << ow << " " << c << ": " << got << " not " << want(s, x, n, oh, ow, c);
        }
  for (ThreadPool* pool : {&two, &three}) {
    const std::vector<float> again = run(kernel, s, batch, x, *pool);
    ASSERT_TRUE(y.empty() || std::memcmp(y.data(), again.data(), y.size() * sizeof(float)) == 0) << "on more threads";
  }
}

int64_t out_extent(int64_t in, int kernel, int stride, int dilation, int begin, int end, bool ceil) {
  const int64_t room = in + begin + end - (kernel - 1) * dilation - 1;
  if (room < 0) return 0;
  if (!ceil) return room / stride + 1;
  const int64_t out = (room + stride - 1) / stride + 1;
  return (out - 1) * stride >= in + begin ? out - 1 : out;
}

class PoolRow : public testing::TestWithParam<size_t> {
 protected:
  const pool::Row& row = pool::rows()[GetParam()];
  void SetUp() override {
    if (const std::string reason = test::unavailable(row); !reason.empty()) GTEST_SKIP() << reason;
  }
};

TEST_P(PoolRow, ChannelsAroundTheTile) {
  const int64_t t = row.tile;
  for (const PoolKind kind : {PoolKind::max, PoolKind::average})
    for (const int64_t channels :
         {int64_t{0}, int64_t{1}, t - 1, t, t + 1, 4 * t - 1, 4 * t, 5 * t + 3, int64_t{200}}) {
      check(row,
            {.kind = kind,
             .channels = channels,
             .height = 7,
             .width = 6,
             .out_height = 1,
             .out_width = 1,
             .kernel_h = 7,
             .kernel_w = 6},
            2);
      check(row,
            {.kind = kind,
             .channels = channels,
             .height = 9,
             .width = 8,
             .out_height = 5,
             .out_width = 4,
             .kernel_h = 3,
             .kernel_w = 3,
             .stride_h = 2,
             .stride_w = 2,
             .pad_top = 1,
             .pad_left = 1,
             .pad_bottom = 1,
             .pad_right = 1},
            1);
    }
}

TEST_P(PoolRow, PaddingStrideDilationCeil) {
  std::mt19937 random(test::seed());
  const auto pick = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); };
  for (int i = 0; i < 300; ++i) {
    Spec s;
    s.kind = pick(0, 1) ? PoolKind::max : PoolKind::average;
    s.channels = pick(0, 3) ? pick(1, 40) : pick(60, 200);
    s.height = pick(1, 14), s.width = pick(1, 20);
    s.kernel_h = pick(1, 5), s.kernel_w = pick(1, 5);
    s.stride_h = pick(1, 4), s.stride_w = pick(1, 4);
    s.dilation_h = pick(1, 3), s.dilation_w = pick(1, 3);
    s.pad_top = pick(0, 7), s.pad_left = pick(0, 7), s.pad_bottom = pick(0, 7), s.pad_right = pick(0, 7);
    s.count_pad = pick(0, 1);
    s.x_pitch = s.channels + pick(0, 1) * 5, s.y_pitch = s.channels + pick(0, 1) * 3;
    const bool ceil = pick(0, 1);
    s.out_height = out_extent(s.height, s.kernel_h, s.stride_h, s.dilation_h, s.pad_top, s.pad_bottom, ceil);
    s.out_width = out_extent(s.width, s.kernel_w, s.stride_w, s.dilation_w, s.pad_left, s.pad_right, ceil);
    check(row, s, pick(1, 3));
    if (HasFatalFailure()) return;
  }
}

TEST_P(PoolRow, NanAndInfinity) {
  for (const PoolKind kind : {PoolKind::max, PoolKind::average})
    for (const float special : {NAN, -INFINITY, INFINITY})
      check(row,
            {.kind = kind,
             .channels = 19,
             .height = 5,
             .width = 6,
             .out_height = 4,
             .out_width = 5,
             .kernel_h = 2,
             .kernel_w = 2},
            1, special);
}

INSTANTIATE_TEST_SUITE_P(Rows, PoolRow, testing::Range<size_t>(0, pool::rows().size()),
                         [](const auto& info) { return std::string(pool::rows()[info.param].name); });
}  // namespace
