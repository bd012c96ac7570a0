// Pictures as inputs.
#pragma once
#include "engine/tensor.h"

namespace tools {
// True for what looks like a picture by its first bytes: PNG, JPEG, BMP, GIF.
bool is_picture(std::span<const std::byte> file);

// Decodes a picture for an input of this type, which must take it as it is: uint8 pixels [1,H,W,C] or [H,W,C], with 1,
// 3 or 4 channels and the picture's own size. Throws invalid_argument saying what the input takes otherwise.
engine::Object decode_picture(std::span<const std::byte> file, const engine::Type& wanted);
}  // namespace tools
