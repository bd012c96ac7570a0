#include "kernels/conv/depthwise.h"

namespace kernels::conv {
namespace {

class Depthwise final : public Conv {
 public:
  Depthwise(const Spec& spec, DepthwiseFunctions functions, int lanes, isa::Mask target, bool applies)
      : s_(spec), functions_(functions), lanes_(lanes), group_(spec.channels / spec.groups) {
    pointwise::KeptTypes of_pass = spec.kept;
    of_pass.x = spec.kept.y;
    if (!spec.epilogue.empty() && !applies) pass_ = pointwise::select(spec.epilogue, target, of_pass).kernel;
  }

  size_t packed_bytes() const override { return static_cast<size_t>(functions_.narrow ? round_up(weights(), 2) * 2 : weights() * static_cast<int64_t>(sizeof(float))); }
  // [kh][kw][turn][channel]: the weight by which a channel of y takes that channel of its group which stands in its place when
  // each group is turned so many places. One turn if depthwise.
  void pack(const float* w, void* packed) const override {
    std::vector<float> wide(functions_.narrow ? static_cast<size_t>(weights()) : 0);
    auto* to = functions_.narrow ? wide.data() : static_cast<float*>(packed);
    for (int64_t tap = 0; tap < taps(); ++tap)
      for (int64_t turn = 0; turn < group_; ++turn)
        for (int64_t c = 0; c < s_.channels; ++c) *to++ = w[(c * group_ + (c + turn) % group_) * taps() + tap];
    if (functions_.narrow) functions_.narrow(packed, wide.data(), weights());
  }

  void run(const Args& args, ThreadPool& pool, int max_threads) const override {
    const int64_t rows = args.rows < 0 ? args.batch * s_.out_height(args.height) : args.rows;
    if (rows <= 0 || s_.out_width() <= 0) return;
    const int64_t blocks = (s_.channels + lanes_ - 1) / lanes_;
    run_divided(pool, max_threads, divisible_by_channels(s_, 1, rows, rows, blocks), [&](int64_t row0, int64_t row1, int64_t block0, int64_t block1) {
      const int64_t c0 = block0 * lanes_, c1 = std::min(s_.channels, block1 * lanes_);
      for (int64_t row = row0; row < row1;) row += functions_.pair && row + 1 < row1 ? run_pair(args, row, c0, c1) : run_row(args, row, c0, c1);
    });
  }

 private:
  int64_t taps() const { return static_cast<int64_t>(s_.kernel_h) * s_.kernel_w; }
  int64_t weights() const { return taps() * group_ * s_.channels; }

  // These return how many rows they made.
  int64_t run_row(const Args& args, int64_t row, int64_t c0, int64_t c1) const {
    const PixelRow r = this->row(args, row);
    functions_.row(r, c0, c1);
    pass(args, r, row, c0, c1);
    return 1;
  }
  int64_t run_pair(const Args& args, int64_t row, int64_t c0, int64_t c1) const {
    const bool another_image = (args.first_row + row + 1) % s_.out_height(args.height) == 0;
    const PixelRow r = this->row(args, row), below = this->row(args, row + 1);
    if (another_image || r.kh0 == r.kh1 || below.kh0 == below.kh1) return run_row(args, row, c0, c1);
    functions_.pair(r, below, c0, c1);
    pass(args, r, row, c0, c1), pass(args, below, row + 1, c0, c1);
    return 2;
  }

  PixelRow row(const Args& args, int64_t row) const {
    PixelRow r = row_of(s_, args, row);
    if (!pass_) r.epilogue = {s_.epilogue.begin(), s_.epilogue.end()};
    return r;
  }
  void pass(const Args& args, const PixelRow& r, int64_t row, int64_t c0, int64_t c1) const {
    if (!pass_) return;
    const pointwise::Operands operands = pointwise::offset(s_.epilogue, args.operands, row * s_.out_width(), c0, s_.kept);
    float* y = pointwise::advance(r.y, c0, s_.kept.y);
    pass_.run({y, r.y_step, y, r.y_step, operands.data(), s_.out_width(), c1 - c0});
  }

  Spec s_;
  DepthwiseFunctions functions_;
  int lanes_;
  int64_t group_;  // channels in one
  pointwise::Kernel pass_;
};
}  // namespace

Divisible divisible_by_channels(const Spec& s, int64_t batch, int64_t out_height, int64_t rows, int64_t blocks) {
  const int64_t pixels = out_height * s.out_width(), out = batch * pixels * s.out_channels;
  Divisible step{.rows = rows, .blocks = blocks};
  step.work = out * (s.channels / s.groups * s.kernel_h * s.kernel_w * 2 + 4 * 2 * static_cast<int64_t>(sizeof(float)));
  // Beside small images of many channels stand products that are divided by columns, for their weights are larger.
  step.for_rows = pixels, step.for_blocks = s.out_channels / 2;
  return step;
}

PixelRow row_of(const Spec& s, const Args& args, int64_t row) {
  const int64_t out_height = s.out_height(args.height), at = args.first_row + row, image = at / out_height;
  const int64_t top = at % out_height * s.stride_h - s.pad_top, d = s.dilation_h, pitch = s.in_pitch();
  const int64_t kh0 = top < 0 ? (-top + d - 1) / d : 0;
  const int64_t kh1 = top >= args.height ? 0 : std::min<int64_t>(s.kernel_h, (args.height - 1 - top) / d + 1);
  const int64_t room = s.width - 1 - static_cast<int64_t>(s.kernel_w - 1) * s.dilation_w + s.pad_left;
  PixelRow r;
  r.x = pointwise::advance(args.x, ((kh0 < kh1 ? image * args.height + top + kh0 * d - args.x_row : 0) * s.width - s.pad_left) * pitch, s.kept.x);
  r.w = static_cast<const float*>(args.w);
  r.bias = s.bias ? args.bias : nullptr;
  r.y = pointwise::advance(args.y, row * s.out_width() * s.out_pitch(), s.kept.y);
  r.x_row = d * s.width * pitch;
  r.x_tap = s.dilation_w * pitch;
  r.x_step = s.stride_w * pitch;
  r.y_step = s.out_pitch();
  r.channels = s.channels;
  r.kh0 = static_cast<int>(kh0);
  r.kh1 = static_cast<int>(std::max(kh0, kh1));
  r.kernel_w = s.kernel_w;
  r.stride_w = s.stride_w;
  r.dilation_w = s.dilation_w;
  r.pad_left = s.pad_left;
  r.width = static_cast<int>(s.width);
  r.out_width = static_cast<int>(s.out_width());
  r.inner_first = std::min(r.out_width, (s.pad_left + s.stride_w - 1) / s.stride_w);
  r.inner_last = room < 0 ? 0 : static_cast<int>(std::min<int64_t>(r.out_width, room / s.stride_w + 1));
  return r;
}

Support supports_depthwise(const Spec& spec, int lanes, bool takes_halves) {
  if (std::string reason = invalid(spec, takes_halves); !reason.empty()) return {0, reason};
  if (spec.groups != spec.channels || spec.out_channels != spec.channels) return {0, "not depthwise"};
  if (spec.nchw_input) return {0, "x is not channels last"};
  return {static_cast<double>(divide_up(spec.channels, int64_t{lanes})) / static_cast<double>(spec.channels), {}};
}

Support supports_grouped(const Spec& spec, int lanes) {
  if (std::string reason = invalid(spec); !reason.empty()) return {0, reason};
  const int64_t width = spec.channels / spec.groups;
  if (spec.groups == 1 || spec.out_channels != spec.channels) return {0, "not in groups that give as many channels as they take"};
  if (width < 2 || width > 16 || width > lanes || (width & (width - 1))) return {0, "groups are not of 2, 4, 8 or 16 channels, or wider than a vector"};
  if (spec.nchw_input) return {0, "x is not channels last"};
  return {0.9 / lanes, {}};  // a vector is turned for almost every product
}

Kernel make_depthwise(const Spec& spec, DepthwiseFunctions functions, int lanes, isa::Mask target, bool applies) {
  return std::make_shared<const Depthwise>(spec, functions, lanes, target, applies);
}
}  // namespace kernels::conv
