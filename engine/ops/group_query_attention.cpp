// Grouped-query attention, as ONNX Runtime defines it for its cache.
#include "engine/ops/group_query_attention.h"

namespace engine {
namespace gqa {
namespace {
int64_t number(const ConstView& v, int64_t i) { return load<Int>(v, i).v; }
}  // namespace

void check_extents(const schema::GroupQueryAttention& op, const RunContext& c) {
  const auto q = c.in(0).shape;
  const int64_t batch = q[0], length = q[1], size = q[2] / op.heads;
  const auto fits = [&](size_t k, std::initializer_list<int64_t> wanted) {
    constexpr int64_t any = -1;
    bool fit = !c.has(k) || c.in(k).shape.size() == wanted.size();
    for (size_t d = 0; fit && c.has(k) && d < wanted.size(); ++d) fit = wanted.begin()[d] == any || c.in(k).shape[d] == wanted.begin()[d];
    if (!fit) fail(Code::invalid_argument, "input ", k, " is ", c.in(k).shape, ", which does not fit q ", q);
  };
  const auto counts = [&](size_t k, int64_t wanted) {
    if (c.has(k) && c.in(k).elements() != wanted)
      fail(Code::invalid_argument, "input ", k, " is ", c.in(k).shape, " where ", wanted, " numbers are needed");
  };
  if (size <= 0 || q[2] % op.heads)
    fail(Code::invalid_argument, "q is ", q, ", which ", op.heads, " heads do not share");
  for (const size_t k : {1, 2}) fits(k, {batch, length, op.kv_heads * size});
  const int64_t past = c.has(past_k) ? c.in(past_k).shape[2] : 0, stored = c.has(k_scale) && c.in(past_k).dtype == DType::u8 ? size / 2 : size;
  for (const size_t k : {past_k, past_v}) fits(k, {batch, op.kv_heads, past, stored});
  for (const size_t k : {lengths, valid_lengths}) counts(k, batch);
  if (op.rotary) {
    const auto cos = c.in(cos_table).shape;
    if (cos[1] * 2 > size) fail(Code::invalid_argument, "cos is ", cos, " for heads of ", size);
    fits(sin_table, {cos[0], cos[1]});
    fits(position_ids, {batch, length});
  }
  fits(bias_of_scores, {-1, -1, length, -1});
  if (c.has(bias_of_scores)) {
    const auto d = c.in(bias_of_scores).shape;
    fits(bias_of_scores, {d[0] == 1 ? 1 : batch, d[1] == 1 ? 1 : op.heads, length, -1});
  }
  counts(sinks, op.heads), counts(q_norm, size), counts(k_norm, size);
}

Tokens tokens_of(const RunContext& c, int64_t b, int64_t total) {
  const int64_t length = c.in(0).shape[1], after = number(c.in(lengths), b) + 1, valid = c.has(valid_lengths) ? number(c.in(valid_lengths), b) : std::min(length, after);
  check(after >= 0 && after <= total, "sequence ", b, " has ", after, " tokens of a total of ", total);
  check(valid >= 0 && valid <= length && valid <= after, "sequence ", b, " has ", valid, " new tokens of ", length, ", and ", after, " in all");
  return {after, valid, after - valid};
}
int64_t position_of(const RunContext& c, int64_t b, int64_t s, int64_t before, int64_t total) {
  const int64_t length = c.in(0).shape[1];
  if (!c.has(position_ids)) return before + s;
  return total == length && !c.has(valid_lengths) ? number(c.in(position_ids), 0) + s : number(c.in(position_ids), b * length + s);
}
int64_t total_of(const RunContext& c) {
  check(c.in(total).elements() == 1, "the total length must have one element");
  const int64_t n = number(c.in(total), 0);
  check(n >= 0 && n <= limits::extent, "the total length is ", n);
  return n;
}
}  // namespace gqa

namespace {
using namespace gqa;
using schema::GroupQueryAttention;

Types infer(const GroupQueryAttention& op, const InferContext& in) {
  in.expect_inputs(3, 17);
  in.expect_class(0, schema::DTypeClass::real);
  check(op.heads >= 1 && op.kv_heads >= 1 && op.heads % op.kv_heads == 0, op.heads, " heads do not divide among ", op.kv_heads, " of the cache");
  check(in.has(lengths) && in.has(total), "the sequence lengths are missing");
  check(in.has(past_k) == in.has(past_v), "past k and past v come together");
  check(in.has(q_norm) == in.has(k_norm), "the norms of q and k come together");
  check(!op.rotary || (in.has(cos_table) && in.has(sin_table)), "a rotary embedding needs cos and sin");
  check(!op.sliding || (in.has(past_k) && op.window > 0), "a sliding cache needs a past and a window");
  check(op.causal || op.window <= 0, "a window needs causal attention");
  check(in.outputs() <= 4, "has 4 outputs");
  check(op.scores >= 0 && op.scores <= 2 && (op.scores || in.outputs() < 4), "gives no scores");
  check(in.has(k_scale) == in.has(v_scale) && (!in.has(k_scale) || in.has(past_k)), "a quantised cache has a past and scales of both k and v");
  const DType cached = in.has(k_scale) ? in.in(past_k).dtype : in.in(0).dtype;
  if (in.has(k_scale)) {
    for (size_t k : {past_k, past_v}) in.expect_dtype(k, {DType::i8, DType::u8, DType::f8e4m3fn});
    in.expect_same_dtype(past_k, past_v);
    for (size_t k : {k_scale, v_scale}) in.expect_dtype(k, {DType::f32});
  }
  const int64_t per_element = cached == DType::u8 ? 2 : 1;
  for (size_t k : {lengths, total, valid_lengths})
    if (in.has(k)) in.expect_dtype(k, {DType::i32});
  if (in.has(position_ids)) in.expect_dtype(position_ids, {DType::i64});
  Dim batch = Dim::unknown(), length = Dim::unknown(), past = in.has(past_k) ? Dim::unknown() : Dim(0), size = Dim::unknown();
  const auto ranked = [&](size_t k, int64_t rank, const char* what) {
    if (!in.has(k)) return false;
    if (k != lengths && k != valid_lengths && k != position_ids && !(in.has(k_scale) && (k == past_k || k == past_v))) in.expect_same_dtype(0, k);
    check(!in.in(k).ranked || in.in(k).rank() == rank, what, " is ", in.in(k), " where rank ", rank, " is needed");
    return in.in(k).ranked;
  };
  const char* names[] = {"q", "k", "v"};
  for (size_t k = 0; k < 3; ++k) {
    if (!ranked(k, 3, names[k])) continue;
    const Dims& d = in.in(k).dims;
    const int64_t heads = k ? op.kv_heads : op.heads;
    check(!d[2].known() || (d[2].value() > 0 && d[2].value() % heads == 0), names[k], " is ", in.in(k), ", which ",
          heads, " heads do not share");
    meet(batch, d[0], "batch"), meet(length, d[1], "length"), meet(size, d[2] / heads, "head size");
  }
  for (size_t k : {past_k, past_v}) {
    if (!ranked(k, 4, "the past")) continue;
    const Dims& d = in.in(k).dims;
    check(may_equal(d[1], op.kv_heads), "the past is ", in.in(k), " for ", op.kv_heads, " heads");
    meet(batch, d[0], "batch"), meet(past, d[2], "past length"), meet(size, d[3] * per_element, "head size");
  }
  for (size_t k : {lengths, valid_lengths}) {
    if (!in.has(k) || !in.in(k).ranked) continue;
    Dim count = 1;
    for (const Dim& d : in.in(k).dims) count = count * d;
    check(may_equal(count, batch), "there are ", count.text(), " sequence lengths for a batch of ", batch.text());
  }
  for (size_t k : {cos_table, sin_table})
    if (ranked(k, 2, "cos or sin"))
      check(!in.in(k).dims[1].known() || !size.known() || in.in(k).dims[1].value() * 2 <= size.value(),
            "cos or sin is ", in.in(k), " for heads of ", size.text());
  if (ranked(cos_table, 2, "cos") && ranked(sin_table, 2, "sin"))
    check(may_equal(in.in(cos_table).dims[0], in.in(sin_table).dims[0]) && may_equal(in.in(cos_table).dims[1], in.in(sin_table).dims[1]), "cos and sin differ");
  if (ranked(position_ids, 2, "the positions"))
    check(may_equal(in.in(position_ids).dims[0], batch) && may_equal(in.in(position_ids).dims[1], length),
          "the positions are ", in.in(position_ids));
  if (ranked(bias_of_scores, 4, "the bias")) {
    const Dims& d = in.in(bias_of_scores).dims;
    check((d[0] == Dim(1) || may_equal(d[0], batch)) && (d[1] == Dim(1) || may_equal(d[1], op.heads)) &&
              may_equal(d[2], length),
          "the bias is ", in.in(bias_of_scores));
  }
  if (ranked(sinks, 1, "the sinks"))
    check(may_equal(in.in(sinks).dims[0], op.heads), "the sinks are ", in.in(sinks), " for ", op.heads, " heads");
  for (size_t k : {q_norm, k_norm})
    if (ranked(k, 1, "a norm"))
      check(may_equal(in.in(k).dims[0], size), "a norm of ", in.in(k), " for heads of ", size.text());
  // The cache has room for the total; where that is not known, the run says how much that is.
  const auto all = in.known_scalar(total);
  const Dim grown = past + length;
  Dim rows = Dim::unknown();
  if (op.sliding) rows = past;
  else if (all && *all == grown) rows = grown;
  else if (all) rows = max(*all, past);
  const DType dtype = in.in(0).dtype;
  for (size_t k : {k_scale, v_scale})
    if (in.has(k) && in.in(k).determined() && size.known())
      check(elements(in.in(k).shape()) == 1 || elements(in.in(k).shape()) == op.kv_heads * size.value(),
            "the scale of the cache is ", in.in(k));
  const Type present = Type::tensor(cached, {batch, op.kv_heads, rows, size / per_element});
  Types types{Type::tensor(dtype, {batch, length, size * op.heads}), present, present, Type::tensor(dtype, {batch, op.heads, length, all ? *all : Dim::unknown()})};
  types.resize(in.outputs());
  return types;
}

double flops(const GroupQueryAttention&, std::span<const Type> in, std::span<const Type> out) {
  if (!in[0].determined() || out.size() < 2 || !out[1].determined()) return 0;
  return 4.0 * double(elements(in[0].shape())) * double(out[1].dims[2].value());
}
// The present keys and values continue the past ones.
int past_of(const GroupQueryAttention&, size_t output) { return output == 1 || output == 2 ? int(output) + 2 : -1; }
}  // namespace

const OpDef<GroupQueryAttention>& def(const GroupQueryAttention&) {
  static constexpr OpDef<GroupQueryAttention> def{.infer = infer, .reference = reference_group_query_attention, .lower = lower_group_query_attention, .bounded = true, .on_device = true, .continued_input = past_of, .flops = flops};
  return def;
}
}  // namespace engine
