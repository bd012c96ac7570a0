#include "kernels/conv/dot.h"
#include <algorithm>
#include <cmath>
#include "kernels/split.h"

namespace kernels::conv {
namespace {
// Columns of the kernel whose channels are one run of floats in x.
int64_t columns_together(const Spec& s) { return s.dilation_w * s.in_pitch() == s.channels ? s.kernel_w : 1; }

class DotProducts final : public Conv {
 public:
  DotProducts(const Spec& spec, DotFunction function, isa::Mask target) : s_(spec), function_(function) {
    if (!spec.epilogue.empty()) pass_ = pointwise::select(spec.epilogue, target).kernel;
  }

  size_t packed_bytes() const override {
    return static_cast<size_t>(s_.out_channels * s_.channels * taps()) * sizeof(float);
  }
  void pack(const float* w, void* packed) const override {
    auto* to = static_cast<float*>(packed);
    const int64_t together = columns_together(s_);
    for (int64_t tap = 0; tap < taps(); tap += together)
      for (int64_t o = 0; o < s_.out_channels; ++o)
        for (int64_t column = 0; column < together; ++column)
          for (int64_t c = 0; c < s_.channels; ++c) *to++ = w[(o * s_.channels + c) * taps() + tap + column];
  }

  void run(const Args& args, ThreadPool& pool, int max_threads) const override {
    const int64_t rows = args.rows < 0 ? args.batch * s_.out_height(args.height) : args.rows, width = s_.out_width();
    const int64_t pieces = std::clamp<int64_t>(width / 256, 1, divide_up(32, std::max<int64_t>(rows, 1)));  // of a row
    run_split(pool, max_threads, rows * pieces, width > 0 ? 1 : 0, rows * width * s_.channels * taps(),
              [&](int64_t first, int64_t last, int64_t, int64_t) {
                for (int64_t piece = first; piece < last; ++piece) {
                  const int64_t part = piece % pieces;
                  run_row(args, piece / pieces, static_cast<int>(width * part / pieces), static_cast<int>(width * (part + 1) / pieces));
                }
              });
  }

 private:
  int64_t taps() const { return static_cast<int64_t>(s_.kernel_h) * s_.kernel_w; }

  // Pixels [begin, end) of a row.
  void run_row(const Args& args, int64_t row, int begin, int end) const {
    PixelRow r = row_of(s_, args, row);
    r.x += begin * r.x_step, r.y += begin * r.y_step, r.pad_left -= begin * r.stride_w;
    r.out_width = end - begin;
    for (int* inner : {&r.inner_first, &r.inner_last}) *inner = std::clamp(*inner - begin, 0, r.out_width);
    function_(r);
    if (!pass_) return;
    const pointwise::Operands operands = pointwise::offset(s_.epilogue, args.operands, row * s_.out_width() + begin, 0);
    pass_.run({r.y, r.y_step, r.y, r.y_step, operands.data(), r.out_width, s_.out_channels});
  }

  Spec s_;
  DotFunction function_;
  pointwise::Kernel pass_;
};
}  // namespace

Support supports_dot(const Spec& s, int lanes) {
  if (std::string reason = invalid(s); !reason.empty()) return {0, reason};
  if (s.groups != 1) return {0, "in groups"};
  if (s.out_channels > most_dot_outputs) return {0, "more than 4 output channels"};
  if (s.nchw_input) return {0, "x is not channels last"};
  const int64_t together = columns_together(s) * s.channels;
  if (2 * together < lanes) return {0, "less of x lies together than half a vector has lanes"};
  // Two products a cycle at best, loads that half of them wait for, and the sum over a vector for each output.
  const auto run = static_cast<double>(together), terms = static_cast<double>(s.channels) * s.kernel_h * s.kernel_w;
  const double padded = std::ceil(run / lanes) * lanes / run;
  return {0.75 / lanes * padded + 8 / terms, {}};
}

Kernel make_dot(const Spec& spec, DotFunction function, isa::Mask target) {
  return std::make_shared<const DotProducts>(spec, function, target);
}
}  // namespace kernels::conv
