// Pictures as inputs.
#pragma once
#include "engine/image_spec.h"

namespace tools {
// True for what looks like a picture by its first bytes: PNG, JPEG, BMP, GIF.
bool is_picture(std::span<const std::byte> file);

// Decodes a picture, and makes a tensor of this type of it as the spec says. Without a spec (null), the tensor is the
// picture's pixels as they are: uint8, of 1 or 3 channels and the picture's own size. EXIF's orientation is not
// applied. Throws invalid_argument where the picture is broken or does not become the type.
engine::Object read_picture(std::span<const std::byte> file, const engine::Type&, const engine::ImageSpec*);
}  // namespace tools
