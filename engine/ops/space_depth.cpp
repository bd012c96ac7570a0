#include "engine/ops/device_copies.h"

namespace engine {
namespace {
using schema::DepthToSpace, schema::SpaceToDepth;

void check_input(const InferContext& in, int64_t block) {
  in.expect_inputs(1, 1);
  in.expect_tensor(0);
  check(block > 0 && block <= (1 << 15), "the block size ", block, " is out of range");
  check(!in.in(0).ranked || in.in(0).rank() == 4, "expects [N,C,H,W], not rank ", in.in(0).rank());
}

Types infer_to_space(const DepthToSpace& op, const InferContext& in) {
  check_input(in, op.block);
  Type y = in.in(0);
  if (!y.ranked) return {y};
  const int64_t square = op.block * op.block;
  check(!y.dims[1].known() || y.dims[1].value() % square == 0, "channels ", y.dims[1].text(), " are no multiple of ", square);
  y.dims = {y.dims[0], y.dims[1] / square, y.dims[2] * op.block, y.dims[3] * op.block};
  return {y};
}

// The channels of x are [block row, block column, c] (dcr) or [c, block row, block column] (crd).
Nest<2> nest_of(const DepthToSpace& op, std::span<const int64_t> x) {
  const int64_t b = op.block, channels = x[1] / (b * b), plane = x[2] * x[3];
  const bool dcr = op.mode == schema::DepthMode::dcr;
  const int64_t at_channel = (dcr ? 1 : b * b) * plane, at_row = (dcr ? b * channels : b) * plane, at_column = (dcr ? channels : 1) * plane;
  const Shape extents{x[0], channels, x[2], b, x[3], b};
  return {extents, {dense_strides(extents), Shape{x[1] * plane, at_channel, x[3], at_row, 1, at_column}}};
}

Types infer_to_depth(const SpaceToDepth& op, const InferContext& in) {
  check_input(in, op.block);
  Type y = in.in(0);
  if (!y.ranked) return {y};
  for (size_t i = 2; i < 4; ++i) check(!y.dims[i].known() || y.dims[i].value() % op.block == 0, "extent ", y.dims[i].text(), " is no multiple of ", op.block);
  y.dims = {y.dims[0], y.dims[1] * (op.block * op.block), y.dims[2] / op.block, y.dims[3] / op.block};
  return {y};
}

Nest<2> nest_of(const SpaceToDepth& op, std::span<const int64_t> x) {
  const int64_t b = op.block, plane = x[2] * x[3];
  // The channels of y are [block row, block column, c] (dcr) or [c, block row, block column] (crd).
  const bool dcr = op.mode == schema::DepthMode::dcr;
  const Shape extents = dcr ? Shape{x[0], b, b, x[1], x[2] / b, x[3] / b} : Shape{x[0], x[1], b, b, x[2] / b, x[3] / b};
  const Shape strides = dcr ? Shape{x[1] * plane, x[3], 1, plane, b * x[3], b} : Shape{x[1] * plane, plane, x[3], 1, b * x[3], b};
  return {extents, {dense_strides(extents), strides}};
}

template <class Op> void reference(const Op& op, RunContext& c) { copy_nest(c.out(0), c.in(0), nest_of(op, c.in(0).shape)); }
template <class Op> std::optional<Lowered> lower(const Op& op, const LowerContext& c) {
  if (!c.target || c.in(0).dtype == DType::string) return std::nullopt;
  const StridedCopy copy{0, 0, nest_of(op, c.in(0).shape())};
  return lower_copies(c, std::span(&copy, 1));
}
}  // namespace

const OpDef<DepthToSpace>& def(const DepthToSpace&) {
  static constexpr OpDef<DepthToSpace> def{.infer = infer_to_space, .reference = reference<DepthToSpace>, .lower = lower<DepthToSpace>, .on_device = true, .keeps_half = true};
  return def;
}
const OpDef<SpaceToDepth>& def(const SpaceToDepth&) {
  static constexpr OpDef<SpaceToDepth> def{.infer = infer_to_depth, .reference = reference<SpaceToDepth>, .lower = lower<SpaceToDepth>, .on_device = true, .keeps_half = true};
  return def;
}
}  // namespace engine
