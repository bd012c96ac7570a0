#include <algorithm>
#include <numeric>
#include "engine/device_lowering.h"
#include "engine/ops/strides.h"

namespace engine {
namespace {
using schema::TopK;

Types infer(const TopK& op, const InferContext& in) {
  in.expect_inputs(2, 2);
  in.expect_number(0);
  in.expect_dtype(1, {DType::i64});
  const Type& x = in.in(0);
  Types types{x, x};
  if (x.ranked) {
    const int64_t axis = normal_axis(op.axis, x.rank());
    const auto wanted = in.ints(1);
    check(!wanted || wanted->size() == 1, "k must be one number");
    const Dim k = wanted ? (*wanted)[0] : Dim::unknown();
    check(!k.known() || (k.value() >= 0 && (!x.dims[axis].known() || k.value() <= x.dims[axis].value())), "k is ", k.text(), ", outside 0 to ", x.dims[axis].text());
    types[0].dims[axis] = types[1].dims[axis] = k;
  }
  types[1].dtype = DType::i64;
  types.resize(in.outputs());
  return types;
}

void reference(const TopK& op, RunContext& c) {
  const ConstView& x = c.in(0);
  const int64_t axis = normal_axis(op.axis, x.rank());
  check(c.in(1).elements() == 1, "k must be one number");
  const int64_t k = load<Int>(c.in(1), 0).v;
  const AxisSplit at(x.shape, axis);
  check(k >= 0 && k <= at.extent, "k is ", k, ", outside 0 to ", at.extent);
  Shape shape(x.shape.begin(), x.shape.end());
  shape[axis] = k;
  const View values = c.set_out(0, x.dtype, shape);
  const View indices = c.wants(1) ? c.set_out(1, DType::i64, shape) : View{};
  Scratch<int64_t> order(at.extent);
  with_carrier(x.dtype, [&]<class T>(T) {
    Scratch<T> row(at.extent);
    // NaN counts as the largest; of equals, the first comes first.
    const auto before = [&](int64_t a, int64_t b) {
      const T p = op.largest ? row[a] : row[b], q = op.largest ? row[b] : row[a];
      if (p > q || (p != p && q == q)) return true;
      if (q > p || (q != q && p == p)) return false;
      return a < b;
    };
    for (int64_t o = 0; o < at.outer; ++o)
      for (int64_t i = 0; i < at.inner; ++i) {
        for (int64_t d = 0; d < at.extent; ++d) row[d] = load<T>(x, (o * at.extent + d) * at.inner + i);
        std::iota(order.begin(), order.end(), int64_t{0});
        std::partial_sort(order.begin(), order.begin() + k, order.end(), before);
        for (int64_t d = 0; d < k; ++d) {
          const int64_t to = (o * k + d) * at.inner + i;
          store(values, to, row[order[d]]);
          if (indices.data) store(indices, to, Int(order[d]));
        }
      }
  });
}

std::optional<Lowered> lower(const TopK& op, const LowerContext& c) {
  if (!c.target || !c.constant(1)) return std::nullopt;
  const Shape x = c.in(0).shape();
  const AxisSplit s(x, normal_axis(op.axis, int64_t(x.size())));
  const kernels::cuda::TopKProblem problem{c.in(0).dtype, s.outer, s.extent, s.inner, c.out(0).shape()[size_t(normal_axis(op.axis, int64_t(x.size())))], op.largest, op.largest};
  return lower_on_device(c, &kernels::cuda::Backend::top_k, problem, [x = device_input(c, 0)](RunContext& r) {
    return kernels::cuda::TopKArgs{x.at<void>(r), out_at<void>(r), out_at<int64_t>(r, 1)};
  });
}
}  // namespace

const OpDef<TopK>& def(const TopK&) {
  static constexpr OpDef<TopK> def{
      .infer = infer, .reference = reference, .lower = lower, .on_device = true, .sized_by = 1u << 1};
  return def;
}
}  // namespace engine
