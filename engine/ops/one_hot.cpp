#include "engine/device_lowering.h"
#include "engine/ops/real_to_int.h"
#include "engine/ops/strides.h"

namespace engine {
namespace {
using schema::OneHot;

int64_t integer(const ConstView& x, int64_t i) { return schema::is_real(x.dtype) ? real_to_int(load<double>(x, i)).v : load<Int>(x, i).v; }

Types infer(const OneHot& op, const InferContext& in) {
  in.expect_inputs(3, 3);
  in.expect_number(0), in.expect_number(1);
  in.expect_tensor(2);
  const Type &indices = in.in(0), &values = in.in(2);
  if (values.ranked) check(values.rank() == 1 && may_equal(values.dims[0], 2), "the values must be two: off and on");
  if (!indices.ranked) return {Type::unranked(values.dtype)};
  const int64_t axis = normal_axis(op.axis, indices.rank() + 1);
  Dim depth = Dim::unknown();
  if (const ConstantPtr d = in.constant(1); d && d->view().elements() == 1) depth = integer(d->view(), 0);
  check(!depth.known() || (depth.value() >= 0 && depth.value() <= limits::extent), "depth ", depth.text(), " is out of range");
  Dims dims = indices.dims;
  dims.insert(dims.begin() + axis, depth);
  return {Type::tensor(values.dtype, dims)};
}

void reference(const OneHot& op, RunContext& c) {
  const ConstView &indices = c.in(0), &values = c.in(2);
  check(c.in(1).elements() == 1 && values.elements() == 2, "expects one depth and two values");
  const int64_t depth = integer(c.in(1), 0);
  check(depth >= 0 && depth <= limits::extent, "depth ", depth, " is out of range");
  const int64_t axis = normal_axis(op.axis, indices.rank() + 1);
  Shape shape(indices.shape.begin(), indices.shape.end());
  shape.insert(shape.begin() + axis, depth);
  const View y = c.set_out(0, values.dtype, shape);
  const AxisSplit at(shape, axis);
  fill(y, 0, y.elements(), values);
  for (int64_t o = 0; o < at.outer; ++o)
    for (int64_t i = 0; i < at.inner; ++i) {
      int64_t index = integer(indices, o * at.inner + i);
      if (index < 0) index += depth;
      if (index >= 0 && index < depth) copy_elements(y, (o * depth + index) * at.inner + i, values, 1, 1);
    }
}

std::optional<Lowered> lower(const OneHot& op, const LowerContext& c) {
  const int bits = bits_of(c.in(2).dtype);
  if (!c.target || bits % 8 || c.in(2).shape() != Shape{2}) return std::nullopt;
  const Shape y = c.out(0).shape();
  const AxisSplit at(y, normal_axis(op.axis, int64_t(y.size())));
  return lower_on_device(c, &kernels::cuda::Backend::one_hot, kernels::cuda::OneHotProblem{c.in(0).dtype, bits / 8, at.outer, at.extent, at.inner},
                         [indices = device_input(c, 0), values = device_input(c, 2)](RunContext& r) {
    return kernels::cuda::OneHotArgs{indices.at<void>(r), values.at<void>(r), out_at<void>(r)};
  });
}
}  // namespace

const OpDef<OneHot>& def(const OneHot&) {
  static constexpr OpDef<OneHot> def{
      .infer = infer, .reference = reference, .lower = lower, .on_device = true, .sized_by = 1u << 1};
  return def;
}
}  // namespace engine
