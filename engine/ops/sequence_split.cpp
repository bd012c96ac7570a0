#include <algorithm>
#include "engine/op.h"
#include "engine/ops/strides.h"

namespace engine {
namespace {
using schema::ConcatFromSequence, schema::SplitToSequence;

Types infer_split(const SplitToSequence& op, const InferContext& in) {
  in.expect_inputs(1, 2);
  in.expect_tensor(0);
  if (in.has(1)) in.expect_dtype(1, {DType::i32, DType::i64});
  if (in.in(0).ranked) normal_axis(op.axis, in.in(0).rank());
  return {Type::sequence(Type::unranked(in.in(0).dtype))};
}

// The extents of the parts: as given, or equal ones of the given size with the rest in the last.
Scratch<int64_t> part_sizes(RunContext& c, int64_t extent) {
  if (!c.has(1)) return Scratch<int64_t>(size_t(extent), 1);
  const std::vector<int64_t> given = to_ints(c.in(1));
  Scratch<int64_t> sizes(given.begin(), given.end());
  if (c.in(1).rank() == 0) {
    const int64_t size = sizes[0];
    check(size > 0, "a part has size ", size);
    sizes.assign(extent / size, size);
    if (extent % size) sizes.push_back(extent % size);
  }
  int64_t sum = 0;
  for (int64_t s : sizes) {
    check(s >= 0 && s <= extent - sum, "sizes do not add up to the extent ", extent);
    sum += s;
  }
  check(sum == extent, "sizes add up to ", sum, " and not to the extent ", extent);
  return sizes;
}

void split(const SplitToSequence& op, RunContext& c) {
  const ConstView& x = c.in(0);
  const int64_t axis = normal_axis(op.axis, x.rank());
  const AxisSplit from(x.shape, axis);
  Object& y = c.object(0);
  y.set_empty(ValueKind::sequence, x.dtype);
  Shape shape(x.shape.begin(), x.shape.end());
  int64_t first = 0;
  for (int64_t size : part_sizes(c, from.extent)) {
    shape[axis] = size;
    Shape part = shape;
    if (!c.has(1) && !op.keepdims) part.erase(part.begin() + axis);
    const View to = y.items.emplace_back().set_tensor(x.dtype, part);
    for (int64_t o = 0; o < from.outer; ++o)
      copy_elements(to, o * size * from.inner, x, (o * from.extent + first) * from.inner, size * from.inner);
    first += size;
  }
}

Types infer_concat(const ConcatFromSequence&, const InferContext& in) {
  in.expect_inputs(1, 1);
  check(in.in(0).kind == ValueKind::sequence, "expects a sequence");
  return {Type::unranked(in.in(0).element->dtype)};
}

void concat(const ConcatFromSequence& op, RunContext& c) {
  const auto& items = c.in(0).object->items;
  check(!items.empty(), "the sequence is empty");
  const Shape& first = items[0].shape;
  const int64_t axis = normal_axis(op.axis, int64_t(first.size()) + op.new_axis);
  Shape shape = first;
  if (op.new_axis) shape.insert(shape.begin() + axis, 0);
  shape[axis] = 0;
  for (const Object& item : items) {
    Shape expected = first, given = item.shape;
    if (!op.new_axis && given.size() == expected.size()) expected[axis] = given[axis];
    check(given == expected && item.dtype == items[0].dtype, "items of shape ", first, " and ", item.shape,
          " do not fit together");
    shape[axis] += op.new_axis ? 1 : item.shape[axis];
  }
  const View y = c.set_out(0, items[0].dtype, shape);
  const AxisSplit to(shape, axis);
  int64_t at = 0;
  for (const Object& item : items) {
    const int64_t size = op.new_axis ? 1 : item.shape[axis];
    for (int64_t o = 0; o < to.outer; ++o)
      copy_elements(y, (o * to.extent + at) * to.inner, item.view(), o * size * to.inner, size * to.inner);
    at += size;
  }
}
}  // namespace

const OpDef<SplitToSequence>& def(const SplitToSequence&) {
  static constexpr OpDef<SplitToSequence> def{.infer = infer_split, .reference = split};
  return def;
}
const OpDef<ConcatFromSequence>& def(const ConcatFromSequence&) {
  static constexpr OpDef<ConcatFromSequence> def{.infer = infer_concat, .reference = concat};
  return def;
}
}  // namespace engine
