// Dft and Stft, in double.
#include "engine/ops/fft.h"
#include "engine/ops/fourier_products.h"
#include "engine/ops/strides.h"

namespace engine {
namespace {
using schema::Dft, schema::Stft;

// The last dim of a signal: 1 for real numbers, 2 for complex ones. `complex`: what the op needs, if it does.
void check_parts(const Dim& parts, std::optional<bool> complex) {
  check(may_equal(parts, 1) || may_equal(parts, 2), "the last dim of a signal is 1 (real) or 2 (complex), not ",
        parts.text());
  if (complex)
    check(may_equal(parts, *complex ? 2 : 1), "needs a ", *complex ? "complex" : "real", " signal to be onesided");
}

void expect_signal(const InferContext& in) { in.expect_dtype(0, {DType::f32, DType::f64, DType::f16, DType::bf16}); }
void expect_size(const InferContext& in, size_t k, const char* what) {
  in.expect_dtype(k, {DType::i32, DType::i64});
  in.expect_scalar(k, what);
}

int64_t signal_axis(int64_t axis, int64_t rank) {
  const int64_t at = normal_axis(axis, rank);
  check(at < rank - 1, "axis ", axis, " is the last one, which holds real and imaginary parts");
  return at;
}
void check_length(const Dim& n) {
  check(!n.known() || n.value() >= 1, "a transform of length ", n.text(), " is not defined");
}

Dim default_length(const Dft& op, const Dim& extent) { return op.inverse && op.onesided ? (extent - 1) * 2 : extent; }

Types infer(const Dft& op, const InferContext& in) {
  in.expect_inputs(1, 3);
  expect_signal(in);
  if (in.has(1)) expect_size(in, 1, "the length");
  if (in.has(2)) expect_size(in, 2, "the axis");
  Type y = in.in(0);
  if (!y.ranked) return {y};
  check(y.rank() >= 2, "a signal has rank 2 or more, not ", y);
  check_parts(y.dims.back(), op.onesided ? std::optional(op.inverse) : std::nullopt);
  y.dims.back() = op.onesided && op.inverse ? 1 : 2;
  const auto axis = in.has(2) ? in.known_scalar(2) : Dim(-2);
  if (!axis || !axis->known()) {
    std::fill(y.dims.begin(), y.dims.end() - 1, Dim::unknown());
    return {y};
  }
  Dim& extent = y.dims[size_t(signal_axis(axis->value(), y.rank()))];
  const auto length = in.has(1) ? in.known_scalar(1) : default_length(op, extent);
  if (length) check_length(*length);
  extent = !length ? Dim::unknown() : op.onesided && !op.inverse ? *length / 2 + 1 : *length;
  return {y};
}

void reference(const Dft& op, RunContext& c) {
  const ConstView& x = c.in(0);
  const auto dims = x.shape.first(x.shape.size() - 1);
  const int64_t axis = signal_axis(c.has(2) ? only_int(c.in(2), "the axis") : -2, x.rank()), parts = x.shape.back();
  const AxisSplit at(dims, axis);
  const int64_t n = c.has(1) ? only_int(c.in(1), "the length") : default_length(op, at.extent).value();
  check_length(n);
  const bool real = op.onesided && op.inverse;
  const int64_t results = op.onesided && !op.inverse ? n / 2 + 1 : n;
  Extents shape(x.shape);
  shape[size_t(axis)] = results, shape.back() = real ? 1 : 2;
  const View y = c.set_out(0, x.dtype, shape);
  if (y.elements() == 0) return;
  Fft fft(n);
  Scratch<Complex> z{size_t(n)};
  const int64_t given = std::min(at.extent, real ? n / 2 + 1 : n);
  with_reader<double>(x, [&](auto read) {
    for (int64_t o = 0; o < at.outer; ++o)
      for (int64_t i = 0; i < at.inner; ++i) {
        c.check_stop();
        for (int64_t k = 0; k < given; ++k) {
          const int64_t from = ((o * at.extent + k) * at.inner + i) * parts;
          z[k] = {read(from), parts == 2 ? read(from + 1) : 0};
        }
        std::fill(z.begin() + given, z.end(), Complex{});
        if (real)  // the other half of the spectrum
          for (int64_t k = n / 2 + 1; k < n; ++k) z[k] = conjugate(z[n - k]);
        if (op.inverse) fft.inverse(z.data());
        else fft.forward(z.data());
        for (int64_t k = 0; k < results; ++k) {
          const int64_t to = (o * results + k) * at.inner + i;
          store(y, real ? to : 2 * to, z[k].re);
          if (!real) store(y, 2 * to + 1, z[k].im);
        }
      }
  });
}

std::optional<Lowered> lower(const Dft& op, const LowerContext& c) {
  if (!c.target || (c.has(1) && !c.constant(1)) || (c.has(2) && !c.constant(2))) return std::nullopt;
  const Shape x = c.in(0).shape();
  const std::span<const int64_t> dims(x);
  const AxisSplit at(dims.first(x.size() - 1),
                     signal_axis(c.has(2) ? only_int(c.constant(2)->view(), "the axis") : -2, int64_t(x.size())));
  if (at.inner != 1) return std::nullopt;
  const int64_t n = c.has(1) ? only_int(c.constant(1)->view(), "the length") : default_length(op, at.extent).value();
  const bool real = op.onesided && op.inverse;
  const int64_t given = std::min(at.extent, real ? n / 2 + 1 : n), results = op.onesided && !op.inverse ? n / 2 + 1 : n;
  return lower_transform(c, {n, given, results, int(x.back()), op.inverse, real}, 1, 0, at.outer, at.extent);
}

// How many frames fit in the signal. An extent that is not known fits.
Dim frames_in(const Dim& signal, const Dim& frame, const Dim& step) {
  check(!step.known() || step.value() >= 1, "frames cannot start every ", step.text(), " elements");
  check(!frame.known() || frame.value() >= 1, "a frame of ", frame.text(), " elements has no transform");
  check(!frame.known() || !signal.known() || frame.value() <= signal.value(), "a frame of ", frame.text(),
        " elements is longer than the signal of ", signal.text());
  return (signal - frame) / step + 1;
}

Types infer(const Stft& op, const InferContext& in) {
  in.expect_inputs(2, 4);
  expect_signal(in);
  expect_size(in, 1, "the step");
  if (in.has(2)) in.expect_same_dtype(0, 2);
  if (in.has(3)) expect_size(in, 3, "the frame length");
  const Type& x = in.in(0);
  check(!x.ranked || x.rank() == 3, "expects a signal [batch,length,1 or 2], not ", x);
  if (x.ranked) check_parts(x.dims[2], op.onesided ? std::optional(false) : std::nullopt);
  std::optional<Dim> length, frame;
  if (x.ranked) length = x.dims[1];
  if (in.has(2) && in.in(2).ranked) {
    check(in.in(2).rank() == 1, "the window must have rank 1, not ", in.in(2));
    frame = in.in(2).dims[0];
  } else if (!in.has(2) && !in.has(3)) {
    frame = length;
  }
  if (const auto given = in.known_scalar(3)) {
    check(!frame || may_equal(*given, *frame), "the window has ", frame.value_or(0).text(), " elements for frames of ",
          given->text());
    if (!frame || given->known()) frame = given;
  }
  Type y = Type::tensor(x.dtype, {x.ranked ? x.dims[0] : Dim::unknown(), Dim::unknown(), Dim::unknown(), 2});
  if (const auto step = in.known_scalar(1); step && frame && length) y.dims[1] = frames_in(*length, *frame, *step);
  if (frame) y.dims[2] = op.onesided ? *frame / 2 + 1 : *frame;
  return {y};
}

void reference(const Stft& op, RunContext& c) {
  const ConstView& x = c.in(0);
  const int64_t length = x.shape[1], parts = x.shape[2], step = only_int(c.in(1), "the step");
  const int64_t n = c.has(3) ? only_int(c.in(3), "the frame length") : c.has(2) ? c.in(2).shape[0] : length;
  check(!c.has(2) || c.in(2).shape[0] == n, "the window does not have ", n, " elements, as frames do");
  const int64_t frames = frames_in(length, n, step).value(), results = op.onesided ? n / 2 + 1 : n;
  const int64_t shape[] = {x.shape[0], frames, results, 2};
  const View y = c.set_out(0, x.dtype, shape);
  if (y.elements() == 0) return;
  Fft fft(n);
  Scratch<Complex> z{size_t(n)};
  Scratch<double> window(size_t(n), 1);
  for (int64_t k = 0; c.has(2) && k < n; ++k) window[k] = load<double>(c.in(2), k);
  with_reader<double>(x, [&](auto read) {
    for (int64_t f = 0; f < x.shape[0] * frames; ++f) {
      c.check_stop();
      const int64_t first = (f / frames * length + f % frames * step) * parts;
      for (int64_t k = 0; k < n; ++k) {
        const int64_t from = first + k * parts;
        z[k] = {read(from) * window[k], parts == 2 ? read(from + 1) * window[k] : 0};
      }
      fft.forward(z.data());
      for (int64_t k = 0; k < results; ++k) {
        store(y, 2 * (f * results + k), z[k].re);
        store(y, 2 * (f * results + k) + 1, z[k].im);
      }
    }
  });
}

std::optional<Lowered> lower(const Stft&, const LowerContext& c) {
  for (size_t k = 1; k < 4; ++k)
    if (!c.target || (c.has(k) && !c.constant(k))) return std::nullopt;
  const Shape x = c.in(0).shape(), y = c.out(0).shape();
  const int64_t n = c.has(3)   ? only_int(c.constant(3)->view(), "the frame length")
                    : c.has(2) ? c.in(2).shape()[0]
                               : x[1];
  Transform t{n, n, y[2], int(x[2])};
  for (int64_t k = 0; c.has(2) && k < n; ++k) t.window.push_back(load<double>(c.constant(2)->view(), k));
  return lower_transform(c, t, x[0], x[1], y[1], only_int(c.constant(1)->view(), "the step"));
}

template <class Op> double flops(const Op&, std::span<const Type>, std::span<const Type> out) {
  if (!out[0].determined()) return 0;
  const double n = double(elements(out[0].shape()));
  return 20 * n * std::log2(n + 2);
}
}  // namespace

const OpDef<Dft>& def(const Dft&) {
  static constexpr OpDef<Dft> def{
      .infer = infer, .reference = reference, .lower = lower, .on_device = true, .flops = flops};
  return def;
}
const OpDef<Stft>& def(const Stft&) {
  static constexpr OpDef<Stft> def{
      .infer = infer, .reference = reference, .lower = lower, .on_device = true, .flops = flops};
  return def;
}
}  // namespace engine
