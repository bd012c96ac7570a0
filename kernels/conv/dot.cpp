#include "kernels/conv/dot.h"
#include <cmath>
#include "kernels/split.h"

namespace kernels::conv {
namespace {
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
    for (int64_t tap = 0; tap < taps(); ++tap)
      for (int64_t o = 0; o < s_.out_channels; ++o)
        for (int64_t c = 0; c < s_.channels; ++c) *to++ = w[(o * s_.channels + c) * taps() + tap];
  }

  void run(const Args& args, ThreadPool& pool, int max_threads) const override {
    const int64_t rows = args.rows < 0 ? args.batch * s_.out_height(args.height) : args.rows, width = s_.out_width();
    run_split(pool, max_threads, rows, width > 0 ? 1 : 0, rows * width * s_.channels * taps(),
              [&](int64_t first, int64_t last, int64_t, int64_t) {
                for (int64_t row = first; row < last; ++row) run_row(args, row);
              });
  }

 private:
  int64_t taps() const { return static_cast<int64_t>(s_.kernel_h) * s_.kernel_w; }

  void run_row(const Args& args, int64_t row) const {
    const PixelRow r = row_of(s_, args, row);
    function_(r);
    if (!pass_) return;
    const pointwise::Operands operands = pointwise::offset(s_.epilogue, args.operands, row * s_.out_width(), 0);
    pass_.run({r.y, r.y_step, r.y, r.y_step, operands.data(), s_.out_width(), s_.out_channels});
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
  if (2 * s.channels < lanes) return {0, "fewer channels than half a vector has lanes"};
  // Two products a cycle at best, loads that half of them wait for, and the sum over a vector for each output.
  const auto channels = static_cast<double>(s.channels), taps = static_cast<double>(s.kernel_h) * s.kernel_w;
  const double padded = std::ceil(channels / lanes) * lanes / channels;
  return {0.75 / lanes * padded + 8 / (taps * channels), {}};
}

Kernel make_dot(const Spec& spec, DotFunction function, isa::Mask target) {
  return std::make_shared<const DotProducts>(spec, function, target);
}
}  // namespace kernels::conv
