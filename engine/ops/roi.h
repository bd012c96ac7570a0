// What the pools over regions of interest have in common. Op has `height`, `width` and `scale`.
#pragma once
#include <cmath>
#include "engine/op.h"

namespace engine {
// The output for x and rois of `columns` numbers each. `regions`: how many there are, as far as another input says.
template <class Op> Type infer_roi_pool(const Op& op, const InferContext& in, int64_t columns, const Dim& regions) {
  in.expect_class(0, schema::DTypeClass::real);
  in.expect_same_dtype(0, 1);
  const Dims x = in.expect_rank(0, 4);
  Dims rois = in.expect_rank(1, 2);
  check(may_equal(rois[1], columns), "regions have ", rois[1].text(), " numbers, not ", columns);
  meet(rois[0], regions, "the number of regions");
  for (int64_t extent : {op.height, op.width})
    check(extent >= 1 && extent <= INT32_MAX, "an output extent is ", extent);
  check(std::isfinite(op.scale), "the scale is ", op.scale);
  return Type::tensor(in.in(0).dtype, {rois[0], x[1], op.height, op.width});
}

// The output, and the checks that inference could make of numbers only.
template <class Op> View roi_output(const Op& op, RunContext& c, int64_t columns) {
  const ConstView& x = c.in(0);
  const int64_t shape[] = {c.in(1).shape[0], x.shape[1], op.height, op.width};
  c.expect_shape(1, {shape[0], columns});
  const View y = c.set_out(0, x.dtype, shape);
  check(y.elements() == 0 || x.elements() > 0, "there is nothing to pool in ", x.shape);
  return y;
}

inline int64_t image_of_region(int64_t region, int64_t image, int64_t batch) {
  check(image >= 0 && image < batch, "region ", region, " is in image ", image, " of ", batch);
  return image;
}
}  // namespace engine
