// What may become of a picture, and where its pixels go.
#include <cmath>
#include "kernels/image/axis.h"

namespace kernels::image {
namespace {
bool in_range(int64_t extent) { return extent >= 1 && extent <= max_extent; }
std::string size_text(int64_t width, int64_t height) { return std::to_string(width) + "x" + std::to_string(height); }

// About the centre; of two that are equally near, torchvision's: half of an odd rest is rounded to even.
int64_t centred(int64_t resized, int64_t count) {
  const int64_t rest = resized - count;
  return rest / 2 + (rest % 2 != 0 && rest / 2 % 2 != 0);
}

int64_t in_proportion(int64_t extent, double scale, int64_t most) {
  return std::clamp<int64_t>(static_cast<int64_t>(std::nearbyint(static_cast<double>(extent) * scale)), 1, most);
}
}  // namespace

Geometry::Geometry(const Preprocess& p, int64_t width, int64_t height) {
  const auto whole = [](int64_t n) { return Span{n, 0, n, 0, n}; };
  x = whole(width), y = whole(height);
  if (p.resize == Resize::stretch) {
    x = whole(p.width), y = whole(p.height);
  } else if (p.resize == Resize::shorter) {
    const int64_t shorter = std::min(width, height);
    x = whole(p.width * width / shorter), y = whole(p.width * height / shorter);
  } else if (p.resize == Resize::letterbox) {
    const double scale = std::min(static_cast<double>(p.width) / static_cast<double>(width),
                                  static_cast<double>(p.height) / static_cast<double>(height));
    x = whole(in_proportion(width, scale, p.width)), y = whole(in_proportion(height, scale, p.height));
    x.size = p.width, x.at = (p.width - x.count) / 2;
    y.size = p.height, y.at = (p.height - y.count) / 2;
  }
  if (!p.crop_width) return;
  x.first = centred(x.resized, p.crop_width), y.first = centred(y.resized, p.crop_height);
  x.count = x.size = p.crop_width, y.count = y.size = p.crop_height;
}

Extent output_extent(const Preprocess& p, int64_t width, int64_t height) {
  const Geometry g(p, width, height);
  return {g.x.size, g.y.size};
}

std::string refusal(const Preprocess& p) {
  const auto range = [] { return " is not 1 to " + std::to_string(max_extent); };
  const int64_t height = p.resize == Resize::shorter ? p.width : p.height;
  if (p.resize != Resize::none && (!in_range(p.width) || !in_range(height)))
    return "the size " + size_text(p.width, height) + range();
  const bool crops = p.crop_width || p.crop_height;
  if (crops && (!in_range(p.crop_width) || !in_range(p.crop_height)))
    return "the crop " + size_text(p.crop_width, p.crop_height) + range();
  if (crops && p.resize == Resize::letterbox) return "a letterbox has its size; it is not cropped";
  if (crops && p.resize != Resize::none && (p.crop_width > p.width || p.crop_height > height))
    return "the crop " + size_text(p.crop_width, p.crop_height) + " is larger than the picture resized";
  if (!(p.fill >= 0 && p.fill <= 255)) return "the fill is not a level of 0 to 255";
  if (!std::isfinite(p.scale)) return "the scale is not finite";
  for (int c = 0; c < p.channels(); ++c)
    if (!std::isfinite(p.mean[c]) || !std::isfinite(p.std[c]) || p.std[c] == 0)
      return "a mean or std is not finite, or a std is 0";
  return {};
}

std::string refusal(const Preprocess& p, const Picture& picture) {
  if (std::string reason = refusal(p); !reason.empty()) return reason;
  if (!picture.data) return "the picture has no data";
  const auto size = [&] { return "a picture of " + size_text(picture.width, picture.height) + " pixels"; };
  if (!in_range(picture.width) || !in_range(picture.height))
    return size() + " is not 1 to " + std::to_string(max_extent) + " each way";
  const bool nv12 = picture.format == PixelFormat::nv12;
  const auto unfit = [](int64_t stride, int64_t bytes) {
    return (stride < bytes && stride > -bytes && stride != 0) || stride < -max_stride || stride > max_stride;
  };
  const int64_t bytes = picture.width * bytes_per_pixel(picture.format);
  if (unfit(picture.stride, bytes))
    return size() + " has rows of " + std::to_string(bytes) + " bytes, but a stride of " +
           std::to_string(picture.stride);
  if (nv12 && unfit(picture.uv_stride, (picture.width + 1) / 2 * 2))
    return size() + " has a stride of " + std::to_string(picture.uv_stride) + " for U and V";
  if (nv12 && !picture.uv && picture.stride < 0) return "bottom-up NV12 says where its U and V are";
  const Geometry g(p, picture.width, picture.height);
  if (p.crop_width && (p.crop_width > g.x.resized || p.crop_height > g.y.resized))
    return size() + " is smaller than the crop " + size_text(p.crop_width, p.crop_height);
  if (!in_range(g.x.size) || !in_range(g.y.size) || g.x.size * g.y.size > max_pixels)
    return size() + " would become one of " + size_text(g.x.size, g.y.size) + ", which is too large";
  return {};
}
}  // namespace kernels::image
