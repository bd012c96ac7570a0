// Winograd convolution, for every backend: tiles of x are transformed, (m+2)² matrix products reduce over the channels,
// and their results are transformed into tiles of y. A block of tiles at a time, so that what lies between stays in the
// second-level cache; the weights of a block's products are read once. A dilated kernel sees, from each pixel, only every
// so many rows and columns: tiles are made of those.
#include "kernels/conv/winograd.h"
#include <cmath>
#include "kernels/gemm/gemm.h"
#include "kernels/pack.h"
#include "kernels/split.h"

namespace kernels::conv {
namespace {
constexpr int64_t bytes = sizeof(float);
constexpr int64_t block_bytes = 400 << 10;    // of transformed tiles, before and after the products
constexpr int64_t most_tiles = 112;           // of a block
constexpr int64_t large_weights = 96 << 10;   // channels in × out: beyond, weights are read for as many tiles as may be

// G: what a 3-vector of weights becomes. F(2×2) has the points 0, ±1 and ∞. F(4×4) has 0, ±√½, ±√2 and ∞, whose powers stay
// near 1: the error is half of that with the usual 0, ±1, ±2 and ∞, and the largest one a quarter (after Barabasz,
// Anderson, Soodhalter and Gregg, "Error Analysis and Improving the Accuracy of Winograd Convolution for DNNs", 2020).
constexpr double p = 0.70710678118654752, q = 2 * p;
constexpr double g2[4][3] = {{1, 0, 0}, {.5, .5, .5}, {.5, -.5, .5}, {0, 0, 1}};
constexpr double g4[6][3] = {{1, 0, 0},
                             {-2. / 3, -2 * p / 3, -1. / 3},
                             {-2. / 3, 2 * p / 3, -1. / 3},
                             {1. / 6, q / 6, 1. / 3},
                             {1. / 6, -q / 6, 1. / 3},
                             {0, 0, 1}};

// Rows a multiple of 1 KiB apart would share sets of the first-level cache.
int64_t row_pitch(int64_t channels) { return channels % 256 ? channels : channels + 16; }

class Winograd final : public Conv {
 public:
  Winograd(const tile::Backend& backend, const Spec& spec, int m, const WinogradTransforms& transforms, isa::Mask target)
      : s_(spec),
        m_(m),
        n_(m + 2),
        planes_(n_ * n_),
        input_(transforms.input[m == 4]),
        output_(transforms.output[m == 4]),
        kept_{.x = spec.kept.x, .y = spec.kept.y},
        v_pitch_(row_pitch(spec.channels)),
        m_pitch_(row_pitch(spec.out_channels)),
        element_(backend.element()),
        narrow_(backend.narrow),
        gemm_(gemm::make(backend, {.n = spec.out_channels, .k = spec.channels, .transposed_b = true, .precision = backend.precision, .kept = kept_}, v_pitch_)) {
    pointwise::KeptTypes of_pass = spec.kept;
    of_pass.x = spec.kept.y;
    if (!spec.epilogue.empty() && !transforms.applies) pass_ = pointwise::select(spec.epilogue, target, of_pass).kernel;
    const int64_t fit = block_bytes / (planes_ * tile_bytes()) / 14 * 14;
    tiles_ = spec.channels * spec.out_channels >= large_weights ? most_tiles : std::clamp<int64_t>(fit, 28, most_tiles);
  }
  bool ok() const { return gemm_ != nullptr; }
  bool takes_rows() const override { return false; }

  // A packed B for each of the (m+2)² transformed pixels.
  size_t packed_bytes() const override { return static_cast<size_t>(planes_ * plane_bytes()); }
  void pack(const float* w, void* packed) const override {
    std::vector<float> wide(narrow_ ? packed_bytes() / static_cast<size_t>(element_) : 0);
    float* to = narrow_ ? wide.data() : static_cast<float*>(packed);
    m_ == 4 ? pack_filters<6>(g4, w, to) : pack_filters<4>(g2, w, to);
    if (narrow_) narrow_(packed, to, std::ssize(wide));
  }

  size_t scratch_bytes(int64_t batch, int64_t height) const override {
    const Grid grid(*this, batch, height);
    const int64_t blocks = (grid.tiles + tiles_ - 1) / tiles_;
    return static_cast<size_t>(std::min(blocks, slots_.count()) * slot_bytes(std::min(grid.tiles, tiles_)));
  }

  void run(const Args& args, ThreadPool& pool, int max_threads) const override {
    const Grid grid(*this, args.batch, args.height);
    if (grid.tiles <= 0) return;
    const int64_t all = threads_of(pool, max_threads);
    int64_t blocks = (grid.tiles + tiles_ - 1) / tiles_;
    if (blocks == 1) {  // its stages, each divided
      const int64_t parts = all > 1 ? std::min(grid.tiles, 4 * all) : 1, n = grid.tiles;
      const auto divided = [&](const auto& stage) {
        pool.run(parts, [&](int64_t p) { stage(n * p / parts, n * (p + 1) / parts); }, max_threads);
      };
      const Slot slot = this->slot(args, 0, n);
      divided([&](int64_t t0, int64_t t1) { inputs(args, grid, slot, 0, t0, t1); });
      pool.run(planes_, [&](int64_t plane) { product(args, slot, plane, n, pool); }, max_threads);
      divided([&](int64_t t0, int64_t t1) { outputs(args, grid, slot, 0, t0, t1); });
      return;
    }
    blocks = std::max(blocks, std::min(grid.tiles, round_up(blocks, std::min(all, slots_.count()))));
    const int64_t room = std::min(grid.tiles, tiles_);  // of a slot
    slots_.run(pool, max_threads, blocks, [&](int64_t b, int64_t index) {
      const Slot slot = this->slot(args, index, room);
      const int64_t t0 = grid.tiles * b / blocks, t1 = grid.tiles * (b + 1) / blocks;
      inputs(args, grid, slot, t0, t0, t1);
      for (int64_t plane = 0; plane < planes_; ++plane) product(args, slot, plane, t1 - t0, pool);
      outputs(args, grid, slot, t0, t0, t1);
    });
  }

 private:
  // The tiles of y: image by image, phase by phase (the first rows and columns that a dilated kernel can start from), row
  // by row.
  struct Grid {
    int64_t out_height, out_width, down, across, tiles;
    Grid(const Winograd& w, int64_t batch, int64_t height)
        : out_height(w.s_.out_height(height)),
          out_width(w.s_.out_width()),
          down(divide_up(out_height, w.s_.dilation_h * w.m_)),
          across(divide_up(out_width, w.s_.dilation_w * w.m_)),
          tiles(batch * w.s_.dilation_h * w.s_.dilation_w * down * across) {}
  };
  // The tile's place: the first pixel of y, and how many rows and columns of it, all in the image.
  struct At {
    int64_t image, row, column, rows, columns;
  };
  At at(const Grid& grid, int64_t tile) const {
    const int64_t sub_image = tile / (grid.down * grid.across), dh = s_.dilation_h, dw = s_.dilation_w;
    const int64_t phase_h = sub_image / dw % dh, phase_w = sub_image % dw;
    At at{sub_image / (dh * dw), tile / grid.across % grid.down * m_ * dh + phase_h, tile % grid.across * m_ * dw + phase_w, 0, 0};
    at.rows = std::clamp<int64_t>(divide_up(grid.out_height - at.row, dh), 0, m_);
    at.columns = std::clamp<int64_t>(divide_up(grid.out_width - at.column, dw), 0, m_);
    return at;
  }
  // Where a block's transformed tiles lie, `room` of them per plane: before the products as x is kept, and behind them as y.
  struct Slot {
    float *v, *m;
    int64_t room;
  };

  // G·w·Gᵀ, for as many filters at a time as lie side by side in a packed B.
  template <int n> void pack_filters(const double (&g)[n][3], const float* w, float* packed) const {
    constexpr int64_t side = 4, most = 64;  // channels at once
    const int64_t terms = 9 * s_.channels, plane = plane_bytes() / element_;
    float taps[most * 9][side];
    for (int64_t c0 = 0; c0 < s_.channels; c0 += most)
      for (int64_t column = 0; column < s_.out_channels; column += side) {
        const int64_t count = std::min(most, s_.channels - c0);
        pack_columns(w + column * terms + 9 * c0, terms, std::min(side, s_.out_channels - column), side, 9 * count, [&](int64_t term) { return taps[term]; });
        const gemm::Gemm::Panel panel = gemm_->panel(column);
        for (int64_t c = 0; c < count; ++c) {
          double half[n][3][side];
          for (int i = 0; i < n; ++i)
            for (int tap = 0; tap < 3; ++tap)
              for (int64_t f = 0; f < side; ++f)
                half[i][tap][f] = g[i][0] * taps[c * 9 + tap][f] + g[i][1] * taps[c * 9 + 3 + tap][f] + g[i][2] * taps[c * 9 + 6 + tap][f];
          float* to = packed + panel.first + (c0 + c) * panel.step;
          for (int i = 0; i < n; ++i)
            for (int j = 0; j < n; ++j, to += plane)
              for (int64_t f = 0; f < side; ++f) to[f] = static_cast<float>(g[j][0] * half[i][0][f] + g[j][1] * half[i][1][f] + g[j][2] * half[i][2][f]);
        }
      }
  }

  int64_t plane_bytes() const { return round_up(static_cast<int64_t>(gemm_->packed_bytes()), 64); }
  int64_t tile_bytes() const { return v_pitch_ * pointwise::bytes_of(kept_.x) + m_pitch_ * pointwise::bytes_of(kept_.y); }
  int64_t slot_bytes(int64_t room) const { return planes_ * round_up(room, 16) * tile_bytes(); }
  template <class T> T* at_x(T* from, int64_t elements) const { return pointwise::advance(from, elements, kept_.x); }
  template <class T> T* at_y(T* from, int64_t elements) const { return pointwise::advance(from, elements, kept_.y); }
  Slot slot(const Args& args, int64_t index, int64_t room) const {
    auto* v = reinterpret_cast<float*>(static_cast<std::byte*>(args.scratch) + index * slot_bytes(room));
    room = round_up(room, 16);
    return {v, at_x(v, planes_ * room * v_pitch_), room};
  }

  // Of the block whose first tile is `first`: tiles [t0, t1).
  void inputs(const Args& args, const Grid& grid, const Slot& slot, int64_t first, int64_t t0, int64_t t1) const {
    WinogradInput t;
    const int64_t row = s_.width * s_.in_pitch();
    t.x_pixel = s_.dilation_w * s_.in_pitch(), t.x_row = s_.dilation_h * row, t.channels = s_.channels;
    t.step = slot.room * v_pitch_;
    for (int64_t i = t0; i < t1; ++i) {
      const At at = this->at(grid, i);
      const int64_t top = at.row - s_.pad_top, left = at.column - s_.pad_left;
      const auto inside = [&](int64_t first, int64_t extent, int64_t step, int& from, int& to) {
        from = static_cast<int>(std::clamp<int64_t>(divide_up(-first, step), 0, n_));
        to = static_cast<int>(std::clamp<int64_t>(divide_up(extent - first, step), 0, n_));
      };
      inside(top, args.height, s_.dilation_h, t.row0, t.row1), inside(left, s_.width, s_.dilation_w, t.col0, t.col1);
      t.x = at_x(args.x, (at.image * args.height + top) * row + left * s_.in_pitch());
      t.v = at_x(slot.v, (i - first) * v_pitch_);
      input_(t);
    }
  }

  void product(const Args& args, const Slot& slot, int64_t plane, int64_t tiles, ThreadPool& pool) const {
    const auto* w = static_cast<const std::byte*>(args.w) + plane * plane_bytes();
    gemm_->run({.a = at_x(slot.v, plane * slot.room * v_pitch_),
                .lda = v_pitch_,
                .b = w,
                .c = at_y(slot.m, plane * slot.room * m_pitch_),
                .ldc = m_pitch_,
                .m = tiles,
                .next = plane + 1 < planes_ ? w + plane_bytes() : nullptr},
               pool, 1);
  }

  void outputs(const Args& args, const Grid& grid, const Slot& slot, int64_t first, int64_t t0, int64_t t1) const {
    WinogradOutput t;
    const int64_t pitch = s_.out_pitch();
    t.step = slot.room * m_pitch_;
    t.bias = s_.bias ? args.bias : nullptr;
    if (!pass_) t.epilogue = {s_.epilogue.begin(), s_.epilogue.end()};
    t.row_pixels = s_.dilation_h * grid.out_width, t.next_pixel = s_.dilation_w;
    t.y_pixel = s_.dilation_w * pitch, t.y_row = s_.dilation_h * grid.out_width * pitch, t.channels = s_.out_channels;
    while (t0 < t1) {  // the tiles of one row of tiles
      const At at = this->at(grid, t0);
      const int64_t end = std::min(t1, t0 + grid.across - t0 % grid.across);
      const int64_t pixel = (at.image * grid.out_height + at.row) * grid.out_width + at.column;
      t.rows = static_cast<int>(at.rows);
      int64_t columns = 0;
      for (; t0 < end; ++t0) {
        t.m = at_y(slot.m, (t0 - first) * m_pitch_);
        t.y = at_y(args.y, pixel * pitch + columns * t.y_pixel);
        t.cols = static_cast<int>(this->at(grid, t0).columns);
        const pointwise::Cursors cursors(s_.epilogue, args.operands, pixel + columns * s_.dilation_w, 0, s_.kept);
        t.cursors = cursors.at.data();
        output_(t);
        columns += t.cols;
      }
      if (!pass_) continue;
      for (int i = 0; i < t.rows; ++i) {
        const int64_t start = pixel + i * s_.dilation_h * grid.out_width;
        pointwise::Operands operands = pointwise::offset(s_.epilogue, args.operands, start, 0, s_.kept);
        for (pointwise::Operand& operand : operands) operand.stride *= s_.dilation_w;
        float* y = at_y(args.y, start * pitch);
        pass_.run({y, t.y_pixel, y, t.y_pixel, operands.data(), columns, s_.out_channels});
      }
    }
  }

  Spec s_;
  int m_, n_;
  int64_t planes_;
  void (*input_)(const WinogradInput&);
  void (*output_)(const WinogradOutput&);
  pointwise::KeptTypes kept_;  // of x and y
  int64_t v_pitch_, m_pitch_;
  int64_t element_;  // bytes of a packed weight
  void (*narrow_)(void*, const float*, int64_t);
  gemm::Kernel gemm_;
  pointwise::Kernel pass_;
  Slots slots_;
  int64_t tiles_ = 0;  // of a block, at most
};
}  // namespace

Support supports_winograd(const tile::Backend& backend, const Spec& s, int m) {
  if (std::string reason = invalid(s, backend.pack_halves); !reason.empty()) return {0, reason};
  if (s.strict) return {0, "a strict model asks for direct sums"};
  if (std::string reason = tile::refusal(backend, s.precision); !reason.empty()) return {0, reason};
  if (s.by_rows) return {0, "single rows are asked for"};
  if (s.kernel_h != 3 || s.kernel_w != 3) return {0, "the kernel is not 3x3"};
  if (s.stride_h != 1 || s.stride_w != 1) return {0, "strided"};
  if (s.dilation_w != 1 && s.epilogue.has(pointwise::Mode::per_row)) return {0, "dilated, with a value of its own for each pixel"};
  if (s.groups != 1) return {0, "in groups"};
  if (s.nchw_input) return {0, "x is not channels last"};
  // Cycles per multiply-add of the direct sum, fitted to measurements of 16 to 256 channels: products, which wait for the
  // second-level cache; the transforms of both sides, which meet few lines twice where the kernel is dilated; and the larger
  // weights, which come from memory. For an image as high as it is wide.
  const double planes = (m + 2) * (m + 2), taps = 9, out = static_cast<double>(s.out_channels);
  const double pixels = static_cast<double>(s.out_width() * s.out_width());
  const double across = std::ceil(static_cast<double>(s.out_width()) / (s.dilation_w * m)) * s.dilation_w;
  const double waste = pixels > 0 ? across * across * m * m / pixels : 1;
  const double per_tile_in = m == 4 ? 340 : 240, per_tile_out = m == 4 ? 260 : 190, bytes_per_cycle = 5;
  const double dilated = s.dilation_h * s.dilation_w > 1 ? 2.5 : 1;
  // Waits are as long for narrow vectors, beside products that take longer.
  const auto float_lanes = static_cast<double>(backend.float_lanes());
  const double waits = m == 4 ? float_lanes > 4 ? 0.6 : 0.15 : 0;
  const double products = tile::cost(backend, s.out_channels) * (1 + waits) * planes / (taps * m * m);
  const double transforms = dilated * (per_tile_in / out + per_tile_out / static_cast<double>(s.channels)) /
                            float_lanes / (taps * m * m);
  const double weights = pixels > 0 ? (planes - taps) * bytes / (taps * pixels) / bytes_per_cycle : 0;
  return {(products + transforms) * waste + weights, {}};
}

Kernel make_winograd(const tile::Backend& backend, const Spec& spec, int m, const WinogradTransforms& transforms,
                     isa::Mask target) {
  auto conv = std::make_shared<const Winograd>(backend, spec, m, transforms, target);
  return conv->ok() ? conv : nullptr;
}
}  // namespace kernels::conv
