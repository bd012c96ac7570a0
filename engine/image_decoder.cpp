#include "engine/image_decoder.h"
#include "engine/error.h"
#if INLAY_IMAGE_DECODER
#include <algorithm>
#include <climits>
#include <csetjmp>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string_view>
#include <jpeglib.h>
#include <jerror.h>
#include <openjpeg.h>
#include <png.h>
#include <tiffio.h>
#include <webp/decode.h>
#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_BMP
#define STBI_NO_STDIO
#include <stb/stb_image.h>
#include "engine/budget.h"

namespace engine {
namespace {
using File = std::span<const uint8_t>;

[[noreturn]] void broken(const char* format, std::string_view why) {
  fail(Code::invalid_argument, "the ", format, " picture cannot be decoded: ", why);
}
constexpr std::string_view ends_early = "the file ends early";

// Of untrusted headers, before anything is allocated.
void check_size(int64_t height, int64_t width) {
  require(height >= 1 && width >= 1, Code::invalid_argument, "the picture has no pixels");
  require(height <= limits::picture_pixels && width <= limits::picture_pixels / height, Code::limit, "a picture of ",
          width, "x", height, " pixels is larger than ", limits::picture_pixels, " pixels");
}

// A sample of up to 31 bits as one of 8.
uint8_t to_byte(int64_t value, int64_t most) {
  return uint8_t((std::clamp<int64_t>(value, 0, most) * 255 + most / 2) / most);
}

// What calls a C library whose errors may not return.
struct Guard {
  const char* format;
  std::jmp_buf jump;
  char text[std::max(256, JMSG_LENGTH_MAX)] = "";

  explicit Guard(const char* name) : format(name) {}
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;
  // Nothing in f may have a destructor.
  template <class F> void call(F&& f) {
    if (setjmp(jump)) broken(format, text);
    f();
  }
  [[noreturn]] void stop(const char* why) {
    std::snprintf(text, sizeof text, "%s", why);
    std::longjmp(jump, 1);
  }
};

// --- JPEG ------------------------------------------------------------------------------------------------------------

struct Jpeg : Guard {
  jpeg_error_mgr errors;
  jpeg_progress_mgr progress{};
  jpeg_decompress_struct decoder{};

  Jpeg() : Guard("JPEG") {
    decoder.err = jpeg_std_error(&errors), decoder.client_data = this;
    errors.error_exit = [](j_common_ptr c) {
      char why[JMSG_LENGTH_MAX];
      c->err->format_message(c, why);
      static_cast<Jpeg*>(c->client_data)->stop(why);
    };
    errors.emit_message = [](j_common_ptr c, int level) {
      if (level < 0 && loses_pixels(c->err->msg_code)) c->err->error_exit(c);
    };
    errors.output_message = [](j_common_ptr) {};
    // Every scan of a few bytes may change the whole picture.
    progress.progress_monitor = [](j_common_ptr c) {
      if (reinterpret_cast<j_decompress_ptr>(c)->input_scan_number > 500)
        static_cast<Jpeg*>(c->client_data)->stop("it has more than 500 scans");
    };
  }
  ~Jpeg() { jpeg_destroy_decompress(&decoder); }

  // Warnings after which the library goes on with made-up pixels.
  static bool loses_pixels(int code) {
    return code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER || code == JWRN_HUFF_BAD_CODE ||
           code == JWRN_ARITH_BAD_CODE || code == JWRN_MUST_RESYNC;
  }
};

void decode_jpeg(File file, const MakePixels& make) {
  Jpeg jpeg;
  jpeg_decompress_struct& d = jpeg.decoder;
  jpeg.call([&] {
    jpeg_create_decompress(&d);
    d.progress = &jpeg.progress;
    jpeg_mem_src(&d, file.data(), static_cast<unsigned long>(file.size()));
    jpeg_read_header(&d, TRUE);
  });
  const int64_t height = d.image_height, width = d.image_width;
  check_size(height, width);
  const bool cmyk = d.jpeg_color_space == JCS_CMYK || d.jpeg_color_space == JCS_YCCK;
  d.out_color_space = cmyk ? JCS_CMYK : JCS_RGB;
  const Charge coefficients(jpeg_has_multiple_scans(&d) ? height * width * 2 * d.num_components : 0);
  Scratch<uint8_t> row(size_t(cmyk ? width * 4 : 0));
  uint8_t* const rgb = make(height, width);
  jpeg.call([&] {
    jpeg_start_decompress(&d);
    while (d.output_scanline < d.output_height) {
      uint8_t* const to = rgb + int64_t(d.output_scanline) * width * 3;
      JSAMPROW samples = cmyk ? row.data() : to;
      jpeg_read_scanlines(&d, &samples, 1);
      // Ink is stored inverted, as Adobe's programs do.
      for (int64_t i = 0; cmyk && i < width * 3; ++i)
        to[i] = to_byte(row[size_t(i / 3 * 4 + i % 3)] * row[size_t(i / 3 * 4 + 3)], 255 * 255);
    }
  });
}

// --- PNG -------------------------------------------------------------------------------------------------------------

struct Png : Guard {
  File rest;
  png_structp png = nullptr;
  png_infop info = nullptr;

  explicit Png(File file) : Guard("PNG"), rest(file) {}
  ~Png() { png_destroy_read_struct(&png, &info, nullptr); }

  void open() {
    png = png_create_read_struct(
        PNG_LIBPNG_VER_STRING, this,
        [](png_structp p, png_const_charp why) { static_cast<Png*>(png_get_error_ptr(p))->stop(why); },
        [](png_structp, png_const_charp) {});
    if (png) info = png_create_info_struct(png);
    if (!info) stop("out of memory");
    png_set_read_fn(png, this, [](png_structp p, png_bytep to, size_t n) {
      File& from = static_cast<Png*>(png_get_io_ptr(p))->rest;
      if (n > from.size()) png_error(p, ends_early.data());
      std::memcpy(to, from.data(), n);
      from = from.subspan(n);
    });
    png_read_info(png, info);
  }
};

void decode_png(File file, const MakePixels& make) {
  Png reader(file);
  reader.call([&] { reader.open(); });
  const int64_t height = png_get_image_height(reader.png, reader.info),
                width = png_get_image_width(reader.png, reader.info);
  check_size(height, width);
  uint8_t* const rgb = make(height, width);
  reader.call([&] {
    png_set_palette_to_rgb(reader.png);
    png_set_expand_gray_1_2_4_to_8(reader.png);
    png_set_scale_16(reader.png);
    png_set_strip_alpha(reader.png);
    png_set_gray_to_rgb(reader.png);
    const int passes = png_set_interlace_handling(reader.png);
    png_read_update_info(reader.png, reader.info);
    if (png_get_rowbytes(reader.png, reader.info) != size_t(width * 3))
      png_error(reader.png, "its pixels are of an unknown kind");
    for (int pass = 0; pass < passes; ++pass)
      for (int64_t y = 0; y < height; ++y) png_read_row(reader.png, rgb + y * width * 3, nullptr);
    png_read_end(reader.png, nullptr);
  });
}

// --- WebP ------------------------------------------------------------------------------------------------------------

void decode_webp(File file, const MakePixels& make) {
  WebPBitstreamFeatures features;
  const VP8StatusCode status = WebPGetFeatures(file.data(), file.size(), &features);
  if (status != VP8_STATUS_OK)
    broken("WebP", status == VP8_STATUS_NOT_ENOUGH_DATA ? ends_early : "its header is damaged");
  require(!features.has_animation, Code::unsupported, "animated WebP pictures are not supported");
  const int64_t height = features.height, width = features.width;
  check_size(height, width);
  const Charge working(height * width * 4);
  if (!WebPDecodeRGBInto(file.data(), file.size(), make(height, width), size_t(height * width * 3), int(width * 3)))
    broken("WebP", "its data are damaged, or end early");
}

// --- TIFF ------------------------------------------------------------------------------------------------------------

struct TiffFile {
  File bytes;
  uint64_t at = 0;
};

tmsize_t read_tiff(thandle_t handle, void* to, tmsize_t n) {
  auto& file = *static_cast<TiffFile*>(handle);
  if (file.at >= file.bytes.size() || n <= 0) return 0;
  const size_t count = std::min(size_t(n), file.bytes.size() - size_t(file.at));
  std::memcpy(to, file.bytes.data() + file.at, count);
  file.at += count;
  return tmsize_t(count);
}
toff_t seek_tiff(thandle_t handle, toff_t offset, int whence) {
  auto& file = *static_cast<TiffFile*>(handle);
  return file.at = offset + (whence == SEEK_CUR ? file.at : whence == SEEK_END ? file.bytes.size() : 0);
}

void decode_tiff(File bytes, const MakePixels& make) {
  TiffFile file{bytes};
  char why[1024] = "its data are damaged";
  const std::unique_ptr<TIFFOpenOptions, void (*)(TIFFOpenOptions*)> options(TIFFOpenOptionsAlloc(),
                                                                             &TIFFOpenOptionsFree);
  if (!options) broken("TIFF", "out of memory");
  TIFFOpenOptionsSetMaxSingleMemAlloc(options.get(), limits::picture_pixels * 4);
  const auto keep = [](TIFF*, void* to, const char*, const char* message, va_list values) {
    return std::vsnprintf(static_cast<char*>(to), sizeof why, message, values), 1;
  };
  TIFFOpenOptionsSetErrorHandlerExtR(options.get(), keep, why);
  TIFFOpenOptionsSetWarningHandlerExtR(
      options.get(), [](TIFF*, void*, const char*, const char*, va_list) { return 1; }, nullptr);
  const std::unique_ptr<TIFF, void (*)(TIFF*)> tiff(
      TIFFClientOpenExt(
          "picture", "rm", &file, read_tiff, [](thandle_t, void*, tmsize_t) { return tmsize_t{0}; }, seek_tiff,
          [](thandle_t) { return 0; },
          [](thandle_t handle) { return toff_t(static_cast<TiffFile*>(handle)->bytes.size()); }, nullptr, nullptr,
          options.get()),
      &TIFFClose);
  if (!tiff) broken("TIFF", why);
  uint32_t width = 0, height = 0;
  TIFFGetField(tiff.get(), TIFFTAG_IMAGEWIDTH, &width);
  TIFFGetField(tiff.get(), TIFFTAG_IMAGELENGTH, &height);
  check_size(height, width);
  char reason[1024] = "";
  require(TIFFRGBAImageOK(tiff.get(), reason), Code::unsupported,
          "this kind of TIFF picture is not supported: ", reason);
  // Colours are multiplied by an alpha that is not said to be in them already.
  uint16_t extra = 0, *kinds = nullptr;
  TIFFGetFieldDefaulted(tiff.get(), TIFFTAG_EXTRASAMPLES, &extra, &kinds);
  if (extra > 0 && kinds[0] == EXTRASAMPLE_UNASSALPHA) {
    Scratch<uint16_t> changed(kinds, kinds + extra);
    changed[0] = EXTRASAMPLE_ASSOCALPHA;
    TIFFSetField(tiff.get(), TIFFTAG_EXTRASAMPLES, extra, changed.data());
  }
  uint16_t orientation = ORIENTATION_TOPLEFT;
  TIFFGetFieldDefaulted(tiff.get(), TIFFTAG_ORIENTATION, &orientation);
  Scratch<uint32_t> raster(size_t(width) * height);
  const Charge working(int64_t(width) * height * 4);
  if (!TIFFReadRGBAImageOriented(tiff.get(), width, height, raster.data(), orientation, 1)) broken("TIFF", why);
  uint8_t* rgb = make(height, width);
  for (const uint32_t pixel : raster) *rgb++ = TIFFGetR(pixel), *rgb++ = TIFFGetG(pixel), *rgb++ = TIFFGetB(pixel);
}

// --- JPEG 2000 -------------------------------------------------------------------------------------------------------

uint64_t big_endian(File from, size_t bytes) {
  uint64_t value = 0;
  for (size_t i = 0; i < bytes; ++i) value = value << 8 | from[i];
  return value;
}

struct Jp2Size {
  int64_t height, width, components;
};
// What the headers say, read before the library allocates by them.
Jp2Size size_of_jp2(File file, bool boxes) {
  const char* const damaged = "its header is damaged";
  int64_t columns_of_palette = 0;
  while (boxes) {  // to the contents of the box that holds the codestream
    if (file.size() < 16) broken("JPEG 2000", ends_early);
    const std::string_view kind(reinterpret_cast<const char*>(file.data()) + 4, 4);
    uint64_t length = big_endian(file, 4), header = 8;
    if (length == 1) length = big_endian(file.subspan(8), 8), header = 16;
    if (length == 0) length = file.size();
    if (length < header) broken("JPEG 2000", damaged);
    if (length > file.size()) broken("JPEG 2000", ends_early);
    boxes = kind != "jp2c";
    if (kind == "pclr" && length > header + 2) columns_of_palette = file[header + 2];
    file = file.subspan(boxes && kind != "jp2h" ? length : header);  // jp2h holds boxes
  }
  if (file.size() < 42) broken("JPEG 2000", ends_early);
  if (big_endian(file, 4) != 0xff4fff51) broken("JPEG 2000", damaged);
  const auto at = [&](size_t offset) { return int64_t(big_endian(file.subspan(offset), 4)); };
  const int64_t right = at(8), bottom = at(12), left = at(16), top = at(20), tile_width = at(24), tile_height = at(28),
                first_x = at(32), first_y = at(36);
  if (left >= right || top >= bottom || tile_width < 1 || tile_height < 1 || first_x > left || first_y > top)
    broken("JPEG 2000", damaged);
  check_size(bottom - top, right - left);
  constexpr int64_t least_bytes = 14;  // of a tile: its header
  const int64_t across = (right - first_x - 1) / tile_width + 1, down = (bottom - first_y - 1) / tile_height + 1;
  if (down > int64_t(file.size()) / least_bytes / across) broken("JPEG 2000", ends_early);
  return {bottom - top, right - left, std::max(columns_of_palette, int64_t(big_endian(file.subspan(40), 2)))};
}

struct MemoryStream {
  File bytes;
  size_t at = 0;

  static MemoryStream& of(void* self) { return *static_cast<MemoryStream*>(self); }
  bool move(int64_t to) {
    if (to < 0 || size_t(to) > bytes.size()) return false;
    at = size_t(to);
    return true;
  }
};

void decode_jp2(File file, OPJ_CODEC_FORMAT format, const MakePixels& make) {
  const Jp2Size size = size_of_jp2(file, format == OPJ_CODEC_JP2);
  require(size.components <= 4, Code::unsupported, "JPEG 2000 pictures of ", size.components,
          " components are not supported");
  const Charge working(size.height * size.width * size.components * 8);
  char why[1024] = "its data are damaged, or end early";
  MemoryStream memory{file};
  const std::unique_ptr<opj_codec_t, void (*)(opj_codec_t*)> codec(opj_create_decompress(format), &opj_destroy_codec);
  const std::unique_ptr<opj_stream_t, void (*)(opj_stream_t*)> stream(opj_stream_create(1 << 16, OPJ_TRUE),
                                                                      [](opj_stream_t* s) { opj_stream_destroy(s); });
  if (!codec || !stream) broken("JPEG 2000", "out of memory");
  opj_set_error_handler(
      codec.get(),
      [](const char* message, void* to) { std::snprintf(static_cast<char*>(to), sizeof why, "%s", message); }, why);
  opj_stream_set_user_data(stream.get(), &memory, nullptr);
  opj_stream_set_user_data_length(stream.get(), file.size());
  opj_stream_set_read_function(stream.get(), [](void* to, OPJ_SIZE_T n, void* self) {
    MemoryStream& from = MemoryStream::of(self);
    n = std::min<OPJ_SIZE_T>(n, from.bytes.size() - from.at);
    if (n == 0) return OPJ_SIZE_T(-1);
    std::memcpy(to, from.bytes.data() + from.at, n);
    from.at += n;
    return n;
  });
  opj_stream_set_skip_function(stream.get(), [](OPJ_OFF_T n, void* self) {
    MemoryStream& from = MemoryStream::of(self);
    return from.move(int64_t(std::min<uint64_t>(from.at + uint64_t(std::max<OPJ_OFF_T>(n, 0)), from.bytes.size())))
               ? n
               : -1;
  });
  opj_stream_set_seek_function(
      stream.get(), [](OPJ_OFF_T to, void* self) { return MemoryStream::of(self).move(to) ? OPJ_TRUE : OPJ_FALSE; });
  opj_dparameters_t parameters;
  opj_set_default_decoder_parameters(&parameters);
  opj_image_t* decoded = nullptr;
  const bool began =
      opj_setup_decoder(codec.get(), &parameters) && opj_read_header(stream.get(), codec.get(), &decoded);
  const std::unique_ptr<opj_image_t, void (*)(opj_image_t*)> image(decoded, &opj_image_destroy);
  if (!began || !opj_decode(codec.get(), stream.get(), decoded) || !opj_end_decompress(codec.get(), stream.get())) {
    const std::string_view text = why;
    broken("JPEG 2000", text.substr(0, text.find_last_not_of('\n') + 1));
  }
  const std::span<const opj_image_comp_t> all(image->comps, image->numcomps);
  for (const opj_image_comp_t& c : all)
    if (!c.data || c.w < 1 || c.h < 1 || c.prec < 1 || c.prec > 31) broken("JPEG 2000", "a component has no samples");
  if (all.empty()) broken("JPEG 2000", "it has no components");
  const bool colour = all.size() >= 3, cmyk = all.size() == 4 && image->color_space == OPJ_CLRSPC_CMYK;
  const bool luma =
      colour && !cmyk &&
      (image->color_space == OPJ_CLRSPC_SYCC || image->color_space == OPJ_CLRSPC_EYCC || all[1].dx > all[0].dx);
  uint8_t* rgb = make(size.height, size.width);
  for (int64_t y = 0; y < size.height; ++y)
    for (int64_t x = 0; x < size.width; ++x, rgb += 3) {
      const auto sample = [&](size_t k) {
        const opj_image_comp_t& c = all[k];
        const int64_t value = c.data[y * c.h / size.height * c.w + x * c.w / size.width];
        return to_byte(value + (c.sgnd ? int64_t{1} << (c.prec - 1) : 0), (int64_t{1} << c.prec) - 1);
      };
      for (size_t k = 0; k < 3; ++k) rgb[k] = sample(colour ? k : 0);
      if (cmyk)
        for (size_t k = 0; k < 3; ++k) rgb[k] = to_byte((255 - rgb[k]) * (255 - sample(3)), 255 * 255);
      if (!luma) continue;
      const double l = rgb[0], b = rgb[1] - 128, r = rgb[2] - 128;
      const auto rounded = [](double v) { return uint8_t(std::clamp(v + 0.5, 0.0, 255.0)); };
      rgb[0] = rounded(l + 1.402 * r), rgb[1] = rounded(l - 0.344136 * b - 0.714136 * r),
      rgb[2] = rounded(l + 1.772 * b);
    }
}

// --- BMP -------------------------------------------------------------------------------------------------------------

void decode_bmp(File file, const MakePixels& make) {
  require(file.size() <= INT_MAX, Code::limit, "a BMP picture of ", file.size(), " bytes is too large");
  if (file.size() < 30) broken("BMP", ends_early);
  int width = 0, lines = 0, channels = 0;  // the first of a negative number of lines is the upper one
  const auto damaged = [] { broken("BMP", stbi_failure_reason() ? stbi_failure_reason() : "its data are damaged"); };
  if (!stbi_info_from_memory(file.data(), int(file.size()), &width, &lines, &channels)) damaged();
  const int64_t height = std::abs(int64_t{lines});
  check_size(height, width);
  // stb reads zeros behind the end of a file.
  const auto number = [&](size_t at, size_t bytes) {
    int64_t value = 0;
    for (size_t i = bytes; i-- > 0;) value = value << 8 | file[at + i];
    return value;
  };
  const int64_t first = number(10, 4), bits = number(number(14, 4) == 12 ? 24 : 28, 2),
                row = (width * bits + 31) / 32 * 4;
  if (first + row * height > int64_t(file.size())) broken("BMP", ends_early);
  const Charge working(width * height * 4);
  const std::unique_ptr<stbi_uc, void (*)(void*)> pixels(
      stbi_load_from_memory(file.data(), int(file.size()), &width, &lines, &channels, 3), &stbi_image_free);
  if (!pixels) damaged();
  std::copy_n(pixels.get(), width * height * 3, make(height, width));
}

// --- PNM: PBM, PGM and PPM, as text (P1 to P3) or as bytes (P4 to P6)
// ---------------------------------------------------

class Pnm {
 public:
  explicit Pnm(File file) : file_(file) {}

  void decode(const MakePixels& make) {
    const int kind = file_[1] - '0';
    at_ = 2;
    const int64_t width = number(), height = number(), most = kind == 1 || kind == 4 ? 1 : number(),
                  samples = kind % 3 ? 1 : 3;
    check_size(height, width);
    if (most < 1 || most > 65535) broken("PNM", "its largest value is out of range");
    if (kind >= 4 && !is_space(next())) broken("PNM", "its header is damaged");
    const int64_t bytes =
        kind == 4 ? (width + 7) / 8 : width * samples * (kind >= 4 && most > 255 ? 2 : 1);  // of a row at least
    if (bytes * height > int64_t(file_.size() - at_)) broken("PNM", ends_early);
    uint8_t* rgb = make(height, width);
    for (int64_t y = 0; y < height; ++y)
      for (int64_t x = 0; x < width; ++x, rgb += 3) {
        for (int64_t k = 0; k < samples; ++k)
          rgb[k] = to_byte(kind == 4 ? bit(x) : kind == 1 ? digit() : kind < 4 ? number() : sample(most > 255), most);
        if (samples == 1) rgb[1] = rgb[2] = rgb[0];
      }
  }

 private:
  static bool is_space(uint8_t c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
  uint8_t next() {
    if (at_ >= file_.size()) broken("PNM", ends_early);
    return file_[at_++];
  }
  uint8_t next_of_text() {  // behind spaces and comments
    for (;;) {
      uint8_t c = next();
      while (c == '#')
        while (c != '\n' && c != '\r') c = next();
      if (!is_space(c)) return c;
    }
  }
  int64_t number() {
    int64_t value = 0;
    for (uint8_t c = next_of_text();; c = next()) {
      if (c < '0' || c > '9' || value > INT32_MAX) broken("PNM", "a number is damaged");
      value = value * 10 + c - '0';
      if (at_ == file_.size() || file_[at_] < '0' || file_[at_] > '9') return value;
    }
  }
  // A one is black.
  int64_t digit() {
    const uint8_t c = next_of_text();
    if (c != '0' && c != '1') broken("PNM", "a bit is damaged");
    return '1' - c;
  }
  int64_t bit(int64_t x) {
    if (x % 8 == 0) byte_ = next();
    return ~byte_ >> (7 - x % 8) & 1;
  }
  int64_t sample(bool wide) {
    const int64_t high = next();
    return wide ? high << 8 | next() : high;
  }

  File file_;
  size_t at_ = 0;
  int byte_ = 0;
};
}  // namespace

bool has_image_decoder() { return true; }

void decode_image(std::span<const std::byte> bytes, const MakePixels& make) {
  using namespace std::string_view_literals;
  const File file(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  const std::string_view start(reinterpret_cast<const char*>(bytes.data()), std::min<size_t>(bytes.size(), 12));
  const auto starts = [&](std::initializer_list<std::string_view> with) {
    return std::ranges::any_of(with, [&](std::string_view s) { return start.starts_with(s); });
  };
  if (starts({"\xff\xd8\xff"sv})) return decode_jpeg(file, make);
  if (starts({"\x89PNG\r\n\x1a\n"sv})) return decode_png(file, make);
  if (starts({"RIFF"sv}) && start.ends_with("WEBP")) return decode_webp(file, make);
  if (starts({"II*\0"sv, "MM\0*"sv, "II+\0"sv, "MM\0+"sv})) return decode_tiff(file, make);
  if (starts({"\xff\x4f\xff\x51"sv})) return decode_jp2(file, OPJ_CODEC_J2K, make);
  if (starts({"\0\0\0\x0cjP  \r\n\x87\n"sv})) return decode_jp2(file, OPJ_CODEC_JP2, make);
  if (starts({"BM"sv})) return decode_bmp(file, make);
  if (start.size() > 2 && start[0] == 'P' && start[1] >= '1' && start[1] <= '6') return Pnm(file).decode(make);
  fail(Code::invalid_argument,
       bytes.empty()
           ? "there is no picture"
           : "the first bytes are of no picture that can be decoded: BMP, JPEG, JPEG 2000, PNG, PNM, TIFF or WebP");
}
}  // namespace engine

#else
namespace engine {
bool has_image_decoder() { return false; }
void decode_image(std::span<const std::byte>, const MakePixels&) {
  fail(Code::unsupported, "this build has no image decoder");
}
}  // namespace engine
#endif
