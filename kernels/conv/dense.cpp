// Convolution as matrix products over register tiles, for every backend: 1x1 as one gemm over all pixels, others as an
// implicit gemm over (kh, kw, channels), row of pixels by row of pixels. Groups are convolutions side by side.
#include "kernels/conv/packed.h"
#include "kernels/gemm/gemm.h"
#include "kernels/pack.h"
#include "kernels/split.h"
#include "kernels/tile/tile.h"

namespace kernels::conv {
namespace {
constexpr int64_t bytes = sizeof(float);
constexpr int64_t panel_block_bytes = 192 << 10;  // of packed weights, read again for each tile of pixels
constexpr int64_t x_block_bytes = 256 << 10;      // of x, read again for each panel
constexpr int64_t image_part_terms = 48;          // 9x9 taps of three channels become three times as exact

// A 1x1 kernel without padding: a pixel is a row of A. With strides, the pixels that are read are gathered first, so that
// tiles are as tall as for any matrix.
class PixelGemm final : public Conv {
 public:
  PixelGemm(const Spec& spec, const tile::Backend& backend)
      : spec_(spec),
        gathers_(spec.stride_h > 1 || spec.stride_w > 1),
        pitch_(gathers_ ? spec.channels + (spec.channels % 512 == 0 ? 16 : 0) : spec.in_pitch()),
        gemm_(gemm::make(backend,
                         {.n = spec.out_channels, .k = spec.channels, .transposed_b = true, .bias = spec.bias, .epilogue = spec.epilogue,
                          .rows = spec.rows * spec.out_width(), .multiple = spec.by_rows ? spec.out_width() : 0, .precision = backend.precision, .kept = spec.kept},
                         pitch_)) {}
  bool ok() const { return gemm_ != nullptr; }

  size_t packed_bytes() const override { return gemm_->packed_bytes(); }
  void pack(const float* w, void* to) const override { gemm_->pack_b(w, spec_.channels, to); }
  bool takes_rows() const override { return !gathers_; }
  size_t scratch_bytes(int64_t batch, int64_t height) const override {
    return gathers_ ? static_cast<size_t>(batch * spec_.out_height(height) * spec_.out_width() * pitch_ * bytes) : 0;
  }
  void run(const Args& args, ThreadPool& pool, int max_threads) const override {
    const int64_t rows = args.rows < 0 ? args.batch * spec_.out_height(args.height) : args.rows;
    gemm_->run({.a = gathers_ ? gather(args, rows, pool, max_threads)
                              : pointwise::advance(args.x, (args.first_row - args.x_row) * spec_.width * spec_.in_pitch(), spec_.kept.x),
                .lda = pitch_,
                .b = args.w,
                .c = args.y,
                .ldc = spec_.out_pitch(),
                .bias = args.bias,
                .operands = args.operands,
                .m = rows * spec_.out_width()},
               pool, max_threads);
  }

 private:
  const float* gather(const Args& args, int64_t rows, ThreadPool& pool, int max_threads) const {
    const int64_t out_height = spec_.out_height(args.height), out_width = spec_.out_width();
    auto* to = static_cast<float*>(args.scratch);
    pool.run(
        rows,
        [&](int64_t row) {
          const int64_t y = row / out_height * args.height + row % out_height * spec_.stride_h;
          for (int64_t x = 0; x < out_width; ++x)
            std::copy_n(args.x + (y * spec_.width + x * spec_.stride_w) * spec_.in_pitch(), spec_.channels,
                        to + (row * out_width + x) * pitch_);
        },
        max_threads);
    return to;
  }

  Spec spec_;
  bool gathers_;
  int64_t pitch_;  // floats from row to row of A: where that can be chosen, rows do not share a set of the cache
  gemm::Kernel gemm_;
};

class ImplicitGemm final : public Conv {
 public:
  ImplicitGemm(const tile::Backend& backend, const Spec& spec)
      : s_(spec),
        in_(spec.channels / spec.groups),
        out_(spec.out_channels / spec.groups),
        pixel_(spec.nchw_input ? 1 : spec.in_pitch()),
        panels_(backend, out_, spec.stride_w * pixel_ * bytes, spec.out_width()),
        k_(blocks()),
        parts_(parts()),
        epilogue_(backend, spec.epilogue) {
    for (int last = panels_.count == 1; last < 2; ++last) ok_ = ok_ && plan_row(backend, last);
  }
  bool ok() const { return ok_; }

  size_t packed_bytes() const override { return static_cast<size_t>(s_.groups * group_floats() * bytes); }

  // [group][panel][block of channels][kh][kw][channel][column]
  void pack(const float* w, void* packed) const override {
    auto* to = static_cast<float*>(packed);
    const int64_t taps = this->taps(), terms = in_ * taps;
    for (int64_t g = 0; g < s_.groups; ++g)
      for (int p = 0; p < panels_.count; ++p) {
        const int64_t width = panels_.width(p), column = panels_.column(p);
        pack_columns(w + (g * out_ + column) * terms, terms, std::min(width, out_ - column), width, terms, [&](int64_t term) {
          const int64_t k = term / taps, i = k / k_.block;
          return to + (k_.begin(static_cast<int>(i)) * taps + term % taps * k_.size(static_cast<int>(i)) + k % k_.block) * width;
        });
        to += terms * width;
      }
  }

  void run(const Args& args, ThreadPool& pool, int max_threads) const override {
    const int64_t rows = args.rows < 0 ? args.batch * s_.out_height(args.height) : args.rows;
    if (rows <= 0 || s_.out_width() <= 0) return;
    const int64_t row_bytes = s_.width * (s_.nchw_input ? s_.channels : k_.block) * bytes * s_.stride_h;
    const int64_t pieces = this->pieces(rows, row_bytes, threads_of(pool, max_threads));
    const int64_t most = std::max<int64_t>(1, x_block_bytes * pieces / row_bytes);
    // A block of columns is a panel of a group.
    Divisible step{.rows = rows * pieces, .blocks = panels_.count * s_.groups, .least = divide_up(rows * pieces, most)};
    step.for_rows = rows * (s_.width * s_.channels * s_.stride_h + s_.out_width() * s_.out_channels) * bytes;
    step.for_blocks = s_.out_channels * in_ * taps() * bytes;
    step.work = rows * s_.out_width() * s_.out_channels * in_ * taps() + 4 * (step.for_rows + step.for_blocks);
    run_divided(pool, max_threads, step, [&](int64_t row0, int64_t row1, int64_t first, int64_t last) {
      for (int64_t g = first / panels_.count; g * panels_.count < last; ++g) {
        const int64_t begin = g * panels_.count;
        block(args, g, pieces, row0, row1, static_cast<int>(std::max(first - begin, int64_t{0})), static_cast<int>(std::min<int64_t>(last - begin, panels_.count)));
      }
    });
  }

 private:
  // Neighbouring tiles along a row of y that share code; `by_place` of the reduction.
  struct Segment {
    int64_t pixel;  // the first one
    int rows;       // pixels of a tile
    int64_t first, tiles;
    tile::Tile by_place[4];
  };

  int64_t taps() const { return static_cast<int64_t>(s_.kernel_h) * s_.kernel_w; }
  int64_t group_floats() const { return panels_.padded() * in_ * taps(); }

  tile::KBlocks blocks() const {
    if (s_.nchw_input) return {in_, in_};
    const int64_t limit = panel_block_bytes / (taps() * panels_.vectors * panels_.lanes * bytes) / 16 * 16;
    return tile::KBlocks::even(in_, std::clamp<int64_t>(limit, 32, tile::max_tap_k));
  }

  // How many a row of pixels is cut into, by tiles: where it is more than the cache should hold, or there are too few rows
  // for the threads.
  int64_t pieces(int64_t rows, int64_t row_bytes, int64_t threads) const {
    constexpr int64_t least_tiles = 4, shared_by = 4;  // tasks per thread that can be evened out
    const int64_t tiles = segments_[1].back().first + segments_[1].back().tiles;
    const int64_t wanted = std::max(divide_up(row_bytes, x_block_bytes), threads > 1 ? divide_up(shared_by * threads, rows) : 1);
    return epilogue_.pass ? 1 : std::clamp<int64_t>(wanted, 1, std::max<int64_t>(1, tiles / least_tiles));
  }

  // How many parts the rows of the kernel are summed in.
  int parts() const {
    if (!s_.long_sum_of_image()) return 1;
    const int64_t rows = std::max<int64_t>(1, image_part_terms / (s_.kernel_w * in_));
    return static_cast<int>((s_.kernel_h + rows - 1) / rows);
  }
  // A column of the kernel begins in x where the one before ends.
  bool taps_join() const { return !s_.nchw_input && k_.count() == 1 && s_.dilation_w * pixel_ == in_; }
  int sums() const { return k_.count() * parts_; }

  bool plan_row(const tile::Backend& backend, bool last) {
    tile::Shape shape;
    shape.vectors = last ? panels_.last_vectors : panels_.vectors;
    shape.tail = last ? panels_.tail : 0;
    shape.strided = s_.nchw_input;
    const tile::RowSplit split(s_.out_width(), backend.max_rows[shape.vectors]);
    std::vector<Segment>& segments = segments_[last];
    std::vector<tile::Tap> previous;
    int64_t pixel = 0;
    for (int64_t i = 0; i < split.larger + split.smaller; ++i, pixel += shape.rows) {
      const int rows = i < split.larger ? split.rows : split.rows - 1;
      std::vector<tile::Tap> taps;
      for (int kw = 0; kw < s_.kernel_w; ++kw) {
        const tile::Tap next = tap(kw, pixel, rows);
        const auto joins = [&](const tile::Tap& t) {
          return t.first == next.first && t.last == next.last && ((t.first == 0 && t.last >= rows) || (t.count + 1) * in_ <= tile::max_tap_k);
        };
        if (taps_join() && !taps.empty() && joins(taps.back())) ++taps.back().count;
        else taps.push_back(next);
      }
      if (!segments.empty() && taps == previous && rows == shape.rows) {
        ++segments.back().tiles;
        continue;
      }
      shape.rows = rows;
      shape.taps = previous = taps;
      Segment segment{pixel, rows, i, 1, {}};
      for (int b = 0; b < sums(); ++b) {
        const tile::Place place = tile::place(b, sums());
        tile::Tile& tile = segment.by_place[static_cast<int>(place)];
        if (tile) continue;
        set_place(shape, place, s_.bias, epilogue_.in_tile);
        if (!(tile = backend.make(shape))) return false;
      }
      segments.push_back(std::move(segment));
    }
    return true;
  }

  // The pixels of a tile for which this column of the kernel lies inside x.
  tile::Tap tap(int kw, int64_t pixel, int rows) const {
    const int64_t origin = pixel * s_.stride_w - s_.pad_left + static_cast<int64_t>(kw) * s_.dilation_w;
    int first = 0, last = rows;
    while (first < rows && origin + static_cast<int64_t>(first) * s_.stride_w < 0) ++first;
    while (last > first && origin + static_cast<int64_t>(last - 1) * s_.stride_w >= s_.width) --last;
    return {static_cast<int64_t>(kw) * s_.dilation_w * pixel_ * bytes, first, last};
  }

  // Pieces [begin, end) of rows, each row being so many.
  void block(const Args& args, int64_t g, int64_t pieces, int64_t begin, int64_t end, int first, int last) const {
    const int64_t oh_count = s_.out_height(args.height), ow_count = s_.out_width();
    const int64_t x_row = s_.width * pixel_, plane = args.height * s_.width;
    const auto* w = static_cast<const float*>(args.w) + g * group_floats();
    const auto packed = [&](int i, int p) {
      return w + panels_.column(p) * in_ * taps() + k_.begin(i) * taps() * panels_.width(p);
    };
    for (int sum = 0; sum < sums() && begin < end; ++sum) {
      const int i = sum / parts_, part = sum % parts_, place = static_cast<int>(tile::place(sum, sums()));
      const int64_t part0 = s_.kernel_h * part / parts_, part1 = s_.kernel_h * (part + 1) / parts_;
      for (int p = first; p < last; ++p) {
        const int64_t column = g * out_ + panels_.column(p), width = panels_.width(p);
        const float* panel = packed(i, p);
        const int next_sum = p + 1 < last ? sum : sum + 1, next_p = p + 1 < last ? p + 1 : first;
        const float* next = next_sum < sums() ? packed(next_sum / parts_, next_p) : nullptr;
        const float* next_end = next ? next + k_.size(next_sum / parts_) * taps() * panels_.width(next_p) : nullptr;
        const std::vector<Segment>& segments = segments_[p == panels_.count - 1];
        const int64_t tiles = segments.back().first + segments.back().tiles;
        for (int64_t piece = begin; piece < end; ++piece) {
          const int64_t row = piece / pieces, tile0 = tiles * (piece % pieces) / pieces, tile1 = tiles * (piece % pieces + 1) / pieces;
          const int64_t at = args.first_row + row, image = at / oh_count, top = at % oh_count * s_.stride_h - s_.pad_top;
          // The rows of the kernel, in this part, that lie inside x.
          const int64_t d = s_.dilation_h, kh0 = std::max(part0, top < 0 ? (-top + d - 1) / d : 0);
          const int64_t kh1 = top >= args.height ? 0 : std::min(part1, (args.height - 1 - top) / d + 1);
          const int64_t inside = std::max<int64_t>(0, kh1 - kh0);
          tile::Args t{};
          t.bias = args.bias ? args.bias + column : nullptr;
          t.lda = s_.stride_w * pixel_ * bytes;
          t.ldc = s_.out_pitch() * bytes;
          t.k_step = plane * bytes;
          t.outer_step = d * x_row * bytes;
          t.k = k_.size(i);
          t.outer = inside;
          t.prefetch = next;
          t.prefetch_end = next_end;
          t.b = panel + (inside ? kh0 * s_.kernel_w * t.k * width : 0);
          const int64_t channel = g * in_ + k_.begin(i);
          const int64_t x = image * args.height * x_row * (s_.nchw_input ? s_.channels : 1) +
                            (inside ? top + kh0 * d - args.x_row : 0) * x_row + channel * (s_.nchw_input ? plane : 1);
          float* y = args.y + row * ow_count * s_.out_pitch() + column;
          const auto pixel = [&](const Segment& segment) { return segment.pixel + std::max<int64_t>(0, tile0 - segment.first) * segment.rows; };
          auto segment = segments.begin();
          while (segment->first + segment->tiles <= tile0) ++segment;
          pointwise::Cursors cursors(epilogue_.in_tile, args.operands, row * ow_count + pixel(*segment), column);
          t.cursors = cursors.at.data();
          for (; segment != segments.end() && segment->first < tile1; ++segment) {
            t.a = args.x + x + (pixel(*segment) * s_.stride_w - s_.pad_left) * pixel_;
            t.c = y + pixel(*segment) * s_.out_pitch();
            t.tiles = std::min(tile1, segment->first + segment->tiles) - std::max(tile0, segment->first);
            t.shape = segment->by_place[place].shape.get();
            segment->by_place[place].function(&t);
          }
          next = t.prefetch;
        }
      }
    }
    if (!epilogue_.pass || begin >= end) return;  // pieces are rows
    const int64_t c0 = g * out_ + panels_.column(first);
    const int64_t c1 = g * out_ + (last == panels_.count ? out_ : panels_.column(last));
    const pointwise::Operands operands = pointwise::offset(s_.epilogue, args.operands, begin * ow_count, c0);
    float* y = args.y + begin * ow_count * s_.out_pitch() + c0;
    epilogue_.pass.run({y, s_.out_pitch(), y, s_.out_pitch(), operands.data(), (end - begin) * ow_count, c1 - c0});
  }

  Spec s_;
  int64_t in_, out_;  // channels of a group
  int64_t pixel_;     // floats from pixel to pixel of x
  tile::Panels panels_;
  tile::KBlocks k_;
  int parts_;
  tile::Epilogue epilogue_;
  std::vector<Segment> segments_[2];  // by whether the panel is the last
  bool ok_ = true;
};

Support supports_dense(const tile::Backend& backend, const Spec& spec) {
  if (std::string reason = invalid(spec, backend.pack_halves); !reason.empty()) return {0, reason};
  if (std::string reason = tile::refusal(backend, spec.precision); !reason.empty()) return {0, reason};
  if (spec.nchw_input && spec.kept.x != schema::DType::f32) return {0, "planes are in f32"};
  if (spec.nchw_input && spec.channels / spec.groups > tile::max_tap_k) return {0, "too many planes"};
  if (backend.narrow && (spec.groups != 1 || spec.long_sum_of_image())) return {0, spec.groups != 1 ? "in groups" : "a long sum of an image"};
  return {tile::cost(backend, spec.out_channels / spec.groups), {}};
}

Kernel make_dense(const tile::Backend& backend, const Spec& s) {
  const bool strided = s.stride_h > 1 || s.stride_w > 1;
  if (s.kernel_h == 1 && s.kernel_w == 1 && s.groups == 1 && !s.nchw_input &&
      !(strided && (s.by_rows || backend.pack)) && s.pad_top + s.pad_left + s.pad_bottom + s.pad_right == 0) {
    auto conv = std::make_shared<const PixelGemm>(s, backend);
    return conv->ok() ? conv : nullptr;
  }
  if (Kernel conv = make_packed(backend, s)) return conv;
  auto conv = std::make_shared<const ImplicitGemm>(backend, s);
  return conv->ok() ? conv : nullptr;
}
}  // namespace

#define KERNEL(name, isa, backend) \
  namespace dense_##backend { \
    Support supports(const Spec& spec) { return supports_dense(tile::backend, spec); } \
    Kernel make(const Spec& spec) { return make_dense(tile::backend, spec); } \
  }
#include "kernels/tile/backends.inc"
}  // namespace kernels::conv
