// Every row of the image table against a definition in double precision: each output is a sum over the whole picture.
#include "kernels/image/image.h"
#include <functional>
#include "tests/kernels/util.h"

namespace {
using namespace kernels::image;
using kernels::ThreadPool;
using schema::DType;

struct Pixels : test::Fenced {
  explicit Pixels(size_t n, unsigned salt) : Fenced(n) {
    std::mt19937 random(test::seed() + salt);
    for (size_t i = 0; i < n; ++i) data()[i] = uint8_t(random());
  }
  uint8_t* data() const { return reinterpret_cast<uint8_t*>(Fenced::data()); }
};

// A picture with memory of its own: rows `gap` bytes apart, the last first where `flipped`.
struct Sample {
  Picture picture;
  Pixels luma, chroma;
  Sample(PixelFormat format, int64_t width, int64_t height, int64_t gap = 0, bool flipped = false)
      : luma(size_t((width * bytes_per_pixel(format) + gap) * height - gap), 1),
        chroma(size_t(((width + 1) / 2 * 2 + gap) * ((height + 1) / 2) - gap), 2) {
    const int64_t stride = width * bytes_per_pixel(format) + gap, uv_stride = (width + 1) / 2 * 2 + gap;
    picture = {format, width, height, luma.data(), gap ? stride : 0, nullptr, 0};
    if (format == PixelFormat::nv12) picture.uv = chroma.data(), picture.uv_stride = gap ? uv_stride : 0;
    if (!flipped) return;
    picture.data += stride * (height - 1), picture.stride = -stride;
    if (picture.uv) picture.uv += uv_stride * ((height + 1) / 2 - 1), picture.uv_stride = -uv_stride;
  }
};

// --- The definition --------------------------------------------------------------------------------------------------

double weight(Filter filter, double distance, double scale) {
  const double wide = std::max(scale, 1.0);
  switch (filter) {
    case Filter::bilinear: return std::max(0.0, 1 - std::abs(distance) / wide);
    case Filter::bilinear_aliased: return std::max(0.0, 1 - std::abs(distance));
    case Filter::nearest: return distance > -0.5 && distance <= 0.5;
    case Filter::bicubic: break;
  }
  const double x = std::abs(distance) / wide;
  return x < 1 ? 1.5 * x * x * x - 2.5 * x * x + 1 : x < 2 ? -0.5 * x * x * x + 2.5 * x * x - 4 * x + 2 : 0;
}

using Sampler = std::function<double(int64_t x, int64_t y)>;
// The level at pixel (x, y) of a plane of width × height that is resized by scale_x and scale_y.
double resampled(const Sampler& at, Filter filter, int64_t width, int64_t height, double x, double y, double scale_x,
                 double scale_y) {
  double sum = 0, weights = 0;
  const double centre_x = (x + 0.5) * scale_x, centre_y = (y + 0.5) * scale_y;
  for (int64_t v = 0; v < height; ++v)
    for (int64_t u = 0; u < width; ++u) {
      const double w =
          weight(filter, double(v) + 0.5 - centre_y, scale_y) * weight(filter, double(u) + 0.5 - centre_x, scale_x);
      sum += w * at(u, v), weights += w;
    }
  return sum / weights;
}

struct Definition {
  const Picture& picture;
  const Preprocess& p;
  int64_t width, height, resized_w, resized_h;

  Definition(const Picture& picture, const Preprocess& p) : picture(picture), p(p) {
    resized_w = width = picture.width, resized_h = height = picture.height;
    if (p.resize == Resize::stretch) resized_w = p.width, resized_h = p.height;
    if (p.resize == Resize::shorter && width <= height) resized_w = p.width, resized_h = height * p.width / width;
    if (p.resize == Resize::shorter && width > height) resized_h = p.width, resized_w = width * p.width / height;
    if (p.resize == Resize::letterbox) {
      const double scale = std::min(double(p.width) / double(width), double(p.height) / double(height));
      resized_w = std::max(1l, std::lrint(double(width) * scale));
      resized_h = std::max(1l, std::lrint(double(height) * scale));
    }
    width = resized_w, height = resized_h;
    if (p.crop_width) width = p.crop_width, height = p.crop_height;
    if (p.resize == Resize::letterbox) width = p.width, height = p.height;
  }

  const uint8_t* pixel(int64_t x, int64_t y) const {
    const int64_t bytes = bytes_per_pixel(picture.format);
    return picture.data + y * (picture.stride ? picture.stride : picture.width * bytes) + x * bytes;
  }
  double plane(int byte, double x, double y) const {
    return resampled([&](int64_t u, int64_t v) { return double(pixel(u, v)[byte]); }, p.filter, picture.width,
                     picture.height, x, y, double(picture.width) / double(resized_w),
                     double(picture.height) / double(resized_h));
  }
  double chroma(int byte, double x, double y) const {
    const int64_t w = (picture.width + 1) / 2, h = (picture.height + 1) / 2;
    const int64_t stride = picture.uv_stride ? picture.uv_stride : 2 * w;
    return resampled([&](int64_t u, int64_t v) { return double(picture.uv[v * stride + 2 * u + byte]); }, p.filter, w,
                     h, x, y, double(picture.width) / double(resized_w) / 2,
                     double(picture.height) / double(resized_h) / 2);
  }
  // R, G and B at a pixel of the resized picture.
  std::array<double, 3> rgb(double x, double y) const {
    const auto clamped = [](double v) { return std::clamp(v, 0.0, 255.0); };
    if (picture.format == PixelFormat::grey) {
      const double level = clamped(plane(0, x, y));
      return {level, level, level};
    }
    if (picture.format == PixelFormat::nv12) {
      const double luma = 1.16438356 * (plane(0, x, y) - 16);
      if (p.order == Order::grey) return {clamped(luma), clamped(luma), clamped(luma)};
      const double u = chroma(0, x, y) - 128, v = chroma(1, x, y) - 128;
      return {clamped(luma + 1.59602679 * v), clamped(luma - 0.39176229 * u - 0.81296765 * v),
              clamped(luma + 2.01723214 * u)};
    }
    const bool bgr = picture.format == PixelFormat::bgr || picture.format == PixelFormat::bgra;
    return {plane(bgr ? 2 : 0, x, y), plane(1, x, y), plane(bgr ? 0 : 2, x, y)};
  }
  // The levels of the tensor's pixel, by channel of the tensor.
  std::array<double, 3> levels(int64_t x, int64_t y) const {
    const auto half_even = [](int64_t rest) { return std::nearbyint(double(rest) / 2); };
    double u = double(x), v = double(y);
    if (p.resize == Resize::letterbox) {
      u -= std::floor(double(width - resized_w) / 2), v -= std::floor(double(height - resized_h) / 2);
      if (u < 0 || v < 0 || u >= double(resized_w) || v >= double(resized_h)) return {p.fill, p.fill, p.fill};
    } else {
      u += half_even(resized_w - width), v += half_even(resized_h - height);
    }
    const auto [r, g, b] = rgb(u, v);
    const auto clamped = [](double level) { return std::clamp(level, 0.0, 255.0); };
    if (p.order == Order::rgb) return {clamped(r), clamped(g), clamped(b)};
    if (p.order == Order::bgr) return {clamped(b), clamped(g), clamped(r)};
    return {clamped(0.299 * r + 0.587 * g + 0.114 * b), 0, 0};
  }
};

double half_value(uint16_t bits) {
  const int exponent = bits >> 10 & 31;
  const double fraction = bits & 1023;
  const double value = exponent ? std::ldexp(1024 + fraction, exponent - 25) : std::ldexp(fraction, -24);
  return bits >> 15 ? -value : value;
}

void expect_defined(const Row& row, const Sample& sample, const Preprocess& p, DType dtype, bool channels_last,
                    ThreadPool& pool, Scratch& scratch) {
  const Definition want(sample.picture, p);
  ASSERT_EQ(refusal(p, sample.picture), "");
  const Extent extent = output_extent(p, sample.picture.width, sample.picture.height);
  ASSERT_EQ(extent.width, want.width);
  ASSERT_EQ(extent.height, want.height);
  const int64_t channels = p.channels(), elements = extent.width * extent.height * channels;
  const size_t size = dtype == DType::f32 ? 4 : dtype == DType::f16 ? 2 : 1;
  const test::Fenced out(size_t(elements) * size, size);
  std::memset(out.data(), 0x5a, size_t(elements) * size);
  row.make(p).run(sample.picture, p, {out.data(), dtype, channels_last}, scratch, pool);
  ASSERT_TRUE(out.intact());
  const auto* bytes = reinterpret_cast<const uint8_t*>(out.data());
  for (int64_t y = 0; y < extent.height; ++y)
    for (int64_t x = 0; x < extent.width; ++x) {
      const auto levels = want.levels(x, y);
      for (int64_t c = 0; c < channels; ++c) {
        const int64_t at =
            channels_last ? (y * extent.width + x) * channels + c : (c * extent.height + y) * extent.width + x;
        const double scale = double{p.scale} / p.std[c],
                     value = levels[size_t(c)] * scale - double{p.mean[c]} / p.std[c];
        double got, expected = value, tolerance = 2e-3 * std::abs(scale) + 1e-6 * std::abs(value);
        if (dtype == DType::f32) {
          got = double{reinterpret_cast<const float*>(bytes)[at]};
        } else if (dtype == DType::f16) {
          got = half_value(reinterpret_cast<const uint16_t*>(bytes)[at]), tolerance += std::abs(value) / 2048 + 1e-7;
        } else {
          got = bytes[at], expected = levels[size_t(c)], tolerance = 0.502;
        }
        ASSERT_NEAR(got, expected, tolerance) << "pixel " << x << "," << y << " channel " << c;
      }
    }
}

std::string text_of(const Row& row, const Picture& picture, const Preprocess& p, DType dtype, bool channels_last) {
  return std::string(row.name) + " format " + std::to_string(int(picture.format)) + " " +
         std::to_string(picture.width) + "x" + std::to_string(picture.height) + " order " +
         std::to_string(int(p.order)) + " resize " + std::to_string(int(p.resize)) + " " + std::to_string(p.width) +
         "x" + std::to_string(p.height) + " crop " + std::to_string(p.crop_width) + "x" +
         std::to_string(p.crop_height) + " filter " + std::to_string(int(p.filter)) + " " + std::string(name(dtype)) +
         (channels_last ? " NHWC" : " NCHW") + ", seed " + std::to_string(test::seed());
}

class Image : public testing::TestWithParam<Row> {};
INSTANTIATE_TEST_SUITE_P(, Image, testing::ValuesIn(rows().begin(), rows().end()),
                         [](const auto& row) { return std::string(row.param.name); });
#define SKIP_UNAVAILABLE() \
  if (const std::string why = test::unavailable(GetParam()); !why.empty()) GTEST_SKIP() << why

TEST_P(Image, IsWhatTheDefinitionSays) {
  SKIP_UNAVAILABLE();
  std::mt19937 random(test::seed());
  const auto upto = [&](int64_t n) { return int64_t(random() % size_t(n)); };
  ThreadPool pool(2);
  Scratch scratch;  // of the picture before, whatever it was
  for (int round = 0; round < 600; ++round) {
    Preprocess p;
    p.order = Order(upto(3)), p.resize = Resize(upto(4)), p.filter = Filter(upto(4));
    p.width = 1 + upto(round % 8 == 0 ? 80 : 20), p.height = 1 + upto(20), p.fill = float(upto(256));
    const int64_t width = 1 + upto(round % 16 == 0 ? 90 : 24), height = 1 + upto(24);
    if (upto(2)) p.scale = 1.0f / 127.5f, p.mean[0] = 1, p.mean[1] = 0.5f, p.std[1] = 0.25f, p.std[2] = -2;
    if (p.resize != Resize::letterbox && upto(2)) {
      const int64_t least = p.resize == Resize::shorter ? p.width : 0;
      p.crop_width = 1 + upto(least ? least : p.resize == Resize::stretch ? p.width : width);
      p.crop_height = 1 + upto(least ? least : p.resize == Resize::stretch ? p.height : height);
    } else if (p.resize == Resize::shorter && std::max(width, height) > 5 * std::min(width, height)) {
      p.resize = Resize::none;
    }
    const Sample sample(PixelFormat(upto(6)), width, height, upto(2) * upto(70), upto(4) == 0);
    const DType dtype = std::array{DType::f32, DType::f16, DType::u8}[size_t(upto(3))];
    const bool channels_last = upto(2);
    SCOPED_TRACE(text_of(GetParam(), sample.picture, p, dtype, channels_last));
    expect_defined(GetParam(), sample, p, dtype, channels_last, pool, scratch);
    if (HasFatalFailure()) return;
  }
}

TEST_P(Image, SizesAroundVectorsAndBlocks) {
  SKIP_UNAVAILABLE();
  ThreadPool pool(1);
  Scratch scratch;
  for (const int64_t width : {1, 15, 16, 17, 63, 64, 65, 129, 150})
    for (const PixelFormat format : {PixelFormat::rgb, PixelFormat::nv12, PixelFormat::grey})
      for (const bool channels_last : {false, true}) {
        const Preprocess p;
        const Sample sample(format, width, 3);
        SCOPED_TRACE(text_of(GetParam(), sample.picture, p, DType::f32, channels_last));
        expect_defined(GetParam(), sample, p, DType::f32, channels_last, pool, scratch);
        if (HasFatalFailure()) return;
      }
}

TEST_P(Image, FindsChromaBehindLuma) {
  SKIP_UNAVAILABLE();
  ThreadPool pool(1);
  const Preprocess p{.resize = Resize::stretch, .width = 4, .height = 3};
  for (const int64_t stride : {0, 7, 8, 12}) {
    const int64_t row = stride ? stride : 7, uv_row = std::max<int64_t>(row, 8);
    const Pixels pixels(size_t(5 * row + 2 * uv_row + 8), 1);
    const Picture whole{PixelFormat::nv12, 7, 5, pixels.data(), stride};
    const Picture planes{PixelFormat::nv12, 7, 5, pixels.data(), row, pixels.data() + 5 * row, uv_row};
    const test::Buffer got(36), want(36);
    Scratch scratch;
    GetParam().make(p).run(whole, p, {got.data(), DType::f32, false}, scratch, pool);
    GetParam().make(p).run(planes, p, {want.data(), DType::f32, false}, scratch, pool);
    EXPECT_EQ(std::memcmp(got.data(), want.data(), 36 * sizeof(float)), 0) << stride;
    EXPECT_TRUE(got.guards_intact() && want.guards_intact());
  }
}

TEST_P(Image, IsTheSameForAnyNumberOfThreads) {
  SKIP_UNAVAILABLE();
  for (const PixelFormat format : {PixelFormat::rgba, PixelFormat::nv12}) {
    const Sample sample(format, 301, 407, 5);
    const Preprocess p{.resize = Resize::letterbox, .width = 97, .height = 101};
    std::vector<test::Buffer> results;
    for (const int threads : {1, 2, 3}) {
      ThreadPool pool(threads);
      Scratch scratch;
      results.emplace_back(97 * 101 * 3);
      GetParam().make(p).run(sample.picture, p, {results.back().data(), DType::f32, false}, scratch, pool);
    }
    EXPECT_EQ(std::memcmp(results[0].data(), results[1].data(), results[0].size() * 4), 0);
    EXPECT_EQ(std::memcmp(results[0].data(), results[2].data(), results[0].size() * 4), 0);
  }
}

// Pillow 13.0, Image.fromarray(levels, mode="F").resize(size, filter): floats, which Pillow does not round in between.
TEST_P(Image, GivesWhatPillowGives) {
  SKIP_UNAVAILABLE();
  const struct {
    Filter filter;
    int64_t width, height;
    std::vector<float> levels;
  } cases[] = {
      {Filter::bilinear, 5, 4, {19.1219f,  37.1039f,  57.7429f,  78.3818f,  96.3638f,  47.6081f,  70.2417f,
                                96.2195f,  122.1973f, 144.8309f, 79.8585f,  107.7583f, 139.7805f, 171.8027f,
                                194.0829f, 108.3448f, 140.8961f, 178.2571f, 212.7368f, 148.6952f}},
      {Filter::bicubic, 5, 4, {15.4169f,  34.5213f,  54.8974f,  75.2735f,  94.3779f,  45.2028f,  69.6544f,
                               95.7338f,  121.7766f, 146.7005f, 77.6846f,  107.9674f, 140.2577f, 172.9071f,
                               203.9399f, 107.4704f, 143.1006f, 181.2099f, 223.2596f, 140.3087f}},
      {Filter::nearest, 5, 4, {21, 37,  61,  85,  101, 49,  69,  99,  129, 149,
                               77, 101, 137, 173, 197, 105, 133, 175, 217, 245}},
      {Filter::bilinear, 15, 2, {28.3803f,  35.7268f,  43.6854f,  51.6441f,  59.6028f,  67.5615f,  75.5202f,  83.4789f,
                                 91.4376f,  99.3962f,  107.3549f, 115.3136f, 123.2723f, 131.2310f, 138.5775f, 75.6197f,
                                 85.8732f,  96.9812f,  108.0892f, 119.1972f, 130.3052f, 141.4131f, 152.5211f, 163.6291f,
                                 174.7371f, 185.8451f, 196.9530f, 194.8404f, 168.6901f, 135.6761f}}};
  const Pixels pixels(9 * 13, 0);
  for (int y = 0; y < 9; ++y)
    for (int x = 0; x < 13; ++x) pixels.data()[y * 13 + x] = uint8_t(x * 7 + y * 13 + x * y);
  ThreadPool pool(1);
  for (const auto& c : cases) {
    const Preprocess p{.order = Order::grey,
                       .resize = Resize::stretch,
                       .width = c.width,
                       .height = c.height,
                       .filter = c.filter,
                       .scale = 1};
    const test::Buffer out(c.levels.size());
    Scratch scratch;
    GetParam().make(p).run({PixelFormat::grey, 13, 9, pixels.data()}, p, {out.data(), DType::f32, false}, scratch,
                           pool);
    for (size_t i = 0; i < out.size(); ++i) EXPECT_NEAR(out[i], c.levels[i], 2e-4) << int(c.filter) << " at " << i;
  }
}

TEST(ImageRefusal, SaysWhatIsWrong) {
  const uint8_t byte = 0;
  const auto expect = [&](const Preprocess& p, const Picture& picture, const char* word) {
    EXPECT_NE(refusal(p, picture).find(word), std::string::npos) << '\'' << refusal(p, picture) << "' lacks " << word;
  };
  const Picture good{PixelFormat::rgb, 8, 4, &byte};
  EXPECT_EQ(refusal({}, good), "");
  expect({}, {PixelFormat::rgb, 8, 4, nullptr}, "no data");
  expect({}, {PixelFormat::rgb, 0, 4, &byte}, "0x4");
  expect({}, {PixelFormat::rgb, 8, -4, &byte}, "8x-4");
  expect({}, {PixelFormat::rgb, max_extent + 1, 4, &byte}, "65537x4");
  expect({}, {PixelFormat::rgb, INT64_MAX, INT64_MAX, &byte}, "65536");
  expect({}, {PixelFormat::rgb, max_extent, max_extent, &byte}, "too large");
  expect({}, {PixelFormat::rgb, 8, 4, &byte, 23}, "stride of 23");
  expect({}, {PixelFormat::rgb, 8, 4, &byte, -23}, "stride of -23");
  expect({}, {PixelFormat::rgb, 8, 4, &byte, INT64_MAX}, "stride of 9");
  expect({}, {PixelFormat::rgb, 8, 4, &byte, INT64_MIN}, "stride of -9");
  expect({}, {PixelFormat::nv12, 7, 4, &byte, 7, &byte, 7}, "U and V");
  expect({}, {PixelFormat::nv12, 8, 4, &byte, -8}, "where its U and V are");
  expect({.crop_width = 9, .crop_height = 4}, good, "smaller than the crop 9x4");
  expect({.resize = Resize::stretch, .width = 0, .height = 5}, good, "0x5");
  expect({.resize = Resize::shorter, .width = max_extent}, good, "too large");
  expect({.resize = Resize::shorter, .width = 4, .crop_width = 5, .crop_height = 4}, good, "larger than the picture");
  expect({.crop_width = 5}, good, "crop 5x0");
  expect({.resize = Resize::letterbox, .width = 4, .height = 4, .crop_width = 2, .crop_height = 2}, good, "letterbox");
  expect({.fill = NAN}, good, "fill");
  expect({.scale = INFINITY}, good, "scale");
  expect({.std = {1, 0, 1}}, good, "std");
  EXPECT_EQ(refusal({.order = Order::grey, .std = {1, 0, 1}}, good), "");
}
}  // namespace
