#include <algorithm>
#include "engine/device_lowering.h"
#include "engine/ops/strides.h"

namespace engine {
namespace {
using schema::Trilu;

Types infer(const Trilu&, const InferContext& in) {
  in.expect_inputs(1, 2);
  in.expect_tensor(0);
  if (in.has(1)) in.expect_dtype(1, {DType::i64});
  check(!in.in(0).ranked || in.in(0).rank() >= 2, "expects matrices, not rank ", in.in(0).rank());
  return {in.in(0)};
}

void reference(const Trilu& op, RunContext& c) {
  const ConstView& x = c.in(0);
  const View y = c.out(0);
  check(!c.has(1) || c.in(1).elements() == 1, "k must be one number");
  const int64_t rows = x.shape[x.rank() - 2], columns = x.shape[x.rank() - 1];
  const int64_t k = std::clamp(c.has(1) ? load<Int>(c.in(1), 0).v : 0, -rows, columns);
  const Object zero = zero_of(x.dtype);
  for (int64_t row = 0, first = 0, n = x.elements() / std::max<int64_t>(columns, 1); row < n; ++row, first += columns) {
    // The upper triangle keeps columns from `cut` on, the lower one those before.
    const int64_t cut = std::clamp<int64_t>(row % rows + k + (op.upper ? 0 : 1), 0, columns);
    const int64_t from = op.upper ? cut : 0, to = op.upper ? columns : cut;
    fill(y, first, from, zero.view());
    copy_elements(y, first + from, x, first + from, to - from);
    fill(y, first + to, columns - to, zero.view());
  }
}

std::optional<Lowered> lower(const Trilu& op, const LowerContext& c) {
  if (!c.target || (c.has(1) && (!c.constant(1) || c.constant(1)->view().elements() != 1))) return std::nullopt;
  const Shape x = c.in(0).shape();
  const int64_t rows = x[x.size() - 2], columns = x.back();
  const int64_t k = std::clamp(c.has(1) ? load<Int>(c.constant(1)->view(), 0).v : 0, -rows, columns);
  const int bits = bits_of(c.in(0).dtype);
  return lower_map_on_device(c, &kernels::cuda::Backend::triangle, kernels::cuda::TriangleProblem{bits % 8 ? 0 : bits / 8, product(std::span(x).first(x.size() - 2)), rows, columns, k, op.upper});
}
}  // namespace

const OpDef<Trilu>& def(const Trilu&) {
  static constexpr OpDef<Trilu> def{.infer = infer, .reference = reference, .lower = lower, .on_device = true, .inplace_input = input_at<Trilu, 0>};
  return def;
}
}  // namespace engine
