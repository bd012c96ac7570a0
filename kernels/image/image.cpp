// Rows of the picture are blended into one, that row's columns into the pixels of an output row, and these become
// channels: nothing larger than a row lies between picture and tensor, and each output row is computed by itself.
#include "kernels/image/image.h"
#include <cstddef>
#include <cstring>
#include "kernels/image/axis.h"
#include "kernels/image/functions.h"

namespace kernels::image {
namespace {
using schema::DType;

constexpr int64_t task_bytes = 1 << 15;  // of the picture: fewer are not worth a task
constexpr float luma[3] = {0.299f, 0.587f, 0.114f};
// BT.601, limited range: R, G, B from Y − 16, U − 128, V − 128.
constexpr double y_gain = 255.0 / 219, yuv[3][3] = {{y_gain, 0, 1.402 * 255 / 224},
                                                    {y_gain, -0.344136286 * 255 / 224, -0.714136286 * 255 / 224},
                                                    {y_gain, 1.772 * 255 / 224, 0}};

// Grey comes of an NV12's luma alone.
bool has_chroma(PixelFormat format, Order order) { return format == PixelFormat::nv12 && order != Order::grey; }

Colour colour_of(PixelFormat format, const Preprocess& p, DType dtype) {
  Colour colour{};
  colour.channels = p.channels();
  const bool swapped = format == PixelFormat::bgr || format == PixelFormat::bgra;
  for (int c = 0; c < colour.channels; ++c) {
    const int channel = p.order == Order::bgr ? 2 - c : c;  // counted as R, G, B
    float* row = colour.m[c];
    if (format == PixelFormat::grey) {
      row[0] = 1;
    } else if (format == PixelFormat::nv12) {
      const bool grey = p.order == Order::grey;
      for (int k = 0; k < (grey ? 1 : 3); ++k) row[k] = static_cast<float>(yuv[channel][k]);
      colour.bias[c] = static_cast<float>(-16 * y_gain - (grey ? 0 : 128 * (yuv[channel][1] + yuv[channel][2])));
    } else if (p.order == Order::grey) {
      for (int k = 0; k < 3; ++k) row[k] = luma[swapped ? 2 - k : k];
    } else {
      row[swapped ? 2 - channel : channel] = 1;
    }
    const bool levels = dtype == DType::u8;
    colour.scale[c] = levels ? 1 : static_cast<float>(double{p.scale} / p.std[c]);
    colour.offset[c] = levels ? 0 : static_cast<float>(-double{p.mean[c]} / p.std[c]);
  }
  return colour;
}

Colour filled(Colour colour, float level) {
  std::memset(colour.m, 0, sizeof colour.m);
  for (float& bias : colour.bias) bias = level;
  return colour;
}

// The part of a picture's rows that the columns of an axis are made of.
struct Columns {
  int64_t first, count;
  explicit Columns(const Axis& x) : first(max_extent) {
    int64_t end = 0;
    for (size_t i = 0; i < x.first.size(); ++i)
      first = std::min<int64_t>(first, x.first[i]), end = std::max<int64_t>(end, x.first[i] + x.count[i]);
    count = end - first;
  }
};

struct Plane {
  const uint8_t* data;
  int64_t stride;
  int channels;
  const Axis &x, &y;
  Columns columns;
  int64_t floats() const { return columns.count * channels + spare_floats; }

  // Output row i, its pixels in `to`.
  void blend(const Functions& f, int64_t i, float* row, float* to) const {
    const auto k = static_cast<size_t>(i);
    f.blend_rows(data + y.first[k] * stride + columns.first * channels, stride, y.weights.data() + i * y.stride,
                 y.count[k], columns.count * channels, row);
    const Taps taps{x.first.data(), x.count.data(), x.weights.data(), x.stride, columns.first};
    f.blend_columns(row, channels, taps, static_cast<int64_t>(x.first.size()), to);
  }
};

class Output {
 public:
  Output(const Functions& f, const Tensor& tensor, const Geometry& g)
      : f_(f), tensor_(tensor), width_(g.x.size), plane_(g.x.size * g.y.size) {}

  // `advance`: 0 writes the first pixel again and again.
  void put(const float* pixels, int advance, int64_t n, const Colour& colour, int64_t x, int64_t y) const {
    alignas(64) std::byte block[3 * finish_block * sizeof(float)];
    for (int64_t i = 0; i < n; i += finish_block) {
      const auto count = static_cast<int>(std::min<int64_t>(finish_block, n - i));
      f_.finish(pixels + i * advance, count, colour, tensor_.dtype, block);
      const int64_t at = y * width_ + x + i;
      switch (tensor_.dtype) {
        case DType::f32: scatter<float>(block, count, colour.channels, at); break;
        case DType::f16: scatter<uint16_t>(block, count, colour.channels, at); break;
        default: scatter<uint8_t>(block, count, colour.channels, at); break;
      }
    }
  }

 private:
  template <class T> void scatter(const void* block, int n, int channels, int64_t at) const {
    for (int c = 0; c < channels; ++c) {
      const T* from = static_cast<const T*>(block) + c * finish_block;
      T* to = static_cast<T*>(tensor_.data);
      if (tensor_.channels_last && channels > 1) {
        to += at * channels + c;
        for (int i = 0; i < n; ++i) to[i * channels] = from[i];
      } else {
        std::memcpy(to + c * plane_ + at, from, static_cast<size_t>(n) * sizeof(T));
      }
    }
  }
  const Functions& f_;
  Tensor tensor_;
  int64_t width_, plane_;
};

int64_t uv_stride(const Picture& picture, int64_t stride) {
  const int64_t bytes = (picture.width + 1) / 2 * 2;
  if (picture.uv_stride) return picture.uv_stride;
  return stride < 0 ? std::min(stride, -bytes) : std::max(stride, bytes);
}

void prepare(Scratch& s, const Preprocess& p, const Picture& picture, const Geometry& g, bool chroma) {
  if (s.spec == p && s.width == picture.width && s.height == picture.height && s.chroma == chroma && !s.x.first.empty())
    return;
  s.width = 0;  // of no picture, should memory run out below
  const auto make = [&](Axis& axis, int64_t size, const Span& span, int parts) {
    const double scale = static_cast<double>(size) / static_cast<double>(span.resized);
    make_axis(axis, p.filter, (size + parts - 1) / parts, scale / parts, span.first, span.count);
  };
  make(s.x, picture.width, g.x, 1), make(s.y, picture.height, g.y, 1);
  if (chroma) make(s.chroma_x, picture.width, g.x, 2), make(s.chroma_y, picture.height, g.y, 2);
  s.spec = p, s.width = picture.width, s.height = picture.height, s.chroma = chroma;
}
}  // namespace

void Kernel::run(const Picture& picture, const Preprocess& p, const Tensor& tensor, Scratch& scratch, ThreadPool& pool,
                 int max_threads) const {
  const Functions& f = *functions;
  const Geometry g(p, picture.width, picture.height);
  const bool chroma = has_chroma(picture.format, p.order);
  prepare(scratch, p, picture, g, chroma);
  const int64_t pixel_bytes = bytes_per_pixel(picture.format), bytes = picture.width * pixel_bytes;
  const int64_t stride = picture.stride ? picture.stride : bytes;
  const Plane main{picture.data, stride, static_cast<int>(pixel_bytes), scratch.x, scratch.y, Columns(scratch.x)};
  const uint8_t* behind = picture.uv ? picture.uv : picture.data + stride * picture.height;
  const Plane uv{behind, uv_stride(picture, stride), 2, scratch.chroma_x, scratch.chroma_y, Columns(scratch.chroma_x)};
  const Colour colour = colour_of(picture.format, p, tensor.dtype), fill = filled(colour, p.fill);
  const Output out(f, tensor, g);

  const int64_t row_floats = std::max(main.floats(), chroma ? uv.floats() : 0);
  const int64_t pixels_floats = std::max<int64_t>(g.x.count, finish_block) * pixel_floats + spare_floats;
  const int64_t task_floats = row_floats + pixels_floats;
  const int threads = max_threads > 0 ? std::min(max_threads, pool.size()) : pool.size();
  const int64_t tasks = std::min(
      {g.y.size, threads > 1 ? int64_t{4} * threads : 1, 1 + main.columns.count * picture.height / task_bytes});
  if (scratch.rows.size() < static_cast<size_t>(tasks * task_floats))
    scratch.rows.assign(static_cast<size_t>(tasks * task_floats), 0);
  pool.run(
      tasks,
      [&](int64_t task) {
        float* row = scratch.rows.data() + task * task_floats;
        float* pixels = row + row_floats;
        for (int64_t y = g.y.size * task / tasks; y < g.y.size * (task + 1) / tasks; ++y) {
          const int64_t i = y - g.y.at;
          if (i < 0 || i >= g.y.count) {
            out.put(pixels, 0, g.x.size, fill, 0, y);
            continue;
          }
          if (chroma) uv.blend(f, i, row, pixels + 1);
          main.blend(f, i, row, pixels);
          out.put(pixels, pixel_floats, g.x.count, colour, g.x.at, y);
          const int64_t end = g.x.at + g.x.count;
          out.put(pixels, 0, g.x.at, fill, 0, y), out.put(pixels, 0, g.x.size - end, fill, end, y);
        }
      },
      max_threads);
}

std::span<const Row> rows() {
  static constexpr Row table[] = {
#define KERNEL(name, isa, tile, where) {#name, isa, tile, where::supports, where::make},
#include "kernels/image/kernels.inc"
  };
  return table;
}

Choice select(const Preprocess& p, isa::Mask have) { return choose(rows(), p, have); }
}  // namespace kernels::image
