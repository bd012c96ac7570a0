#include <algorithm>
#include "engine/ops/conv_transpose.h"
#include "engine/ops/strides.h"

namespace engine {
namespace {
using schema::MaxUnpool;

// The tensor that the indices are into: its extents are those of a transposed convolution.
Dims indexed_dims(const MaxUnpool& op, const Dims& x) {
  const size_t dims = op.kernel.size();
  check(x.size() == dims + 2, "x has rank ", x.size(), " for a kernel of ", dims, " dims");
  const schema::ConvTranspose inverse{op.stride, {}, op.pad, {}, {}, 1, schema::AutoPad::none};
  const auto spatial = all_windows(inverse, dims);
  Dims out(x.begin(), x.begin() + 2);
  for (size_t d = 0; d < dims; ++d) {
    check_kernel(op.kernel[d]);
    out.emplace_back();
    if (x[d + 2] == Dim(0)) out.back() = 0;
    else resolve(inverse, d, spatial[d], x[d + 2], op.kernel[d], &out.back());
  }
  return out;
}

// The output: the same, or the shape that is asked for.
Dims output_dims(const Dims& indexed, const std::optional<Dims>& shape) {
  if (!shape) return indexed;
  check(shape->size() == indexed.size(), "the output shape has ", shape->size(), " entries, not ", indexed.size());
  for (size_t d = 0; d < indexed.size(); ++d) {
    const Dim &from = indexed[d], &to = (*shape)[d];
    check(!to.known() || (to.value() >= 0 && to.value() <= limits::extent), "output extent ", to.text(),
          " is out of range");
    check(d < 2 ? may_equal(from, to) : !from.known() || !to.known() || to.value() >= from.value(),
          "the output shape has extent ", to.text(), " where x fills ", from.text());
  }
  return *shape;
}

Types infer(const MaxUnpool& op, const InferContext& in) {
  in.expect_inputs(2, 3);
  in.expect_number(0);
  in.expect_dtype(1, {DType::i64});
  const int64_t rank = int64_t(op.kernel.size()) + 2;
  check(rank >= 3 && rank <= limits::rank, "the kernel has ", rank - 2, " dims");
  Dims x = in.expect_rank(0, rank);
  const Dims indices = in.expect_rank(1, rank);
  for (size_t d = 0; d < x.size(); ++d) meet(x[d], indices[d], "an extent of x and of the indices");
  std::optional<Dims> shape;
  if (in.has(2)) {
    in.expect_dtype(2, {DType::i64});
    const Dim entries = in.expect_rank(2, 1)[0];
    check(may_equal(entries, rank), "the output shape has ", entries.text(), " entries, not ", rank);
    shape = in.ints(2).value_or(Dims(size_t(rank), Dim::unknown()));
  }
  return {Type::tensor(in.in(0).dtype, output_dims(indexed_dims(op, x), shape))};
}

void reference(const MaxUnpool& op, RunContext& c) {
  const ConstView &x = c.in(0), &indices = c.in(1);
  check(std::ranges::equal(x.shape, indices.shape), "x is ", x.shape, " and the indices ", to_text(indices.shape));
  const auto dims_of = [](std::span<const int64_t> list) { return Dims(list.begin(), list.end()); };
  const Dims indexed = indexed_dims(op, dims_of(x.shape));
  const Dims shape = output_dims(indexed, c.has(2) ? std::optional(dims_of(small_ints(c.in(2)))) : std::nullopt);
  const View y = c.set_out(0, x.dtype, Type::tensor(x.dtype, shape).shape());
  std::fill_n(y.data, y.bytes(), std::byte{});
  const Shape from = Type::tensor(x.dtype, indexed).shape();
  const int64_t places = elements(from);
  const Extents strides = dense_strides(y.shape);
  const auto flat = indices.as<int64_t>();
  with_mover(x.dtype, [&](auto mover) {
    for (int64_t i = 0, n = x.elements(); i < n; ++i) {
      const int64_t index = flat[size_t(i)];
      check(index >= 0 && index < places, "index ", index, " is outside of the ", places, " elements of ",
            to_text(from));
      int64_t to = 0, rest = index;
      for (size_t d = from.size(); d-- > 0; rest /= from[d]) to += rest % from[d] * strides[d];
      mover.move(y.data, to, x.data, i);
    }
  });
}
}  // namespace

const OpDef<MaxUnpool>& def(const MaxUnpool&) {
  static constexpr OpDef<MaxUnpool> def{.infer = infer, .reference = reference};
  return def;
}
}  // namespace engine
