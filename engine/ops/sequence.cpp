#include "engine/op.h"

namespace engine {
namespace {
using namespace schema;
using engine::Type;

const Type& expect_sequence(const InferContext& in, size_t k = 0) {
  check(in.in(k).kind == ValueKind::sequence, "input ", k, " must be a sequence");
  return in.in(k);
}
void expect_position(const InferContext& in, size_t k) {
  in.expect_dtype(k, {DType::i32, DType::i64});
  check(!in.in(k).ranked || in.in(k).rank() == 0 || in.in(k).rank() == 1, "the position must be a scalar");
}

// Where in a sequence of `size` items input k points, counted from the front. Up to `last`.
int64_t position(RunContext& c, size_t k, int64_t size, int64_t last) {
  check(c.in(k).elements() == 1, "the position must be one number");
  const int64_t at = load<Int>(c.in(k), 0).v;
  check(at >= -size && at <= last, "position ", at, " is out of range for ", size, " items");
  return at < 0 ? at + size : at;
}

const Object& sequence(RunContext& c) { return *c.in(0).object; }

Types infer_construct(const SequenceConstruct& op, const InferContext& in) {
  if (!in.inputs()) return {Type::sequence(Type::unranked(op.dtype))};
  Type element = in.in(0);
  for (size_t k = 0; k < in.inputs(); ++k) {
    in.expect_same_dtype(0, k);
    element = generalise(element, in.in(k));
  }
  return {Type::sequence(element)};
}
void construct(const SequenceConstruct& op, RunContext& c) {
  Object& y = c.object(0);
  y.set_empty(ValueKind::sequence, c.inputs() ? c.in(0).dtype : op.dtype);
  y.items.resize(c.inputs());
  for (size_t k = 0; k < c.inputs(); ++k) y.items[k].assign(c.in(k));
}

Types infer_insert(const SequenceInsert&, const InferContext& in) {
  in.expect_inputs(2, 3);
  const Type& element = *expect_sequence(in).element;
  in.expect_tensor(1);
  check(element.dtype == in.in(1).dtype, "the tensor has another dtype than the sequence");
  if (in.has(2)) expect_position(in, 2);
  return {Type::sequence(generalise(element, in.in(1)))};
}
void insert(const SequenceInsert&, RunContext& c) {
  Object& y = c.object(0);
  y.assign(c.in(0));
  const int64_t size = int64_t(y.items.size()), at = c.has(2) ? position(c, 2, size, size) : size;
  y.items.insert(y.items.begin() + at, Object())->assign(c.in(1));
}

Types infer_at(const SequenceAt&, const InferContext& in) {
  in.expect_inputs(2, 2);
  const Type& element = *expect_sequence(in).element;
  expect_position(in, 1);
  return {Type::unranked(element.dtype)};  // items differ in shape
}
void at(const SequenceAt&, RunContext& c) {
  const int64_t size = int64_t(sequence(c).items.size());
  c.set_out(0, sequence(c).items[position(c, 1, size, size - 1)].view());
}

Types infer_erase(const SequenceErase&, const InferContext& in) {
  in.expect_inputs(1, 2);
  if (in.has(1)) expect_position(in, 1);
  return {expect_sequence(in)};
}
void erase(const SequenceErase&, RunContext& c) {
  Object& y = c.object(0);
  y.assign(c.in(0));
  const int64_t size = int64_t(y.items.size());
  check(size > 0, "the sequence is empty");
  y.items.erase(y.items.begin() + (c.has(1) ? position(c, 1, size, size - 1) : size - 1));
}

Types infer_length(const SequenceLength&, const InferContext& in) {
  in.expect_inputs(1, 1);
  expect_sequence(in);
  return {Type::scalar(DType::i64)};
}
void length(const SequenceLength&, RunContext& c) { store(c.out(0), 0, Int(sequence(c).items.size())); }
}  // namespace

const OpDef<SequenceConstruct>& def(const SequenceConstruct&) {
  static constexpr OpDef<SequenceConstruct> def{.infer = infer_construct, .reference = construct};
  return def;
}
const OpDef<SequenceInsert>& def(const SequenceInsert&) {
  static constexpr OpDef<SequenceInsert> def{.infer = infer_insert, .reference = insert};
  return def;
}
const OpDef<SequenceAt>& def(const SequenceAt&) {
  static constexpr OpDef<SequenceAt> def{.infer = infer_at, .reference = at};
  return def;
}
const OpDef<SequenceErase>& def(const SequenceErase&) {
  static constexpr OpDef<SequenceErase> def{.infer = infer_erase, .reference = erase};
  return def;
}
const OpDef<SequenceLength>& def(const SequenceLength&) {
  static constexpr OpDef<SequenceLength> def{.infer = infer_length, .reference = length};
  return def;
}
}  // namespace engine
