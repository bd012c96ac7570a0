// Pictures in files: what the libraries make of whole ones, and that damaged ones are errors.
#include <random>
#include "engine/frame.h"
#include "engine/image_decoder.h"
#include "engine/plan.h"
#include "kernels/threads.h"
#include "tests/engine/op_case.h"
#include "tests/engine/pictures.h"

namespace engine {
namespace {
using namespace test;
using schema::ImageDecoder, schema::PixelOrder;
using Numbers = std::vector<double>;
using Bytes8 = std::vector<std::byte>;

ConstantPtr file_of(const Bytes8& bytes) {
  const int64_t size = int64_t(bytes.size());
  return make_constant({DType::u8, std::span(&size, 1), bytes.data(), nullptr});
}
ConstantPtr file_of(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  return file_of(Bytes8(bytes.begin(), bytes.end()));
}
Object decoded(const Bytes8& bytes, PixelOrder order = PixelOrder::rgb) {
  return run1(ImageDecoder{order}, {file_of(bytes)});
}
Numbers pixels(std::string_view hex) {
  const Object y = decoded(pictures::bytes_of(hex));
  EXPECT_EQ(y.shape, (Shape{3, 5, 3}));
  return values(y);
}
Numbers pixels_of_text(std::string_view text) { return numbers(ImageDecoder{}, {file_of(text)}); }

Numbers colours() {
  Numbers all;
  for (int y = 0; y < 3; ++y)
    for (int x = 0; x < 5; ++x) all.insert(all.end(), {60.0 * x, 100.0 * y, 20.0 * x + 40 * y});
  return all;
}
Numbers repeated(const Numbers& grey) {
  Numbers all;
  for (double v : grey) all.insert(all.end(), {v, v, v});
  return all;
}
Numbers greys() {
  Numbers all;
  for (int y = 0; y < 3; ++y)
    for (int x = 0; x < 5; ++x) all.push_back(40 * x + 30 * y);
  return repeated(all);
}

class ImageDecoderOp : public testing::Test {
  void SetUp() override {
    if (!has_image_decoder()) GTEST_SKIP() << "configured with INLAY_IMAGE_DECODER=OFF";
  }
};

TEST_F(ImageDecoderOp, LosslessFormats) {
  for (const auto hex :
       {pictures::png_rgb, pictures::png_rgba, pictures::png_palette, pictures::png_rgb16, pictures::png_interlaced,
        pictures::bmp_rgb, pictures::bmp_palette, pictures::bmp_top_down, pictures::tiff_rgb, pictures::tiff_deflate,
        pictures::tiff_rgba, pictures::webp_lossless, pictures::webp_rgba, pictures::jp2_rgb, pictures::jp2_rgba})
    EXPECT_EQ(pixels(hex), colours()) << hex.substr(0, 24);
  for (const auto hex : {pictures::tiff_grey16, pictures::j2k_grey})
    EXPECT_EQ(pixels(hex), greys()) << hex.substr(0, 24);
  EXPECT_EQ(pixels(pictures::png_bits), repeated({0, 255, 0, 255, 0, 255, 0, 255, 0, 255, 0, 255, 0, 255, 0}));
}

// What Pillow, whose decoder is ONNX's reference, gives.
TEST_F(ImageDecoderOp, Jpeg) {
  const Numbers halved{0,  8,   0,  30, 20,  11,  88,  16,  28,  145, 20,  50,  192, 25,  69,
                       28, 87,  43, 69, 99,  65,  128, 94,  82,  186, 99,  105, 232, 103, 123,
                       39, 176, 84, 84, 189, 107, 143, 184, 124, 198, 189, 146, 245, 194, 165};
  EXPECT_EQ(pixels(pictures::jpeg_420), halved);
  EXPECT_EQ(pixels(pictures::jpeg_turned), halved);  // as it is stored
  EXPECT_EQ(pixels(pictures::jpeg_progressive),
            (Numbers{0, 2,   2,  56, 5,   24,  113, 1,   41,  176, 2,   61,  230, 4,   80,
                     8, 97,  39, 68, 100, 61,  125, 96,  78,  189, 99,  99,  242, 99,  117,
                     0, 200, 79, 58, 203, 102, 116, 199, 119, 177, 201, 141, 233, 202, 158}));
  EXPECT_EQ(pixels(pictures::jpeg_grey),
            repeated({0, 40, 80, 119, 160, 29, 69, 109, 148, 189, 62, 102, 142, 181, 223}));
  EXPECT_EQ(pixels(pictures::jpeg_cmyk),
            (Numbers{0, 0,   0,  60, 0,   20,  120, 0,   40,  180, 0,   59,  240, 0,   80,
                     0, 101, 40, 60, 101, 60,  120, 101, 80,  180, 101, 100, 240, 101, 120,
                     0, 199, 80, 60, 199, 100, 120, 199, 120, 180, 199, 139, 240, 199, 160}));
}

TEST_F(ImageDecoderOp, RowsAsTheyAreStored) { EXPECT_EQ(pixels(pictures::tiff_turned), colours()); }

TEST_F(ImageDecoderOp, OrderAndGrey) {
  Numbers swapped = colours(), grey;
  for (size_t i = 0; i < swapped.size(); i += 3) {
    grey.push_back(std::floor((19595 * swapped[i] + 38470 * swapped[i + 1] + 7471 * swapped[i + 2]) / 65536 + 0.5));
    std::swap(swapped[i], swapped[i + 2]);
  }
  const auto png = pictures::bytes_of(pictures::png_rgb);
  EXPECT_EQ(values(decoded(png, PixelOrder::bgr)), swapped);
  const Object y = decoded(png, PixelOrder::grey);
  EXPECT_EQ(y.shape, (Shape{3, 5, 1}));
  EXPECT_EQ(values(y), grey);
  EXPECT_EQ(values(decoded(pictures::bytes_of(pictures::jpeg_grey), PixelOrder::grey)),
            (Numbers{0, 40, 80, 119, 160, 29, 69, 109, 148, 189, 62, 102, 142, 181, 223}));
}

TEST_F(ImageDecoderOp, Pnm) {
  using namespace std::string_view_literals;
  EXPECT_EQ(pixels_of_text("P1 # bits\n3 2\n101\n 0 1 0"), repeated({0, 255, 0, 255, 0, 255}));
  EXPECT_EQ(pixels_of_text("P2\n2 2 4\n0 1\n2 9\n"), repeated({0, 64, 128, 255}));
  EXPECT_EQ(pixels_of_text("P3 1 2 255 1 2 3 4 5 6"), (Numbers{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(pixels_of_text("P4\n9 2\n\xaa\x80\x55\0"sv),
            repeated({0, 255, 0, 255, 0, 255, 0, 255, 0, 255, 0, 255, 0, 255, 0, 255, 0, 255}));
  EXPECT_EQ(pixels_of_text("P5\n3 1 # wide\n255\nabc"), repeated({'a', 'b', 'c'}));
  EXPECT_EQ(pixels_of_text("P5 2 1 65535\n\xff\xff\x80\0"sv), repeated({255, 128}));
  EXPECT_EQ(pixels_of_text("P6\n1 1\n255\n\1\2\3"), (Numbers{1, 2, 3}));
  for (const auto& [text, error] :
       std::vector<std::pair<std::string_view, std::string>>{{"P6 2 1 255\n\1\2\3\4\5", "ends early"},
                                                             {"P5 2 2", "ends early"},
                                                             {"P2 1 1 255 x", "a number is damaged"},
                                                             {"P2 1 1 255 99999999999", "a number is damaged"},
                                                             {"P1 1 1 2", "a bit is damaged"},
                                                             {"P2 1 1 255 #", "ends early"},
                                                             {"P5 0 7 255\n", "no pixels"},
                                                             {"P5 1 1 0\n0", "largest value"},
                                                             {"P5 99999 99999 255\n", "larger than"}})
    expect_error(ImageDecoder{}, {file_of(text)}, error);
}

TEST_F(ImageDecoderOp, WhatIsNoPicture) {
  expect_error(ImageDecoder{}, {file_of("")}, "there is no picture");
  expect_error(ImageDecoder{}, {file_of("GIF89a")}, "the first bytes are of no picture");
  expect_error(ImageDecoder{}, {file_of("RIFF")}, "the first bytes are of no picture");
  expect_error(ImageDecoder{}, {file_of(pictures::bytes_of(pictures::webp_animated))}, "animated");
  expect_error(ImageDecoder{}, {tensor(DType::u8, {1, 1}, {1})}, "rank 1");
  expect_error(ImageDecoder{}, {tensor(DType::i8, {1}, {1})}, "i8");
}

// Each picture is another size, for which the rest is planned; a file that is a constant is decoded no sooner than
// others.
TEST_F(ImageDecoderOp, InAGraph) {
  Graph graph;
  const ValueId file = graph.add_input("file", Type::tensor(DType::u8, {Dim::symbol("n")}));
  const ValueId logo = graph.add_constant(file_of("P6 1 1 255 abc"));
  Rewriter r(graph);
  const ValueId pixels = r.add(ImageDecoder{}, {file}, {"decode"})[0],
                small = r.add(ImageDecoder{}, {logo}, {"logo"})[0];
  const ValueId sum = r.add(schema::Binary{}, {pixels, small}, {"add"})[0];
  EXPECT_EQ(to_text(graph[sum].type), "u8[?,?,3]");
  graph.outputs = {{"y", sum}};
  kernels::ThreadPool pool(1);
  RunOptions options;
  options.pool = &pool;
  Frame frame(std::make_shared<PlanCache>(graph, CompileOptions()), options);
  for (const auto& [text, shape] : std::vector<std::pair<std::string_view, Shape>>{
           {"P5 1 2 255 12", {2, 1, 3}}, {"P5 3 1 255 123", {1, 3, 3}}, {"P5 1 1 255 9", {1, 1, 3}}}) {
    const ConstantPtr input = file_of(text);
    const ConstView view = input->view(), y = frame.run({&view, 1})[0];
    EXPECT_EQ(Shape(y.shape.begin(), y.shape.end()), shape);
    EXPECT_EQ(load<Int>(y, 1).v, text[text.size() - size_t(elements(shape) / 3)] + 'b');
  }
}

// A header may say anything: nothing of that size is made.
TEST_F(ImageDecoderOp, HugeExtents) {
  const auto with = [](std::string_view hex, size_t at, std::initializer_list<int> bytes) {
    Bytes8 file = pictures::bytes_of(hex);
    for (int b : bytes) file[at++] = std::byte(b);
    return file_of(file);
  };
  expect_error(ImageDecoder{}, {with(pictures::bmp_rgb, 18, {0, 0, 0x80, 0, 0, 0, 0x80, 0})}, "larger than");
  expect_error(ImageDecoder{}, {with(pictures::bmp_rgb, 18, {0, 1, 0, 0, 0, 1, 0, 0})}, "ends early");
  expect_error(ImageDecoder{}, {with(pictures::j2k_grey, 8, {0, 1, 0, 0, 0, 1, 0, 0})}, "larger than");
  expect_error(ImageDecoder{}, {with(pictures::j2k_grey, 24, {0, 0, 0, 1, 0, 0, 0, 1})},
               "ends early");  // one tile per pixel
  const auto jpeg = pictures::bytes_of(pictures::jpeg_grey);
  for (size_t i = 0; i + 8 < jpeg.size(); ++i)
    if (jpeg[i] == std::byte{0xff} && jpeg[i + 1] == std::byte{0xc0})
      expect_error(ImageDecoder{}, {with(pictures::jpeg_grey, i + 5, {0xff, 0, 0xff, 0})}, "larger than");
}

// Cut short, or with bytes changed: an error, or pixels; and never a file that lacks much of its data.
TEST_F(ImageDecoderOp, DamagedFiles) {
  std::mt19937 random(7);
  const auto tried = [](const Bytes8& bytes) {
    try {
      decode_image(bytes, [pixels = Bytes8()](int64_t height, int64_t width) mutable {
        if (height * width > 1 << 20) fail(Code::limit, "too large for this test");
        pixels.resize(size_t(height * width * 3));
        return reinterpret_cast<uint8_t*>(pixels.data());
      });
      return true;
    } catch (const Error& e) {
      EXPECT_NE(std::string_view(e.what()), "");
      EXPECT_TRUE(e.code == Code::invalid_argument || e.code == Code::unsupported || e.code == Code::limit) << e.what();
      return false;
    }
  };
  for (const auto hex : {pictures::png_rgb, pictures::png_palette, pictures::png_interlaced, pictures::bmp_rgb,
                         pictures::bmp_palette, pictures::tiff_rgb, pictures::tiff_deflate, pictures::tiff_rgba,
                         pictures::webp_lossless, pictures::webp_rgba, pictures::webp_animated, pictures::jp2_rgb,
                         pictures::j2k_grey, pictures::jpeg_420, pictures::jpeg_progressive, pictures::jpeg_cmyk}) {
    const Bytes8 whole = pictures::bytes_of(hex);
    for (size_t size = 0; size < whole.size(); ++size) {
      const bool decodes = tried(Bytes8(whole.begin(), whole.begin() + int64_t(size)));
      EXPECT_TRUE(!decodes || size + 16 > whole.size())
          << hex.substr(0, 24) << ": " << size << " of " << whole.size() << " bytes";
    }
    for (int round = 0; round < 400; ++round) {
      Bytes8 changed = whole;
      for (unsigned n = 1 + random() % 4; n > 0; --n) changed[random() % changed.size()] = std::byte(random());
      tried(changed);
    }
  }
}

TEST(ImageDecoderOpDisabled, SaysWhichOptionItNeeds) {
  if (has_image_decoder()) GTEST_SKIP() << "configured with INLAY_IMAGE_DECODER=ON";
  expect_error(ImageDecoder{}, {file_of("P5")}, "INLAY_IMAGE_DECODER=OFF");
}
}  // namespace
}  // namespace engine
