#include "kernels/conv/conv.h"
#include "kernels/isa_x86.h"
#include "kernels/jit.h"
#include "tests/kernels/util.h"

namespace {
using namespace kernels;
using conv::Spec;
using pointwise::Chain;
using pointwise::Mode;
using pointwise::Stage;
using schema::BinaryKind;
using schema::UnaryKind;

struct Problem {
  Spec spec;
  int64_t batch = 1, height = 0;
};

struct Data {
  Problem p;
  int64_t oh, ow, pixels, in_group, out_group, full_pitch;
  test::Buffer x, w, bias, full, column, scalar, full_kept{0};
  std::vector<pointwise::Operand> operands;  // where they are kept
  std::vector<pointwise::Operand> in_f32() const { return {{full.data(), full_pitch}, operands[1], operands[2]}; }

  explicit Data(const Problem& q)
      : p(q),
        oh(q.spec.out_height(q.height)),
        ow(q.spec.out_width()),
        pixels(q.batch * oh * ow),
        in_group(q.spec.channels / q.spec.groups),
        out_group(q.spec.out_channels / q.spec.groups),
        full_pitch(q.spec.out_channels + 3),
        // Ends with the last channel of the last pixel: a pitch is no licence to read further.
        x(q.spec.nchw_input
              ? q.batch * q.spec.channels * q.height * q.spec.width
              : std::max<int64_t>(0, (q.batch * q.height * q.spec.width - 1) * q.spec.in_pitch() + q.spec.channels),
          1),
        w(q.spec.out_channels * in_group * q.spec.kernel_h * q.spec.kernel_w, 2),
        bias(q.spec.out_channels, 3),
        full(pixels * full_pitch, 4),
        column(q.spec.out_channels, 5),
        scalar(1, 6),
        operands{{full.data(), full_pitch}, {column.data(), 0}, {scalar.data(), 0}} {
    if (p.spec.precision == Precision::f16) test::make_quarters(x), test::make_quarters(w), test::make_quarters(full);
    if (p.spec.kept.any()) full_kept = test::kept_as(full, p.spec.kept.operands[0]), operands[0].data = full_kept.data();
    if (p.spec.nchw_input) return;  // what lies between pixels may not matter
    for (int64_t pixel = 0; pixel < p.batch * p.height * p.spec.width - 1; ++pixel)
      for (int64_t c = p.spec.channels; c < p.spec.in_pitch(); ++c) x[pixel * p.spec.in_pitch() + c] = NAN;
  }

  double at(int64_t n, int64_t c, int64_t h, int64_t col) const {
    const Spec& s = p.spec;
    if (h < 0 || col < 0 || h >= p.height || col >= s.width) return 0;
    return s.nchw_input ? x[((n * s.channels + c) * p.height + h) * s.width + col]
                        : x[((n * p.height + h) * s.width + col) * s.in_pitch() + c];
  }

  double want(int64_t pixel, int64_t oc) const {
    const Spec& s = p.spec;
    const int64_t n = pixel / (oh * ow), h = pixel / ow % oh, col = pixel % ow, g = oc / out_group;
    double sum = s.bias ? bias[oc] : 0;
    for (int64_t c = 0; c < in_group; ++c)
      for (int a = 0; a < s.kernel_h; ++a)
        for (int b = 0; b < s.kernel_w; ++b)
          sum += at(n, g * in_group + c, h * s.stride_h - s.pad_top + a * s.dilation_h,
                    col * s.stride_w - s.pad_left + b * s.dilation_w) *
                 w[((oc * in_group + c) * s.kernel_h + a) * s.kernel_w + b];
    auto value = static_cast<float>(sum);
    for (const Stage& stage : s.epilogue) {
      const Chain one{stage};
      pointwise::scalar::make(one).run(&value, pointwise::offset(one, in_f32().data(), pixel, oc).data(), &value, 1, 1);
    }
    return value;
  }

  std::vector<float> run(const conv::Conv& conv, ThreadPool& pool) const {
    const int64_t pitch = p.spec.out_pitch();
    const size_t size = pixels ? (pixels - 1) * pitch + p.spec.out_channels : 0;
    const test::Buffer y = test::room_for(size, p.spec.kept.y), from = test::kept_as(x, p.spec.kept.x);
    test::Buffer packed(conv.packed_bytes() / sizeof(float)), scratch(conv.scratch_bytes(p.batch, p.height) / sizeof(float));
    conv.pack(w.data(), packed.data());
    conv.run({.x = from.data(),
              .w = packed.data(),
              .bias = bias.data(),
              .y = y.data(),
              .operands = operands.data(),
              .batch = p.batch,
              .height = p.height,
              .scratch = scratch.data()},
             pool);
    EXPECT_TRUE(y.guards_intact() && packed.guards_intact() && scratch.guards_intact());
    const std::vector<float> got = test::floats_of(y, size, p.spec.kept.y);
    for (size_t i = 0; i < size; ++i)
      EXPECT_TRUE(static_cast<int64_t>(i) % pitch < p.spec.out_channels || std::isnan(got[i])) << "between pixels of y";
    return got;
  }

  // The same, `count` rows at a time, each time from those rows of x alone that they are made of.
  std::vector<float> run_by_rows(const conv::Conv& conv, ThreadPool& pool, int64_t count) const {
    const Spec& s = p.spec;
    const int64_t pitch = s.out_pitch(), x_row = s.width * (s.nchw_input ? s.channels : s.in_pitch());
    const size_t size = pixels ? (pixels - 1) * pitch + s.out_channels : 0;
    const test::Buffer y = test::room_for(size, s.kept.y);
    test::Buffer packed(conv.packed_bytes() / sizeof(float));
    conv.pack(w.data(), packed.data());
    for (int64_t image = 0; image < p.batch; ++image)
      for (int64_t row = 0; row < oh; row += count) {
        const int64_t rows = std::min(count, oh - row), top = row * s.stride_h - s.pad_top;
        const int64_t end = top + (rows - 1) * s.stride_h + (s.kernel_h - 1) * s.dilation_h + 1;
        const int64_t first = s.nchw_input ? 0 : std::clamp<int64_t>(top, 0, p.height);
        const int64_t last = s.nchw_input ? p.height : std::clamp<int64_t>(end, first, p.height);
        const int64_t from = (image * p.height + first) * x_row, to = std::min<int64_t>((image * p.height + last) * x_row, int64_t(x.size()));
        test::Buffer part(size_t(std::max<int64_t>(0, to - from)));
        if (to > from) std::memcpy(part.data(), x.data() + from, size_t(to - from) * sizeof(float));
        const test::Buffer part_kept = test::kept_as(part, s.kept.x);
        const int64_t pixel = (image * oh + row) * ow;
        conv.run({.x = part_kept.data(), .w = packed.data(), .bias = bias.data(), .y = pointwise::advance(y.data(), pixel * pitch, s.kept.y),
                  .operands = pointwise::offset(s.epilogue, operands.data(), pixel, 0, s.kept).data(), .height = p.height,
                  .first_row = row, .rows = rows, .x_row = first}, pool);
      }
    EXPECT_TRUE(y.guards_intact() && packed.guards_intact());
    return test::floats_of(y, size, s.kept.y);
  }
};

std::string describe(const Problem& p) {
  const Spec& s = p.spec;
  std::string text = "seed " + std::to_string(test::seed()) + ": ";
  for (const int64_t v :
       {p.batch, p.height, s.width, s.channels, s.out_channels, s.groups, int64_t{s.kernel_h}, int64_t{s.kernel_w},
        int64_t{s.stride_h}, int64_t{s.stride_w}, int64_t{s.dilation_h}, int64_t{s.dilation_w}, int64_t{s.pad_top},
        int64_t{s.pad_left}, int64_t{s.pad_bottom}, int64_t{s.pad_right}, int64_t{s.nchw_input}})
    text += std::to_string(v) + " ";
  return text;
}

void check_kept(const conv::Row& row, const Problem& p) {
  SCOPED_TRACE(describe(p));
  const conv::Kernel kernel = row.make(p.spec);
  ASSERT_TRUE(kernel);
  const Data data(p);
  ThreadPool one(1), two(2), three(3);
  const std::vector<float> y = data.run(*kernel, one);
  const double reduction = static_cast<double>(data.in_group) * p.spec.kernel_h * p.spec.kernel_w;
  // The transforms of F(4×4) lose some bits, and what they give is rounded in half precision: see WinogradError.
  const bool rounds = row.name.starts_with("winograd") && p.spec.precision == Precision::f16;
  // Rounded there, behind each stage, and between blocks of the reduction, where the sum of so many quarters is some √n / 3.
  const bool stores_halves = p.spec.kept.y != schema::DType::f32;
  const double exact = (2e-6 * std::sqrt(reduction) + 4e-6) * (row.name.starts_with("winograd4") ? 2 : 1) * (rounds ? 4096 : 1);
  const double tolerance = exact + (stores_halves ? 6e-4 * (1 + p.spec.epilogue.size) * (1 + std::sqrt(reduction) / 3) : 0);
  for (int64_t pixel = 0; pixel < data.pixels; ++pixel)
    for (int64_t c = 0; c < p.spec.out_channels; ++c)
      ASSERT_TRUE(test::near(y[pixel * p.spec.out_pitch() + c], data.want(pixel, c), tolerance))
          << "pixel " << pixel << " channel " << c << ": " << y[pixel * p.spec.out_pitch() + c] << " not "
          << data.want(pixel, c);
  for (ThreadPool* pool : {&two, &three}) {
    const std::vector<float> again = data.run(*kernel, *pool);
    ASSERT_TRUE(y.empty() || std::memcmp(y.data(), again.data(), y.size() * sizeof(float)) == 0) << "on more threads";
  }
  if (y.empty() || !kernel->takes_rows()) return;
  const int64_t rows = 1 + (data.oh + p.batch) % 4;
  const std::vector<float> again = data.run_by_rows(*kernel, two, rows);
  for (size_t i = 0; i < y.size(); ++i)  // between pixels lie NaNs
    ASSERT_TRUE(std::memcmp(&y[i], &again[i], sizeof(float)) == 0 || (std::isnan(y[i]) && std::isnan(again[i]))) << rows << " rows at a time";
}

// As values are kept in f32, and by turns in each other way that the row takes.
void check(const conv::Row& row, Problem p) {
  p.spec.precision = test::precision_of(row.name);
  std::vector<Problem> ways;
  for (const auto& kept : test::ways_to_keep()) {
    p.spec.kept = kept;
    if (row.supports(p.spec).refusal.empty()) ways.push_back(p);
  }
  if (ways.empty()) return;
  check_kept(row, ways[0]);
  static size_t turn = 0;
  if (ways.size() > 1) check_kept(row, ways[1 + turn++ % (ways.size() - 1)]);
}

Problem square(int64_t channels, int64_t out, int64_t size, int kernel, int stride = 1, int pad = 0,
               int64_t groups = 1) {
  return {{.channels = channels,
           .out_channels = out,
           .groups = groups,
           .width = size,
           .kernel_h = kernel,
           .kernel_w = kernel,
           .stride_h = stride,
           .stride_w = stride,
           .pad_top = pad,
           .pad_left = pad,
           .pad_bottom = pad,
           .pad_right = pad,
           .bias = size % 2 == 0},
          1,
          size};
}

class ConvRow : public testing::TestWithParam<size_t> {
 protected:
  const conv::Row& row = conv::rows()[GetParam()];
  void SetUp() override {
    if (const std::string reason = test::unavailable(row); !reason.empty()) GTEST_SKIP() << reason;
  }
};

TEST_P(ConvRow, WidthsAroundTheTile) {
  const int64_t t = row.tile;
  for (const int64_t width : {int64_t{1}, int64_t{2}, t - 1, t, t + 1, 3 * t + 2})
    for (const int64_t out : {1, 16, 23, 40}) {
      check(row, square(5, out, width, 1));
      check(row, square(4, out, width, 3, 1, 1));
      check(row, square(3, out, width, 3, 2, 1));
      check(row, square(out, out, width, 3, 1, 1, out));
      check(row, square(out, out, width, 5, 2, 2, out));
    }
}

TEST_P(ConvRow, RowsOfXThatShareSetsOfACache) {
  for (const int64_t group : {2, 4, 8, 16})
    for (const int stride : {1, 2}) {
      Problem p = square(group * 9, group * 9, 9, 3, stride, 1, 9);
      p.spec.x_pitch = 256;
      check(row, p);
      p = square(64, group, 9, 3, stride, 1);  // more in than out
      p.spec.x_pitch = 512;
      check(row, p);
    }
}

TEST_P(ConvRow, PaddingStrideDilation) {
  std::mt19937 random(test::seed());
  const auto pick = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); };
  for (int i = 0; i < 150; ++i) {
    const int64_t groups = pick(0, 2) == 0 ? pick(1, 20) : 1;
    const bool depthwise = groups > 1 && pick(0, 1);
    Problem p;
    Spec& s = p.spec;
    s.groups = groups;
    s.channels = groups * (depthwise ? 1 : pick(1, 9));
    s.out_channels = groups * (depthwise ? 1 : pick(1, 37));
    s.kernel_h = pick(1, 5), s.kernel_w = pick(1, 5);
    s.stride_h = pick(1, 3), s.stride_w = pick(1, 3);
    s.dilation_h = pick(1, 3), s.dilation_w = pick(1, 3);
    s.pad_top = pick(0, 6), s.pad_bottom = pick(0, 6), s.pad_left = pick(0, 6), s.pad_right = pick(0, 6);
    s.width = pick(1, 21);
    p.height = pick(1, 11), p.batch = pick(1, 3);
    s.nchw_input = pick(0, 3) == 0;
    if (!s.nchw_input) s.x_pitch = s.channels + pick(0, 2) * 5;
    s.y_pitch = s.out_channels + pick(0, 2) * 7;
    s.bias = pick(0, 1);
    if (pick(0, 2) == 0)
      s.epilogue = {Stage::of(BinaryKind::add, 0, Mode::full), Stage::of(UnaryKind::clip, -0.5f, 1),
                    Stage::of(BinaryKind::mul, 1, Mode::per_column)};
    check(row, p);
    if (HasFatalFailure()) return;
  }
}

// Pieces of a row, for the cache and among threads.
TEST_P(ConvRow, LongRows) {
  const int64_t t = row.tile;
  for (const int64_t height : {1, 2, 3})
    for (const int64_t width : {8 * t - 1, 16 * t + 3, height == 1 ? 1 + 950 / t * t : 9 * t})  // the third is 256 KiB of x
      for (const int stride : {1, 2}) {
        Problem p = square(72, 21, width, 3, stride);
        p.height = height;
        p.spec.kernel_h = 1, p.spec.dilation_w = 2, p.spec.pad_left = 4, p.spec.x_pitch = 75, p.spec.y_pitch = 24;
        p.spec.epilogue = {Stage::of(BinaryKind::add, 0, Mode::full), Stage::of(UnaryKind::relu)};
        check(row, p);
        p.spec.epilogue = {Stage::of(UnaryKind::atan), Stage::of(BinaryKind::add, 0, Mode::full)};  // a pass of its own
        check(row, p);
        if (HasFatalFailure()) return;
      }
}

// Filters over a waveform: far more taps than code is unrolled for.
TEST_P(ConvRow, LongFilters) {
  for (const int64_t channels : {1, 2})
    for (const int pad : {0, 40})
      for (const int stride : {1, 4, 64}) {
        Problem p = square(channels, 36, 600, 1, stride);
        p.height = 1, p.spec.kernel_w = 512, p.spec.pad_left = p.spec.pad_right = pad, p.spec.bias = true;
        check(row, p);
        if (HasFatalFailure()) return;
      }
}
TEST_P(ConvRow, StridedPixels) {
  for (const int64_t channels : {5, 512, 800})
    for (const int stride : {1, 2, 3}) {
      Problem p = square(channels, 70, 9, 1, stride);
      p.batch = 2, p.height = 4, p.spec.x_pitch = channels + 3, p.spec.y_pitch = 75;
      p.spec.epilogue = {Stage::of(BinaryKind::add, 0, Mode::full), Stage::of(UnaryKind::relu)};
      check(row, p);
      p.spec.stride_w = 1;
      check(row, p);
    }
}

TEST_P(ConvRow, Depthwise) {
  std::mt19937 random(test::seed());
  const auto pick = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); };
  for (int i = 0; i < 120; ++i) {
    const int64_t channels = std::array{8, 15, 16, 17, 33, 48, 70}[size_t(pick(0, 6))];
    Problem p = square(channels, channels, pick(1, 26), pick(1, 7), pick(1, 2), 0, channels);
    Spec& s = p.spec;
    p.height = pick(1, 9), p.batch = pick(1, 2);
    if (pick(0, 2) == 0) s.kernel_w = pick(1, 7);
    if (pick(0, 3) == 0) s.dilation_h = pick(1, 2), s.dilation_w = pick(1, 3);
    s.pad_top = pick(0, 4), s.pad_bottom = pick(0, 4), s.pad_left = pick(0, 4), s.pad_right = pick(0, 4);
    s.x_pitch = channels + pick(0, 1) * 5, s.y_pitch = channels + pick(0, 1) * 7;
    switch (pick(0, 3)) {
      case 0: s.epilogue = {Stage::of(UnaryKind::silu, 1)}; break;
      case 1: s.epilogue = {Stage::of(BinaryKind::mul, 1, Mode::per_column), Stage::of(BinaryKind::add, 2, Mode::scalar)}; break;
      case 2: s.epilogue = {Stage::of(BinaryKind::add, 0, Mode::full), Stage::of(UnaryKind::clip, -0.5f, 1)}; break;
    }
    check(row, p);
    if (HasFatalFailure()) return;
  }
}

TEST_P(ConvRow, NarrowGroups) {
  std::mt19937 random(test::seed());
  const auto pick = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); };
  for (int i = 0; i < 60; ++i) {
    const int64_t group = int64_t{2} << pick(0, 3), channels = group * pick(2, 11);
    Problem p = square(channels, channels, pick(1, 26), pick(1, 4), pick(1, 2), 0, channels / group);
    Spec& s = p.spec;
    p.height = pick(1, 7), p.batch = pick(1, 2);
    s.dilation_h = pick(1, 2), s.dilation_w = pick(1, 2);
    s.pad_top = pick(0, 3), s.pad_bottom = pick(0, 3), s.pad_left = pick(0, 3), s.pad_right = pick(0, 3);
    s.x_pitch = s.channels + pick(0, 1) * 5, s.y_pitch = s.out_channels + pick(0, 1) * 7;
    if (pick(0, 1)) s.epilogue = {Stage::of(BinaryKind::add, 0, Mode::full), Stage::of(UnaryKind::relu)};
    check(row, p);
    if (HasFatalFailure()) return;
  }
}

TEST_P(ConvRow, FewOutputs) {
  std::mt19937 random(test::seed());
  const auto pick = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); };
  for (int i = 0; i < 60; ++i) {
    Problem p = square(std::array{1, 3, 4, 8, 15, 16, 17, 32, 37, 70}[size_t(pick(0, 9))], pick(0, 1) ? pick(1, 5) : pick(6, 26),
                       pick(1, 70), pick(1, 5), pick(1, 3));
    Spec& s = p.spec;
    p.height = pick(1, 9), p.batch = pick(1, 2);
    if (pick(0, 2) == 0) s.kernel_w = pick(1, 9);
    if (pick(0, 5) == 0) s.kernel_w = pick(30, 70), s.width = pick(1, 900);  // a filter over a line
    s.dilation_h = pick(1, 2), s.dilation_w = pick(1, 3);
    s.pad_top = pick(0, 4), s.pad_bottom = pick(0, 4), s.pad_left = pick(0, 9), s.pad_right = pick(0, 9);
    s.nchw_input = pick(0, 3) == 0;
    if (!s.nchw_input) s.x_pitch = s.channels + pick(0, 1) * 5;
    s.y_pitch = s.out_channels + pick(0, 1) * 7;
    if (pick(0, 1)) s.epilogue = {Stage::of(BinaryKind::mul, 1, Mode::per_column), Stage::of(BinaryKind::add, 0, Mode::full), Stage::of(UnaryKind::tanh)};
    check(row, p);
    if (HasFatalFailure()) return;
  }
}

TEST(Conv, SelectsByOutputs) {
  const auto name = [](int64_t channels, int64_t out, int kernel) { return conv::select(square(channels, out, 40, kernel).spec).name; };
  const bool vectors = isa::detected() != isa::scalar;
  EXPECT_EQ(name(16, 3, 9).starts_with("planar"), vectors);
  EXPECT_EQ(name(64, 1, 1).starts_with("dot"), vectors);
  Spec line = square(1, 1, 900, 256, 2).spec;
  line.kernel_h = 1;
  EXPECT_EQ(conv::select(line).name.starts_with("dot"), vectors);
  EXPECT_FALSE(name(16, 4, 1).starts_with("dot"));
  EXPECT_FALSE(name(64, 16, 3).starts_with("dot"));
}

// A few bytes of a file may ask for a kernel that reaches over rows without end.
TEST(Conv, FarReachesTakeLittleScratch) {
  Problem p = square(4, 4, 64, 9, 1, 4);
  const auto scratch = [&] { return conv::select(p.spec).kernel->scratch_bytes(1, p.height); };
  const size_t near = scratch();
  p.spec.dilation_h = 100000, p.spec.pad_top = p.spec.pad_bottom = 400000;
  EXPECT_LE(scratch(), std::max<size_t>(near, 16 << 20));
}

TEST_P(ConvRow, ManyChannels) {
  check(row, square(700, 40, 9, 3, 1, 1));  // the reduction in blocks
  check(row, square(1024, 72, 10, 1, 2));
  check(row, square(1030, 33, 6, 1));
  Problem first = square(3, 32, 45, 7, 2, 3);
  first.spec.nchw_input = true;
  first.spec.epilogue = {Stage::of(UnaryKind::mish)};  // not every row emits it
  check(row, first);
}

// Blocks of tiles, on one thread and on more, with what may follow them.
TEST_P(ConvRow, ManyTiles) {
  for (const int pad : {0, 1, 3})
    for (Problem p : {square(8, 21, 46, 3, 1, pad), square(40, 16, 29, 3, 1, pad)}) {
      p.batch = 2;
      p.spec.pad_right = 2;
      p.spec.y_pitch = p.spec.out_channels + 5;
      p.spec.epilogue = {Stage::of(BinaryKind::add, 0, Mode::full), Stage::of(UnaryKind::relu)};
      check(row, p);
      p.spec.dilation_h = 2, p.spec.dilation_w = 3;
      check(row, p);
      p.height = 7, p.spec.dilation_h = 5, p.spec.pad_top = p.spec.pad_bottom = 4;  // phases without a row
      check(row, p);
    }
}

// The error of Winograd's transforms against double precision, relative to the root mean square of y. They are what
// conv.h says of `strict`.
TEST(WinogradError, IsBounded) {
  for (const conv::Row& row : conv::rows()) {
    if (!row.name.starts_with("winograd") || !test::unavailable(row).empty()) continue;
    const bool halves = test::precision_of(row.name) == Precision::f16;  // whose transforms are in half precision where x and y are kept so
    for (const auto& [channels, kept] : {std::pair(16, false), {128, false}, {512, false}, {16, true}, {128, true}, {512, true}}) {
      if (kept && !halves) continue;
      Problem p = square(channels, 16, 16, 3, 1, 1);
      if (kept) p.spec.kept.x = p.spec.kept.y = schema::DType::f16;
      const conv::Kernel kernel = row.make(p.spec);
      ASSERT_TRUE(kernel);
      const Data data(p);
      ThreadPool one(1);
      const std::vector<float> y = data.run(*kernel, one);
      double error = 0, sum = 0;
      for (int64_t pixel = 0; pixel < data.pixels; ++pixel)
        for (int64_t c = 0; c < 16; ++c) {
          const double want = data.want(pixel, c);
          error += (y[pixel * 16 + c] - want) * (y[pixel * 16 + c] - want);
          sum += want * want;
        }
      const double relative = std::sqrt(error / sum);
      std::printf("  %s, %d channels%s: %.1e\n", std::string(row.name).c_str(), channels, kept ? ", kept as half" : "", relative);
      EXPECT_LT(relative, halves ? 1e-2 : row.tile == 4 ? 3e-6 : 1e-6);
    }
  }
}

// Pixels from 0 to 255 under a large kernel: what a sum of all terms in one go would round away.
TEST_P(ConvRow, LargeKernelsOnImages) {
  for (const bool planar : {false, true})
    for (const int pad : {0, 4, 11}) {  // with 11, the outermost windows lie outside
      Problem p = square(3, 5, 14, 9, 1, pad);
      p.spec.nchw_input = planar;
      p.spec.epilogue = {Stage::of(UnaryKind::relu)};
      check(row, p);
    }
  const Problem p = square(3, 8, 24, 9);
  if (!row.supports(p.spec).refusal.empty()) return;
  const conv::Kernel kernel = row.make(p.spec);
  ASSERT_TRUE(kernel);
  Data data(p);
  for (size_t i = 0; i < data.x.size(); ++i) data.x[i] = 127.5f * (data.x[i] + 1);
  ThreadPool one(1);
  const std::vector<float> y = data.run(*kernel, one);
  double error = 0, sum = 0;
  for (int64_t pixel = 0; pixel < data.pixels; ++pixel)
    for (int64_t c = 0; c < 8; ++c) {
      const double want = data.want(pixel, c);
      error += (y[pixel * 8 + c] - want) * (y[pixel * 8 + c] - want);
      sum += want * want;
    }
  EXPECT_LT(std::sqrt(error / sum), 1.2e-7);
}

INSTANTIATE_TEST_SUITE_P(Rows, ConvRow, testing::Range<size_t>(0, conv::rows().size()),
                         [](const auto& info) { return std::string(conv::rows()[info.param].name); });

TEST(Conv, EverySpecHasARowUnderEveryCap) {
  for (const isa::Level& cap : test::caps())
    for (const Problem& p : {square(8, 8, 8, 3), square(8, 8, 8, 3, 1, 1, 8), square(8, 24, 8, 3, 1, 1, 4)})
      EXPECT_TRUE(conv::select(p.spec, cap.mask)) << cap.name;
}

// Nothing is rounded that may not be.
TEST(Conv, RoundsOperandsWhereThatIsAllowed) {
  for (const isa::Level& cap : test::caps())
    for (Problem p : {square(64, 64, 56, 1), square(64, 64, 56, 3, 1, 1), square(64, 64, 56, 3, 2, 1), square(64, 64, 9, 3, 1, 1)}) {
      EXPECT_EQ(test::precision_of(conv::select(p.spec, cap.mask).name), Precision::f32) << cap.name;
      p.spec.precision = Precision::f16;
      EXPECT_EQ(test::precision_of(conv::select(p.spec, cap.mask).name) == Precision::f16, isa::runs(isa::neon_fp16, cap.mask)) << cap.name << describe(p);
    }
}

TEST(Conv, SelectsDepthwiseForDepthwise) {
  const conv::Choice choice = conv::select(square(32, 32, 8, 3, 1, 1, 32).spec);
  EXPECT_EQ(choice.name.find("depthwise") == std::string_view::npos, isa::detected() == isa::scalar);
}

TEST(Conv, RefusesWhatMakesNoSense) {
  Spec s = square(8, 8, 8, 3).spec;
  s.groups = 3;
  std::vector<Refusal> refusals;
  const RefusalLog log(refusals);
  const conv::Choice choice = conv::select(s);
  EXPECT_FALSE(choice);
  EXPECT_EQ(refusals.size(), conv::rows().size());
  for (const Refusal& refusal : refusals) EXPECT_FALSE(refusal.reason.empty());
}

#if defined(__x86_64__)
// Where vectors of 512 bits are computed in halves, those of 256 bits serve channels that are no multiple of 16; but
// plans for an instruction set that is named are the same on every machine.
TEST(Conv, HalvesOfWideVectors) {
  if (!isa::runs(isa::avx512, isa::detected())) GTEST_SKIP() << "needs avx512";
  const auto name = [](int64_t out, isa::Mask have) {
    const conv::Spec spec{.channels = 144, .out_channels = out, .width = 56, .kernel_h = 1, .kernel_w = 1};
    return std::string(conv::select(spec, have).name);
  };
  const bool jit = name(64, isa::detected()) == "conv_f32_jit_avx512";
  const std::string kind = jit ? "conv_f32_jit_" : "conv_f32_simd_";
  EXPECT_EQ(name(64, isa::detected()), kind + "avx512");
  EXPECT_EQ(name(24, isa::detected()), kind + (isa::halves_512() ? "avx2" : "avx512"));
  if (isa::detected() != isa::avx512) {
    EXPECT_EQ(name(24, isa::avx512), kind + "avx512");
  }
}
#endif

TEST(Conv, WithoutExecutablePages) {
  const bool before = jit::forbid(true);
  const conv::Choice choice = conv::select(square(8, 8, 8, 3).spec);
  jit::forbid(before);
  ASSERT_TRUE(choice);
  EXPECT_EQ(choice.name.find("jit"), std::string_view::npos);
}
}  // namespace
