// Pictures in files: BMP, JPEG, JPEG 2000, PNG, PNM (PBM, PGM, PPM), TIFF and WebP, told apart by their first bytes.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

namespace engine {
// False where the build has no decoders (INLAY_IMAGE_DECODER=OFF).
bool has_image_decoder();

// Gives room for height * width * 3 bytes.
using MakePixels = std::function<uint8_t*(int64_t height, int64_t width)>;

// Decodes a file to rows of pixels as they are stored, from the first row on: red, green and blue of 8 bits each. Other
// depths are scaled; grey and palettes become RGB, and so do CMYK and luma with chroma; alpha is left out; no
// orientation (EXIF's, TIFF's) and no colour profile or gamma is applied. Of several pictures in a TIFF the first
// counts. `make` is called once, when the size is known. Throws invalid_argument for what is no such file, or is
// damaged or truncated; unsupported for what a format may hold and is not decoded, such as an animation; limit for more
// than limits::picture_pixels.
void decode_image(std::span<const std::byte> file, const MakePixels& make);
}  // namespace engine
