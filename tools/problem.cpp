#include "tools/problem.h"
#include <algorithm>
#include <cmath>
#include "kernels/gemm_s8/gemm_s8.h"
#include "kernels/image/image.h"
#include "kernels/pointwise/pointwise.h"
#include "kernels/rnn/rnn.h"
#include "tools/problem_fields.h"

namespace tools {
using namespace kernels;
namespace {
constexpr int64_t most_floats = int64_t{1} << 33;  // of one buffer
}

Numbers::Numbers(int64_t n) {
  if (n > most_floats) throw std::bad_alloc();
  auto memory = os::Memory::allocate(static_cast<size_t>(std::max<int64_t>(n, 16)) * sizeof(float));
  if (!memory) throw std::bad_alloc();
  memory_ = std::make_shared<const os::Memory>(std::move(memory));
  float values[1013];  // none denormal
  for (size_t i = 0; i < std::size(values); ++i) values[i] = std::sin(static_cast<float>(i)) * 0.5f;
  for (int64_t i = 0; i < n; ++i) data()[i] = values[i % std::ssize(values)];
}

namespace {
constexpr int64_t most_extent = 1 << 16, most_reach = 1 << 10;
constexpr double bytes = sizeof(float);

Numbers space(size_t n) { return Numbers(static_cast<int64_t>(n / sizeof(float) + 1)); }

template <class Row> const Row* find_row(std::span<const Row> rows, std::string_view name) {
  const auto it = std::ranges::find(rows, name, &Row::name);
  return it == rows.end() ? nullptr : &*it;
}

// The rows' answers to the spec; `bind` gives what a row makes its buffers.
template <class Row, class Spec, class Bind>
Problem problem_of(std::span<const Row> rows, const Spec& spec, std::string_view selected, Bind bind) {
  const auto refusal = [=](std::string_view name) -> std::string {
    const Row* row = find_row(rows, name);
    if (!row) return "is not of this family";
    if (!isa::runs(row->isa, isa::detected())) return "needs " + std::string(isa::name(row->isa));
    return row->supports(spec).refusal;
  };
  const auto prepare = [=](std::string_view name) {
    Ready ready{.refusal = refusal(name), .run = {}};
    if (!ready.refusal.empty()) return ready;
    if (auto kernel = find_row(rows, name)->make(spec)) return bind(kernel);
    ready.refusal = "its code cannot be made: executable memory is denied, or it is too long";
    return ready;
  };
  return {selected, refusal, prepare};
}

template <class Kind> const std::string_view* find_name(std::string_view name) {
  const auto& names = schema::names<Kind>;
  const auto* at = std::ranges::find(names, name);
  return at == names.end() ? nullptr : at;
}
}  // namespace

GemmProblem parse_gemm(const std::string& text) {
  ProblemFields fields(text);
  GemmProblem p;
  p.m = fields.number("m", 1, 1 << 20);
  p.spec = {
      .n = fields.number("n", 1, most_extent), .k = fields.number("k", 1, most_extent), .bias = true, .epilogue = {}};
  if (fields.flag("dynamic")) p.spec.b = gemm::B::dynamic;
  p.spec.transposed_b = fields.flag("transposed"), p.spec.in_place = fields.flag("inplace");
  if (p.spec.in_place) p.spec.rows = p.m;
  if (fields.flag("fp16")) p.spec.precision = Precision::f16;
  fields.finish();
  return p;
}

ConvProblem parse_conv(const std::string& text) {
  ProblemFields fields(text);
  ConvProblem p;
  conv::Spec& s = p.spec;
  const auto x = fields.extents(4, "NxCxHxW", most_extent);
  p.batch = x[0], s.channels = x[1], p.height = x[2], s.width = x[3];
  s.out_channels = fields.number("oc", 1, most_extent);
  const auto kernel = fields.numbers("k", 2, 1, most_reach, 1), stride = fields.numbers("s", 2, 1, most_reach, 1),
             dilation = fields.numbers("d", 2, 1, most_reach, 1), pad = fields.numbers("p", 4, 0, most_reach, 0);
  s.kernel_h = int(kernel[0]), s.kernel_w = int(kernel[1]), s.stride_h = int(stride[0]), s.stride_w = int(stride[1]);
  s.dilation_h = int(dilation[0]), s.dilation_w = int(dilation[1]);
  s.pad_top = int(pad[0]), s.pad_left = int(pad[1]), s.pad_bottom = int(pad[2]), s.pad_right = int(pad[3]);
  s.groups = fields.numbers("g", 1, 1, most_extent, 1)[0];
  s.nchw_input = fields.flag("nchw"), s.strict = fields.flag("strict"), s.bias = true;
  if (fields.flag("fp16")) s.precision = Precision::f16;
  fields.finish();
  if (const std::string reason = conv::invalid(s); !reason.empty()) throw ProblemError("field 'g': " + reason);
  const double pixels = double(x[0]) * double(x[2]) * double(x[3]) + 8 * double(most_reach) * double(x[2] + x[3]);
  if (pixels * double(std::max(x[1], s.out_channels)) > most_floats)
    throw ProblemError("field 'NxCxHxW': is too large");
  if (s.out_height(p.height) < 1 || s.out_width() < 1) throw ProblemError("field 'k': reaches beyond the padded input");
  return p;
}

Problem gemm_problem(const std::string& text) {
  const GemmProblem p = parse_gemm(text);
  return problem_of(gemm::rows(), p.spec, gemm::select(p.spec).name, [p](const gemm::Kernel& kernel) {
    const gemm::Spec& s = p.spec;
    const int64_t ldb = s.transposed_b ? s.k : s.n;
    const Numbers a(p.m * s.k), b(s.k * s.n), bias(s.n), c(p.m * s.n), packed = space(kernel->packed_bytes()),
                                                                       scratch = space(kernel->scratch_bytes(p.m));
    const bool constant = s.b == gemm::B::packed;
    if (constant) kernel->pack_b(b.data(), ldb, packed.data());
    return Ready{{},
                 [=](ThreadPool& pool) {
                   kernel->run({.a = a.data(),
                                .lda = s.k,
                                .b = kernel->packed_bytes() ? packed.data() : b.data(),
                                .ldb = ldb,
                                .c = c.data(),
                                .ldc = s.n,
                                .bias = bias.data(),
                                .m = p.m,
                                .scratch = scratch.data()},
                               pool);
                 },
                 p.flops(),
                 bytes * static_cast<double>(p.m * s.k + s.k * s.n + s.n + p.m * s.n)};
  });
}

Problem gemm_s8_problem(const std::string& text) {
  ProblemFields fields(text);
  const int64_t m = fields.number("m", 1, 1 << 20);
  const gemm_s8::Spec spec{fields.number("n", 1, most_extent), fields.number("k", 1, most_extent)};
  fields.finish();
  return problem_of(gemm_s8::rows(), spec, gemm_s8::select(spec).name, [=](const gemm_s8::Kernel& kernel) {
    const Numbers a = space(static_cast<size_t>(m * spec.k)), b = space(static_cast<size_t>(spec.k * spec.n)), c(m * spec.n),
                  packed = space(kernel->packed_bytes());
    const auto* bytes_of_a = reinterpret_cast<const int8_t*>(a.data());
    kernel->pack_b(reinterpret_cast<const int8_t*>(b.data()), spec.n, packed.data());
    return Ready{{},
                 [=](ThreadPool& pool) {
                   kernel->run({.a = bytes_of_a,
                                .lda = spec.k,
                                .b = packed.data(),
                                .c = reinterpret_cast<int32_t*>(c.data()),
                                .ldc = spec.n,
                                .m = m},
                               pool);
                 },
                 2.0 * static_cast<double>(m) * static_cast<double>(spec.n) * static_cast<double>(spec.k),
                 static_cast<double>(m * spec.k + spec.k * spec.n) + bytes * static_cast<double>(m * spec.n)};
  });
}

Problem conv_problem(const std::string& text) {
  const ConvProblem p = parse_conv(text);
  return problem_of(conv::rows(), p.spec, conv::select(p.spec).name, [p](const conv::Kernel& kernel) {
    const conv::Spec& s = p.spec;
    const int64_t in = p.batch * p.height * s.width * s.channels,
                  out = p.batch * s.out_height(p.height) * s.out_width() * s.out_channels,
                  weights = s.out_channels * (s.channels / s.groups) * s.kernel_h * s.kernel_w;
    const Numbers x(in), w(weights), bias(s.out_channels), y(out),
        packed = space(kernel->packed_bytes()), scratch = space(kernel->scratch_bytes(p.batch, p.height));
    kernel->pack(w.data(), packed.data());
    return Ready{{},
                 [=](ThreadPool& pool) {
                   kernel->run({.x = x.data(),
                                .w = packed.data(),
                                .bias = bias.data(),
                                .y = y.data(),
                                .batch = p.batch,
                                .height = p.height,
                                .scratch = scratch.data()},
                               pool);
                 },
                 p.flops(),
                 bytes * static_cast<double>(in + weights + s.out_channels + out)};
  });
}

Problem pointwise_problem(const std::string& text) {
  ProblemFields fields(text);
  const int64_t n = fields.number("n", 1, 1 << 30);
  const std::string functions = fields.word("FUNCTION");
  fields.finish();
  pointwise::Chain chain;
  int64_t operands = 0;
  for (size_t at = 0; at <= functions.size();) {
    const size_t end = std::min(functions.find('+', at), functions.size());
    const std::string name = functions.substr(at, end - at);
    pointwise::Stage stage;
    if (const auto* unary = find_name<schema::UnaryKind>(name)) {
      stage = pointwise::Stage::of(schema::UnaryKind(unary - schema::names<schema::UnaryKind>.data()), 1, 1);
    } else if (const auto* binary = find_name<schema::BinaryKind>(name)) {
      stage = pointwise::Stage::of(schema::BinaryKind(binary - schema::names<schema::BinaryKind>.data()), 0,
                                   pointwise::Mode::full);
      operands = 1;
    } else {
      throw ProblemError("field '" + functions + "': there is no function '" + name + "'");
    }
    if (!chain.push(stage)) throw ProblemError("field '" + functions + "': has too many functions");
    at = end + 1;
  }
  return problem_of(pointwise::rows(), chain, pointwise::select(chain).name, [=](const pointwise::Kernel& kernel) {
    const Numbers x(n), other(n * operands), y(n);
    const auto run = [=](ThreadPool&) {
      const pointwise::Operand operand{other.data(), n};
      kernel.run(x.data(), &operand, y.data(), 1, n);
    };
    return Ready{{}, run, double(n * chain.size), bytes * double(n * (2 + operands))};
  });
}

Problem rnn_problem(const std::string& text) {
  ProblemFields fields(text);
  rnn::Spec spec;
  const int64_t time = fields.number("t", 1, most_extent), batch = fields.number("b", 1, most_extent);
  spec.input = fields.number("i", 1, most_extent), spec.hidden = fields.number("h", 1, most_extent);
  const std::string kind = fields.word("lstm, gru or rnn");
  fields.finish();
  const auto* name = find_name<schema::RnnKind>(kind);
  if (!name) throw ProblemError("field '" + kind + "': is not lstm, gru or rnn");
  spec.kind = schema::RnnKind(name - schema::names<schema::RnnKind>.data());
  spec.linear_before_reset = true;
  return problem_of(rnn::rows(), spec, rnn::select(spec).name, [=](const rnn::Kernel& kernel) {
    const int64_t rows = spec.gates() * spec.hidden, state = batch * spec.hidden;
    const Numbers x(time * batch * spec.input), w(rows * spec.input), r(rows * spec.hidden), b(rows), y(time * state),
        h(state), c(state), packed = space(kernel->packed_bytes()), scratch = space(kernel->scratch_bytes(time, batch));
    kernel->pack(w.data(), r.data(), b.data(), b.data(), packed.data());
    const auto run = [=](ThreadPool& pool) {
      kernel->run({.x = x.data(),
                   .time = time,
                   .batch = batch,
                   .y = y.data(),
                   .y_step = state,
                   .h = h.data(),
                   .c = c.data(),
                   .packed = packed.data(),
                   .scratch = scratch.data()},
                  pool);
    };
    const double weights = double(rows) * double(spec.input + spec.hidden);
    return Ready{{},
                 run,
                 2 * weights * double(time * batch),
                 bytes * (weights + double(time * batch * (spec.input + spec.hidden)))};
  });
}

Problem image_problem(const std::string& text) {
  ProblemFields fields(text);
  const auto size = fields.extents(2, "WxH", image::max_extent);
  image::Preprocess p;
  const auto to = fields.numbers("to", 2, 0, image::max_extent, 0);
  p.width = to[0], p.height = to[1];
  if (p.width) p.resize = fields.flag("letterbox") ? image::Resize::letterbox : image::Resize::stretch;
  const std::string format = fields.word("FORMAT");
  fields.finish();
  constexpr std::string_view formats[] = {"rgb", "rgba", "bgr", "bgra", "nv12", "grey"};
  const auto* at = std::ranges::find(formats, format);
  if (at == std::end(formats)) throw ProblemError("field '" + format + "': is no format of pixels");
  image::Picture picture{image::PixelFormat(at - formats), size[0], size[1], reinterpret_cast<const uint8_t*>(&p)};
  if (const std::string reason = image::refusal(p, picture); !reason.empty())
    throw ProblemError("field 'to': " + reason);
  return problem_of(image::rows(), p, image::select(p).name, [=](const image::Kernel& kernel) {
    const double pixels = double(size[0] * size[1]) * double(image::bytes_per_pixel(picture.format)) *
                          (picture.format == image::PixelFormat::nv12 ? 1.5 : 1);
    const image::Extent extent = image::output_extent(p, size[0], size[1]);
    const int64_t n = extent.width * extent.height * p.channels();
    const Numbers from = space(static_cast<size_t>(pixels) + 2 * static_cast<size_t>(size[0])), out(n);
    const auto scratch = std::make_shared<image::Scratch>();
    const auto run = [=](ThreadPool& pool) {
      image::Picture now = picture;
      now.data = reinterpret_cast<const uint8_t*>(from.data());
      kernel.run(now, p, {out.data(), schema::DType::f32, false}, *scratch, pool);
    };
    return Ready{{}, run, 0, pixels + bytes * double(n)};
  });
}
}  // namespace tools
