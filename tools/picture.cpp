#include "tools/picture.h"
#include <climits>
#include <memory>
#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_NO_STDIO
#define STBI_NO_HDR
#define STBI_NO_LINEAR
#define STBI_NO_PSD
#define STBI_NO_TGA
#define STBI_NO_PIC
#define STBI_MAX_DIMENSIONS (1 << 16)
#include <stb/stb_image.h>

namespace tools {
using namespace engine;

bool is_picture(std::span<const std::byte> file) {
  const std::string_view start(reinterpret_cast<const char*>(file.data()), std::min<size_t>(file.size(), 8));
  return start.starts_with("\x89PNG") || start.starts_with("\xff\xd8\xff") || start.starts_with("GIF8") ||
         start.starts_with("BM") || start.starts_with("P5") || start.starts_with("P6");
}

namespace {
[[noreturn]] void broken() {
  const char* reason = stbi_failure_reason();
  fail(Code::invalid_argument, "the picture cannot be decoded: ", reason ? reason : "it is too large");
}

// The spec of an input that takes pixels as they are.
ImageSpec pixels_of(const Type& type) {
  for (const char* text : {"rgb", "grey"}) {
    const ImageSpec spec = parse_image_spec(text);
    if (type.dtype != DType::u8) break;
    try {
      check_image_spec(spec, type);
      return spec;
    } catch (const Error&) {
    }
  }
  fail(Code::invalid_argument, "the model does not say how a picture becomes ", to_text(type),
       "; --image says it, such as --image rgb,resize:224x224");
}
}  // namespace

Object read_picture(std::span<const std::byte> file, const Type& type, const ImageSpec* spec) {
  const auto* bytes = reinterpret_cast<const stbi_uc*>(file.data());
  int width = 0, height = 0, channels = 0;
  if (file.size() > INT_MAX || !stbi_info_from_memory(bytes, int(file.size()), &width, &height, &channels)) broken();
  if (channels == 2) channels = 1;  // grey with alpha
  const ImageSpec pixels = spec ? *spec : pixels_of(type);
  int count = 0;
  const std::unique_ptr<stbi_uc, void (*)(void*)> decoded(
      stbi_load_from_memory(bytes, int(file.size()), &width, &height, &count, channels), &stbi_image_free);
  if (!decoded) broken();
  using kernels::image::PixelFormat;
  const PixelFormat format = channels == 1 ? PixelFormat::grey : channels == 3 ? PixelFormat::rgb : PixelFormat::rgba;
  PictureTensor tensor;
  tensor.make(pixels, type, {format, width, height, decoded.get()}, kernels::ThreadPool::process(), 0);
  return std::move(tensor).take();
}
}  // namespace tools
