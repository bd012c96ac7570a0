#include "tools/picture.h"
#include <climits>
#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_NO_STDIO
#define STBI_NO_HDR
#define STBI_NO_LINEAR
#define STBI_NO_PSD
#define STBI_NO_TGA
#define STBI_NO_PIC
#define STBI_NO_PNM
#define STBI_MAX_DIMENSIONS (1 << 16)
#include <stb/stb_image.h>

namespace tools {
using namespace engine;

bool is_picture(std::span<const std::byte> file) {
  const std::string_view start(reinterpret_cast<const char*>(file.data()), std::min<size_t>(file.size(), 8));
  return start.starts_with("\x89PNG") || start.starts_with("\xff\xd8\xff") || start.starts_with("GIF8") ||
         start.starts_with("BM");
}

Object decode_picture(std::span<const std::byte> file, const Type& wanted) {
  const auto* bytes = reinterpret_cast<const stbi_uc*>(file.data());
  int width = 0, height = 0, own = 0;
  require(file.size() <= INT_MAX && stbi_info_from_memory(bytes, int(file.size()), &width, &height, &own),
          Code::invalid_argument,
          "the picture cannot be decoded: ", stbi_failure_reason() ? stbi_failure_reason() : "it is too large");
  const size_t batch = wanted.rank() == 4 ? 1 : 0;
  const Dim channels = wanted.dims.empty() ? Dim(0) : wanted.dims.back();
  const bool pixels = wanted.is_tensor() && wanted.dtype == DType::u8 && wanted.ranked &&
                      (wanted.rank() == 3 || wanted.rank() == 4) && channels.known() &&
                      (channels.value() == 1 || channels.value() == 3 || channels.value() == 4);
  const auto fits = [&](size_t axis, int64_t extent) {
    return !wanted.dims[axis].known() || wanted.dims[axis].value() == extent;
  };
  require(pixels && (!batch || fits(0, 1)) && fits(batch, height) && fits(batch + 1, width), Code::invalid_argument,
          "a picture of ", width, "x", height, " pixels gives u8[1,", height, ",", width, ",3], but the model wants ",
          to_text(wanted),
          pixels ? ": resize it first" : ": bring it into that form first, and pass it as a .npy file");
  int count = 0;
  const std::unique_ptr<stbi_uc, void (*)(void*)> decoded(
      stbi_load_from_memory(bytes, int(file.size()), &width, &height, &count, int(channels.value())), &stbi_image_free);
  require(decoded != nullptr, Code::invalid_argument,
          "the picture cannot be decoded: ", stbi_failure_reason() ? stbi_failure_reason() : "unknown");
  Shape shape{height, width, channels.value()};
  if (batch) shape.insert(shape.begin(), 1);
  Object object;
  const View view = object.set_tensor(DType::u8, shape);
  std::memcpy(view.data, decoded.get(), size_t(view.bytes()));
  return object;
}
}  // namespace tools
