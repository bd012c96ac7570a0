#include <algorithm>
#include "engine/op.h"

namespace engine {
namespace {

// Dims [from, to) of a tensor of this rank.
std::pair<int64_t, int64_t> range_of(const schema::Shape& op, int64_t rank) {
  const auto clip = [&](int64_t i) { return std::clamp<int64_t>(i < 0 ? i + rank : i, 0, rank); };
  const int64_t from = clip(op.start);
  return {from, std::max(from, clip(op.end))};
}

Types infer_shape(const schema::Shape& op, const InferContext& in) {
  in.expect_inputs(1, 1);
  in.expect_tensor(0);
  if (!in.in(0).ranked) return {Type::tensor(DType::i64, {Dim::unknown()})};
  const auto [from, to] = range_of(op, in.in(0).rank());
  return {Type::tensor(DType::i64, {Dim(to - from)})};
}

void shape(const schema::Shape& op, RunContext& c) {
  const ConstView& x = c.in(0);
  const auto [from, to] = range_of(op, x.rank());
  const int64_t count = to - from;
  const View y = c.set_out(0, DType::i64, {&count, 1});
  std::copy_n(x.shape.begin() + from, count, y.as<int64_t>().begin());
}

Types infer_size(const schema::Size&, const InferContext& in) {
  in.expect_inputs(1, 1);
  in.expect_tensor(0);
  return {Type::scalar(DType::i64)};
}

void size(const schema::Size&, RunContext& c) { store(c.out(0), 0, Int(c.in(0).elements())); }
}  // namespace

const OpDef<schema::Shape>& def(const schema::Shape&) {
  static constexpr OpDef<schema::Shape> def{.infer = infer_shape, .reference = shape};
  return def;
}
const OpDef<schema::Size>& def(const schema::Size&) {
  static constexpr OpDef<schema::Size> def{.infer = infer_size, .reference = size};
  return def;
}
}  // namespace engine
