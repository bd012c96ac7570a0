// Recurrent nets on a device: for each direction a product of all steps' inputs, and the recurrence.
#include "engine/device_lowering.h"
#include "engine/ops/lowering.h"

namespace engine {
namespace {
using kernels::cuda::GemmProblem, kernels::cuda::RnnProblem;
using schema::Rnn, schema::RnnDirection, schema::RnnKind;
namespace pw = kernels::pointwise;

// [directions][biases of the product, G*H; of a gru's hidden gate beside h, H] from b [directions, 2*G*H].
void pack_biases(const kernels::rnn::Spec& s, int64_t directions, const float* b, float* to) {
  const int64_t rows = s.gates() * s.hidden, apart = s.kind == RnnKind::gru ? 2 * s.hidden : rows;  // from there on
  for (int64_t d = 0; d < directions; ++d, b += 2 * rows) {
    for (int64_t i = 0; i < rows; ++i) *to++ = i < apart ? b[i] + b[rows + i] : b[i];
    for (int64_t i = 0; i < s.hidden; ++i) *to++ = s.kind == RnnKind::gru ? b[rows + apart + i] : 0;
  }
}
}  // namespace

std::optional<Lowered> lower_rnn_on_device(const Rnn& op, const kernels::rnn::Spec& spec, const LowerContext& c) {
  const Shape x = c.in(0).shape();
  const int64_t time = x[0], batch = x[1], directions = c.in(2).shape()[0], rows = spec.gates() * spec.hidden, states = batch * spec.hidden;
  GemmProblem product{.m = time * batch, .n = rows, .k = spec.input, .lda = spec.input, .ldb = spec.input, .ldc = rows, .trans_b = true};
  product.precision = c.target->precision;
  if (c.has(3)) product.chain.push(pw::Stage::of(schema::BinaryKind::add, 0, pw::Mode::per_column));
  const auto* gemm = row_for(c, &kernels::cuda::Backend::gemm, product);
  RnnProblem problem{spec, time, batch, false, directions * states};
  const auto* row = row_for(c, &kernels::cuda::Backend::rnn, problem);
  if (!gemm || !row) return std::nullopt;
  const int64_t of_product = gemm->scratch ? gemm->scratch(product) : 0, of_recurrence = row->scratch(problem);
  const int64_t gates = time * batch * rows * int64_t(sizeof(float)), own = std::max(of_product, of_recurrence);
  DeviceInput biases;
  if (c.has(3))
    biases = packed_device_input(c, 3, cat("rnn biases ", int(spec.kind), " h", spec.hidden, " d", directions), size_t(directions * (rows + spec.hidden)) * sizeof(float),
                                 [&](std::byte* to) { pack_biases(spec, directions, reinterpret_cast<const float*>(c.constant(3)->data), reinterpret_cast<float*>(to)); });
  const bool backward = op.direction == RnnDirection::reverse;
  return Lowered{row->name, [=, x = device_input(c, 0), w = device_input(c, 1), recurrent = device_input(c, 2), lengths = device_input(c, 4), h0 = device_input(c, 5),
                             c0 = device_input(c, 6)](RunContext& r) {
    auto* const gates_x = reinterpret_cast<float*>(r.scratch());
    std::byte* const scratch = r.scratch() + gates;
    auto* const spare = reinterpret_cast<float*>(scratch + own);
    const auto direction = [&](const float* from, int64_t d, int64_t step) { return from ? from + d * step : nullptr; };
    for (int64_t d = 0; d < directions; ++d) {
      const float* bias = direction(biases.at(r), d, rows + spec.hidden);
      kernels::cuda::GemmArgs a{x.at(r), w.at(r) + d * rows * spec.input, gates_x, {}};
      a.operands[0] = {bias, 0}, a.scratch = scratch;
      require_done(gemm->run(product, a, r.stream_));
      RnnProblem p = problem;
      p.reverse = backward || d == 1;
      const auto out = [&](size_t k, int64_t otherwise) { return r.wants(k) ? out_at(r, k) + d * states : spare + otherwise * states; };
      require_done(row->run(p, {gates_x, recurrent.at(r) + d * rows * spec.hidden, direction(bias, 1, rows), direction(h0.at(r), d, states), direction(c0.at(r), d, states),
                                lengths.at<int32_t>(r), r.wants(0) ? out_at(r) + d * states : nullptr, out(1, 0), out(2, 1), scratch}, r.stream_));
    }
  }, gates + own + 2 * states * int64_t(sizeof(float))};
}
}  // namespace engine
