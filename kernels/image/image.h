// Pictures as tensors: the pixels of a decoder or a camera, resized, cut out, ordered and normalised as a network
// wants them.
#pragma once
#include "kernels/table.h"
#include "kernels/threads.h"
#include "schema/dtypes.h"

namespace kernels::image {
// Bytes of a pixel, in memory order; an alpha is ignored. nv12 is a plane of luma, and one of U, V pairs at half the
// width and height (rounded up), in BT.601 limited range.
enum class PixelFormat : uint8_t { rgb, rgba, bgr, bgra, nv12, grey };

// Of nv12, those of the luma.
constexpr int64_t bytes_per_pixel(PixelFormat f) {
  return f == PixelFormat::rgba || f == PixelFormat::bgra ? 4 : f == PixelFormat::rgb || f == PixelFormat::bgr ? 3 : 1;
}

// The caller's memory. Strides are bytes from row to row; 0: rows follow each other. A negative one is a picture whose
// last row comes first: `data` is still that of the top row.
struct Picture {
  PixelFormat format = PixelFormat::rgb;
  int64_t width = 0, height = 0;
  const uint8_t* data = nullptr;
  int64_t stride = 0;
  const uint8_t* uv = nullptr;  // of nv12; null: right behind the last row of luma
  int64_t uv_stride = 0;        // 0: as the luma's, or what a row needs if that is more
};

using Order = schema::PixelOrder;  // grey: BT.601 luma
enum class Resize : uint8_t {
  none,
  stretch,    // to width × height
  shorter,    // the shorter side to `width`, the other in proportion, rounded down
  letterbox,  // in proportion into width × height, centred; what it does not cover has the colour `fill`
};
enum class Filter : uint8_t {
  bilinear,          // widened by the scale where it shrinks (antialiased), as Pillow and torchvision do
  bicubic,           // a = -0.5, widened likewise
  bilinear_aliased,  // four neighbours at any scale, as OpenCV does
  nearest,
};

// In this order: resize, crop, order, (level × scale − mean) / std per channel, a level being 0 to 255.
struct Preprocess {
  Order order = Order::rgb;
  Resize resize = Resize::none;
  int64_t width = 0, height = 0;
  int64_t crop_width = 0, crop_height = 0;  // about the centre; 0: none
  Filter filter = Filter::bilinear;
  float fill = 114;
  float scale = 1.0f / 255;
  float mean[3] = {0, 0, 0}, std[3] = {1, 1, 1};  // by output channel; the first serves grey
  int channels() const { return order == Order::grey ? 1 : 3; }
  bool operator==(const Preprocess&) const = default;
};

inline constexpr int64_t max_extent = 1 << 16;  // of a picture, and of what becomes of it
inline constexpr int64_t max_pixels = 1 << 28;  // of what becomes of it
inline constexpr int64_t max_stride = int64_t{1} << 32;

// Why no picture, or not this one, can be processed so; empty if it can.
std::string refusal(const Preprocess&);
std::string refusal(const Preprocess&, const Picture&);

struct Extent {
  int64_t width, height;
};
// Of the tensor, for a picture that is not refused.
Extent output_extent(const Preprocess&, int64_t width, int64_t height);

// Dense, one picture: [channels][height][width], or [height][width][channels]. u8 takes levels, rounded to nearest
// even: scale, mean and std do not apply to it.
struct Tensor {
  void* data;
  schema::DType dtype;  // f32, f16 or u8
  bool channels_last;
};

// For each output along an axis, the inputs that it is a weighted sum of.
struct Axis {
  std::vector<int32_t> first, count;
  std::vector<float> weights;
  int64_t stride = 0;  // floats from the weights of one output to the next, a multiple of 4; unused ones are 0
};

// Memory to keep between pictures: for one that is as large as the last, nothing is allocated.
struct Scratch {
  Preprocess spec;
  int64_t width = 0, height = 0;
  bool chroma = false;
  Axis x, y, chroma_x, chroma_y;
  std::vector<float> rows;
};

struct Functions;
struct Kernel {
  const Functions* functions = nullptr;
  explicit operator bool() const { return functions != nullptr; }
  // The picture must not be refused. The same result for any number of threads.
  void run(const Picture&, const Preprocess&, const Tensor&, Scratch&, ThreadPool&, int max_threads = 0) const;
};

using Row = kernels::Row<Preprocess, Kernel>;
using Choice = kernels::Choice<Kernel>;

#define KERNEL(name, isa, tile, where) \
  namespace where { \
  Support supports(const Preprocess&); \
  Kernel make(const Preprocess&); \
  }
#include "kernels/image/kernels.inc"
std::span<const Row> rows();
Choice select(const Preprocess&, isa::Mask have = isa::detected());
}  // namespace kernels::image
